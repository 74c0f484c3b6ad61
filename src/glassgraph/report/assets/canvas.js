"use strict";
/* The picture: one Cytoscape instance, rebuilt for another graph, restyled for another score. */
GG.canvas = (() => {
  let cy = null;
  let current = null; // {view, positions, separate}
  const remembered = new WeakMap(); // structure -> {organic: points, rings: points}
  const PADDING = 40;
  const MAX_FIT_ZOOM = 1.7;
  const LEAST_ZOOM_OF_WORDS = 0.66;
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  function create(container, { onHover, onLeave }) {
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
    cy.on("pan zoom drag", onLeave);
    container.addEventListener("mouseleave", () => {
      cy.elements(".hover").removeClass("hover");
      onLeave();
    });
  }

  function stylesheet() {
    return [
      {
        selector: "node",
        style: {
          width: "data(width)", height: "data(size)", shape: "data(shape)",
          "background-color": "data(fill)", "border-color": css("--node-edge"), "border-width": 1.2,
          label: "data(label)", color: "data(ink)", "font-size": "data(font)", "font-weight": 600,
          "font-family": css("--font"), "text-valign": "center", "text-halign": "center", "min-zoomed-font-size": 6,
          "overlay-opacity": 0, "z-index": 10,
        },
      },
      { selector: "node.faint", style: { opacity: 0.75 } },
      {
        selector: "node.seed",
        style: {
          "border-color": css("--ink"), "border-width": 3, "outline-color": css("--ink"), "outline-width": 2,
          "outline-offset": 3, "outline-opacity": 1, opacity: 1, "z-index": 20,
        },
      },
      {
        selector: "edge",
        style: {
          width: "data(width)", "line-color": "data(color)", "target-arrow-color": "data(color)",
          "target-arrow-shape": "data(arrow)", "arrow-scale": 0.75, "curve-style": "data(curve)",
          "control-point-step-size": 11, "loop-sweep": "60deg", "line-cap": "butt", opacity: "data(opacity)",
          "z-index": "data(z)", "overlay-opacity": 0, label: "data(label)", color: css("--ink"), "font-size": 9.5,
          "font-family": css("--font"), "min-zoomed-font-size": 5, "text-background-color": css("--canvas"),
          "text-background-opacity": 0.85, "text-background-padding": 1,
        },
      },
      {
        selector: "edge.arc",
        style: {
          "curve-style": "unbundled-bezier", "control-point-weights": [0.12, 0.88], "control-point-distances": bend,
          "source-endpoint": (edge) => side(edge), "target-endpoint": (edge) => side(edge),
        },
      },
      {
        selector: "edge.truth",
        style: { "underlay-color": css("--truth"), "underlay-opacity": 0.42, "underlay-padding": 6 },
      },
      { selector: ".hover", style: { "overlay-color": css("--ink"), "overlay-opacity": 0.14, "overlay-padding": 4 } },
      { selector: "edge.hover", style: { opacity: 1, "z-index": 9 } },
      { selector: ".aside", style: { opacity: 0.28 } },
      { selector: "edge.truth.aside", style: { "underlay-opacity": 0.14 } },
      { selector: "node.walk", style: { "border-color": "data(walk)", "border-width": 3.5, opacity: 1, "z-index": 21 } },
      { selector: "node.stay", style: { "border-style": "double", "border-width": 8 } },
      {
        selector: "edge.walk",
        style: {
          "line-color": "data(walk)", width: 4.5, opacity: 1, "z-index": 8, "curve-style": "bezier",
          "source-arrow-color": "data(walk)", "target-arrow-color": "data(walk)", "arrow-scale": 0.9,
          "source-arrow-shape": "data(back)", "target-arrow-shape": "data(forth)",
          label: "data(steps)", color: css("--ink"), "font-size": 8, "font-weight": 600, "font-family": css("--font"),
          "min-zoomed-font-size": 6, "text-background-color": css("--panel"), "text-background-opacity": 1,
          "text-background-padding": 1, "text-background-shape": "roundrectangle",
        },
      },
    ];
  }

  /** How far an arc swings out: more for words that are farther apart. */
  function bend(edge) {
    const [from, to] = [edge.source().position(), edge.target().position()];
    const swing = -(12 + 1.3 * Math.hypot(to.x - from.x, to.y - from.y) ** 0.75);
    return [swing, swing];
  }

  /** Arcs that run on through the sentence leave words on one side, those that run back on the other. */
  function side(edge) {
    const [from, to] = [edge.source().position(), edge.target().position()];
    if (from.y === to.y) return to.x > from.x ? "0 -50%" : "0 50%";
    return to.y > from.y ? "50% 0" : "-50% 0";
  }

  /** Draw a view. look: {theme, layout, truth, separate}. Returns whether the graph is another one than before. */
  function draw(view, look) {
    const isSame =
      current && current.view.structure === view.structure && current.look.layout === look.layout &&
      current.look.separate === look.separate;
    const pairs = GG.view.pairs(view.edges);
    const lines = look.separate ? view.edges.map((edge) => [edge]) : pairs;
    const mates = new Map(pairs.flatMap((pair) => pair.map((edge) => [edge.position, pair])));
    const themed = !current || current.look.theme !== look.theme;
    current = { view, look: { ...look } };
    if (themed) cy.style(stylesheet());
    cy.batch(() => {
      if (!isSame) build(view, look, lines);
      view.nodes.forEach((node) => dressNode(cy.getElementById(`n${node.position}`), node, view, look));
      lines.forEach((line) => dressEdge(elementOf(line), line, mates.get(line[0].position), view, look));
    });
    return !isSame;
  }

  /** A line's element bears the number of its first edge; which of two opposite edges is stronger may change. */
  const numberOf = (line) => Math.min(...line.map((edge) => edge.position));
  const elementOf = (line) => cy.getElementById(`e${numberOf(line)}`);

  function build(view, look, lines) {
    const points = place(view.structure, look.layout);
    cy.elements().remove();
    cy.add(view.nodes.map((node) => ({
      group: "nodes", data: { id: `n${node.position}`, kind: "node", position: node.position },
      position: { ...points[node.position] },
    })));
    cy.add(lines.map((line) => ({
      group: "edges",
      data: {
        id: `e${numberOf(line)}`, kind: "edge", source: `n${line[0].source}`, target: `n${line[0].target}`,
      },
    })));
  }

  function place(structure, name) {
    if (!remembered.has(structure)) remembered.set(structure, {});
    const known = remembered.get(structure);
    const graph = { size: structure.nodes.length, source: structure.source, target: structure.destination };
    if (name === "sentence" && !structure.node_names) name = "organic";
    known[name] = known[name] || GG.layout[name](graph, structure.seeds, structure.nodes, structure.node_names);
    return known[name];
  }

  function dressNode(element, node, view, look) {
    const crowd = view.nodes.length;
    const base = crowd > 220 ? 15 : crowd > 90 ? 20 : 27;
    const isLit = view.subject === "nodes" ? node.isHighlighted || node.isSeed : true;
    let fill = css("--node");
    if (node.score !== null && isLit && view.nodeMax > 0) {
      fill = GG.color.score(node.score, view.nodeMax, view.signed, look.theme);
    } else if (node.typeNumber !== null && node.score === null) {
      fill = GG.color.type(node.typeNumber, look.theme);
    }
    const size = node.isSeed ? Math.max(base + 6, 26) : base;
    const label = node.name ? GG.format.clip(node.name, 24) : String(node.id);
    element.data({
      label, width: node.name ? Math.max(look.layout === "sentence" ? 0 : size, GG.layout.wordWidth(label)) : size, fill, ink: GG.color.ink(fill), size,
      font: crowd > 220 ? 6 : crowd > 90 ? 7.5 : 9.5,
      shape: node.typeNumber === null ? (node.name ? "round-rectangle" : "ellipse") : GG.color.shape(node.typeNumber),
    });
    element.toggleClass("seed", node.isSeed);
    element.toggleClass("faint", !isLit);
  }

  function dressEdge(element, line, pair, view, look) {
    const shown = line.find((edge) => edge.isHighlighted) || line[0];
    const isLit = shown.isHighlighted;
    const share = view.edgeMax > 0 ? GG.view.size(shown.score) / view.edgeMax : 0;
    /* Two opposite edges are two arcs if one of them is selected; else they lie on each other as one thin line. */
    const isFlat = look.separate && pair.length === 2 && !pair.some((edge) => edge.isHighlighted);
    const isLoop = shown.source === shown.target;
    const hasDirection = line.length === 1 && !isLoop && !isFlat;
    element.data({
      members: line.map((edge) => edge.position),
      told: (isFlat ? pair : line).map((edge) => edge.position),
      color: isLit ? GG.color.score(shown.score, view.edgeMax, view.signed, look.theme) : css("--context"),
      width: isLit ? 2 + 5 * share : 1.1,
      opacity: isLit ? 1 : 0.75,
      z: isLit ? 5 : 1,
      curve: isLoop || (look.separate && !isFlat) ? "bezier" : "straight",
      label: isLit && shown.name ? GG.format.clip(shown.name, 24) : "",
      arrow: hasDirection && (isLit || pair.length === 1) ? "triangle" : "none",
    });
    element.toggleClass("arc", look.layout === "sentence" && Boolean(view.structure.node_names) && !isLoop);
    element.toggleClass("truth", look.truth && line.some((edge) => edge.truth === true));
  }

  /** Show the whole graph in the part of the canvas that no notice (above) and no legend (below) covers. */
  function fit() {
    cy.resize();
    if (!cy.nodes().length) return;
    const covered = (id) => document.getElementById(id).offsetHeight;
    const [above, below] = [covered("notice"), covered("legend")];
    const box = cy.elements().boundingBox();
    const [width, height] = [cy.width() - 2 * PADDING, cy.height() - 2 * PADDING - above - below];
    const whole = Math.min(width / Math.max(box.w, 1), height / Math.max(box.h, 1), MAX_FIT_ZOOM);
    const zoom = Math.max(whole, current.look.layout === "sentence" ? LEAST_ZOOM_OF_WORDS : 0);
    /* What does not fit, because words must stay readable, begins at its beginning. */
    const [x, y] = [Math.min((box.x1 + box.x2) / 2, box.x1 + width / zoom / 2), Math.min((box.y1 + box.y2) / 2, box.y1 + height / zoom / 2)];
    cy.viewport({
      zoom, pan: { x: cy.width() / 2 - x * zoom, y: PADDING + above + height / 2 - y * zoom },
    });
  }

  /** Where a node or edge (by position in the payload) is on the page, in CSS pixels. */
  function point(kind, position) {
    const box = cy.container().getBoundingClientRect();
    const element = kind === "node"
      ? cy.getElementById(`n${position}`)
      : cy.edges().filter((edge) => edge.data("members").includes(position));
    const at = kind === "node" ? element.renderedPosition() : element[0].renderedMidpoint();
    return { x: box.left + at.x, y: box.top + at.y };
  }

  function mark(kind, position, isOn) {
    const elements = kind === "node"
      ? cy.getElementById(`n${position}`)
      : cy.edges().filter((edge) => edge.data("members").includes(position));
    elements.toggleClass("hover", isOn);
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
      cy.edges().forEach((line) => {
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

  const counts = () => ({
    nodes: cy.nodes().length, lines: cy.edges().length, truthMarked: cy.edges(".truth").length,
    seeds: cy.nodes(".seed").map((node) => node.data("position")),
    traced: {
      nodes: cy.nodes(".walk").map((node) => node.data("position")),
      stays: cy.nodes(".stay").map((node) => node.data("position")),
      lines: cy.edges(".walk").map((line) => ({ edges: line.data("members"), steps: line.data("steps") })),
    },
  });
  const drawnLine = (position) => {
    const edge = cy.edges().filter((line) => line.data("members").includes(position));
    return { color: edge.data("color"), width: edge.data("width") };
  };
  const png = () => cy.png({ full: true, scale: 2, bg: css("--canvas") });

  return { create, draw, fit, point, mark, trace, counts, drawnLine, png };
})();
