"use strict";
/* Past events of links: a list of links, a timeline of one, its strongest events, and how faithful scores are. */
GG.events = (() => {
  const MARKED = [3, 5, 10, 0];
  const byId = (id) => document.getElementById(id);
  const payload = JSON.parse(byId("payload").textContent);
  const state = { link: 0, method: 0, marked: 5, chosen: null };
  const theme = () => document.documentElement.dataset.theme || "light";
  const nameOf = (node) => payload.names[node] ?? String(node);
  const pairName = ([from, to]) => `${nameOf(from)} → ${nameOf(to)}`;
  const link = () => payload.links[state.link];
  const scores = () => link().scores[state.method] || link().id.map(() => null);

  /** The place of each event, from 1, the later first among equals; null without a score. */
  function ranks() {
    const own = scores();
    const order = own.map((_, at) => at).filter((at) => own[at] !== null).sort((a, b) => own[b] - own[a] || b - a);
    const found = own.map(() => null);
    order.forEach((at, place) => { found[at] = place + 1; });
    return found;
  }

  function tell(at) {
    const score = scores()[at];
    return `event ${link().id[at]}: ${pairName(link().pairs[at])} at ${GG.format.exact(link().t[at])}, score ${GG.format.short(score)}`;
  }

  function timeline() {
    const own = scores();
    const most = Math.max(...own.map((score) => Math.abs(score ?? 0)), 0);
    const { signed, name } = payload.methods[state.method];
    GG.timeline.draw(byId("timeline"), link(), {
      scores: own, most, signed, theme: theme(), ranks: ranks(), marked: state.marked, chosen: state.chosen, nameOf, tell, choose: pick,
    });
    byId("ramp").style.background = GG.color.gradient(signed, theme());
    byId("scale-name").textContent = `score of ${name}`;
    byId("scale-low").textContent = signed ? GG.format.short(-most) : "0";
    byId("scale-high").textContent = GG.format.short(most);
    const drawn = link().id.length < link().all ? `The strongest ${link().id.length} of ${link().all} events are drawn. ` : "";
    const what = state.chosen === null ? "Click an event to follow it through the methods." : `${tell(state.chosen)}.`;
    byId("told").replaceChildren(drawn, state.chosen === null ? what : GG.el("b", {}, what));
  }

  function table() {
    const own = scores();
    const found = ranks();
    const { signed } = payload.methods[state.method];
    const most = Math.max(...own.map((score) => Math.abs(score ?? 0)), 0);
    const order = own.map((_, at) => at).filter((at) => found[at] !== null).sort((a, b) => found[a] - found[b]).slice(0, 10);
    if (state.chosen !== null && found[state.chosen] !== null && !order.includes(state.chosen)) order.push(state.chosen);
    byId("top-title").textContent = order.length ? `Events that ${signed ? "speak most for the link" : "count most"}` : "This method did not explain this link";
    byId("top").tBodies[0].replaceChildren(...order.map((at) =>
      GG.el("tr", { class: at === state.chosen ? "chosen" : "" },
        GG.el("td", { class: "number" }, String(found[at])),
        GG.el("td", {}, GG.el("button", { class: "choose", type: "button", title: `event ${link().id[at]}`, "aria-pressed": String(at === state.chosen), onclick: () => pick(at) },
          GG.el("i", { style: { background: GG.color.score(own[at], most, signed, theme()) } }), pairName(link().pairs[at]))),
        GG.el("td", { class: "number" }, GG.format.exact(link().t[at])),
        GG.el("td", { class: "number" }, GG.format.short(own[at])))));
  }

  function facts() {
    const own = link();
    byId("link-name").textContent = pairName(own.ends);
    const pairs = [["time", GG.format.exact(own.time)], ["model's score", GG.format.short(own.prediction)], ["past events", GG.format.exact(own.all)]];
    if (own.index >= 0) pairs.unshift(["event", String(own.index)]);
    else pairs.unshift(["event", "asked about"]);
    byId("facts").replaceChildren(...pairs.map(([name, value]) => GG.el("div", {}, GG.el("dt", {}, name), GG.el("dd", {}, value))));
  }

  function list() {
    byId("instance-list").replaceChildren(...payload.links.map((each, number) =>
      GG.el("button", { class: "entry", type: "button", role: "option", "aria-selected": String(number === state.link), tabindex: number === state.link ? "0" : "-1", onclick: () => choose(number) },
        GG.el("b", {}, pairName(each.ends)),
        GG.el("span", {}, `at ${GG.format.exact(each.time)} · score ${GG.format.short(each.prediction)}`))));
  }

  function refresh() {
    timeline();
    table();
  }

  function pick(at) {
    state.chosen = state.chosen === at ? null : at;
    refresh();
  }

  function choose(number) {
    state.link = number;
    state.chosen = null;
    list();
    facts();
    refresh();
  }

  function metrics() {
    const { columns, rows } = payload.metrics;
    byId("metrics-section").hidden = byId("to-metrics").hidden = !rows.length;
    const words = (name) => name.replaceAll("_", " ");
    const kind = (name) => (rows.some((row) => typeof row[name] === "number") ? "number" : "");
    byId("metrics").tHead.rows[0].replaceChildren(...columns.map((name) => GG.el("th", { scope: "col", class: kind(name) }, words(name))));
    byId("metrics").tBodies[0].replaceChildren(...rows.map((row) => GG.el("tr", {},
      ...columns.map((name) => GG.el("td", { class: kind(name) }, GG.format.short(row[name]))))));
  }

  function options(id, pairs, chosen) {
    byId(id).replaceChildren(...pairs.map(([value, text]) => GG.el("option", { value }, text)));
    byId(id).value = String(chosen);
  }

  function start() {
    if (matchMedia("(prefers-color-scheme: dark)").matches) document.documentElement.dataset.theme = "dark";
    byId("summary").textContent = `${GG.format.count(payload.links.length, "link")} · ${GG.format.count(payload.methods.length, "method")}`;
    byId("link-count").textContent = String(payload.links.length);
    options("method", payload.methods.map(({ name }, at) => [at, name]), 0);
    options("marked", MARKED.map((count) => [count, count ? `the first ${count}` : "none"]), state.marked);
    byId("method").addEventListener("change", (event) => { state.method = Number(event.target.value); refresh(); });
    byId("marked").addEventListener("change", (event) => { state.marked = Number(event.target.value); refresh(); });
    byId("theme").addEventListener("click", () => {
      document.documentElement.dataset.theme = theme() === "dark" ? "light" : "dark";
      refresh();
    });
    byId("instance-list").addEventListener("keydown", (event) => {
      const number = state.link + ({ ArrowDown: 1, ArrowUp: -1 }[event.key] || 0);
      if (number === state.link || !payload.links[number]) return;
      event.preventDefault();
      choose(number);
      byId("instance-list").children[number].focus();
    });
    metrics();
    choose(0);
  }

  return { start, choose, pick };
})();
GG.events.start();
