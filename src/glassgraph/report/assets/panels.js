"use strict";
/* Beside the picture: lists, tables, bars and notices. */
GG.panels = (() => {
  const { el } = GG;
  const { short, exact, count } = GG.format;
  const byId = (id) => document.getElementById(id);
  const NOUN = { node: "Node", graph: "Graph", edge: "Link" };
  const MOST_ROWS = 100;
  const MOST_CLASSES = 8;
  const MOST_LETTERS = 120; // of an instance's words
  const MOST_OF_TITLE = 48; // of an instance's title

  function nodeName(view, position) {
    const node = view.nodes[position];
    if (node.name) return node.name;
    return node.type === null ? String(node.id) : `${node.type} ${node.id}`;
  }

  const outputName = (names, noun, c) => (names && names[c]) || `${noun} ${c}`;

  /** What is explained: as its title says, or by level and number. */
  function instanceName({ title, index }, level) {
    return title && title !== `${level} ${index}` ? title : `${NOUN[level] || "Instance"} ${index}`;
  }

  function targetName(target, noun, names) {
    if (!Array.isArray(target)) return outputName(names, noun, target);
    return `${outputName(names, noun, target[0])} rather than ${names ? outputName(names, noun, target[1]) : target[1]}`;
  }

  /** The words of an instance: of what is explained, or else of all its nodes. */
  function wordsOf({ structures: [{ node_names: names, seeds, atoms, tree }] }) {
    if (!names || atoms) return "";
    if (tree) return names[tree.indexOf(null)];
    return seeds.length ? seeds.map((seed) => names[seed]).join(" → ") : names.join(" ");
  }

  function outcome(instance, method) {
    const predicted = GG.view.predictedClass(instance.runs[0].prediction, method.provenance);
    if (instance.label === null || predicted === null) return { predicted, verdict: null };
    return { predicted, verdict: predicted === instance.label ? "correct" : "wrong" };
  }

  /** One button per instance; returns them in order. Tab reaches the chosen one, the arrow keys go on from there. */
  function instanceList(payload, onPick) {
    const severalGraphs = new Set(payload.instances.map((instance) => instance.graph)).size > 1;
    const rows = payload.instances.map((instance, i) => {
      const { predicted, verdict } = outcome(instance, payload.methods[0]);
      const name = instanceName(instance, payload.level);
      const notes = [
        severalGraphs && payload.level !== "graph" && !instance.title ? `graph ${instance.graph}` : null,
        predicted === null ? null : outputName(payload.class_names, "class", predicted),
      ].filter(Boolean).join(" · ");
      const said = wordsOf(instance);
      const words = said === name ? "" : said;
      const dot = el("i", { class: `dot ${verdict || "unknown"}`, title: verdict ? `${verdict} prediction` : "no label" });
      const row = el("button", { type: "button", role: "option", class: "row", onclick: () => onPick(i) },
        dot, el("b", { title: name }, GG.format.clip(name, MOST_OF_TITLE)), el("span", {}, notes), words && el("small", { title: words }, GG.format.clip(words, MOST_LETTERS)));
      row.dataset.text = `${name} ${payload.level} ${instance.index} ${NOUN[payload.level] || ""} ${notes} ${verdict || ""} ${words}`.toLowerCase();
      return row;
    });
    byId("instance-list").replaceChildren(...rows);
    return rows;
  }

  function prediction(view) {
    const { run, instance, method } = view;
    if (run.rows) return byId("prediction").replaceChildren(outputRows(view), handed(run));
    const values = run.prediction;
    const asShare = GG.view.isProbability(values, method.provenance);
    const { predicted, verdict } = outcome(instance, method);
    const noun = GG.view.isRegression(method.provenance) ? "output" : "class";
    const aimed = Array.isArray(run.target) ? run.target : [run.target];
    const order = values.map((_, c) => c);
    if (values.length > MOST_CLASSES) {
      const keep = order.sort((a, b) => values[b] - values[a]).slice(0, MOST_CLASSES);
      order.splice(0, order.length, ...new Set([...keep, ...aimed, ...(instance.label === null ? [] : [instance.label])]));
    }
    const facts = el("dl", { class: "facts" });
    const fact = (name, text, extra) => facts.append(el("div", {}, el("dt", {}, name), el("dd", { class: extra || "" }, text)));
    if (predicted !== null) fact("Predicted", outputName(view.classNames, "class", predicted), verdict);
    if (values.length > 1) fact("Explained", targetName(run.target, noun, view.classNames));
    if (instance.label !== null) fact("Label", noun === "class" ? outputName(view.classNames, noun, instance.label) : exact(instance.label));
    const most = Math.max(...values.map((value) => Math.abs(value || 0)), 1e-12);
    const bars = order.filter((c) => c >= 0 && c < values.length).map((c) => {
      const share = Math.abs(values[c] || 0) / (asShare ? 1 : most);
      const name = values.length === 1 ? (view.classNames && view.classNames[c]) || (asShare ? "p" : "value") : outputName(view.classNames, noun, c);
      return el("div", { class: `bar${aimed.includes(c) ? " aimed" : ""}`, title: `${name}: ${exact(values[c])}` },
        el("span", { class: "name" }, name),
        el("span", { class: "track" }, el("i", { style: { width: `${100 * share}%` } })),
        el("span", { class: "value" }, asShare ? `${short(Math.round(values[c] * 10000) / 100)} %` : short(values[c])));
    });
    byId("prediction").replaceChildren(facts, ...bars, handed(run));
  }

  /** A line for each row of the output, of instances that have several. */
  function outputRows({ run, method, classNames }) {
    const isValue = GG.view.isRegression(method.provenance);
    const other = !isValue && run.rows.some(([, best, , target]) => target !== best);
    const known = run.rows.some(([, , , , label]) => label >= 0);
    const className = (c) => outputName(classNames, "class", c);
    const head = ["node", isValue ? "value" : "predicted", isValue ? null : "score", other && "explained", known && "label"];
    const line = (tag, cells) => el("tr", {}, ...cells.filter(Boolean).map((cell) => (cell.nodeType ? cell : el(tag, {}, cell))));
    const lines = run.rows.map(([name, best, value, target, label]) => line("td", [
      el("b", {}, name), isValue ? short(value) : className(best), isValue ? null : short(value), other && className(target),
      known && el("td", { class: label < 0 || label === best ? "" : "wrong" }, label < 0 ? "–" : className(label)),
    ].map((cell, i) => (i === 0 ? el("td", {}, cell) : cell))));
    return el("div", { class: "table-wrap", tabindex: "0", role: "region", "aria-label": "Rows of the output" }, el("table", { class: "rows" }, line("th", head), ...lines));
  }

  /** How much of what the method handed down from the prediction its node scores hold. */
  function handed({ handed: own }) {
    if (!own) return "";
    const share = Math.round(own.absorbed * 1000) / 10;
    return el("p", { class: "reading", id: "handed" },
      "Node scores sum to ", el("b", {}, short(own.received)), " of the ", el("b", {}, short(own.total)), " handed down; ",
      share ? el("b", {}, `${short(share)} %`) : "nothing", " stayed with biases.");
  }

  function topTable(view, look, hover) {
    byId("top-title").textContent = view.subject === "nodes" ? "Strongest nodes" : "Strongest edges";
    const rows = view.strong.slice(0, MOST_ROWS).map((item) => {
      const isNode = view.subject === "nodes";
      const name = isNode ? nodeName(view, item.position) : `${nodeName(view, item.source)} → ${nodeName(view, item.target)}`;
      const color = GG.color.score(item.score, view.max, view.signed, look.theme);
      const share = view.max > 0 ? GG.view.size(item.score) / view.max : 0;
      return el("tr", {
        title: isNode ? `node ${item.id}` : `edge ${item.id}${item.type === null ? "" : ` (${item.type})`}`,
        onmouseenter: () => hover(isNode ? "node" : "edge", item.position, true),
        onmouseleave: () => hover(isNode ? "node" : "edge", item.position, false),
      },
      el("td", { class: "rank" }, String(item.rank)),
      el("td", { class: "name" }, name, item.name && !isNode ? el("small", {}, ` ${item.name}`) : ""),
      el("td", { class: "meter" }, el("i", { style: { width: `${100 * share}%`, background: color } })),
      el("td", { class: "value" }, short(item.score)),
      isNode || item.truth === null ? null
        : el("td", { class: "mark" }, el("i", { class: item.truth ? "true" : "", title: item.truth ? "in the ground truth" : "not in the ground truth" })));
    });
    const more = view.strong.length - rows.length;
    byId("top").replaceChildren(
      rows.length ? el("table", { class: `top-table${view.structure.node_types ? " typed" : ""}` }, el("tbody", {}, ...rows))
        : el("p", { class: "empty" }, view.max > 0 ? "Nothing is selected." : "No score differs from zero."),
      more > 0 ? el("p", { class: "empty" }, `and ${more} more`) : "",
    );
  }

  function features(view) {
    const own = view.run.features;
    byId("features-card").hidden = !own || !own.total.length;
    if (byId("features-card").hidden) return;
    const most = Math.abs(own.total[0][1]);
    byId("features").replaceChildren(...own.total.map(([feature, score, name]) =>
      el("div", { class: `bar${score < 0 ? " negative" : ""}`, title: `${name || `feature ${feature}`}: ${exact(score)}, summed over its nodes` },
        el("span", { class: "name" }, name ? GG.format.clip(name, 32) : `feature ${feature}`),
        el("span", { class: "track" }, el("i", { style: { width: `${(100 * Math.abs(score)) / most}%` } })),
        el("span", { class: "value" }, short(score)))));
  }

  /** The magnitudes from strongest to weakest, the chosen part filled. */
  function curve(view) {
    const svg = byId("curve");
    const items = view.subject === "nodes" ? view.nodes : view.edges;
    const sizes = items.filter((item) => item.rank !== null && item.rank <= view.complete)
      .sort((a, b) => a.rank - b.rank).map((item) => GG.view.size(item.score));
    const step = 280 / Math.max(sizes.length, 1);
    const area = (part) => {
      if (!part.length || view.max <= 0) return "";
      const tops = part.map((value, i) => `L${(i * step).toFixed(2)} ${(45 - (43 * value) / view.max).toFixed(2)}h${step.toFixed(2)}`);
      return `M0 45${tops.join("")}V45Z`;
    };
    const shape = (name, d) => {
      const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
      path.setAttribute("class", name);
      path.setAttribute("d", d);
      return path;
    };
    svg.replaceChildren(shape("all", area(sizes)), shape("chosen", area(sizes.slice(0, view.strong.length))), shape("ground", "M0 45H280"));
  }

  function notice(view) {
    const lines = [];
    if (view.numEdges === 0) lines.push("This instance has no edges: no message arrives, so nothing mattered but its own features.");
    else if (view.subject === "none") lines.push("This method gives no score to edges or nodes here.");
    else if (view.max === 0) lines.push("Every score is zero: nothing mattered to this method.");
    if (view.structure.drawn_of) {
      const [nodes, edges] = view.structure.drawn_of;
      lines.push(`Drawn: ${view.edges.length.toLocaleString("en-US")} of ${count(edges, "edge")} and ${view.nodes.length.toLocaleString("en-US")} of ${count(nodes, "node")}: the strongest, their ways to what is explained, their surroundings.${GG.folded.restInWords(view)}`);
    }
    byId("notice").hidden = !lines.length;
    byId("notice").replaceChildren(...lines.map((line) => el("p", {}, line)));
  }

  function readings(view, look) {
    const noun = view.subject === "nodes" ? "node" : "edge";
    const total = view.subject === "nodes" ? view.numNodes : view.numEdges;
    byId("reading").replaceChildren(
      el("b", {}, String(view.strong.length)), ` of ${count(total, noun)}`,
      ...(view.structure.drawn_of && view.subject === "edges" ? [`, of which the ${view.complete} strongest can be selected`] : []),
      ...(look.mode === "threshold" ? [", magnitude from ", el("b", {}, short(view.threshold))] : []));
    const found = look.truth ? GG.view.agreement(view) : null;
    byId("agreement").hidden = !found;
    if (!found) return;
    if (!found.total) return byId("agreement").replaceChildren("No true edges.");
    const share = (part, whole) => [el("b", {}, whole ? short(part / whole) : "–"), ` (${part} of ${whole})`];
    byId("agreement").replaceChildren(
      "Precision ", ...share(found.hits, found.shown), " · recall ", ...share(found.hits, found.total));
  }

  /** The picture for who cannot see it: its size, and the strongest of what is selected. */
  function pictureInWords(view) {
    const isNode = view.subject === "nodes";
    const name = (item) => (isNode ? nodeName(view, item.position) : `${nodeName(view, item.source)} to ${nodeName(view, item.target)}`);
    const first = view.strong.slice(0, 3).map((item) => `${name(item)} ${short(item.score)}`);
    return [
      `Graph with ${count(view.numNodes, "node")} and ${count(view.numEdges, "edge")}`,
      ...(first.length ? [`strongest ${isNode ? "nodes" : "edges"}: ${first.join(", ")}`] : []),
      ...[GG.changes.inWords(view)].filter(Boolean),
      ...view.fold.groups.map((group) => `folded: ${GG.fold.label(group).join(" ")}`),
    ].join("; ");
  }

  return { nodeName, instanceList, prediction, topTable, features, curve, notice, readings, pictureInWords };
})();
