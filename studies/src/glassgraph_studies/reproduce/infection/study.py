"""``glassgraph reproduce infection``: infection paths of the edge gradients paper."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from glassgraph_studies.runner.options import ROWS, count, seeds
from glassgraph_studies.runner.study import Found, Rows, Study
from glassgraph_studies.runner.tables import Column, Table, shown

#: Nodes of an infection graph.
_NODES = 1000
_TITLE = (
    "Infection: percent of paths found; true: the shortest path itself\n"
    "asked: why the distance is y, or why it is y and not y + 1"
)
_ONE = "{:.1f}"


def run(nodes: int, **options: Any) -> Iterator[Found]:
    """Each seed."""
    from glassgraph_studies.reproduce.infection.experiment import run_infection

    for scene, own in run_infection(**options, **_sizes(nodes)):
        accuracy = scene.trained.accuracy["test"]
        lines = [f"seed {scene.seed}: test accuracy {accuracy:.3f}, {len(scene.nodes)} nodes"]
        for each in own:
            milliseconds = 1000 * each["seconds_per_node"]
            found = shown(each["found"], "{:.2f} %")
            lines.append(f"  {each['row']}: {found} found  ({milliseconds:.0f} ms each)")
        yield Found(own, lines)


def _sizes(nodes: int) -> dict[str, Any]:
    """As many edges and infected nodes for each node as in graphs of 1,000."""
    if nodes == _NODES:
        return {}
    edges, infected = 4 / nodes, max(1, nodes // 20)
    return {"num_nodes": nodes, "edge_probability": edges, "num_infected": infected}


def tables(rows: Rows) -> Iterator[Table]:
    """What each search found."""
    from glassgraph_studies.reproduce.infection.experiment import TABLE, summarize

    columns = (
        Column("walk by", lambda row: TABLE[row[0]].title, is_name=True),
        Column("asked", lambda row: "y/y+1" if TABLE[row[0]].question == "step" else "y", True),
        Column("publ.", lambda row: shown(TABLE[row[0]].published, _ONE)),
        Column("mean", lambda row: shown(row[1].mean, _ONE)),
        Column("each seed", lambda row: " ".join(f"{x:.1f}" for x in row[1].found), wraps=True),
        Column("true", lambda row: shown(row[1].true, _ONE)),
        Column("ms", lambda row: shown(row[1].seconds_per_node, "{:.0f}", 1000)),
    )
    yield Table(_TITLE, columns, list(summarize(rows).items()))


INFECTION = Study(
    name="infection",
    help="Infection paths of the edge gradients paper: who finds how an infection came?",
    run=run,
    options=(
        seeds(5, "graphs and network"),
        ROWS,
        count("nodes", _NODES, "Nodes of each graph.", least=50),
    ),
    tables=tables,
)
