"""Explanations as a short HTML table, for notebooks."""

from __future__ import annotations

import html
from collections.abc import Sequence

from glassgraph.results.records import LocalExplanation

#: Rows of the table, and edges named in each.
NUM_ROWS, _NUM_EDGES = 10, 3


def html_table(title: str, level: str, instances: Sequence[LocalExplanation], total: int) -> str:
    """A table of the first instances.

    Args:
        title: above the table.
        level: level of the task.
        instances: those that are shown.
        total: how many there are.
    """
    rows = [
        f"<tr><td>{local.index}</td><td>{html.escape(_target(local))}</td>"
        f"<td>{html.escape(_top_edges(local))}</td></tr>"
        for local in instances
    ]
    more = "" if total <= len(rows) else f"<p>… and {total - len(rows)} more</p>"
    return (
        f"<p><b>{html.escape(title)}</b></p><table><tr><th>{level}</th>"
        f"<th>target</th><th>top edges</th></tr>{''.join(rows)}</table>{more}"
    )


def _target(local: LocalExplanation) -> str:
    return "of each row" if local.target is None else str(local.target)


def _top_edges(local: LocalExplanation) -> str:
    """The edges with the largest absolute scores, in words."""
    if local.edge_score is None or not local.edge_score.numel():
        return ""
    top = local.edge_score.abs().topk(min(_NUM_EDGES, local.edge_score.numel())).indices
    names = [str(node) for node in local.node_id.tolist()]
    if local.node_names is not None:
        names = [word or name for word, name in zip(local.node_names, names, strict=True)]
    ends = [[names[end] for end in pair] for pair in local.edge_index[:, top].t().tolist()]
    values = local.edge_score[top].tolist()
    return ", ".join(
        f"{source}→{destination} ({value:.3g})"
        for (source, destination), value in zip(ends, values, strict=True)
    )
