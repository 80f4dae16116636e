/**
 * How sure a model is of one input, from its samples: `tandem.inference.spread` and its pictures, in the browser.
 *
 * @typedef {object} SpreadPlan
 * @property {number} num_samples
 * @property {number} level
 * @property {number | null} scale  of a calibration; null: quantiles of the samples
 * @property {number | null} threshold  from which a pixel is flagged
 */

const LEAST_FLAGGED = 100;
const WHITE_AT = 0.5;
const FLAG_COLOUR = [213, 94, 0];

/** Takes in the samples of an input as they come. */
export class SpreadBuilder {
  /** @param {SpreadPlan} plan @param {number} values  of a sample: height · width · channels */
  constructor(plan, values) {
    this._plan = plan;
    this._sums = new Float64Array(values);
    this._squares = new Float64Array(values);
    const place = ((plan.num_samples - 1) * (1 - plan.level)) / 2;
    this._below = Math.floor(place);
    this._share = place - this._below;
    /** @type {Uint8ClampedArray[]} */
    this._lowest = [];
    /** @type {Uint8ClampedArray[]} */
    this._highest = [];
  }

  /** @param {Uint8ClampedArray} levels */
  add(levels) {
    levels.forEach((level, i) => {
      this._sums[i] += level;
      this._squares[i] += level * level;
    });
    if (this._plan.scale !== null) return;
    const kept = Math.min(this._plan.num_samples, this._below + 2);
    insert(this._lowest, levels, kept, Math.min, Math.max);
    insert(this._highest, levels, kept, Math.max, Math.min);
  }

  /**
   * @param {number} channels
   * @returns {{pictures: Record<string, Uint8ClampedArray>, flaggedShare: number}}  pictures as levels
   */
  finish(channels) {
    const pixels = this._sums.length / channels;
    const mean = Float32Array.from(this._sums, (sum) => sum / this._plan.num_samples / 255);
    const guessed = new Float32Array(pixels);
    for (let i = 0; i < pixels; i += 1) {
      let total = 0;
      for (let c = 0; c < channels; c += 1) total += this._half(channels * i + c);
      guessed[i] = total / channels / 255;
    }
    const threshold = Math.fround(this._plan.threshold ?? Infinity);
    const flagged = guessed.map((half) => Number(half > threshold));
    const count = flagged.reduce((sum, one) => sum + one, 0);
    if (this._plan.scale !== null && count * LEAST_FLAGGED < pixels) flagged.fill(0);
    const shown = new Uint8ClampedArray(3 * pixels);
    const colours = channels < 3 ? 1 : 3;
    for (let i = 0; i < pixels; i += 1) {
      let grey = 0;
      for (let c = 0; c < colours; c += 1) grey += mean[channels * i + c] / colours;
      for (let c = 0; c < 3; c += 1) shown[3 * i + c] = flagged[i] ? FLAG_COLOUR[c] : 255 * (0.5 + 0.5 * grey);
    }
    return {
      pictures: {
        mean: Uint8ClampedArray.from(mean, (value) => Math.fround(255 * value)),
        width: Uint8ClampedArray.from(guessed, (half) => 255 * Math.min(half / WHITE_AT, 1)),
        guessed: shown,
      },
      flaggedShare: flagged.reduce((sum, one) => sum + one, 0) / pixels,
    };
  }

  /** Half of the interval of a value, in levels. @param {number} i */
  _half(i) {
    const { num_samples: number, scale } = this._plan;
    if (scale !== null) {
      const deviations = number * this._squares[i] - this._sums[i] ** 2;
      return scale * (Math.sqrt(deviations / (number * (number - 1))) + 1);
    }
    const [low, high] = [this._lowest, this._highest].map((kept) => (
      (1 - this._share) * kept[this._below][i] + this._share * kept[Math.min(this._below + 1, kept.length - 1)][i]
    ));
    return (high - low) / 2;
  }
}

/**
 * Puts a sample among others that are in order value by value, of which so many are kept.
 *
 * @param {Uint8ClampedArray[]} ordered @param {Uint8ClampedArray} levels @param {number} kept
 * @param {(a: number, b: number) => number} first @param {(a: number, b: number) => number} second
 */
function insert(ordered, levels, kept, first, second) {
  let sample = levels;
  for (let k = 0; k < ordered.length; k += 1) {
    const [image, other] = [ordered[k], sample];
    ordered[k] = image.map((value, i) => first(value, other[i]));
    sample = image.map((value, i) => second(value, other[i]));
  }
  if (ordered.length < kept) ordered.push(sample);
}
