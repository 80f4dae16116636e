/**
 * From pixels to what a network takes, and back: `tandem.data.images`, `tandem.data.fit` and `tandem.report.spread_pictures`
 * in the browser, to the same numbers.
 *
 * @typedef {[number, number]} Size  height and width
 */

const HALF = 127.5;
/** Of the levels of 8 bits in [-1, 1]. */
const FLOATS = Float32Array.from({ length: 256 }, (_, level) => Math.fround(level / HALF) - 1);

/** Luma as ITU-R 601 has it, in whole numbers as Pillow computes it. @param {number} red @param {number} green @param {number} blue */
const luma = (red, green, blue) => (19595 * red + 38470 * green + 7471 * blue + 0x8000) >> 16;

/**
 * Opaque pixels as (C, H, W) in [-1, 1], with their mirror image at the right and lower edge where the network takes more.
 *
 * @param {Uint8ClampedArray} rgba @param {Size} size @param {Size} padded @param {number} channels  1 to 4
 */
export function toFloats(rgba, [height, width], [rows, columns], channels) {
  const values = new Float32Array(channels * rows * columns);
  const isGrey = channels < 3;
  for (let y = 0; y < rows; y += 1) {
    for (let x = 0; x < columns; x += 1) {
      const from = 4 * (mirrored(y, height) * width + mirrored(x, width));
      const [red, green, blue] = [rgba[from], rgba[from + 1], rgba[from + 2]];
      const levels = isGrey ? [luma(red, green, blue), 255] : [red, green, blue, 255];
      for (let c = 0; c < channels; c += 1) values[(c * rows + y) * columns + x] = FLOATS[levels[c]];
    }
  }
  return values;
}

/**
 * Numbers of classes as planes (K, H, W), 1 where a pixel is of the class and -1 elsewhere, mirrored likewise.
 *
 * @param {Uint16Array} numbers @param {Size} size @param {Size} padded @param {number} channels
 */
export function toPlanes(numbers, [height, width], [rows, columns], channels) {
  const values = new Float32Array(channels * rows * columns).fill(-1);
  for (let y = 0; y < rows; y += 1) {
    for (let x = 0; x < columns; x += 1) {
      values[(numbers[mirrored(y, height) * width + mirrored(x, width)] * rows + y) * columns + x] = 1;
    }
  }
  return values;
}

/** Where a place beyond the edge lies in the picture, which repeats turned round and round. @param {number} at @param {number} length */
function mirrored(at, length) {
  const place = at % (2 * length);
  return place < length ? place : 2 * length - 1 - place;
}

/**
 * What a network gives, (C, H, W) in [-1, 1], as levels (H, W, C) without the padding.
 *
 * @param {Float32Array} values @param {Size} size @param {Size} padded
 */
export function toLevels(values, [height, width], [rows, columns]) {
  const channels = values.length / (rows * columns);
  const levels = new Uint8ClampedArray(height * width * channels); // rounds half to even, as NumPy does
  let sum = 0;
  for (let c = 0; c < channels; c += 1) {
    for (let y = 0; y < height; y += 1) {
      for (let x = 0; x < width; x += 1) {
        const value = values[(c * rows + y) * columns + x];
        sum += value;
        levels[(y * width + x) * channels + c] = Math.fround(Math.fround(value + 1) * HALF);
      }
    }
  }
  if (!Number.isFinite(sum)) throw new Error("the output holds values that are not finite");
  return levels;
}

/** Levels (H, W, C) as pixels. @param {Uint8ClampedArray} levels @param {Size} size */
export function toPixels(levels, [height, width]) {
  const channels = levels.length / (height * width);
  const rgba = new Uint8ClampedArray(4 * height * width);
  for (let i = 0; i < height * width; i += 1) {
    const [from, isGrey] = [channels * i, channels < 3];
    rgba[4 * i] = levels[from];
    rgba[4 * i + 1] = levels[from + (isGrey ? 0 : 1)];
    rgba[4 * i + 2] = levels[from + (isGrey ? 0 : 2)];
    rgba[4 * i + 3] = channels % 2 ? 255 : levels[from + channels - 1];
  }
  return rgba;
}
