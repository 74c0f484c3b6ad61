"use strict";
/* Curves and points in a frame with axes. Statistics come with the data; here they only get a place. */
GG.charts = (() => {
  const SIZE = { width: 560, height: 300, left: 52, right: 14, top: 12, bottom: 40 };

  function svg(tag, attributes, text) {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    if (text !== undefined) element.textContent = text;
    return element;
  }

  function scale(values, from, to, log) {
    const of = (value) => (log ? Math.log10(Math.max(value, 1e-9)) : value);
    let [low, high] = [Math.min(...values.map(of)), Math.max(...values.map(of))];
    const room = (high - low || 1) * 0.06;
    [low, high] = [low - room, high + room];
    const place = (value) => from + ((of(value) - low) / (high - low)) * (to - from);
    const ticks = [0.06, 0.35, 0.65, 0.94].map((share) => low + share * (high - low)).map((at) => (log ? 10 ** at : at));
    return { place, ticks };
  }

  function frame(root, xs, ys, labels, log) {
    root.replaceChildren();
    root.setAttribute("viewBox", `0 0 ${SIZE.width} ${SIZE.height}`);
    root.setAttribute("aria-label", `${labels.y} against ${labels.x}`);
    if (!xs.length) {
      root.append(svg("text", { x: 20, y: 40 }, "Nothing was measured here."));
      return null;
    }
    const x = scale(xs, SIZE.left, SIZE.width - SIZE.right, log);
    const y = scale(ys, SIZE.height - SIZE.bottom, SIZE.top, false);
    const write = (value) => String(Number(value.toPrecision(2)));
    for (const at of y.ticks) {
      root.append(svg("line", { class: "grid", x1: SIZE.left, x2: SIZE.width - SIZE.right, y1: y.place(at), y2: y.place(at) }));
      root.append(svg("text", { x: SIZE.left - 6, y: y.place(at) + 4, "text-anchor": "end" }, write(at)));
    }
    for (const at of x.ticks) root.append(svg("text", { x: x.place(at), y: SIZE.height - 24, "text-anchor": "middle" }, write(at)));
    root.append(svg("text", { x: SIZE.width / 2, y: SIZE.height - 6, "text-anchor": "middle" }, labels.x));
    return { x, y };
  }

  /** Lines [{name, color, points: [[x, y]]}] and the chance line [[x, y]]. */
  function curves(root, lines, chance, labels) {
    const all = [...lines.flatMap((line) => line.points), ...chance];
    const at = frame(root, all.map((p) => p[0]), all.map((p) => p[1]), labels, false);
    if (!at) return;
    const way = (points) => points.map(([x, y], k) => `${k ? "L" : "M"}${at.x.place(x)} ${at.y.place(y)}`).join("");
    for (const line of lines) {
      const path = svg("path", { class: "way", d: way(line.points), stroke: line.color, "data-method": line.name });
      path.append(svg("title", {}, line.name));
      path.addEventListener("mouseenter", () => root.querySelectorAll(".way").forEach((o) => o.classList.toggle("faint", o !== path)));
      path.addEventListener("mouseleave", () => root.querySelectorAll(".way").forEach((o) => o.classList.remove("faint")));
      root.append(path);
    }
    if (chance.length) root.append(svg("path", { class: "chance", d: way(chance) }));
  }

  /** Points [{name, color, x, y, note}]. */
  function points(root, found, labels, log) {
    const at = frame(root, found.map((p) => p.x), found.map((p) => p.y), labels, log);
    if (!at) return;
    /* Boxes of dots and names; the legend tells the names that have no room. */
    const written = found.map((point) => ({ left: at.x.place(point.x) - 6, y: at.y.place(point.y) + 4, wide: 12 }));
    for (const point of found) {
      const dot = svg("circle", { cx: at.x.place(point.x), cy: at.y.place(point.y), r: 5, fill: point.color, "data-method": point.name });
      dot.append(svg("title", {}, `${point.name}: ${labels.x} ${GG.format.short(point.x)}, ${labels.y} ${GG.format.short(point.y)}`));
      const right = at.x.place(point.x) > SIZE.width * 0.75;
      root.append(dot);
      const [x, y, wide] = [at.x.place(point.x) + (right ? -8 : 8), at.y.place(point.y) + 4, 6.3 * point.name.length];
      const left = right ? x - wide : x;
      if (written.some((own) => Math.abs(own.y - y) < 12 && own.left < left + wide && left < own.left + own.wide)) continue;
      written.push({ left, y, wide });
      root.append(svg("text", { x, y, "text-anchor": right ? "end" : "start" }, point.name));
    }
  }

  return { curves, points };
})();
