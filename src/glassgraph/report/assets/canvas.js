"use strict";
/* The picture: one Cytoscape instance, rebuilt for another graph or other folds, restyled for another score. */
GG.canvas = (() => {
  let cy = null;
  let current = null; // {view, look}
  let before = new Map(); // id -> where it was drawn last in this structure
  const MOST_PADDING = 40;
  const MAX_FIT_ZOOM = 1.7;
  const LEAST_ZOOM_OF_WORDS = 0.66;
  const LEAST_ZOOM = 0.4; // nodes stay nodes; what does not fit is reached by dragging
  const { css, stylesheet } = GG.canvasStyle;

  function create(container, { onHover, onLeave, onOpen, onFold }) {
    cy = cytoscape({ container, minZoom: 0.08, maxZoom: 4, boxSelectionEnabled: false, style: stylesheet() });
    cy.on("mouseover", "node, edge", (event) => {
      event.target.addClass("hover");
      onHover(event.target, event.originalEvent);
    });
    cy.on("mousemove", "node, edge", (event) => onHover(event.target, event.originalEvent));
    cy.on("mouseout", "node, edge", (event) => {
      event.target.removeClass("hover");
      onLeave();
    });
    cy.on("tap", "node.fold, node.host", (event) => onOpen(event.target.data("group")));
    cy.on("tap", "node.bare", (event) => onFold(event.target.data("position")));
    cy.on("pan zoom drag", onLeave);
    container.addEventListener("mouseleave", () => {
      cy.elements(".hover").removeClass("hover");
      onLeave();
    });
  }

  /** Draw a view. look: {theme, layout, truth, separate}. Returns whether the graph is another one than before. */
  function draw(view, chosen) {
    const look = { ...chosen, isTall: cy.height() > 1.15 * cy.width() };
    const isOther = !current || current.view.structure !== view.structure
      || ["layout", "isTall"].some((name) => current.look[name] !== look[name]);
    const isSame = !isOther && current.look.separate === look.separate && GG.placing.signature(current.view) === GG.placing.signature(view);
    const pairs = GG.view.pairs(view.edges);
    const lines = (look.separate ? view.edges.map((edge) => [edge]) : pairs).filter((line) => !isFolded(view, line[0]));
    const between = new Map(); // how many lines join two nodes
    lines.forEach(([edge]) => between.set(endsOf(edge), (between.get(endsOf(edge)) || 0) + 1));
    const mates = new Map(pairs.flatMap((pair) => pair.map((edge) => [edge.position, pair])));
    const themed = !current || current.look.theme !== look.theme;
    if (isOther) before = new Map();
    current = { view, look };
    if (themed) cy.style(stylesheet());
    cy.batch(() => {
      if (!isSame) build(view, look, lines);
      addInserted(view);
      const ends = new Set(view.edges.filter((edge) => edge.isHighlighted).flatMap((edge) => [edge.source, edge.target]));
      for (const n of view.fold.items) dressNode(cy.getElementById(`n${n}`), view.nodes[n], view, look, ends.has(n));
      view.fold.apart.forEach((group, g) => dressGroup(g, group));
      cy.edges(".inserted").forEach((line) => dressInserted(line, view, look));
      lines.forEach((line) => dressEdge(elementOf(line), line, mates.get(line[0].position), between.get(endsOf(line[0])), view, look));
    });
    return !isSame;
  }

  const isFolded = (view, edge) => view.fold.groupOf.has(edge.source) || view.fold.groupOf.has(edge.target);

  /** A line's element bears the number of its first edge; which of two opposite edges is stronger may change. */
  const BONDS = { double: "=", triple: "≡", aromatic: ":" };
  const numberOf = (line) => Math.min(...line.map((edge) => edge.position));
  const elementOf = (line) => cy.getElementById(`e${numberOf(line)}`);

  function build(view, look, lines) {
    const { ids, boxes, points } = GG.placing.place(view, { layout: look.layout, isTall: look.isTall, before });
    before = new Map(ids.map((id, at) => [id, points[at]]));
    cy.elements().remove();
    cy.add(ids.map((id, at) => {
      const { label, width, height, font } = boxes[at];
      const own = id.startsWith("n") ? { kind: "node", position: Number(id.slice(1)) } : { kind: "fold", group: Number(id.slice(1)) };
      return { group: "nodes", data: { id, label, width, height, font, ...own }, position: { ...points[at] } };
    }));
    cy.add(lines.map((line) => ({
      group: "edges",
      data: { id: `e${numberOf(line)}`, kind: "edge", source: `n${line[0].source}`, target: `n${line[0].target}` },
    })));
    cy.add(view.fold.apart.flatMap((group, g) => group.anchors.map((anchor) => ({
      group: "edges", classes: "folded", data: { id: `g${g}-${anchor}`, kind: "fold", group: g, members: [], source: `g${g}`, target: `n${anchor}` },
    }))));
  }

  /** Where node scores are drawn they fill the node, and its type has the rim; else the type fills it. */
  function dressNode(element, node, view, look, isEnd) {
    const isLit = view.subject === "nodes" ? node.isHighlighted || node.isSeed : true;
    const isTyped = node.typeNumber !== null;
    const color = isTyped ? GG.color.type(node.typeNumber) : css("--node-edge");
    let fill = css("--node");
    if (node.score !== null && isLit && view.nodeMax > 0) {
      fill = GG.color.score(node.score, view.nodeMax, view.signed, look.theme);
    } else if (isTyped && !view.run.nodes) {
      fill = color;
    }
    const isRimmed = isTyped && Boolean(view.run.nodes);
    /* An atom without a score is a letter. */
    const isLetter = Boolean(view.structure.atoms) && !view.run.nodes;
    if (isLetter) fill = css("--canvas");
    element.data({
      fill, ink: (isLetter && GG.color.element(node.name, look.theme)) || GG.color.ink(fill),
      border: isRimmed ? color : isLetter ? fill : css("--node-edge"), rim: isRimmed ? 3.5 : 1.2,
      shape: view.structure.atoms || !element.data("label") ? "ellipse" : isTyped ? GG.color.shape(node.typeNumber) : node.name || element.data("label").length > 4 ? "round-rectangle" : "ellipse",
    });
    element.toggleClass("seed", node.isSeed);
    element.toggleClass("typed", isRimmed);
    element.toggleClass("faint", !isLit);
    element.toggleClass("end", isEnd || node.isHighlighted);
    element.data("change", GG.color.change("feature", look.theme));
    element.toggleClass("reset", look.changes !== "before" && view.changes !== null && view.changes.features.some(([n]) => n === node.position));
    dressHost(element, node.position, view);
  }

  /** Edges that a counterfactual inserts; methods that share a structure insert others. */
  function addInserted(view) {
    cy.edges(".inserted").remove();
    cy.add((view.changes ? view.changes.inserted : []).map(([source, target], at) => ({
      group: "edges", classes: "inserted", data: { id: `i${at}`, kind: "inserted", at, source: `n${source}`, target: `n${target}`, members: [] },
    })));
  }

  /** An edge that a counterfactual inserts is not there before. */
  function dressInserted(line, view, look) {
    line.data({
      color: GG.color.change("inserted", look.theme), width: 4.5, opacity: 1, z: 9, curve: "bezier", label: look.changes === "both" ? "+" : "",
      ink: GG.color.change("inserted", look.theme), arrow: view.changes.undirected ? "none" : "triangle",
    });
    line.toggleClass("absent", look.changes === "before");
  }

  /** An atom whose letters hold hydrogens opens them; one whose hydrogens the reader opened folds them again. */
  function dressHost(element, position, { fold, structure, opened }) {
    const isHost = fold.hostOf.has(position);
    if (isHost) element.data("group", fold.hostOf.get(position));
    element.toggleClass("host", isHost);
    element.toggleClass("bare", !isHost && opened.some((node) => structure.hydrogens && structure.hydrogens[node] === position));
  }

  function dressGroup(g, group) {
    const node = cy.getElementById(`g${g}`);
    node.data({ fill: css("--panel"), ink: css("--text"), border: css("--muted"), rim: 1.4, shape: "round-rectangle" });
    node.addClass("fold");
    const width = Math.min(1.2 + Math.log2(group.edges.length + 1) / 3, group.anchors.length > 2 ? 1.4 : 3.5);
    node.connectedEdges().data({ color: css("--context"), width, opacity: 0.8, z: 1, curve: "straight", label: "", arrow: "none" });
  }

  const endsOf = ({ source, target }) => `${Math.min(source, target)},${Math.max(source, target)}`;

  function dressEdge(element, line, pair, count, view, look) {
    const shown = line.find((edge) => edge.isHighlighted) || line[0];
    const isLit = shown.isHighlighted;
    const share = view.edgeMax > 0 ? GG.view.size(shown.score) / view.edgeMax : 0;
    /* Two opposite edges are two arcs if one of them is selected; else they lie on each other as one thin line. */
    const isFlat = look.separate && pair.length === 2 && !pair.some((edge) => edge.isHighlighted);
    const isLoop = shown.source === shown.target;
    const isBond = Boolean(view.structure.atoms) && !look.separate;
    const hasDirection = line.length === 1 && !isLoop && !isFlat && !isBond;
    element.data({
      members: line.map((edge) => edge.position),
      told: (isFlat ? pair : line).map((edge) => edge.position),
      color: isLit ? GG.color.score(shown.score, view.edgeMax, view.signed, look.theme) : css("--context"),
      width: isLit ? 2 + 5 * share : 1.1,
      opacity: isLit ? 1 : 0.75,
      z: isLit ? 15 : 1,
      curve: isFlat || (count === 1 && !isLoop) ? "straight" : count === 2 && pair.length === 2 && !isLoop ? "unbundled-bezier" : "bezier",
      label: isBond ? BONDS[shown.name] || "" : isLit && shown.name ? GG.format.clip(shown.name, 24) : "",
      arrow: hasDirection && (isLit || pair.length === 1) ? "triangle" : "none",
    });
    element.toggleClass("arc", look.layout === "sentence" && Boolean(view.structure.node_names) && !view.structure.tree && !isLoop);
    const isGone = line.some((edge) => edge.isDeleted);
    element.toggleClass("gone", isGone && look.changes !== "before");
    element.toggleClass("struck", isGone && look.changes === "both");
    element.data("ink", GG.color.change("deleted", look.theme));
    element.toggleClass("truth", look.truth && line.some((edge) => edge.truth === true));
  }

  /** Show the whole graph in the part of the canvas that no notice (above) and no legend (below) covers. */
  function fit() {
    cy.resize();
    if (!cy.nodes().length) return;
    const covered = (id) => {
      const part = document.getElementById(id);
      return getComputedStyle(part).position === "absolute" ? part.offsetHeight : 0;
    };
    const padding = Math.min(MOST_PADDING, 0.055 * cy.width());
    const [above, below] = [covered("notice"), covered("legend")];
    const [width, height] = [cy.width() - 2 * padding, cy.height() - 2 * padding - above - below];
    const inside = (box) => Math.min(width / Math.max(box.w, 1), height / Math.max(box.h, 1), MAX_FIT_ZOOM);
    const [box, isSentence] = [cy.elements().boundingBox(), current.look.layout === "sentence"];
    const zoom = Math.max(inside(box), isSentence ? LEAST_ZOOM_OF_WORDS : LEAST_ZOOM);
    let [x, y] = [(box.x1 + box.x2) / 2, (box.y1 + box.y2) / 2];
    if (isSentence) {
      /* What does not fit, because words must stay readable, begins at its beginning. */
      [x, y] = [Math.min(x, box.x1 + width / zoom / 2), Math.min(y, box.y1 + height / zoom / 2)];
    } else if (inside(box) < zoom && cy.nodes(".end, .seed").length) {
      const first = cy.nodes(".end, .seed").boundingBox();
      [x, y] = [(first.x1 + first.x2) / 2, (first.y1 + first.y2) / 2];
    }
    cy.viewport({
      zoom, pan: { x: cy.width() / 2 - x * zoom, y: padding + above + height / 2 - y * zoom },
    });
  }

  /** What stands for a node or edge (by position in the payload): itself, or the group that it is folded into. */
  function elementFor(kind, position) {
    const { nodes, edges, fold } = current.view;
    if (kind === "node") return fold.groupOf.has(position) ? groupElement(fold.groupOf.get(position)) : cy.getElementById(`n${position}`);
    const { source, target } = edges[position];
    const group = fold.groupOf.has(source) ? fold.groupOf.get(source) : fold.groupOf.get(target);
    if (group === undefined) return cy.edges().filter((edge) => edge.data("members").includes(position));
    if (fold.groups[group].host !== undefined) return groupElement(group);
    const anchor = [source, target].find((node) => !fold.groupOf.has(node));
    return cy.getElementById(anchor === undefined ? `g${group}` : `g${group}-${nodes[anchor].position}`);
  }

  /** What a folded group is drawn as: a node of its own, or the atom whose letters hold it. */
  function groupElement(g) {
    const group = current.view.fold.groups[g]; // none after it was opened, when the mouse leaves its row
    return cy.getElementById(!group || group.host === undefined ? `g${g}` : `n${group.host}`);
  }

  /** Where a node or edge is on the page, in CSS pixels. */
  function point(kind, position) {
    const box = cy.container().getBoundingClientRect();
    const element = elementFor(kind, position);
    const at = element.isNode() ? element.renderedPosition() : element[0].renderedMidpoint();
    return { x: box.left + at.x, y: box.top + at.y };
  }

  /** What is drawn as a node, on the page: {id, label, position or group, x, y, width, height (of its box), scale, font (at
      scale 1), fill, border, shape}. */
  function drawnNodes() {
    const page = cy.container().getBoundingClientRect();
    return cy.nodes().map((node) => {
      const { x1, y1, w, h } = node.renderedBoundingBox({ includeLabels: false, includeOverlays: false, includeOutlines: false });
      const { id, label, position, group, font, fill, border, shape } = node.data();
      return { id, label, position, group, x: page.left + x1, y: page.top + y1, width: w, height: h, scale: cy.zoom(), font, fill, border, shape };
    });
  }

  const mark = (kind, position, isOn) => elementFor(kind, position).toggleClass("hover", isOn);
  const markInserted = (at, isOn) => cy.getElementById(`i${at}`).toggleClass("hover", isOn);
  const markGroup = (g, isOn) => groupElement(g).toggleClass("hover", isOn);

  /** Bring a found node into view and ring it; null takes the ring away. */
  function find(position) {
    cy.nodes(".found").removeClass("found");
    if (position === null) return;
    const node = elementFor("node", position).addClass("found");
    const [{ x, y }, margin] = [node.renderedPosition(), 30];
    if (x < margin || y < margin || x > cy.width() - margin || y > cy.height() - margin) cy.center(node);
  }

  /** Bring out a walk of the drawn view, each edge with the numbers of its steps; null brings out none. */
  function trace(walk) {
    cy.batch(() => {
      cy.elements().removeClass("walk stay aside");
      if (!walk) return;
      const { view, look } = current;
      const color = GG.color.score(Math.sign(walk.score || 0), 1, view.signed, look.theme);
      cy.elements().addClass("aside");
      const bringOut = (elements, more) => elements.data({ walk: color, ...more }).removeClass("aside").addClass("walk");
      walk.nodes.forEach((node) => bringOut(cy.getElementById(`n${node}`)));
      walk.stays.forEach((node) => cy.getElementById(`n${node}`).addClass("stay"));
      cy.edges().not(".inserted").forEach((line) => {
        const own = line.data("members").filter((position) => walk.steps.has(position));
        if (!own.length) return;
        const isForth = (position) => line.data("source") === `n${view.edges[position].source}`;
        bringOut(line, {
          steps: own.flatMap((position) => walk.steps.get(position)).sort((a, b) => a - b).join(", "),
          forth: own.some(isForth) ? "triangle" : "none", back: own.every(isForth) ? "none" : "triangle",
        });
      });
    });
  }

  const foldedLines = () => {
    const { view, look } = current;
    const own = view.edges.filter((edge) => isFolded(view, edge));
    return look.separate ? own.length : GG.view.pairs(own).length;
  };
  /* nodes and lines count what the picture stands for: drawn one by one, or folded. */
  const counts = () => ({
    nodes: current.view.nodes.length, lines: cy.edges().not(".folded, .inserted").length + foldedLines(),
    struck: cy.edges(".struck").length, gone: cy.edges(".gone").length, inserted: cy.edges(".inserted").not(".absent").length, reset: cy.nodes(".reset").length,
    truthMarked: cy.edges(".truth").length,
    seeds: cy.nodes(".seed").map((node) => node.data("position")),
    found: cy.nodes(".found").map((node) => node.data("position")),
    traced: {
      nodes: cy.nodes(".walk").map((node) => node.data("position")),
      stays: cy.nodes(".stay").map((node) => node.data("position")),
      lines: cy.edges(".walk").map((line) => ({ edges: line.data("members"), steps: line.data("steps") })),
    },
  });
  const drawnLine = (position) => {
    const line = elementFor("edge", position);
    return line.isNode() ? { color: null, width: null } : { color: line.data("color"), width: line.data("width") };
  };
  const resize = () => cy.resize();
  const zoomBy = (factor) => cy.zoom({ level: cy.zoom() * factor, renderedPosition: { x: cy.width() / 2, y: cy.height() / 2 } });
  const elements = () => cy.elements();

  return { create, draw, fit, point, mark, markGroup, markInserted, find, trace, counts, drawnLine, drawnNodes, resize, zoomBy, elements };
})();
