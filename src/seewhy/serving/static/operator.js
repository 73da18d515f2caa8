/* Asks for the operator's token once, and for the newest state every few seconds. */

import { byId } from "./dom.js";
import { askForKey } from "./key.js";

let token = null; /* kept in memory only */

/** The response at a path, with the token where there is one. */
export const get = (path) => fetch(path, { credentials: "omit", redirect: "error", cache: "no-store", headers: token ? { Authorization: `Bearer ${token}` } : {} });

async function ask(path) {
  for (;;) {
    const used = token;
    const response = await get(path);
    if (response.ok) return response.text();
    if (response.status !== 401) {
      const { error = {} } = await response.json().catch(() => ({}));
      throw new Error(error.message ?? `The server answered ${response.status}.`);
    }
    token = await askForKey(used !== null);
    if (token === null) throw new Error("Without the token of its operator the server tells nothing: load the page again to give it.");
  }
}

/** Hands what the server says at a path to `show`, and again whenever it has changed. */
export async function watch(path, seconds, show, shown = "") {
  try {
    const text = await ask(path);
    if (text !== shown) byId("status").textContent = await show(JSON.parse(text)) ?? ""; /* nothing moves under a reader's eyes */
    shown = text;
  } catch (error) {
    byId("status").textContent = error instanceof TypeError ? "The server cannot be reached." : error.message;
    shown = "";
    if (token === null) return;
  }
  setTimeout(() => watch(path, seconds, show, shown), 1000 * seconds);
}
