"use strict";
/* How large nodes are drawn, and with which words: pure functions, no page. */
GG.boxes = (() => {
  const LINE = 18; // letters in a line of a name
  const LINES = 3;
  const WORD = 24; // letters of a name in a sentence
  const LEAST = 15; // what letters of a name may not be smaller than, whatever the crowd

  /** Size and font of nodes, by how many are drawn. */
  function scaleOf(crowd) {
    if (crowd > 220) return { base: LEAST, font: 6 };
    return crowd > 90 ? { base: 20, font: 7.5 } : { base: 27, font: 9.5 };
  }

  /** Room that a word takes, by its longest line. */
  function wordWidth(text, font = 9.5) {
    const longest = text.split("\n").reduce((most, line) => Math.max(most, line.length), 0);
    return Math.max(18, (6.2 * longest * font) / 9.5 + 9);
  }

  /** {label, width, height, font, weight (how firmly it stands)} of a node. */
  function ofNode(node, crowd, isSentence) {
    const { base, font } = scaleOf(crowd);
    const size = node.isSeed ? Math.max(base + 6, 26) : base;
    const label = !node.name ? String(node.id) : isSentence ? GG.format.clip(node.name, WORD) : GG.format.lines(node.name, LINE, LINES);
    const words = wordWidth(label, font);
    const width = node.name ? Math.max(isSentence ? 0 : size, words) : label.length > 4 ? Math.max(size, words) : size;
    const height = Math.max(size, label.split("\n").length * font * 1.25 + 8);
    const outline = node.isSeed ? 10 : 0; // the ring around what is explained
    return { label, width, height, font, outline, weight: node.isSeed ? 40 : 1 };
  }

  /** The same of a phrase over its words, which say what it is. */
  function ofPhrase(crowd) {
    return { label: "", width: 16, height: 16, font: scaleOf(crowd).font, outline: 0, weight: 1 };
  }

  /** The same of a group of folded nodes. */
  function ofGroup(group, crowd) {
    const { font } = scaleOf(crowd);
    const label = GG.fold.label(group).join("\n");
    return { label, width: wordWidth(label, font) + 8, height: label.split("\n").length * font * 1.3 + 12, font, outline: 0, weight: 2 };
  }

  return { ofNode, ofPhrase, ofGroup, wordWidth, WORD };
})();
