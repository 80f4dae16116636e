/**
 * The drawing: strokes with mouse, finger or pen, fills, pictures, undo.
 *
 * @typedef {"pen" | "line" | "erase" | "fill"} Tool
 * @typedef {{x: number, y: number, pressure: number}} Point
 */

const MOST_STEPS = 30;
const TOLERANCE = 60;

export class Drawing {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {(isDone: boolean) => void} onChange  called while a stroke is drawn, and when it is done
   */
  constructor(canvas, onChange) {
    this.canvas = canvas;
    this.context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", { willReadFrequently: true }));
    this.onChange = onChange;
    /** @type {Tool} */
    this.tool = "pen";
    this.colour = "#000000";
    this.background = "#ffffff";
    this.width = 8;
    this.isEmpty = true;
    /** @type {{pixels: ImageData, isEmpty: boolean}[]} */
    this._past = [];
    /** @type {{pixels: ImageData, isEmpty: boolean}[]} */
    this._future = [];
    /** @type {Point | null} */
    this._last = null;
    /** @type {Point | null} */
    this._middle = null;
    this._pointer = -1;
    for (const [name, react] of /** @type {const} */ ([
      ["pointerdown", this._down], ["pointermove", this._move], ["pointerup", this._up], ["pointercancel", this._up],
    ])) {
      canvas.addEventListener(name, react.bind(this));
    }
  }

  /** A blank sheet. @param {number} width @param {number} height @param {string} background */
  reset(width, height, background) {
    this.canvas.width = width;
    this.canvas.height = height;
    this.background = background;
    this._past = [];
    this._future = [];
    this._blank();
  }

  /** What an empty sheet is of, and what the eraser leaves. @param {string} background */
  paper(background) {
    this.background = background;
    if (this.isEmpty) this._blank();
  }

  clear() {
    this._remember();
    this._blank();
    this.onChange(true);
  }

  get canUndo() { return this._past.length > 0; }
  get canRedo() { return this._future.length > 0; }

  undo() { this._travel(this._past, this._future); }
  redo() { this._travel(this._future, this._past); }

  /** Puts a picture on the sheet: all of it on line drawings, else as much as fills the sheet. @param {CanvasImageSource & {width: number, height: number}} picture @param {boolean} whole */
  place(picture, whole) {
    this._remember();
    this._blank();
    const { width, height } = this.canvas;
    const ratios = [width / picture.width, height / picture.height];
    const scale = whole ? Math.min(...ratios) : Math.max(...ratios);
    const [w, h] = [picture.width * scale, picture.height * scale];
    this.context.imageSmoothingQuality = "high";
    this.context.drawImage(picture, (width - w) / 2, (height - h) / 2, w, h);
    this.isEmpty = false;
    this.onChange(true);
  }

  /** Draws strokes that are given in units of the sheet's width. @param {string} path @param {number} units */
  strokes(path, units) {
    this._remember();
    this._blank();
    drawPath(this.context, path, this.canvas.width / units, this.width, this.colour);
    this.isEmpty = false;
    this.onChange(true);
  }

  /** The drawing at the size of the model's input. @param {number} width @param {number} height */
  picture(width, height) {
    // In halves, so that every pixel of a fine line counts.
    /** @type {HTMLCanvasElement} */
    let from = this.canvas;
    while (from.width > width || from.height > height) {
      const to = document.createElement("canvas");
      to.width = Math.max(width, Math.ceil(from.width / 2));
      to.height = Math.max(height, Math.ceil(from.height / 2));
      const context = /** @type {CanvasRenderingContext2D} */ (to.getContext("2d"));
      context.imageSmoothingQuality = "high";
      context.drawImage(from, 0, 0, to.width, to.height);
      from = to;
    }
    return /** @type {CanvasRenderingContext2D} */ (from.getContext("2d")).getImageData(0, 0, width, height);
  }

  /** The colours of a picture that has few of them. @returns {string[]} */
  colours() {
    const { width, height } = this.canvas;
    const { data } = this.context.getImageData(0, 0, width, height);
    /** @type {Map<string, number>} */
    const counts = new Map();
    let seen = 0;
    for (let i = 0; i < data.length; i += 4 * 37) {
      const key = [data[i], data[i + 1], data[i + 2]].map((one) => Math.min(255, 8 * Math.round(one / 8))).join();
      counts.set(key, (counts.get(key) ?? 0) + 1);
      seen += 1;
    }
    const common = [...counts].filter(([, count]) => count > seen / 400).sort((a, b) => b[1] - a[1]).slice(0, 16);
    const covered = common.reduce((sum, [, count]) => sum + count, 0);
    if (covered < 0.75 * seen) return [];
    return common.map(([key]) => `#${key.split(",").map((one) => Number(one).toString(16).padStart(2, "0")).join("")}`);
  }

  _blank() {
    this.context.fillStyle = this.background;
    this.context.fillRect(0, 0, this.canvas.width, this.canvas.height);
    this.isEmpty = true;
  }

  _state() {
    const { width, height } = this.canvas;
    return { pixels: this.context.getImageData(0, 0, width, height), isEmpty: this.isEmpty };
  }

  _remember() {
    this._past.push(this._state());
    if (this._past.length > MOST_STEPS) this._past.shift();
    this._future = [];
  }

  /** @param {{pixels: ImageData, isEmpty: boolean}[]} from @param {{pixels: ImageData, isEmpty: boolean}[]} to */
  _travel(from, to) {
    const state = from.pop();
    if (!state) return;
    to.push(this._state());
    this.context.putImageData(state.pixels, 0, 0);
    this.isEmpty = state.isEmpty;
    this.onChange(true);
  }

  /** @param {PointerEvent} event @returns {Point} */
  _point(event) {
    const box = this.canvas.getBoundingClientRect();
    return {
      x: ((event.clientX - box.left) / box.width) * this.canvas.width,
      y: ((event.clientY - box.top) / box.height) * this.canvas.height,
      pressure: event.pointerType === "pen" ? 0.3 + 1.2 * event.pressure : 1,
    };
  }

  /** @param {PointerEvent} event */
  _down(event) {
    if (this._pointer !== -1 || event.button > 0) return;
    this._remember();
    this.isEmpty = false;
    const point = this._point(event);
    if (this.tool === "fill") {
      fill(this.context, Math.floor(point.x), Math.floor(point.y), this.colour);
      this.onChange(true);
      return;
    }
    this._pointer = event.pointerId;
    this.canvas.setPointerCapture(event.pointerId);
    this._last = this._middle = this._start = point;
    this._segment(point, point, point);
    this.onChange(false);
  }

  /** @param {PointerEvent} event */
  _move(event) {
    if (event.pointerId !== this._pointer || !this._last || !this._middle) return;
    if (this.tool === "line") {
      const before = this._past.at(-1);
      if (before) this.context.putImageData(before.pixels, 0, 0);
      const start = /** @type {Point} */ (this._start);
      this._segment(start, start, this._point(event));
    } else {
      const events = event.getCoalescedEvents?.() ?? [];
      for (const one of events.length ? events : [event]) {
        const point = this._point(one);
        const middle = {
          x: (this._last.x + point.x) / 2, y: (this._last.y + point.y) / 2,
          pressure: (this._last.pressure + point.pressure) / 2,
        };
        this._segment(this._middle, this._last, middle);
        this._last = point;
        this._middle = middle;
      }
    }
    this.onChange(false);
  }

  /** @param {PointerEvent} event */
  _up(event) {
    if (event.pointerId !== this._pointer) return;
    if (this.tool !== "line" && this._middle && this._last) this._segment(this._middle, this._last, this._last);
    this._pointer = -1;
    this._last = this._middle = null;
    this.onChange(true);
  }

  /** A curve from one point to another, bent towards a third. @param {Point} from @param {Point} bend @param {Point} to */
  _segment(from, bend, to) {
    const context = this.context;
    const isEraser = this.tool === "erase";
    context.strokeStyle = isEraser ? this.background : this.colour;
    context.lineWidth = this.width * (isEraser ? 3 : 1) * to.pressure;
    context.lineCap = context.lineJoin = "round";
    context.beginPath();
    context.moveTo(from.x, from.y);
    context.quadraticCurveTo(bend.x, bend.y, to.x, to.y);
    context.stroke();
  }
}

/** @param {CanvasRenderingContext2D} context @param {string} path @param {number} scale @param {number} width @param {string} colour */
export function drawPath(context, path, scale, width, colour) {
  context.save();
  context.scale(scale, scale);
  context.lineWidth = width / scale;
  context.lineCap = context.lineJoin = "round";
  context.strokeStyle = colour;
  context.stroke(new Path2D(path));
  context.restore();
}

/** Fills what has the colour of a pixel and touches it. @param {CanvasRenderingContext2D} context @param {number} x @param {number} y @param {string} colour */
function fill(context, x, y, colour) {
  const { width, height } = context.canvas;
  if (x < 0 || y < 0 || x >= width || y >= height) return;
  const image = context.getImageData(0, 0, width, height);
  const data = image.data;
  const [red, green, blue] = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
  const first = 4 * (y * width + x);
  const seed = [data[first], data[first + 1], data[first + 2]];
  const done = new Uint8Array(width * height);
  /** @param {number} at */
  const fits = (at) => !done[at]
    && Math.abs(data[4 * at] - seed[0]) + Math.abs(data[4 * at + 1] - seed[1]) + Math.abs(data[4 * at + 2] - seed[2]) <= TOLERANCE;
  const stack = [y * width + x];
  while (stack.length) {
    const at = /** @type {number} */ (stack.pop());
    if (!fits(at)) continue;
    const row = Math.floor(at / width) * width;
    let [left, right] = [at, at];
    while (left > row && fits(left - 1)) left -= 1;
    while (right < row + width - 1 && fits(right + 1)) right += 1;
    for (let one = left; one <= right; one += 1) {
      done[one] = 1;
      data.set([red, green, blue, 255], 4 * one);
      if (row > 0 && fits(one - width)) stack.push(one - width);
      if (row + width < width * height && fits(one + width)) stack.push(one + width);
    }
  }
  context.putImageData(image, 0, 0);
}
