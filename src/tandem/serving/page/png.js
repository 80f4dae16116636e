import { numbersOf } from "./labels.js";

/** Label maps as PNG files whose pixels are the values of the classes, with their colours as the palette. */

const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
const CRCS = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value;
});

/**
 * @param {Uint8ClampedArray} rgba  in the colours of the classes @param {number} width @param {number} height
 * @param {{value: number, colour: string}[]} classes  values below 256
 */
export async function labelPng(rgba, width, height, classes) {
  const numbers = numbersOf(rgba, classes.map((one) => one.colour));
  const rows = new Uint8Array(height * (width + 1)); // each begins with its filter, which is none
  numbers.forEach((number, i) => { rows[Math.floor(i / width) * (width + 1) + 1 + (i % width)] = classes[number].value; });
  const palette = new Uint8Array(3 * (1 + Math.max(...classes.map((one) => one.value))));
  for (const { value, colour } of classes) {
    for (let part = 0; part < 3; part += 1) palette[3 * value + part] = parseInt(colour.slice(1 + 2 * part, 3 + 2 * part), 16);
  }
  const head = new Uint8Array(13);
  const view = new DataView(head.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  head.set([8, 3], 8); // bits, and the kind with a palette
  const packed = /** @type {ReadableStream} */ (new Response(rows).body).pipeThrough(new CompressionStream("deflate"));
  const data = new Uint8Array(await new Response(packed).arrayBuffer());
  const chunks = [chunk("IHDR", head), chunk("PLTE", palette), chunk("IDAT", data), chunk("IEND", new Uint8Array())];
  return new Blob([Uint8Array.from(SIGNATURE), ...chunks], { type: "image/png" });
}

/** @param {string} name @param {Uint8Array} data */
function chunk(name, data) {
  const made = new Uint8Array(12 + data.length);
  const view = new DataView(made.buffer);
  view.setUint32(0, data.length);
  made.set([...name].map((sign) => sign.charCodeAt(0)), 4);
  made.set(data, 8);
  const sum = made.subarray(4, -4).reduce((crc, byte) => CRCS[(crc ^ byte) & 255] ^ (crc >>> 8), 0xffffffff);
  view.setUint32(8 + data.length, ~sum >>> 0);
  return made;
}
