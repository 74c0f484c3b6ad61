/* What a page looks like, asked in the browser: lists of what is wrong, empty where nothing is. */
(() => {
  const isSeen = (each) => each.getClientRects().length > 0 && getComputedStyle(each).visibility !== "hidden";
  const told = (each) => `${each.tagName} ${each.className.baseVal ?? each.className}: ${each.textContent.trim().slice(0, 60)}`;

  /** Elements whose text is cut, because what is around it hides what overflows. */
  function cutTexts() {
    return [...document.querySelectorAll("body *")].filter((each) => {
      if (!isSeen(each) || each.closest("svg, select, [type=search]") || !/\S/.test(each.textContent)) return false;
      const { overflowX, overflowY } = getComputedStyle(each);
      return (overflowX === "hidden" && each.scrollWidth > each.clientWidth + 1)
        || (overflowX === "hidden" && overflowY === "hidden" && each.scrollHeight > each.clientHeight + 1);
    }).map(told);
  }

  /** Texts of drawings that leave the drawing. */
  function cutDrawnTexts() {
    return [...document.querySelectorAll("svg text")].filter((each) => {
      if (!isSeen(each)) return false;
      const [own, around] = [each.getBoundingClientRect(), each.closest("svg").getBoundingClientRect()];
      return own.left < around.left - 1 || own.right > around.right + 1 || own.top < around.top - 1 || own.bottom > around.bottom + 1;
    }).map(told);
  }

  /** Headings of a table, turned or not, that leave the part of it that can be scrolled to. */
  function cutHeadings() {
    return [...document.querySelectorAll(".table-wrap th")].filter((each) => {
      if (!isSeen(each)) return false;
      const wrap = each.closest(".table-wrap");
      const [own, around] = [(each.querySelector(":scope > span") || each).getBoundingClientRect(), wrap.getBoundingClientRect()];
      const right = around.left - wrap.scrollLeft + wrap.scrollWidth;
      return own.top < around.top - wrap.scrollTop - 1 || own.right > right + 1;
    }).map(told);
  }

  /** Labels that are wider than the node that they stand in. */
  function wideLabels() {
    const pen = document.createElement("canvas").getContext("2d");
    const font = getComputedStyle(document.documentElement).getPropertyValue("--font");
    return glassgraph.drawn().filter(({ label, width, scale, font: size }) => {
      pen.font = `600 ${size * scale}px ${font}`;
      return Math.max(...label.split("\n").map((line) => pen.measureText(line).width)) > width;
    }).map(({ id, label }) => `${id}: ${label}`);
  }

  const isOver = (a, b) => a.x < b.x + b.width - 0.5 && b.x < a.x + a.width - 0.5 && a.y < b.y + b.height - 0.5 && b.y < a.y + a.height - 0.5;

  /** Pairs of drawn nodes on each other; of the ends of selected edges alone, or with all others. */
  function overlaps(ofSelected) {
    const numberOf = new Map(glassgraph.nodes().map((node) => [node.position, node]));
    const ends = new Set(glassgraph.edges().filter((edge) => edge.isHighlighted).flatMap((edge) => [edge.from, edge.to]));
    const boxes = glassgraph.drawn().filter((box) => !ofSelected || ends.has(box.position) || numberOf.get(box.position)?.isSeed);
    return boxes.flatMap((a, i) => boxes.slice(i + 1).filter((b) => isOver(a, b)).map((b) => `${a.label} on ${b.label}`));
  }

  /** Drawn nodes that lie outside of the canvas, or under what lies on it. */
  function hiddenNodes() {
    const canvas = document.getElementById("cy").getBoundingClientRect();
    const lids = ["notice", "legend"].map((id) => document.getElementById(id)).filter((each) => isSeen(each) && getComputedStyle(each).position === "absolute")
      .map((each) => each.getBoundingClientRect());
    return glassgraph.drawn().filter((box) => box.x < canvas.left || box.y < canvas.top || box.x + box.width > canvas.right
      || box.y + box.height > canvas.bottom || lids.some((lid) => isOver(box, lid))).map(({ id, label }) => `${id}: ${label}`);
  }

  const all = { cutTexts: cutTexts(), cutDrawnTexts: cutDrawnTexts(), cutHeadings: cutHeadings() };
  const { scrollWidth, clientWidth } = document.documentElement;
  all.sideways = scrollWidth > clientWidth ? [`${scrollWidth} > ${clientWidth}`] : [];
  if (window.glassgraph) {
    Object.assign(all, { wideLabels: wideLabels(), overlaps: overlaps(false), selectedOverlaps: overlaps(true), hiddenNodes: hiddenNodes() });
  }
  return all;
})()
