import { EngineError } from "./engine.js";
import { labelColours, outputClasses, snapped } from "./labels.js";

/**
 * @typedef {import("./engine.js").Engine} Engine
 * @typedef {import("./engine.js").Job} Job
 */

const TRIES = 4;

/** @param {string} text */
function fromBase64(text) {
  const bytes = Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
  return createImageBitmap(new Blob([bytes], { type: "image/png" }));
}

/** @param {ImageData} image @returns {Promise<Blob>} */
function toPng(image) {
  const canvas = document.createElement("canvas");
  canvas.width = image.width;
  canvas.height = image.height;
  canvas.getContext("2d")?.putImageData(image, 0, 0);
  return new Promise((resolve, reject) => {
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("the picture is too large"))), "image/png");
  });
}

/** @param {number} seconds @param {AbortSignal} [signal] */
function pause(seconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, 1000 * seconds);
    signal?.addEventListener("abort", () => { clearTimeout(timer); reject(signal.reason); }, { once: true });
  });
}

/**
 * The HTTP service that this page comes from.
 *
 * @implements {Engine}
 */
export class Service {
  /** @param {() => Promise<string>} askToken */
  constructor(askToken) {
    this._askToken = askToken;
    this._token = sessionStorage.getItem("tandem:token") ?? "";
    /** @type {Map<string, import("./engine.js").Model>} */
    this._models = new Map();
  }

  /** @param {string} token */
  useToken(token) {
    this._token = token;
    sessionStorage.setItem("tandem:token", token);
  }

  catalogue() { return this._json("v1/models"); }

  async ready() { return true; }

  /** @param {string} name */
  async model(name) {
    const model = await this._json(`v1/models/${encodeURIComponent(name)}`);
    this._models.set(name, model);
    return model;
  }

  /** @param {string} name @param {number} seed @param {number} count @returns {Promise<number[][]>} */
  async latents(name, seed, count) {
    const query = new URLSearchParams({ model: name, seed: String(seed), num_samples: String(count) });
    return (await this._json(`v1/latents?${query}`)).z;
  }

  /** @param {Job} job @param {AbortSignal} [signal] */
  async translate(job, signal) {
    const form = await this._form(job);
    form.set("format", "json");
    if (job.z) form.set("z", JSON.stringify(job.z));
    else if (job.count) form.set("num_samples", String(job.count));
    const answer = await this._json("v1/translate", { method: "POST", body: form, signal });
    return Promise.all(/** @type {string[]} */ (answer.outputs).map(fromBase64));
  }

  /** @param {string} name @param {ImageData} image @returns {Promise<number[]>} */
  async encode(name, image) {
    const form = new FormData();
    form.set("model", name);
    const model = this._models.get(name) ?? null;
    const classes = outputClasses(model, model?.directions[0] ?? "AtoB");
    form.set("image", await toPng(snapped(image, classes.map((one) => one.colour))), "style.png");
    return (await this._json("v1/encode", { method: "POST", body: form })).mu;
  }

  /** @param {Job} job @param {AbortSignal} [signal] */
  async spread(job, signal) {
    const answer = await this._json("v1/spread", { method: "POST", body: await this._form(job), signal });
    /** @type {string[]} */
    const names = answer.pictures;
    const made = await Promise.all(names.map(async (name, i) => (
      /** @type {const} */ ([name, await fromBase64(answer.outputs[i])])
    )));
    return { ...answer, pictures: Object.fromEntries(made) };
  }

  /** @param {Job} job */
  async _form(job) {
    const form = new FormData();
    form.set("model", job.model);
    form.set("direction", job.direction);
    form.set("seed", String(job.seed));
    const colours = labelColours(this._models.get(job.model) ?? null, job.direction);
    form.set("image", await toPng(snapped(job.image, colours)), "drawing.png");
    return form;
  }

  /** @param {string} path @param {RequestInit} [how] @returns {Promise<any>} */
  async _json(path, how = {}) {
    for (let tries = 1; ; tries += 1) {
      const headers = this._token ? { Authorization: `Bearer ${this._token}` } : undefined;
      /** @type {Response} */
      let answer;
      try {
        answer = await fetch(path, { ...how, headers });
      } catch (error) {
        if (error instanceof DOMException && error.name === "AbortError") throw error;
        throw new EngineError("The service cannot be reached. Is it still running?", "unreachable");
      }
      if (answer.ok) return answer.json();
      const told = (await answer.json().catch(() => null))?.error ?? {};
      if (answer.status === 401 && tries < TRIES) {
        this.useToken(await this._askToken());
      } else if (answer.status === 429 && tries < TRIES) {
        await pause(Number(answer.headers.get("Retry-After")) || 1, how.signal ?? undefined);
      } else {
        throw new EngineError(told.message ?? `The service answered ${answer.status}.`, told.code ?? "unknown");
      }
    }
  }
}
