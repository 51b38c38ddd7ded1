// Keys: `/` find, `g` then a letter to go somewhere, `?` the list of them. Off where the account says so
// (`data-keys="off"` on <body>); never while something is being typed, and never with a modifier.

const GO = { h: "/", p: "/projects", d: "/deployments", i: "/infrastructures" };
const PATIENCE = 1500;

let waiting = 0;

const isTyping = (target) => target instanceof Element && target.closest("input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable]");

function go(event) {
  clearTimeout(waiting);
  waiting = 0;
  const path = GO[event.key];
  if (!path) return;
  event.preventDefault();
  location.assign(document.body.dataset.base + path);
}

function press(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (isTyping(event.target)) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  if (document.querySelector("dialog[open]")) return;
  if (waiting) go(event);
  else if (event.key === "g") waiting = setTimeout(() => (waiting = 0), PATIENCE);
  else if (event.key === "?") document.getElementById("keys-help")?.showModal();
  else if (event.key === "/") {
    event.preventDefault();
    (document.querySelector("[data-key-find]") ?? document.getElementById("find"))?.select();
  }
}

if (document.body.dataset.keys === "on") document.addEventListener("keydown", press);
