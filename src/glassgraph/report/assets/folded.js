"use strict";
/* The list of what is not drawn one by one, with counts and sums of scores; the keyboard's way to open a group. */
GG.folded = (() => {
  const { el } = GG;
  const { short, count } = GG.format;
  const MOST_ANCHORS = 3;
  const byId = (id) => document.getElementById(id);

  function anchorsInWords(view, { anchors }) {
    const number = (node) => (view.fold.hostOf.has(node) ? ` ${view.nodes[node].id}` : ""); // there are many carbons
    const names = anchors.slice(0, MOST_ANCHORS).map((node) => GG.panels.nodeName(view, node) + number(node));
    const more = anchors.length - names.length;
    return names.join(", ") + (more ? ` and ${more} more` : "");
  }

  function sumsInWords({ edgeSum, nodeSum }, line = "edge") {
    return [
      ...(edgeSum === null ? [] : [`${line} scores sum to ${short(edgeSum)}`]),
      ...(nodeSum === null ? [] : [`node scores sum to ${short(nodeSum)}`]),
    ].join(", ");
  }

  /** A sentence about what a large instance leaves out, with a space before it; none where there is nothing to sum. */
  function restInWords({ leftOut }) {
    const sums = leftOut ? sumsInWords(leftOut) : "";
    return sums ? ` Of the others, ${sums}.` : "";
  }

  /** onOpen(number of a group), onClose(): fold again what was opened. */
  function list(view, onOpen, hasOpened, onClose) {
    const { groups } = view.fold;
    byId("folded-card").hidden = !groups.length && !(hasOpened && view.fold.foldable);
    const nodes = groups.reduce((sum, group) => sum + group.members.length, 0);
    byId("folded-count").textContent = count(nodes, "node");
    byId("refold").hidden = !hasOpened;
    byId("refold").onclick = () => {
      onClose();
      (buttons()[0] || byId("fold")).focus();
    };
    const focused = buttons().indexOf(document.activeElement);
    byId("folded").replaceChildren(...groups.map((group, g) => {
      const totals = GG.fold.totals(view, group);
      const line = group.host === undefined ? "edge" : "bond";
      return el("li", {}, el("button", {
        type: "button", class: "group", "data-group": String(g), onclick: () => onOpen(g),
        onmouseenter: () => GG.canvas.markGroup(g, true), onmouseleave: () => GG.canvas.markGroup(g, false),
        onfocus: () => GG.canvas.markGroup(g, true), onblur: () => GG.canvas.markGroup(g, false),
      },
      el("b", {}, GG.fold.label(group).join(" ")), el("span", {}, group.anchors.length ? ` at ${anchorsInWords(view, group)}` : ""),
      el("small", {}, [count(totals.edges, line), sumsInWords(totals, line)].filter(Boolean).join(", "))));
    }));
    /* The focus goes on to the next group, or to what folds again. */
    if (focused >= 0) (buttons()[Math.min(focused, groups.length - 1)] || byId("refold")).focus();
  }

  const buttons = () => [...byId("folded").querySelectorAll("button")];

  return { list, anchorsInWords, restInWords };
})();
