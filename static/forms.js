// Forms and small manners: typed confirmation, unsaved changes, copying, rows that are added, menus and dialogs, theme.
import { element, flash, meta } from "./common.js";

const on = (type, selector, handle) =>
  document.addEventListener(type, (event) => {
    const target = event.target instanceof Element ? event.target.closest(selector) : null;
    if (target) handle(event, target);
  });

/* A destructive form: its button waits until the name is typed. The server checks again. */
function judgeConfirm(form) {
  const typed = form.querySelector("[name=confirm]").value.trim();
  form.querySelector("button.danger").disabled = typed !== form.dataset.confirm;
}

/* Whatever a fresh page or fragment needs. */
function settle(root) {
  for (const form of root.querySelectorAll("form[data-confirm]")) judgeConfirm(form);
  if (!root.querySelector("[autofocus]")) root.querySelector("[data-focus]")?.focus();
}
settle(document);
document.addEventListener("htmx:afterSettle", (event) => settle(event.detail.elt.parentElement ?? document));
on("input", "form[data-confirm]", (_, form) => judgeConfirm(form));

/* A form that was sent is not sent again by a second click. */
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (event.defaultPrevented || form.method !== "post" || form.hasAttribute("hx-post")) return;
  if (form.dataset.sent) event.preventDefault();
  else form.dataset.sent = "yes";
});
window.addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
});

/* Changes that are not saved are not lost by accident: `<form data-guard>`. */
const state = (form) => new URLSearchParams([...new FormData(form)].filter(([, value]) => typeof value === "string")).toString();
const before = new WeakMap();
for (const form of document.querySelectorAll("form[data-guard]")) before.set(form, state(form));
let leaving = false;
document.addEventListener("submit", () => (leaving = true));
on("click", "[data-leave]", () => (leaving = true));
window.addEventListener("pageshow", () => (leaving = false));
window.addEventListener("beforeunload", (event) => {
  if (leaving) return;
  const changed = [...document.querySelectorAll("form[data-guard]")].some((form) => before.has(form) && before.get(form) !== state(form));
  if (changed) event.preventDefault();
});

/* Rows of name and value: a <template> in `.pairs` is what one more row looks like. */
on("click", "[data-add]", (_, button) => {
  const pairs = document.getElementById(button.dataset.add);
  pairs.append(pairs.querySelector("template").content.cloneNode(true));
  pairs.lastElementChild.querySelector("input")?.focus();
});
on("click", "[data-remove]", (_, button) => {
  const row = button.closest(".pair");
  (row.nextElementSibling ?? row.previousElementSibling)?.querySelector?.("input, button")?.focus();
  row.dispatchEvent(new Event("input", { bubbles: true }));
  row.remove();
});

/* A filter that applies as soon as it is chosen. */
on("change", "[data-autosubmit]", (_, control) => control.form.requestSubmit());

/* Copying, also where the page is not a secure context. */
async function copy(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = element("textarea", "hidden");
  area.value = text;
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  if (!done) throw new Error("refused");
}
on("click", "[data-copy]", async (_, button) => {
  try {
    await copy(button.dataset.copy);
    flash("ok", "Copied.");
  } catch {
    flash("warn", "The browser did not allow copying. Select the text and copy it.");
  }
  button.focus();
});

/* Menus close when one leaves them; dialogs open by a button. */
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.me[open]")) if (!menu.contains(event.target)) menu.open = false;
});
document.addEventListener("keydown", (event) => {
  const menu = event.key === "Escape" && document.querySelector("details.me[open]");
  if (!menu) return;
  menu.open = false;
  menu.querySelector("summary").focus();
});
on("click", "[data-open-dialog]", (_, button) => {
  for (const menu of document.querySelectorAll("details.me[open]")) menu.open = false;
  document.getElementById(button.dataset.openDialog)?.showModal();
});
on("click", "dialog", (event, dialog) => {
  if (event.target === dialog) dialog.close(); // the backdrop
});

/* The theme changes at once; the server keeps it. */
on("submit", "form[data-theme-form]", async (event, form) => {
  const theme = event.submitter?.value;
  if (!theme) return;
  event.preventDefault();
  delete form.dataset.sent;
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  for (const button of form.querySelectorAll("button")) button.setAttribute("aria-pressed", String(button.value === theme));
  const body = new URLSearchParams({ theme, csrf: meta("csrf") });
  const answer = await fetch(form.action, { method: "POST", body, redirect: "manual", headers: { "X-CSRF-Token": meta("csrf") } }).catch(() => null);
  if (!answer || (answer.type !== "opaqueredirect" && !answer.ok)) flash("warn", "The theme could not be kept: the server did not take it. It lasts until you leave this page.");
});
