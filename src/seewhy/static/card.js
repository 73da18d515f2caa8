/* A card: an image and what each model answers. */

import { make, named, percent, visible } from "./dom.js";
import { whyPanel } from "./why.js";

const NOT_SURE = "not sure", OUTSIDE = "out of distribution";
const HEIC = /\.hei[cf]$/i;

/** What to do about an image that the server does not take, where its own message does not say it. */
const ADVICE = {
  unsupported_format: "Save it as JPEG or PNG.",
  undecodable: "Open it in another program to see whether it is whole, or take it again.",
  too_many_pixels: "Make it smaller, then try again.",
  too_large: "Make the file smaller, for example as JPEG, then try again.",
  decode_timeout: "Save it again as an ordinary JPEG or PNG.",
};

/** A card without an answer yet; `item` gets `card` and `answers`, the place of the answers. */
export function addCard(item) {
  const name = item.file.name || "image";
  const image = make("img");
  image.alt = "";
  image.decoding = "async";
  image.loading = "lazy";
  const shot = make("div", "shot", image);
  image.addEventListener("error", () => {
    image.remove();
    shot.append(make("span", "note", "No preview in this browser"));
  });
  image.addEventListener("load", () => image.classList.toggle("pixels", image.naturalWidth <= 64));
  image.src = item.url;
  const title = make("p", "id", named(name));
  title.title = visible(name);
  item.answers = make("div", "answers");
  item.card = make("article", "card", shot, make("div", "text", title, item.answers));
  item.card.setAttribute("role", "listitem");
  item.card.setAttribute("aria-label", visible(name));
}

/** Draws the answers of these models to an item; what is drawn already stays as it is. */
export function drawAnswers(item, models, comparing) {
  const codes = new Set(models.map((model) => item.states.get(model.name)?.error?.code));
  const onlyFault = codes.size === 1 && !codes.has(undefined); /* one error for all */
  if (onlyFault) [models, comparing] = [models.slice(0, 1), false];
  const sections = models.map((model) => {
    const state = item.states.get(model.name) ?? null;
    const former = item.drawn.get(model.name);
    if (former && former.state === state && former.comparing === comparing) return former.section;
    const section = make("section", "answer", ...answer(item, model, state, comparing));
    section.setAttribute("aria-label", visible(comparing ? `Answer of ${model.name}` : "Answer"));
    item.drawn.set(model.name, { state, comparing, section });
    return section;
  });
  const labels = new Set(models.map((model) => item.states.get(model.name)?.result?.label));
  const differ = comparing && labels.size > 1 && !labels.has(undefined);
  item.answers.replaceChildren(...sections, ...(differ ? [make("p", "differ", "The models disagree about this image.")] : []));
  item.card.classList.toggle("comparing", comparing);
}

function answer(item, model, state, comparing) {
  const by = comparing ? make("p", "by", named(model.name)) : null;
  if (state === null) return [by, make("p", "waiting", "Waiting…")];
  if (state.error) return [by, ...fault(item, state.error)];
  return [by, ...said(state.result), bars(state.result), whyButton(item, model, state.result)];
}

function fault(item, error) {
  const title = make("h2", "said fault", error.retry ? "No answer yet" : "This image cannot be used");
  if (error.code === "unsupported_format" && HEIC.test(item.file.name)) {
    return [title, make("p", "", "This server does not read HEIC, the format of iPhone photos."),
      make("p", "note", "Save the photo as JPEG; for new ones choose Settings, Camera, Formats, Most Compatible. Whoever runs the server can install seewhy[heic].")];
  }
  if (!item.file.size) return [title, make("p", "", "The file is empty."), make("p", "note", "Copy or download it again.")];
  const message = error.message.charAt(0).toUpperCase() + error.message.slice(1);
  return [title, make("p", "", visible(message)), ADVICE[error.code] ? make("p", "note", ADVICE[error.code]) : null];
}

/** The answer as a heading, and what it means where it is not a class. */
function said({ label, confidence, answer: text }) {
  if (text === NOT_SURE) {
    return [make("h2", "said unsure", "Not sure"),
      make("p", "gloss", "Its best guess is ", named(label), `, but ${percent(confidence)} is too little for an answer.`)];
  }
  if (text === OUTSIDE) {
    return [make("h2", "said unsure", "Out of distribution"),
      make("p", "gloss", "This does not look like the images that the model was trained on. Do not rely on the classes below.")];
  }
  return [make("h2", "said", named(label), " ", make("span", "sure", percent(confidence)))];
}

function bars({ top, answer: text, label }) {
  const list = make("ol", text === label ? "bars" : "bars pale");
  list.setAttribute("aria-label", "Most probable classes");
  for (const each of top) {
    const filled = make("span", "fill");
    filled.style.width = `${100 * each.confidence}%`;
    const bar = make("span", "bar-line", filled);
    bar.setAttribute("aria-hidden", "true");
    list.append(make("li", "", named(each.label, "name"), make("span", "number", percent(each.confidence)), bar));
  }
  return list;
}

function whyButton(item, model, result) {
  const box = make("div", "why");
  if (!model.methods?.length) return box;
  const button = make("button", "plain-button", "Show why");
  button.type = "button";
  button.setAttribute("aria-expanded", "false");
  const about = make("span", "unseen", `: ${visible(item.file.name)}, ${visible(model.name)}`);
  button.append(about);
  let panel = null;
  button.addEventListener("click", () => {
    panel ??= whyPanel(item.file, model, result);
    const open = !panel.isConnected;
    button.firstChild.data = open ? "Hide why" : "Show why";
    button.setAttribute("aria-expanded", String(open));
    if (open) box.append(panel); else panel.remove();
    item.card.classList.toggle("open", item.card.querySelector(".why-panel") !== null);
    if (open) panel.scrollIntoView({ block: "nearest", behavior: "smooth" });
  });
  box.append(button);
  return box;
}
