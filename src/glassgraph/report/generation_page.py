"""Generated graphs as one self-contained HTML page, their growth under a slider.

What the page draws stands in its data: for each graph the nodes and edges of the beginning, then
every step with the probability after it, so that the reader can go back and forth between them.
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

from glassgraph.report.html import render_page, write_page
from glassgraph.report.payload import ReportError
from glassgraph.results.model_explanation import GeneratedGraph, ModelExplanation

__all__ = ["build_generation_payload", "render_generation_report", "write_generation_report"]

SCRIPTS = ("palette.json", "format.js", "layout.js", "generation.js")


def write_generation_report(path: str | os.PathLike[str], explanation: ModelExplanation) -> Path:
    """Write the page and return its path.

    The file appears complete or not at all, and the same explanation gives the same bytes.

    Raises:
        OutputError: if the file cannot be written.
        ReportError: if there is no graph.
    """
    return write_page(path, render_generation_report(explanation))


def render_generation_report(explanation: ModelExplanation) -> str:
    """The page as the text of an HTML document."""
    title = f"{explanation.method}: {len(explanation)} graphs for class {explanation.target}"
    return render_page("generation.html", title, build_generation_payload(explanation), SCRIPTS, {})


def build_generation_payload(explanation: ModelExplanation) -> dict[str, Any]:
    """The page's data.

    Raises:
        ReportError: if there is no graph.
    """
    if not len(explanation):
        raise ReportError("there is no graph to report on")
    graphs = [_graph(explanation, number) for number in range(len(explanation))]
    provenance = explanation.provenance
    return {
        "target": explanation.target,
        "node_types": list(explanation.node_types),
        "model": provenance.get("model"),
        "is_random": bool(provenance.get("is_random")),
        "graphs": graphs,
        "provenance": provenance,
    }


def _graph(explanation: ModelExplanation, number: int) -> dict[str, Any]:
    graph: GeneratedGraph = explanation[number]
    origin: Any = graph.origin
    once = origin.edge_index[0] < origin.edge_index[1]
    return {
        "types": explanation.formula(number),
        "probabilities": [_finite(value) for value in graph.probabilities.tolist()],
        "keeps_rules": graph.keeps_rules,
        "taken": graph.taken,
        "nodes": origin.node_type.tolist(),
        "edges": origin.edge_index[:, once].t().tolist(),
        "begins_at": _finite(graph.origin_probability),
        "steps": [
            {
                "start": step.start,
                "end": step.end,
                "added": step.added,
                "valid": step.is_valid,
                "accepted": step.is_accepted,
                "probability": _finite(step.probability),
                "reward": _finite(step.reward),
            }
            for step in graph.steps
        ],
    }


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
