"use strict";
/* What is drawn one by one, and what is folded into counted nodes. A hub with a hundred neighbors is a disc that hides
   everything; so beside a hub whatever is not selected is folded, group by group.

   Kept: the explained nodes, the ends of what is selected or true, nodes of listed walks, what the reader opened, and a
   shortest way from each of these to an explained node. The others fall into connected pieces; pieces that touch the
   same kept nodes (the anchors) make one group. Pure functions, no page. */
GG.fold = (() => {
  const HUB = 12; // neighbors; no atom has as many
  const FEWEST = 3; // a smaller group is drawn as it is

  /** {items: positions drawn one by one, groups: [{members, anchors, neighbors, edges}], groupOf: node -> number of its
      group, foldable: whether there is a hub}; neighbors counts members that touch an anchor, edges are positions. */
  function build(view, isOn, opened) {
    const neighbors = neighborsOf(view);
    const hubs = view.nodes.filter((node) => neighbors[node.position].length > HUB).map((node) => node.position);
    const all = { items: view.nodes.map((node) => node.position), groups: [], groupOf: new Map(), foldable: hubs.length > 0 };
    if (!isOn || !hubs.length) return all;
    const kept = keptNodes(view, neighbors, hubs, opened);
    const groups = groupsOf(neighbors, kept).filter((group) => group.members.length >= FEWEST);
    const groupOf = new Map(groups.flatMap((group, g) => group.members.map((node) => [node, g])));
    for (const edge of view.edges) {
      const g = groupOf.has(edge.source) ? groupOf.get(edge.source) : groupOf.get(edge.target);
      if (g !== undefined) groups[g].edges.push(edge.position);
    }
    return { items: all.items.filter((node) => !groupOf.has(node)), groups, groupOf, foldable: true };
  }

  function neighborsOf(view) {
    const sets = view.nodes.map(() => new Set());
    for (const { source, target } of view.edges) {
      if (source === target) continue;
      sets[source].add(target);
      sets[target].add(source);
    }
    return sets.map((set) => [...set].sort((a, b) => a - b));
  }

  function keptNodes(view, neighbors, hubs, opened) {
    const seeds = view.structure.seeds;
    const kept = new Set([...seeds, ...opened]);
    /* Where nothing is explained in particular, as of a whole graph, hubs are what things hang on. */
    if (!seeds.length) hubs.forEach((hub) => kept.add(hub));
    for (const node of view.nodes) if (node.isHighlighted) kept.add(node.position);
    for (const edge of view.edges) if (edge.isHighlighted || edge.truth) kept.add(edge.source).add(edge.target);
    for (const walk of view.walks) walk.nodes.forEach((node) => kept.add(node));
    const way = waysFrom(seeds, neighbors);
    for (const node of [...kept]) {
      for (let at = way.get(node); at !== undefined && at !== null; at = way.get(at)) kept.add(at);
    }
    return kept;
  }

  /** For each node that can be reached the next one on a shortest way to a start; null for the starts. */
  function waysFrom(starts, neighbors) {
    const way = new Map(starts.map((start) => [start, null]));
    const queue = [...starts];
    for (const node of queue) {
      for (const next of neighbors[node]) {
        if (way.has(next)) continue;
        way.set(next, node);
        queue.push(next);
      }
    }
    return way;
  }

  function groupsOf(neighbors, kept) {
    const groups = new Map();
    const seen = new Set(kept);
    neighbors.forEach((_, first) => {
      if (seen.has(first)) return;
      const [piece, anchors] = [[first], new Set()];
      seen.add(first);
      for (const node of piece) {
        for (const next of neighbors[node]) {
          if (kept.has(next)) anchors.add(next);
          if (seen.has(next)) continue;
          seen.add(next);
          piece.push(next);
        }
      }
      const touched = [...anchors].sort((a, b) => a - b);
      const key = touched.join(",");
      if (!groups.has(key)) groups.set(key, { members: [], anchors: touched, edges: [] });
      groups.get(key).members.push(...piece);
    });
    for (const group of groups.values()) {
      group.members.sort((a, b) => a - b);
      group.neighbors = group.members.filter((node) => neighbors[node].some((next) => kept.has(next))).length;
    }
    return [...groups.values()];
  }

  /** Sum of the scores that there are; null where there is none. */
  function sum(items) {
    const scores = items.map((item) => item.score).filter((score) => score !== null);
    return scores.length ? scores.reduce((total, score) => total + score, 0) : null;
  }

  /** What a group holds in numbers: {nodes, edges, edgeSum, nodeSum}. */
  function totals(view, group) {
    return {
      nodes: group.members.length, edges: group.edges.length,
      edgeSum: sum(group.edges.map((edge) => view.edges[edge])), nodeSum: sum(group.members.map((node) => view.nodes[node])),
    };
  }

  /** In two lines, as on the picture: "+143 neighbors", "and 6 behind". */
  function label(group) {
    const behind = group.members.length - group.neighbors;
    if (!group.anchors.length) return [`+${GG.format.count(group.members.length, "node")}`, "apart"];
    return [`+${GG.format.count(group.neighbors, "neighbor")}`, ...(behind ? [`and ${behind.toLocaleString("en-US")} behind`] : [])];
  }

  return { build, totals, label };
})();
