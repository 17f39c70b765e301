"use strict";
// Tables can be sorted and the leaderboard filtered. Without this script the page is complete, in its own order.
(() => {
  // "−5.1 %", "1.20 M" and "3 min 05 s" are numbers; an en dash is none.
  const scale = { k: 1e3, M: 1e6, G: 1e9 };
  const number = (text) => {
    const time = text.match(/^(?:(\d+) h )?(?:(\d+) min)?(?: ?([\d.]+) s)?$/);
    if (time && text) return (+time[1] || 0) * 3600 + (+time[2] || 0) * 60 + (+time[3] || 0);
    const found = text.replace("−", "-").match(/^([+-]?\d[\d.]*(?:e-?\d+)?)(?: ([kMG]))?/);
    return found ? parseFloat(found[1]) * (scale[found[2]] || 1) : NaN;
  };
  const cell = (row, column) => row.cells[column].textContent.trim();
  const sort = (table, column, direction) => {
    const body = table.tBodies[0];
    const rows = [...body.rows].map((row) => ({ row, text: cell(row, column), value: number(cell(row, column).replace(/^#/, "")) }));
    const numeric = table.tHead.rows[table.tHead.rows.length - 1].cells[column].classList.contains("number") || rows.some((item) => item.text.startsWith("#"));
    rows.sort((a, b) => {
      if (numeric) {
        const [x, y] = [isNaN(a.value), isNaN(b.value)];
        // What has no number comes last, whichever way.
        if (x || y) return x - y || a.text.localeCompare(b.text);
        return direction * (a.value - b.value);
      }
      return direction * a.text.localeCompare(b.text);
    });
    body.append(...rows.map((item) => item.row));
  };
  for (const table of document.querySelectorAll("table")) {
    const head = table.tHead && table.tHead.rows[table.tHead.rows.length - 1];
    if (!head || table.tBodies[0].rows.length < 3) continue;
    [...head.cells].forEach((heading, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...heading.childNodes);
      heading.append(button);
      button.addEventListener("click", () => {
        const ascends = heading.getAttribute("aria-sort") === "descending" || (!heading.hasAttribute("aria-sort") && !heading.classList.contains("number"));
        for (const other of head.cells) other.removeAttribute("aria-sort");
        heading.setAttribute("aria-sort", ascends ? "ascending" : "descending");
        sort(table, column, ascends ? 1 : -1);
      });
    });
  }
  const board = document.querySelector("#leaderboard .scroll");
  const rows = board ? [...board.querySelectorAll("tbody tr")] : [];
  if (rows.length > 2) {
    const label = document.createElement("label");
    label.className = "filter";
    label.textContent = "Show only rows that contain ";
    const field = document.createElement("input");
    field.type = "search";
    const count = document.createElement("output");
    label.append(field);
    const line = document.createElement("p");
    line.append(label, " ", count);
    board.before(line);
    field.addEventListener("input", () => {
      const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const row of rows) {
        const text = [...row.cells].map((item) => item.textContent).join(" ").toLowerCase();
        row.hidden = !words.every((word) => text.includes(word));
        shown += !row.hidden;
      }
      count.textContent = words.length ? `${shown} of ${rows.length} rows` : "";
    });
  }
})();
