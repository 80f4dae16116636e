import { address, bytes, startWorker } from "./assets.js";
import { latents } from "./draws.js";
import { EngineError } from "./engine.js";
import { EXAMPLES, UNITS } from "./examples.js";

/**
 * @typedef {import("./engine.js").Engine} Engine
 * @typedef {import("./engine.js").Job} Job
 * @typedef {import("./engine.js").Model} Model
 * @typedef {import("./engine.js").OnOutput} OnOutput
 * @typedef {import("./pixels.js").Size} Size
 * @typedef {"wasm" | "webgpu"} Provider
 *
 * @typedef {object} About  what `model.json` holds
 * @property {Model} model
 * @property {string[]} palette
 * @property {import("./draws.js").Mixture | null} mixture
 * @property {import("./spread.js").SpreadPlan | null} spread
 * @property {Record<string, Omit<import("./worker.js").Network, "file" | "size"> & {file: string}>} networks
 * @property {Partial<Record<Provider, {module: string | null, binary: string}>>} runtimes
 *
 * @typedef {{pixels: Uint8ClampedArray<ArrayBuffer>, ms: number}} Made
 * @typedef {{resolve: (value: any) => void, reject: (error: unknown) => void, onSample?: (index: number, made: Made) => void}} Waiting
 */

const MOST_SAMPLES = 64;
const MOST_THREADS = 4;
/** What WebGPU may be off the pixels of WebAssembly: on average, and in one value. */
const MOST_OFF = { mean: 1, largest: 16 };

/** A worker that runs the networks with one kind of device. */
class Device {
  /** @param {Provider} provider */
  constructor(provider) {
    this.provider = provider;
    this._worker = startWorker("worker.js", provider);
    /** @type {Map<number, Waiting>} */
    this._waiting = new Map();
    this._last = 0;
    this._isRetired = false;
    this._worker.onmessage = ({ data }) => this._answered(data);
    this._worker.onerror = (event) => this._failed(event.message || "its worker cannot be started");
  }

  /** @param {About} about @param {number} threads */
  async open(about, threads) {
    const { module, binary } = /** @type {{module: string | null, binary: string}} */ (about.runtimes[this.provider]);
    const files = await Promise.all([binary, ...Object.values(about.networks).map((one) => one.file)].map(bytes));
    const [wasm, ...graphs] = files;
    const networks = Object.entries(about.networks).map(([name, network], i) => (
      [name, { ...network, size: about.model.size, file: graphs[i] }]
    ));
    const opening = {
      provider: this.provider, runtime: module === null ? null : address(module), wasm, threads, networks: Object.fromEntries(networks),
    };
    await this.ask({ kind: "open", opening }, { moved: files });
  }

  /**
   * @param {{kind: string} & Record<string, unknown>} question
   * @param {{signal?: AbortSignal, onSample?: Waiting["onSample"], moved?: Transferable[]}} [how]
   * @returns {Promise<any>}
   */
  ask(question, { signal, onSample, moved = [] } = {}) {
    signal?.throwIfAborted();
    this._last += 1;
    const id = this._last;
    return new Promise((resolve, reject) => {
      this._waiting.set(id, { resolve, reject, onSample });
      signal?.addEventListener("abort", () => {
        if (this._waiting.has(id)) this._worker.postMessage({ id, kind: "cancel" });
        reject(signal.reason);
      }, { once: true });
      this._worker.postMessage({ ...question, id }, moved);
    });
  }

  /** Ends it when nobody waits for it any more. */
  retire() {
    this._isRetired = true;
    if (!this._waiting.size) this._worker.terminate();
  }

  /** @param {{id: number, isDone?: boolean, error?: string, value?: unknown, index: number} & Made} answer */
  _answered({ id, isDone, error, value, index, ...made }) {
    const waiting = this._waiting.get(id);
    if (!isDone) {
      waiting?.onSample?.(index, made);
      return;
    }
    this._waiting.delete(id);
    if (error === undefined) waiting?.resolve(value);
    else waiting?.reject(new EngineError(`This browser cannot run the model: ${error}.`, "device"));
    if (this._isRetired) this.retire();
  }

  /** @param {string} why */
  _failed(why) {
    for (const one of this._waiting.values()) {
      one.reject(new EngineError(`This browser cannot run the model: ${why}.`, "device"));
    }
    this._waiting.clear();
  }
}

/**
 * The model in the browser itself: WebAssembly, and WebGPU where it is asked for, is there and gives the same pixels.
 *
 * @implements {Engine}
 */
export class Browser {
  /** @param {{engine?: string | null, threads?: number}} [choice]  a kind of device; threads */
  constructor({ engine = null, threads } = {}) {
    this._wanted = engine;
    this._threads = threads || (crossOriginIsolated ? Math.min(MOST_THREADS, navigator.hardwareConcurrency) : 1);
    /** @type {Promise<About> | null} */
    this._about = null;
    /** @type {Promise<Device> | null} */
    this._device = null;
    /** @type {Promise<void> | null} */
    this._trial = null;
  }

  /** The kind of device that computes, once it is known whether WebGPU does. */
  async provider() {
    await this._trial;
    return (await this._opened()).provider;
  }

  async catalogue() {
    const { model, palette } = await this._read();
    this._opened().catch(() => undefined); // while the page is built; who needs it is told of an error
    return { models: [model.name], default: model.name, palette, limits: { samples: MOST_SAMPLES } };
  }

  ready() { return this._opened(); }

  async model() { return (await this._read()).model; }

  /** @param {string} name @param {number} seed @param {number} count */
  async latents(name, seed, count) {
    const { model, mixture } = await this._read();
    return latents(model.latent_dim, mixture, seed, count);
  }

  /** @param {Job} job @param {AbortSignal} [signal] @param {OnOutput} [onOutput] */
  async translate(job, signal, onOutput) {
    const device = await this._opened();
    /** @type {Promise<ImageBitmap>[]} */
    const pictures = [];
    await device.ask({ kind: "translate", network: job.direction, pixels: job.image.data, z: job.z ?? [[]] }, {
      signal,
      onSample: (index, { pixels }) => {
        pictures[index] = createImageBitmap(new ImageData(pixels, job.image.width, job.image.height));
        if (onOutput) void pictures[index].then((picture) => onOutput(index, picture));
      },
    });
    if (this._wanted === "webgpu") {
      this._trial ??= this._tryGpu().catch((error) => console.info("WebGPU is left out:", error));
    }
    return Promise.all(pictures);
  }

  /** @param {string} name @param {ImageData} image @returns {Promise<number[]>} */
  async encode(name, image) {
    return (await this._opened()).ask({ kind: "encode", network: "encoder", pixels: image.data });
  }

  /** @param {Job} job @param {AbortSignal} [signal] */
  async spread(job, signal) {
    const { model, mixture, spread: plan } = await this._read();
    if (!plan) throw new EngineError("This model gives one output for a drawing: there is no spread.", "no-spread");
    const z = latents(model.latent_dim, mixture, job.seed, plan.num_samples);
    const device = await this._opened();
    const made = await device.ask({ kind: "spread", network: job.direction, pixels: job.image.data, z, plan }, { signal });
    const { width, height } = job.image;
    const pictures = await Promise.all(Object.entries(made.pictures).map(async ([one, pixels]) => (
      /** @type {const} */ ([one, await createImageBitmap(new ImageData(pixels, width, height))])
    )));
    return {
      pictures: Object.fromEntries(pictures),
      calibrated: plan.scale !== null,
      level: plan.level,
      num_samples: plan.num_samples,
      flagged_share: made.flaggedShare,
    };
  }

  /** @returns {Promise<About>} */
  _read() {
    this._about ??= bytes("model.json").then((file) => JSON.parse(new TextDecoder().decode(file)));
    return this._about.catch((error) => {
      throw new EngineError(`The model of this page cannot be loaded: ${error.message}.`, "files");
    });
  }

  _opened() {
    this._device ??= this._open("wasm");
    return this._device;
  }

  /** @param {Provider} provider */
  async _open(provider) {
    const about = await this._read();
    const device = new Device(provider);
    try {
      await device.open(about, this._threads);
    } catch (error) {
      device.retire();
      if (error instanceof EngineError) throw error;
      throw new EngineError(`The files of this page cannot be loaded: ${/** @type {Error} */ (error).message}.`, "files");
    }
    return device;
  }

  /** Lets WebGPU take over where it is right. */
  async _tryGpu() {
    const about = await this._read();
    const gpu = /** @type {any} */ (navigator).gpu;
    if (!about.runtimes.webgpu || !("Suspending" in WebAssembly) || !(await gpu?.requestAdapter())) throw new Error("this page or this browser does not have it");
    const other = await this._open("webgpu");
    const own = await this._opened();
    const expected = await check(own, about);
    const given = await check(other, about);
    const off = deviation(given.pixels, expected.pixels);
    if (off.mean > MOST_OFF.mean || off.largest > MOST_OFF.largest) {
      other.retire();
      throw new Error(`its pixels are off by ${off.mean.toFixed(2)} on average and ${off.largest} at most`);
    }
    console.info(`WebGPU takes ${given.ms.toFixed(0)} ms a sample, WebAssembly ${expected.ms.toFixed(0)} ms`);
    this._device = Promise.resolve(other);
    own.retire();
  }
}

/** A line drawing, whose white parts are where norms lose digits; the second time counts. @param {Device} device @param {About} about @returns {Promise<Made>} */
async function check(device, { model, networks }) {
  const [height, width] = model.size;
  const canvas = new OffscreenCanvas(width, height);
  const context = /** @type {OffscreenCanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.fillStyle = "#fff";
  context.fillRect(0, 0, width, height);
  context.scale(width / UNITS, height / UNITS);
  context.stroke(new Path2D(EXAMPLES[0].path));
  const pixels = context.getImageData(0, 0, width, height).data;
  const z = Array.from({ length: 2 }, () => model.prior?.mean ?? []);
  /** @type {Made | null} */
  let made = null;
  await device.ask({ kind: "translate", network: Object.keys(networks)[0], pixels, z }, {
    onSample: (_, one) => { made = one; },
  });
  return /** @type {Made} */ (/** @type {unknown} */ (made));
}

/** @param {Uint8ClampedArray} given @param {Uint8ClampedArray} expected */
export function deviation(given, expected) {
  let [sum, largest] = [0, 0];
  for (let i = 0; i < given.length; i += 1) {
    const off = Math.abs(given[i] - expected[i]);
    sum += off;
    largest = Math.max(largest, off);
  }
  return { mean: sum / given.length, largest };
}
