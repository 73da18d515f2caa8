/* "Which is right?": one image at a time, by keys; each label is sent at once, and can be taken back. */

import * as api from "./api.js";
import { byId, counted, fill, make, named, visible } from "./dom.js";

const NONE = "none of these";
const MANY = 20; /* items asked for at a time */
const MOST = 500; /* that the server gives */
const SMALL = 64; /* pixels: images up to this size are shown without interpolation */

let waiting = []; /* items to look at; the first is shown */
let done = []; /* {item, label} in order; label null: skipped */
let counts = {};
let classes = {}; /* by model, of those that are served */
let busy = false;
const urls = new Map(); /* by item: a promise of the address of its image */

const key = (item) => `${item.request_id}/${item.image}`;
const labelled = () => done.filter(({ label }) => label !== null).length;
const left = () => Math.max(0, Object.values(counts).reduce((sum, count) => sum + count, 0));

/* The address of an image; it is asked for once, and before it is shown. */
function imageOf(item) {
  if (!item.kept) return Promise.resolve(null);
  if (!urls.has(key(item))) {
    urls.set(key(item), api.keptImage(item).then((blob) => URL.createObjectURL(blob)).catch(() => null));
  }
  return urls.get(key(item));
}

async function look() {
  /* So many of the last are left out as can be asked for; those skipped before them come again. */
  const skipped = done.filter(({ label }) => label === null).map(({ item }) => key(item)).slice(MANY - MOST);
  const answer = await api.queue(MANY + skipped.length);
  counts = answer.counts;
  classes = { ...classes, ...answer.classes };
  waiting = answer.items.filter((item) => !skipped.includes(key(item)));
  draw();
}

function status() {
  const skipped = done.length - labelled();
  const parts = [`${labelled()} labelled`, `${left()} left`];
  if (skipped) parts.push(`${skipped} skipped`);
  if (!waiting.length) return left() > skipped ? "More are waiting." : `Nothing more to look at: ${parts.join(", ")}.`;
  const kinds = { disagreement: "disagreement", unsure: "unsure answer", audit: "random sample" };
  const each = Object.entries(kinds).filter(([kind]) => counts[kind]).map(([kind, noun]) => counted(counts[kind], noun));
  return `${parts.join(", ")}${each.length ? `: ${each.join(", ")}` : ""}`;
}

function draw() {
  const [item] = waiting;
  byId("status").textContent = status();
  byId("item").hidden = !item;
  byId("again").hidden = Boolean(item);
  byId("undo").disabled = !done.length;
  if (item) byId("skip").after(byId("undo")); else byId("again").after(byId("undo"));
  if (!item) return byId("again").focus();
  drawImage(item);
  byId("classes").replaceChildren(...item.classes.map((name, place) => {
    const button = make("button", "", make("kbd", "", String(place + 1)), named(name));
    button.type = "button";
    button.addEventListener("click", () => choose(name));
    return button;
  }));
  const others = (classes[item.model] ?? []).filter((name) => !item.classes.includes(name));
  byId("more").hidden = !others.length;
  fill(byId("other"), [["", "Choose…"], ...others.map((name) => [name, visible(name)])], "");
  byId("request").textContent = `${item.model} · ${item.at.slice(0, 16).replace("T", " ")} UTC · request ${item.request_id}`;
  byId("request").title = byId("request").textContent;
  waiting.slice(1, 3).forEach(imageOf);
  return byId("item").focus({ preventScroll: true });
}

async function drawImage(item) {
  const image = byId("image"), missing = byId("missing");
  image.hidden = missing.hidden = true;
  const url = await imageOf(item);
  if (waiting[0] !== item) return;
  missing.textContent = item.kept ? "The image cannot be shown: it was removed, or the server cannot be reached."
    : "The image was not kept (serve --keep-images keeps it). Look it up by its request, or skip it.";
  missing.hidden = url !== null;
  if (url === null) return;
  image.onload = () => image.classList.toggle("pixels", Math.max(image.naturalWidth, image.naturalHeight) <= SMALL);
  image.onerror = () => { image.hidden = true; missing.hidden = false; };
  image.src = url;
  image.hidden = false;
}

/* One change at a time; a fault leaves everything as it was. */
async function change(work) {
  if (busy) return;
  busy = true;
  byId("fault").textContent = "";
  document.body.setAttribute("aria-busy", "true");
  try {
    await work();
  } catch (error) {
    byId("fault").textContent = error.message;
    if (byId("item").hidden) { byId("status").textContent = error.message; byId("again").hidden = false; }
  } finally {
    busy = false;
    document.body.removeAttribute("aria-busy");
  }
}

function say(text) {
  const next = waiting.length ? `${left()} left.` : "Nothing more to look at.";
  byId("live").textContent = `${text} ${next}`;
}

const next = () => (waiting.length ? draw() : look());

const choose = (label) => change(async () => {
  const [item] = waiting;
  if (!item) return;
  await api.setLabel(item, label);
  waiting.shift();
  done.push({ item, label });
  lessen();
  await next();
  say(`Labelled ${label}.`);
});

/* The counts are those of the last look: each label takes one, of whichever kind there is. */
function lessen(step = -1) {
  const kind = Object.keys(counts).find((name) => counts[name] > 0) ?? "audit";
  counts[kind] = Math.max(0, (counts[kind] ?? 0) + step);
}

const skip = () => change(async () => {
  if (!waiting.length) return;
  done.push({ item: waiting.shift(), label: null });
  await next();
  say("Skipped.");
});

const undo = () => change(async () => {
  const last = done.at(-1);
  if (!last) return;
  if (last.label !== null) { await api.setLabel(last.item, null); lessen(1); }
  done.pop();
  waiting.unshift(last.item);
  await next();
  say("Taken back.");
});

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || byId("key-dialog").open) return;
  if (event.target.matches("select, input")) {
    if (event.key === "Escape") byId("item").focus();
    return;
  }
  const pressed = event.key.toLowerCase();
  const number = Number(pressed);
  const [item] = waiting;
  if (pressed === "s" || pressed === "arrowright") skip();
  else if (pressed === "u" || pressed === "arrowleft") undo();
  else if (pressed === "0" && item) choose(NONE);
  else if (pressed === "/" && !byId("more").hidden) byId("other").focus();
  else if (item && number >= 1 && number <= item.classes.length) choose(item.classes[number - 1]);
  else return;
  event.preventDefault();
});

byId("none").addEventListener("click", () => choose(NONE));
byId("skip").addEventListener("click", skip);
byId("undo").addEventListener("click", undo);
byId("again").addEventListener("click", () => change(look));
byId("other").addEventListener("change", () => { if (byId("other").value) choose(byId("other").value); });

change(look);
