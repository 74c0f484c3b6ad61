"use strict";
/* Where the drawn things go: nodes one by one and groups of folded ones, laid out as one graph. Then nodes get room, and
   groups are set where they cover nothing. */
GG.placing = (() => {
  const REMEMBERED = 40; // placings of one structure
  const remembered = new WeakMap(); // structure -> points by what is drawn

  /** {ids, boxes, points} of a view. Deterministic; where the same graph was drawn just before with other folds (before:
      points by id), the drawing is turned so that nodes stay about where they were. */
  function place(view, { layout, isTall, before }) {
    const { items, apart: groups } = view.fold;
    const isSentence = layout === "sentence" && Boolean(view.structure.node_names);
    const crowd = items.length + groups.length;
    const { tree } = view.structure;
    const phrases = new Set(isSentence && tree ? tree : []);
    const boxes = [
      ...items.map((n) => (phrases.has(n) ? GG.boxes.ofPhrase(crowd)
        : GG.boxes.ofNode({ ...view.nodes[n], name: GG.fold.letters(view, n) }, crowd, isSentence))),
      ...groups.map((group) => GG.boxes.ofGroup(group, crowd)),
    ];
    const ids = [...items.map((n) => `n${n}`), ...groups.map((_, g) => `g${g}`)];
    if (!remembered.has(view.structure)) remembered.set(view.structure, new Map());
    const known = remembered.get(view.structure);
    const key = `${layout} ${isTall} ${signature(view)}`;
    if (!known.has(key)) {
      if (known.size >= REMEMBERED) known.delete(known.keys().next().value);
      const points = phrases.size
        ? GG.layout.tree(view.structure.nodes, tree, boxes.map((box) => box.width), isTall)
        : isSentence ? GG.layout.sentence(view.structure.nodes, boxes.map((box) => box.width), isTall)
        : view.structure.atoms && layout === "organic" && !groups.length
          ? GG.layout.molecule(items.map((n) => view.structure.atoms[n]), isTall)
          : arranged(view, layout, isTall, boxes, ids, before);
      known.set(key, points);
    }
    return { ids, boxes, points: known.get(key) };
  }

  function arranged(view, layout, isTall, boxes, ids, before) {
    const { items, apart: groups } = view.fold;
    const spot = new Map(items.map((n, at) => [n, at]));
    const rooms = boxes.map(({ width, height, outline, weight }) => ({ width: width + outline, height: height + outline, weight }));
    /* A group at one node alone needs no place in the layout. */
    const inner = [...items.keys(), ...groups.flatMap((group, g) => (group.anchors.length === 1 ? [] : [items.length + g]))];
    const place = new Map(inner.map((at, n) => [at, n]));
    const pairs = pairsOf(view, spot).map(([a, b]) => [place.get(a), place.get(b)]).filter(([a, b]) => a !== undefined && b !== undefined);
    const graph = { size: inner.length, source: pairs.map(([a]) => a), target: pairs.map(([, b]) => b) };
    const seeds = view.structure.seeds.filter((seed) => spot.has(seed)).map((seed) => spot.get(seed));
    const isRings = layout === "rings" && seeds.length;
    const all = isRings ? GG.layout.rings(graph, seeds) : GG.spacing.align(GG.layout.organic(graph, isTall), inner.map((at) => ids[at]), before);
    const own = pairs.filter(([a, b]) => a < items.length && b < items.length);
    const [points, shown] = [all.slice(0, items.length), rooms.slice(0, items.length)];
    GG.spacing.arrange(points, shown, own);
    groups.forEach((group, g) => {
      const room = rooms[items.length + g];
      points.push(GG.spacing.attach(points, shown, own, group.anchors.map((node) => spot.get(node)), room));
      shown.push(room);
    });
    return points;
  }

  /** Pairs of drawn things that an edge joins, each once: items by their spot, groups after them. */
  function pairsOf(view, spot) {
    const { items, groupOf } = view.fold;
    const at = (node) => (groupOf.has(node) ? items.length + groupOf.get(node) : spot.get(node));
    const pairs = new Map();
    for (const { source, target } of view.edges) {
      if (!view.fold.apart.length && (groupOf.has(source) || groupOf.has(target))) continue; // within letters
      const [a, b] = [at(source), at(target)].sort((x, y) => x - y);
      if (a !== b) pairs.set(`${a},${b}`, [a, b]);
    }
    return [...pairs.values()];
  }

  /** Says which nodes are folded, and how. */
  const signature = (view) => view.fold.groups.map((group) => group.members.join(",")).join(";");

  return { place, signature };
})();
