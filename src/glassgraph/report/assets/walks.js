"use strict";
/* The list of walks: passing over a row, by mouse or focus, shows its walk; picking the row keeps it. */
GG.walks = (() => {
  const { el } = GG;
  const byId = (id) => document.getElementById(id);
  let listed = null; // {run, theme} of the rows
  let rows = [];

  /** Lists the view's walks. onPass(walk or null): shown for now; onPick(walk or null): kept. */
  function list(view, { walk, theme }, onPass, onPick) {
    byId("walks-card").hidden = !view.walks.length;
    if (!listed || listed.run !== view.run || listed.theme !== theme) {
      listed = { run: view.run, theme };
      rows = rowsOf(view, theme, onPass, onPick);
      byId("walks").replaceChildren(...rows.map((row) => el("li", {}, row)));
      const { count } = view.run.walks || { count: 0 };
      byId("walks-count").textContent = count > rows.length ? `${rows.length} of ${count.toLocaleString("en-US")}` : String(rows.length);
    }
    rows.forEach((row, w) => row.setAttribute("aria-pressed", String(w === walk)));
  }

  function rowsOf(view, theme, onPass, onPick) {
    const most = view.walks.reduce((max, { score }) => Math.max(max, GG.view.size(score)), 0);
    return view.walks.map(({ nodes, score }, w) => el("button", {
      type: "button", class: "walk", title: `score ${GG.format.exact(score)}`,
      onmouseenter: () => onPass(w), onmouseleave: () => onPass(null), onfocus: () => onPass(w), onblur: () => onPass(null),
      onclick: () => onPick(w), onkeydown: (event) => move(event, w),
    },
    el("span", { class: "rank" }, String(w + 1)),
    el("span", { class: "path" }, nodes.map((node) => GG.panels.nodeName(view, node)).join(" → ")),
    el("span", { class: "meter" }, el("i", { style: {
      width: `${most > 0 ? (100 * GG.view.size(score)) / most : 0}%`, background: GG.color.score(score, most, view.signed, theme),
    } })),
    el("span", { class: "value" }, GG.format.short(score))));
  }

  /** The arrow keys go along the list instead of to another instance. */
  function move(event, w) {
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!by) return;
    event.preventDefault();
    event.stopPropagation();
    if (rows[w + by]) rows[w + by].focus();
  }

  return { list };
})();
