"use strict";
const byId = (id) => document.getElementById(id);

{% include "theme.js" %}

/* Text from the data is always set as text, never as markup. */
function make(tag, kind, text) {
  const element = document.createElement(tag);
  if (kind) element.className = kind;
  if (text !== undefined) element.textContent = text;
  return element;
}

const data = byId("images") ? JSON.parse(byId("images").textContent) : null;
const [ID, TRUE, PREDICTED, CONFIDENCE, IMAGE, MAP] = [0, 1, 2, 3, 4, 5];
const [CAUSE, REASONS, NEAREST] = [0, 1, 2];

function image(webp, alt, kind) {
  const element = make("img", kind);
  element.src = `data:image/webp;base64,${webp}`;
  element.alt = alt;
  return element;
}

/* An image beside a copy with its attribution map. */
function card(entry) {
  const truth = data.classes[entry[TRUE]], predicted = data.classes[entry[PREDICTED]];
  const right = entry[TRUE] === entry[PREDICTED];
  const figure = make("figure", "card");
  const pair = make("div", "pair");
  const looked = make("div", "looked");
  looked.append(image(entry[IMAGE], "", "under"), image(entry[MAP], `attribution map for ${predicted}, not tested`, "map"));
  pair.append(image(entry[IMAGE], right ? truth : `${truth}, predicted as ${predicted}`, "plain"), looked);
  const caption = make("figcaption");
  const answer = make("span", right ? "said" : "said wrong");
  answer.append(right ? "" : "predicted ", make("bdi", "", predicted), ` ${(100 * entry[CONFIDENCE]).toFixed(1)}%`);
  caption.append(make("bdi", "true", truth), answer, make("bdi", "id", entry[ID]));
  figure.append(pair, caption);
  return figure;
}

/* A mistake with its most likely cause and the most similar training images. */
function explained(number) {
  const entry = data.images[number], figure = card(entry), cause = data.causes[number];
  if (!cause) return figure;
  const near = make("ol", "near");
  near.setAttribute("aria-label", "Most similar training images");
  for (const [row, label, same] of cause[NEAREST]) {
    if (!data.near[row]) continue;
    const item = make("li");
    const kind = label === data.classes[entry[TRUE]] ? "same" : label === data.classes[entry[PREDICTED]] ? "other" : "";
    item.append(image(data.near[row], "", "plain"), make("bdi", kind, label), same ? "near-duplicate" : "");
    near.append(item);
  }
  if (near.children.length) figure.append(near);
  for (const reason of cause[REASONS]) figure.append(make("p", "reason", reason));
  return figure;
}

/* The confusion matrix: arrow keys move, Enter opens, Escape closes (as every dialog does). */
const dialog = byId("cell");
function open(button) {
  const truth = Number(button.dataset.true), predicted = Number(button.dataset.said);
  const title = byId("cell-title");
  title.replaceChildren(make("bdi", "", data.classes[truth]));
  if (truth === predicted) title.append(", predicted correctly");
  else title.append(" predicted as ", make("bdi", "wrong", data.classes[predicted]));
  const shown = data.images.filter((p) => p[TRUE] === truth && p[PREDICTED] === predicted).slice(0, 12);
  const count = Number(button.dataset.count);
  byId("cell-note").textContent = (shown.length < count ? `${shown.length} of ${count.toLocaleString("en")} images, ` : "")
    + (truth === predicted ? "lowest confidence first" : "highest confidence first")
    + ". At the right of each image: the attribution map of its prediction, not tested for faithfulness.";
  byId("cell-cards").replaceChildren(...shown.map(card));
  dialog.showModal();
}
if (data) {
  for (const button of document.querySelectorAll("button[data-true]")) {
    button.addEventListener("click", () => open(button));
  }
  byId("close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
}

const matrix = byId("matrix");
if (matrix && data) {
  const rows = [...matrix.tBodies[0].rows].map((row) => [...row.cells].slice(1).map((cell) => cell.firstElementChild));
  const steps = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
  let current = matrix.querySelector("button");
  for (const button of matrix.querySelectorAll("button")) button.tabIndex = button === current ? 0 : -1;
  matrix.addEventListener("focusin", (event) => {
    if (!event.target.matches("button")) return;
    current.tabIndex = -1;
    current = event.target;
    current.tabIndex = 0;
  });
  matrix.addEventListener("keydown", (event) => {
    const step = steps[event.key];
    if (!step) return;
    event.preventDefault();
    let y = rows.findIndex((row) => row.includes(current)), x = rows[y].indexOf(current);
    do { y += step[0]; x += step[1]; } while (rows[y] && rows[y][x] && !rows[y][x].matches("button"));
    if (rows[y] && rows[y][x]) rows[y][x].focus();
  });
}

/* The worst mistakes, filtered by true class, prediction, confidence and cause. */
const gallery = byId("gallery");
if (gallery && data) {
  const FIRST = 24;
  const filters = { true: byId("filter-true"), said: byId("filter-said"), sure: byId("filter-sure") };
  const why = byId("filter-cause");
  const more = byId("more");
  let all = false;
  const fill = (select, field) => {
    const present = new Set(data.mistakes.map((number) => data.images[number][field]));
    for (const place of [...present].sort((a, b) => a - b)) {
      const option = make("option", "", data.classes[place]);
      option.value = place;
      select.append(option);
    }
  };
  fill(filters.true, TRUE);
  fill(filters.said, PREDICTED);
  const draw = () => {
    const kept = data.mistakes.filter((number) => {
      const p = data.images[number];
      return (filters.true.value === "" || p[TRUE] === Number(filters.true.value))
        && (filters.said.value === "" || p[PREDICTED] === Number(filters.said.value))
        && p[CONFIDENCE] >= Number(filters.sure.value)
        && (!why || why.value === "" || (data.causes[number] || [])[CAUSE] === why.value);
    });
    const shown = all ? kept : kept.slice(0, FIRST);
    gallery.replaceChildren(...shown.map(explained));
    more.hidden = shown.length === kept.length;
    more.textContent = `Show all ${kept.length}`;
    byId("filtered").textContent = `${kept.length} of ${data.mistakes.length} mistakes`;
  };
  for (const select of [...Object.values(filters), ...(why ? [why] : [])]) {
    select.addEventListener("change", () => { all = false; draw(); });
  }
  for (const button of document.querySelectorAll("button[data-cause]")) {
    button.addEventListener("click", () => {
      why.value = button.dataset.cause;
      why.dispatchEvent(new Event("change"));
      gallery.scrollIntoView({ block: "nearest" });
      why.focus();
    });
  }
  more.addEventListener("click", () => { all = true; draw(); gallery.children[FIRST].scrollIntoView({ block: "nearest" }); });
  draw();
}
