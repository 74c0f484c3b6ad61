"use strict";
/* Room between nodes, and between nodes and the edges of others. Deterministic. */
GG.spacing = (() => {
  const WIDE = 20; // between boxes, so that an edge can be seen
  const NARROW = 7; // in a crowd
  const CROWD = 90;
  const ROUNDS = 90;
  const CLEARINGS = 25;
  const [RINGS, RING, TURNS] = [20, 26, 36]; // places that are tried for a further box
  const LEAST_EDGE = 28; // between the boxes of its ends

  /** Move points, in place, until no two boxes ([{width, height, weight}]) overlap, the lighter one farther; where there
      is room, off the edges ([[a, b]]) of others, too. */
  function arrange(points, boxes, pairs) {
    const gap = points.length > CROWD ? NARROW : WIDE;
    if (points.length <= CROWD) {
      for (let round = 0; round < CLEARINGS; round++) {
        part(points, boxes, gap, 3);
        if (!clear(points, boxes, pairs)) break;
      }
    }
    return part(points, boxes, gap, ROUNDS);
  }

  /** Push nodes off the edges that run through them, and the ends of short edges apart; whether there were any. */
  function clear(points, boxes, pairs) {
    let isMoved = false;
    for (const [a, b] of pairs) {
      const [p, q] = [points[a], points[b]];
      const [dx, dy] = [q.x - p.x, q.y - p.y];
      const length = Math.hypot(dx, dy);
      if (length < 1) continue;
      const short = LEAST_EDGE + (boxes[a].height + boxes[b].height) / 2 - length;
      if (short > 1) {
        const share = (0.6 * short) / (length * (boxes[a].weight + boxes[b].weight));
        p.x -= dx * share * boxes[b].weight;
        p.y -= dy * share * boxes[b].weight;
        q.x += dx * share * boxes[a].weight;
        q.y += dy * share * boxes[a].weight;
        isMoved = true;
      }
      for (let n = 0; n < points.length; n++) {
        if (n === a || n === b) continue;
        const along = ((points[n].x - p.x) * dx + (points[n].y - p.y) * dy) / length;
        if (along <= 0 || along >= length) continue;
        const off = ((points[n].x - p.x) * dy - (points[n].y - p.y) * dx) / length;
        /* Half of the box, across the edge. */
        const half = (Math.abs(dy) * boxes[n].width + Math.abs(dx) * boxes[n].height) / (2 * length) + 5;
        if (Math.abs(off) >= half) continue;
        const by = (0.6 * (half - Math.abs(off)) * (off < 0 ? -1 : 1)) / Math.sqrt(boxes[n].weight);
        points[n].x += (by * dy) / length;
        points[n].y -= (by * dx) / length;
        isMoved = true;
      }
    }
    return isMoved;
  }

  /** Where a further box goes that is joined to some of the points (ends): on no other box, and near, with as few edges
      under it and as few boxes under its own lines as can be. */
  function attach(points, boxes, pairs, ends, box) {
    const mean = (c) => ends.reduce((sum, n) => sum + points[n][c], 0) / Math.max(ends.length, 1);
    const from = { x: mean("x"), y: mean("y") };
    const start = ends.length === 1 ? boxes[ends[0]].height / 2 : 0;
    const isEnd = new Set(ends);
    let best = null;
    for (let ring = 0; ring <= RINGS; ring++) {
      const far = start + ring * RING;
      if (best && 0.4 * ring > best.cost) break;
      for (let turn = 0; turn < (far ? TURNS : 1); turn++) {
        const angle = (2 * Math.PI * turn) / TURNS;
        const spot = { x: from.x + (far + (far ? box.width / 3 : 0)) * Math.cos(angle), y: from.y + far * Math.sin(angle) };
        if (points.some((point, n) => isOver(spot, box, point, boxes[n], 10))) continue;
        let cost = 0.4 * ring;
        for (const [a, b] of pairs) if (isCrossed(spot, box, points[a], points[b])) cost += 3;
        if (best && cost >= best.cost) continue;
        const hides = (end) => points.filter((point, n) => !isEnd.has(n) && isCrossed(point, boxes[n], points[end], spot)).length;
        cost += ends.reduce((sum, end) => sum + hides(end), 0) * (2 / Math.max(ends.length, 1));
        if (!best || cost < best.cost - 1e-9) best = { cost, spot };
      }
    }
    return best ? best.spot : { x: from.x, y: Math.max(...points.map((point) => point.y)) + 60 };
  }

  function isOver(p, own, q, other, gap) {
    return Math.abs(p.x - q.x) < (own.width + other.width) / 2 + gap && Math.abs(p.y - q.y) < (own.height + other.height) / 2 + gap;
  }

  /** Whether a line from p to q runs through a box. */
  function isCrossed(center, { width, height }, p, q) {
    let [enter, leave] = [0, 1];
    for (const [c, half] of [["x", width / 2 + 3], ["y", height / 2 + 3]]) {
      const way = q[c] - p[c];
      const [near, far] = [center[c] - half - p[c], center[c] + half - p[c]];
      if (Math.abs(way) < 1e-9) {
        if (near > 0 || far < 0) return false;
        continue;
      }
      enter = Math.max(enter, Math.min(near / way, far / way));
      leave = Math.min(leave, Math.max(near / way, far / way));
    }
    return enter < leave;
  }

  /** Part the boxes; at most so many rounds. */
  function part(points, boxes, gap, rounds) {
    const order = points.map((_, n) => n);
    const widest = boxes.reduce((most, box) => Math.max(most, box.width), 0) + gap;
    for (let round = 0; round < rounds; round++) {
      order.sort((a, b) => points[a].x - points[b].x || a - b);
      let isMoved = false;
      for (let i = 0; i < order.length; i++) {
        for (let j = i + 1; j < order.length && points[order[j]].x - points[order[i]].x < widest; j++) {
          if (push(points, boxes, gap, order[i], order[j])) isMoved = true;
        }
      }
      if (!isMoved) return points;
    }
    return points;
  }

  function push(points, boxes, gap, a, b) {
    const [p, q] = [points[a], points[b]];
    const [dx, dy] = [q.x - p.x, q.y - p.y];
    const overX = (boxes[a].width + boxes[b].width) / 2 + gap - Math.abs(dx);
    const overY = (boxes[a].height + boxes[b].height) / 2 + gap - Math.abs(dy);
    if (overX <= 0.5 || overY <= 0.5) return false;
    const share = boxes[b].weight / (boxes[a].weight + boxes[b].weight);
    if (overX < overY) {
      const by = overX * (dx < 0 || (dx === 0 && a > b) ? -1 : 1);
      p.x -= by * share;
      q.x += by * (1 - share);
    } else {
      const by = overY * (dy < 0 || (dy === 0 && a > b) ? -1 : 1);
      p.y -= by * share;
      q.y += by * (1 - share);
    }
    return true;
  }

  /** Turn (and mirror) points so that those which were drawn before lie as near as possible to where they were. */
  function align(points, keys, before) {
    const both = keys.map((key, n) => [points[n], before.get(key)]).filter(([, old]) => old);
    if (both.length < 2) return points;
    const mean = (of) => both.reduce((sum, pair) => ({ x: sum.x + of(pair).x / both.length, y: sum.y + of(pair).y / both.length }), { x: 0, y: 0 });
    const [own, old] = [mean(([point]) => point), mean(([, point]) => point)];
    let [dot, cross, dotMirrored, crossMirrored] = [0, 0, 0, 0];
    for (const [point, was] of both) {
      const [x, y, u, v] = [point.x - own.x, point.y - own.y, was.x - old.x, was.y - old.y];
      dot += x * u + y * v;
      cross += x * v - y * u;
      dotMirrored += x * u - y * v;
      crossMirrored += x * v + y * u;
    }
    const isMirrored = Math.hypot(dotMirrored, crossMirrored) > Math.hypot(dot, cross) + 1e-6;
    const angle = isMirrored ? Math.atan2(crossMirrored, dotMirrored) : Math.atan2(cross, dot);
    const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
    return points.map((point) => {
      const [x, y] = [point.x - own.x, (isMirrored ? -1 : 1) * (point.y - own.y)];
      return { x: old.x + x * cos - y * sin, y: old.y + x * sin + y * cos };
    });
  }

  return { arrange, attach, align };
})();
