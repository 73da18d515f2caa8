/* Draws what is known of new images: as a page of its own, or on that of a server. */

const SMALL = 64; /* pixels: images up to this size are shown without interpolation */
const MOST_CLASSES = 20;

const ESCAPES = { "\t": "\\t", "\n": "\\n", "\r": "\\r" };
const hex = (character) => `\\u${character.codePointAt(0).toString(16).padStart(4, "0")}`;
/* A name from outside, with what cannot be printed spelled out; always set as text, never as markup. */
const visible = (text) => String(text).replace(/(?! )[\p{C}\p{Z}]/gu, (one) => ESCAPES[one] ?? hex(one));

function make(tag, kind, ...children) {
  const element = document.createElement(tag);
  if (kind) element.className = kind;
  element.append(...children.filter((child) => child !== null));
  return element;
}

function drawn(tag, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

const percent = (rate) => `${(100 * rate).toFixed(1)}%`;
const span = ({ low, high }) => `${(100 * low).toFixed(1)} to ${percent(high)}`;
const counted = (count, noun) => `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : noun.endsWith("s") ? "es" : "s"}`;
const p = (value) => (value < 0.001 ? "< 0.001" : value.toFixed(3));

const TITLES = {
  collecting: "Waiting for images",
  same: "No difference shown",
  drifted: "The new images differ",
  no_reference: "Nothing to compare with",
};

/** Replaces what is in an element by what is known of each model. */
export function draw(into, models, live) {
  into.replaceChildren(...models.map((model) => section(model, live)));
}

function section(model, live) {
  const { drift } = model;
  const about = make("p", "note", make("bdi", "", visible(model.name)), ` · ${model.digest.slice(0, 12)}`);
  const parts = [make("p", "kicker", "Do the new images differ?"), make("h1", "", TITLES[model.state]), make("div", "lede", ...lede(model)), about];
  if (drift) parts.push(keys(drift), ...unlike(model, drift), ...classes(drift), ...tests(model, drift, live));
  return make("section", "model", ...parts);
}

function lede(model) {
  const { drift } = model, paragraphs = [];
  if (model.state === "no_reference") paragraphs.push(model.detail);
  if (drift) paragraphs.push(...verdict(drift));
  if (model.state !== "no_reference" && (!drift || model.collected)) paragraphs.push(`${model.collected} of ${counted(model.size, "image")} wait for the next test.`);
  return paragraphs.map((text) => make("p", "", text));
}

function verdict(drift) {
  const sides = `${counted(drift.window, "image")} compared with ${counted(drift.reference, "image")} that the model was judged on.`;
  if (!drift.drifted) return [`${sides} Their difference is no larger than chance.`];
  if (drift.worse === null) return [sides, "Whether it matters is not known: the reference has no labels, so no accuracy can be estimated."];
  if (drift.worse) return [sides, `It matters: the accuracy was ${percent(drift.accuracy.value)}, and is at most ${percent(drift.expected.value)} on these. Label some of them, and train with them.`];
  return [sides, "The accuracy is not estimated to have fallen. The estimate is too high where images are bad in a new way, such as noise: label some of them to know."];
}

function keys(drift) {
  const [before, now] = drift.confidence;
  const known = drift.expected === null ? [] : [["Accuracy, at most", percent(drift.expected.value), `95% interval ${span(drift.expected)}, estimated without labels; it was ${percent(drift.accuracy.value)}`, drift.worse]];
  const share = drift.new.length / drift.window;
  const unlike = drift.untold ? [] : [["Unlike any before", percent(share), `${counted(drift.new.length, "image")}; 1% is usual`, share > 0.05]];
  const all = [...known, ["Mean confidence", percent(now), `it was ${percent(before)}`, false], ...unlike];
  return make("dl", "keys", ...all.map(([name, value, note, bad]) =>
    make("div", "", make("dt", "", name), make("dd", bad ? "big bad" : "big", value), make("dd", "note", note))));
}

function unlike(model, drift) {
  if (drift.untold) return [make("h2", "", "Which images are new"), make("p", "", `${drift.untold[0].toUpperCase()}${drift.untold.slice(1)}.`)];
  if (!model.new.length) return [];
  const kept = model.new.some((one) => one.image);
  const items = model.new.map((one) => {
    const name = make("p", "id", make("bdi", "", visible(one.name)));
    name.title = visible(one.name);
    return make("li", "", one.image ? thumbnail(one) : null, name, `${one.distance.toFixed(1)} × the usual limit`);
  });
  const note = `The farthest ${model.new.length === drift.new.length ? "first" : `${model.new.length} of ${drift.new.length.toLocaleString("en")}`}: farther from the reference than 99% of its own images are from each other.`;
  return [make("h2", "", "Images unlike any before"), make("p", "", note),
    kept ? null : make("p", "note", model.detail), make("ul", kept ? "new" : "new named", ...items)];
}

function thumbnail({ image, name }) {
  const element = make("img");
  element.alt = visible(name);
  element.addEventListener("load", () => element.classList.toggle("pixels", element.naturalWidth <= SMALL));
  element.src = image;
  return element;
}

function classes(drift) {
  const all = Object.entries(drift.classes).sort(([, a], [, b]) => a.p - b.p);
  const moved = all.filter(([, share]) => share.moved).length, shown = all.slice(0, MOST_CLASSES);
  const top = Math.max(...shown.flatMap(([, { reference, window }]) => [reference.high, window.high]));
  const rows = shown.map(([name, { reference, window, moved: differs }]) => make("tr", "",
    cell("th", differs ? "moved-name" : "", make("bdi", "", visible(name))), cell("td", "number", percent(reference.value)), cell("td", "number", percent(window.value)),
    cell("td", "wide", drawn("svg", { class: "shares", "aria-hidden": "true" }, row(reference, 7, top, "before"), row(window, 19, top, differs ? "moved" : "now")))));
  const text = moved ? `${counted(moved, "class")} moved: the probabilities of ${moved === 1 ? "it" : "each"} alone tell the new images apart.`
    : "None moved beyond chance.";
  return [make("h2", "", "Classes that are predicted"), make("p", "", text), table(["class", "before", "now", "share of images, with 95% intervals"], rows)];
}

const cell = (tag, kind, ...children) => make(tag, kind, ...children);

function row(share, y, top, kind) {
  const x = (rate) => `${(100 * rate / top).toFixed(2)}%`;
  return drawn("g", { class: kind }, drawn("line", { x1: x(share.low), x2: x(share.high), y1: y, y2: y, "stroke-linecap": "round", opacity: 0.5 }), drawn("circle", { cx: x(share.value), cy: y, r: 4 }));
}

function table(heads, rows) {
  const columns = heads.map((name, place) => {
    const head = make("th", place && place < 3 ? "number" : "", name);
    head.scope = "col";
    return head;
  });
  return make("div", "scroll", make("table", "drift-table", make("thead", "", make("tr", "", ...columns)), make("tbody", "", ...rows)));
}

const TESTS = { classes: "probabilities of the classes", embeddings: "what the network sees (embeddings, or logits where it gives none)" };

function tests(model, drift, live) {
  const rows = drift.tests.map((test) => make("tr", "", cell("th", "", TESTS[test.name]), cell("td", "number", test.statistic.toFixed(4)), cell("td", "number", p(test.corrected))));
  const parts = [make("h2", "", "How sure this is"),
    make("p", "", "Two tests, corrected for being two. The images are said to differ below 0.01: of 100 windows without any difference about one is said to differ all the same."),
    table(["test of", "distance", "corrected p"], rows)];
  if (!live) return parts;
  const squares = model.history.map((one) => {
    const square = make("li", one.drifted ? "differs" : "");
    square.title = `${one.at}: ${one.drifted ? "differs" : "no difference shown"}`;
    return square;
  });
  const usual = (model.windows / 100).toFixed(1);
  parts.push(make("h3", "", `${counted(model.windows, "window")} since the start, ${model.alarms} differed`),
    make("p", "note", `Without any difference, ${usual} would be expected to. Each window has other images; the newest is the last square.`), make("ul", "windows", ...squares));
  return parts;
}

const embedded = document.getElementById("states");
if (embedded) {
  const { models, live } = JSON.parse(embedded.textContent);
  draw(document.getElementById("drift"), models, live);
}
