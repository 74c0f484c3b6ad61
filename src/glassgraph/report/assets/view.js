"use strict";
/* From the payload and what the reader has chosen to what is drawn: pure functions, no page. */
GG.view = (() => {
  /** 1-based ranks by magnitude; equal magnitudes keep their order, missing scores come last. */
  function ranksOf(scores) {
    const order = scores.map((_, i) => i).sort((a, b) => size(scores[b]) - size(scores[a]) || a - b);
    const rank = new Array(scores.length);
    order.forEach((item, position) => (rank[item] = position + 1));
    return rank;
  }

  const size = (score) => (score === null ? 0 : Math.abs(score));
  const largest = (scores) => scores.reduce((max, score) => Math.max(max, size(score)), 0);

  /** Where only part of the edges is drawn: the largest k whose top k are all drawn. */
  function completeUntil(ranks) {
    const drawn = new Set(ranks);
    let k = 0;
    while (drawn.has(k + 1)) k++;
    return k;
  }

  /** Layers that a run can show: null is the whole explanation, 0, 1, … are message-passing steps. */
  function layersOf(run) {
    return [...(run.edges ? [null] : []), ...(run.layers || []).map((_, l) => l)];
  }

  function layerFor(run, wanted) {
    const layers = layersOf(run);
    return layers.includes(wanted) ? wanted : layers.length ? layers[0] : null;
  }

  function edgeScores(run, layer) {
    if (layer === null) return { scores: run.edges, ranks: run.edge_ranks, max: largest(run.edges || []) };
    const max = Math.max(...run.layers.map(largest));
    return { scores: run.layers[layer], ranks: run.layer_ranks && run.layer_ranks[layer], max };
  }

  /** choice: {instance, method, layer, mode: "k"|"threshold", k, threshold (share of the largest), layout,
      fold (whether to fold beside hubs, and hydrogens), opened (positions of nodes that are not folded)} */
  function build(payload, choice) {
    const instance = payload.instances[choice.instance];
    const run = instance.runs[choice.method];
    const method = payload.methods[choice.method];
    const structure = instance.structures[run.structure];
    const layer = layerFor(run, choice.layer);
    const own = edgeScores(run, layer);
    const subject = own.scores ? "edges" : run.nodes ? "nodes" : "none";

    const numEdges = structure.source.length;
    const ranks = own.scores ? own.ranks || ranksOf(own.scores) : null;
    const nodeRanks = run.nodes ? ranksOf(run.nodes) : null;
    const nodeMax = run.nodes ? largest(run.nodes) : 0;
    const max = subject === "nodes" ? nodeMax : own.max;
    const ranked = subject === "nodes" ? nodeRanks : ranks || [];
    const complete = structure.drawn_of && subject === "edges" ? completeUntil(ranked) : ranked.length;
    const k = Math.min(choice.k, complete);
    const threshold = choice.threshold * max;
    const isStrong = (score, rank) =>
      size(score) > 0 && rank <= complete && (choice.mode === "k" ? rank <= k : size(score) >= threshold);

    const deleted = new Set(run.changes ? run.changes.deleted : []);
    const edges = Array.from({ length: numEdges }, (_, e) => ({
      position: e,
      id: structure.edge_id[e],
      source: structure.source[e],
      target: structure.destination[e],
      type: structure.edge_type ? structure.edge_types[structure.edge_type[e]] : null,
      name: structure.edge_names ? structure.edge_names[e] : null,
      truth: structure.truth ? structure.truth[e] === 1 : null,
      score: own.scores ? own.scores[e] : null,
      rank: ranks ? ranks[e] : null,
      isHighlighted: subject === "edges" && isStrong(own.scores[e], ranks[e]),
      isDeleted: deleted.has(e),
    }));
    const nodes = structure.nodes.map((id, n) => ({
      position: n,
      id,
      name: structure.node_names ? structure.node_names[n] : null,
      type: structure.node_type ? structure.node_types[structure.node_type[n]] : null,
      typeNumber: structure.node_type ? structure.node_type[n] : null,
      isSeed: structure.seeds.includes(n),
      score: run.nodes ? run.nodes[n] : null,
      rank: nodeRanks ? nodeRanks[n] : null,
      features: run.features ? run.features.per_node[n].map(([f, score]) => [featureName(payload, structure, n, f), score]) : null,
      isHighlighted: subject === "nodes" && isStrong(run.nodes[n], nodeRanks[n]),
    }));
    const view = {
      instance, run, method, structure, layer, subject, edges, nodes, k, threshold, complete, max,
      walks: run.walks ? walksOf(run.walks, edges) : [],
      changes: run.changes, changedNodes: new Set(run.changes ? [...run.changes.inserted.flat(), ...run.changes.features.map(([node]) => node)] : []),
      edgeMax: own.max, nodeMax, signed: method.signed, classNames: payload.class_names, opened: choice.opened,
      numEdges: structure.drawn_of ? structure.drawn_of[1] : numEdges,
      numNodes: structure.drawn_of ? structure.drawn_of[0] : nodes.length,
      strong: (subject === "nodes" ? nodes : edges).filter((item) => item.isHighlighted).sort((a, b) => a.rank - b.rank),
      leftOut: structure.drawn_of ? leftOut(structure, run, layer) : null,
    };
    /* The words of a sentence all stay. */
    const isFolded = choice.fold && !(choice.layout === "sentence" && structure.node_names);
    view.fold = GG.fold.build(view, isFolded, choice.opened);
    return view;
  }

  /** What a large instance does not draw: numbers of nodes and edges, and the sums of their scores. */
  function leftOut({ nodes, source, drawn_of: [numNodes, numEdges] }, run, layer) {
    const own = run.left_out || {};
    return {
      nodes: numNodes - nodes.length, edges: numEdges - source.length,
      edgeSum: (layer === null ? own.edges : (own.layers || [])[layer]) ?? null, nodeSum: own.nodes ?? null,
    };
  }

  /** A feature of a node in words: its name, or its number. */
  function featureName({ feature_names: names }, { node_types: types, node_type: kinds }, node, feature) {
    const own = names && (Array.isArray(names) ? names : names[types[kinds[node]]]);
    return (own && GG.format.clip(own[feature] || "", 40)) || `feature ${feature}`;
  }

  /** Walks with their edges (positions) and, for each of these, the steps at which it is passed. */
  function walksOf({ nodes, scores }, edges) {
    const between = new Map();
    for (const edge of edges) {
      const key = `${edge.source}>${edge.target}`;
      if (!between.has(key)) between.set(key, []);
      between.get(key).push(edge.position);
    }
    return nodes.map((path, w) => {
      const steps = new Map();
      path.slice(1).forEach((node, s) => {
        for (const edge of between.get(`${path[s]}>${node}`) || []) steps.set(edge, [...(steps.get(edge) || []), s + 1]);
      });
      const stays = path.filter((node, s) => s > 0 && node === path[s - 1]);
      return { position: w, nodes: path, score: scores[w], steps, stays };
    });
  }

  /** Opposite edges in pairs, each pair to be drawn as one line; the stronger of the two gives the color. */
  function pairs(edges) {
    const waiting = new Map();
    const lines = [];
    for (const edge of edges) {
      const back = waiting.get(`${edge.target}>${edge.source}`);
      if (back && back.length && edge.source !== edge.target) {
        back.shift().push(edge);
      } else {
        const line = [edge];
        const key = `${edge.source}>${edge.target}`;
        if (!waiting.has(key)) waiting.set(key, []);
        waiting.get(key).push(line);
        lines.push(line);
      }
    }
    return lines.map((line) => line.sort((a, b) => size(b.score) - size(a.score) || a.position - b.position));
  }

  /** Precision and recall of the highlighted edges where the truth is known. */
  function agreement(view) {
    if (!view.structure.truth || view.subject !== "edges") return null;
    const total = view.structure.num_true;
    const hits = view.strong.filter((edge) => edge.truth).length;
    return { total, hits, shown: view.strong.length };
  }

  /** The class with the highest probability; null for the values of a regression. */
  function predictedClass(prediction, provenance) {
    if (prediction.length < 2 || isRegression(provenance)) return null;
    return prediction.reduce((best, value, c) => ((value === null ? -Infinity : value) > prediction[best] ? c : best), 0);
  }

  function isRegression(provenance) {
    return Boolean(provenance.task) && provenance.task.mode === "regression";
  }

  function isProbability(prediction, provenance) {
    return !isRegression(provenance) && prediction.every((p) => p !== null && p >= 0 && p <= 1);
  }

  return { build, pairs, layersOf, agreement, predictedClass, isProbability, isRegression, size };
})();
