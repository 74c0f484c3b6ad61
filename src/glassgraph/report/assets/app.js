"use strict";
/* The page: what the reader chose, the controls that change it, and `window.glassgraph` for tests and automation.

   window.glassgraph
     .state()              what is chosen and drawn: {instance, index, method, layer, mode, k, threshold, truth,
                           separate, layout, theme, nodes, lines (of the drawing; folded ones count), seeds, truthMarked,
                           highlighted: [edge positions, strongest first], fold, opened: [node positions],
                           folded: [{members, anchors, nodes, edges, edgeSum, nodeSum}], found: [node positions],
                           walk, traced: {nodes, stays, lines: [{edges, steps}]} (the walk that is brought out),
                           changes "before"|"both"|"after", struck, gone, inserted, reset (how many edges and nodes
                           are drawn so)}
     .edges()              every drawn edge: {position, id, source, target (user's node ids), from, to (positions), type, score, rank, truth,
                           isHighlighted, color, width}
     .nodes()              every drawn node: {position, id, type, score, rank, isSeed, isHighlighted, isFolded}
     .drawn()              what is drawn as a node, folded groups too: {id, label, position or group, x, y, width, height,
                           scale, font (at scale 1), fill, border, shape}, boxes in page coordinates
     .set({...})           choose: instance, method (numbers), layer (null: whole explanation), mode "k"|"threshold",
                           k, threshold (share of the largest score), truth, separate, layout, theme,
                           fold (fold what is not selected beside hubs, and hydrogens), opened (nodes that are not folded),
                           walk (number of one to keep brought out; null: none),
                           changes (of a counterfactual: which graph is shown)
     .point(kind, position)  page coordinates of a "node" or "edge", by position; of its group where it is folded
   Positions count within the instance as the payload has it. */
(() => {
  const { el } = GG;
  const byId = (id) => document.getElementById(id);
  const payload = JSON.parse(byId("payload").textContent);
  const prefersDark = window.matchMedia && matchMedia("(prefers-color-scheme: dark)").matches;
  /* Bonds have no direction. */
  const isOfMolecules = payload.instances.length > 0 && payload.instances.every(({ structures }) => structures[0].atoms);
  const state = {
    instance: 0, method: 0, layer: null, mode: "k", k: 12, threshold: 0.5,
    truth: true, separate: !isOfMolecules, layout: payload.layout, theme: prefersDark ? "dark" : "light",
    walk: null, fold: true, opened: [], changes: "both",
  };
  let view = null;
  let rows = [];

  function set(changes) {
    const isOther = ["instance", "method"].some((name) => name in changes && changes[name] !== state[name]);
    Object.assign(state, isOther ? { walk: null, opened: [] } : {}, changes);
    state.instance = Math.min(Math.max(state.instance, 0), Math.max(payload.instances.length - 1, 0));
    render();
    return summary();
  }

  function render() {
    document.documentElement.dataset.theme = state.theme;
    byId("tooltip").hidden = true;
    if (!payload.instances.length) return;
    view = GG.view.build(payload, state);
    const isNew = GG.canvas.draw(view, state);
    controls();
    GG.panels.prediction(view);
    GG.panels.topTable(view, state, GG.canvas.mark);
    if (!view.walks[state.walk]) state.walk = null;
    GG.walks.list(view, state, trace, pick);
    trace(null);
    GG.network.show(view);
    GG.changes.show(view, state, (changes) => set({ changes }));
    byId("fold-word").textContent = view.structure.hydrogens ? "Fold hydrogens" : "Fold neighbors";
    GG.folded.list(view, openGroup, state.opened.length > 0, () => set({ opened: [] }));
    GG.panels.features(view);
    GG.panels.curve(view);
    GG.legend.show(view, state);
    GG.panels.notice(view);
    GG.panels.readings(view, state);
    byId("cy").setAttribute("aria-label", GG.panels.pictureInWords(view));
    GG.find.show(view);
    if (isNew) GG.canvas.fit();
  }

  /** Draw the nodes of a folded group one by one. */
  function openGroup(g) {
    set({ opened: [...state.opened, ...view.fold.groups[g].members] });
  }

  /** Fold the hydrogens of an atom again. */
  function foldAtom(atom) {
    set({ opened: state.opened.filter((node) => view.structure.hydrogens[node] !== atom) });
  }

  /** Bring out a walk that the reader passes over, else the one that is kept. */
  function trace(walk) {
    GG.canvas.trace(view.walks[walk === null ? state.walk : walk] || null);
  }

  /** Keep a walk brought out, or let go of it. */
  function pick(walk) {
    set({ walk: state.walk === walk ? null : walk });
    const stage = byId("cy").getBoundingClientRect();
    if (state.walk !== null && stage.top + stage.bottom < 0) byId("cy").scrollIntoView({ behavior: "smooth" });
  }

  function controls() {
    rows.forEach((row, i) => {
      if (row.ariaSelected !== String(i === state.instance)) row.ariaSelected = String(i === state.instance);
      row.tabIndex = i === state.instance ? 0 : -1;
    });
    const row = rows[state.instance];
    const list = byId("instance-list");
    if (row.offsetTop < list.scrollTop || row.offsetTop + row.offsetHeight > list.scrollTop + list.clientHeight) {
      list.scrollTop = row.offsetTop - list.clientHeight / 2;
    }
    byId("method").value = String(state.method);
    const layers = GG.view.layersOf(view.run);
    byId("layer-field").hidden = layers.length < 2;
    const focused = [...byId("layer").children].indexOf(document.activeElement);
    byId("layer").replaceChildren(...layers.map((layer) =>
      el("button", {
        type: "button", "data-layer": String(layer), "aria-pressed": String(layer === view.layer),
        onclick: () => set({ layer }),
      }, layer === null ? "All" : String(layer + 1))));
    if (focused >= 0 && layers.length) byId("layer").children[Math.min(focused, layers.length - 1)].focus();
    byId("layout").value = state.layout;
    for (const button of byId("mode").children) button.setAttribute("aria-pressed", String(button.dataset.mode === state.mode));
    const [k, threshold] = [byId("k-slider"), byId("threshold-slider")];
    k.hidden = state.mode !== "k";
    threshold.hidden = state.mode !== "threshold";
    k.max = String(view.complete);
    k.value = String(view.k);
    threshold.value = String(Math.round(state.threshold * 1000));
    for (const slider of [k, threshold]) {
      slider.disabled = view.max === 0;
      slider.style.setProperty("--share", `${(100 * slider.value) / (slider.max || 1)}%`);
    }
    byId("truth-field").hidden = !view.structure.truth;
    byId("truth").checked = state.truth;
    byId("fold-field").hidden = !view.fold.foldable || state.layout === "sentence";
    byId("fold").checked = state.fold;
    byId("directions-field").hidden = view.edges.length === 0;
    byId("directions").checked = state.separate;
  }

  function step(by) {
    const open = rows.map((row, i) => (row.hidden ? -1 : i)).filter((i) => i >= 0);
    if (!open.length) return;
    const at = open.indexOf(state.instance);
    set({ instance: at < 0 ? open[0] : open[Math.min(Math.max(at + by, 0), open.length - 1)] });
  }

  function search() {
    const words = byId("search").value.trim().toLowerCase().split(/\s+/).filter(Boolean);
    rows.forEach((row) => (row.hidden = !words.every((word) => row.dataset.text.includes(word))));
    const matches = rows.filter((row) => !row.hidden).length;
    byId("no-match").hidden = matches > 0;
    byId("instance-count").textContent = words.length ? `${matches} of ${rows.length}` : String(rows.length);
  }

  /** Enter in the search: the first instance that matches, else a node of this one. */
  function seek() {
    if (rows.some((row) => !row.hidden)) step(0);
    else GG.find.next(byId("search").value);
  }

  function keys(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input:not([type=checkbox]), select")) return;
    const steps = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };
    if (event.key in steps) {
      const isInList = byId("instance-list").contains(document.activeElement);
      step(steps[event.key]);
      if (isInList) rows[state.instance].focus();
    }
    else if (event.key === "m") set({ method: (state.method + 1) % payload.methods.length });
    else if (event.key === "t") set({ truth: !state.truth });
    else if (event.key === "f") GG.canvas.fit();
    else if (event.key === "+" || event.key === "=") GG.canvas.zoomBy(1.25);
    else if (event.key === "-") GG.canvas.zoomBy(0.8);
    else if (event.key === "Escape" && state.walk !== null) set({ walk: null });
    else return;
    event.preventDefault();
  }

  function provenance() {
    byId("provenance").replaceChildren(...payload.methods.map((method) => el("details", {},
      el("summary", {}, el("b", {}, method.name), el("span", {}, GG.format.count(method.num_layers, "layer"))),
      tree(method.provenance))));
  }

  function tree(value) {
    if (value === null || typeof value !== "object") return el("code", {}, value === null ? "none" : String(value));
    if (Array.isArray(value) && value.every((item) => item === null || typeof item !== "object")) return el("code", {}, value.join(", "));
    return el("table", { class: "tree" }, el("tbody", {}, ...Object.entries(value).map(([name, item]) =>
      el("tr", {}, el("th", { scope: "row" }, name), el("td", {}, tree(item))))));
  }

  function footer() {
    const { name, version, license, source } = payload.vendor;
    byId("footer").replaceChildren(
      el("p", {}, "Made with Glassgraph. This file is complete: it loads nothing and sends nothing."),
      el("p", {}, `Graphs are drawn with ${name} ${version} (${license} license, © The Cytoscape Consortium, ${source}); the license text stands in this file, before its code.`));
  }

  /** What a saved picture shows, and what it is called. */
  function picture() {
    const name = `${payload.methods[state.method].name}-${payload.level}-${view ? view.instance.index : "none"}`;
    const row = rows[state.instance];
    const title = row ? `${payload.methods[state.method].name}, ${row.querySelector("b").textContent.toLowerCase()}` : "";
    return { view, look: state, name: name.replace(/[^\w.-]+/g, "_"), title };
  }

  function summary() {
    const counts = view ? GG.canvas.counts() : { nodes: 0, lines: 0, truthMarked: 0, seeds: [], found: [], traced: null };
    return {
      ...state, ...counts,
      layer: view ? view.layer : null,
      folded: view ? view.fold.groups.map(({ members, anchors, ...group }) => ({ members, anchors, ...GG.fold.totals(view, { members, ...group }) })) : [],
      index: view ? view.instance.index : null,
      highlighted: view ? view.edges.filter((edge) => edge.isHighlighted).sort((a, b) => a.rank - b.rank).map((edge) => edge.position) : [],
    };
  }

  function start() {
    const { count } = GG.format;
    const shared = payload.methods.map((method) => method.name);
    byId("summary").textContent = `${count(payload.instances.length, "instance")} · ${count(shared.length, "method")}`;
    byId("method").append(...shared.map((name, m) => el("option", { value: String(m) }, name)));
    const hasSeeds = payload.instances.some((instance) => instance.structures.some((own) => own.seeds.length));
    const hasNames = payload.instances.some((instance) => instance.structures.some((own) => own.node_names));
    byId("layout").append(el("option", { value: "organic" }, "Organic"), ...(hasSeeds ? [el("option", { value: "rings" }, "Rings by hop")] : []),
      ...(hasNames ? [el("option", { value: "sentence" }, "Sentence")] : []));
    byId("instance-count").textContent = String(payload.instances.length);
    document.documentElement.dataset.theme = state.theme;
    GG.canvas.create(byId("cy"), {
      onHover: (element, event) => GG.tooltip.show(view, element.data(), event),
      onOpen: openGroup,
      onFold: foldAtom,
      onLeave: () => { byId("tooltip").hidden = true; },
    });
    rows = GG.panels.instanceList(payload, (instance) => set({ instance }));

    byId("previous").onclick = () => step(-1);
    byId("next").onclick = () => step(1);
    byId("search").oninput = search;
    byId("search").onkeydown = (event) => { if (event.key === "Enter") seek(); };
    byId("method").onchange = (event) => set({ method: Number(event.target.value) });
    byId("layout").onchange = (event) => set({ layout: event.target.value });
    byId("fit").onclick = GG.canvas.fit;
    byId("theme").onclick = () => set({ theme: state.theme === "dark" ? "light" : "dark" });
    for (const button of byId("mode").children) button.onclick = () => set({ mode: button.dataset.mode });
    byId("k-slider").oninput = (event) => set({ k: Number(event.target.value) });
    byId("threshold-slider").oninput = (event) => set({ threshold: Number(event.target.value) / 1000 });
    byId("truth").onchange = (event) => set({ truth: event.target.checked });
    byId("fold").onchange = (event) => set({ fold: event.target.checked, opened: [] });
    GG.find.create((node) => set({ opened: [...state.opened, node] }));
    byId("directions").onchange = (event) => set({ separate: event.target.checked });
    document.addEventListener("keydown", keys);
    /* A phone that is turned; its bars, which come and go, change the height alone. */
    let width = innerWidth;
    window.addEventListener("resize", () => {
      if (innerWidth === width || !view) return;
      width = innerWidth;
      GG.canvas.resize();
      render();
      GG.canvas.fit();
    });
    GG.exporter.create(byId("png"), picture);
    GG.metrics.show(payload, (method) => set({ method }));
    provenance();
    footer();
    render();
    if (!payload.instances.length) {
      byId("notice").hidden = false;
      byId("notice").textContent = "There is no instance in this report.";
    }
  }

  window.glassgraph = {
    state: summary,
    edges: () => view.edges.map((edge) => ({
      ...edge, from: edge.source, to: edge.target, source: view.nodes[edge.source].id, target: view.nodes[edge.target].id, ...GG.canvas.drawnLine(edge.position),
    })),
    nodes: () => view.nodes.map(({ features, typeNumber, ...node }) => ({ ...node, isFolded: view.fold.groupOf.has(node.position) })),
    drawn: GG.canvas.drawnNodes,
    set,
    point: GG.canvas.point,
  };
  start();
})();
