/* Why a model answers so: its attribution map over the image, and whether the map can be relied on. */

import * as api from "./api.js";
import { fill, make, named, percent, visible } from "./dom.js";

const NAMES = {
  cam: "CAM", grad_cam: "Grad-CAM", grad_cam_plus_plus: "Grad-CAM++", guided_grad_cam: "Guided Grad-CAM",
  saliency: "Saliency", smooth_grad: "SmoothGrad", integrated_gradients: "Integrated gradients",
  occlusion: "Occlusion", shap: "Partition SHAP", gradient_shap: "Gradient SHAP",
};
const UNSIGNED = ["saliency", "smooth_grad", "guided_grad_cam"];
const FIRST = "grad_cam";
const SMALL = 64; /* pixels: images up to this side are shown without interpolation */
const FAULTS = {
  chance: "the pixels that it marks matter no more than those under the same shape elsewhere",
  weights: "a network with shuffled weights has much the same map",
};
let count = 0; /* of panels, for ids */

/** A panel that asks for its map when it is made, and again when the method or the class is changed. */
export function whyPanel(file, model, result) {
  const number = ++count;
  const method = make("select");
  const offer = (names, chosen) => fill(method, names.map((name) => [name, NAMES[name] ?? visible(name)]), chosen);
  offer(model.methods, model.methods.includes(FIRST) ? FIRST : model.methods[0]);
  const target = fill(make("select"), model.classes.map((name, place) => [place, visible(name)]), model.classes.indexOf(result.label));
  const strength = make("input");
  Object.assign(strength, { type: "range", min: 0, max: 100, value: 75, id: `strength-${number}` });
  const [under, over] = [make("img", "under"), make("img", "over")];
  const view = make("div", "map-view", under, over);
  const slide = () => {
    view.style.setProperty("--map", strength.value / 100);
    strength.setAttribute("aria-valuetext", `${strength.value}%`);
  };
  strength.addEventListener("input", slide);
  slide();
  const verdict = make("div", "verdict");
  verdict.setAttribute("role", "status");
  const panel = make("div", "why-panel",
    make("div", "map-side", view, labelled("Map opacity", strength)),
    make("div", "map-text", make("div", "pair", labelled("Method", method), labelled("Evidence for", target)), verdict));

  let stop = new AbortController();
  async function ask() {
    stop.abort();
    const mine = stop = new AbortController();
    const name = model.classes[target.value];
    view.classList.add("loading");
    verdict.replaceChildren(make("p", "note", "Computing the map and testing it…"));
    try {
      const found = await api.explain(file, model.name, method.value, name, mine.signal);
      if (mine.signal.aborted) return;
      if (found.methods.length < method.length) offer(found.methods, found.method);
      show(found, under, over, file);
      verdict.replaceChildren(...words(found));
    } catch (error) {
      if (mine.signal.aborted) return;
      [under, over].forEach((image) => image.removeAttribute("src"));
      verdict.replaceChildren(make("p", "fault", "No map. ", visible(error.message)));
    }
    view.classList.remove("loading");
  }
  method.addEventListener("change", ask);
  target.addEventListener("change", ask);
  ask();
  return panel;
}

function labelled(text, control) {
  return make("label", "control", text, control);
}

function show(found, under, over, file) {
  under.classList.toggle("pixels", found.size <= SMALL);
  under.src = `data:image/png;base64,${found.image}`;
  over.src = `data:image/png;base64,${found.map}`;
  under.alt = visible(`What the model sees of ${file.name}`);
  over.alt = visible(`Map of what matters for ${found.target}`);
}

function words(found) {
  const target = () => named(found.target);
  const legend = UNSIGNED.includes(found.method)
    ? make("p", "legend", make("span", "swatch for"), "brighter pixels speak for ", target(), make("span", "swatch against"), "darker ones do")
    : make("p", "legend", make("span", "swatch for"), "speaks for ", target(), make("span", "swatch against"), "against it");
  return [legend, ...faithfulness(found), make("p", "note", `Shown is what the model sees, made from the image: ${found.size} × ${found.size} pixels.`)];
}

/** Whether the map can be relied on, in plain words, with the numbers behind it. */
function faithfulness({ faithfulness: test, target }) {
  if (!test) {
    return [make("h3", "", "This map was not tested"),
      make("p", "", "The test did not end in the time that the server allows, so it is not known whether the map is right.")];
  }
  const numbers = make("dl", "numbers",
    row("Mean probability as these pixels are removed", test.deletion, test.random_deletion, "lower is better"),
    row("Mean probability as they are added", test.insertion, test.random_insertion, "higher is better"));
  if (test.passed) {
    const shuffled = test.randomised === null || test.randomised === undefined ? "" : ", and a network with shuffled weights has another map";
    return [make("h3", "passed", "This map passed its test"),
      make("p", "", "Without the pixels that it marks, the probability of ", named(target), ` falls further than without the same shape elsewhere${shuffled}.`), numbers];
  }
  const reasons = (test.faults ?? []).map((fault) => FAULTS[fault]).filter(Boolean);
  const because = reasons.length ? reasons.join("; and ") : FAULTS.chance;
  return [make("h3", "fault", "Do not rely on this map"),
    make("p", "", `${because.charAt(0).toUpperCase()}${because.slice(1)}. Try another method.`), numbers];
}

function row(text, value, random, better) {
  return make("div", "", make("dt", "", text), make("dd", "", `${percent(value)}; same shape elsewhere ${percent(random)} (${better})`));
}
