"use strict";
/* The numbers of what the mouse stands on. */
GG.tooltip = (() => {
  const { el } = GG;
  const { exact, short, count } = GG.format;

  /** data: of the drawn element, {kind: "node" with position, "edge" with told (positions), "fold" with group,
      "inserted" with at}. */
  function show(view, data, event) {
    const lines = { node: nodeLines, edge: edgeLines, fold: foldLines, inserted: insertedLines }[data.kind](view, data);
    const box = document.getElementById("tooltip");
    box.replaceChildren(el("table", {}, ...lines.map((line) => (line
      ? el("tr", {}, el("th", { scope: "row" }, line[0]), el("td", {}, line[1]))
      : el("tr", { class: "rule" }, el("td", { colspan: "2" }))))));
    box.hidden = false;
    const { clientX, clientY } = event.touches && event.touches.length ? event.touches[0] : event;
    const [width, height] = [box.offsetWidth, box.offsetHeight];
    const left = clientX + 16 + width > innerWidth ? clientX - width - 12 : clientX + 16;
    box.style.left = `${Math.max(8, left)}px`;
    box.style.top = `${Math.max(8, Math.min(clientY + 14, innerHeight - height - 8))}px`;
  }

  function nodeLines(view, { position }) {
    const node = view.nodes[position];
    const lines = [["node", GG.panels.nodeName(view, position) + (node.isSeed ? " (explained)" : "")]];
    if (node.name) lines.push(["number", node.type === null ? String(node.id) : `${node.type} ${node.id}`]);
    if (view.fold.hostOf.has(position)) lines.push(...hydrogenLines(view, position));
    if (view.run.nodes) lines.push(["score", exact(node.score)], ["rank", `${node.rank} of ${view.nodes.length}`]);
    for (const [n, feature, before, after] of view.changes ? view.changes.features : []) {
      if (n === position) lines.push([`${feature}, changed`, `${exact(before)} → ${exact(after)}`]);
    }
    return [...lines, ...(node.features || []).map(([feature, score]) => [feature, exact(score)])];
  }

  function hydrogenLines(view, position) {
    const { nodes, edgeSum } = GG.fold.totals(view, view.fold.groups[view.fold.hostOf.get(position)]);
    return [
      ["folded", `${count(nodes, "hydrogen")}, select to open`],
      ...(edgeSum === null ? [] : [[nodes > 1 ? "sum of their bonds" : "its bond", short(edgeSum)]]),
    ];
  }

  function edgeLines(view, { told }) {
    return told.flatMap((position, i) => {
      const edge = view.edges[position];
      const name = (node) => GG.panels.nodeName(view, node);
      return [
        ...(i ? [null] : []), ["edge", String(edge.id)], ["from → to", `${name(edge.source)} → ${name(edge.target)}`],
        ...(edge.type === null ? [] : [["relation", edge.type]]), ...(edge.name ? [["name", edge.name]] : []),
        ...(edge.rank === null ? [] : [["score", exact(edge.score)], ["rank", `${edge.rank} of ${view.numEdges}`]]),
        ...(edge.truth === null ? [] : [["truth", edge.truth ? "yes" : "no"]]),
        ...(edge.isDeleted ? [["change", "deleted"]] : []),
      ];
    });
  }

  function insertedLines(view, { at }) {
    return [["change", "edge inserted"], ["between", GG.changes.endsInWords(view, view.changes.inserted[at])]];
  }

  function foldLines(view, data) {
    const group = view.fold.groups[data.group];
    const totals = GG.fold.totals(view, group);
    return [
      ["folded", GG.fold.label(group).join(" ")], ["at", GG.folded.anchorsInWords(view, group)],
      ["edges", count(totals.edges, "edge")],
      ...(totals.edgeSum === null ? [] : [["sum of edge scores", short(totals.edgeSum)]]),
      ...(totals.nodeSum === null ? [] : [["sum of node scores", short(totals.nodeSum)]]),
      ["", "select to open"],
    ];
  }

  return { show };
})();
