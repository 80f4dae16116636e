/** Keeps the files of this page, so that it opens without a network. Both constants are filled in by the export. */
const VERSION = "";
/** @type {string[]} */
const FILES = [];

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
  return (await cache.match(request, { ignoreSearch: true })) ?? fetch(request);
}
