import { element } from "./controls.js";
import { read } from "./link.js";
import { openPage } from "./page.js";
import { Service } from "./service.js";

// The page of the service.

/** @returns {Promise<string>} */
function askToken() {
  const dialog = element("ask-token", HTMLDialogElement);
  if (!dialog.open) dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(element("token", HTMLInputElement).value.trim()), { once: true });
  });
}

const service = new Service(askToken);
const { token } = read(location.hash);
if (token) {
  service.useToken(token);
  const others = new URLSearchParams(location.hash.slice(1));
  others.delete("token");
  history.replaceState(null, "", `#${others}`);
}
openPage(service);
