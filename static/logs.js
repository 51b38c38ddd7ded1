// The log viewer: `<section data-logs data-src=…>` around a form (`.bar`) and the lines (`[data-lines]`).
//
// The stream is EventSource: `message` carries an array of lines `{t, r, l, m}` (RFC 3339 time, replica or step, level,
// text; with `g` it stands for lines that are missing); `end` and `wait` carry in words why nothing comes any more, or not
// now. Messages have an id, the reader's position; after a break the stream is asked again with `after=ID`.
// The page holds at most 5,000 lines, shown or waiting. What falls out is counted, never silently gone.
import { element, icon, number, stillIn } from "./common.js";

const MOST = 5000;
const RETRY = 3000;
const UNSEEN = 30000;
const RANK = { debug: 0, info: 1, warn: 2, error: 3 };

class Viewer {
  constructor(root) {
    this.root = root;
    this.box = root.querySelector("[data-lines]");
    this.lines = root.querySelector("[data-rows]");
    this.found = root.querySelector("[data-found]");
    this.state = root.querySelector("[data-state]");
    this.search = root.querySelector("[data-search]");
    this.level = root.querySelector("[data-level-pick]");
    this.waiting = []; // what came and is not drawn yet
    this.earlier = 0; // lines that fell out at the top
    this.paused = false;
    this.lastId = "";
    this.box.classList.add("driven");
    this.bind();
    this.settings();
    this.refine();
    this.toEnd();
    if (root.dataset.src) this.connect();
  }

  connect() {
    const url = new URL(this.root.dataset.src, location.href);
    if (this.lastId) url.searchParams.set("after", this.lastId);
    const source = (this.source = new EventSource(url));
    source.onopen = () => {
      this.why = "";
      this.tell(this.paused ? "off" : "", this.paused ? "paused" : "following");
    };
    source.onmessage = (event) => {
      this.lastId = event.lastEventId;
      this.take(JSON.parse(event.data));
    };
    source.addEventListener("wait", (event) => (this.why = event.data));
    source.addEventListener("end", (event) => {
      source.close();
      this.ended = true;
      this.root.querySelector("[data-pause]")?.setAttribute("hidden", "");
      this.take([{ end: event.data || "The log has ended." }]);
      this.tell("off", "ended");
    });
    source.onerror = () => {
      if (this.ended) return;
      this.tell("slow", this.why ? `waiting: ${this.why}` : "reconnecting");
      if (source.readyState !== EventSource.CLOSED) return;
      clearTimeout(this.retry);
      this.retry = setTimeout(async () => ((await stillIn()) ? this.connect() : this.tell("off", "signed out")), RETRY);
    };
  }

  tell(tone, word) {
    if (!this.state) return;
    this.state.hidden = false;
    this.state.className = `live ${tone}`;
    this.state.textContent = word;
  }

  /* Lines come as fast as they like; they are drawn at most ten times a second, and only those that will stay. */
  take(lines) {
    this.waiting.push(...lines);
    const over = this.waiting.length - MOST;
    if (over > 0) this.forget(this.waiting.splice(0, over).filter((line) => !line.end && !line.g).length);
    if (this.paused) this.count();
    else this.drawing ??= setTimeout(() => this.draw(), 100);
  }

  forget(count) {
    this.earlier += count;
  }

  draw() {
    clearTimeout(this.drawing);
    this.drawing = null;
    if (this.paused) return;
    const fresh = this.waiting.splice(0);
    const fragment = document.createDocumentFragment();
    for (const line of fresh) fragment.append(this.row(line));
    const over = this.lines.childElementCount + fresh.length - MOST;
    for (let i = 0; i < over && this.lines.firstElementChild; i += 1) this.drop(this.lines.firstElementChild);
    this.lines.append(fragment);
    this.markEarlier();
    this.count();
    this.toEnd();
  }

  drop(row) {
    if (row.matches(".line")) this.forget(1);
    row.remove();
  }

  markEarlier() {
    if (!this.earlier) return;
    let mark = this.lines.querySelector("[data-earlier]");
    if (!mark) {
      mark = element("div", "gap");
      mark.dataset.earlier = "";
    }
    mark.textContent = `${number(this.earlier)} earlier lines are not on this page.${this.root.querySelector("a[download]") ? " Download has them all." : ""}`;
    this.lines.prepend(mark);
  }

  row(line) {
    if (line.g) return element("div", "gap", `${line.r}: ${line.m.replace(/^\[|\]$/g, "")}`);
    if (line.end !== undefined) return element("div", "gap", line.end);
    const time = element("time", "t", (line.t ?? "").slice(11, 23));
    if (line.t) time.dateTime = time.title = line.t;
    const row = element("div", "line", time, element("span", "r", line.r ?? ""), element("span", "m", line.m));
    if (line.r?.length > 11) row.children[1].title = line.r;
    if (line.l) row.dataset.level = line.l;
    this.judge(row);
    return row;
  }

  /* Search and level, on the lines that are here. */
  judge(row) {
    const text = row.querySelector(".m");
    const plain = text.textContent;
    const hits = this.query ? split(plain, this.query) : null;
    if (hits) text.replaceChildren(...hits.map((piece, i) => (i % 2 ? element("mark", "", piece) : piece)));
    else if (text.firstElementChild) text.textContent = plain;
    row.hidden = (RANK[row.dataset.level] ?? 1) < this.floor || (this.only && this.query && !hits);
  }

  refine() {
    this.query = this.search?.value.toLowerCase() ?? "";
    const only = this.root.querySelector("[data-only]");
    if (only) only.hidden = !this.query;
    this.floor = RANK[this.level?.value] ?? 0;
    for (const row of this.lines.querySelectorAll(".line")) this.judge(row);
    this.count();
  }

  count() {
    if (!this.found) return;
    const held = this.lines.querySelectorAll(".line").length;
    const words = [];
    if (this.query) {
      const matching = this.lines.querySelectorAll(".line:not([hidden]):has(mark)").length;
      words.push(`${number(matching)} of ${number(held)} lines ${matching === 1 ? "matches" : "match"}`);
    } else words.push(`${number(held)} lines`);
    if (this.paused && this.waiting.length) words.push(`${number(this.waiting.length)} new`);
    this.found.textContent = words.join(", ");
  }

  step(back) {
    const marks = [...this.lines.querySelectorAll(".line:not([hidden]) mark")];
    if (!marks.length) return;
    const here = marks.findIndex((mark) => mark.classList.contains("here"));
    marks[here]?.classList.remove("here");
    const next = marks[(here + (back ? -1 : 1) + marks.length) % marks.length] ?? marks[0];
    next.classList.add("here");
    if (!this.paused) this.pause(true, true);
    next.scrollIntoView({ block: "center" });
  }

  /* Paused by scrolling, it goes on at the end; paused by the button, only by the button. */
  pause(paused, byScrolling = false) {
    this.paused = paused;
    this.byScrolling = byScrolling;
    const button = this.root.querySelector("[data-pause]");
    if (button) {
      button.setAttribute("aria-pressed", String(paused));
      button.replaceChildren(icon(paused ? "play" : "pause"), paused ? "Follow" : "Pause");
    }
    if (!this.ended && this.source?.readyState === EventSource.OPEN) this.tell(paused ? "off" : "", paused ? "paused" : "following");
    if (paused) this.count();
    else this.draw();
  }

  toEnd() {
    const end = () => (this.box.scrollTop = this.box.scrollHeight);
    this.moving = true;
    end();
    requestAnimationFrame(() => {
      end();
      requestAnimationFrame(() => (this.moving = false));
    });
  }

  /* Wrap and times are kept in this browser: they are about this screen. */
  settings() {
    for (const [name, className] of [["wrap", "no-wrap"], ["times", "no-times"]]) {
      const button = this.root.querySelector(`[data-toggle=${name}]`);
      if (!button) continue;
      const set = (shown) => {
        button.setAttribute("aria-pressed", String(shown));
        this.box.classList.toggle(className, !shown);
      };
      set(recall(name) !== "off");
      button.addEventListener("click", () => {
        const shown = button.getAttribute("aria-pressed") !== "true";
        remember(name, shown ? "on" : "off");
        set(shown);
        if (!this.paused) this.toEnd();
      });
    }
  }

  bind() {
    this.root.querySelector("[data-pause]")?.addEventListener("click", () => this.pause(!this.paused));
    this.root.querySelector("[data-only]")?.addEventListener("click", ({ currentTarget }) => {
      this.only = currentTarget.getAttribute("aria-pressed") !== "true";
      currentTarget.setAttribute("aria-pressed", String(this.only));
      this.refine();
    });
    this.level?.addEventListener("change", () => this.refine());
    this.search?.addEventListener("input", () => {
      clearTimeout(this.typing);
      this.typing = setTimeout(() => this.refine(), 120);
    });
    this.search?.addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      event.preventDefault();
      this.step(event.shiftKey);
    });
    // Scrolling up is reading: it pauses. Coming back to the end follows again.
    this.box.addEventListener("scroll", () => {
      if (this.moving) return;
      const atEnd = this.box.scrollHeight - this.box.scrollTop - this.box.clientHeight < 24;
      if (!atEnd && !this.paused) this.pause(true, true);
      else if (atEnd && this.paused && this.byScrolling) this.pause(false);
    }, { passive: true });
    document.addEventListener("visibilitychange", () => {
      clearTimeout(this.unseen);
      if (document.hidden) this.unseen = setTimeout(() => this.source?.close(), UNSEEN);
      else if (this.source?.readyState === EventSource.CLOSED && !this.ended) this.connect();
    });
  }
}

/** The text cut at every hit: even pieces are between, odd ones are hits. `null` without a hit. */
function split(text, query) {
  const low = text.toLowerCase();
  const pieces = [];
  let from = 0;
  for (let at = low.indexOf(query); at >= 0; at = low.indexOf(query, from)) {
    pieces.push(text.slice(from, at), text.slice(at, at + query.length));
    from = at + query.length;
  }
  return pieces.length ? [...pieces, text.slice(from)] : null;
}

function recall(name) {
  try {
    return localStorage.getItem(`slipway-log-${name}`);
  } catch {
    return null; // storage is refused in some browsers' private modes
  }
}

function remember(name, value) {
  try {
    localStorage.setItem(`slipway-log-${name}`, value);
  } catch {
    // then it lasts as long as the page
  }
}

for (const root of document.querySelectorAll("[data-logs]")) new Viewer(root);
