// Uploading with progress. `<form data-upload enctype="multipart/form-data" hx-post=… hx-encoding="multipart/form-data">`:
// htmx sends it and shows what comes back (HX-Redirect, or the form again with its errors); this file draws the bar, and lets
// a file be dropped. Without scripts the same form is sent by the browser.
import { flash, size } from "./common.js";

const part = (form, name) => form.querySelector(`[data-upload-${name}]`);
const running = new WeakMap();

function left(seconds) {
  if (seconds < 60) return `${Math.max(1, Math.round(seconds))} s left`;
  return `${Math.round(seconds / 60)} min left`;
}

function show(form, shown) {
  form.querySelector("[data-uploading]").hidden = !shown;
  for (const rest of form.querySelectorAll(".drop-field, .buttons")) rest.hidden = shown;
}

document.addEventListener("htmx:beforeRequest", ({ detail: { elt: form } }) => {
  if (!form.matches?.("form[data-upload]")) return;
  const file = form.querySelector("input[type=file]").files[0];
  running.set(form, { start: performance.now(), sent: false, told: 0 });
  part(form, "name").textContent = file ? `${file.name}, ${size(file.size)}` : "";
  part(form, "figures").textContent = "";
  part(form, "status").textContent = "Upload started";
  form.querySelector("progress").value = 0;
  show(form, true);
});

document.addEventListener("htmx:xhr:progress", ({ target: form, detail }) => {
  const run = form instanceof Element && running.get(form);
  if (!run || run.sent || !detail.lengthComputable) return;
  const share = detail.loaded / detail.total;
  const seconds = (performance.now() - run.start) / 1000;
  const bar = form.querySelector("progress");
  bar.value = share * 100;
  if (share >= 1) {
    run.sent = true;
    bar.removeAttribute("value");
    part(form, "figures").textContent = "sent; the server checks and unpacks it";
    part(form, "status").textContent = "Sent. The server checks it.";
    return;
  }
  const rate = detail.loaded / seconds;
  const speed = seconds > 1 ? ` · ${size(rate)}/s · ${left((detail.total - detail.loaded) / rate)}` : "";
  part(form, "figures").textContent = `${size(detail.loaded)} of ${size(detail.total)}${speed}`;
  const quarter = Math.floor(share * 4);
  if (quarter > run.told) {
    run.told = quarter;
    part(form, "status").textContent = `${quarter * 25} % sent`;
  }
});

function end(form, tone, text) {
  if (!running.delete(form)) return;
  show(form, false);
  flash(tone, text);
}
document.addEventListener("htmx:sendError", ({ detail: { elt } }) => end(elt, "bad", "The upload broke off: the connection to the server was lost. Nothing was published; send it again."));
document.addEventListener("htmx:sendAbort", ({ detail: { elt } }) => end(elt, "info", "The upload was cancelled. Nothing was published."));
document.addEventListener("htmx:responseError", ({ detail: { elt } }) => running.has(elt) && (running.delete(elt), show(elt, false)));
document.addEventListener("htmx:afterOnLoad", ({ detail: { elt } }) => running.delete(elt) && elt.isConnected && show(elt, false));

document.addEventListener("click", (event) => {
  const button = event.target.closest?.("[data-upload-cancel]");
  if (button) htmx.trigger(button.closest("form"), "htmx:abort");
});

/* Dropping. A file dropped beside the zone must not make the browser leave the page. */
const zoneOf = (event) => event.target.closest?.("[data-drop]");
const hasFiles = (event) => event.dataTransfer?.types.includes("Files") && document.querySelector("[data-drop]");

document.addEventListener("dragover", (event) => {
  if (!hasFiles(event)) return;
  event.preventDefault();
  const zone = zoneOf(event);
  event.dataTransfer.dropEffect = zone ? "copy" : "none";
  for (const each of document.querySelectorAll("[data-drop]")) each.classList.toggle("over", each === zone);
});
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) for (const each of document.querySelectorAll("[data-drop].over")) each.classList.remove("over");
});
document.addEventListener("drop", (event) => {
  if (!hasFiles(event)) return;
  event.preventDefault();
  const zone = zoneOf(event);
  if (!zone) return;
  zone.classList.remove("over");
  const input = zone.querySelector("input[type=file]");
  if (event.dataTransfer.files.length > 1 && !input.multiple) {
    flash("warn", "One file at a time: this takes a single bundle.");
    return;
  }
  input.files = event.dataTransfer.files;
  input.dispatchEvent(new Event("change", { bubbles: true }));
  input.focus();
});
