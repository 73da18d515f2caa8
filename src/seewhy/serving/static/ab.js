/* The operator's page of an A/B test: evidence over time, what it has taken, and what it costs to be wrong. */

import { byId, counted, make, named } from "./dom.js";
import { watch } from "./operator.js";

const TITLES = {
  challenger: "The challenger is better: you may stop",
  champion: "The champion is better: you may stop",
  equal: "No difference that matters: you may stop",
  open: "It cannot be told yet",
};
const HEIGHT = 260, LEFT = 52, RIGHT = 12, TOP = 14, BOTTOM = 34;

let shown = null;

function drawn(tag, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

const points = (share) => (100 * share).toFixed(1);

function draw(state) {
  shown = state;
  const { test, text, next } = state;
  const [verdict, ...others] = text;
  byId("ab").replaceChildren(make("section", "model",
    make("p", "kicker", "Is the challenger better?"), make("h1", "", TITLES[test.verdict]), make("div", "lede", make("p", "", verdict)), about(state), keys(test),
    ...others.map((sentence) => make("p", "", sentence)),
    ...(next === null ? [] : [make("h2", "", "To act on it"), make("div", "next", make("code", "", next))]),
    ...charts(test)));
}

function about({ name, champion, challenger, versions, test }) {
  const [first, second] = [champion, challenger].map((digest, place) => (versions[place] === null ? digest.slice(0, 12) : `version ${versions[place]}`));
  const kind = test.kind === "shadow" ? "both answer every image" : "each unit is shown one of them";
  return make("p", "note", named(name), ` · champion ${first}, challenger ${second} · ${kind}`);
}

function keys(test) {
  const cost = (share) => (share < 0.0005 ? "< 0.1" : points(share));
  const open = test.verdict === "open";
  const needed = test.labels_needed === null ? "not known yet" : test.labels_needed.toLocaleString("en");
  const all = [
    ...(test.evidence === null ? [] : [["Evidence", test.evidence >= 1000 ? "> 1,000" : test.evidence.toFixed(1), `of ${test.enough}, at which you may stop`]]),
    ["Labels so far", test.labels.toLocaleString("en"), `${counted(test.images, "image")} answered`],
    ...(open ? [["Labels to go", needed, test.images_needed ? `about ${counted(test.images_needed, "more image")}` : "if it goes on so"]] : []),
    ["To promote, at worst", cost(-test.difference.low), "points of accuracy lost"],
    ["To keep, at worst", cost(test.difference.high), "points of accuracy forgone"],
  ];
  return make("dl", "keys", ...all.map(([name, value, note]) => make("div", "", make("dt", "", name), make("dd", value.length > 9 ? "big long" : "big", value), make("dd", "note", note))));
}

function charts(test) {
  if (test.course.length < 2) return [];
  const parts = [make("h2", "", "The difference, label by label"), make("p", "note", "Accuracy of the challenger less that of the champion, in points, with an interval that holds at every look."), difference(test)];
  if (test.evidence === null) return parts;
  return [...parts, make("h2", "", "The evidence, label by label"), make("p", "note", `Each step up is ten times as much. At ${test.enough} you may stop.`), evidence(test)];
}

/* A frame with its scales; y is given from the lowest to the highest value. */
function frame(test, lowest, highest, title) {
  const width = Math.max(byId("ab").clientWidth - 40, 280), last = test.course.at(-1).labels;
  const x = (labels) => LEFT + (width - LEFT - RIGHT) * labels / last;
  const y = (value) => TOP + (HEIGHT - TOP - BOTTOM) * (highest - value) / (highest - lowest);
  const chart = drawn("svg", { class: test.verdict === "open" ? "chart" : "chart decided", viewBox: `0 0 ${width} ${HEIGHT}`, role: "img" }, drawn("title", {}, title));
  const across = (value, kind) => drawn("line", { class: kind, x1: LEFT, x2: width - RIGHT, y1: y(value), y2: y(value) });
  const beside = (value, text, kind = "") => drawn("text", { class: `end ${kind}`, x: LEFT - 8, y: y(value) + 4 }, text);
  for (const labels of [0, last / 2, last]) chart.append(drawn("text", { class: labels === last ? "end" : labels ? "middle" : "", x: x(labels), y: HEIGHT - 10 }, labels === last ? counted(last, "label") : Math.round(labels).toLocaleString("en")));
  return { chart, x, y, across, beside };
}

const path = (places) => `M${places.map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`).join("L")}`;

function difference(test) {
  /* The first interval is the whole scale; what matters is where it ends up. */
  const settled = test.course.slice(Math.floor(test.course.length / 4));
  const reach = 1.1 * Math.max(test.margin, ...settled.flatMap((look) => [Math.abs(look.difference.low), Math.abs(look.difference.high)]));
  const inside = (value) => Math.min(Math.max(value, -reach), reach);
  const { chart, x, y, across, beside } = frame(test, -reach, reach, "The difference in accuracy over the labels");
  const tick = reach / 1.1;
  for (const value of [-tick, 0, tick]) chart.append(across(value, value ? "rule" : "zero"), beside(value, value ? `${value > 0 ? "+" : "−"}${points(Math.abs(value))}` : "0"));
  const places = (side) => test.course.map((look) => [x(look.labels), y(inside(look.difference[side]))]);
  chart.append(drawn("path", { class: "band", d: `${path([...places("low"), ...places("high").reverse()])}Z` }), drawn("path", { class: "line", d: path(places("value")) }));
  const [endX, endY] = places("value").at(-1);
  chart.append(drawn("circle", { class: "last", cx: endX, cy: endY, r: 4 }));
  return chart;
}

function evidence(test) {
  const level = (value) => Math.log10(Math.max(value, 1));
  const highest = Math.max(level(test.enough), ...test.course.map((look) => level(look.evidence))) * 1.08;
  const { chart, x, y, across, beside } = frame(test, 0, highest, "The evidence over the labels");
  for (let power = 0; power <= highest; power += Math.max(1, Math.round(highest / 5))) {
    if (Math.abs(power - level(test.enough)) > highest / 12) chart.append(across(power, "rule"), beside(power, power < 6 ? (10 ** power).toLocaleString("en") : `1e${power}`));
  }
  chart.append(across(level(test.enough), "enough"), beside(level(test.enough), `${test.enough}`, "enough-name"));
  const places = test.course.map((look) => [x(look.labels), y(level(look.evidence))]);
  const [endX, endY] = places.at(-1);
  chart.append(drawn("path", { class: "line", d: path(places) }), drawn("circle", { class: "last", cx: endX, cy: endY, r: 4 }));
  return chart;
}

addEventListener("resize", () => { if (shown) draw(shown); });
watch(`/ab.json${location.search}`, 10, draw);
