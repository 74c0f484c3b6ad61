"""How results draw themselves: the report, looked up when it is asked for.

The report reads results, and nothing of it is needed to explain. So that a result can draw itself
all the same, this file is the one place where an import runs upwards.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def plot_explanation(local: Any, **how: Any) -> Axes:
    """Draw one explanation on its receptive field."""
    from glassgraph import report

    return report.plot_explanation(local, **how)


def svg_picture(local: Any) -> str:
    """One explanation as a small SVG, for notebooks."""
    from glassgraph import report

    return report.svg_picture(local)


def plot_similarity(similarity: Any, measure: str, ax: Axes | None) -> Axes:
    """Draw a matrix of similarities as a heat map."""
    from glassgraph import report

    return report.plot_similarity(similarity, measure, ax)


def plot_generated(explanation: Any, position: int | None) -> Figure:
    """Draw generated graphs."""
    from glassgraph import report

    return report.plot_generated(explanation, position)


def write_report(
    path: Path,
    runs: Sequence[Any],
    metrics: Sequence[Mapping[str, object]],
    title: str,
    **more: Any,
) -> Path:
    """Write a self-contained report about explanations."""
    from glassgraph import report

    return report.write_report(path, runs, metrics, title=title, **more)


def write_generation_report(path: Path, explanation: Any) -> Path:
    """Write a self-contained page about generated graphs."""
    from glassgraph import report

    return report.write_generation_report(path, explanation)


def write_event_report(path: Path, explanations: Any, **options: Any) -> Path:
    """See `glassgraph.report.write_event_report`."""
    from glassgraph import report

    return report.write_event_report(path, explanations, **options)
