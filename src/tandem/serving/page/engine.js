/**
 * What computes the outputs. The page knows this interface alone: `service.js` asks the service, `browser.js` runs the
 * model in the browser.
 *
 * @typedef {{kind: string, mean: number[], axes: number[][]}} Prior  axes: orthogonal, each one standard deviation long
 * @typedef {"AtoB" | "BtoA"} Direction
 *
 * @typedef {object} Levels
 * @property {string} type
 * @property {{name: string, value: number, colour: string}[]} [classes]  of label maps
 * @property {{value: number, colour: string} | null} [ignored]  pixels of these that are of no class
 *
 * @typedef {object} Model
 * @property {string} name
 * @property {string} version
 * @property {string} method
 * @property {number | null} steps
 * @property {Direction[]} directions
 * @property {[number, number]} size  height and width that it was trained at
 * @property {Partial<Record<Direction, number | null>>} input_mean  of training inputs, from -1 to 1
 * @property {Partial<Record<Direction, Levels[]>>} values  of inputs and outputs
 * @property {number} latent_dim
 * @property {boolean} stochastic
 * @property {boolean} encoder
 * @property {boolean} calibrated
 * @property {Prior | null} prior
 *
 * @typedef {object} Catalogue
 * @property {string[]} models
 * @property {string} default
 * @property {string[]} palette
 * @property {{samples: number}} limits
 *
 * @typedef {object} Job
 * @property {string} model
 * @property {Direction} direction
 * @property {ImageData} image  opaque, of the model's size
 * @property {number} seed
 * @property {number} [count]  outputs of models without a latent
 * @property {number[][]} [z]
 *
 * @typedef {object} SpreadResult
 * @property {Record<string, ImageBitmap>} pictures  mean, width, guessed
 * @property {boolean} calibrated
 * @property {number} level
 * @property {number} num_samples
 * @property {number} flagged_share
 *
 * @typedef {(index: number, picture: ImageBitmap) => void} OnOutput  called for outputs that are there before the others
 *
 * @typedef {object} Engine
 * @property {() => Promise<Catalogue>} catalogue
 * @property {(name: string) => Promise<Model>} model
 * @property {() => Promise<unknown>} ready  when nothing has to be loaded any more
 * @property {(name: string, seed: number, count: number) => Promise<number[][]>} latents
 * @property {(job: Job, signal?: AbortSignal, onOutput?: OnOutput) => Promise<ImageBitmap[]>} translate
 * @property {(name: string, image: ImageData) => Promise<number[]>} encode
 * @property {(job: Job, signal?: AbortSignal) => Promise<SpreadResult>} spread
 */

/** What an engine says where it gives no result. */
export class EngineError extends Error {
  /**
   * @param {string} message  what to change
   * @param {string} code
   * @param {number} [retryAfter]  seconds
   */
  constructor(message, code, retryAfter) {
    super(message);
    this.code = code;
    this.retryAfter = retryAfter;
  }
}
