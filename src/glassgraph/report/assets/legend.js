"use strict";
/* What colors, shapes and lines mean; drawn with the colors of the picture. */
GG.legend = (() => {
  const { el } = GG;
  const { short } = GG.format;
  const SPACE = "http://www.w3.org/2000/svg";
  /* Corners within 14 × 14, as the picture has them. */
  const CORNERS = {
    diamond: "7,0.5 13.5,7 7,13.5 0.5,7",
    hexagon: "3.7,1.2 10.3,1.2 13.5,7 10.3,12.8 3.7,12.8 0.5,7",
    "round-triangle": "7,1 13.2,12.8 0.8,12.8",
    pentagon: "7,0.6 13.4,5.4 10.9,13 3.1,13 0.6,5.4",
    octagon: "4.3,0.6 9.7,0.6 13.4,4.3 13.4,9.7 9.7,13.4 4.3,13.4 0.6,9.7 0.6,4.3",
    vee: "7,0.6 13.2,13.2 7,9.6 0.8,13.2",
  };

  function shape(kind, fill, stroke, width) {
    const make = (tag, attributes) => {
      const element = document.createElementNS(SPACE, tag);
      Object.entries(attributes).forEach(([name, value]) => element.setAttribute(name, value));
      return element;
    };
    const form = kind === "ellipse" ? make("circle", { cx: 7, cy: 7, r: 6.2 })
      : kind === "round-rectangle" ? make("rect", { x: 0.8, y: 0.8, width: 12.4, height: 12.4, rx: 3 })
        : make("polygon", { points: CORNERS[kind] });
    for (const [name, value] of Object.entries({ fill, stroke, "stroke-width": width })) form.setAttribute(name, value);
    const picture = make("svg", { class: `key shape ${kind}`, viewBox: "-1 -1 16 16", "aria-hidden": "true" });
    picture.append(form);
    return picture;
  }

  function scale(name, max, view, look) {
    return el("div", { class: "scale" }, el("span", {}, name),
      el("i", { class: "ramp", style: { background: GG.color.gradient(view.signed, look.theme) } }),
      el("small", {}, el("span", {}, view.signed ? short(-max) : "0"), ...(view.signed ? [el("span", {}, "0")] : []), el("span", {}, short(max))));
  }

  function show(view, look) {
    const items = [];
    if (view.subject === "edges" && view.edgeMax > 0) {
      items.push(scale(view.layer === null ? "Edge score" : `Edge score, layer ${view.layer + 1}`, view.edgeMax, view, look));
    }
    if (view.run.nodes && view.nodeMax > 0) {
      items.push(scale(view.run.nodes_from === "features" ? "Node score, features summed" : "Node score", view.nodeMax, view, look));
    }
    const keys = el("div", { class: "keys" });
    const key = (kind, text) => keys.append(el("span", {}, el("i", { class: `key ${kind}` }), text));
    if (view.structure.seeds.length) key("seed", view.structure.seeds.length > 1 ? "explained nodes" : "explained node");
    if (look.truth && view.structure.truth) key("truth", "ground truth");
    if (view.subject === "edges") key("context", "not selected");
    if (view.changes && look.changes !== "before") {
      const colored = (kind, text) => keys.append(el("span", {}, el("i", { class: `key change ${kind}`, style: { borderColor: GG.color.change(kind, look.theme) } }), text));
      if (view.changes.deleted.length) colored("deleted", "deleted");
      if (view.changes.inserted.length) colored("inserted", "inserted");
      if (view.changes.features.length) colored("feature", "feature set");
    }
    const inLetters = GG.fold.inLetters(view);
    if (view.fold.groups.length) key("folded", inLetters ? `${inLetters}: select an atom to open` : "folded: select to open");
    types(view).forEach((item) => keys.append(item));
    document.getElementById("legend").replaceChildren(...items, keys);
  }

  /** A key for each type that is drawn one by one; the rim where scores fill the nodes, as in the picture. */
  function types(view) {
    const shown = new Set(view.fold.items.map((n) => view.nodes[n].typeNumber));
    const isRimmed = Boolean(view.run.nodes);
    return (view.structure.node_types || []).flatMap((name, number) => {
      if (!shown.has(number)) return [];
      const color = GG.color.type(number);
      const { node, edge } = { node: "var(--node)", edge: "var(--node-edge)" };
      return [el("span", { "data-type": name },
        shape(GG.color.shape(number), isRimmed ? node : color, isRimmed ? color : edge, isRimmed ? 2.6 : 1), name)];
    });
  }

  return { show };
})();
