import { element } from "./controls.js";
import { coordinates, latent } from "./latent.js";

/** @typedef {import("./engine.js").Prior} Prior */

const REACH = 3;
export const CELLS = 5;
const MOST_SLIDERS = 8;
const NO_AXIS = 1e-6;

/** The pad over the two main directions of the latent, and a slider for each of the main ones. */
export class Pad {
  /** @param {(z: number[], changesMap: boolean) => void} onMove */
  constructor(onMove) {
    this._onMove = onMove;
    this.pad = element("pad", HTMLDivElement);
    this._knob = /** @type {HTMLElement} */ (this.pad.querySelector(".knob"));
    this._canvas = /** @type {HTMLCanvasElement} */ (this.pad.querySelector("canvas"));
    this._sliders = element("sliders", HTMLDivElement);
    /** @type {Prior | null} */
    this._prior = null;
    /** @type {number[]} */
    this._at = [];
    this.pad.addEventListener("pointerdown", (event) => {
      this.pad.setPointerCapture(event.pointerId);
      this._toPointer(event);
    });
    this.pad.addEventListener("pointermove", (event) => {
      if (this.pad.hasPointerCapture(event.pointerId)) this._toPointer(event);
    });
    this.pad.addEventListener("keydown", (event) => {
      const step = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
      if (!step) return;
      event.preventDefault();
      const size = event.shiftKey ? 0.5 : 0.15;
      this._move(this._at[0] + size * step[0], (this._at[1] ?? 0) + size * step[1]);
    });
  }

  /** @param {Prior} prior */
  use(prior) {
    this._prior = prior;
    this._at = prior.mean.map(() => 0);
    const lengths = prior.axes.map((axis) => Math.hypot(...axis));
    const shown = lengths.map((_, k) => k).filter((k) => lengths[k] > NO_AXIS * lengths[0]).slice(0, MOST_SLIDERS);
    this._sliders.replaceChildren(...shown.map((k) => {
      const label = document.createElement("label");
      const slider = document.createElement("input");
      Object.assign(slider, { type: "range", min: String(-REACH), max: String(REACH), step: "0.05", value: "0" });
      slider.dataset.axis = String(k);
      slider.setAttribute("aria-label", `Latent direction ${k + 1}, in standard deviations`);
      slider.addEventListener("input", () => {
        this._at[k] = Number(slider.value);
        this._tell(k > 1);
      });
      label.append(`${k + 1}`, slider);
      return label;
    }));
    this.paintMap([]);
  }

  /** @param {number[]} z */
  show(z) {
    if (!this._prior) return;
    this._at = coordinates(this._prior, z);
    this._place();
  }

  /** The latents of the map's cells, row by row from the top left. @returns {number[][]} */
  cells() {
    const prior = /** @type {Prior} */ (this._prior);
    const centres = Array.from({ length: CELLS }, (_, i) => REACH * ((2 * i + 1) / CELLS - 1));
    return centres.flatMap((_, row) => centres.map((x) => {
      const at = [...this._at];
      at[0] = x;
      if (at.length > 1) at[1] = centres[CELLS - 1 - row];
      return latent(prior, at);
    }));
  }

  /** @param {ImageBitmap[]} pictures  of the cells; none: an empty map */
  paintMap(pictures) {
    const side = Math.max(120, Math.min(160, pictures[0]?.width ?? 120));
    this._canvas.width = this._canvas.height = CELLS * side;
    const context = /** @type {CanvasRenderingContext2D} */ (this._canvas.getContext("2d"));
    context.imageSmoothingQuality = "high";
    pictures.forEach((picture, i) => {
      context.drawImage(picture, side * (i % CELLS), side * Math.floor(i / CELLS), side, side);
    });
    this.pad.dataset.map = String(pictures.length);
  }

  /** @param {PointerEvent} event */
  _toPointer(event) {
    const box = this.pad.getBoundingClientRect();
    this._move(
      REACH * (2 * (event.clientX - box.left) / box.width - 1),
      -REACH * (2 * (event.clientY - box.top) / box.height - 1),
    );
  }

  /** @param {number} x @param {number} y */
  _move(x, y) {
    const cut = (/** @type {number} */ value) => Math.min(REACH, Math.max(-REACH, value));
    this._at[0] = cut(x);
    if (this._at.length > 1) this._at[1] = cut(y);
    this._tell(false);
  }

  /** @param {boolean} changesMap */
  _tell(changesMap) {
    this._place();
    if (this._prior) this._onMove(latent(this._prior, this._at), changesMap);
  }

  _place() {
    const share = (/** @type {number} */ value) => Math.min(98, Math.max(2, 50 + 50 * (value / REACH)));
    const [x, y] = [this._at[0] ?? 0, this._at[1] ?? 0];
    this._knob.style.left = `${share(x)}%`;
    this._knob.style.top = `${100 - share(y)}%`;
    this.pad.setAttribute("aria-valuenow", x.toFixed(2));
    this.pad.setAttribute("aria-valuetext", `${x.toFixed(1)} and ${y.toFixed(1)} standard deviations`);
    for (const slider of this._sliders.querySelectorAll("input")) {
      slider.value = String(this._at[Number(slider.dataset.axis)]);
    }
  }
}
