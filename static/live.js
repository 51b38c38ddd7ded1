// Keeps live parts live. A live part is an element with `data-live`, `hx-get` (its own fragment) and
// `hx-trigger="sse:TOPIC, refresh"`. The event stream (`sse-connect` on <main>) only names what changed; the part is
// then fetched like any other page, with the reader's own rights. When the stream drops, a banner says so and every
// part is polled; a tab that nobody looks at holds no connection.
import { element, flash, meta, stillIn } from "./common.js";

// What is being typed into a field of a live part stays.
Idiomorph.defaults.ignoreActiveValue = true;
// And what the reader opened stays open.
Idiomorph.defaults.callbacks.beforeAttributeUpdated = (name, node) => !(name === "open" && node.localName === "details");

const GRACE = 2500; // a stream that comes back sooner was not worth a word
const POLL = 5000;
const UNSEEN = 30000;
const USED = 300000; // how often it is told that somebody uses the page

let source = null;
let grace = 0;
let poll = 0;
let unseen = 0;
let asleep = false;
let signedOut = false;

const isLive = () => Boolean(document.querySelector("main[sse-connect]"));

function refresh() {
  for (const part of document.querySelectorAll("[data-live]")) htmx.trigger(part, "refresh");
}

function mark(state, word) {
  for (const each of document.querySelectorAll("[data-live-mark]")) {
    each.hidden = false;
    each.className = `live ${state}`;
    each.textContent = word;
  }
}

function say(...content) {
  document.getElementById("lost")?.replaceChildren(...content);
}

function lost() {
  grace = 0;
  if (poll || signedOut) return;
  say("Live updates are interrupted. This page asks again every 5 s.");
  mark("slow", "every 5 s");
  poll = setInterval(refresh, POLL);
  refresh();
  stillIn();
}

function found() {
  const missed = poll || asleep;
  clearTimeout(grace);
  clearInterval(poll);
  grace = poll = 0;
  asleep = false;
  if (!signedOut) say();
  mark("", "live");
  if (missed) refresh();
}

function leaveSignedOut() {
  if (signedOut) return;
  signedOut = true;
  clearTimeout(grace);
  clearInterval(poll);
  grace = poll = 0;
  source?.close();
  const link = element("a", "", "Sign in again");
  link.href = location.href;
  say("You are signed out. What you see is no longer kept up to date.", link);
  mark("off", "not live");
}

document.addEventListener("signed-out", leaveSignedOut);

/* A page that keeps itself fresh does not keep its session alive; whoever uses the page does, also without loading another. */
let told = Date.now();
function alive() {
  if (signedOut || !meta("csrf") || Date.now() - told < USED) return;
  told = Date.now();
  fetch(`${document.body.dataset.base}/api/v1/me`).catch(() => {});
}
for (const type of ["pointerdown", "keydown", "wheel"]) document.addEventListener(type, alive, { capture: true, passive: true });

/* The extension listens anew each time it processes a part, and a morphed part is processed after every swap. So the stream
   listens once a topic, and tells each part that names it; a burst is told once. */
const changed = new Set();

function tell() {
  for (const part of document.querySelectorAll("[data-live]")) {
    const topics = part.getAttribute("hx-trigger").split(/[\s,]+/);
    const topic = topics.find((each) => each.startsWith("sse:") && changed.has(each.slice(4)));
    if (topic) htmx.trigger(part, topic); // one is enough: the part is fetched whole
  }
  changed.clear();
}

class Stream extends EventSource {
  topics = new Set();

  addEventListener(topic) {
    if (this.topics.has(topic)) return;
    this.topics.add(topic);
    super.addEventListener(topic, () => {
      if (!changed.size) setTimeout(tell, 20);
      changed.add(topic);
    });
  }
}
htmx.createEventSource = (url) => (source = new Stream(url));

document.addEventListener("htmx:sseOpen", found);
document.addEventListener("htmx:sseError", () => {
  if (!grace && !poll && !signedOut && !document.hidden) grace = setTimeout(lost, GRACE);
});
document.addEventListener("visibilitychange", () => {
  clearTimeout(unseen);
  if (!isLive() || signedOut) return;
  if (document.hidden) {
    unseen = setTimeout(() => {
      asleep = true;
      source?.close();
    }, UNSEEN);
  } else if (asleep) {
    refresh();
    source?.onerror?.(new Event("error")); // closed: the extension opens another
  }
});

// A page that comes back from the browser's own cache shows what was true when it was left.
window.addEventListener("pageshow", (event) => {
  if (event.persisted && isLive()) location.reload();
});

document.addEventListener("htmx:configRequest", (event) => {
  event.detail.headers["X-CSRF-Token"] = meta("csrf");
});

// A part that is fetched again does not speak of each failure: the banner already does.
document.addEventListener("htmx:responseError", (event) => {
  const { xhr, elt } = event.detail;
  if (xhr.status === 401) leaveSignedOut();
  else if (elt.matches("[data-live]")) return;
  else flash("bad", xhr.getResponseHeader("X-Message") || `The server refused this (${xhr.status}). Reload the page and try again.`);
});
document.addEventListener("htmx:sendError", (event) => {
  if (event.detail.elt.matches("[data-live], [data-upload]")) return;
  flash("bad", "The server did not answer. Nothing was changed here; try again once the connection is back.");
});

/* `HX-Trigger: {"flash": {"tone": "ok", "text": "…"}}` of an answer. */
document.addEventListener("flash", (event) => {
  if (event.detail?.text) flash(event.detail.tone, event.detail.text);
});
