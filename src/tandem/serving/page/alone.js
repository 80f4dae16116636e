import { Browser } from "./browser.js";
import { openPage } from "./page.js";

// The page without a server: the model runs in the browser.

const asked = new URLSearchParams(location.search);
const engine = new Browser({ engine: asked.get("engine"), threads: Number(asked.get("threads")) || undefined });
/** For programs, and for the console of the browser: what computes. */
Object.assign(globalThis, { tandem: { engine } });
openPage(engine);
const isOwnFile = document.getElementById("asset:model.json") !== null;
if (!isOwnFile && "serviceWorker" in navigator) {
  navigator.serviceWorker.register("offline.js").catch((error) => console.info("not kept for later without a network:", error));
}
