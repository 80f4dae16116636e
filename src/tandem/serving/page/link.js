import { pack, unpack } from "./latent.js";

/**
 * What a link carries: everything but the drawing.
 *
 * @typedef {object} Shared
 * @property {string} [model]
 * @property {string} [direction]
 * @property {number} [seed]
 * @property {number} [count]
 * @property {number} [pick]
 * @property {number[]} kept  positions of kept styles
 * @property {string} [z]
 * @property {string} [token]
 */

/** @param {string} hash @returns {Shared} */
export function read(hash) {
  const values = new URLSearchParams(hash.replace(/^#/, ""));
  /** @param {string} name @param {number} most */
  const number = (name, most) => {
    const value = Number(values.get(name));
    return values.has(name) && Number.isInteger(value) && value >= 0 && value <= most ? value : undefined;
  };
  return {
    model: values.get("model") ?? undefined,
    direction: values.get("direction") ?? undefined,
    seed: number("seed", 2 ** 53),
    count: number("n", 64),
    pick: number("pick", 63),
    kept: (values.get("kept") ?? "").split(".").filter(Boolean).map(Number).filter((one) => Number.isInteger(one)),
    z: values.get("z") ?? undefined,
    token: values.get("token") ?? undefined,
  };
}

/**
 * @param {{model: string, direction: string, seed: number, count: number, pick: number, kept: number[], z: number[][] | null}} state
 *   z: null where the seed alone decides the latents
 */
export function write({ model, direction, seed, count, pick, kept, z }) {
  const values = new URLSearchParams({ model, direction, seed: String(seed), n: String(count) });
  if (pick) values.set("pick", String(pick));
  if (kept.length) values.set("kept", kept.join("."));
  if (z) values.set("z", pack(z));
  return `#${values}`;
}

export { unpack };
