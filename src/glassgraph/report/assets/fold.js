"use strict";
/* What is drawn one by one, and what is folded into counted nodes. A hub with a hundred neighbors is a disc that hides
   everything; so beside a hub whatever is not selected is folded, group by group. Hydrogens of a molecule are folded into
   the letters of the atom that they hang on.

   Kept: the explained nodes, the ends of what is selected or true, nodes of listed walks, what the reader opened, and a
   shortest way from each of these to an explained node. The others fall into connected pieces; pieces that touch the
   same kept nodes (the anchors) make one group. Pure functions, no page. */
GG.fold = (() => {
  const HUB = 12; // neighbors; no atom has as many
  const FEWEST = 3; // a smaller group is drawn as it is
  const STRONG = 0.25; // hydrogens stay whose own score, or that of a selected bond, is this share of the largest

  /** {items: positions drawn one by one, groups: [{members, anchors, neighbors, edges}], groupOf: node -> number of its
      group, apart: groups drawn as nodes of their own, hostOf: atom -> number of the group in its letters, foldable:
      whether there is something to fold}; neighbors counts members that touch an anchor, edges are positions. */
  function build(view, isOn, opened) {
    const found = view.structure.hydrogens ? hydrogens(view, isOn, opened) : hubs(view, isOn, opened);
    const isLetters = Boolean(view.structure.hydrogens);
    return {
      ...found, apart: isLetters ? [] : found.groups,
      hostOf: new Map(isLetters ? found.groups.map((group, g) => [group.anchors[0], g]) : []),
    };
  }

  /** As `draw_molecule` of figures: all but those that are explained, true, on a walk, opened, or score much. */
  function hydrogens(view, isOn, opened) {
    const hosts = view.structure.hydrogens; // the atom of each node that may be folded, else null
    const kept = new Set([...view.structure.seeds, ...opened, ...view.walks.flatMap((walk) => walk.nodes), ...changedEnds(view)]);
    for (const node of view.nodes) if (share(node.score, view.nodeMax) >= STRONG) kept.add(node.position);
    for (const bond of bondsOf(view.edges)) {
      const isStrong = bond.some((edge) => edge.isHighlighted) && share(mean(bond), view.edgeMax) >= STRONG;
      if (isStrong || bond.some((edge) => edge.truth)) bond.forEach((edge) => kept.add(edge.source).add(edge.target));
    }
    const groups = new Map();
    const groupOf = new Map();
    hosts.forEach((host, node) => {
      if (!isOn || host === null || kept.has(node)) return;
      if (!groups.has(host)) groups.set(host, { members: [], anchors: [host], edges: [], host });
      groups.get(host).members.push(node);
    });
    const all = [...groups.values()];
    all.forEach((group, g) => {
      group.neighbors = group.members.length;
      group.members.forEach((node) => groupOf.set(node, g));
    });
    for (const edge of view.edges) {
      const g = groupOf.has(edge.source) ? groupOf.get(edge.source) : groupOf.get(edge.target);
      if (g !== undefined) all[g].edges.push(edge.position);
    }
    const items = view.nodes.map((node) => node.position).filter((node) => !groupOf.has(node));
    return { items, groups: all, groupOf, foldable: hosts.some((host) => host !== null) };
  }

  /** Nodes that a counterfactual changes, or at whose edges it does. */
  const changedEnds = ({ edges, changedNodes }) => [...changedNodes, ...edges.filter((edge) => edge.isDeleted).flatMap((edge) => [edge.source, edge.target])];

  const share = (score, max) => (max > 0 && score !== null ? Math.abs(score) / max : 0);

  /** Edges in lists, one for each pair of ends. */
  function bondsOf(edges) {
    const found = new Map();
    for (const edge of edges) {
      const key = [edge.source, edge.target].sort((a, b) => a - b).join(",");
      if (!found.has(key)) found.set(key, []);
      found.get(key).push(edge);
    }
    return [...found.values()];
  }

  /** The score of a bond: the mean of its edges; null without scores. */
  function mean(bond) {
    const total = sum(bond);
    return total === null ? null : total / bond.length;
  }

  function hubs(view, isOn, opened) {
    const neighbors = neighborsOf(view);
    const centers = view.nodes.filter((node) => neighbors[node.position].length > HUB).map((node) => node.position);
    const all = { items: view.nodes.map((node) => node.position), groups: [], groupOf: new Map(), foldable: centers.length > 0 };
    if (!isOn || !centers.length) return all;
    const kept = keptNodes(view, neighbors, centers, opened);
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

  function keptNodes(view, neighbors, centers, opened) {
    const seeds = view.structure.seeds;
    const kept = new Set([...seeds, ...opened, ...changedEnds(view)]);
    /* Where nothing is explained in particular, as of a whole graph, hubs are what things hang on. */
    if (!seeds.length) centers.forEach((hub) => kept.add(hub));
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

  /** What a group holds in numbers: {nodes, edges, edgeSum, nodeSum}; of hydrogens edges are bonds, each with the mean of
      its directions. */
  function totals(view, group) {
    const edges = group.edges.map((edge) => view.edges[edge]);
    const lines = group.host === undefined ? edges : bondsOf(edges).map((bond) => ({ score: mean(bond) }));
    return { nodes: group.members.length, edges: lines.length, edgeSum: sum(lines), nodeSum: sum(group.members.map((node) => view.nodes[node])) };
  }

  /** The letters of a node with what is folded into it: "CH₃". */
  function letters(view, position) {
    const { name } = view.nodes[position];
    if (!view.fold.hostOf.has(position)) return name;
    const count = view.fold.groups[view.fold.hostOf.get(position)].members.length;
    return `${name}H${count > 1 ? String(count).replace(/\d/g, (digit) => "₀₁₂₃₄₅₆₇₈₉"[digit]) : ""}`;
  }

  /** What is folded into letters, as figures say it below a molecule; null where nothing is. */
  function inLetters(view) {
    const { groups, hostOf } = view.fold;
    if (!hostOf.size) return null;
    const all = groups.map((group) => totals(view, group));
    const total = sum(all.map(({ edgeSum }) => ({ score: edgeSum })));
    return `${GG.format.count(all.reduce((number, { nodes }) => number + nodes, 0), "hydrogen")} folded${total === null ? "" : `, their bonds score ${GG.format.short(total)} in all`}`;
  }

  /** In two lines, as on the picture: "+143 neighbors", "and 6 behind". */
  function label(group) {
    if (group.host !== undefined) return [GG.format.count(group.members.length, "hydrogen")];
    const behind = group.members.length - group.neighbors;
    if (!group.anchors.length) return [`+${GG.format.count(group.members.length, "node")}`, "apart"];
    return [`+${GG.format.count(group.neighbors, "neighbor")}`, ...(behind ? [`and ${behind.toLocaleString("en-US")} behind`] : [])];
  }

  return { build, totals, label, letters, inLetters };
})();
