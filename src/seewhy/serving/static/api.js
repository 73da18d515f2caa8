/* Requests to the server: the API key, retries when it is busy, and errors as sentences. */

import { askForKey } from "./key.js";

const RETRIES = 8;
const LONGEST = 30; /* seconds between two tries */
const LARGEST = 64 * 2 ** 20; /* bytes that a server takes at once */

/** What went wrong: a code, a sentence, and whether trying again may help. */
export class ApiError extends Error {
  constructor(code, message, { retry = false, status = 0 } = {}) {
    super(message);
    Object.assign(this, { code, retry, status });
  }
}

let key = null; /* kept in memory only */
const resumeAt = {}; /* by path the time until which requests wait, since the server is busy */

const ABORTED = () => new ApiError("cancelled", "Cancelled.", { retry: true });

function sleep(seconds, signal) {
  return new Promise((resolve, reject) => {
    const stop = () => { clearTimeout(timer); reject(ABORTED()); };
    const timer = setTimeout(() => { signal?.removeEventListener("abort", stop); resolve(); }, 1000 * seconds);
    signal?.addEventListener("abort", stop, { once: true });
  });
}

async function send(path, values = {}, { body = null, signal = null, as = "json" } = {}) {
  for (let attempt = 0; ; attempt++) {
    if (signal?.aborted) throw ABORTED();
    const pause = (resumeAt[path] ?? 0) - Date.now();
    if (pause > 0) await sleep(pause / 1000, signal);
    const used = key;
    let response;
    try {
      response = await fetch(`${path}?${query(values)}`, {
        method: body ? "POST" : "GET", body, signal, credentials: "omit", redirect: "error", cache: "no-store",
        headers: used ? { Authorization: `Bearer ${used}` } : {},
      });
    } catch {
      if (signal?.aborted) throw ABORTED();
      if (attempt < 2) { await sleep(2 ** attempt / 2, signal); continue; }
      throw new ApiError("offline", "The server cannot be reached. Check the connection, then continue.", { retry: true });
    }
    if (response.ok) return response[as]();
    const { error = {} } = await response.json().catch(() => ({}));
    const busy = response.status === 429 || (response.status === 503 && error.code !== "timeout");
    if (busy && attempt < RETRIES) {
      const seconds = Math.min(Number(response.headers.get("Retry-After")) || 1, LONGEST);
      resumeAt[path] = Math.max(resumeAt[path] ?? 0, Date.now() + 1000 * seconds * (1 + Math.random() / 4));
      continue;
    }
    if (response.status === 401) {
      if (used === key) key = await askForKey(used !== null);
      if (key !== null) { attempt = 0; continue; }
      error.message = "This server answers only those who have its key.";
    }
    throw new ApiError(error.code ?? `http_${response.status}`, error.message ?? `The server answered ${response.status}.`,
      { retry: busy || response.status === 401 || response.status === 408, status: response.status });
  }
}

const query = (values) => new URLSearchParams(Object.entries(values).filter(([, value]) => value !== null)).toString();

function form(file) {
  if (file.size > LARGEST) throw new ApiError("too_large", "The file has more than 64 MiB.");
  const body = new FormData();
  body.append("file", file, file.name || "image");
  return body;
}

export const models = async () => (await send("/models")).models;
export const info = (model) => send("/info", { model });

/** The answer of a model to one image: {label, confidence, answer, top, model, request_id}. */
export async function predict(file, model, top, signal) {
  const answer = await send("/predict", { model, top_k: top }, { body: form(file), signal });
  const [result] = answer.results;
  if (result.status !== "ok") throw new ApiError(result.error.code, result.error.message, { status: 422 });
  return { ...result, model: answer.model, request_id: answer.request_id };
}

export const explain = (file, model, method, target, signal) =>
  send("/explain", { model, method, target }, { body: form(file), signal });

/** Answers that a person should look at: {items, counts, classes}. */
export const queue = (most) => send("/review/queue", { most });

/** The image of one of them, as a blob. */
export const keptImage = (item) => send(`/review/image/${item.request_id}/${item.image}`, {}, { as: "blob" });

/** Says which class is right; null takes it back. */
export const setLabel = ({ request_id, image }, label) =>
  send("/review/label", {}, { body: JSON.stringify({ request_id, image, label }) });
