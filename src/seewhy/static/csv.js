/* The answers as a table, with the columns of `seewhy predict`; no cell can act as a formula in a spreadsheet. */

const FORMULA = /^[=+\-@\t\r\n\0＝＋－＠]/;
const cell = (value) => {
  if (typeof value === "number") return String(value);
  const text = FORMULA.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
};

/** A row for each image and model; `rows` are {file, model, digest, result} or {..., error}. */
export function table(rows, top) {
  const ranks = Array.from({ length: top }, (_, rank) => (rank ? `_${rank + 1}` : ""));
  const header = ["path", "model", "status", ...ranks.flatMap((rank) => [`label${rank}`, `confidence${rank}`]),
    "model_digest", "code", "error", "answer"];
  const lines = rows.map(({ file, model, digest, result, error }) => [
    file, model, result ? "ok" : "error",
    ...ranks.flatMap((_, rank) => (result?.top[rank] ? [result.top[rank].label, result.top[rank].confidence] : ["", ""])),
    digest, error?.code ?? "", error?.message ?? "", result?.answer ?? "",
  ]);
  return [header, ...lines].map((cells) => `${cells.map(cell).join(",")}\r\n`).join("");
}

/** Offers a text as a file to save. */
export function save(text, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
