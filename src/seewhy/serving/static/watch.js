/* The operator's page: what is known of the images that are answered, asked for every few seconds. */

import { byId } from "./dom.js";
import { draw } from "./drift.js";
import { askForKey } from "./key.js";

const SECONDS = 5;

let token = null, shown = ""; /* the token is kept in memory only */

async function ask() {
  for (;;) {
    const used = token;
    const response = await fetch("/drift.json", { credentials: "omit", redirect: "error", cache: "no-store", headers: used ? { Authorization: `Bearer ${used}` } : {} });
    if (response.ok) return response.text();
    if (response.status !== 401) throw new Error(`The server answered ${response.status}.`);
    token = await askForKey(used !== null);
    if (token === null) throw new Error("Without the token of its operator the server tells nothing: load the page again to give it.");
  }
}

function show(text) {
  if (text === shown) return; /* nothing moves under a reader's eyes */
  const { watched, models } = JSON.parse(text);
  shown = text;
  if (watched) draw(byId("drift"), models, true);
  byId("status").textContent = watched ? "" : "This server compares its images with no reference. Start it with --drift NAME.drift, which `seewhy drift MODEL --reference DATA --save NAME.drift` makes.";
}

async function watch() {
  try {
    show(await ask());
  } catch (error) {
    byId("status").textContent = error instanceof TypeError ? "The server cannot be reached." : error.message;
    if (token === null) return;
  }
  setTimeout(watch, 1000 * SECONDS);
}

watch();
