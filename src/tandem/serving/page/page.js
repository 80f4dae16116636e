import { hasCamera, takePicture } from "./camera.js";
import { download, element, paint, radios } from "./controls.js";
import { drawPath, Drawing } from "./drawing.js";
import { EngineError } from "./engine.js";
import { EXAMPLES, UNITS } from "./examples.js";
import { gif } from "./gif.js";
import { labelPng } from "./png.js";
import { labelColours, labelNames, outputClasses } from "./labels.js";
import { between, coordinates, near } from "./latent.js";
import { read, unpack, write } from "./link.js";
import { Later, Live } from "./live.js";
import { CELLS, Pad } from "./pad.js";
import { Tiles } from "./tiles.js";

/**
 * @typedef {import("./engine.js").Engine} Engine
 * @typedef {import("./engine.js").Model} Model
 * @typedef {import("./engine.js").Direction} Direction
 * @typedef {import("./engine.js").Prior} Prior
 * @typedef {{z: number[], isKept: boolean}} Style
 */

const SHEET_SIDE = 640;
const STRIP = 9;
const NEAR = 0.45;
const GIF_SIDE = 256;
const GIF_DELAY = 12;
const PATIENCE_MS = 4000; // more than that no map is worth
const SLOW_MS = 900; // from here on only the selected output follows a stroke
const WHITE_ABOVE = 0.5;
const MOST_FILE_BYTES = 50e6;
const SWATCHES = ["#000000", "#ffffff", "#d93a2b", "#f2a33a", "#f5e04c", "#3fa66b", "#2a78d6", "#7a4fc4"];

class Page {
  /** @param {Engine} engine */
  constructor(engine) {
    this.engine = engine;
    /** @type {import("./engine.js").Catalogue | null} */
    this.catalogue = null;
    /** @type {Model | null} */
    this.model = null;
    /** @type {Direction} */
    this.direction = "AtoB";
    this.seed = 0;
    this.count = 8;
    this.pick = 0;
    /** @type {Style[]} */
    this.styles = [];
    this.isCustom = false;
    /** @type {(ImageBitmap | null)[]} */
    this.outputs = [];
    this.view = "output";
    /** @type {Record<string, ImageBitmap>} */
    this.spread = {};
    this.msPerSample = 20;
    this.isDrawing = false;
    this._written = "";
    this._choseEnds = false;
    /** @type {ImageBitmap[]} */
    this._way = [];
    this._skipsMap = false;
    this._sharing = 0;
    this._alert = 0;
    this.isLineDrawing = true;
    /** @type {((button: HTMLButtonElement) => void) | undefined} */
    this.markDirection = undefined;

    this.drawing = new Drawing(element("drawing", HTMLCanvasElement), (isDone) => this.drawn(isDone));
    this.tiles = new Tiles((index) => this.choose(index), (index) => this.keep(index));
    this.pad = new Pad((z, changesMap) => this.setStyle(z, changesMap));
    this.live = new Live((what, signal) => this.compute(what, signal), (error) => this.fail(error), () => this.idle());
    this.map = new Later((signal) => this.computeMap(signal), 250);
    this.strip = new Later((signal) => this.computeStrip(signal), 350);
    this.unsure = new Later((signal) => this.computeSpread(signal), 200);
    this.wire();
  }

  // What is on the page at the start, and when the address changes.

  async start() {
    this.say("busy", "loading");
    try {
      this.catalogue = await this.engine.catalogue();
      const select = element("model", HTMLSelectElement);
      select.replaceChildren(...this.catalogue.models.map((name) => new Option(name)));
      element("model-field", HTMLLabelElement).hidden = this.catalogue.models.length < 2;
      await this.follow();
    } catch (error) {
      this.fail(error);
    }
  }

  /** Does what the address says. */
  async follow() {
    const shared = read(location.hash);
    const catalogue = /** @type {import("./engine.js").Catalogue} */ (this.catalogue);
    const name = shared.model && catalogue.models.includes(shared.model) ? shared.model : catalogue.default;
    if (shared.model && name !== shared.model) this.alert(`There is no model “${shared.model}” here: this is ${name}.`);
    const isOther = name !== this.model?.name;
    if (isOther) await this.useModel(name);
    const model = /** @type {Model} */ (this.model);
    const direction = model.directions.find((one) => one === shared.direction) ?? model.directions[0];
    this.useDirection(direction, isOther);
    this.count = Math.min(shared.count ?? this.count, catalogue.limits.samples);
    this.seed = shared.seed ?? (isOther ? Math.floor(1e4 * Math.random()) : this.seed);
    const given = shared.z && model.latent_dim ? unpack(shared.z, model.latent_dim) : null;
    if (shared.z && !given) this.alert("The latents of this link are damaged: these are new ones.");
    if (given) {
      this.count = given.length;
      this.useStyles(given.map((z) => ({ z, isKept: false })));
      this.isCustom = true;
    } else {
      this.styles = [];
      await this.draw(this.seed);
    }
    for (const at of shared.kept) if (this.styles[at]) this.styles[at].isKept = true;
    this.pick = Math.min(shared.pick ?? 0, this.styles.length - 1);
    this.refresh();
    this.live.ask("all");
  }

  /** @param {string} name */
  async useModel(name) {
    this.live.drop();
    const model = await this.engine.model(name);
    this.model = model;
    const [height, width] = model.size;
    const scale = Math.max(1, Math.round(SHEET_SIDE / Math.max(height, width)));
    element("model", HTMLSelectElement).value = name;
    document.documentElement.style.setProperty("--aspect", `${width} / ${height}`);
    this.pen(1.2 * scale * Math.max(1, Math.min(height, width) / 128));
    this.drawing.reset(width * scale, height * scale, "#ffffff");
    document.querySelector("main")?.classList.toggle("has-style", model.latent_dim > 0);
    for (const id of ["style", "between", "like", "lock", "save-z"]) {
      /** @type {HTMLElement} */ (document.getElementById(id)).hidden = !model.latent_dim;
    }
    element("reference", HTMLButtonElement).hidden = !model.encoder;
    element("shuffle", HTMLButtonElement).hidden = !model.stochastic;
    for (const id of ["count", "seed"]) {
      const label = document.getElementById(id)?.closest("label");
      if (label) label.hidden = !model.stochastic;
    }
    if (model.prior) this.pad.use(model.prior);
    const group = element("directions", HTMLDivElement);
    group.hidden = model.directions.length < 2;
    group.replaceChildren(...model.directions.map((direction) => {
      const button = document.createElement("button");
      button.setAttribute("role", "radio");
      button.dataset.direction = direction;
      button.textContent = direction === "AtoB" ? "A → B" : "B → A";
      return button;
    }));
    this.markDirection = radios(group, (button) => {
      this.useDirection(/** @type {Direction} */ (button.dataset.direction), false);
      this.share(true);
      this.live.ask("all");
    });
    const steps = model.steps ? `, ${model.steps.toLocaleString("en")} steps` : "";
    const facts = `${model.method}${steps}, ${width} × ${height} px`;
    const isAlone = (this.catalogue?.models.length ?? 1) < 2;
    element("facts", HTMLSpanElement).textContent = isAlone ? `${name} · ${facts}` : facts;
    await this.restore();
  }

  /** @param {Direction} direction @param {boolean} isNew */
  useDirection(direction, isNew) {
    const model = /** @type {Model} */ (this.model);
    const changed = isNew || direction !== this.direction;
    this.direction = direction;
    const button = document.querySelector(`[data-direction="${direction}"]`);
    if (button instanceof HTMLButtonElement) this.markDirection?.(button);
    const mean = model.input_mean[direction];
    const hasSpread = model.stochastic && !outputClasses(model, direction).length; // it is one of brightness
    element("views", HTMLDivElement).hidden = !hasSpread;
    if (!hasSpread) this.view = "output";
    const labels = labelColours(model, direction);
    this.isLineDrawing = !labels.length && (mean == null || mean > WHITE_ABOVE);
    if (changed) {
      this.drawing.paper(labels[0] ?? "#ffffff"); // white is no class
      this.offerColours([]);
    }
    element("examples", HTMLDivElement).hidden = !this.isLineDrawing;
  }

  // Styles.

  /** New samples in all places that are not kept. @param {number} seed */
  async draw(seed) {
    const model = /** @type {Model} */ (this.model);
    const count = model.stochastic ? this.count : 1;
    const drawn = model.latent_dim ? await this.engine.latents(model.name, seed, count) : Array(count).fill([]);
    const kept = this.styles;
    this.seed = seed;
    this.isCustom = drawn.some((_, i) => kept[i]?.isKept);
    this.useStyles(drawn.map((z, i) => (kept[i]?.isKept ? kept[i] : { z, isKept: false })));
  }

  /** @param {Style[]} styles */
  useStyles(styles) {
    const model = /** @type {Model} */ (this.model);
    if (styles.length !== this.styles.length || !document.querySelector("#tiles > li")) {
      this.tiles.build(styles.length, model.latent_dim > 0);
      this.outputs = styles.map(() => null);
    }
    this.styles = styles;
    this.pick = Math.min(this.pick, styles.length - 1);
    for (const id of ["from", "to"]) {
      const select = element(id, HTMLSelectElement);
      const before = select.selectedIndex;
      select.replaceChildren(...styles.map((_, i) => new Option(String(i + 1))));
      select.selectedIndex = Math.min(Math.max(before, 0), styles.length - 1);
    }
    if (!this._choseEnds && model.prior) {
      const [first, ...others] = styles.map((style) => coordinates(/** @type {Prior} */ (model.prior), style.z));
      const distances = others.map((one) => Math.hypot(...one.map((value, k) => value - first[k])));
      element("to", HTMLSelectElement).selectedIndex = 1 + distances.indexOf(Math.max(...distances));
    }
    element("between", HTMLElement).hidden = !model.latent_dim || styles.length < 2;
  }

  /** @param {number} index */
  choose(index) {
    this.pick = index;
    this.refresh();
    this.idle();
  }

  /** @param {number} index */
  keep(index) {
    this.styles[index].isKept = !this.styles[index].isKept;
    this.refresh();
  }

  /** @param {number[]} z @param {boolean} changesMap */
  setStyle(z, changesMap) {
    this.styles[this.pick] = { ...this.styles[this.pick], z };
    this.isCustom = true;
    this.share(false);
    this._skipsMap = !changesMap;
    this.live.ask("pick");
  }

  moreLikeThis() {
    const prior = this.model?.prior;
    if (!prior) return;
    const { z } = this.styles[this.pick];
    this.styles = this.styles.map((style, i) => (
      i === this.pick || style.isKept ? style : { z: near(prior, z, NEAR), isKept: false }
    ));
    this.isCustom = true;
    this.share(true);
    this.refresh();
    this.live.ask("all");
  }

  /** @param {number} seed */
  async shuffle(seed) {
    try {
      await this.draw(seed);
      this.share(true);
      this.refresh();
      this.live.ask("all");
    } catch (error) {
      this.fail(error);
    }
  }

  /** @param {File} file */
  async takeStyle(file) {
    const picture = await this.opened(file);
    if (!picture || !this.model) return;
    try {
      const z = await this.engine.encode(this.model.name, resized(picture, this.model.size));
      this.styles[this.pick] = { z, isKept: true };
      this.isCustom = true;
      this.refresh();
      this.live.ask("all");
      this.alert(`Output ${this.pick + 1} has the style of ${file.name} and is kept.`, true);
    } catch (error) {
      this.fail(error);
    }
  }

  // The drawing.

  /** @param {boolean} isDone */
  drawn(isDone) {
    this.isDrawing = !isDone;
    element("hint", HTMLDivElement).hidden = !this.drawing.isEmpty;
    element("undo", HTMLButtonElement).disabled = !this.drawing.canUndo;
    element("redo", HTMLButtonElement).disabled = !this.drawing.canRedo;
    this.map.cancel();
    this.strip.cancel();
    this._skipsMap = false;
    if (isDone) this.remember();
    const isSlow = this.msPerSample * this.styles.length > SLOW_MS;
    this.live.ask(this.isDrawing && isSlow && this.model?.latent_dim ? "pick" : "all");
    this.paintBefore();
  }

  /** @param {File} file */
  async openPicture(file) {
    const picture = await this.opened(file);
    if (picture) this.place(picture);
  }

  async photograph() {
    try {
      const picture = await takePicture();
      if (picture) this.place(picture);
    } catch (error) {
      console.info("no camera:", error);
      this.alert("The camera cannot be used: allow it for this page, and close what else uses it.");
    }
  }

  /** @param {ImageBitmap} picture */
  place(picture) {
    this.drawing.place(picture, this.isLineDrawing);
    if (!this.isLineDrawing) this.offerColours(this.drawing.colours());
  }

  /** @param {File} file @returns {Promise<ImageBitmap | null>} */
  async opened(file) {
    try {
      if (file.size > MOST_FILE_BYTES) throw new Error("too large");
      return await createImageBitmap(file);
    } catch {
      this.alert(`${file.name || "This"} is not a picture that this browser can read: take a PNG or JPEG of at most 50 MB.`);
      return null;
    }
  }

  remember() {
    try {
      if (this.drawing.isEmpty) sessionStorage.removeItem("tandem:drawing");
      else sessionStorage.setItem("tandem:drawing", this.drawing.canvas.toDataURL("image/png"));
    } catch (error) {
      console.info("the drawing is not kept for a reload:", error);
    }
  }

  async restore() {
    const kept = sessionStorage.getItem("tandem:drawing");
    if (kept) {
      const image = new Image();
      image.src = kept;
      await image.decode().then(() => this.drawing.place(image, true), () => sessionStorage.removeItem("tandem:drawing"));
    }
    element("hint", HTMLDivElement).hidden = !this.drawing.isEmpty;
  }

  /** @param {string[]} found  colours of a picture */
  offerColours(found) {
    const labels = labelColours(this.model, this.direction);
    const own = this.catalogue?.palette.length ? this.catalogue.palette : labels;
    const offered = own.length ? [...new Set(labels.length ? own : [...own, ...found])] : found.length ? found : this.isLineDrawing ? [] : SWATCHES;
    const group = element("palette", HTMLDivElement);
    group.hidden = !offered.length;
    const names = labelNames(this.model, this.direction);
    const chosen = document.createElement("span"); // the name of the class, for who cannot point at a colour to see it
    chosen.className = "quiet";
    const swatches = offered.map((colour) => {
      const button = document.createElement("button");
      button.setAttribute("role", "radio");
      button.setAttribute("aria-label", names.get(colour) ?? `Colour ${colour}`);
      button.title = names.get(colour) ?? colour;
      button.style.background = colour;
      button.dataset.colour = colour;
      return button;
    });
    const other = document.createElement("input");
    other.type = "color";
    other.setAttribute("aria-label", "Another colour");
    other.addEventListener("input", () => { this.drawing.colour = other.value; });
    group.replaceChildren(...swatches, ...(names.size ? [chosen] : [other])); // a label map has no other colours
    /** @param {string} colour */
    const use = (colour) => {
      this.drawing.colour = colour;
      chosen.textContent = names.get(colour) ?? "";
    };
    const first = Number(labels.length > 1); // one sees it on the sheet, which is of the first class
    swatches[first]?.setAttribute("aria-checked", "true");
    radios(group, (button) => use(button.dataset.colour ?? "#000000"));
    use(offered[first] ?? "#000000");
  }

  /** @param {number} width */
  pen(width) {
    this.drawing.width = width;
    const slider = element("width", HTMLInputElement);
    slider.max = String(Math.max(40, Math.round(4 * width)));
    slider.value = String(Math.round(width));
  }

  // What is computed.

  /** @param {import("./live.js").What} what @param {AbortSignal} signal */
  async compute(what, signal) {
    const model = /** @type {Model} */ (this.model);
    if (this.drawing.isEmpty) {
      this.outputs = this.outputs.map(() => null);
      this.outputs.forEach((_, i) => this.tiles.paint(i, null));
      this.paintOutput();
      this.say("ready", "");
      return;
    }
    this.say("busy", "");
    await this.engine.ready();
    const which = what === "pick" && model.latent_dim ? [this.pick] : this.styles.map((_, i) => i);
    const began = performance.now();
    /** @param {number} i @param {ImageBitmap} picture */
    const show = (i, picture) => {
      if (signal.aborted) return;
      this.outputs[which[i]] = picture;
      this.tiles.paint(which[i], picture);
      if (which[i] === this.pick) this.paintOutput();
    };
    const pictures = await this.translate(model.latent_dim ? which.map((i) => this.styles[i].z) : null, signal, show);
    const ms = performance.now() - began;
    this.msPerSample = ms / which.length;
    pictures.forEach((picture, i) => show(i, picture));
    this.say("ready", `${which.length} output${which.length > 1 ? "s" : ""} in ${duration(ms)}`);
  }

  /** @param {number[][] | null} z @param {AbortSignal} signal @param {import("./engine.js").OnOutput} [onOutput] */
  async translate(z, signal, onOutput) {
    const model = /** @type {Model} */ (this.model);
    const most = this.catalogue?.limits.samples ?? 1;
    const job = { ...this.job(), count: model.stochastic ? this.styles.length : 1 };
    if (!z) return this.engine.translate(job, signal, onOutput);
    const pictures = [];
    for (let first = 0; first < z.length; first += most) {
      pictures.push(...await this.engine.translate({ ...job, z: z.slice(first, first + most) }, signal, (index, picture) => (
        onOutput?.(first + index, picture)
      )));
    }
    return pictures;
  }

  job() {
    const model = /** @type {Model} */ (this.model);
    const [height, width] = model.size;
    const image = this.drawing.picture(width, height);
    return { model: model.name, direction: this.direction, image, seed: this.seed };
  }

  /** @param {AbortSignal} signal */
  async computeMap(signal) {
    if (this.drawing.isEmpty || this.msPerSample * CELLS * CELLS > PATIENCE_MS) return;
    const pictures = await this.translate(this.pad.cells(), signal);
    if (!signal.aborted) this.pad.paintMap(pictures);
  }

  /** @param {AbortSignal} signal */
  async computeStrip(signal) {
    const prior = this.model?.prior;
    if (!prior || this.styles.length < 2 || this.drawing.isEmpty) return;
    const [from, to] = ["from", "to"].map((id) => this.styles[element(id, HTMLSelectElement).selectedIndex].z);
    const way = between(prior, from, to, STRIP);
    const pictures = await this.translate(way, signal);
    if (signal.aborted) return;
    this._way = pictures;
    element("save-strip", HTMLButtonElement).disabled = false;
    element("strip", HTMLUListElement).replaceChildren(...pictures.map((picture, i) => {
      const item = document.createElement("li");
      const button = document.createElement("button");
      const canvas = document.createElement("canvas");
      paint(canvas, picture);
      button.setAttribute("aria-label", `Take step ${i + 1} of ${STRIP} for output ${this.pick + 1}`);
      button.append(canvas);
      button.addEventListener("click", () => {
        this.setStyle(way[i], true);
        this.pad.show(way[i]);
      });
      item.append(button);
      return item;
    }));
  }

  /** @param {AbortSignal} signal */
  async computeSpread(signal) {
    if (this.drawing.isEmpty || this.view === "output") return;
    try {
      const result = await this.engine.spread(this.job(), signal);
      this.spread = result.pictures;
      const share = `${(100 * result.flagged_share).toFixed(0)} % of the pixels`;
      element("note", HTMLParagraphElement).textContent = result.calibrated
        ? `Calibrated: intervals of ${100 * result.level} % hold so many of the values on average. ${share} are flagged as guessed.`
        : `From ${result.num_samples} samples, not calibrated: it says where they differ. ${share} are flagged.`;
      this.paintOutput();
    } catch (error) {
      if (!signal.aborted) this.fail(error);
    }
  }

  /** What follows when all outputs are up to date. */
  idle() {
    if (this.live.isBusy || this.isDrawing || !this.model?.latent_dim) {
      if (!this.isDrawing && this.view !== "output") this.unsure.ask();
      return;
    }
    if (!this._skipsMap) this.map.ask();
    this._skipsMap = false;
    this.strip.ask();
    if (this.view !== "output") this.unsure.ask();
  }

  // What is shown.

  refresh() {
    this.tiles.mark(this.pick, this.styles.map((style) => style.isKept));
    const style = this.styles[this.pick];
    if (style && this.model?.latent_dim) this.pad.show(style.z);
    element("picked", HTMLSpanElement).textContent = this.styles.length > 1 ? String(this.pick + 1) : "";
    element("lock", HTMLButtonElement).setAttribute("aria-pressed", String(Boolean(style?.isKept)));
    element("seed", HTMLInputElement).value = String(this.seed);
    element("samples-title", HTMLHeadingElement).closest("section")?.toggleAttribute("hidden", this.styles.length < 2);
    const count = element("count", HTMLSelectElement);
    if (![...count.options].some((one) => one.text === String(this.styles.length))) {
      count.add(new Option(String(this.styles.length)));
    }
    count.value = String(this.styles.length);
    this.paintOutput();
    this.share(false);
  }

  paintOutput() {
    document.querySelector("main")?.classList.toggle("is-empty", this.drawing.isEmpty);
    const canvas = element("output", HTMLCanvasElement);
    paint(canvas, this.view === "output" ? this.outputs[this.pick] ?? null : this.spread[this.view] ?? null);
    element("note", HTMLParagraphElement).hidden = this.view === "output";
    for (const id of ["save", "save-z", "compare"]) {
      element(id, HTMLButtonElement).disabled = !this.outputs[this.pick];
    }
  }

  paintBefore() {
    const before = element("before", HTMLDivElement);
    if (before.hidden) return;
    paint(element("before-drawing", HTMLCanvasElement), this.drawing.canvas);
    before.style.width = `${element("compare-at", HTMLInputElement).value}%`;
  }

  /** Puts what a link carries into the address. @param {boolean} isStep  whether “back” leads to what was before */
  share(isStep) {
    if (!this.model) return;
    const hash = write({
      model: this.model.name,
      direction: this.direction,
      seed: this.seed,
      count: this.styles.length,
      pick: this.pick,
      kept: this.styles.flatMap((style, i) => (style.isKept ? [i] : [])),
      z: this.isCustom && this.model.latent_dim ? this.styles.map((style) => style.z) : null,
    });
    if (hash === this._written) return;
    this._written = hash;
    clearTimeout(this._sharing);
    if (isStep) history.pushState(null, "", hash);
    else this._sharing = window.setTimeout(() => history.replaceState(null, "", hash), 150);
  }

  /** @param {"ready" | "busy" | "failed"} kind @param {string} text */
  say(kind, text) {
    const status = element("status", HTMLSpanElement);
    status.className = `status ${kind}`;
    const place = status.querySelector("span");
    if (place && (text || kind !== "busy")) place.textContent = text;
  }

  /** @param {string} text @param {boolean} [isGood] */
  alert(text, isGood = false) {
    const box = element("alert", HTMLDivElement);
    box.textContent = text;
    box.classList.toggle("good", isGood);
    box.hidden = false;
    clearTimeout(this._alert);
    this._alert = window.setTimeout(() => { box.hidden = true; }, 7000);
  }

  /** @param {unknown} error */
  fail(error) {
    console.info(error);
    this.say("failed", "");
    this.alert(error instanceof EngineError ? error.message : "Something went wrong on this page: reload it.");
  }

  // Where the page is touched.

  wire() {
    const tools = /** @type {HTMLElement} */ (document.querySelector("[aria-label=Tool]"));
    radios(tools, (button) => {
      this.drawing.tool = /** @type {import("./drawing.js").Tool} */ (button.dataset.tool);
    });
    const views = element("views", HTMLDivElement);
    radios(views, (button) => {
      this.view = button.dataset.view ?? "output";
      this.paintOutput();
      if (this.view !== "output") this.unsure.ask();
    });
    /** @param {string} id @param {() => void} react */
    const click = (id, react) => document.getElementById(id)?.addEventListener("click", react);
    click("undo", () => this.drawing.undo());
    click("redo", () => this.drawing.redo());
    click("clear", () => this.drawing.clear());
    click("open", () => element("file", HTMLInputElement).click());
    click("camera", () => void this.photograph());
    void hasCamera().then((found) => { element("camera", HTMLButtonElement).hidden = !found; });
    click("reference", () => element("reference-file", HTMLInputElement).click());
    click("lock", () => this.keep(this.pick));
    click("like", () => this.moreLikeThis());
    click("shuffle", () => void this.shuffle(Math.floor(1e6 * Math.random())));
    click("compare", () => this.compare());
    click("save", () => void this.save());
    click("save-z", () => this.saveLatent());
    click("save-strip", () => this.saveStrip());
    click("share", () => void this.copyLink());
    click("theme", () => turnTheme());
    click("neutral", () => {
      const prior = this.model?.prior;
      if (!prior) return;
      this.setStyle([...prior.mean], true);
      this.pad.show(prior.mean);
    });
    element("file", HTMLInputElement).addEventListener("change", (event) => this.chosen(event, (file) => this.openPicture(file)));
    element("reference-file", HTMLInputElement).addEventListener("change", (event) => this.chosen(event, (file) => this.takeStyle(file)));
    element("width", HTMLInputElement).addEventListener("input", (event) => {
      this.drawing.width = Number(/** @type {HTMLInputElement} */ (event.target).value);
    });
    element("compare-at", HTMLInputElement).addEventListener("input", () => this.paintBefore());
    element("model", HTMLSelectElement).addEventListener("change", (event) => {
      const name = /** @type {HTMLSelectElement} */ (event.target).value;
      location.hash = `#${new URLSearchParams({ model: name })}`;
    });
    element("seed", HTMLInputElement).addEventListener("change", (event) => {
      const input = /** @type {HTMLInputElement} */ (event.target);
      const seed = Number(input.value);
      if (Number.isInteger(seed) && seed >= 0) void this.shuffle(seed);
      else input.value = String(this.seed);
    });
    element("count", HTMLSelectElement).addEventListener("change", (event) => {
      this.count = Math.min(Number(/** @type {HTMLSelectElement} */ (event.target).value), this.catalogue?.limits.samples ?? 8);
      void this.shuffle(this.seed);
    });
    for (const id of ["from", "to"]) {
      element(id, HTMLSelectElement).addEventListener("change", () => {
        this._choseEnds = true;
        this.strip.ask();
      });
    }
    window.addEventListener("hashchange", () => {
      if (location.hash !== this._written) this.follow().catch((error) => this.fail(error));
    });
    window.addEventListener("keydown", (event) => this.pressed(event));
    window.addEventListener("paste", (event) => {
      const file = [...(event.clipboardData?.files ?? [])][0];
      if (file) void this.openPicture(file);
    });
    this.wireDrop();
    element("examples", HTMLDivElement).replaceChildren(...EXAMPLES.map(({ name, path }) => {
      const button = document.createElement("button");
      button.setAttribute("aria-label", `Begin with a ${name}`);
      const canvas = document.createElement("canvas");
      canvas.width = canvas.height = 128;
      drawPath(/** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d")), path, 128 / UNITS, 3.2, "#1d1c1a");
      button.append(canvas);
      button.addEventListener("click", () => this.drawing.strokes(path, UNITS));
      return button;
    }));
  }

  wireDrop() {
    const veil = element("drop", HTMLDivElement);
    window.addEventListener("dragover", (event) => {
      event.preventDefault();
      veil.hidden = !event.dataTransfer?.types.includes("Files");
    });
    window.addEventListener("dragleave", (event) => { if (!event.relatedTarget) veil.hidden = true; });
    window.addEventListener("drop", (event) => {
      event.preventDefault();
      veil.hidden = true;
      const file = event.dataTransfer?.files[0];
      if (file) void this.openPicture(file);
    });
  }

  /** @param {Event} event @param {(file: File) => Promise<void>} use */
  chosen(event, use) {
    const input = /** @type {HTMLInputElement} */ (event.target);
    const file = input.files?.[0];
    input.value = "";
    if (file) void use(file);
  }

  /** @param {KeyboardEvent} event */
  pressed(event) {
    if (event.target instanceof HTMLInputElement && event.target.type !== "range") return;
    if (event.target instanceof HTMLSelectElement || event.altKey) return;
    const key = event.key.toLowerCase();
    if (event.ctrlKey || event.metaKey) {
      if (key !== "z" && key !== "y") return;
      event.preventDefault();
      if (key === "y" || event.shiftKey) this.drawing.redo();
      else this.drawing.undo();
      return;
    }
    const tool = { b: "pen", l: "line", e: "erase", f: "fill" }[key];
    if (tool) {
      const button = document.querySelector(`[data-tool=${tool}]`);
      if (button instanceof HTMLButtonElement) button.click();
    }
    if (key === "[" || key === "]") {
      this.pen(Math.max(1, Math.round(this.drawing.width * (key === "[" ? 0.8 : 1.25))));
    }
    const buttons = { n: "shuffle", k: "lock", m: "like", c: "compare" };
    const id = buttons[/** @type {"n" | "k" | "m" | "c"} */ (key)];
    const button = id && document.getElementById(id);
    if (button && !button.hidden) button.click();
  }

  compare() {
    const button = element("compare", HTMLButtonElement);
    const isOn = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(isOn));
    element("before", HTMLDivElement).hidden = !isOn;
    element("compare-at", HTMLInputElement).hidden = !isOn;
    this.paintBefore();
  }

  async save() {
    const picture = this.outputs[this.pick];
    if (!picture || !this.model) return;
    const canvas = document.createElement("canvas");
    paint(canvas, picture);
    const name = `${this.model.name}-${this.seed}-${this.pick + 1}.png`;
    const classes = outputClasses(this.model, this.direction);
    if (classes.length && classes.every((one) => one.value < 256)) {
      const { data } = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d")).getImageData(0, 0, canvas.width, canvas.height);
      download(await labelPng(data, canvas.width, canvas.height, classes), name);
      return;
    }
    canvas.toBlob((blob) => { if (blob) download(blob, name); });
  }

  /** The strip there and back, enlarged where it is small. */
  saveStrip() {
    const { width, height } = this._way[0];
    const scale = Math.max(1, Math.round(GIF_SIDE / Math.max(width, height)));
    const frames = this._way.map((picture) => {
      const canvas = document.createElement("canvas");
      canvas.width = width * scale;
      canvas.height = height * scale;
      const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
      context.imageSmoothingQuality = "high";
      context.drawImage(picture, 0, 0, canvas.width, canvas.height);
      return context.getImageData(0, 0, canvas.width, canvas.height);
    });
    const there = frames.map((_, i) => i);
    download(gif(frames, [...there, ...there.slice(1, -1).reverse()], GIF_DELAY), `${this.model?.name}-${this.seed}.gif`);
  }

  saveLatent() {
    const text = JSON.stringify([this.styles[this.pick].z]);
    download(new Blob([text], { type: "application/json" }), `${this.model?.name}-${this.seed}-${this.pick + 1}.json`);
  }

  async copyLink() {
    history.replaceState(null, "", this._written);
    try {
      await navigator.clipboard.writeText(location.href);
      this.alert("The link is copied. It carries model, seed and latents, not the drawing.", true);
    } catch {
      this.alert("The browser does not let this page copy: take the link from the address bar.");
    }
  }
}

/** @param {ImageBitmap} picture @param {[number, number]} size */
function resized(picture, [height, width]) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.imageSmoothingQuality = "high";
  context.fillStyle = "#fff";
  context.fillRect(0, 0, width, height);
  context.drawImage(picture, 0, 0, width, height);
  return context.getImageData(0, 0, width, height);
}

/** A time for people. @param {number} ms */
function duration(ms) {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

function turnTheme() {
  const root = document.documentElement;
  const isDark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = isDark ? "light" : "dark";
  localStorage.setItem("tandem:theme", root.dataset.theme);
}

/** Opens the page with what computes its outputs. @param {Engine} engine */
export function openPage(engine) {
  const theme = localStorage.getItem("tandem:theme");
  if (theme) document.documentElement.dataset.theme = theme;
  void new Page(engine).start();
}
