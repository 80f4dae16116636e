import { numbersOf, toColours } from "./labels.js";
import { toFloats, toLevels, toPixels, toPlanes } from "./pixels.js";
import { SpreadBuilder } from "./spread.js";

/**
 * Runs the networks of a model with ONNX Runtime Web, apart from the page, which therefore never stutters.
 *
 * The newest task goes first and one may be given up: both are looked at after every sample.
 *
 * @typedef {import("./pixels.js").Size} Size
 * @typedef {import("./spread.js").SpreadPlan} SpreadPlan
 *
 * @typedef {object} Network
 * @property {ArrayBuffer} file
 * @property {Size} size  of the page's pictures
 * @property {Size} padded  that the network gets
 * @property {number} channels  that it takes
 * @property {number} [input_channels]  of the input that an encoder may see as well
 * @property {string[]} [colours]  of the classes, where it takes label maps
 * @property {{colours: string[], ignored: string | null}} [gives]  likewise, where it gives them
 *
 * @typedef {object} Opening
 * @property {"wasm" | "webgpu"} provider
 * @property {string | null} runtime  address of its module; null where the worker's script holds it
 * @property {ArrayBuffer} wasm
 * @property {number} threads
 * @property {Record<string, Network>} networks
 *
 * @typedef {object} Question
 * @property {number} id
 * @property {"open" | "translate" | "encode" | "spread" | "cancel"} kind
 * @property {Opening} [opening]
 * @property {string} [network]
 * @property {Uint8ClampedArray} [pixels]
 * @property {number[][]} [z]
 * @property {SpreadPlan} [plan]
 *
 * @typedef {{id: number, run: AsyncGenerator<void, unknown>}} Task
 */

/** @type {any} */
const ends = self;
/** @type {any} */
let runtime = null;
/** @type {Opening | null} */
let opened = null;
/** @type {Map<string, Promise<any>>} */
const sessions = new Map();
/** @type {Task[]} */
const tasks = [];
let isRunning = false;

/** @param {Opening} opening */
async function* open(opening) {
  opened = opening;
  runtime = opening.runtime === null ? ends.runtime : await import(opening.runtime);
  runtime.env.wasm.wasmBinary = opening.wasm;
  runtime.env.wasm.numThreads = opening.threads;
  runtime.env.logLevel = "error";
  await session(Object.keys(opening.networks)[0]);
  yield;
  return null;
}

/** @param {string} name */
function session(name) {
  const { provider, networks } = /** @type {Opening} */ (opened);
  const found = sessions.get(name) ?? runtime.InferenceSession.create(new Uint8Array(networks[name].file), {
    executionProviders: [provider], enableMemPattern: false, logSeverityLevel: 3,
  });
  sessions.set(name, found);
  return found;
}

/** @param {string} name @param {Uint8ClampedArray} pixels @param {Record<string, any>} others  tensors */
async function run(name, pixels, others) {
  const { size, padded, channels, colours } = /** @type {Opening} */ (opened).networks[name];
  const values = colours
    ? toPlanes(numbersOf(pixels, colours), size, padded, channels)
    : toFloats(pixels, size, padded, channels);
  const image = tensor(values, [1, channels, ...padded]);
  return (await session(name)).run({ image, ...others });
}

/** @param {Float32Array} values @param {number[]} shape */
const tensor = (values, shape) => new runtime.Tensor("float32", values, shape);

/** The levels of one sample. @param {string} name @param {Uint8ClampedArray} pixels @param {number[]} z */
async function sample(name, pixels, z) {
  const { size, padded, gives } = /** @type {Opening} */ (opened).networks[name];
  const { output } = await run(name, pixels, z.length ? { z: tensor(Float32Array.from(z), [1, z.length]) } : {});
  return gives ? toColours(output.data, size, padded, gives) : toLevels(output.data, size, padded);
}

/** @param {Question} question */
async function* translate({ id, network = "", pixels = new Uint8ClampedArray(), z = [] }) {
  const { size } = /** @type {Opening} */ (opened).networks[network];
  for (const [index, one] of z.entries()) {
    const began = performance.now();
    const made = toPixels(await sample(network, pixels, one), size);
    ends.postMessage({ id, index, pixels: made, ms: performance.now() - began }, [made.buffer]);
    yield;
  }
  return null;
}

/** @param {Question} question */
async function* encode({ network = "", pixels = new Uint8ClampedArray() }) {
  const { padded, input_channels: given } = /** @type {Opening} */ (opened).networks[network];
  const unknown = given ? {
    input_image: tensor(new Float32Array(given * padded[0] * padded[1]), [1, given, ...padded]),
    known: tensor(new Float32Array(1), [1]),
  } : {};
  const { mu } = await run(network, pixels, unknown);
  yield;
  return [...mu.data];
}

/** @param {Question} question */
async function* spread({ network = "", pixels = new Uint8ClampedArray(), z = [], plan }) {
  const { size } = /** @type {Opening} */ (opened).networks[network];
  const area = size[0] * size[1];
  /** @type {SpreadBuilder | null} */
  let builder = null;
  let channels = 1;
  for (const one of z) {
    const levels = await sample(network, pixels, one);
    channels = levels.length / area;
    builder ??= new SpreadBuilder(/** @type {SpreadPlan} */ (plan), levels.length);
    builder.add(levels);
    yield;
  }
  const { pictures, flaggedShare } = /** @type {SpreadBuilder} */ (builder).finish(channels);
  const pages = Object.entries(pictures).map(([name, levels]) => [name, toPixels(levels, size)]);
  return { pictures: Object.fromEntries(pages), flaggedShare };
}

const channel = new MessageChannel();

/** Lets messages come in. @returns {Promise<void>} */
const look = () => new Promise((resolve) => {
  channel.port1.onmessage = () => resolve();
  channel.port2.postMessage(null);
});

async function work() {
  isRunning = true;
  while (tasks.length) {
    const task = tasks[tasks.length - 1];
    try {
      const { done, value } = await task.run.next();
      if (done) finish(task.id, { value });
    } catch (error) {
      finish(task.id, { error: error instanceof Error ? error.message : String(error) });
    }
    await look();
  }
  isRunning = false;
}

/** @param {number} id @param {{value?: unknown, error?: string}} answer */
function finish(id, answer) {
  const at = tasks.findIndex((task) => task.id === id);
  if (at < 0) return;
  tasks.splice(at, 1);
  ends.postMessage({ id, isDone: true, ...answer });
}

/** @param {MessageEvent<Question>} event */
ends.onmessage = ({ data }) => {
  const { id, kind } = data;
  if (kind === "cancel") {
    finish(id, { error: "given up" });
    return;
  }
  const run = kind === "open" ? open(/** @type {Opening} */ (data.opening)) : { translate, encode, spread }[kind](data);
  tasks.push({ id, run });
  if (!isRunning) void work();
};
