"use strict";
/* The learned network: nodes in rows, an arrow from each parent to its children. */
GG.network = (() => {
  const SPACE = "http://www.w3.org/2000/svg";
  const [WIDTH, GAP, HEIGHT, MARGIN] = [280, 58, 22, 16];
  const byId = (id) => document.getElementById(id);

  function show({ run: { network } }) {
    byId("network-card").hidden = !network;
    if (!network) return;
    const rows = network.nodes.reduce((most, { row }) => Math.max(most, row + 1), 0);
    const places = network.nodes.map(({ name, row, x }) => ({
      name, x: x * WIDTH, y: MARGIN + row * GAP, half: Math.max(15, 3.6 * name.length + 8),
    }));
    const picture = byId("network");
    picture.setAttribute("viewBox", `0 0 ${WIDTH} ${Math.max(0, rows - 1) * GAP + 2 * MARGIN}`);
    picture.setAttribute("aria-label", network.edges.map(([a, b]) => `${places[a].name} → ${places[b].name}`).join(", "));
    picture.toggleAttribute("hidden", !rows);
    picture.replaceChildren(...network.edges.map(([a, b]) => arrow(places[a], places[b])),
      ...network.nodes.map(({ explained }, n) => box(places[n], explained)));
    byId("network-note").textContent = rows
      ? "Arrows run from parents to children of the learned Bayesian network."
      : "The tests found no node on which the prediction depends.";
  }

  function make(name, attributes, ...children) {
    const element = document.createElementNS(SPACE, name);
    Object.entries(attributes).forEach(([key, value]) => element.setAttribute(key, value));
    element.append(...children);
    return element;
  }

  /** Arrows past other rows swing aside, the longer the farther, or they would run through nodes. */
  function arrow(from, to) {
    const [top, bottom] = [from.y + HEIGHT / 2, to.y - HEIGHT / 2 - 2];
    const passed = Math.round((to.y - from.y) / GAP) - 1;
    const isLeft = from.x === to.x ? passed % 2 : from.x < WIDTH / 2;
    const aside = (isLeft ? -1 : 1) * Math.min(passed * 50, 0.8 * WIDTH);
    const [x, y] = [(from.x + to.x) / 2 + aside, (top + bottom) / 2];
    const turn = (Math.atan2(bottom - y, to.x - x) * 180) / Math.PI;
    return make("g", { class: "arrow" },
      make("path", { class: "way", d: `M${from.x} ${top}Q${x} ${y} ${to.x} ${bottom}` }),
      make("path", { class: "head", d: "M0 0L-7 3.5L-7 -3.5z", transform: `translate(${to.x} ${bottom}) rotate(${turn})` }));
  }

  function box({ name, x, y, half }, explained) {
    return make("g", { class: explained ? "box explained" : "box" },
      make("rect", { x: x - half, y: y - HEIGHT / 2, width: 2 * half, height: HEIGHT, rx: HEIGHT / 2 }),
      make("text", { x, y: y + 4 }, name));
  }

  return { show };
})();
