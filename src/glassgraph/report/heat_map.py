"""How alike methods are, as a heat map: for matplotlib, and as tables of a page.

The scale is fixed, -1 to 1 in blue over white to red, so that two maps can be held side by side.
"""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from glassgraph.metrics.compare import MEASURES, Comparison
from glassgraph.metrics.similarity import Similarity

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_similarity", "similarities_html"]

_TITLES = {
    "cosine": "Cosine",
    "spearman": "Rank correlation (Spearman)",
    "jaccard": "Overlap of the best {top_k}",
    "signs": "Equal signs",
}
_LEVELS = {"edge": "one score for each edge", "layer": "every edge at every layer"}
#: Red, green and blue of -1 and of 1; 0 is the page itself.
_COLD, _WARM = (47, 95, 190), (214, 69, 45)


def plot_similarity(
    similarity: Similarity, measure: str = "cosine", ax: Axes | None = None
) -> Axes:
    """Draw a matrix of similarities; never shows a window.

    Args:
        similarity: what `glassgraph.compare_all` found.
        measure: which measure.
        ax: where to draw; a new figure by default.

    Returns:
        The matplotlib axes.

    Raises:
        UnknownMetricError: for an unknown measure.
    """
    import matplotlib.pyplot as plt

    matrix = similarity.matrix(measure)
    side = 2.2 + 0.62 * len(matrix)
    axes: Any = ax
    if axes is None:
        axes = plt.subplots(figsize=(side + 0.6, side), layout="constrained")[1]
    image = axes.imshow(matrix.to_numpy(), cmap="coolwarm", vmin=-1, vmax=1)
    names = list(matrix)
    axes.set_xticks(range(len(names)), names, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(names)), names)
    for row, values in enumerate(matrix.to_numpy()):
        for column, value in enumerate(values):
            color = "white" if abs(value) > 0.75 else "black"
            axes.text(column, row, _number(value), ha="center", va="center", color=color)
    axes.figure.colorbar(image, ax=axes, shrink=0.8)
    axes.set_title(f"{_title(similarity, measure)}, {_LEVELS[similarity.level]}")
    return axes  # type: ignore[no-any-return]


def similarities_html(similarities: Sequence[Similarity]) -> str:
    """A section of the page with a heat map for each measure; empty without similarities."""
    if not similarities:
        return ""
    figures = "".join(
        f'<h3>{_LEVELS[each.level].capitalize()}</h3><div class="heat-maps">'
        f"{''.join(_table(each, measure) for measure in MEASURES)}</div>"
        for each in similarities
    )
    references = list(dict.fromkeys(name for each in similarities for name in each.references))
    note = ""
    if references:
        named = " and ".join(f"<i>{html.escape(name)}</i>" for name in references)
        note = (
            f"{named} are no methods: a similarity is worth what it exceeds in their rows. "
            if len(references) > 1
            else f"{named} is no method: a similarity is worth what it exceeds in its row. "
        )
    return (
        '<section class="below" id="similarity-section" aria-label="Similarity"><h2>Similarity '
        '<span class="hint">mean over predictions</span></h2>'
        f'<p class="reading">{note}A dash: the measure says nothing of any prediction, as the rank '
        f"correlation with a constant.</p>{figures}</section>"
    )


def _table(similarity: Similarity, measure: str) -> str:
    names, title = similarity.names, _title(similarity, measure)
    head = "".join(f'<th scope="col"><span>{html.escape(name)}</span></th>' for name in names)
    rows = []
    for name in names:
        kind = ' class="reference"' if name in similarity.references else ""
        cells = "".join(_cell(similarity.pair(name, other), measure) for other in names)
        rows.append(f'<tr{kind}><th scope="row">{html.escape(name)}</th>{cells}</tr>')
    return (
        f'<figure class="heat-map"><figcaption>{title}</figcaption>'
        f'<div class="table-wrap" tabindex="0" role="region" '
        f'aria-label="{html.escape(f"{title}, {_LEVELS[similarity.level]}")}">'
        f"<table><thead><tr><td></td>{head}</tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table></div></figure>"
    )


def _cell(pair: Comparison, measure: str) -> str:
    found = pair.moments(measure)
    value, told = found["mean"], f"{' and '.join(pair.names)}: "
    if found["defined"]:
        told += f"{value:.3f} ± {found['std']:.3f}"
        told += f", undefined for {found['undefined']:.0f}" if found["undefined"] else ""
    else:
        told += "undefined for every prediction"
    color = "" if math.isnan(value) else f' style="background:{_color(value)}"'
    return f'<td{color} title="{html.escape(told)}">{_number(value)}</td>'


def _color(value: float) -> str:
    red, green, blue = _WARM if value > 0 else _COLD
    return f"rgba({red},{green},{blue},{0.75 * min(abs(value), 1.0):.2f})"


def _title(similarity: Similarity, measure: str) -> str:
    return _TITLES[measure].format(top_k=similarity.top_k)


def _number(value: float) -> str:
    return "–" if math.isnan(value) else f"{value + 0.0:.2f}".replace("-0.00", "0.00")
