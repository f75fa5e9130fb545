"use strict";
// Rows sort within their base: best first, worst first, the plan's order. Everything works without this but sorting.
for (const table of document.querySelectorAll(".forest")) {
  const bodies = [...table.tBodies].map((body) => [body, [...body.rows]]);
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, at) => {
    const button = head.querySelector("button");
    if (!button) return;
    button.addEventListener("click", () => {
      const was = head.getAttribute("aria-sort");
      const now = was === "descending" ? "ascending" : was === "ascending" ? "" : "descending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      if (now) head.setAttribute("aria-sort", now);
      const sign = now === "ascending" ? 1 : -1;
      const value = (row) => {
        const cell = row.cells[at];
        if (!cell || cell.dataset.v === "") return null;
        return cell.dataset.v === undefined ? cell.textContent : Number(cell.dataset.v);
      };
      for (const [body, rows] of bodies) {
        const fixed = rows.filter((row) => row.matches(".base, .gh"));
        const moved = rows.filter((row) => !row.matches(".base, .gh"));
        if (now) moved.sort((one, other) => {
          const [a, b] = [value(one), value(other)];
          if (a === null || b === null) return (a === null) - (b === null);
          return sign * (typeof a === "string" ? a.localeCompare(b) : a - b);
        });
        body.append(...fixed, ...moved);
      }
    });
  });
}
const links = new Map([...document.querySelectorAll("nav a")].map((link) => [link.hash.slice(1), link]));
const seen = new IntersectionObserver((entries) => {
  for (const entry of entries) if (entry.isIntersecting) {
    links.forEach((link) => link.removeAttribute("aria-current"));
    links.get(entry.target.id)?.setAttribute("aria-current", "true");
  }
}, { rootMargin: "0px 0px -70% 0px" });
document.querySelectorAll("main > section").forEach((section) => seen.observe(section));
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((fold) => { fold.open = true; }));
