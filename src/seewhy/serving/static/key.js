/* The API key, where the server asks for one. */

import { byId } from "./dom.js";

function ask(refused) {
  const dialog = byId("key-dialog"), input = byId("key");
  byId("key-fault").textContent = refused ? "The server refused this key." : "";
  if (!dialog.open) dialog.showModal();
  return new Promise((resolve) => {
    const answer = (value) => { form.removeEventListener("submit", use); dialog.removeEventListener("close", none); dialog.close(); input.value = ""; resolve(value); };
    const use = (event) => { event.preventDefault(); answer(input.value.trim()); };
    const none = () => answer(null);
    const form = byId("key-form");
    form.addEventListener("submit", use);
    dialog.addEventListener("close", none);
  });
}

let asking = null; /* one dialog for all requests that wait for a key */

/** Gets a key from the user: a promise of it, or of null; `refused` says that the last one was wrong. */
export function askForKey(refused) {
  return (asking ??= ask(refused).finally(() => { asking = null; }));
}

byId("key-cancel").addEventListener("click", () => byId("key-dialog").close());
