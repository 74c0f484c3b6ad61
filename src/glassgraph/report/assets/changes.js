"use strict";
/* The counterfactual beside the picture: the decision before and after, and what changes in between. */
GG.changes = (() => {
  const { el } = GG;
  const { short, exact, count } = GG.format;
  const byId = (id) => document.getElementById(id);
  const MOST_ROWS = 100;
  const SIGNS = { deleted: "✕", inserted: "+", feature: "↦" };

  function endsInWords(view, [source, target]) {
    return `${GG.panels.nodeName(view, source)} ${view.changes.undirected ? "–" : "→"} ${GG.panels.nodeName(view, target)}`;
  }

  /** Items {kind, words, title, mark(isOn)}: deleted edges (opposite ones once, where they are one), inserted ones, features. */
  function itemsOf(view) {
    const deleted = new Map();
    for (const edge of view.edges.filter((each) => each.isDeleted)) {
      const ends = view.changes.undirected ? [edge.source, edge.target].sort((a, b) => a - b) : [edge.source, edge.target];
      const key = view.changes.undirected ? ends.join() : String(edge.position);
      if (!deleted.has(key)) deleted.set(key, { ends, position: edge.position, ids: [] });
      deleted.get(key).ids.push(edge.id);
    }
    return [
      ...[...deleted.values()].map(({ ends, position, ids }) => ({
        kind: "deleted", words: endsInWords(view, ends), title: `deleted: edge ${ids.join(", ")}`, mark: (isOn) => GG.canvas.mark("edge", position, isOn),
      })),
      ...view.changes.inserted.map((ends, at) => ({
        kind: "inserted", words: endsInWords(view, ends), title: "inserted", mark: (isOn) => GG.canvas.markInserted(at, isOn),
      })),
      ...view.changes.features.map(([node, feature, before, after]) => ({
        kind: "feature", words: `${GG.panels.nodeName(view, node)}, ${feature}: ${short(before)} → ${short(after)}`, title: `feature set from ${exact(before)} to ${exact(after)}`,
        mark: (isOn) => GG.canvas.mark("node", node, isOn),
      })),
    ];
  }

  function counted(items) {
    const number = (kind) => items.filter((item) => item.kind === kind).length;
    return [
      number("deleted") && `${count(number("deleted"), "edge")} deleted`, number("inserted") && `${count(number("inserted"), "edge")} inserted`,
      number("feature") && `${count(number("feature"), "feature")} set`,
    ].filter(Boolean).join(", ");
  }

  const className = (view, c) => (view.classNames && view.classNames[c]) || `class ${c}`;

  /** In a line, for the picture's description; "" without a counterfactual. */
  function inWords(view) {
    if (!view.changes || !view.changes.size) return "";
    const [from, to] = decision(view);
    const what = counted(itemsOf(view));
    return view.changes.valid ? `counterfactual: ${what}${to === null ? "" : `; ${from} becomes ${to}`}` : `no counterfactual; nearest: ${what}`;
  }

  /** The predicted class before and after, in words; null where there is none. */
  function decision(view) {
    const before = GG.view.predictedClass(view.run.prediction, view.method.provenance);
    const after = view.changes.new_class;
    const isClass = before !== null && after !== null;
    return isClass ? [className(view, before), className(view, after)] : [null, null];
  }

  function show(view, look, onShow) {
    const { changes } = view;
    byId("changes-card").hidden = !changes;
    if (!changes) return;
    const items = itemsOf(view);
    for (const button of byId("changes-shown").children) {
      button.setAttribute("aria-pressed", String(button.dataset.changes === look.changes));
      button.onclick = () => onShow(button.dataset.changes);
    }
    const [from, to] = decision(view);
    const facts = el("dl", { class: "facts" });
    const fact = (name, ...value) => facts.append(el("div", {}, el("dt", {}, name), el("dd", {}, ...value)));
    if (to !== null) fact("Decision", from === to ? `${from}, still` : `${from} → ${to}`);
    fact("Changes", String(changes.size));
    const asShare = GG.view.isProbability([changes.before], view.method.provenance);
    const most = Math.max(Math.abs(changes.before || 0), Math.abs(changes.after || 0), 1e-12);
    const bar = (name, value) => el("div", { class: "bar aimed", title: `${name}: ${exact(value)}` },
      el("span", { class: "name" }, name),
      el("span", { class: "track" }, el("i", { style: { width: `${(100 * Math.abs(value || 0)) / (asShare ? 1 : most)}%` } })),
      el("span", { class: "value" }, asShare && value !== null ? `${short(Math.round(value * 10000) / 100)} %` : short(value)));
    const rows = items.slice(0, MOST_ROWS).map((item) => el("li", { title: item.title, onmouseenter: () => item.mark(true), onmouseleave: () => item.mark(false) },
      el("b", { style: { color: GG.color.change(item.kind, look.theme) }, "aria-hidden": "true" }, SIGNS[item.kind]), el("span", {}, item.words),
      el("small", {}, item.kind === "feature" ? "set" : item.kind)));
    const target = aimed(view);
    byId("changes").replaceChildren(
      facts, el("p", { class: "reading" }, `${target}:`), bar("before", changes.before), bar("after", changes.after),
      ...(changes.valid ? [] : [el("p", { class: "reading", id: "changes-note" }, changes.size
        ? "Nothing that was tried makes another decision; this comes nearest." : "Nothing that was tried moves the prediction.")]),
      el("ul", { class: "changes", "aria-label": "Changes" }, ...rows),
      items.length > rows.length ? el("p", { class: "empty" }, `and ${items.length - rows.length} more`) : "");
  }

  /** What the bars are about. */
  function aimed(view) {
    const { target } = view.run;
    if (GG.view.isRegression(view.method.provenance)) return "Value";
    if (Array.isArray(target)) return `Probability of ${className(view, target[0])} less that of ${className(view, target[1])}`;
    return target === null || target < 0 ? "Probability" : `Probability of ${className(view, target)}`;
  }

  return { show, inWords, endsInWords };
})();
