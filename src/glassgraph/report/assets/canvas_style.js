"use strict";
/* How the picture's elements look, by their data and classes. Selected edges lie above nodes that are not selected. */
GG.canvasStyle = (() => {
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  function stylesheet() {
    return [
      {
        selector: "node",
        style: {
          width: "data(width)", height: "data(height)", shape: "data(shape)",
          "background-color": "data(fill)", "border-color": "data(border)", "border-width": "data(rim)",
          label: "data(label)", color: "data(ink)", "font-size": "data(font)", "font-weight": 600, "text-wrap": "wrap",
          "font-family": css("--font"), "text-valign": "center", "text-halign": "center", "min-zoomed-font-size": 5,
          "overlay-opacity": 0, "z-index-compare": "manual", "z-index": 10,
        },
      },
      { selector: "node.faint", style: { opacity: 0.75 } },
      { selector: "node.end", style: { "z-index": 20 } },
      {
        selector: "node.fold",
        style: {
          shape: "round-rectangle", "background-color": css("--panel"), "border-color": css("--muted"), "border-width": 1.4,
          "border-style": "dashed", color: css("--text"), "z-index": 11,
        },
      },
      {
        selector: "node.seed",
        style: {
          "border-color": css("--ink"), "border-width": 3, "outline-color": css("--ink"), "outline-width": 2,
          "outline-offset": 3, "outline-opacity": 1, opacity: 1, "z-index": 22,
        },
      },
      { selector: "node.seed.typed", style: { "border-color": "data(border)" } },
      {
        selector: "edge",
        style: {
          width: "data(width)", "line-color": "data(color)", "target-arrow-color": "data(color)",
          "target-arrow-shape": "data(arrow)", "arrow-scale": 0.75, "curve-style": "data(curve)",
          "control-point-step-size": 11, "control-point-weights": [0.3, 0.7], "control-point-distances": [8, 8], "loop-sweep": "60deg", "line-cap": "butt", opacity: "data(opacity)",
          "z-index-compare": "manual", "z-index": "data(z)", "overlay-opacity": 0, label: "data(label)", color: css("--ink"),
          "font-size": 9.5, "font-family": css("--font"), "min-zoomed-font-size": 5, "text-background-color": css("--canvas"),
          "text-background-opacity": 0.85, "text-background-padding": 1,
        },
      },
      { selector: "edge.folded", style: { "line-style": "dashed", "line-dash-pattern": [4, 4] } },
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
      { selector: "edge.gone", style: { "line-style": "dashed", "line-dash-pattern": [7, 5], opacity: 0.35, "target-arrow-shape": "none" } },
      {
        selector: "edge.struck",
        style: { opacity: 1, label: "✕", color: "data(ink)", "font-size": 17, "font-weight": 700, "text-background-opacity": 0, "text-outline-color": css("--canvas"), "text-outline-width": 2.5 },
      },
      {
        selector: "edge.inserted",
        style: { color: "data(ink)", "font-size": 17, "font-weight": 700, "text-background-opacity": 0, "text-outline-color": css("--canvas"), "text-outline-width": 2.5 },
      },
      { selector: "edge.absent", style: { display: "none" } },
      { selector: "node.reset", style: { "border-color": "data(change)", "border-width": 3.5, "border-style": "dashed" } },
      { selector: ".hover", style: { "overlay-color": css("--ink"), "overlay-opacity": 0.14, "overlay-padding": 4 } },
      { selector: "edge.hover", style: { opacity: 1, "z-index": 16 } },
      {
        selector: "node.found",
        style: {
          "outline-color": css("--accent"), "outline-width": 4, "outline-offset": 2, "outline-opacity": 1, opacity: 1, "z-index": 24,
        },
      },
      { selector: ".aside", style: { opacity: 0.28 } },
      { selector: "edge.truth.aside", style: { "underlay-opacity": 0.14 } },
      { selector: "node.walk", style: { "border-color": "data(walk)", "border-width": 3.5, opacity: 1, "z-index": 23 } },
      { selector: "node.stay", style: { "border-style": "double", "border-width": 8 } },
      {
        selector: "edge.walk",
        style: {
          "line-color": "data(walk)", width: 4.5, opacity: 1, "z-index": 18, "curve-style": "bezier",
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

  return { stylesheet, css };
})();
