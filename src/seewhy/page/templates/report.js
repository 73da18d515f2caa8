"use strict";
const byId = (id) => document.getElementById(id);

/* Theme: the system's, until the button is pressed. */
const dark = matchMedia("(prefers-color-scheme: dark)");
const theme = byId("theme");
const isDark = () => (document.documentElement.dataset.theme || (dark.matches ? "dark" : "light")) === "dark";
const nameTheme = () => {
  theme.textContent = isDark() ? "Light" : "Dark";
  theme.setAttribute("aria-label", `Switch to the ${isDark() ? "light" : "dark"} theme`);
};
theme.addEventListener("click", () => {
  document.documentElement.dataset.theme = isDark() ? "light" : "dark";
  nameTheme();
});
dark.addEventListener("change", nameTheme);
theme.hidden = false;
nameTheme();

/* Every text that comes from the data is set as text, never as markup. */
function make(tag, kind, text) {
  const element = document.createElement(tag);
  if (kind) element.className = kind;
  if (text !== undefined) element.textContent = text;
  return element;
}

const found = byId("pictures") ? JSON.parse(byId("pictures").textContent) : null;
const [ID, TRUE, SAID, SURE, PICTURE, MAP] = [0, 1, 2, 3, 4, 5];
const [CAUSE, REASONS, NEAREST] = [0, 1, 2];

function image(data, alt, kind) {
  const element = make("img", kind);
  element.src = `data:image/webp;base64,${data}`;
  element.alt = alt;
  return element;
}

/* A picture beside itself with the places that spoke for the answer. */
function card(picture) {
  const truth = found.classes[picture[TRUE]], said = found.classes[picture[SAID]];
  const right = picture[TRUE] === picture[SAID];
  const figure = make("figure", "card");
  const pair = make("div", "pair");
  const looked = make("div", "looked");
  looked.append(image(picture[PICTURE], "", "under"), image(picture[MAP], `where it looked for ${said}`, "map"));
  pair.append(image(picture[PICTURE], right ? truth : `${truth}, taken for ${said}`, "plain"), looked);
  const caption = make("figcaption");
  const answer = make("span", right ? "said" : "said wrong");
  answer.append(right ? "" : "said ", make("bdi", "", said), ` ${Math.round(100 * picture[SURE])}%`);
  caption.append(make("bdi", "true", truth), answer, make("bdi", "id", picture[ID]));
  figure.append(pair, caption);
  return figure;
}

/* A mistake with its likeliest cause, and the training pictures that are most alike to the network. */
function explained(number) {
  const picture = found.pictures[number], figure = card(picture), cause = found.causes[number];
  if (!cause) return figure;
  const near = make("ol", "near");
  near.setAttribute("aria-label", "The most alike in training");
  for (const [row, label, same] of cause[NEAREST]) {
    if (!found.near[row]) continue;
    const item = make("li");
    const kind = label === found.classes[picture[TRUE]] ? "same" : label === found.classes[picture[SAID]] ? "other" : "";
    item.append(image(found.near[row], "", "plain"), make("bdi", kind, label), same ? "looks the same" : "");
    near.append(item);
  }
  if (near.children.length) figure.append(near);
  for (const reason of cause[REASONS]) figure.append(make("p", "reason", reason));
  return figure;
}

/* The confusion matrix: arrow keys move, Enter opens, Escape closes (as every dialog does). */
const dialog = byId("cell");
function open(button) {
  const truth = Number(button.dataset.true), said = Number(button.dataset.said);
  const title = byId("cell-title");
  title.replaceChildren(make("bdi", "", found.classes[truth]));
  if (truth === said) title.append(", found");
  else title.append(" taken for ", make("bdi", "wrong", found.classes[said]));
  const shown = found.pictures.filter((p) => p[TRUE] === truth && p[SAID] === said).slice(0, 12);
  const count = Number(button.dataset.count);
  byId("cell-note").textContent = (shown.length < count ? `${shown.length} of ${count.toLocaleString("en")} pictures, ` : "")
    + (truth === said ? "the least sure first" : "the surest first")
    + `. Right of each: where it looked for its answer.`;
  byId("cell-cards").replaceChildren(...shown.map(card));
  dialog.showModal();
}
if (found) {
  for (const button of document.querySelectorAll("button[data-true]")) {
    button.addEventListener("click", () => open(button));
  }
  byId("close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
}

const matrix = byId("matrix");
if (matrix && found) {
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

/* The worst mistakes, filtered by what they are, what was said, how sure it was and why. */
const gallery = byId("gallery");
if (gallery && found) {
  const FIRST = 24;
  const filters = { true: byId("filter-true"), said: byId("filter-said"), sure: byId("filter-sure") };
  const why = byId("filter-cause");
  const more = byId("more");
  let all = false;
  const fill = (select, field) => {
    const present = new Set(found.mistakes.map((number) => found.pictures[number][field]));
    for (const place of [...present].sort((a, b) => a - b)) {
      const option = make("option", "", found.classes[place]);
      option.value = place;
      select.append(option);
    }
  };
  fill(filters.true, TRUE);
  fill(filters.said, SAID);
  const draw = () => {
    const kept = found.mistakes.filter((number) => {
      const p = found.pictures[number];
      return (filters.true.value === "" || p[TRUE] === Number(filters.true.value))
        && (filters.said.value === "" || p[SAID] === Number(filters.said.value))
        && p[SURE] >= Number(filters.sure.value)
        && (!why || why.value === "" || (found.causes[number] || [])[CAUSE] === why.value);
    });
    const shown = all ? kept : kept.slice(0, FIRST);
    gallery.replaceChildren(...shown.map(explained));
    more.hidden = shown.length === kept.length;
    more.textContent = `Show all ${kept.length}`;
    byId("filtered").textContent = `${kept.length} of ${found.mistakes.length} mistakes`;
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
