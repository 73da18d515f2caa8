/* From a file to the pixels that the network sees: the input rule of `seewhy predict`.
   The browser decodes, turns the image upright and converts it to sRGB. */

import { resize } from "./resize.js";

const GREY = 128; /* beside a padded image */
const HEIC = /^....ftyp(hei[cxms]|hev[cxms]|mif1|msf1)/s;

/** What is wrong with an image: a code and a sentence. */
export class ImageFault extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

/** The network's input, uint8 RGB, `size` x `size`. Throws `ImageFault`. */
export async function pixels(file, rule) {
  const head = new Uint8Array(await file.slice(0, 32).arrayBuffer());
  const magic = String.fromCharCode(...head);
  if (rule.depth && magic.startsWith("\x89PNG") && head[24] === 16) {
    throw new ImageFault("unsupported_depth", "A browser reads 8 bits of a channel, and this model needs all 16 of this image: use seewhy predict for it.");
  }
  let image;
  try {
    image = await createImageBitmap(file);
  } catch {
    throw HEIC.test(magic)
      ? new ImageFault("heic", "This browser does not read HEIC, the format of iPhone photos: save the photo as JPEG, or open this page in Safari.")
      : new ImageFault("undecodable", "This browser cannot read it as an image.");
  }
  try {
    return centre(store(image, rule), rule);
  } finally {
    image.close();
  }
}

/** An image made square, as the rule stores it: RGB, `store` x `store`. */
function store(image, rule) {
  const across = side(image.width, image.height, rule), down = side(image.height, image.width, rule);
  const part = resize(image, across, down, rule.interpolation, reader(image));
  const square = new Uint8ClampedArray(3 * rule.store ** 2).fill(GREY);
  for (let row = 0; row < down.stored; row++) {
    const from = 3 * across.stored * row;
    square.set(part.subarray(from, from + 3 * across.stored), 3 * ((down.offset + row) * rule.store + across.offset));
  }
  return square;
}

/** Where a side of an image lies in its square: `length` pixels from `start` fill `stored` from `offset`. */
function side(length, other, { fit, store }) {
  if (fit === "squash") return { start: 0, length, offset: 0, stored: store };
  if (fit === "crop") {
    const kept = Math.min(length, other);
    return { start: Math.floor((length - kept) / 2), length: kept, offset: 0, stored: store };
  }
  const stored = Math.max(1, roundToEven((store * length) / Math.max(length, other)));
  return { start: 0, length, offset: Math.floor((store - stored) / 2), stored };
}

const roundToEven = (value) => {
  const floor = Math.floor(value), rest = value - floor;
  return floor + (rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? 1 : 0);
};

/** Reads parts of an image on white, unscaled: a canvas for all of it is more than some phones allow. */
function reader(image) {
  const canvas = document.createElement("canvas");
  const context = canvas.getContext("2d", { alpha: false, willReadFrequently: true });
  return (left, top, width, height) => {
    if (canvas.width !== width || canvas.height < height) [canvas.width, canvas.height] = [width, height];
    context.fillStyle = "#fff";
    context.fillRect(0, 0, width, height);
    context.drawImage(image, left, top, width, height, 0, 0, width, height);
    return context.getImageData(0, 0, width, height).data;
  };
}

/** The centre of a stored square. */
function centre(square, { store, size }) {
  const start = Math.floor((store - size) / 2), out = new Uint8Array(3 * size ** 2);
  for (let row = 0; row < size; row++) {
    const from = 3 * ((start + row) * store + start);
    out.set(square.subarray(from, from + 3 * size), 3 * size * row);
  }
  return out;
}
