/** Small pieces of the page. */

/** @template {HTMLElement} T @param {string} id @param {new () => T} kind @returns {T} */
export function element(id, kind) {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`the page has no ${id}`);
  return found;
}

/** Draws a picture over a canvas, or empties it. @param {HTMLCanvasElement} canvas @param {ImageBitmap | HTMLCanvasElement | null} picture */
export function paint(canvas, picture) {
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  if (!picture) {
    context.clearRect(0, 0, canvas.width, canvas.height);
    return;
  }
  if (canvas.width !== picture.width || canvas.height !== picture.height) {
    canvas.width = picture.width;
    canvas.height = picture.height;
  }
  context.clearRect(0, 0, canvas.width, canvas.height);
  context.drawImage(picture, 0, 0);
}

/**
 * A group of which one is chosen: by click, or with the arrow keys.
 *
 * @param {HTMLElement} group @param {(button: HTMLButtonElement) => void} onChoose
 * @returns {(button: HTMLButtonElement) => void} chooses one
 */
export function radios(group, onChoose) {
  const all = () => /** @type {HTMLButtonElement[]} */ ([...group.querySelectorAll("[role=radio]")]);
  /** @param {HTMLButtonElement} chosen */
  const mark = (chosen) => {
    for (const one of all()) {
      one.setAttribute("aria-checked", String(one === chosen));
      one.tabIndex = one === chosen ? 0 : -1;
    }
  };
  const first = all().find((one) => one.getAttribute("aria-checked") === "true") ?? all()[0];
  if (first) mark(first);
  /** @param {HTMLButtonElement} chosen */
  const choose = (chosen) => {
    mark(chosen);
    onChoose(chosen);
  };
  group.onclick = (event) => {
    const button = event.target instanceof Element ? event.target.closest("[role=radio]") : null;
    if (button instanceof HTMLButtonElement) choose(button);
  };
  group.onkeydown = (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    const buttons = all();
    const at = buttons.findIndex((one) => one === document.activeElement);
    if (!step || at < 0) return;
    event.preventDefault();
    const next = buttons[(at + step + buttons.length) % buttons.length];
    next.focus();
    choose(next);
  };
  return mark;
}

/** @param {string} name */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

/** @param {Blob} blob @param {string} name */
export function download(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
