/**
 * Keeps the files of this page, so that it opens without a network, and answers with the headers without which browsers
 * give a page no threads: from the second visit on it has them on any host. VERSION and FILES are filled in by the export.
 */
const VERSION = "";
/** @type {string[]} */
const FILES = [];
const ISOLATION = { "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp" };

/** @type {any} */
const worker = self;
const own = `tandem ${worker.registration.scope} `;

worker.addEventListener("install", (/** @type {any} */ event) => {
  event.waitUntil(caches.open(own + VERSION).then((cache) => cache.addAll(FILES)));
});

worker.addEventListener("activate", (/** @type {any} */ event) => {
  event.waitUntil(caches.keys().then((names) => Promise.all(
    names.filter((name) => name.startsWith(own) && name !== own + VERSION).map((name) => caches.delete(name)),
  )));
});

worker.addEventListener("fetch", (/** @type {any} */ event) => {
  if (event.request.method !== "GET" || !event.request.url.startsWith(worker.registration.scope)) return;
  event.respondWith(answered(event.request));
});

/** @param {Request} request */
async function answered(request) {
  const cache = await caches.open(own + VERSION);
  const answer = (await cache.match(request, { ignoreSearch: true })) ?? (await fetch(request));
  if (answer.status < 200) return answer; // one that nobody may look into, such as a redirection
  const headers = new Headers({ ...Object.fromEntries(answer.headers), ...ISOLATION });
  return new Response(answer.body, { status: answer.status, statusText: answer.statusText, headers });
}
