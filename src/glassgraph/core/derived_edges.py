"""Which sites send along the user's own edges, and which along edges that the model made.

Behind a pooling layer nodes are others: some were dropped, merged or put in another order, and what
looks like edge 3 -> 5 is none of the user's. A gate there would be on the wrong edge, or on none as
soon as another gate changes what is pooled. Such sites are found by what they do, not by the class
of a layer: they have another number of nodes; or their rows change with the messages before them;
or their rows stay what they are when the user's nodes are numbered in the opposite order.
"""

from __future__ import annotations

import copy
import operator
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from glassgraph.calling.call import ModelCall, attempted
from glassgraph.core.observe import disturbed, observed
from glassgraph.core.sites import Channel, Record, tensors_in
from glassgraph.inputs.graph import TypedGraph
from glassgraph.inputs.pack import Packed

#: Of graphs up to this size, orders are alike by chance: more is tried.
_FEW_NODES, _MANY_RUNS = 8, 3


def is_coarse(record: Record, num_nodes: int | None) -> bool:
    """Whether a site has another number of nodes than the graph.

    Args:
        record: what it was given.
        num_nodes: None where sites number nodes by type, and nothing can be said.
    """
    known = [size for size in record.size if size is not None]
    if not known:  # a tap: the states that it was shown
        known = [states.size(0) for states in tensors_in(record.arguments.get("x"))]
    return num_nodes is not None and bool(known) and all(size != num_nodes for size in known)


def derived_sites(
    graph: TypedGraph,
    packed: Packed,
    channels: Sequence[Channel],
    model_call: ModelCall,
    records: Sequence[Record],
) -> list[bool]:
    """For each site whether its rows are not the user's edges, whatever they look like.

    Args:
        graph: the user's graph.
        packed: what the model ran on.
        channels: where messages are sent.
        model_call: how the model is called.
        records: what the sites were given.
    """
    if graph.is_heterogeneous:
        return [False] * len(records)
    num_nodes = int(packed.data.num_nodes)
    found = [is_coarse(record, num_nodes) for record in records]
    is_small = num_nodes <= _FEW_NODES
    for number in range(_MANY_RUNS if is_small else 1):
        rows = _rows(channels, model_call, packed.data, number + 1)
        found = _marked(found, records, rows, _same)
    is_known = [_is_in_order(record, packed) for record in records]
    if is_small or not all(map(operator.or_, is_known, found)):
        rows = _rows(channels, model_call, _reversed(graph, packed), 0)
        is_mirrored = _marked(
            found, records, rows, lambda one, other: _mirrored(one, other, num_nodes)
        )
        # A model that keeps the user's edges itself is not told of other numbers.
        is_kept = map(operator.and_, is_known, _unmarked(records, rows))
        found = [
            (derived and not kept) or before
            for derived, kept, before in zip(is_mirrored, is_kept, found, strict=True)
        ]
    return found


def _marked(
    found: Sequence[bool], records: Sequence[Record], rows: Sequence[Tensor] | None, is_like: Any
) -> list[bool]:
    """Mark the sites whose rows are not like those of another run, if that run went through."""
    if rows is None or len(rows) != len(records):
        return list(found)
    pairs = zip(found, records, rows, strict=True)
    return [derived or not is_like(record.edge_index, other) for derived, record, other in pairs]


def _unmarked(records: Sequence[Record], rows: Sequence[Tensor] | None) -> list[bool]:
    """The sites whose rows are the same in another run."""
    return [not each for each in _marked([False] * len(records), records, rows, _same)]


def _rows(
    channels: Sequence[Channel], model_call: ModelCall, data: Any, disturbance: int
) -> list[Tensor] | None:
    """The rows of all sites in another run; None if the model does not run."""

    def rows() -> list[Tensor]:
        watch = disturbed(channels, disturbance) if disturbance else observed(channels)
        with torch.no_grad(), torch.random.fork_rng(devices=[]), watch as records:
            model_call(data)
        return [record.edge_index for record in records]

    return attempted(rows)


def _same(one: Tensor, other: Tensor) -> bool:
    return torch.equal(one, other)


def _mirrored(rows: Tensor, other: Tensor, num_nodes: int) -> bool:
    """Whether rows, in whatever order, are others with their nodes numbered from the end."""
    base = max(num_nodes, int(rows.max()) + 1, int(other.max()) + 1) if rows.numel() else 1
    mirror = num_nodes - 1 - rows
    keys = [(each[0] * base + each[1]).sort().values for each in (mirror, other)]
    return torch.equal(*keys)


def _is_in_order(record: Record, packed: Packed) -> bool:
    """Whether the rows of a site are the edges of the graph one by one, loops aside."""
    view = packed.views[0]
    edges = _without_loops(torch.stack([view.source, view.destination]))
    rows = _without_loops(record.edge_index)
    return torch.equal(rows, edges) or torch.equal(rows, edges.flip(0))


def _without_loops(rows: Tensor) -> Tensor:
    return rows[:, rows[0] != rows[1]]


def _reversed(graph: TypedGraph, packed: Packed) -> Any:
    """The packed graph with its nodes numbered from the end."""
    data, num_nodes = copy.copy(packed.data), int(packed.data.num_nodes)
    for key, value in list(data.items()):
        if key in ("edge_index", "edge_label_index"):
            data[key] = num_nodes - 1 - value
        elif isinstance(value, Tensor) and key in graph.data and graph.data.is_node_attr(key):
            data[key] = value.flip(0)
    return data
