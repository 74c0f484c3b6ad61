"""Which mentions of one question a network has to hear, layer by layer; Figure 3 of the paper."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from glassgraph.errors import OutputError
from glassgraph_studies.reproduce.qa.graphs import RELATIONS
from glassgraph_studies.reproduce.qa.structure import Asked

#: Of the relations; they stay apart for color-blind readers too (Okabe and Ito).
COLORS = ("#0072b2", "#d55e00", "#999999")
_LETTERS = 13


def example(asked: Sequence[Asked]) -> Asked:
    """Which question to show: the one with fewest mentions among those whose chain is kept."""
    found = [each for each in asked if each.has_chain()] or list(asked)
    return min(found, key=lambda each: int(each.graph.num_nodes or 0))


def draw_question(asked: Asked) -> Any:
    """A panel for each layer: pages side by side, their mentions below each other, kept messages.

    Returns:
        The matplotlib figure; it belongs to no window.
    """
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    place = _places(asked.graph.page)
    number = len(asked.kept)
    figure = Figure(figsize=(9, 2.6 * number), layout="constrained")
    question = asked.question
    figure.suptitle(f"{' of '.join(reversed(question.relations))} of {question.subject}?")
    for layer, ax in enumerate(figure.subplots(number, 1, squeeze=False).ravel()):
        ax.set_axis_off()
        ax.set_title(f"layer {layer}", fontsize=9, loc="left")
        _draw_mentions(ax, asked, place)
        _draw_messages(ax, asked, layer, place)
    handles = [Line2D([], [], color=color) for color in COLORS]
    figure.legend(handles, RELATIONS, loc="outside lower center", ncols=len(RELATIONS), fontsize=8)
    return figure


def save_figure(asked: Sequence[Asked], path: Path) -> None:
    """Draw an example into a file; the ending says the format.

    Raises:
        OutputError: if it cannot be written.
    """
    figure = draw_question(example(asked))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=150, format=path.suffix.lstrip(".") or "png")
    except (OSError, ValueError) as error:
        raise OutputError(f"cannot write {path}: {error}") from error


def _places(page: Tensor) -> list[tuple[float, float]]:
    """Where mentions stand."""
    below: dict[int, int] = {}
    found = []
    for each in page.tolist():
        found.append((float(each), -float(below.get(each, 0))))
        below[each] = below.get(each, 0) + 1
    return found


def _draw_mentions(ax: Any, asked: Asked, place: Sequence[tuple[float, float]]) -> None:
    answer = int(asked.graph.y)
    candidates = asked.graph.candidate.tolist()
    for (x, y), name, candidate, is_subject in zip(
        place, asked.graph.name, candidates, asked.subject.tolist(), strict=True
    ):
        weight = "bold" if is_subject or candidate == answer else "normal"
        words = textwrap.shorten(name, 3 * _LETTERS, placeholder="...")
        ax.text(
            x, y, textwrap.fill(words, _LETTERS), fontsize=6, weight=weight, ha="center",
            va="center", bbox={"boxstyle": "round", "facecolor": "#eef1f6", "edgecolor": "none"},
        )  # fmt: skip
    ax.set_xlim(-0.6, max(x for x, _ in place) + 0.6)
    ax.set_ylim(min(y for _, y in place) - 0.6, 0.6)


def _draw_messages(ax: Any, asked: Asked, layer: int, place: Sequence[tuple[float, float]]) -> None:
    kept = asked.kept[layer].nonzero().view(-1).tolist()
    for edge in kept:
        source, destination = asked.graph.edge_index[:, edge].tolist()
        ax.annotate(
            "",
            xy=place[destination],
            xytext=place[source],
            arrowprops={
                "arrowstyle": "-|>",
                "color": COLORS[int(asked.graph.edge_type[edge])],
                "linewidth": 1.0,
                "shrinkA": 9,
                "shrinkB": 9,
                "connectionstyle": "arc3,rad=0.2",
            },
        )
