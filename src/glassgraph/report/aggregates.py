"""Aggregates of explanations as tables of the page, with a bar for each share and mean.

A column with columns of the same name and ``_low`` and ``_high`` beside it is drawn: a bar, and its
confidence interval as a whisker. Bars of one column share a scale that begins at zero.
"""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from glassgraph.report.payload import ReportError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Aggregates", "aggregates_html"]

#: Tables by title, or tables alone.
Aggregates: TypeAlias = "Mapping[str, pd.DataFrame] | Sequence[pd.DataFrame]"

#: Columns that count, in words.
_TITLES = {
    "kept": "kept",
    "share_of_kept": "share of all kept",
    "mean_score": "mean score",
    "inverse_kept": "inverse kept",
    "has_inverse": "has an inverse",
}
_WIDTH = 150


def aggregates_html(aggregates: Aggregates) -> str:
    """A section of the page with a table for each aggregate; empty without any.

    Raises:
        ReportError: if one is no table.
    """
    if isinstance(aggregates, Mapping):
        named = list(aggregates.items())
    else:
        named = [(_title(each), each) for each in aggregates]
    if not named:
        return ""
    figures = "".join(
        f'<figure class="aggregate"><figcaption>{html.escape(str(title))}</figcaption>'
        f"{_table(each, str(title))}</figure>"
        for title, each in named
    )
    return (
        '<section class="below" id="aggregates-section" aria-label="Aggregates">'
        '<h2>Aggregates <span class="hint">'
        "bars with confidence intervals over instances, a dash where nothing is known</span></h2>"
        f"{figures}</section>"
    )


def _title(table: Any) -> str:
    """The columns that make the groups: those before the first count."""
    names = list(getattr(table, "columns", ()))
    until = next((names.index(name) for name in ("count", "paths") if name in names), len(names))
    return "By " + ", ".join(map(_words, names[:until])) if until else "In all"


def _table(table: Any, title: str) -> str:
    if not hasattr(table, "to_dict") or not hasattr(table, "columns"):
        raise ReportError(
            f"an aggregate is a data frame, as explanations.aggregate makes it; got "
            f"{type(table).__name__}"
        )
    names = [str(name) for name in table.columns]
    drawn = {name for name in names if {f"{name}_low", f"{name}_high"} <= set(names)}
    hidden = {f"{name}_{end}" for name in drawn for end in ("low", "high")}
    shown = [name for name in names if name not in hidden]
    records = table.to_dict("records")
    scales = {name: _scale(name, records) for name in drawn}
    head = "".join(f'<th scope="col">{html.escape(_words(name))}</th>' for name in shown)
    rows = []
    for record in records:
        cells = [
            _bar(name, record, *scales[name]) if name in drawn else _cell(record[name])
            for name in shown
        ]
        rows.append(f"<tr>{''.join(cells)}</tr>")
    return (
        f'<div class="table-wrap" tabindex="0" role="region" aria-label="{html.escape(title)}">'
        f"<table><thead><tr>{head}</tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _scale(name: str, records: Sequence[Mapping[Any, Any]]) -> tuple[float, float]:
    """Where the bars of a column begin and end; zero lies within."""
    ends = [record[key] for record in records for key in (name, f"{name}_low", f"{name}_high")]
    known = [0.0, *(float(value) for value in ends if _is_number(value))]
    return min(known), max(known) if max(known) > min(known) else 1.0


def _bar(name: str, record: Mapping[Any, Any], low: float, high: float) -> str:
    value, ends = record[name], (record[f"{name}_low"], record[f"{name}_high"])
    if not _is_number(value):
        return '<td class="measure">–</td>'

    def at(number: float) -> float:
        return round(_WIDTH * (number - low) / (high - low), 1)

    left, right = sorted((at(0.0), at(value)))
    whisker, told = "", f"{value:.4g}"
    if all(map(_is_number, ends)):
        whisker = f'<path d="M{at(ends[0])} 7H{at(ends[1])}"/>'
        told += f" ({ends[0]:.4g} to {ends[1]:.4g})"
    return (
        f'<td class="measure" title="{told}"><svg viewBox="0 0 {_WIDTH} 14" width="{_WIDTH}" '
        f'height="14" aria-hidden="true"><rect x="{left}" y="2" width="{round(right - left, 1)}" '
        f'height="10"/>{whisker}</svg><span>{_number(value)}</span></td>'
    )


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "<td>–</td>"
    if isinstance(value, float):
        return f'<td class="number">{_number(value)}</td>'
    kind = "" if isinstance(value, str | bool) else ' class="number"'
    return f"<td{kind}>{html.escape(str(value))}</td>"


def _number(value: float) -> str:
    return f"{value:.3g}".replace("-", "−")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _words(name: str) -> str:
    return _TITLES.get(name, name.replace("_", " "))
