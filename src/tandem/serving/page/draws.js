/**
 * The latents that a seed stands for, the same numbers as in Python: BLAKE2b of seed, stream and position seeds NumPy's
 * PCG64, whose normal draws (by a ziggurat) and uniform ones become a latent. See `tandem.rng` and
 * `tandem.prior.distributions`.
 *
 * @typedef {{weights: number[], means: number[][], factors: number[][][]}} Mixture
 */

const WORD = (1n << 64n) - 1n;
const WIDE = (1n << 128n) - 1n;

// BLAKE2b (RFC 7693) of one block without a key, 8 bytes long.

const BLAKE_START = [
  0x6a09e667f3bcc908n, 0xbb67ae8584caa73bn, 0x3c6ef372fe94f82bn, 0xa54ff53a5f1d36f1n,
  0x510e527fade682d1n, 0x9b05688c2b3e6c1fn, 0x1f83d9abfb41bd6bn, 0x5be0cd19137e2179n,
];
const BLAKE_ORDER = [
  "0123456789abcdef", "ea489fd61c02b753", "b8c052fdae367194", "7931dcbe265a40f8", "905724afe1bc683d",
  "2c6a0b834d75fe19", "c51fed4a0763928b", "db7ec13950f4862a", "6fe9b308c2d714a5", "a2847615fb9e3cd0",
].map((row) => [...row].map((digit) => parseInt(digit, 16)));
const BLAKE_LANES = [
  [0, 4, 8, 12], [1, 5, 9, 13], [2, 6, 10, 14], [3, 7, 11, 15], [0, 5, 10, 15], [1, 6, 11, 12], [2, 7, 8, 13], [3, 4, 9, 14],
];
const BLAKE_ROUNDS = 12;
const BLAKE_BLOCK = 128;

/** @param {bigint} value @param {bigint} bits */
const turned = (value, bits) => ((value >> bits) | (value << (64n - bits))) & WORD;

/** The digest's eight bytes as one number, the first byte in front. @param {string} text  at most 128 bytes */
function blake2b(text) {
  const block = new Uint8Array(BLAKE_BLOCK);
  const { written } = new TextEncoder().encodeInto(text, block);
  const view = new DataView(block.buffer);
  const message = Array.from({ length: 16 }, (_, i) => view.getBigUint64(8 * i, true));
  const state = [...BLAKE_START];
  state[0] ^= 0x01010008n;
  const v = [...state, ...BLAKE_START];
  v[12] ^= BigInt(written);
  v[14] ^= WORD;
  for (let round = 0; round < BLAKE_ROUNDS; round += 1) {
    const order = BLAKE_ORDER[round % 10];
    BLAKE_LANES.forEach(([a, b, c, d], lane) => {
      v[a] = (v[a] + v[b] + message[order[2 * lane]]) & WORD;
      v[d] = turned(v[d] ^ v[a], 32n);
      v[c] = (v[c] + v[d]) & WORD;
      v[b] = turned(v[b] ^ v[c], 24n);
      v[a] = (v[a] + v[b] + message[order[2 * lane + 1]]) & WORD;
      v[d] = turned(v[d] ^ v[a], 16n);
      v[c] = (v[c] + v[d]) & WORD;
      v[b] = turned(v[b] ^ v[c], 63n);
    });
  }
  view.setBigUint64(0, state[0] ^ v[0] ^ v[8], true);
  return view.getBigUint64(0, false);
}

// NumPy's SeedSequence and PCG64.

/** Words of 64 bits that a seed below 2**64 is spread to. @param {bigint} seed @returns {bigint[]} */
function spread(seed) {
  let factor = 0x43b0d7e5;
  /** @param {number} value */
  const hashed = (value) => {
    const mixed = value ^ factor;
    factor = Math.imul(factor, 0x931e8875);
    const product = Math.imul(mixed, factor);
    return product ^ (product >>> 16);
  };
  const pool = [Number(seed & 0xffffffffn), Number(seed >> 32n), 0, 0].map(hashed);
  for (let from = 0; from < 4; from += 1) {
    for (let to = 0; to < 4; to += 1) {
      if (from !== to) {
        const mixed = (Math.imul(0xca01f9dd, pool[to]) - Math.imul(0x4973f715, hashed(pool[from]))) | 0;
        pool[to] = mixed ^ (mixed >>> 16);
      }
    }
  }
  factor = 0x8b51f9dd;
  const halves = Array.from({ length: 8 }, (_, i) => {
    const mixed = pool[i % 4] ^ factor;
    factor = Math.imul(factor, 0x58f38ded);
    const product = Math.imul(mixed, factor);
    return BigInt((product ^ (product >>> 16)) >>> 0);
  });
  return [0, 2, 4, 6].map((i) => halves[i] | (halves[i + 1] << 32n));
}

const PCG_FACTOR = 0x2360ed051fc65da44385df649fccf645n;

class Generator {
  /** @param {number} seed @param {string} stream @param {number} position */
  constructor(seed, stream, position) {
    const [high, low, otherHigh, otherLow] = spread(blake2b([seed, stream, 0, position].join("\x1f")) >> 1n);
    this._step = ((((otherHigh << 64n) | otherLow) << 1n) | 1n) & WIDE;
    this._state = this._step;
    this._state = (this._state + ((high << 64n) | low)) & WIDE;
    this._state = (this._state * PCG_FACTOR + this._step) & WIDE;
  }

  next() {
    this._state = (this._state * PCG_FACTOR + this._step) & WIDE;
    return turned((this._state >> 64n) ^ (this._state & WORD), this._state >> 122n);
  }

  /** In [0, 1). */
  uniform() { return Number(this.next() >> 11n) * 2 ** -53; }

  /** The ziggurat of Marsaglia and Tsang with 256 layers, as NumPy has it. */
  normal() {
    for (;;) {
      const bits = this.next();
      const layer = Number(bits & 0xffn);
      const steps = Number((bits >> 9n) & 0xfffffffffffffn);
      const size = steps * WIDTHS[layer];
      const x = bits & 0x100n ? -size : size;
      if (steps < INSIDE[layer]) return x;
      if (layer === 0) return this._tail(Math.floor(steps / 256) % 2 === 1);
      if ((HEIGHTS[layer - 1] - HEIGHTS[layer]) * this.uniform() + HEIGHTS[layer] < Math.exp(-0.5 * x * x)) return x;
    }
  }

  /** @param {boolean} isNegative */
  _tail(isNegative) {
    for (;;) {
      const beyond = -Math.log1p(-this.uniform()) / TAIL;
      const bound = -Math.log1p(-this.uniform());
      if (bound + bound > beyond * beyond) return isNegative ? -(TAIL + beyond) : TAIL + beyond;
    }
  }
}

const LAYERS = 256;
const TAIL = 3.6541528853610087963519472518;
const AREA = 0.0049286732339746573;
const STEPS = 2 ** 52;
/** Of the layers: width of a step, steps that are inside whatever the height, height of the density at its end. */
const [WIDTHS, INSIDE, HEIGHTS] = (() => {
  const [widths, inside, heights] = [0, 1, 2].map(() => new Float64Array(LAYERS));
  let end = TAIL;
  widths[LAYERS - 1] = end / STEPS;
  heights[LAYERS - 1] = Math.exp(-0.5 * end * end);
  inside[0] = Math.floor(end * heights[LAYERS - 1] / AREA * STEPS);
  widths[0] = AREA / heights[LAYERS - 1] / STEPS;
  heights[0] = 1;
  for (let i = LAYERS - 2; i > 0; i -= 1) {
    const x = Math.sqrt(-2 * Math.log(AREA / end + heights[i + 1]));
    inside[i + 1] = Math.floor(x / end * STEPS);
    widths[i] = x / STEPS;
    heights[i] = Math.exp(-0.5 * x * x);
    end = x;
  }
  return [widths, inside, heights];
})();

/**
 * The latents of the first positions.
 *
 * @param {number} length  of a latent
 * @param {Mixture | null} mixture  that they are drawn from; null: N(0, I)
 * @param {number} seed
 * @param {number} count
 * @returns {number[][]}  of numbers that a float32 holds
 */
export function latents(length, mixture, seed, count) {
  return Array.from({ length: count }, (_, position) => {
    const generator = new Generator(seed, "sample", position);
    const normal = Array.from({ length }, () => generator.normal());
    const z = mixture ? transformed(mixture, normal, new Generator(seed, "component", position).uniform()) : normal;
    return z.map(Math.fround);
  });
}

/** @param {Mixture} mixture @param {number[]} normal @param {number} uniform */
function transformed({ weights, means, factors }, normal, uniform) {
  let sum = 0;
  const ends = weights.map((weight) => { sum += weight; return sum; });
  const after = ends.findIndex((end) => end / sum > uniform);
  const chosen = after < 0 ? weights.length - 1 : after;
  return means[chosen].map((mean, i) => (
    mean + factors[chosen][i].reduce((total, factor, k) => total + factor * normal[k], 0)
  ));
}
