"use strict";
/* A timeline: a lane for each pair of nodes that had events, an event as a dot in the color of its score. */
GG.timeline = (() => {
  const SPACE = "http://www.w3.org/2000/svg";
  const [LEFT, RIGHT, TOP, LANE, BOTTOM, WIDTH] = [190, 40, 34, 24, 34, 900];
  const MOST_LANES = 18;

  function make(name, attributes, ...children) {
    const element = document.createElementNS(SPACE, name);
    Object.entries(attributes).forEach(([key, value]) => element.setAttribute(key, value));
    element.append(...children);
    return element;
  }

  /** Lanes by the strongest event in them, the link's own pair first; what is too much goes into the last. */
  function lanesOf(link, strength, nameOf) {
    const own = [...link.ends].sort().join(" ");
    const lanes = new Map();
    link.pairs.forEach((pair, at) => {
      const key = [...pair].sort().join(" ");
      if (!lanes.has(key)) lanes.set(key, { key, pair, events: [], best: -1, own: key === own });
      const lane = lanes.get(key);
      lane.events.push(at);
      lane.best = Math.max(lane.best, strength[at]);
    });
    const sorted = [...lanes.values()].sort((a, b) => b.own - a.own || b.best - a.best || b.events[0] - a.events[0]);
    const shown = sorted.slice(0, sorted.length > MOST_LANES ? MOST_LANES - 1 : MOST_LANES);
    const rest = sorted.slice(shown.length);
    const found = shown.map((lane) => ({ ...lane, name: lane.pair.map(nameOf).join(" – ") }));
    if (rest.length) found.push({ own: false, name: GG.format.count(rest.length, "other pair"), events: rest.flatMap((lane) => lane.events) });
    return found;
  }

  /** Round numbers along an axis. */
  function ticks(low, high) {
    const raw = (high - low) / 5 || 1;
    const power = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= raw);
    const found = [];
    for (let at = Math.ceil(low / step) * step; at <= high; at += step) found.push(at);
    return found;
  }

  /**
   * Draw a link's past.
   * @param {SVGElement} svg where to.
   * @param {object} link of the payload.
   * @param {object} how scores, most, signed, theme, ranks (by event, from 1), marked, chosen, nameOf, choose, tell.
   */
  function draw(svg, link, how) {
    const strength = how.scores.map((score) => Math.abs(score ?? 0));
    const lanes = lanesOf(link, strength, how.nameOf);
    const [low, high] = [Math.min(...link.t, link.time), Math.max(...link.t, link.time)];
    const height = TOP + LANE * lanes.length + BOTTOM;
    const x = (t) => LEFT + ((WIDTH - LEFT - RIGHT) * (t - low)) / (high - low || 1);
    const parts = ticks(low, high).flatMap((t) => [
      make("line", { class: "axis", x1: x(t), x2: x(t), y1: height - BOTTOM, y2: height - BOTTOM + 5 }),
      make("text", { class: "tick", x: x(t), y: height - 12 }, GG.format.exact(Number(t.toPrecision(12)))),
    ]);
    parts.push(make("line", { class: "axis", x1: LEFT, x2: WIDTH - RIGHT, y1: height - BOTTOM, y2: height - BOTTOM }));
    const dots = [];
    lanes.forEach((lane, number) => {
      const y = TOP + LANE * (number + 0.5);
      parts.push(make("line", { class: "lane", x1: LEFT, x2: WIDTH - RIGHT, y1: y, y2: y }));
      const name = make("text", { class: lane.own ? "name own" : "name", x: LEFT - 14, y: y + 4 }, GG.format.clip(lane.name, 26));
      name.append(make("title", {}, lane.name));
      parts.push(name);
      lane.events.forEach((at) => dots.push(dot(at, y)));
    });
    parts.push(make("line", { class: "now", x1: x(link.time), x2: x(link.time), y1: TOP - 6, y2: height - BOTTOM }));
    parts.push(make("text", { class: "now-name", x: Math.min(x(link.time) + 34, WIDTH - 6), y: TOP - 14 }, "the link"));
    dots.sort((a, b) => a.order - b.order);

    function dot(at, y) {
      const score = how.scores[at];
      const rank = how.ranks[at];
      const isTop = rank !== null && rank <= how.marked;
      const share = how.most ? strength[at] / how.most : 0;
      const fill = GG.color.score(score, how.most, how.signed, how.theme);
      const kind = ["event", isTop ? "top" : "", at === how.chosen ? "chosen" : ""].join(" ").trim();
      const circle = make("circle", { class: kind, cx: x(link.t[at]), cy: y, r: isTop ? 8.5 : 3.5 + 4 * share, style: `fill:${score === null ? "none" : fill}`, "data-event": link.id[at] });
      circle.append(make("title", {}, how.tell(at)));
      circle.addEventListener("click", () => how.choose(at));
      const label = isTop ? [make("text", { class: "rank", x: x(link.t[at]), y: y + 4, style: `fill:${GG.color.ink(fill)};font-size:10px` }, String(rank))] : [];
      return { order: isTop ? 1000 - rank : share, parts: [circle, ...label] };
    }

    svg.setAttribute("viewBox", `0 0 ${WIDTH} ${height}`);
    svg.setAttribute("aria-label", `${GG.format.count(link.id.length, "past event")} in ${GG.format.count(lanes.length, "lane")}, from ${GG.format.exact(low)} to the link at ${GG.format.exact(link.time)}`);
    svg.replaceChildren(...parts, ...dots.flatMap((each) => each.parts));
  }

  return { draw };
})();
