"use strict";
(() => {
  const order = (cell) => (cell.dataset.order === undefined ? null : Number(cell.dataset.order));
  const compare = (column, sign) => (first, second) => {
    const [a, b] = [first.cells[column], second.cells[column]];
    const [x, y] = [order(a), order(b)];
    if (x !== null && y !== null) return sign * (x - y);
    if (x !== null || y !== null) return x === null ? 1 : -1;
    return sign * a.textContent.trim().localeCompare(b.textContent.trim(), "en", { numeric: true });
  };
  for (const table of document.querySelectorAll("table.settings")) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = head.textContent;
      button.title = "Sort by this column";
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const sign = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", sign === 1 ? "ascending" : "descending");
        const rows = [...table.tBodies[0].rows].sort(compare(column, sign));
        table.tBodies[0].append(...rows);
      });
    });
  }

  const link = document.getElementById("download");
  if (link && "DecompressionStream" in window) {
    const name = link.download.replace(/\.gz$/, "");
    link.download = name;
    document.getElementById("download-name").textContent = name;
    for (const part of document.querySelectorAll(".gz")) part.remove();
    let address = null;
    link.addEventListener("click", async (event) => {
      if (address !== null) return;
      event.preventDefault();
      const text = atob(link.href.slice(link.href.indexOf(",") + 1));
      const bytes = Uint8Array.from(text, (character) => character.charCodeAt(0));
      const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
      const content = await new Response(stream).blob();
      address = URL.createObjectURL(new Blob([content], { type: "application/json" }));
      link.href = address;
      link.click();
    });
  }

  window.addEventListener("beforeprint", () => {
    for (const part of document.querySelectorAll("details")) part.open = true;
  });
})();
