"use strict";
const byId = (id) => document.getElementById(id);
const { key, header, none, classes, names, images: items } = JSON.parse(byId("review").textContent);
const [ID, HASH, LABEL, SUGGESTED, SCORE, LABEL_PROBABILITY, SUGGESTED_PROBABILITY, IMAGE, NEAR] = [0, 1, 2, 3, 4, 5, 6, 7, 8];
const NONE = -1; /* the answer that an image belongs to no class */
const SMALL = 64; /* pixels: images up to this size are shown without interpolation */

/* Text from the data is always set as text, never as markup. */
function make(tag, kind, text) {
  const element = document.createElement(tag);
  if (kind) element.className = kind;
  if (text !== undefined) element.textContent = text;
  return element;
}

function image(data, alt) {
  const element = make("img");
  element.alt = alt;
  element.addEventListener("load", () => element.classList.toggle("smooth", element.naturalWidth > SMALL));
  element.src = `data:image/webp;base64,${data}`;
  return element;
}

/* The answer for each image: the index of a class, NONE, or null while open. Stored in the browser. */
function remembered() {
  try {
    const kept = JSON.parse(localStorage.getItem(key));
    if (Array.isArray(kept) && kept.length === items.length
      && kept.every((answer) => answer === null || answer === NONE || classes[answer] !== undefined)) return kept;
  } catch { /* nothing is stored, or the browser blocks storage */ }
  return items.map(() => null);
}
const answers = remembered();
const remember = () => { try { localStorage.setItem(key, JSON.stringify(answers)); } catch { /* then answers last until the page is closed */ } };

const cards = items.map((item, row) => {
  const [label, guess] = [names[item[LABEL]], names[item[SUGGESTED]]];
  const percent = (rate) => `${Math.round(100 * rate)}%`;
  const card = make("article", "suspect");
  card.tabIndex = -1;
  card.setAttribute("aria-label", `Image ${row + 1} of ${items.length}, labelled ${label}`);
  const title = make("h2");
  title.append("Labelled ", make("bdi", "", label));
  const looks = make("p");
  looks.append("Suggested: ", make("bdi", "wrong", guess), ` (${percent(item[SUGGESTED_PROBABILITY])}; ${label} ${percent(item[LABEL_PROBABILITY])})`);
  const text = make("div");
  text.append(title, looks, make("p", "id", item[ID]));
  text.lastChild.title = item[ID];
  const shown = make("div", "shown");
  shown.append(image(item[IMAGE], `labelled ${label}`), text);
  card.append(shown);
  if (item[NEAR].length) {
    const near = make("ol", "near");
    near.setAttribute("aria-label", "Most similar training images");
    for (const [name, data] of item[NEAR]) {
      const entry = make("li");
      const kind = name === label ? "same" : name === guess ? "other" : "";
      entry.append(image(data, ""), make("bdi", kind, name));
      near.append(entry);
    }
    card.append(near);
  }
  card.append(choices(row, label, guess));
  return card;
});

function choices(row, label, guess) {
  const box = make("div", "answers");
  const button = (text, name, place) => {
    const element = make("button");
    element.type = "button";
    element.append(text, make("bdi", "", name));
    element.addEventListener("click", () => answer(row, answers[row] === place ? null : place));
    box.append(element);
  };
  button("1  Correct: ", label, items[row][LABEL]);
  button("2  Change to ", guess, items[row][SUGGESTED]);
  button("3  None of these", "", NONE);
  if (classes.length > 2) {
    const select = make("select");
    select.setAttribute("aria-label", "Another class");
    const open = make("option", "", "4  Another class");
    open.value = "";
    select.append(open);
    names.forEach((name, place) => {
      if (place === items[row][LABEL] || place === items[row][SUGGESTED]) return;
      const option = make("option", "", name);
      option.value = place;
      select.append(option);
    });
    select.addEventListener("change", () => answer(row, select.value === "" ? null : Number(select.value)));
    box.append(select);
  }
  return box;
}

function draw(row) {
  const chosen = answers[row], card = cards[row];
  card.classList.toggle("decided", chosen !== null);
  const [right, wrong, neither] = card.querySelectorAll(".answers button");
  right.setAttribute("aria-pressed", chosen === items[row][LABEL]);
  wrong.setAttribute("aria-pressed", chosen === items[row][SUGGESTED]);
  neither.setAttribute("aria-pressed", chosen === NONE);
  const select = card.querySelector("select");
  if (!select) return;
  const other = ![null, NONE, items[row][LABEL], items[row][SUGGESTED]].includes(chosen);
  select.value = other ? chosen : "";
  select.classList.toggle("chosen", other);
}

function total() {
  const done = answers.filter((chosen) => chosen !== null).length;
  const wrong = answers.filter((chosen, row) => chosen !== null && chosen !== items[row][LABEL]).length;
  byId("done").textContent = `${done} of ${items.length} reviewed, ${wrong} wrong`;
  byId("progress").style.transform = `scaleX(${done / items.length})`;
}

function answer(row, chosen) {
  answers[row] = chosen;
  remember();
  draw(row);
  total();
}

const only = byId("open-only");
function sift() {
  cards.forEach((card, row) => { card.hidden = only.checked && answers[row] !== null; });
}
only.addEventListener("change", sift);

/* Keys act on the image that has the focus, or on the first open one. */
function current() {
  const here = cards.findIndex((card) => card.contains(document.activeElement));
  if (here >= 0) return here;
  const first = answers.indexOf(null);
  return first < 0 ? 0 : first;
}
function go(from, step) {
  let row = from + step;
  while (cards[row] && cards[row].hidden) row += step;
  if (cards[row]) cards[row].focus();
}
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const choosing = event.target.matches("select, input");
  if (choosing && event.key !== "Escape") return;
  const row = current();
  const steps = { ArrowRight: 1, ArrowLeft: -1 };
  const chosen = { 1: items[row][LABEL], 2: items[row][SUGGESTED], 3: NONE, 0: null };
  if (event.key in chosen) {
    answer(row, chosen[event.key]);
    if (event.key === "0") cards[row].focus(); else go(row, 1);
  } else if (event.key === "4" && cards[row].querySelector("select")) cards[row].querySelector("select").focus();
  else if (event.key === "Escape") cards[row].focus();
  else if (event.key in steps) {
    if (cards[row].contains(document.activeElement)) go(row, steps[event.key]); else cards[row].focus();
  } else if (event.key === "s" || event.key === "S") save();
  else return;
  event.preventDefault();
});

/* The same table that `seewhy data labels` writes; no cell can act as a formula in a spreadsheet. */
function save() {
  const safe = (text) => (/^[=+\-@\t\r\n\0＝＋－＠]/.test(text) ? `'${text}` : text);
  const quoted = (text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const written = (chosen) => (chosen === null ? "" : chosen === NONE ? none : safe(classes[chosen]));
  const rows = items.map((p, row) => [safe(p[ID]), p[HASH], safe(classes[p[LABEL]]), safe(classes[p[SUGGESTED]]), p[SCORE],
    written(answers[row])]);
  const text = [header, ...rows].map((cells) => `${cells.map(quoted).join(",")}\r\n`).join("");
  const link = make("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
  link.download = "review.csv";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
byId("save").addEventListener("click", save);

byId("suspects").append(...cards);
cards.forEach((_, row) => draw(row));
total();
