"""Figure 8, what is kept of each dependency type, and Figure 5, an analyzed sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch_geometric.data import Data

from glassgraph.errors import OutputError
from glassgraph_studies.reproduce.srl.bars import leading, of_table
from glassgraph_studies.reproduce.srl.experiment import Outcome
from glassgraph_studies.reproduce.srl.propbank import DIRECTIONS
from glassgraph_studies.reproduce.srl.settings import LABELERS

#: Dependency types in a panel.
_TYPES = 10
_COLORS = ("#0072b2", "#e69f00")
#: Tokens of a sentence that fits a page.
_SHORT, _LONG = 8, 16


def save_figure(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draw Figure 8: a line of panels for each network, verbs and nouns apart.

    Raises:
        OutputError: if the file cannot be written.
    """
    from matplotlib.figure import Figure

    found = of_table(rows, "relation")
    models = list(dict.fromkeys(row["model"] for row in found))
    if not models:
        return
    figure = Figure(figsize=(11, 3.6 * len(models)), layout="constrained")
    axes = figure.subplots(len(models), 2, squeeze=False)
    for line, model in zip(axes, models, strict=True):
        mine = [row for row in found if row["model"] == model]
        for ax, kind in zip(line, ("verb", "noun"), strict=True):
            _draw(ax, mine, kind)
            ax.set_title(f"{LABELERS[model].title}, {kind}s", fontsize=10)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        figure.savefig(path)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error}") from error


def _draw(ax: Any, rows: Sequence[Mapping[str, Any]], kind: str) -> None:
    """Bars of the types that most of what is kept belongs to, along and against the arc."""
    names = leading(rows, kind)[:_TYPES]
    for offset, (direction, color) in enumerate(zip(DIRECTIONS, _COLORS, strict=True)):
        share = {
            row["relation"]: 100 * row["of_kept"]
            for row in rows
            if (row["kind"], row["direction"]) == (kind, direction)
        }
        place = [position + 0.4 * offset for position in range(len(names))]
        heights = [share.get(name, 0.0) for name in names]
        ax.bar(place, heights, width=0.4, color=color, label=f"{direction} the arc")
    ax.set_xticks([position + 0.2 for position in range(len(names))], names, rotation=60)
    ax.set_ylabel("% of what is kept")
    ax.legend(frameon=False, fontsize=8)


def example(graphs: Sequence[Data]) -> int:
    """The sentence to show: the first of middle length whose predicate has three roles or more."""
    for position, graph in enumerate(graphs):
        if _SHORT <= len(graph.words) <= _LONG and int((graph.y > 0).sum()) >= 3:
            return position
    return 0


def save_page(outcome: Outcome, folder: Path) -> Path | None:
    """Write the page of a sentence with GraphMask's first explanations of a network.

    The predicate stands in brackets.

    Raises:
        OutputError: if the file cannot be written.
    """
    if outcome.explanations is None or outcome.rows[0]["seed"]:
        return None
    graphs = outcome.scene.parts.test
    named = outcome.explanations.named(
        node_names=[_words(graph) for graph in graphs],
        class_names=outcome.scene.parts.corpus.vocabulary.role_names(),
    )
    position = example(graphs)
    path = folder / f"srl-{outcome.scene.name}.html"
    return named[position : position + 1].to_html(path, layout="sentence")


def _words(graph: Data) -> list[str]:
    return [
        f"[{word}]" if is_predicate else word
        for word, is_predicate in zip(graph.words, graph.is_predicate.tolist(), strict=True)
    ]
