/**
 * Latents in the coordinates of their prior: along its principal axes, in standard deviations from its mean.
 *
 * @typedef {import("./engine.js").Prior} Prior
 */

const SMALLEST = 1e-12;

/** @param {number[]} a @param {number[]} b */
const dot = (a, b) => a.reduce((sum, value, i) => sum + value * b[i], 0);

/** @param {Prior} prior @param {number[]} z @returns {number[]} */
export function coordinates(prior, z) {
  const apart = z.map((value, i) => value - prior.mean[i]);
  return prior.axes.map((axis) => dot(apart, axis) / Math.max(dot(axis, axis), SMALLEST));
}

/** @param {Prior} prior @param {number[]} at @returns {number[]} */
export function latent(prior, at) {
  return prior.mean.map((mean, i) => mean + prior.axes.reduce((sum, axis, k) => sum + at[k] * axis[i], 0));
}

/** Two normal draws are what others would make of one. */
function normal() {
  return Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
}

/** A latent near another one. @param {Prior} prior @param {number[]} z @param {number} distance */
export function near(prior, z, distance) {
  return latent(prior, coordinates(prior, z).map((value) => value + distance * normal()));
}

/**
 * Latents from one to another along the great circle about the prior's mean, both ends among them.
 *
 * @param {Prior} prior @param {number[]} from @param {number[]} to @param {number} count
 */
export function between(prior, from, to, count) {
  const [a, b] = [coordinates(prior, from), coordinates(prior, to)];
  const cosine = dot(a, b) / Math.max(Math.sqrt(dot(a, a) * dot(b, b)), SMALLEST);
  const angle = Math.acos(Math.min(1, Math.max(-1, cosine)));
  return Array.from({ length: count }, (_, index) => {
    const t = index / (count - 1);
    const [left, right] = Math.sin(angle) < 1e-4
      ? [1 - t, t]
      : [Math.sin((1 - t) * angle) / Math.sin(angle), Math.sin(t * angle) / Math.sin(angle)];
    return latent(prior, a.map((value, i) => left * value + right * b[i]));
  });
}

/** @param {number[][]} rows */
export function pack(rows) {
  const bytes = new Uint8Array(new Float32Array(rows.flat()).buffer);
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** Rows of a link, or null where it is damaged. @param {string} text @param {number} length @returns {number[][] | null} */
export function unpack(text, length) {
  try {
    const bytes = Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (one) => one.charCodeAt(0));
    const numbers = [...new Float32Array(bytes.buffer)];
    if (!numbers.length || numbers.length % length || !numbers.every((one) => Math.abs(one) < 1e6)) return null;
    return Array.from({ length: numbers.length / length }, (_, i) => numbers.slice(i * length, (i + 1) * length));
  } catch {
    return null;
  }
}
