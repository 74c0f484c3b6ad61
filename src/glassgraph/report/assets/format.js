"use strict";
/* Numbers, colors and elements. Text from the data only ever enters the page as textContent. */
const GG = {};

GG.format = (() => {
  /** A number for reading: four significant digits. null (not finite in the data) is a dash. */
  function short(value) {
    if (value === null || value === undefined) return "–";
    if (typeof value !== "number") return String(value);
    if (Number.isInteger(value) && Math.abs(value) < 1e6) return minus(String(value));
    const size = Math.abs(value);
    if (size >= 1e5 || size < 1e-3) return minus(value.toExponential(2));
    return minus(String(Number(value.toPrecision(4))));
  }

  /** A number as the data has it. */
  function exact(value) {
    if (value === null || value === undefined) return "–";
    return typeof value === "number" ? minus(String(value)) : String(value);
  }

  /** A word in one line, cut. */
  function clip(text, most) {
    const line = text.replace(/\s+/g, " ").trim();
    return line.length > most ? `${line.slice(0, most - 1)}…` : line;
  }

  /** A name in at most so many lines of so many letters, parted between words where it can be. */
  function lines(text, letters, most) {
    const found = [""];
    for (const word of text.split(/\s+/).filter(Boolean)) {
      const last = found[found.length - 1];
      if (!last || last.length + 1 + word.length <= letters) found[found.length - 1] = last ? `${last} ${word}` : word;
      else found.push(word);
    }
    const shown = found.slice(0, most).map((line) => clip(line, letters));
    if (found.length > most) shown[most - 1] = clip(`${shown[most - 1]} …`, letters);
    return shown.join("\n");
  }

  function minus(text) {
    return text.replaceAll("-", "−");
  }

  function count(number, singular, plural) {
    return `${number.toLocaleString("en-US")} ${number === 1 ? singular : plural || singular + "s"}`;
  }

  return { short, exact, count, clip, lines };
})();

GG.color = (() => {
  /* Sequential ramps go from the background's neighbor to the strongest color; diverging ones from the strongest
     negative over neutral to the strongest positive. */
  const RAMPS = {
    light: {
      sequential: ["#f6c98a", "#f0923b", "#d9482b", "#8c1d40"],
      diverging: ["#174a9c", "#5b9bd8", "#c9ccd3", "#ee8a5f", "#a81c2e"],
    },
    dark: {
      sequential: ["#7a3b3f", "#c8503c", "#f58f3c", "#ffe09a"],
      diverging: ["#7cc4ff", "#3f83cf", "#555c6b", "#d8643f", "#ffb08a"],
    },
  };
  /* PALETTE is palette.json, which figures read, too. Letters of elements have 4.5 in contrast from the canvas; carbon
     and the rest have the color of text. */
  const { types: TYPES, elements: ELEMENTS, changes: CHANGES } = PALETTE;
  const SHAPES = PALETTE.shapes.map(({ page }) => page);

  const parse = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));

  function along(ramp, share) {
    const at = Math.min(Math.max(share, 0), 1) * (ramp.length - 1);
    const low = Math.min(Math.floor(at), ramp.length - 2);
    const [from, to] = [parse(ramp[low]), parse(ramp[low + 1])];
    const mixed = from.map((channel, c) => Math.round(channel + (to[c] - channel) * (at - low)));
    return `rgb(${mixed.join(",")})`;
  }

  /** The color of a score on a scale that ends at `max` (and begins at -max where `signed`). */
  function score(value, max, signed, theme) {
    const share = max > 0 && value !== null ? value / max : 0;
    const ramps = RAMPS[theme];
    return signed ? along(ramps.diverging, (share + 1) / 2) : along(ramps.sequential, share);
  }

  function gradient(signed, theme) {
    return `linear-gradient(90deg, ${RAMPS[theme][signed ? "diverging" : "sequential"].join(", ")})`;
  }

  /** Black or white, whichever stands out more (WCAG's contrast, at least 4.5) from an rgb(...) or #rrggbb background. */
  function ink(background) {
    const channels = background.startsWith("#") ? parse(background) : background.match(/\d+/g).map(Number);
    const [r, g, b] = channels.map((channel) => channel / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 ? "#000000" : "#ffffff";
  }

  return {
    score,
    gradient,
    ink,
    change: (kind, theme) => CHANGES[theme][kind],
    element: (symbol, theme) => ELEMENTS[theme][symbol] || null,
    /* Color and shape together tell 64 types apart. */
    type: (number) => TYPES[(number + Math.floor(number / SHAPES.length)) % TYPES.length],
    shape: (number) => SHAPES[number % SHAPES.length],
  };
})();

/** An element: GG.el("p", {class: "x", onclick: f}, "text", child). Strings become text nodes, never markup. */
GG.el = (tag, attributes, ...children) => {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "style") Object.assign(element.style, value);
    else if (value !== null && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
};

/** A name that may be parted after its underscores. */
GG.parted = (name) => name.split(/(?<=_)/).flatMap((part, at) => (at ? [document.createElement("wbr"), part] : [part]));
