/* The operator's page of drift: what is known of the images that are answered. */

import { byId } from "./dom.js";
import { draw } from "./drift.js";
import { watch } from "./operator.js";

watch("/drift.json", 5, ({ watched, models }) => {
  if (watched) draw(byId("drift"), models, true);
  return watched ? "" : "This server compares its images with no reference. Start it with --drift NAME.drift, which `seewhy drift MODEL --reference DATA --save NAME.drift` makes.";
});
