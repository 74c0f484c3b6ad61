"use strict";
/* The picture as a file: SVG, and PNG made of it, with title and legend, at a size that the reader chooses.

   Shapes and lines are those that Cytoscape has drawn; the legend is the one beside the picture. */
GG.exporter = (() => {
  const { el } = GG;
  const { css } = GG.canvasStyle;
  const byId = (id) => document.getElementById(id);
  const SPACE = "http://www.w3.org/2000/svg";
  const MARGIN = 16;
  const [TITLE, TEXT] = [16, 12];
  const LEAST = 120, MOST = 8000;
  const MOST_SCALE = 4;
  const STRIPES = 42;
  /* Corners of node shapes, from -1 to 1, as Cytoscape has them. */
  const around = (sides, turn) => Array.from({ length: sides }, (_, i) => [Math.sin(turn + (2 * Math.PI * i) / sides), -Math.cos(turn + (2 * Math.PI * i) / sides)]);
  const CORNERS = {
    diamond: around(4, 0), hexagon: [[-1, 0], [-0.5, -1], [0.5, -1], [1, 0], [0.5, 1], [-0.5, 1]], pentagon: around(5, 0),
    octagon: around(8, Math.PI / 8), "round-triangle": [[0, -1], [1, 1], [-1, 1]], vee: [[-1, -1], [0, 1], [1, -1], [0, -0.33]],
  };

  function make(tag, attributes, ...children) {
    const element = document.createElementNS(SPACE, tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (value !== null && value !== undefined) element.setAttribute(name, typeof value === "number" ? String(Math.round(value * 100) / 100) : value);
    }
    element.append(...children);
    return element;
  }

  // What is drawn

  function node(element) {
    const { x, y } = element.position();
    const read = (name) => element.style(name);
    const [w, h] = [element.width() / 2, element.height() / 2];
    const look = {
      fill: read("background-color"), stroke: read("border-color"), "stroke-width": element.numericStyle("border-width"),
      "stroke-dasharray": read("border-style") === "dashed" ? "4 3" : null,
    };
    const shaped = (more, grow) => {
      const kind = read("shape");
      if (kind === "ellipse") return make("ellipse", { cx: x, cy: y, rx: w + grow, ry: h + grow, ...more });
      const corners = CORNERS[kind];
      if (corners) return make("polygon", { points: corners.map(([a, b]) => `${(x + a * (w + grow)).toFixed(2)},${(y + b * (h + grow)).toFixed(2)}`).join(" "), "stroke-linejoin": "round", ...more });
      return make("rect", { x: x - w - grow, y: y - h - grow, width: 2 * (w + grow), height: 2 * (h + grow), rx: Math.min(w, h, 6) + grow, ...more });
    };
    const ring = element.numericStyle("outline-width");
    const group = make("g", { id: element.id(), class: "node", opacity: Number(read("opacity")) });
    if (ring > 0) group.append(shaped({ fill: "none", stroke: read("outline-color"), "stroke-width": ring }, element.numericStyle("outline-offset") + ring / 2));
    group.append(shaped(look, 0), write(read("label"), x, y, element.numericStyle("font-size"), read("color"), "600"));
    return group;
  }

  /** Lines of text, in the middle of a point. */
  function write(text, x, y, size, color, weight, anchor) {
    const lines = String(text || "").split("\n");
    const first = y - ((lines.length - 1) * size * 1.1) / 2 + 0.35 * size;
    return make("text", { "font-size": size, fill: color, "font-weight": weight, "text-anchor": anchor || "middle" },
      ...lines.map((line, i) => make("tspan", { x, y: first + i * size * 1.1 }, document.createTextNode(line))));
  }

  /** The way of an edge, and the points from which it comes to its ends. */
  function way(element) {
    const [start, end] = [element.sourceEndpoint(), element.targetEndpoint()];
    const bends = element.controlPoints() || [];
    const at = ({ x, y }) => `${x.toFixed(2)} ${y.toFixed(2)}`;
    const middle = (a, b) => ({ x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 });
    let path = `M ${at(start)}`;
    bends.forEach((bend, i) => { path += ` Q ${at(bend)} ${at(i + 1 < bends.length ? middle(bend, bends[i + 1]) : end)}`; });
    if (!bends.length) path += ` L ${at(end)}`;
    return { path, start, end, before: bends[bends.length - 1] || start, after: bends[0] || end };
  }

  function head(from, to, size, color) {
    const turn = Math.atan2(to.y - from.y, to.x - from.x);
    const corner = (back, side) => `${(to.x - back * Math.cos(turn) - side * Math.sin(turn)).toFixed(2)},${(to.y - back * Math.sin(turn) + side * Math.cos(turn)).toFixed(2)}`;
    return make("polygon", { points: [corner(0, 0), corner(size, size / 2), corner(size, -size / 2)].join(" "), fill: color });
  }

  function edge(element) {
    const read = (name) => element.style(name);
    const { path, start, end, before, after } = way(element);
    const [width, color] = [element.numericStyle("width"), read("line-color")];
    const group = make("g", { id: element.id(), class: "edge", opacity: Number(read("opacity")) });
    const under = Number(read("underlay-opacity"));
    if (under > 0) {
      group.append(make("path", { d: path, fill: "none", stroke: read("underlay-color"), "stroke-opacity": under, "stroke-width": width + 2 * element.numericStyle("underlay-padding"), "stroke-linecap": "round" }));
    }
    const dashes = read("line-style") === "dashed" ? "4 4" : null;
    group.append(make("path", { d: path, fill: "none", stroke: color, "stroke-width": width, "stroke-dasharray": dashes }));
    const size = 0.3 * Math.max((width * 13.37) ** 0.9, 29) * Number(read("arrow-scale"));
    if (read("target-arrow-shape") !== "none") group.append(head(before, end, size, read("target-arrow-color")));
    if (read("source-arrow-shape") !== "none") group.append(head(after, start, size, read("source-arrow-color")));
    return group;
  }

  /** What is written on an edge, with a rim of paper: above all nodes. */
  function edgeLabel(element, paper) {
    const { x, y } = element.midpoint();
    const text = write(element.style("label"), x, y, element.numericStyle("font-size"), element.style("color"), "400");
    for (const [name, value] of Object.entries({ stroke: paper, "stroke-width": 3, "stroke-linejoin": "round", "paint-order": "stroke" })) text.setAttribute(name, value);
    return text;
  }

  function drawn(paper) {
    const elements = GG.canvas.elements();
    const level = (element) => Number(element.style("z-index"));
    const ordered = elements.filter((each) => each.style("display") !== "none").toArray().sort((a, b) => level(a) - level(b) || a.isNode() - b.isNode());
    const graph = make("g", { class: "graph" }, ...ordered.map((each) => (each.isNode() ? node(each) : edge(each))));
    graph.append(...ordered.filter((each) => each.isEdge() && each.style("label")).map((each) => edgeLabel(each, paper)));
    return { graph, box: elements.boundingBox() };
  }

  // The legend

  const measure = document.createElement("canvas").getContext("2d");
  function widthOf(text, size, weight = "400") {
    measure.font = `${weight} ${size}px ${css("--font")}`;
    return measure.measureText(text).width;
  }

  /** Items {width, draw(x, y)} of one line's height each, y its middle. */
  function items(view, look) {
    const found = [...byId("legend").querySelectorAll(".scale")].map((scale) => {
      const name = scale.firstElementChild.textContent;
      const ends = [...scale.querySelectorAll("small span")].map((each) => each.textContent);
      const [left, right] = [ends[0], ends[ends.length - 1]];
      const [a, b] = [widthOf(`${name}  ${left}`, TEXT), widthOf(right, TEXT)];
      /* Stripes, since the names of gradients would clash where two pictures stand in one document. */
      const stripes = (x, y) => Array.from({ length: STRIPES }, (_, i) => {
        const share = i / (STRIPES - 1);
        return make("rect", { x: x + (i * 84) / STRIPES, y: y - 5, width: 84 / STRIPES + (i + 1 < STRIPES ? 0.4 : 0), height: 10, fill: GG.color.score(view.signed ? 2 * share - 1 : share, 1, view.signed, look.theme) });
      });
      return {
        width: a + 100 + b + 16,
        draw: (x, y) => [
          write(`${name}  ${left}`, x, y, TEXT, css("--ink"), "400", "start"),
          make("g", { class: "ramp" }, ...stripes(x + a + 8, y)),
          write(right, x + a + 100, y, TEXT, css("--ink"), "400", "start"),
        ],
      };
    });
    for (const key of byId("legend").querySelectorAll(".keys > span")) {
      const text = key.textContent;
      found.push({
        width: 24 + widthOf(text, TEXT) + 6,
        draw: (x, y) => [sign(key.firstElementChild, x, y), write(text, x + 24, y, TEXT, css("--ink"), "400", "start")],
      });
    }
    return found;
  }

  /** The sign of a key, 18 wide. */
  function sign(icon, x, y) {
    if (icon.firstElementChild) {
      const form = icon.firstElementChild.cloneNode();
      const look = getComputedStyle(icon.firstElementChild);
      for (const name of ["fill", "stroke"]) form.setAttribute(name, look[name]);
      form.setAttribute("transform", `translate(${x + 2} ${y - 7})`);
      return form;
    }
    const is = (name) => icon.classList.contains(name);
    if (is("seed")) {
      return make("g", { fill: css("--node"), stroke: css("--ink") },
        make("circle", { cx: x + 9, cy: y, r: 7, fill: "none", "stroke-width": 1.5 }), make("circle", { cx: x + 9, cy: y, r: 4, "stroke-width": 2 }));
    }
    if (is("change")) {
      const color = getComputedStyle(icon).borderTopColor;
      if (is("feature")) return make("circle", { cx: x + 9, cy: y, r: 6, fill: "none", stroke: color, "stroke-width": 2, "stroke-dasharray": "3 2" });
      return make("line", { x1: x, x2: x + 18, y1: y, y2: y, stroke: color, "stroke-width": is("deleted") ? 3 : 4, "stroke-dasharray": is("deleted") ? "5 3" : null });
    }
    if (is("truth")) return make("rect", { x, y: y - 4, width: 18, height: 8, rx: 4, fill: css("--truth"), "fill-opacity": 0.42 });
    if (is("folded")) return make("rect", { x: x + 1, y: y - 5, width: 16, height: 10, rx: 3, fill: "none", stroke: css("--muted"), "stroke-dasharray": "3 2" });
    return make("line", { x1: x, x2: x + 18, y1: y, y2: y, stroke: css("--context"), "stroke-width": 1.5 });
  }

  /** Items side by side, in as many lines as they need. */
  function lines(all, width) {
    const found = [];
    let left = 0;
    for (const item of all) {
      if (!found.length || left + item.width > width) {
        found.push([]);
        left = 0;
      }
      found[found.length - 1].push({ ...item, left });
      left += item.width + 16;
    }
    return found;
  }

  // The file

  /** The picture as the text of an SVG. options: {width, height, title, hasLegend}. */
  function svg(view, look, { width, height, title, hasLegend }) {
    const root = make("svg", {
      xmlns: SPACE, width: String(width), height: String(height), viewBox: `0 0 ${width} ${height}`, "font-family": css("--font"), role: "img",
    });
    if (title) root.append(make("title", {}, document.createTextNode(title)));
    const paper = look.theme === "light" ? "#ffffff" : css("--canvas");
    root.append(make("rect", { width, height, fill: paper }));
    let top = MARGIN;
    if (title) {
      const size = Math.max(8, Math.min(TITLE, (TITLE * (width - 2 * MARGIN)) / widthOf(title, TITLE, "600")));
      root.append(write(title, width / 2, top + size / 2, size, css("--ink"), "600"));
      top += size + 10;
    }
    const rows = hasLegend ? lines(items(view, look), width - 2 * MARGIN) : [];
    const bottom = height - MARGIN - rows.length * 20;
    rows.forEach((row, r) => row.forEach((item) => root.append(...item.draw(MARGIN + item.left, bottom + 20 * r + 12))));
    const { graph, box } = drawn(paper);
    const room = [Math.max(width - 2 * MARGIN, 1), Math.max(bottom - top - 8, 1)];
    const scale = Math.min(room[0] / Math.max(box.w, 1), room[1] / Math.max(box.h, 1), MOST_SCALE);
    const shift = [width / 2 - (scale * (box.x1 + box.x2)) / 2, (top + bottom - 8) / 2 - (scale * (box.y1 + box.y2)) / 2];
    graph.setAttribute("transform", `translate(${shift[0].toFixed(2)} ${shift[1].toFixed(2)}) scale(${scale.toFixed(4)})`);
    root.append(graph);
    return new XMLSerializer().serializeToString(root);
  }

  async function png(text, { width, height, factor }) {
    const image = new Image();
    image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(text)}`;
    await image.decode();
    const paper = el("canvas", { width: String(Math.round(width * factor)), height: String(Math.round(height * factor)) });
    paper.getContext("2d").drawImage(image, 0, 0, paper.width, paper.height);
    return paper.toDataURL("image/png");
  }

  // What the reader chooses

  /** Add the controls after the button for PNG. current() gives {view, look, name, title}. */
  function create(button, current) {
    const field = { height: "30px", padding: "0 8px", border: "1px solid var(--line)", borderRadius: "8px", background: "var(--panel)", color: "var(--ink)" };
    const number = (id, label, value, more) => el("label", {}, `${label} `, el("input", { id, type: "number", value: String(value), step: "1", style: { ...field, width: "84px" }, ...more }));
    const size = { min: String(LEAST), max: String(MOST) };
    const panel = el("div", { id: "picture-options", hidden: true, role: "group", "aria-label": "Picture to save", style: { flexBasis: "100%", flexWrap: "wrap", gap: "10px 14px", alignItems: "center" } },
      number("picture-width", "Width", 900, size), number("picture-height", "Height", 640, size),
      el("label", { title: "PNG: dots for each pixel of the size" }, "PNG dots ", el("select", { id: "picture-factor" }, ...[1, 2, 4].map((each) => el("option", { value: String(each), selected: each === 2 }, `${each}×`)))),
      el("label", { style: { flex: "1 1 200px" } }, "Title ", el("input", { id: "picture-title", type: "text", style: { ...field, flex: "1 1 80px", minWidth: "0" } })),
      el("label", { class: "switch" }, el("input", { id: "picture-legend", type: "checkbox", checked: true }), el("span", {}), "Legend"));
    const toggle = el("button", { id: "picture", class: "plain", type: "button", "aria-expanded": "false", "aria-controls": "picture-options", title: "Size, title and legend of saved pictures" }, "Size");
    const vector = el("button", { id: "svg", class: "plain", type: "button", title: "Save the picture as SVG" }, "SVG");
    button.title = "Save the picture as PNG";
    button.after(vector, toggle);
    button.closest(".toolbar").append(panel);
    const show = (isOpen) => {
      panel.hidden = !isOpen;
      panel.style.display = isOpen ? "flex" : "none";
      toggle.setAttribute("aria-expanded", String(isOpen));
      byId("picture-title").placeholder = current().title;
    };
    show(false);
    toggle.onclick = () => show(panel.hidden);
    vector.onclick = () => save("svg", current());
    button.onclick = () => save("png", current());
  }

  function chosen(title) {
    const pixels = (id, otherwise) => {
      const value = Math.round(Number(byId(id).value)) || otherwise;
      byId(id).value = String(Math.min(Math.max(value, LEAST), MOST));
      return Number(byId(id).value);
    };
    return {
      width: pixels("picture-width", 900), height: pixels("picture-height", 640), factor: Number(byId("picture-factor").value),
      title: byId("picture-title").value.trim() || title, hasLegend: byId("picture-legend").checked,
    };
  }

  async function save(kind, { view, look, name, title }) {
    const options = chosen(title);
    const text = svg(view, look, options);
    const href = kind === "svg" ? `data:image/svg+xml;charset=utf-8,${encodeURIComponent(text)}` : await png(text, options);
    el("a", { href, download: `${name}.${kind}` }).click();
  }

  return { create };
})();
