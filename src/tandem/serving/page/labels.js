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

/**
 * Each pixel in the colour that is nearest to its own: the edges of strokes are mixed with what is below.
 *
 * @param {ImageData} image @param {string[]} colours  none leaves the picture as it is
 */
export function snapped(image, colours) {
  if (!colours.length) return image;
  const known = colours.map((colour) => [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16)));
  const made = new ImageData(new Uint8ClampedArray(image.data), image.width, image.height);
  for (let at = 0; at < made.data.length; at += 4) {
    const pixel = image.data.subarray(at, at + 3);
    let [nearest, least] = [known[0], Infinity];
    for (const colour of known) {
      const far = colour.reduce((sum, part, i) => sum + (part - pixel[i]) ** 2, 0);
      if (far < least) [nearest, least] = [colour, far];
    }
    made.data.set(nearest, at);
  }
  return made;
}
