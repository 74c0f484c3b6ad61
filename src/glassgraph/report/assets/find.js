"use strict";
/* Looks for a node of the drawn instance, by number, name or type; opens it where it is folded. */
GG.find = (() => {
  const byId = (id) => document.getElementById(id);
  let view = null;
  let onOpen = null;
  let last = { text: null, at: -1, structure: null };

  function create(open) {
    onOpen = open;
    byId("find").onkeydown = (event) => {
      if (event.key === "Enter") next(byId("find").value);
      else if (event.key === "Escape") clear();
    };
    byId("find").oninput = () => tell(matches(byId("find").value).length ? "Enter finds it" : "");
  }

  /** Another view is drawn: what was found in another graph is forgotten. */
  function show(drawn) {
    view = drawn;
    if (last.structure && last.structure !== view.structure) clear();
  }

  function clear() {
    byId("find").value = "";
    last = { text: null, at: -1, structure: null };
    GG.canvas.find(null);
    tell("");
  }

  const tell = (text) => { byId("found").textContent = text; };

  /** Positions of nodes: those that bear the very words first, then those that hold them all. */
  function matches(text) {
    const wanted = text.trim().toLowerCase();
    if (!wanted) return [];
    const words = wanted.split(/\s+/);
    const own = view.nodes.map((node) => [String(node.id), node.name, node.type === null ? null : `${node.type} ${node.id}`]
      .filter(Boolean).map((each) => each.toLowerCase()));
    const all = own.map((_, n) => n);
    const exact = all.filter((n) => own[n].includes(wanted));
    return exact.length ? exact : all.filter((n) => words.every((word) => own[n].some((each) => each.includes(word))));
  }

  /** Bring out the next match. */
  function next(text) {
    const found = matches(text);
    if (!found.length) {
      GG.canvas.find(null);
      const { leftOut } = view;
      return tell(leftOut && leftOut.nodes ? `not among the ${view.nodes.length.toLocaleString("en-US")} drawn nodes` : "no such node");
    }
    const at = text === last.text && last.structure === view.structure ? (last.at + 1) % found.length : 0;
    last = { text, at, structure: view.structure };
    const position = found[at];
    const wasFolded = view.fold.groupOf.has(position);
    if (wasFolded) onOpen(position);
    GG.canvas.find(position);
    return tell(`${GG.panels.nodeName(view, position)}${found.length > 1 ? `, ${at + 1} of ${found.length}` : ""}${wasFolded ? ", opened" : ""}`);
  }

  return { create, show, next };
})();
