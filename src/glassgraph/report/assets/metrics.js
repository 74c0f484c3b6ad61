"use strict";
/* The table of metrics: groups of columns with readable names, sorted by a column, columns hidden and shown. */
GG.metrics = (() => {
  const { el } = GG;
  const byId = (id) => document.getElementById(id);

  /** onMethod(number): the reader picked a method. */
  function show({ metrics, metric_names: names, methods }, onMethod) {
    byId("metrics-section").hidden = byId("metrics-link").hidden = !metrics.rows.length;
    if (!metrics.rows.length) return;
    /* Columns of a group stand together, groups in order of appearance. */
    const groups = [...new Set(names.map(({ group }) => group))];
    const places = groups.flatMap((group) => names.map((_, c) => c).filter((c) => names[c].group === group));
    const columns = places.map((c) => metrics.columns[c]);
    const titles = places.map((c) => names[c]);
    const rows = metrics.rows.map((row) => places.map((c) => row[c]));
    const isNumber = columns.map((_, c) => rows.every((row) => row[c] === null || typeof row[c] === "number"));
    const known = new Map(methods.map((method, m) => [method.name, m]));
    const hidden = new Set();
    let sorted = { column: -1, direction: -1 };
    let order = rows;

    function draw() {
      const shown = columns.map((_, c) => c).filter((c) => !hidden.has(c));
      const head = [groupRow(shown.map((c) => titles[c].group)), el("tr", {}, ...shown.map(heading))].filter(Boolean);
      const body = order.map((row) => el("tr", {}, ...shown.map((c) => cell(row[c], c))));
      byId("metrics").replaceChildren(el("thead", {}, ...head), el("tbody", {}, ...body));
      byId("columns-count").textContent = hidden.size ? `${hidden.size} of ${columns.length} hidden` : `${columns.length}, all shown`;
    }

    function heading(c) {
      const way = sorted.column !== c ? "none" : sorted.direction > 0 ? "ascending" : "descending";
      return el("th", { scope: "col", class: isNumber[c] ? "number" : "", "aria-sort": way, "data-column": columns[c], onclick: () => sort(c) },
        el("button", { type: "button", title: [columns[c], titles[c].about].filter(Boolean).join(": ") }, titles[c].name));
    }

    function cell(value, c) {
      if (known.has(value)) {
        const pick = () => { onMethod(known.get(value)); scrollTo({ top: 0, behavior: "smooth" }); };
        return el("td", {}, el("button", { type: "button", class: "link", onclick: pick }, value));
      }
      return el("td", { class: isNumber[c] ? "number" : "", title: GG.format.exact(value) }, GG.format.short(value));
    }

    function sort(c) {
      const direction = sorted.column === c ? -sorted.direction : isNumber[c] ? -1 : 1;
      sorted = { column: c, direction };
      const compare = (a, b) => (isNumber[c] ? a - b : String(a).localeCompare(String(b)));
      order = [...rows].sort((a, b) => {
        if (a[c] === null || b[c] === null) return (a[c] === null) - (b[c] === null);
        return direction * compare(a[c], b[c]);
      });
      draw();
      byId("metrics").querySelector(`th[data-column="${CSS.escape(columns[c])}"] button`).focus({ preventScroll: true });
    }

    /** A box for each column, under a box for its group. */
    function choosers() {
      return groups.map((group) => {
        const own = columns.map((_, c) => c).filter((c) => titles[c].group === group && columns[c] !== "method");
        const boxes = own.map((c) => el("input", { type: "checkbox", checked: true, onchange: (event) => toggle([c], event.target.checked) }));
        const all = el("input", { type: "checkbox", checked: true, onchange: (event) => toggle(own, event.target.checked) });
        function toggle(which, isShown) {
          which.forEach((c) => (isShown ? hidden.delete(c) : hidden.add(c)));
          own.forEach((c, at) => { boxes[at].checked = !hidden.has(c); });
          const count = own.filter((c) => !hidden.has(c)).length;
          [all.checked, all.indeterminate] = [count === own.length, count > 0 && count < own.length];
          draw();
        }
        if (!own.length) return null;
        return el("fieldset", {}, el("legend", {}, el("label", {}, all, group || "Columns")),
          ...own.map((c, at) => el("label", {}, boxes[at], titles[c].name)));
      }).filter(Boolean);
    }

    byId("columns").replaceChildren(...choosers());
    draw();
  }

  /** Names of groups over their columns; null where there is one group alone. */
  function groupRow(groups) {
    if (new Set(groups).size < 2) return null;
    const cells = [];
    groups.forEach((group, c) => {
      if (c && groups[c - 1] === group) cells[cells.length - 1].colSpan += 1;
      else cells.push(el("th", { scope: "colgroup" }, group));
    });
    return el("tr", { class: "groups" }, ...cells);
  }

  return { show };
})();
