/* The page: takes images, asks the models, and shows and saves what they answer. */

import * as api from "./api.js";
import { addCard, drawAnswers } from "./card.js";
import { save, table } from "./csv.js";
import { byId, counted, fill, make, named, percent, visible } from "./dom.js";
import { listen } from "./files.js";
import { Work } from "./work.js";

const TOP = 5; /* classes asked for */
const SHOWN = 60; /* cards shown at first, and more at each press */
const ANNOUNCED = 4; /* seconds between two announcements of progress */

let models = []; /* as `api.models` lists them */
let items = []; /* {file, url, states: by model {result} or {error}, drawn, card, answers} */
let shown = SHOWN;
let announcedAt = 0;

const chosen = () => {
  const [one, other] = ["model", "other"].map((id) => models.find((model) => model.name === byId(id).value));
  return [one, other].filter((model, place, all) => model && all.indexOf(model) === place);
};
const comparing = () => chosen().length > 1;

const work = new Work(async ({ item, model }, signal) => {
  try {
    item.states.set(model.name, { result: await api.predict(item.file, model.name, Math.min(TOP, model.classes.length), signal) });
  } catch (error) {
    if (error.code !== "cancelled") item.states.set(model.name, { error });
  }
  if (items.includes(item)) drawAnswers(item, chosen(), comparing());
}, update);

/* The tasks of an item that have no answer, nor an error that would come again. */
const open = (item) => chosen().filter(({ name }) => !item.states.has(name) || item.states.get(name).error?.retry)
  .map((model) => ({ item, model }));

function take(files) {
  if (!models.length || !files.length) return;
  const added = files.map((file) => ({ file, url: URL.createObjectURL(file), states: new Map(), drawn: new Map() }));
  added.forEach(addCard);
  items = [...items, ...added];
  redraw();
  work.add(added.flatMap(open));
}

function redraw() {
  const visibleItems = items.slice(0, shown);
  visibleItems.forEach((item) => drawAnswers(item, chosen(), comparing()));
  const results = byId("results");
  for (const item of visibleItems) if (!item.card.isConnected) results.append(item.card);
  byId("more").hidden = items.length <= shown;
  document.body.classList.toggle("has-results", items.length > 0);
}

function answerAgain() {
  work.cancel();
  redraw();
  work.add(items.flatMap(open));
}

function clear() {
  items.forEach((item) => URL.revokeObjectURL(item.url));
  items = [];
  shown = SHOWN;
  work.cancel();
  byId("results").replaceChildren();
  redraw();
  byId("choose").focus();
}

/* Progress: counted, drawn, and announced now and then. */
function update() {
  const states = items.map((item) => chosen().map(({ name }) => item.states.get(name)));
  const done = states.filter((all) => all.every((state) => state?.result || (state?.error && !state.error.retry)));
  const unsure = done.filter((all) => all.some(({ result }) => result && result.answer !== result.label)).length;
  const bad = done.filter((all) => all.some(({ error }) => error)).length;
  const rest = items.length - done.length;
  const answered = done.length - bad;
  const parts = [`${answered < items.length ? `${answered} of ` : ""}${counted(items.length, "image")} answered`];
  if (unsure) parts.push(`${unsure} unsure`);
  if (bad) parts.push(`${bad} could not be used`);
  byId("bar").hidden = !items.length;
  byId("status").textContent = parts.join(", ");
  byId("progress").style.transform = `scaleX(${items.length ? done.length / items.length : 0})`;
  const buttons = [byId("cancel"), byId("continue")];
  const focused = buttons.find((button) => button === document.activeElement);
  buttons[0].hidden = !work.busy;
  buttons[1].hidden = work.busy || !rest;
  if (focused?.hidden) (buttons.find((button) => !button.hidden) ?? byId("save")).focus();
  announce(parts.join(", "), items.length > 0 && !work.busy);
}

function announce(text, ended) {
  if (!ended && Date.now() - announcedAt < 1000 * ANNOUNCED) return;
  announcedAt = Date.now();
  const only = ended && items.length === 1 ? chosen().map(({ name }) => spoken(items[0], name)).join("; ") : "";
  const live = byId("live");
  const message = items.length ? only || text : "";
  if (live.textContent !== message) live.textContent = message;
}

function spoken(item, model) {
  const { result, error } = item.states.get(model) ?? {};
  if (error) return `${visible(item.file.name)}: ${visible(error.message)}`;
  return result ? visible(`${item.file.name}: ${result.answer}, ${result.label} ${percent(result.confidence)}`) : "";
}

function saveTable() {
  const rows = items.flatMap((item) => chosen().flatMap((model) => {
    const state = item.states.get(model.name);
    return state ? [{ file: item.file.name, model: model.name, digest: state.result?.model.digest ?? model.digest, ...state }] : [];
  }));
  save(table(rows, Math.max(...rows.map(({ result }) => result?.top.length ?? 1), 1)), "predictions.csv");
}

/* How often a model was right, where it says so. */
async function accuracy(model) {
  const { facts } = await api.info(model.name).catch(() => ({}));
  const { test, val } = facts?.metrics ?? {};
  const { n, accuracy: rate } = test ?? val ?? {};
  if (!rate) return "";
  const share = (value) => `${(100 * value).toFixed(1)}%`;
  const interval = typeof rate.low === "number" ? ` (95% confidence interval ${share(rate.low)} to ${share(rate.high)})` : "";
  return ` It was right on ${share(rate.value)} of ${counted(n, test ? "test image" : "validation image")}${interval}.`;
}

/* What the model knows. */
async function describe() {
  const [model] = chosen();
  const about = byId("about");
  const classes = model.classes.slice(0, 12).flatMap((name, place) => [place ? ", " : "", named(name)]);
  const more = model.classes.length > 12 ? ` and ${(model.classes.length - 12).toLocaleString("en")} more` : "";
  const knows = [named(model.name, "strong"), ` knows ${counted(model.classes.length, "class")}: `, ...classes, `${more}.`];
  about.replaceChildren(make("p", "", ...knows, await accuracy(model)));
  byId("limits").textContent = model.abstains
    ? "The model says “not sure” or “out of distribution” where it should not be relied on."
    : "This model always names a class, also for an image of something else: it was not calibrated to say “not sure”.";
  document.title = `${visible(model.name)}: SeeWhy`;
}

async function start() {
  const fault = (text) => {
    const again = make("button", "button", "Try again");
    again.type = "button";
    again.addEventListener("click", start);
    byId("about").replaceChildren(make("p", "fault", text), again);
  };
  try {
    models = (await api.models()).filter((model) => model.ready !== false);
  } catch (error) {
    return fault(visible(error.message));
  }
  if (!models.length) {
    const text = "The model is being prepared: this page asks again until it is ready.";
    byId("about").replaceChildren(make("p", "fault", text));
    setTimeout(start, 2000);
    return;
  }
  const names = models.map(({ name }) => [name, visible(name)]);
  fill(byId("model"), names, models[0].name);
  fill(byId("other"), [["", "none"], ...names], models.length === 2 ? models[1].name : "");
  byId("choosers").hidden = models.length < 2;
  document.body.classList.add("ready");
  await describe();
}

listen([byId("choose"), byId("camera")], byId("drop"), take);
byId("cancel").addEventListener("click", () => work.cancel());
byId("continue").addEventListener("click", () => work.add(items.flatMap(open)));
byId("save").addEventListener("click", saveTable);
byId("clear").addEventListener("click", clear);
byId("more").addEventListener("click", () => { shown += SHOWN; redraw(); });
byId("model").addEventListener("change", () => { answerAgain(); describe(); });
byId("other").addEventListener("change", answerAgain);
if (/Mac|iP/.test(navigator.platform)) byId("modifier").textContent = "⌘";
start();
