/* The API key or the operator's token, where the server asks for one. */

import { byId, make } from "./dom.js";

const dialog = byId("key-dialog"), { name } = dialog.dataset;
const input = Object.assign(make("input"), { id: "key", type: "password", autocomplete: "off", spellcheck: false, required: true, pattern: "[ -~]+", title: "letters, digits and signs of ASCII" });
const fault = Object.assign(make("p", "fault"), { id: "key-fault", role: "alert" });
const use = Object.assign(make("button", "button strong", `Use this ${name}`), { type: "submit" });
const cancel = Object.assign(make("button", "button", "Cancel"), { type: "button" });
const label = make("label", "", `${name[0].toUpperCase()}${name.slice(1)} `, input);
const form = make("form", "sheet", ...dialog.children, label, fault, make("div", "buttons", use, cancel));
dialog.append(form);
cancel.addEventListener("click", () => dialog.close());

function ask(refused) {
  fault.textContent = refused ? `The server refused this ${name}.` : "";
  if (!dialog.open) dialog.showModal();
  return new Promise((resolve) => {
    const answer = (value) => { form.removeEventListener("submit", given); dialog.removeEventListener("close", none); dialog.close(); input.value = ""; resolve(value); };
    const given = (event) => { event.preventDefault(); answer(input.value.trim()); };
    const none = () => answer(null);
    form.addEventListener("submit", given);
    dialog.addEventListener("close", none);
  });
}

let asking = null; /* one dialog for all requests that wait for a key */

/** Gets a key from the user: a promise of it, or of null; `refused` says that the last one was wrong. */
export function askForKey(refused) {
  return (asking ??= ask(refused).finally(() => { asking = null; }));
}
