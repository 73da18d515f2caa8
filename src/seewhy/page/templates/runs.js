"use strict";
const byId = (id) => document.getElementById(id);

{% include "theme.js" %}

/* Sorts a table by a column: numbers the largest first, names in their order; again, the other way round. */
function sort(table, header) {
  const place = header.cellIndex, body = table.tBodies[0];
  const key = (row) => row.cells[place].dataset.key;
  const rows = [...body.rows];
  const numbers = rows.every((row) => key(row) !== "" && Number.isFinite(Number(key(row))));
  const before = header.getAttribute("aria-sort");
  const descending = before === "none" ? numbers : before === "ascending";
  rows.sort((a, b) => (numbers ? Number(key(a)) - Number(key(b)) : key(a).localeCompare(key(b))));
  if (descending) rows.reverse();
  body.append(...rows);
  for (const other of table.querySelectorAll("[aria-sort]")) other.setAttribute("aria-sort", "none");
  header.setAttribute("aria-sort", descending ? "descending" : "ascending");
}
for (const table of document.querySelectorAll("table.runs")) {
  for (const header of table.querySelectorAll("[aria-sort]")) {
    header.querySelector("button").addEventListener("click", () => sort(table, header));
  }
}
