/* The model on this device: loaded and verified once, then asked for each image. Nothing is sent anywhere. */

import { decide } from "./decision.js";
import { ImageFault, pixels } from "./pixels.js";

const RUNTIME = "runtime/ort.wasm.bundle.min.js", BINARY = "runtime/ort-wasm-simd-threaded.wasm", MODEL = "model.onnx";

/** What went wrong: a code, a sentence, and whether trying again may help. */
export class ApiError extends Error {
  constructor(code, message, retry = false) {
    super(message);
    Object.assign(this, { code, retry });
  }
}

let opening = null; /* a promise of {about, session, Tensor} */
let turn = Promise.resolve(); /* one image at a time: a large one takes 100 MB while it is decoded */

/** The bytes of a file, if they are those that were exported; a stale copy of the browser's is replaced. */
async function verified(name, integrity) {
  for (const cache of ["default", "reload"]) {
    const bytes = await fetch(name, { cache, integrity }).then((response) => response.arrayBuffer()).catch(() => null);
    if (bytes) return bytes;
  }
  const reached = await fetch(name, { method: "HEAD", cache: "no-store" }).then(({ ok }) => ok, () => false);
  throw reached
    ? new ApiError("damaged", `${name} is not the file that was exported: its sha256 differs. Copy the folder to the host again.`, true)
    : new ApiError("offline", `${name} cannot be loaded. Check the connection, then try again.`, true);
}

async function open() {
  const response = await fetch("model.json", { cache: "no-cache" }).catch(() => null);
  if (!response?.ok) throw new ApiError("offline", "model.json cannot be loaded. Check the connection, then try again.", true);
  const about = await response.json();
  const [model, wasmBinary] = await Promise.all([MODEL, BINARY].map((name) => verified(name, about.integrity[name])));
  const ort = await import(`./${RUNTIME}`).catch(() => {
    throw new ApiError("offline", `${RUNTIME} cannot be loaded. Check the connection, then try again.`, true);
  });
  Object.assign(ort.env.wasm, { numThreads: 1, wasmBinary });
  try {
    const session = await ort.InferenceSession.create(new Uint8Array(model), { executionProviders: ["wasm"] });
    return { about, session, Tensor: ort.Tensor };
  } catch (error) {
    throw new ApiError("unsupported", `This browser cannot run the model (${error.message}): update it, or try another one.`, true);
  }
}

const opened = () => (opening ??= open().catch((error) => { opening = null; throw error; }));

export const models = async () => [(await opened()).about];
export const info = async () => (await opened()).about;

/** The answer to one image: {label, confidence, answer, top, model}. */
export function predict(file, name, top, signal) {
  const answer = turn.then(() => answered(file, top, signal));
  turn = answer.catch(() => null);
  return answer;
}

async function answered(file, top, signal) {
  if (signal?.aborted) throw new ApiError("cancelled", "Cancelled.", true);
  const { about, session, Tensor } = await opened();
  let input;
  try {
    input = await pixels(file, about.rule);
  } catch (error) {
    throw error instanceof ImageFault ? new ApiError(error.code, error.message) : error;
  }
  const { size } = about.rule;
  const wanted = about.decision.scope?.means.length ? ["logits", "embeddings"] : ["logits"];
  const outputs = await session.run({ images: new Tensor("uint8", input, [1, size, size, 3]) }, wanted);
  const logits = [...outputs.logits.data];
  if (!logits.every(Number.isFinite)) throw new ApiError("model_output_invalid", "The model’s output is not a number.");
  const decided = decide(logits, [...(outputs.embeddings?.data ?? [])], about.decision, about.classes, top);
  return { ...decided, logits, model: { name: about.name, digest: about.digest } };
}
