/** Animated GIFs: one palette by median cut for all frames, then LZW. */

const COLOURS = 256;
const SAMPLED = 20_000;
const MOST_CODES = 4096;
const KEY_BITS = 5; // of a channel: colours that agree in these get one colour of the palette

/**
 * @param {ImageData[]} frames  of one size
 * @param {number[]} order  in which they are shown
 * @param {number} delay  of each, in hundredths of a second
 * @returns {Blob}
 */
export function gif(frames, order, delay) {
  const { width, height } = frames[0];
  const palette = paletteOf(frames);
  const word = (/** @type {number} */ value) => [value & 255, value >> 8];
  /** @type {number[]} */
  const table = Array.from({ length: COLOURS }, (_, i) => palette[i] ?? [0, 0, 0]).flat();
  const loop = [0x21, 0xff, 11, ...new TextEncoder().encode("NETSCAPE2.0"), 3, 1, 0, 0, 0];
  const head = [...new TextEncoder().encode("GIF89a"), ...word(width), ...word(height), 0xf7, 0, 0, ...table, ...loop];
  const known = new Int16Array(1 << (3 * KEY_BITS)).fill(-1);
  const start = [0x21, 0xf9, 4, 0, ...word(delay), 0, 0, 0x2c, 0, 0, 0, 0, ...word(width), ...word(height), 0, 8];
  const pictures = frames.map((frame) => compressed(indices(frame, table, known)));
  const parts = order.map((at) => [new Uint8Array(start), pictures[at]]);
  return new Blob([new Uint8Array(head), ...parts.flat(), new Uint8Array([0x3b])], { type: "image/gif" });
}

/** Colours that stand for those of all frames. @param {ImageData[]} frames @returns {number[][]} */
function paletteOf(frames) {
  const step = Math.max(1, Math.ceil((frames.length * frames[0].width * frames[0].height) / SAMPLED));
  const colours = frames.flatMap(({ data }) => {
    const found = [];
    for (let i = 0; i < data.length; i += 4 * step) found.push([data[i], data[i + 1], data[i + 2]]);
    return found;
  });
  const boxes = [boxOf(colours)];
  while (boxes.length < COLOURS) {
    const at = boxes.reduce((best, one, i) => (one.weight > boxes[best].weight ? i : best), 0);
    const { channel, inside, weight } = boxes[at];
    if (!weight) break;
    const sorted = inside.sort((a, b) => a[channel] - b[channel]);
    const half = sorted.length >> 1;
    boxes.splice(at, 1, boxOf(sorted.slice(0, half)), boxOf(sorted.slice(half)));
  }
  return boxes.map(({ inside }) => (
    [0, 1, 2].map((c) => Math.round(inside.reduce((sum, one) => sum + one[c], 0) / inside.length))
  ));
}

/** Colours, the channel in which they differ most, and how much there is to divide. @param {number[][]} inside */
function boxOf(inside) {
  const spans = [0, 1, 2].map((channel) => {
    let [low, high] = [255, 0];
    for (const one of inside) {
      low = Math.min(low, one[channel]);
      high = Math.max(high, one[channel]);
    }
    return Math.max(0, high - low);
  });
  const channel = spans.indexOf(Math.max(...spans));
  return { inside, channel, weight: spans[channel] * inside.length };
}

/**
 * The colours of the palette that are nearest to those of a frame.
 *
 * @param {ImageData} frame @param {number[]} table  the palette @param {Int16Array} known  what was found before, by key
 */
function indices({ data }, table, known) {
  const found = new Uint8Array(data.length / 4);
  const shift = 8 - KEY_BITS;
  for (let i = 0; i < found.length; i += 1) {
    const [red, green, blue] = [data[4 * i], data[4 * i + 1], data[4 * i + 2]];
    const key = ((red >> shift) << (2 * KEY_BITS)) | ((green >> shift) << KEY_BITS) | (blue >> shift);
    if (known[key] < 0) known[key] = nearest(table, red, green, blue);
    found[i] = known[key];
  }
  return found;
}

/** @param {number[]} table @param {number} red @param {number} green @param {number} blue */
function nearest(table, red, green, blue) {
  let [best, least] = [0, Infinity];
  for (let at = 0; at < COLOURS; at += 1) {
    const distance = (table[3 * at] - red) ** 2 + (table[3 * at + 1] - green) ** 2 + (table[3 * at + 2] - blue) ** 2;
    if (distance < least) [best, least] = [at, distance];
  }
  return best;
}

/** LZW with codes of 9 to 12 bits, in blocks of at most 255 bytes. @param {Uint8Array} values */
function compressed(values) {
  const [clear, end] = [COLOURS, COLOURS + 1];
  /** @type {number[]} */
  const bytes = [];
  let [bits, held, size] = [0, 0, 9];
  const put = (/** @type {number} */ code) => {
    bits |= code << held;
    held += size;
    for (; held >= 8; held -= 8, bits >>= 8) bytes.push(bits & 255);
  };
  /** @type {Map<number, number>} */
  let codes = new Map();
  let next = end + 1;
  put(clear);
  let prefix = values[0];
  for (const value of values.subarray(1)) {
    const key = prefix * COLOURS + value;
    const code = codes.get(key);
    if (code !== undefined) {
      prefix = code;
      continue;
    }
    put(prefix);
    if (next < MOST_CODES) {
      codes.set(key, next);
      if (next === 1 << size) size += 1;
      next += 1;
    } else {
      put(clear);
      codes = new Map();
      [next, size] = [end + 1, 9];
    }
    prefix = value;
  }
  put(prefix);
  put(end);
  if (held) bytes.push(bits & 255);
  const blocks = [];
  for (let i = 0; i < bytes.length; i += 255) blocks.push(Math.min(255, bytes.length - i), ...bytes.slice(i, i + 255));
  return Uint8Array.from([...blocks, 0]);
}
