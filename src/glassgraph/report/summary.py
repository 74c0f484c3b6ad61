"""Summary plots over many explanations: mean importance as bars, features as a beeswarm.

As SHAP's summary plots: bars are mean magnitudes; in a beeswarm a point is a node of an explanation
(or an explanation), its place to the right is the score and its color is the value of the feature.

Lundberg et al., "From local explanations to global understanding with explainable AI for trees"
(Nature Machine Intelligence 2020, https://doi.org/10.1038/s42256-019-0138-9).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from glassgraph.errors import HyperParameterError
from glassgraph.report.figures import check_figsize
from glassgraph.report.payload import ReportError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from glassgraph.results.explanation import Explanations

__all__ = ["plot_beeswarm", "plot_importance"]

#: Of bars side by side: light and dark as well as blue and orange, so that prints tell them apart.
_SERIES = ("#2c5f8a", "#e8a838", "#7cc4ee", "#a04a1c", "#b9bfc9", "#4db892")
_POSITIVE, _NEGATIVE = "#2c5f8a", "#c46a2b"
#: Points of a feature that are drawn; of more a sample.
_MOST_POINTS = 2000
#: Rows over which points of a feature spread, above and below its line.
_SPREAD = 0.38
_MISSING = "#b9bfc9"


def plot_importance(
    explanations: Explanations,
    by: str | Sequence[str] = "feature",
    *,
    per: str = "node",
    ranking: str = "absolute",
    max_display: int = 20,
    ax: Axes | None = None,
    figsize: tuple[float, float] | None = None,
) -> Axes:
    """Draw mean scores over many explanations as bars, with intervals; never shows a window.

    What is drawn is the table `Explanations.importance`, by magnitude: features, types, layers (in
    their order), classes, right against wrong predictions.

    Args:
        explanations: of a method.
        by: a column of that table, such as ``"feature"``, ``"node_type"``, ``"edge_type"``,
            ``"layer"``, ``"target"``, ``"correct"``; or two of them: bars for the second stand side
            by side for each value of the first.
        per: of features: ``"node"`` or ``"prediction"``.
        ranking: ``"absolute"`` draws mean magnitudes, ``"signed"`` means.
        max_display: how many values of the first column, the largest ones; the rest is counted.
        ax: where to draw; a new figure by default.
        figsize: width and height of a new figure in inches.

    Raises:
        HyperParameterError: for an unknown column, a model of one layer, or arguments out of range.
        UnknownMetricError: if there are no such scores.
        ReportError: if there is nothing to draw, or a size is none.

    Example:
        >>> import torch
        >>> import glassgraph as gg
        >>> from torch_geometric.data import Data
        >>> from torch_geometric.nn import GCN
        >>> data = Data(x=torch.rand(3, 4), edge_index=torch.tensor([[0, 1], [1, 2]]))
        >>> found = gg.explain(GCN(4, 8, 2, 2), data, "saliency", task="node", progress=False)
        >>> axes = gg.plot_importance(found, max_display=3)
        >>> len(axes.get_yticklabels())
        3
    """
    import matplotlib.pyplot as plt

    names = [by] if isinstance(by, str) else list(by)
    if not 1 <= len(names) <= 2:
        raise ReportError(f"bars are drawn by one or two columns; got {by!r}")
    check_figsize(figsize, ax)
    _check_count(max_display)
    table = explanations.importance(names, per=per, ranking=ranking)  # type: ignore[arg-type]
    if table.empty:
        raise ReportError("there is nothing to draw: no explanation has such a score")
    words = [_words(explanations, name, table[name]) for name in names]
    rows = _rows(table, words[0], names[0], max_display)
    series = _series(words[1], names[1]) if len(names) == 2 else [""]
    axes: Any = ax
    if axes is None:
        height = 1.2 + len(rows) * max(0.3, 0.2 * len(series))
        axes = plt.subplots(figsize=figsize or (6.0, height), layout="constrained")[1]
    for number, name in enumerate(series):
        own = table if len(names) == 1 else table[[word == name for word in words[1]]]
        of = words[0] if len(names) == 1 else _kept(words[0], words[1], name)
        _bars(axes, own, of, rows, number, len(series), name)
    axes.set_yticks(range(len(rows)), [_clipped(row) for row in rows], fontsize=8)
    axes.invert_yaxis()
    axes.axvline(0.0, color="#8d97a8", linewidth=0.8)
    what = "mean |score|" if ranking == "absolute" else "mean score"
    axes.set_xlabel(f"{what} of {_unit(names, per, explanations)}, 95% intervals", fontsize=9)
    left_out = len(set(words[0])) - len(rows)
    rest = f", {left_out} more not shown" if left_out else ""
    axes.set_title(f"{explanations.method}, {len(explanations)} predictions{rest}", fontsize=10)
    if len(series) > 1:
        axes.legend(title=_heading(names[1]), fontsize=8, title_fontsize=8, frameon=False)
    _plain(axes)
    return axes  # type: ignore[no-any-return]


def plot_beeswarm(
    explanations: Explanations,
    *,
    per: str = "node",
    max_display: int = 20,
    ax: Axes | None = None,
    figsize: tuple[float, float] | None = None,
) -> Axes:
    """Draw the scores of features over many explanations, one point each; never shows a window.

    A point is a node of an explanation, or an explanation: to the right its score, in color the
    value of its feature, from the least (blue) to the largest (red) between the 5th and 95th
    percentile of each feature. Of more than 2,000 points of a feature a sample is drawn, always the
    same, and the title says so. The numbers are `Explanations.features_frame`.

    Args:
        explanations: of a method that scores features, with their data.
        per: ``"node"``, or ``"prediction"``: sums of scores and means of values over its nodes.
        max_display: how many features, the most important ones.
        ax: where to draw; a new figure by default.
        figsize: width and height of a new figure in inches.

    Raises:
        UnknownMetricError: if there are no feature scores.
        ExplanationFileError: if the data were not stored.
        HyperParameterError: for arguments out of range.
        ReportError: if a size is none.

    Example:
        >>> import torch
        >>> import glassgraph as gg
        >>> from torch_geometric.data import Data
        >>> from torch_geometric.nn import GCN
        >>> data = Data(x=torch.rand(3, 4), edge_index=torch.tensor([[0, 1], [1, 2]]))
        >>> found = gg.explain(GCN(4, 8, 2, 2), data, "saliency", task="node", progress=False)
        >>> len(gg.plot_beeswarm(found, max_display=3).collections)
        3
    """
    import matplotlib.pyplot as plt
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable

    check_figsize(figsize, ax)
    _check_count(max_display)
    frame = explanations.features_frame(per=per, max_features=max_display)  # type: ignore[arg-type]
    size = frame["score"].abs().groupby(frame["feature"]).mean()
    features = size.sort_values(ascending=False, kind="stable").index.tolist()
    axes: Any = ax
    if axes is None:
        height = 1.2 + 0.36 * len(features)
        axes = plt.subplots(figsize=figsize or (6.4, height), layout="constrained")[1]
    ramp, is_sampled = colormaps["coolwarm"], False
    for row, feature in enumerate(features):
        own = frame[frame["feature"] == feature]
        if len(own) > _MOST_POINTS:
            own, is_sampled = own.sample(_MOST_POINTS, random_state=0), True
        score, value = own["score"].to_numpy(), own["value"].to_numpy()
        axes.scatter(
            score,
            row + _swarm(score, float(frame["score"].abs().max())),
            c=_value_colors(value, ramp),
            s=12,
            linewidths=0.2,
            edgecolors="#5b6472",
            zorder=3,
        )
    axes.set_yticks(range(len(features)), [_clipped(name) for name in features], fontsize=8)
    axes.set_ylim(len(features) - 0.4, -0.6)
    axes.axvline(0.0, color="#8d97a8", linewidth=0.8)
    unit = "of a node" if per == "node" else "in a prediction"
    axes.set_xlabel(f"score of a feature {unit}", fontsize=9)
    shown = f", {_MOST_POINTS:,} points drawn of each feature" if is_sampled else ""
    axes.set_title(f"{explanations.method}, {len(explanations)} predictions{shown}", fontsize=10)
    bar = axes.figure.colorbar(
        ScalarMappable(cmap=ramp), ax=axes, ticks=[0, 1], aspect=32, pad=0.02
    )
    bar.ax.set_yticklabels(["low", "high"], fontsize=8)
    bar.set_label("value of the feature", fontsize=8, labelpad=-8)
    bar.outline.set_visible(False)
    _plain(axes)
    return axes  # type: ignore[no-any-return]


def _bars(
    axes: Any,
    table: pd.DataFrame,
    words: Sequence[str],
    rows: Sequence[str],
    number: int,
    count: int,
    name: str,
) -> None:
    """One series of bars; each says what it is of and shows its interval, if there is one."""
    place = {row: at for at, row in enumerate(rows)}
    kept = [at for at, word in enumerate(words) if word in place]
    mean = table["mean_score"].to_numpy()[kept]
    ends = table[["mean_score_low", "mean_score_high"]].to_numpy()[kept]
    width = 0.72 / count
    at = np.array([place[words[each]] for each in kept]) + width * (number - (count - 1) / 2)
    color: Any = _SERIES[number % len(_SERIES)]
    if count == 1:
        color = [_POSITIVE if value >= 0 else _NEGATIVE for value in mean]
    axes.barh(at, mean, height=0.92 * width, color=color, label=name or None, zorder=2)
    known = np.isfinite(ends).all(axis=1)
    reach = np.abs(ends.T - mean)[:, known].clip(min=0.0)
    line = {"fmt": "none", "ecolor": "#171b26", "elinewidth": 0.9, "capsize": 2, "zorder": 3}
    axes.errorbar(mean[known], at[known], xerr=reach, **line)


def _rows(table: pd.DataFrame, words: Sequence[str], name: str, most: int) -> list[str]:
    """The values of the first column, the largest first; layers in their order."""
    size: dict[str, float] = {}
    for word, value in zip(words, table["mean_score"].abs().tolist(), strict=True):
        size[word] = max(size.get(word, 0.0), value)
    if name == "layer":
        return list(size)[:most]
    return sorted(size, key=lambda word: -size[word])[:most]


def _series(words: Sequence[str], name: str) -> list[str]:
    """The values of the second column, in order; what is right comes before what is wrong."""
    found = list(dict.fromkeys(words))
    return sorted(found, key=["right", "wrong", "none"].index) if name == "correct" else found


def _kept(words: Sequence[str], series: Sequence[str], name: str) -> list[str]:
    return [word for word, own in zip(words, series, strict=True) if own == name]


def _words(explanations: Explanations, name: str, values: Any) -> list[str]:
    """Values of a column as a reader expects them."""
    classes = explanations.local(0).class_names if len(explanations) else None
    named = dict(enumerate(classes or ()))
    words = []
    for value in values:
        if value is None or value != value:
            words.append("none")
        elif name == "correct":
            words.append("right" if value else "wrong")
        elif name == "truth":
            words.append("ground truth" if value else "not ground truth")
        elif name in ("target", "label", "predicted") and not isinstance(value, str):
            words.append(named.get(int(value), f"class {int(value)}"))
        elif name in ("layer", "index", "graph", "position"):
            words.append(f"{name} {value}")
        else:
            words.append(" → ".join(str(value).split("__")) if name == "edge_type" else str(value))
    return words


def _unit(names: Sequence[str], per: str, explanations: Explanations) -> str:
    """What has the scores that are averaged."""
    if "feature" in names:
        return "a feature of a node" if per == "node" else "a feature in a prediction"
    from glassgraph.results.aggregates.importance import is_of_nodes

    return "a node" if any(is_of_nodes(explanations, name) for name in names) else "a message"


def _heading(name: str) -> str:
    return {"correct": "prediction", "target": "explained class"}.get(name, name.replace("_", " "))


def _swarm(score: Any, largest: float) -> Any:
    """How far points stand above or below their line, so that equal scores lie side by side."""
    bins = np.round(60 * score / (largest or 1.0)).astype(int)
    away = np.zeros(len(score))
    for each in np.unique(bins):
        own = np.flatnonzero(bins == each)
        turn = np.arange(len(own))
        away[own] = (turn + 1) // 2 * np.where(turn % 2, 1, -1)
    return away * min(0.06, _SPREAD / max(1.0, float(np.abs(away).max())))


def _value_colors(value: Any, ramp: Any) -> Any:
    """From low to high between the 5th and 95th percentile; gray where there is no value."""
    known = np.isfinite(value)
    colors = np.tile(np.array(_rgba(_MISSING)), (len(value), 1))
    if known.any():
        low, high = np.percentile(value[known], (5, 95))
        if low == high:
            low, high = value[known].min(), value[known].max()
        span = high - low
        share = (value[known] - low) / span if span else np.full(known.sum(), 0.5)
        colors[known] = ramp(np.clip(share, 0.0, 1.0))
    return colors


def _rgba(color: str) -> Any:
    from matplotlib.colors import to_rgba

    return to_rgba(color)


def _clipped(name: str) -> str:
    return name if len(name) <= 40 else f"{name[:39]}…"


def _check_count(max_display: Any) -> None:
    if isinstance(max_display, bool) or not isinstance(max_display, int) or max_display < 1:
        raise HyperParameterError(f"max_display must be a positive number; got {max_display!r}")


def _plain(axes: Any) -> None:
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", labelsize=8)
    axes.grid(axis="x", color="#e3e7ef", linewidth=0.6, zorder=0)
    axes.set_axisbelow(True)
