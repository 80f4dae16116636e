/**
 * The files beside the page, or those that a page of one file holds itself: elements with the id `asset:NAME` whose text is
 * base64. What is compressed (gzip) is inflated, unless the host has sent it as compressed and the browser has done that.
 */

const GZIP = [0x1f, 0x8b];

/** @param {string} name */
const inlined = (name) => document.getElementById(`asset:${name}`);

/** @param {string} name @returns {Uint8Array<ArrayBuffer> | null} */
function own(name) {
  const text = inlined(name)?.textContent;
  return text == null ? null : Uint8Array.from(atob(text.trim()), (one) => one.charCodeAt(0));
}

/** @param {string} name @returns {Promise<ArrayBuffer>} */
export async function bytes(name) {
  const bundled = own(name);
  const answer = bundled ? new Response(bundled) : await fetch(name);
  if (!answer.ok) throw new Error(`${name} is missing (${answer.status})`);
  const data = await answer.arrayBuffer();
  if (GZIP.some((byte, i) => new Uint8Array(data, 0, 2)[i] !== byte)) return data;
  const inflated = /** @type {ReadableStream} */ (new Response(data).body).pipeThrough(new DecompressionStream("gzip"));
  return new Response(inflated).arrayBuffer();
}

/** Where a module can be loaded from. @param {string} name */
export function address(name) {
  const bundled = own(name);
  if (!bundled) return new URL(name, document.baseURI).href;
  return URL.createObjectURL(new Blob([bundled], { type: "text/javascript" }));
}

/** @param {string} file @param {string} name  for the tools of the browser */
export function startWorker(file, name) {
  // Held by the page it is one script: from file:// browsers start no worker that is a module.
  return new Worker(address(file), { type: inlined(file) ? "classic" : "module", name });
}
