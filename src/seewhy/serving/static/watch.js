/* The operator's page: what is known of the images that are answered, asked for every few seconds. */

import { byId } from "./dom.js";
import { draw } from "./drift.js";
import { askForKey } from "./key.js";

const SECONDS = 5;

const images = []; /* the addresses of those that are shown */
let token = null, shown = ""; /* the token is kept in memory only */

const get = (path, key) => fetch(path, { credentials: "omit", redirect: "error", cache: "no-store", headers: key ? { Authorization: `Bearer ${key}` } : {} });

async function ask() {
  for (;;) {
    const used = token;
    const response = await get("/drift.json", used);
    if (response.ok) return response.text();
    if (response.status !== 401) throw new Error(`The server answered ${response.status}.`);
    token = await askForKey(used !== null);
    if (token === null) throw new Error("Without the token of its operator the server tells nothing: load the page again to give it.");
  }
}

/** Asks for the new images that are kept, and lets go of those of the time before. */
async function addImages(models) {
  const before = images.splice(0);
  await Promise.all(models.flatMap((model) => model.new).map(async (one) => {
    const response = await get(`/drift/image/${one.name}`, token);
    if (!response.ok) return;
    one.image = URL.createObjectURL(await response.blob());
    images.push(one.image);
  }));
  return () => before.forEach((address) => URL.revokeObjectURL(address));
}

async function show(text) {
  if (text === shown) return; /* nothing moves under a reader's eyes */
  const { watched, images: kept, models } = JSON.parse(text);
  const done = kept ? await addImages(models) : () => {};
  shown = text;
  if (watched) draw(byId("drift"), models, true);
  done();
  byId("status").textContent = watched ? "" : "This server compares its images with no reference. Start it with --drift NAME.drift, which `seewhy drift MODEL --reference DATA --save NAME.drift` makes.";
}

async function watch() {
  try {
    await show(await ask());
  } catch (error) {
    byId("status").textContent = error instanceof TypeError ? "The server cannot be reached." : error.message;
    if (token === null) return;
  }
  setTimeout(watch, 1000 * SECONDS);
}

watch();
