/* The operator's page: what is known of the images that are answered, asked for every few seconds. */

import { byId } from "./dom.js";
import { draw } from "./drift.js";
import { get, watch } from "./operator.js";

const SECONDS = 5;

const images = []; /* the addresses of those that are shown */

/** Asks for the new images that are kept, and lets go of those of the time before. */
async function addImages(models) {
  const before = images.splice(0);
  await Promise.all(models.flatMap((model) => model.new).map(async (one) => {
    const response = await get(`/drift/image/${one.name}`);
    if (!response.ok) return;
    one.image = URL.createObjectURL(await response.blob());
    images.push(one.image);
  }));
  return () => before.forEach((address) => URL.revokeObjectURL(address));
}

async function show({ watched, images: kept, models }) {
  const done = kept ? await addImages(models) : () => {};
  if (watched) draw(byId("drift"), models, true);
  done();
  return watched ? "" : "This server compares its images with no reference. Start it with --drift NAME.drift, which `seewhy drift MODEL --reference DATA --save NAME.drift` makes.";
}

watch("/drift.json", SECONDS, show);
