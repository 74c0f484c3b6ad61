"""What "without these edges, nodes or features" means.

For an explanation's best edges ``S`` of a graph ``G`` two states are asked for: ``G without S`` and
``S alone`` (every node stays in both, and so do self-loops that a layer adds by itself).

* ``"shut"``: the messages along a missing edge are replaced by zero, at every layer. Everything
  else of the layer stays: GCN still divides by the degrees of the whole graph, a softmax or mean
  still counts the edge. It isolates what the edge *sends*.
* ``"delete"``: the edge is taken out of the user's graph and the model runs on what is left.
  Degrees, softmaxes and means change with it. It is what a user gets who removes the edge. An edge
  that is itself explained (one row per edge) stays: without it there is no prediction.
* ``"delete_isolated"``: as ``"delete"``, and a node goes with the last of its edges (a loop is an
  edge). Nodes that had no edge to begin with stay. It is what graph-level benchmarks do (Kosan et
  al., "GNNX-BENCH", ICLR 2024), since a pooling would count what nothing is known of.

On a layer that normalizes by degree they differ, and none is wrong; a number without the name of
its removal says little.

A missing *node* sends and receives nothing (``"shut"``: the messages along all of its edges are
replaced, while its own state stays and is pooled), is not in the graph (``"delete"``), or has other
features (``"zero"``, ``"mean"``). Nodes that a prediction is about always stay. A missing *feature*
is 0 (``"zero"``), or the mean of this feature over all nodes of the data, of the same type
(``"mean"``).

A graph that loses its last node has no prediction: such states have no number (NaN).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, get_args

import torch
from torch import Tensor

from glassgraph.errors import UnknownMetricError
from glassgraph.inputs.receptive import Fields

#: What removing means; see the module's docstring.
Removal = Literal["shut", "delete", "delete_isolated", "zero", "mean"]
#: What is removed.
Of = Literal["edge", "node", "feature"]

#: Which meanings there are of removing something; the first is the default.
MEANINGS: dict[str, tuple[Removal, ...]] = {
    "edge": ("shut", "delete", "delete_isolated"),
    "node": ("shut", "delete", "zero", "mean"),
    "feature": ("zero", "mean"),
}
#: Those that change the graph.
DELETIONS = ("delete", "delete_isolated")


def check_removal(removal: str | None, of: str = "edge") -> Removal:
    """The meaning of removal, the default where none is given.

    Raises:
        UnknownMetricError: if it is unknown, or not one of what is removed.
    """
    if of not in get_args(Of):
        raise UnknownMetricError(f"of must be 'edge', 'node' or 'feature'; got {of!r}")
    meanings = MEANINGS[of]
    if removal is None:
        return meanings[0]
    for meaning in meanings:
        if meaning == removal:
            return meaning
    *others, last = (repr(each) for each in (*meanings[2:], *meanings[:2]))
    raise UnknownMetricError(
        f"removal must be {', '.join(others)} or {last}; got {removal!r} (of={of!r})"
    )


def without_edges(fields: Fields, present: Tensor) -> Fields:
    """The same nodes with some of the edges, ``present [e]`` bool."""
    return replace(
        fields,
        edge_instance=fields.edge_instance[present],
        edge=fields.edge[present],
        source=fields.source[present],
        destination=fields.destination[present],
    )


def without_nodes(fields: Fields, present: Tensor) -> Fields:
    """Some of the nodes, ``present [n]`` bool, with the edges between them; seeds have to stay."""
    fields = without_edges(fields, present[fields.source] & present[fields.destination])
    place = present.cumsum(0) - 1
    return replace(
        fields,
        node_instance=fields.node_instance[present],
        node=fields.node[present],
        distance=fields.distance[present],
        source=place[fields.source],
        destination=place[fields.destination],
        seed=place[fields.seed],
    )


def newly_isolated(before: Fields, after: Fields) -> Tensor:
    """``[n]`` which nodes had edges before and have none after."""

    def has_edges(fields: Fields) -> Tensor:
        found = torch.zeros(before.node.numel(), dtype=torch.bool, device=before.node.device)
        found[fields.source] = True
        found[fields.destination] = True
        return found

    return has_edges(before) & ~has_edges(after)
