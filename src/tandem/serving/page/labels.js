/**
 * Label maps: the colours of a model's classes, and pictures that hold these alone.
 *
 * @typedef {import("./engine.js").Model} Model
 * @typedef {import("./engine.js").Direction} Direction
 */

/**
 * The colours of the classes of a model's inputs; none where these are pictures.
 *
 * @param {Model | null} model @param {Direction} direction @returns {string[]}
 */
export function labelColours(model, direction) {
  return (model?.values?.[direction]?.[0]?.classes ?? []).map((one) => one.colour);
}

/** The names of these classes by their colours. @param {Model | null} model @param {Direction} direction */
export function labelNames(model, direction) {
  return new Map((model?.values?.[direction]?.[0]?.classes ?? []).map((one) => [one.colour, one.name]));
}

/**
 * What a pixel of its outputs may be, likewise: a class, or none.
 *
 * @param {Model | null} model @param {Direction} direction @returns {{value: number, colour: string}[]}
 */
export function outputClasses(model, direction) {
  const { classes = [], ignored } = model?.values?.[direction]?.[1] ?? {};
  return ignored ? [...classes, ignored] : classes;
}

/** @param {string} colour  "#rrggbb" @returns {[number, number, number]} */
const parts = (colour) => {
  const value = parseInt(colour.slice(1), 16);
  return [value >> 16, (value >> 8) & 255, value & 255];
};

/** Finds the class whose colour is nearest to a pixel: the edges of strokes are mixed with what is below. */
class Nearest {
  /** @param {string[]} colours */
  constructor(colours) {
    this.colours = colours.map(parts);
    /** @type {Map<number, number>} */
    this._known = new Map();
  }

  /** @param {number} red @param {number} green @param {number} blue */
  of(red, green, blue) {
    const key = (red << 16) | (green << 8) | blue;
    let found = this._known.get(key);
    if (found === undefined) {
      let least = Infinity;
      this.colours.forEach((one, i) => {
        const far = (one[0] - red) ** 2 + (one[1] - green) ** 2 + (one[2] - blue) ** 2;
        if (far < least) [found, least] = [i, far];
      });
      this._known.set(key, found ?? 0);
    }
    return found ?? 0;
  }
}

/**
 * Each pixel in the colour of a class.
 *
 * @param {ImageData} image @param {string[]} colours  none leaves the picture as it is
 */
export function snapped(image, colours) {
  if (!colours.length) return image;
  const nearest = new Nearest(colours);
  const made = new ImageData(new Uint8ClampedArray(image.data), image.width, image.height);
  const { data } = made;
  for (let at = 0; at < data.length; at += 4) {
    data.set(nearest.colours[nearest.of(data[at], data[at + 1], data[at + 2])], at);
  }
  return made;
}

/**
 * The class of each pixel, by its number among the colours.
 *
 * @param {Uint8ClampedArray} rgba @param {string[]} colours
 */
export function numbersOf(rgba, colours) {
  const nearest = new Nearest(colours);
  return Uint16Array.from({ length: rgba.length / 4 }, (_, i) => nearest.of(rgba[4 * i], rgba[4 * i + 1], rgba[4 * i + 2]));
}

/**
 * The highest of the planes of each pixel, as levels (H, W, 3) of the colours, without the padding.
 *
 * @param {Float32Array} planes  (K, H, W) in [-1, 1] @param {import("./pixels.js").Size} size @param {import("./pixels.js").Size} padded
 * @param {{colours: string[], ignored: string | null}} classes  ignored: what is -1 in all planes
 */
export function toColours(planes, [height, width], [rows, columns], { colours, ignored }) {
  const [known, area] = [colours.map(parts), rows * columns];
  const levels = new Uint8ClampedArray(3 * height * width);
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      const at = y * columns + x;
      let [highest, value] = [0, -Infinity];
      for (let k = 0; k < known.length; k += 1) {
        if (!Number.isFinite(planes[k * area + at])) throw new Error("the output holds values that are not finite");
        if (planes[k * area + at] > value) [highest, value] = [k, planes[k * area + at]];
      }
      levels.set(ignored !== null && value <= -1 ? parts(ignored) : known[highest], 3 * (y * width + x));
    }
  }
  return levels;
}
