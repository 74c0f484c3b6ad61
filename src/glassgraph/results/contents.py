"""What a set of explanations holds, in memory and in a folder: a header, the columns, the graph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from glassgraph.inputs.graph import TypedGraph
from glassgraph.results.records import Part


@dataclass(frozen=True)
class Contents:
    """Everything that is written, and everything that is read.

    Attributes:
        method: registry name of the method.
        level: level of the task.
        num_layers: number L of message-passing steps.
        provenance: method, hyper-parameters, seed, versions, model fingerprint (JSON-able).
        parts: the columns.
        is_complete: whether every instance asked for is there.
        graph: the user's graph(s); None if they were not stored.
        node_types: names of the node types; ``[None]`` for homogeneous graphs.
        edge_types: of the edge types; ``[None]`` for homogeneous graphs.
    """

    method: str
    level: str
    num_layers: int
    provenance: dict[str, Any]
    parts: Sequence[Part]
    is_complete: bool
    graph: TypedGraph | None
    node_types: Sequence[str | None]
    edge_types: Sequence[tuple[str, str, str] | None]
