"use strict";
// Rows sort within their base: best first, worst first, the plan's order. Bars, marks and curves tell what they are, a
// row and its curve show each other: under the pointer, and by the keyboard at their links. What is told stands in the
// page, so everything else works without this.
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
const tip = document.body.appendChild(document.createElement("div"));
tip.id = "tip";
tip.setAttribute("aria-hidden", "true");
const cross = document.createElement("i");
const hide = () => { tip.textContent = ""; cross.remove(); };
const say = (text, x, y) => {
  tip.textContent = text;
  const { offsetWidth: w, offsetHeight: h } = tip;
  tip.style.left = `${Math.max(6, Math.min(innerWidth - w - 6, x + 12))}px`;
  tip.style.top = `${y + h + 22 > innerHeight ? y - h - 12 : y + 16}px`;
};
const read = (area, x) => { // a panel's lines at the step nearest to x, off the drawing
  const [[x0, x1], [y0, y1]] = [area.dataset.x, area.dataset.y].map((ends) => ends.split(" ").map(Number));
  const box = area.getBoundingClientRect(), at = 1000 * (x - box.left) / box.width;
  const digits = Math.max(0, Math.ceil(-Math.log10((y1 - y0) / 1000)) - 1);
  const told = [...area.querySelectorAll("[data-name]")].map((path) => {
    const d = path.getAttribute("d").split(/[M ]/).filter(Boolean).map(Number);
    let i = 0;
    for (let k = 0; k < d.length; k += 2) if (Math.abs(d[k] - at) < Math.abs(d[i] - at)) i = k;
    const far = d[i + 1] <= -1400 || d[i + 1] >= 2400;
    const value = far ? "beyond the axis" : (y1 - (y1 - y0) * d[i + 1] / 1000).toFixed(digits);
    return { step: d[i], text: `${path.dataset.name}  ${value}` };
  });
  if (!told.length) return "";
  cross.style.left = `${told[0].step / 10}%`;
  area.append(cross);
  const step = x0 + (x1 - x0) * told[0].step / 1000;
  return [x1 - x0 > 500 ? step.toPrecision(3) : Math.round(step), ...told.map((one) => one.text)].join("\n");
};
const joined = document.querySelectorAll("[data-of]");
const join = (target) => {
  const name = target.closest?.("[data-of]")?.dataset.of;
  joined.forEach((one) => one.classList.toggle("on", one.dataset.of === name));
};
addEventListener("pointermove", (event) => {
  const { target, clientX: x, clientY: y } = event;
  const [mark, bar, area] = ["[data-tip]", ".bars .bar", "[data-x]"].map((of) => target.closest?.(of));
  const text = mark?.dataset.tip ?? bar?.getAttribute("aria-label") ?? (area ? read(area, x) : "");
  join(target);
  if (text) say(text, x, y); else hide();
});
addEventListener("focusin", ({ target }) => {
  const box = target.getBoundingClientRect(), panel = target.closest(".panel[data-of]");
  const bar = target.closest("tr[data-of]")?.querySelector(".bar"), area = panel?.querySelector("[data-x]");
  const text = bar?.getAttribute("aria-label") ?? (area ? read(area, area.getBoundingClientRect().right) : "");
  join(target);
  if (text && target.matches(":focus-visible")) say(text, box.left, box.bottom); else hide();
});
addEventListener("focusout", hide);
addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });
const links = new Map([...document.querySelectorAll("nav a")].map((link) => [link.hash.slice(1), link]));
const seen = new IntersectionObserver((entries) => {
  for (const entry of entries) if (entry.isIntersecting) {
    links.forEach((link) => link.removeAttribute("aria-current"));
    links.get(entry.target.id)?.setAttribute("aria-current", "true");
  }
}, { rootMargin: "0px 0px -70% 0px" });
document.querySelectorAll("main > section").forEach((section) => seen.observe(section));
addEventListener("beforeprint", () => document.querySelectorAll("details.how").forEach((fold) => { fold.open = true; }));
