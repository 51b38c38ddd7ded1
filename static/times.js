// Ages stay fresh (`4 min` becomes `5 min`), by the rules of src/http/web/page/words.rs. Hovering shows the exact moment
// (`title`); for those who use the keyboard it shows when the time, or the link or row around it, takes the focus.
import { element } from "./common.js";

const SELECTOR = "time[datetime][title]";
const skew = Date.parse(document.body.dataset.now) - Date.now() || 0;

function age(milliseconds) {
  const seconds = Math.floor(Math.abs(milliseconds) / 1000);
  let words;
  if (seconds < 60) words = `${seconds} s`;
  else if (seconds < 3600) words = `${Math.floor(seconds / 60)} min`;
  else if (seconds < 86400) words = `${Math.floor(seconds / 3600)} h`;
  else if (seconds < 63072000) words = `${Math.floor(seconds / 86400)} d`;
  else words = `${Math.floor(seconds / 31536000)} y`;
  return milliseconds <= -1000 ? `in ${words}` : words;
}

function tick() {
  if (document.hidden) return;
  const now = Date.now() + skew;
  for (const time of document.querySelectorAll(SELECTOR)) {
    const words = age(now - Date.parse(time.dateTime));
    if (time.textContent !== words) time.textContent = words;
  }
}
setInterval(tick, 5000);
document.addEventListener("visibilitychange", tick);

const tip = element("div", "tip");
tip.popover = "manual";
tip.setAttribute("aria-hidden", "true"); // the title says it to screen readers

function timeNear(target) {
  if (target.matches(SELECTOR)) return target;
  return target.querySelector(SELECTOR) ?? target.closest("tr, li")?.querySelector(SELECTOR);
}

function hide() {
  if (tip.isConnected) tip.remove();
}

document.addEventListener("focusin", ({ target }) => {
  hide();
  if (!target.matches(":focus-visible")) return;
  const time = timeNear(target);
  if (!time) return;
  const box = time.getBoundingClientRect();
  if (!box.width) return;
  tip.textContent = time.title;
  document.body.append(tip);
  tip.showPopover();
  const room = document.documentElement.clientWidth - tip.offsetWidth - 8;
  tip.style.left = `${Math.max(8, Math.min(box.left, room))}px`;
  tip.style.top = `${box.bottom + 4}px`;
});
document.addEventListener("focusout", hide);
document.addEventListener("scroll", hide, { capture: true, passive: true });
