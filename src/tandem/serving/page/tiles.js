import { element, icon, paint } from "./controls.js";

/** The row of outputs. */
export class Tiles {
  /** @param {(index: number) => void} onPick @param {(index: number) => void} onKeep */
  constructor(onPick, onKeep) {
    this._list = element("tiles", HTMLUListElement);
    this._onPick = onPick;
    this._onKeep = onKeep;
  }

  /** @param {number} count @param {boolean} canKeep */
  build(count, canKeep) {
    this._list.style.setProperty("--columns", String(count > 8 ? Math.ceil(count / 2) : Math.max(count, 4)));
    this._list.replaceChildren(...Array.from({ length: count }, (_, index) => {
      const item = document.createElement("li");
      item.className = "tile";
      const button = document.createElement("button");
      button.setAttribute("aria-label", `Output ${index + 1}`);
      button.append(document.createElement("canvas"));
      button.addEventListener("click", () => this._onPick(index));
      item.append(button);
      if (canKeep) {
        const keep = document.createElement("button");
        keep.className = "keep";
        keep.setAttribute("aria-label", `Keep style ${index + 1}`);
        keep.title = "Keep this style";
        keep.append(icon("lock"));
        keep.addEventListener("click", () => this._onKeep(index));
        item.append(keep);
      }
      return item;
    }));
  }

  /** @param {number} pick @param {boolean[]} kept */
  mark(pick, kept) {
    [...this._list.children].forEach((item, index) => {
      item.classList.toggle("picked", index === pick);
      item.querySelector("button")?.setAttribute("aria-pressed", String(index === pick));
      item.querySelector(".keep")?.setAttribute("aria-pressed", String(kept[index]));
    });
  }

  /** @param {number} index @param {ImageBitmap | null} picture */
  paint(index, picture) {
    const canvas = this._list.children[index]?.querySelector("canvas");
    if (canvas) paint(canvas, picture);
  }
}
