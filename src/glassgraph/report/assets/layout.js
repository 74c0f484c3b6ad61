"use strict";
/* Where the nodes go. Both layouts are deterministic: the same graph always looks the same.

   organic: stress majorization (Gansner, Koren, North, "Graph Drawing by Stress Majorization", 2004): positions whose
            distances are close to the graph's. Draws the rings of molecules and motifs as rings.
   rings:   a radial tree around the explained nodes, one ring per hop. */
GG.layout = (() => {
  const UNIT = 64;
  const BOND = 1.5; // length of a bond in the places of atoms
  const CROWDED_DEGREE = 6;

  /** isTall: for a canvas that is higher than wide. */
  function organic(graph, isTall = false) {
    const parts = components(graph).map((nodes) => {
      const points = stress(nodes, graph);
      turnLengthwise(points, isTall);
      return { nodes, points };
    });
    return pack(parts, graph.size, isTall);
  }

  /** Words, so wide, in the order of their numbers: in a row, or one below the other where the row would be long or the
      canvas is tall. */
  function sentence(ids, widths, isTall) {
    const words = ids.map((_, n) => n).sort((a, b) => ids[a] - ids[b]);
    const isRow = !isTall && widths.reduce((sum, width) => sum + width + 9, 0) < 1150;
    const points = [];
    let at = 0;
    words.forEach((n, w) => {
      points[n] = isRow ? { x: at + widths[n] / 2, y: 0 } : { x: 0, y: w * 31 };
      at += widths[n] + 9;
    });
    return points;
  }

  /** Words as in a sentence, phrases above the middle of their parts (or to the right of words in a column). parents: of
      each node the position of its phrase, null for the whole. */
  function tree(ids, parents, widths, isTall) {
    const LEVEL = 44;
    const parts = ids.map(() => []);
    parents.forEach((parent, n) => parent !== null && parts[parent].push(n));
    const words = ids.map((_, n) => n).filter((n) => !parts[n].length).sort((a, b) => ids[a] - ids[b]);
    const row = sentence(words.map((n) => ids[n]), words.map((n) => widths[n]), isTall);
    const isRow = row.every(({ y }) => y === 0);
    const widest = Math.max(...words.map((n) => widths[n]));
    const found = ids.map(() => null);
    words.forEach((n, w) => { found[n] = { at: isRow ? row[w].x : row[w].y, level: 0 }; });
    const place = (n) => {
      if (found[n]) return found[n];
      const own = parts[n].map(place);
      const at = own.map((part) => part.at);
      found[n] = { at: (Math.min(...at) + Math.max(...at)) / 2, level: 1 + Math.max(...own.map((part) => part.level)) };
      return found[n];
    };
    return ids.map((_, n) => {
      const { at, level } = place(n);
      return isRow ? { x: at, y: -level * LEVEL } : { x: level ? widest / 2 + level * LEVEL : 0, y: at };
    });
  }

  /** Atoms where chemists draw them, in lengths of bonds; y runs upwards there. */
  function molecule(atoms, isTall) {
    const points = atoms.map(([x, y]) => ({ x: (x / BOND) * UNIT, y: (-y / BOND) * UNIT }));
    const span = (axis) => Math.max(...points.map((p) => p[axis])) - Math.min(...points.map((p) => p[axis]));
    if (isTall !== span("y") > span("x")) points.forEach((p) => ([p.x, p.y] = [-p.y, p.x]));
    return points;
  }

  function rings(graph, seeds) {
    if (!seeds.length) return organic(graph);
    const neighbors = adjacency(graph);
    const parent = new Map(seeds.map((seed) => [seed, null]));
    const hop = new Map(seeds.map((seed) => [seed, 0]));
    const order = [...seeds];
    for (let at = 0; at < order.length; at++) {
      for (const next of neighbors[order[at]]) {
        if (hop.has(next)) continue;
        hop.set(next, hop.get(order[at]) + 1);
        parent.set(next, order[at]);
        order.push(next);
      }
    }
    const leaves = new Array(graph.size).fill(0);
    for (const node of [...order].reverse()) {
      if (!leaves[node]) leaves[node] = 1;
      if (parent.get(node) !== null) leaves[parent.get(node)] += leaves[node];
    }
    const perRing = new Map();
    for (const node of order) perRing.set(hop.get(node), (perRing.get(hop.get(node)) || 0) + 1);
    const radius = [seeds.length > 1 ? 0.6 : 0];
    for (let h = 1; h < perRing.size; h++) {
      radius.push(Math.max(radius[h - 1] + 1.25, (perRing.get(h) * 0.62) / (2 * Math.PI)));
    }
    const points = new Array(graph.size).fill(null);
    const start = new Map();
    let angle = -Math.PI / 2;
    const total = seeds.reduce((sum, seed) => sum + leaves[seed], 0);
    for (const node of order) {
      const from = parent.get(node);
      const begin = from === null ? angle : start.get(from);
      const width = (2 * Math.PI * leaves[node]) / total;
      if (from === null) angle += width;
      else start.set(from, begin + width);
      start.set(node, begin);
      const r = radius[hop.get(node)] * UNIT;
      points[node] = { x: r * Math.cos(begin + width / 2), y: r * Math.sin(begin + width / 2) };
    }
    const lost = points.flatMap((point, node) => (point ? [] : [node]));
    const outer = (radius[radius.length - 1] + 1.5) * UNIT;
    lost.forEach((node, i) => {
      points[node] = { x: (i - (lost.length - 1) / 2) * 0.6 * UNIT, y: outer };
    });
    return points;
  }

  function adjacency({ size, source, target }) {
    const sets = Array.from({ length: size }, () => new Set());
    source.forEach((u, e) => {
      if (u === target[e]) return;
      sets[u].add(target[e]);
      sets[target[e]].add(u);
    });
    return sets.map((set) => [...set]);
  }

  function components(graph) {
    const neighbors = adjacency(graph);
    const seen = new Array(graph.size).fill(false);
    const found = [];
    for (let first = 0; first < graph.size; first++) {
      if (seen[first]) continue;
      const nodes = [first];
      seen[first] = true;
      for (let at = 0; at < nodes.length; at++) {
        for (const next of neighbors[nodes[at]]) {
          if (!seen[next]) {
            seen[next] = true;
            nodes.push(next);
          }
        }
      }
      found.push(nodes);
    }
    return found.sort((a, b) => b.length - a.length);
  }

  /** All shortest path lengths (Floyd-Warshall); edges between crowded nodes are longer, so that hubs open up. */
  function distances(nodes, graph) {
    const n = nodes.length;
    const place = new Map(nodes.map((node, i) => [node, i]));
    const neighbors = adjacency(graph);
    const crowded = Math.max(...nodes.map((node) => neighbors[node].length)) > CROWDED_DEGREE;
    const distance = new Float64Array(n * n).fill(Infinity);
    nodes.forEach((node, i) => {
      distance[i * n + i] = 0;
      for (const next of neighbors[node]) {
        const degree = Math.min(neighbors[node].length, neighbors[next].length);
        distance[i * n + place.get(next)] = crowded ? 1 + 0.3 * Math.log2(degree) : 1;
      }
    });
    for (let k = 0; k < n; k++) {
      for (let i = 0; i < n; i++) {
        const via = distance[i * n + k];
        if (via === Infinity) continue;
        for (let j = 0; j < n; j++) {
          const length = via + distance[k * n + j];
          if (length < distance[i * n + j]) distance[i * n + j] = length;
        }
      }
    }
    return distance;
  }

  function stress(nodes, graph) {
    const n = nodes.length;
    if (n === 1) return [{ x: 0, y: 0 }];
    const distance = distances(nodes, graph);
    const [x, y] = classicalScaling(distance, n);
    const rounds = n > 250 ? 60 : 240;
    for (let round = 0; round < rounds; round++) {
      let moved = 0;
      for (let i = 0; i < n; i++) {
        let [sumX, sumY, weights] = [0, 0, 0];
        for (let j = 0; j < n; j++) {
          if (i === j) continue;
          const ideal = distance[i * n + j];
          const [dx, dy] = [x[i] - x[j], y[i] - y[j]];
          const pull = ideal / Math.max(Math.hypot(dx, dy), 1e-6);
          const weight = 1 / (ideal * ideal);
          sumX += weight * (x[j] + dx * pull);
          sumY += weight * (y[j] + dy * pull);
          weights += weight;
        }
        const [newX, newY] = [sumX / weights, sumY / weights];
        moved = Math.max(moved, Math.hypot(newX - x[i], newY - y[i]));
        x[i] = newX;
        y[i] = newY;
      }
      if (moved < 1e-3) break;
    }
    return Array.from(x, (_, i) => ({ x: x[i] * UNIT, y: y[i] * UNIT }));
  }

  /** A first guess: the two main axes of the doubly centered squared distances, by power iteration. */
  function classicalScaling(distance, n) {
    const centered = distance.map((d) => d * d);
    const means = Array.from({ length: n }, (_, i) => {
      let sum = 0;
      for (let j = 0; j < n; j++) sum += centered[i * n + j];
      return sum / n;
    });
    const mean = means.reduce((a, b) => a + b, 0) / n;
    for (let i = 0; i < n; i++) {
      for (let j = 0; j < n; j++) centered[i * n + j] = -0.5 * (centered[i * n + j] - means[i] - means[j] + mean);
    }
    const axes = [];
    for (let axis = 0; axis < 2; axis++) {
      let vector = Float64Array.from({ length: n }, (_, i) => noise(i + 1 + axis * n) - 0.5);
      let size = 0;
      for (let step = 0; step < 60; step++) {
        for (const other of axes) {
          const along = dot(vector, other.vector);
          vector = vector.map((value, i) => value - along * other.vector[i]);
        }
        const next = new Float64Array(n);
        for (let i = 0; i < n; i++) {
          for (let j = 0; j < n; j++) next[i] += centered[i * n + j] * vector[j];
        }
        size = Math.sqrt(dot(next, next)) || 1;
        vector = next.map((value) => value / size);
      }
      axes.push({ vector, scale: Math.sqrt(size) });
    }
    /* Twins (nodes with the same neighbors) would coincide: a small fixed noise parts them. */
    return axes.map(({ vector, scale }, axis) =>
      vector.map((value, i) => value * scale + 0.15 * (noise(7 * i + axis + 1) - 0.5)),
    );
  }

  function dot(a, b) {
    let sum = 0;
    for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
    return sum;
  }

  /** A fixed number in [0, 1) for every integer. */
  function noise(i) {
    const value = Math.sin(i * 12.9898) * 43758.5453;
    return value - Math.floor(value);
  }

  /** Turn a drawing so that its long side lies as the canvas does. */
  function turnLengthwise(points, isTall) {
    const n = points.length;
    const [mx, my] = ["x", "y"].map((c) => points.reduce((sum, p) => sum + p[c], 0) / n);
    let [xx, xy, yy] = [0, 0, 0];
    for (const p of points) {
      xx += (p.x - mx) ** 2;
      xy += (p.x - mx) * (p.y - my);
      yy += (p.y - my) ** 2;
    }
    const angle = -0.5 * Math.atan2(2 * xy, xx - yy) + (isTall ? Math.PI / 2 : 0);
    const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
    for (const p of points) {
      [p.x, p.y] = [(p.x - mx) * cos - (p.y - my) * sin, (p.x - mx) * sin + (p.y - my) * cos];
    }
  }

  /** Set the components in rows, the largest first. */
  function pack(parts, size, isTall) {
    const gap = 0.9 * UNIT;
    const boxes = parts.map(({ points }) => {
      const [xs, ys] = [points.map((p) => p.x), points.map((p) => p.y)];
      const [left, top] = [Math.min(...xs), Math.min(...ys)];
      return { left, top, width: Math.max(...xs) - left, height: Math.max(...ys) - top };
    });
    const area = boxes.reduce((sum, box) => sum + (box.width + gap) * (box.height + gap), 0);
    const rowWidth = Math.max(boxes[0] ? boxes[0].width : 0, Math.sqrt(area) * (isTall ? 0.75 : 1.3));
    const placed = new Array(size);
    let [x, y, rowHeight] = [0, 0, 0];
    parts.forEach(({ nodes, points }, p) => {
      const box = boxes[p];
      if (x > 0 && x + box.width > rowWidth) [x, y, rowHeight] = [0, y + rowHeight + gap, 0];
      nodes.forEach((node, i) => {
        placed[node] = { x: x + points[i].x - box.left, y: y + points[i].y - box.top };
      });
      x += box.width + gap;
      rowHeight = Math.max(rowHeight, box.height);
    });
    return placed;
  }

  return { molecule, organic, rings, sentence, tree };
})();
