/* Images from the user: chosen, photographed, pasted, or dropped, also whole folders. */

const NOT_IMAGES = /^(\.|Thumbs\.db$|desktop\.ini$)/i;

/** Reads a dropped folder, file by file, in the order of the names. */
async function unfolded(entry) {
  if (entry.isFile) return [await new Promise((resolve, reject) => entry.file(resolve, reject))];
  const reader = entry.createReader(), entries = [];
  for (;;) { /* a reader gives a hundred at a time */
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) break;
    entries.push(...some);
  }
  entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  const files = [];
  for (const inner of entries) if (!NOT_IMAGES.test(inner.name)) files.push(...await unfolded(inner));
  return files;
}

async function dropped(transfer) {
  const entries = [...transfer.items].filter((item) => item.kind === "file").map((item) => item.webkitGetAsEntry?.());
  if (!entries.length || entries.includes(null) || entries.includes(undefined)) return [...transfer.files];
  const files = await Promise.all(entries.map((entry) => unfolded(entry).catch(() => [])));
  return files.flat();
}

/** Calls `take(files)` whenever the user gives some; `zone` is highlighted while they are dragged. */
export function listen(inputs, zone, take) {
  for (const input of inputs) {
    input.addEventListener("change", () => {
      take([...input.files]);
      input.value = ""; /* so that the same file can be chosen again */
    });
  }
  let depth = 0; /* of nested elements that the mouse has entered */
  const mark = (change) => { depth = Math.max(0, depth + change); zone.classList.toggle("over", depth > 0); };
  const carriesFiles = (event) => event.dataTransfer?.types.includes("Files");
  document.addEventListener("dragenter", (event) => { if (carriesFiles(event)) mark(1); });
  document.addEventListener("dragleave", (event) => { if (carriesFiles(event)) mark(-1); });
  document.addEventListener("dragover", (event) => { if (carriesFiles(event)) event.preventDefault(); });
  document.addEventListener("drop", async (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    mark(-depth);
    take(await dropped(event.dataTransfer));
  });
  document.addEventListener("paste", (event) => {
    const files = [...event.clipboardData.files];
    if (files.length) { event.preventDefault(); take(files); }
  });
}
