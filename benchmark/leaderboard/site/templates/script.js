"use strict";
// A table's rows in the order of the column whose header was pressed; once more turns the order round.
for (const table of document.querySelectorAll("table.sortable")) {
  const headers = [...table.tHead.rows[0].cells];
  headers.forEach((header, column) => {
    header.querySelector("button").addEventListener("click", () => {
      const firstIsBest = header.matches(".text, .composer") || header.textContent.trim() === "#";
      const now = header.getAttribute("aria-sort");
      const next = now === "none" ? (firstIsBest ? "ascending" : "descending") : now === "ascending" ? "descending" : "ascending";
      for (const other of headers) other.setAttribute("aria-sort", "none");
      header.setAttribute("aria-sort", next);
      const value = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent.trim();
      const compare = (left, right) => {
        const [a, b] = [value(left), value(right)];
        return isNaN(a) || isNaN(b) ? a.localeCompare(b) : a - b;
      };
      const rows = [...table.tBodies[0].rows].sort(compare);
      if (next === "descending") rows.reverse();
      table.tBodies[0].append(...rows);
    });
  });
}
for (const filter of document.querySelectorAll(".filter")) {
  const input = filter.querySelector("input");
  const found = filter.querySelector(".found");
  const rows = [...filter.parentElement.querySelector("table").tBodies[0].rows];
  const haystacks = new Map(rows.map((row) => [row, row.textContent.toLowerCase()]));
  filter.hidden = false;
  input.addEventListener("input", () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const row of rows) row.hidden = !words.every((word) => haystacks.get(row).includes(word));
    const shown = rows.filter((row) => !row.hidden).length;
    found.textContent = words.length ? `${shown} of ${rows.length} shown` : "";
  });
  input.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      input.value = "";
      input.dispatchEvent(new Event("input"));
    }
  });
}
