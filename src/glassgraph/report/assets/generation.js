"use strict";
/* Generated graphs: a list of them, one drawn as it was after a step, a slider over its steps. */
GG.generation = (() => {
  const SPACE = "http://www.w3.org/2000/svg";
  const [PAUSE, RADIUS] = [650, 17];
  const byId = (id) => document.getElementById(id);
  const payload = JSON.parse(byId("payload").textContent);
  const names = payload.node_types;
  const chance = payload.graphs[0].probabilities.length ? 1 / payload.graphs[0].probabilities.length : 0;
  const state = { graph: 0, step: 0, timer: null };

  function make(name, attributes, ...children) {
    const element = document.createElementNS(SPACE, name);
    Object.entries(attributes).forEach(([key, value]) => element.setAttribute(key, value));
    element.append(...children);
    return element;
  }

  const theme = () => document.documentElement.dataset.theme || "light";

  /** Types of nodes and pairs of ends after so many steps; the last move apart. */
  function grown(graph, step) {
    const [nodes, edges] = [[...graph.nodes], [...graph.edges]];
    let move = null;
    graph.steps.slice(0, step).forEach((each, at) => {
      const isLast = at === step - 1;
      if (isLast) move = { ...each, isNew: each.added >= 0 };
      if (!each.accepted) return;
      if (each.added >= 0) nodes.push(each.added);
      edges.push([each.start, each.end]);
    });
    return { nodes, edges, move };
  }

  /** Fixed places: of the graph that the episode gives, or of the last one where that has more nodes. */
  function placesOf(graph) {
    const last = grown(graph, graph.steps.length);
    const taken = grown(graph, graph.taken);
    const shape = last.nodes.length > taken.nodes.length ? last : taken;
    const points = GG.layout.organic({
      size: shape.nodes.length, source: shape.edges.map(([a]) => a), target: shape.edges.map(([, b]) => b),
    });
    const xs = points.map((p) => p.x), ys = points.map((p) => p.y);
    const box = [Math.min(...xs) - 70, Math.min(...ys) - 70, Math.max(...xs) + 70, Math.max(...ys) + 70];
    return { points, box };
  }
  const places = payload.graphs.map(placesOf);

  function viewBox([left, top, right, bottom]) {
    const [width, height] = [Math.max(right - left, 440), Math.max(bottom - top, 330)];
    return `${(left + right - width) / 2} ${(top + bottom - height) / 2} ${width} ${height}`;
  }

  function line(from, to, kind) {
    return make("line", { class: `edge ${kind}`, x1: from.x, y1: from.y, x2: to.x, y2: to.y });
  }

  function node(point, type, kind, isLabeled = names.length > 1) {
    const fill = GG.color.type(type);
    const label = isLabeled ? [make("text", { x: point.x, y: point.y, style: `fill:${GG.color.ink(fill)}` }, names[type])] : [];
    return make("g", { class: kind }, make("circle", { class: kind, cx: point.x, cy: point.y, r: RADIUS, style: `fill:${fill}` }), ...label);
  }

  function draw() {
    const graph = payload.graphs[state.graph];
    const { points, box } = places[state.graph];
    const { nodes, edges, move } = grown(graph, state.step);
    const picture = byId("grown");
    const isLost = move && !move.accepted;
    const drawn = edges.map(([a, b], at) => line(points[a], points[b], move && move.accepted && at === edges.length - 1 ? "new" : ""));
    const dots = nodes.map((type, at) => node(points[at], type, move && move.accepted && move.isNew && at === nodes.length - 1 ? "new" : ""));
    if (isLost) {
      const end = move.isNew ? beside(points[move.start], points.slice(0, nodes.length)) : points[move.end];
      drawn.push(line(points[move.start], end, "lost"));
      if (move.isNew) {
        const ghost = make("g", { class: "lost" }, make("circle", { cx: end.x, cy: end.y, r: RADIUS }));
        if (names.length > 1) ghost.append(make("text", { x: end.x, y: end.y }, names[move.added]));
        dots.push(ghost);
      }
    }
    picture.setAttribute("viewBox", viewBox(box));
    picture.setAttribute("aria-label", `${nodes.length} nodes, edges ${edges.map(([a, b]) => `${a}–${b}`).join(", ") || "none"}`);
    picture.replaceChildren(...drawn, ...dots);
  }

  /** A free place next to a node, for one that was taken back. */
  function beside(from, others) {
    const around = Array.from({ length: 12 }, (_, i) => ({
      x: from.x + 52 * Math.cos((i * Math.PI) / 6), y: from.y + 52 * Math.sin((i * Math.PI) / 6),
    }));
    const room = (p) => Math.min(...others.filter((o) => o !== from).map((o) => Math.hypot(o.x - p.x, o.y - p.y)), 1e6);
    return around.reduce((best, p) => (room(p) > room(best) ? p : best));
  }

  function tell() {
    const graph = payload.graphs[state.graph];
    const all = graph.steps.length;
    const target = byId("told");
    if (!state.step) {
      target.replaceChildren(GG.el("b", {}, `Step 0 of ${all}`), ` · the beginning · p = ${GG.format.short(graph.begins_at)}`);
      return;
    }
    const step = graph.steps[state.step - 1];
    const what = step.added >= 0 ? `a new ${names.length > 1 ? names[step.added] + " " : ""}node joined to ${step.start}` : `edge ${step.start}–${step.end}`;
    const fate = !step.valid ? "breaks a rule, rolled back" : step.accepted ? "kept" : "rolled back";
    const given = state.step === graph.taken ? " · this is the graph that the episode gives" : "";
    target.replaceChildren(GG.el("b", {}, `Step ${state.step} of ${all}`),
      ` · ${what} · ${fate} · p = ${GG.format.short(step.probability)}${given}`);
  }

  function chart() {
    const graph = payload.graphs[state.graph];
    const [left, right, top, bottom] = [32, 292, 10, 156];
    const count = Math.max(1, graph.steps.length);
    const x = (step) => left + ((right - left) * step) / count;
    const y = (p) => bottom - (bottom - top) * p;
    const parts = [0, 0.5, 1].flatMap((p) => [
      make("line", { class: "grid", x1: left, x2: right, y1: y(p), y2: y(p) }),
      make("text", { x: left - 6, y: y(p) + 4, "text-anchor": "end" }, String(p)),
    ]);
    parts.push(make("line", { class: "chance", x1: left, x2: right, y1: y(chance), y2: y(chance) }));
    parts.push(make("line", { class: "now", x1: x(state.step), x2: x(state.step), y1: top, y2: bottom }));
    let current = graph.begins_at;
    let way = `M${x(0)} ${y(current)}`;
    const dots = [make("circle", { class: graph.taken ? "dot" : "dot taken", cx: x(0), cy: y(current), r: 3 })];
    graph.steps.forEach((step, at) => {
      if (step.accepted && step.probability !== null) current = step.probability;
      way += `L${x(at + 1)} ${y(current)}`;
      if (step.probability === null) return;
      const kind = step.accepted ? (at + 1 === graph.taken ? "dot taken" : "dot") : "dot lost";
      dots.push(make("circle", { class: kind, cx: x(at + 1), cy: y(step.probability), r: at + 1 === graph.taken ? 4.5 : 3 }));
    });
    parts.push(make("path", { class: "way", d: way }), ...dots);
    parts.push(make("text", { x: left, y: 174 }, "0"), make("text", { x: right, y: 174, "text-anchor": "end" }, `${graph.steps.length} steps`));
    byId("chart").replaceChildren(...parts);
    byId("chart").setAttribute("aria-label", `Probability of class ${payload.target} after each step`);
  }

  function bars() {
    const graph = payload.graphs[state.graph];
    byId("prediction").replaceChildren(...graph.probabilities.map((value, c) =>
      GG.el("div", { class: c === payload.target ? "bar aimed" : "bar" },
        GG.el("span", { class: "name" }, `class ${c}`),
        GG.el("span", { class: "track" }, GG.el("i", { style: { width: `${100 * (value || 0)}%` } })),
        GG.el("span", { class: "value" }, GG.format.short(value)))),
      GG.el("p", { class: "reading" }, `of the graph after step ${graph.taken}: ${graph.types}${graph.keeps_rules ? "" : "; it breaks a rule"}`));
  }

  function table() {
    const graph = payload.graphs[state.graph];
    byId("steps").tBodies[0].replaceChildren(...graph.steps.map((step, at) =>
      GG.el("tr", { class: `${step.accepted ? "" : "lost"} ${at + 1 === state.step ? "current" : ""}`, onclick: () => go(at + 1) },
        GG.el("td", { class: "number" }, String(at + 1)),
        GG.el("td", {}, `${step.start}–${step.end}`),
        GG.el("td", {}, step.added >= 0 ? names[step.added] : ""),
        GG.el("td", { class: "number" }, GG.format.short(step.probability)),
        GG.el("td", { class: "number" }, GG.format.short(step.reward)))));
  }

  function thumbnail(number) {
    const graph = payload.graphs[number];
    const { points, box } = places[number];
    const { nodes, edges } = grown(graph, graph.taken);
    return make("svg", { class: "thumb", viewBox: viewBox(box), "aria-hidden": "true" },
      ...edges.map(([a, b]) => line(points[a], points[b], "")), ...nodes.map((type, at) => node(points[at], type, "", false)));
  }

  function list() {
    byId("instance-list").replaceChildren(...payload.graphs.map((graph, number) =>
      GG.el("button", { class: "entry", type: "button", role: "option", "aria-selected": String(number === state.graph), tabindex: number === state.graph ? "0" : "-1", onclick: () => choose(number) },
        thumbnail(number),
        GG.el("div", {}, GG.el("b", {}, `p = ${GG.format.short(graph.probabilities[payload.target])}`),
          GG.el("span", {}, names.length > 1 ? graph.types : GG.format.count(grown(graph, graph.taken).nodes.length, "node"))))));
  }

  function refresh() {
    const slider = byId("step");
    const all = payload.graphs[state.graph].steps.length;
    slider.max = all;
    slider.value = state.step;
    slider.style.setProperty("--share", `${all ? (100 * state.step) / all : 0}%`);
    draw();
    tell();
    chart();
    table();
  }

  function go(step) {
    const all = payload.graphs[state.graph].steps.length;
    state.step = Math.min(Math.max(step, 0), all);
    refresh();
  }

  function choose(number) {
    stop();
    state.graph = number;
    state.step = payload.graphs[number].taken;
    list();
    bars();
    refresh();
  }

  function stop() {
    clearInterval(state.timer);
    state.timer = null;
    byId("play").textContent = "Play";
  }

  function play() {
    if (state.timer) return stop();
    const { taken } = payload.graphs[state.graph];
    if (state.step >= taken) go(0);
    byId("play").textContent = "Stop";
    state.timer = setInterval(() => (state.step < taken ? go(state.step + 1) : stop()), PAUSE);
  }

  function start() {
    if (matchMedia("(prefers-color-scheme: dark)").matches) document.documentElement.dataset.theme = "dark";
    byId("summary").textContent = `${payload.model || ""}${payload.is_random ? " · random graphs under the same rules" : ""}`;
    byId("graph-count").textContent = String(payload.graphs.length);
    byId("chart-title").textContent = `Probability of class ${payload.target}`;
    byId("provenance").textContent = JSON.stringify(payload.provenance);
    const kinds = () => byId("kinds").replaceChildren(...names.map((name, at) =>
      GG.el("span", {}, GG.el("i", { style: { background: GG.color.type(at) } }), names.length > 1 ? name : "node")));
    kinds();
    byId("step").addEventListener("input", (event) => { stop(); go(Number(event.target.value)); });
    byId("back").addEventListener("click", () => { stop(); go(state.step - 1); });
    byId("ahead").addEventListener("click", () => { stop(); go(state.step + 1); });
    byId("play").addEventListener("click", play);
    byId("theme").addEventListener("click", () => {
      document.documentElement.dataset.theme = theme() === "dark" ? "light" : "dark";
      kinds();
      list();
      refresh();
    });
    document.addEventListener("keydown", (event) => {
      if (event.target === byId("step")) return;
      if (event.key === "ArrowLeft") go(state.step - 1);
      if (event.key === "ArrowRight") go(state.step + 1);
      const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      const number = state.graph + by;
      if (!byId("instance-list").contains(event.target) || !payload.graphs[number]) return;
      event.preventDefault();
      choose(number);
      byId("instance-list").children[number].focus();
    });
    choose(0);
  }

  return { start, go, choose };
})();
GG.generation.start();
