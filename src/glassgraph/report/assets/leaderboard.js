"use strict";
/* The leaderboard: choosers, the table of cells, ranks, charts, and the panel of a cell. */
GG.leaderboard = (() => {
  const data = JSON.parse(document.getElementById("payload").textContent);
  const [VALUE, LOW, HIGH, N, FLOOR, FLOOR_LOW, FLOOR_HIGH, CEILING, CEILING_LOW, CEILING_HIGH, SHARE, VERDICT, SEEDS, COMMANDS, NOTE] = Array(15).keys();
  const byId = (id) => document.getElementById(id);
  const theme = () => document.documentElement.dataset.theme || "light";
  const hidden = { datasets: new Set(), methods: new Set(), lines: new Set() };
  const short = (value) => (value === null ? "–" : GG.format.short(Number(value.toPrecision(3))));
  const color = (m) => `hsl(${(m * 137.5) % 360} 62% ${theme() === "dark" ? 66 : 42}%)`;
  const nameOf = (metric) => data.metric_names[metric].name;
  const boardName = (b) => [nameOf(data.boards[b][0]), data.boards[b][1]].join(" ").trim();
  const view = () => data.views[Number(byId("view").value)];
  const board = () => Number(byId("level").value);
  const shownMethods = () => data.methods.map((_, m) => m).filter((m) => !hidden.methods.has(m) && ["", data.methods[m][1]].includes(byId("family").value));
  const shownDatasets = () => data.datasets.map((_, d) => d).filter((d) => !hidden.datasets.has(d));

  function options(id, pairs) {
    byId(id).replaceChildren(...pairs.map(([value, text]) => GG.el("option", { value }, text)));
  }

  function levels() {
    const own = data.boards.map(([metric, level], b) => [b, level || "none", metric]).filter(([, , metric]) => metric === byId("metric").value);
    options("level", own);
    byId("level").value = String(own[Math.floor(own.length / 2)][0]);
    byId("level").disabled = own.length < 2;
  }

  function shade(share) {
    if (share === null) return {};
    const strong = Math.min(Math.max(share, 0), 1);
    const background = GG.color.score(strong, 1, false, "light");
    return strong <= 0.02 ? {} : { background, color: GG.color.ink(background) };
  }

  function cell(m, d, found) {
    const label = `${data.methods[m][0]} on ${data.datasets[d]}`;
    const press = (event) => panel(m, d, found, event.currentTarget);
    if (!Array.isArray(found)) {
      return GG.el("td", {}, GG.el("button", { type: "button", class: "none", title: found.reason, "aria-label": `${label}: ${found.word}: ${found.reason}`, onclick: press }, found.word));
    }
    const mark = { c: "≈ chance", b: "< chance" }[found[VERDICT]] || "";
    const title = { c: "not above chance", b: "worse than chance", u: "chance unknown", a: "above chance" }[found[VERDICT]];
    return GG.el("td", {}, GG.el("button", { type: "button", title, style: shade(found[SHARE]), "aria-label": `${label}: ${short(found[VALUE])}, ${title}`, onclick: press },
      GG.el("b", {}, short(found[VALUE])), mark ? GG.el("i", {}, ` ${mark.replace(" ", "\u00a0")}`) : "",
      GG.el("small", {}, `${short(found[LOW])} … ${short(found[HIGH])}`),
      GG.el("small", {}, `chance ${short(found[FLOOR])}`)));
  }

  function head(first, sets) {
    return GG.el("thead", {}, GG.el("tr", {}, ...first.map((text) => GG.el("th", { scope: "col" }, text)),
      ...sets.map((d) => GG.el("th", { scope: "col" }, data.datasets[d]))));
  }

  function table() {
    const own = view().boards[board()];
    const sets = shownDatasets();
    const rows = shownMethods().map((m) => GG.el("tr", {}, GG.el("th", { scope: "row", title: data.methods[m][0] }, ...GG.parted(data.methods[m][0]), " ", GG.el("small", {}, data.methods[m][1])),
      ...sets.map((d) => cell(m, d, own.cells[m][d]))));
    byId("board").replaceChildren(head(["Method"], sets), GG.el("tbody", {}, ...rows));
  }

  function ranks() {
    const own = view().boards[board()];
    const [sets, methods] = [shownDatasets(), shownMethods()];
    const rows = own.places.filter(([m]) => methods.includes(m)).map(([m, place, mean, many]) => GG.el("tr", {}, GG.el("th", { scope: "row" }, `${place}. ${data.methods[m][0]}`),
      GG.el("td", {}, short(mean)), GG.el("td", {}, `${many} of ${own.networks}`), ...sets.map((d) => GG.el("td", {}, own.ranks[m][d] === null ? "–" : short(own.ranks[m][d])))));
    byId("ranks").replaceChildren(head(["Place and method", "Mean rank", "Networks"], sets), GG.el("tbody", {}, ...rows));
    const [, , better] = data.boards[board()];
    byId("ranks-hint").textContent = `${boardName(board())}, better is ${better}; ranked on each network (data set and seed), where methods whose intervals overlap do not pass each other`;
  }

  function charts() {
    const d = Number(byId("dataset").value);
    const own = view().boards;
    const methods = shownMethods().filter((m) => !hidden.lines.has(m));
    const [metric] = data.boards[board()];
    const numbered = data.boards.map(([name, level], b) => [b, Number(level.replace("top", "")), name, level]).filter(([, , name, level]) => name === metric && level !== "");
    const value = (b, m) => (Array.isArray(own[b].cells[m][d]) ? own[b].cells[m][d][VALUE] : null);
    const known = (pairs) => pairs.filter((pair) => pair[0] !== null && pair[1] !== null);
    const lines = methods.map((m) => ({ name: data.methods[m][0], color: color(m), points: known(numbered.map(([b, x]) => [x, value(b, m)])) })).filter((line) => line.points.length);
    byId("curve-title").textContent = `${nameOf(metric)} over levels (dashed: chance)`;
    GG.charts.curves(byId("curve-chart"), lines, known(numbered.map(([b, x]) => [x, own[b].chance[d]])), { x: "sparsity or number of edges", y: nameOf(metric) });
    const at = (x, y) => methods.map((m) => ({ name: data.methods[m][0], color: color(m), x: x(m), y: y(m) })).filter((p) => p.x !== null && p.y !== null);
    byId("time-title").textContent = `Time against ${boardName(board())}`;
    GG.charts.points(byId("time-chart"), at((m) => data.seconds[m][d], (m) => value(board(), m)), { x: "seconds per instance (log)", y: boardName(board()) }, true);
    const [q, s] = [data.quality[d], byId("stability").value === "" ? null : Number(byId("stability").value)];
    const both = q !== null && s !== null;
    byId("stability-title").textContent = both ? `${boardName(s)} (up) against ${boardName(q)}` : "Stability was not measured";
    GG.charts.points(byId("stability-chart"), both ? at((m) => value(q, m), (m) => value(s, m)) : [], { x: both ? boardName(q) : "quality", y: both ? boardName(s) : "stability" }, false);
  }

  function legend() {
    byId("line-legend").replaceChildren(...shownMethods().map((m) => GG.el("button", { type: "button", "aria-pressed": String(!hidden.lines.has(m)), onclick: (event) => {
      if (!hidden.lines.delete(m)) hidden.lines.add(m);
      event.currentTarget.setAttribute("aria-pressed", String(!hidden.lines.has(m)));
      charts();
    } }, GG.el("i", { style: { background: color(m) } }), data.methods[m][0])));
  }

  function copy(event, text) {
    const button = event.currentTarget;
    const area = GG.el("textarea", {});
    area.value = text;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");  /* the clipboard's other interface needs a secure origin, a file is none */
    area.remove();
    button.textContent = done ? "Copied" : "Select and copy";
    button.focus();
  }

  function panel(m, d, found, from) {
    const [, , better] = data.boards[board()];
    const close = () => { byId("cell").hidden = true; from.focus(); };
    const measured = Array.isArray(found);
    const three = (at) => (found[at] === null ? "–" : `${short(found[at])} (${short(found[at + 1])} … ${short(found[at + 2])})`);
    const facts = measured
      ? [["value", three(VALUE)], ["chance (floor)", three(FLOOR)], ["ceiling", three(CEILING)], ["normalized", short(found[SHARE])], ["n over seeds", String(found[N])], ["seeds", `${found[SEEDS].join(", ")} (${found[SEEDS].length} of ${view().seeds.length})`], ["seconds per instance", short(data.seconds[m][d])], ["model accuracy", short(data.accuracies[d])], ["note", found[NOTE] || "–"]]
      : [["not measured", found.word], ["reason", found.reason]];
    const commands = (measured ? found[COMMANDS] : found.commands).map((at) => data.commands[at]);
    byId("cell").replaceChildren(
      GG.el("div", { class: "card-head" }, GG.el("h2", {}, `${data.methods[m][0]} on ${data.datasets[d]}: ${boardName(board())} (better: ${better})`), GG.el("button", { type: "button", class: "icon", "aria-label": "Close", onclick: close }, "×")),
      GG.el("dl", { class: "facts" }, ...facts.map(([name, text]) => GG.el("div", {}, GG.el("dt", {}, name), GG.el("dd", {}, text)))),
      ...(commands.length ? commands : ["no command is recorded"]).map((text) => GG.el("div", { class: "command" }, GG.el("code", {}, text), GG.el("button", { type: "button", class: "plain", onclick: (event) => copy(event, text) }, "Copy"))));
    byId("cell").hidden = false;
    byId("cell").onkeydown = (event) => { if (event.key === "Escape") close(); };
    byId("cell").focus();
  }

  function draw() {
    byId("cell").hidden = true;
    table();
    ranks();
    legend();
    charts();
  }

  function boxes(id, names, out) {
    byId(id).replaceChildren(...names.map((name, at) => GG.el("label", {}, GG.el("input", { type: "checkbox", checked: true, onchange: () => { if (!out.delete(at)) out.add(at); draw(); } }), name)));
  }

  function start() {
    if (matchMedia("(prefers-color-scheme: dark)").matches) document.documentElement.dataset.theme = "dark";
    byId("summary").textContent = `suite ${data.suite}: ${GG.format.count(data.methods.length, "method")}, ${GG.format.count(data.datasets.length, "data set")}`;
    const metrics = [...new Set(data.boards.map(([metric]) => metric))];
    const groups = [...new Set(metrics.map((metric) => data.metric_names[metric].group))];
    byId("metric").replaceChildren(...groups.map((group) => GG.el("optgroup", { label: group },
      ...metrics.filter((metric) => data.metric_names[metric].group === group).map((metric) => GG.el("option", { value: metric }, nameOf(metric))))));
    options("view", data.views.map((found, at) => [at, at === 0 ? `all (${found.seeds.join(", ")})` : `only ${found.seeds[0]}`]));
    options("family", [["", "all"], ...[...new Set(data.methods.map(([, family]) => family))].sort().map((family) => [family, family])]);
    options("dataset", data.datasets.map((name, d) => [d, name]));
    options("stability", data.boards.map(([metric], b) => [b, boardName(b), metric]).filter(([, , metric]) => metric.startsWith("stability")));
    boxes("datasets", data.datasets, hidden.datasets);
    boxes("methods", data.methods.map(([name]) => name), hidden.methods);
    byId("metric").addEventListener("change", () => { levels(); draw(); });
    for (const id of ["level", "view", "family"]) byId(id).addEventListener("change", draw);
    for (const id of ["dataset", "stability"]) byId(id).addEventListener("change", charts);
    byId("theme").addEventListener("click", () => { document.documentElement.dataset.theme = theme() === "dark" ? "light" : "dark"; draw(); });
    levels();
    draw();
  }

  return { start };
})();
GG.leaderboard.start();
