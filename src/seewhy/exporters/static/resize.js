/* Antialiased interpolation to a smaller or larger size, with the arithmetic of Pillow's `Image.resize`. */

const PRECISION = 22; /* bits of a weight behind the point */

const FILTERS = { /* Keys 1981, a = -0.5, and the triangle: half their width, and their value at x >= 0 */
  bicubic: [2, (x) => (x < 1 ? (1.5 * x - 2.5) * x * x + 1 : x < 2 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0)],
  bilinear: [1, (x) => (x < 1 ? 1 - x : 0)],
};

/** For each of `stored` output pixels: the first input pixel that counts, and the weights from there on.
    The output covers `length` pixels from `start` of a side that has `whole`. */
function weights(interpolation, whole, start, length, stored) {
  const [half, filter] = FILTERS[interpolation];
  const scale = length / stored, stretch = Math.max(1, scale), support = half * stretch;
  return Array.from({ length: stored }, (_, place) => {
    const centre = start + (place + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - support + 0.5));
    const end = Math.min(whole, Math.trunc(centre + support + 0.5));
    const values = Array.from({ length: end - first }, (_, x) => filter(Math.abs((x + first - centre + 0.5) / stretch)));
    const total = values.reduce((sum, value) => sum + value, 0);
    return { first, values: Int32Array.from(values, (value) => Math.trunc((value / total) * 2 ** PRECISION + (value < 0 ? -0.5 : 0.5))) };
  });
}

/** The input that counts: its first pixel, and the one behind its last. */
const reach = (all) => [Math.min(...all.map(({ first }) => first)), Math.max(...all.map(({ first, values }) => first + values.length))];

/** A part of an image, resized: RGB, `across.stored` x `down.stored`; across first, then down, as Pillow does.
    `read(left, top, width, height)` gives RGBA of the image, and is asked for a band of rows at a time. */
export function resize({ width, height }, across, down, interpolation, read) {
  const columns = weights(interpolation, width, across.start, across.length, across.stored);
  const rows = weights(interpolation, height, down.start, down.length, down.stored);
  const [left, right] = reach(columns), [top, bottom] = reach(rows);
  const stride = 3 * across.stored, between = new Uint8ClampedArray(stride * (bottom - top));
  const band = Math.max(1, Math.floor(2 ** 20 / (right - left)));
  for (let y = top; y < bottom; y += band) {
    const count = Math.min(band, bottom - y);
    shrinkRows(read(left, y, right - left, count), right - left, columns, left, between.subarray(stride * (y - top), stride * (y - top + count)));
  }
  const out = new Uint8ClampedArray(stride * down.stored);
  rows.forEach(({ first, values }, y) => {
    for (let x = 0; x < stride; x++) {
      let sum = 2 ** (PRECISION - 1);
      for (let k = 0, at = stride * (first - top) + x; k < values.length; k++, at += stride) sum += between[at] * values[k];
      out[stride * y + x] = sum >> PRECISION;
    }
  });
  return out;
}

function shrinkRows(rgba, width, columns, left, out) {
  let to = 0;
  for (let row = 0; to < out.length; row += 4 * width) {
    for (const { first, values } of columns) {
      let red = 2 ** (PRECISION - 1), green = red, blue = red;
      for (let k = 0, at = row + 4 * (first - left); k < values.length; k++, at += 4) {
        const weight = values[k];
        red += rgba[at] * weight;
        green += rgba[at + 1] * weight;
        blue += rgba[at + 2] * weight;
      }
      out[to++] = red >> PRECISION;
      out[to++] = green >> PRECISION;
      out[to++] = blue >> PRECISION;
    }
  }
}
