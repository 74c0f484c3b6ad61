"""Heat maps of the edge gradients study, in one figure or as pages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from glassgraph.errors import OutputError
from glassgraph.report import plot_similarity, write_report
from glassgraph_studies.reproduce.edge_gradients.experiment import Outcome

#: Predictions that a page shows beside the heat maps.
_SHOWN = 10


def save_figure(outcomes: Sequence[Outcome], path: Path) -> Path:
    """Draw the matrices of both levels, a line of the figure for each network.

    Args:
        outcomes: the networks.
        path: the file; its ending says the format.

    Raises:
        OutputError: if the file cannot be written.
    """
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(
        len(outcomes), 2, figsize=(14, 6.2 * len(outcomes)), squeeze=False, layout="constrained"
    )
    for line, outcome in zip(axes, outcomes, strict=True):
        for ax, similarity in zip(line, outcome.similarities, strict=True):
            plot_similarity(similarity, ax=ax)
            ax.set_title(f"{outcome.title}\n{ax.get_title()}")
    try:
        figure.savefig(path)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error}") from error
    finally:
        plt.close(figure)
    return path


def save_page(outcome: Outcome, folder: Path) -> Path:
    """Write a page with a network's heat maps and its first predictions.

    Args:
        outcome: the network.
        folder: where to; the file is named after the network.

    Raises:
        OutputError: if the file cannot be written.
    """
    scene = outcome.scene
    name = f"{scene.dataset}-{scene.model}-{scene.layers}-seed-{scene.seed}.html"
    runs = [run[:_SHOWN] for run in outcome.runs.values()]
    return write_report(folder / name, runs, title=outcome.title, similarities=outcome.similarities)
