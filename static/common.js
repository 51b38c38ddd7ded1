// What the other scripts share. No script here is needed for a page to work: each makes a form, a link or a
// server-rendered fragment quicker, and leaves it alone where it fails.

const SVG = "http://www.w3.org/2000/svg";

/** A symbol of the sprite. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `${document.body.dataset.asset}/sprite.svg#${name}`);
  svg.append(use);
  return svg;
}

/** An element with a class and children; text children are text, never markup. */
export function element(tag, className, ...children) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.append(...children);
  return made;
}

/** 4120 as `4,120`. */
export const number = (value) => value.toLocaleString("en");

/** Bytes as the server writes them: `812 B`, `1.4 kB`, `18 MB`. */
export function size(bytes) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  while (unit < units.length - 1 && Math.round(bytes) >= 1000) {
    bytes /= 1000;
    unit += 1;
  }
  const digits = bytes < 9.95 && Math.round(bytes * 10) % 10 ? 1 : 0;
  return `${bytes.toFixed(digits)} ${units[unit]}`;
}

/** The value of `<meta name=…>`. */
export const meta = (name) => document.querySelector(`meta[name="${name}"]`)?.content ?? "";

/** Whether this session still opens anything. Asking does not keep it alive. */
export async function stillIn() {
  const headers = { "HX-Request": "true" };
  const answer = await fetch(`${document.body.dataset.base}/api/v1/me`, { headers }).catch(() => null);
  if (answer?.status === 401) document.dispatchEvent(new Event("signed-out"));
  return answer?.status !== 401;
}

const SHAPES = { ok: "state-ok", warn: "state-warn", bad: "state-error", sync: "state-sync", info: "state-info" };
const MOST_FLASHES = 3;

/** Says something through `role=status`. What went well leaves by itself, the rest waits to be dismissed. */
export function flash(tone, text) {
  const place = document.getElementById("flashes");
  if (!place) return;
  const dismiss = element("button", "button quiet square small", icon("x"));
  dismiss.type = "button";
  dismiss.setAttribute("aria-label", "Dismiss");
  const known = SHAPES[tone] ? tone : "info";
  const box = element("div", `flash ${known}`, icon(SHAPES[known]), element("p", "", text), dismiss);
  dismiss.addEventListener("click", () => box.remove());
  place.append(box);
  while (place.children.length > MOST_FLASHES) place.firstElementChild.remove();
  if (known === "ok" || known === "info") {
    const leave = () => (box.matches(":hover, :focus-within") ? setTimeout(leave, 2000) : box.remove());
    setTimeout(leave, 8000);
  }
}
