"""Normalized weights of edges, as functions of how much enters or leaves their two ends.

GCN and its relatives multiply a message by ``1 / sqrt(d_u d_v)``. A receptive field has not all
edges of the nodes at its boundary, so what its own run computes there is wrong; but how many there
are stands in the index of the graph, and needs no run on what lies around the field.

Which formula a layer follows is found out by comparing numbers (`glassgraph.core.trust`), to the
bit, so sums are taken in the order in which PyG takes them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, Protocol

import torch
from torch import Tensor

from glassgraph.core.plan import SiteRows
from glassgraph.inputs.graph import TypedGraph
from glassgraph.inputs.links import edge_attributes
from glassgraph.inputs.receptive import Fields, expand, unique_sorted

#: A node with more edges than this is counted once, and remembered.
_HUB = 10_000
#: Edges that are counted together.
_AT_ONCE = 1 << 20
#: What layers do with self-loops, and the weight of those that they add.
_LOOPS: tuple[tuple[Literal["kept", "removed", "merged"], float | None], ...] = (
    ("merged", 1.0),
    ("merged", 2.0),
    ("kept", None),
    ("kept", 1.0),
    ("removed", None),
    ("removed", 1.0),
)


class Formula(Protocol):
    """How an argument of a site follows from the graph."""

    def values(self, site: SiteRows, name: str, sums: NodeSums) -> Tensor | None:
        """``[M]`` the argument of some rows; None where the formula does not apply."""


@dataclass(frozen=True)
class AsInField:
    """What the run on the field has is right: attributes of edges, or what enters a receiver."""

    def values(self, site: SiteRows, name: str, sums: NodeSums) -> Tensor | None:
        """The run's own."""
        return site.own[name]


@dataclass(frozen=True)
class Symmetric:
    """``w / sqrt(d_u d_v)`` with ``d`` the sum of weights at one end of edges (PyG's `gcn_norm`).

    Attributes:
        end: at which end: 1 what enters a node, 0 what leaves it.
        weight: an attribute of edges; None for 1.
        own_loops: what becomes of the user's self-loops: they are edges like others (``"kept"``),
            they are left out (``"removed"``), or one stays as the loop of its node (``"merged"``).
        loop: weight of the self-loop that each node is given (if it has none, where they are
            merged); None if none is.
    """

    end: int
    weight: str | None
    own_loops: Literal["kept", "removed", "merged"]
    loop: float | None

    def values(self, site: SiteRows, name: str, sums: NodeSums) -> Tensor | None:
        """The normalized weights, in the type of the run's own."""
        own, rows, edge = site.own[name], site.rows, site.user_edge
        is_loop, is_added = rows[0] == rows[1], edge < 0
        is_other = is_added if self.loop is None else is_added & ~is_loop
        is_outside = rows >= site.fields.node.numel()  # of nodes that the model adds
        if not own.is_floating_point() or own.dim() != 1 or bool((is_other | is_outside).any()):
            return None
        what = (self.end, self.weight, own.dtype, self.own_loops == "kept")
        total, loop = sums.of(site.fields, what)
        weight = torch.ones_like(own)
        if self.weight is not None:
            weight = attribute(sums.graph, self.weight, edge.clamp_min(0), own.dtype)
        if self.loop is not None:
            if self.own_loops != "merged":
                loop, is_loop = torch.full_like(loop, self.loop), is_added
            loop = torch.where(loop.isnan(), self.loop, loop)
            total, weight = total + loop, torch.where(is_loop, loop[rows[0]], weight)
        root = total.pow(-0.5)
        root = root.masked_fill(root == torch.inf, 0.0)
        return root[rows[0]] * weight * root[rows[1]]


def formulas(graph: TypedGraph) -> list[Formula]:
    """All that an argument may follow."""
    if graph.is_heterogeneous:
        return [AsInField()]
    weights = [None, *(name for name in edge_attributes(graph.data) if _is_weight(graph, name))]
    return [
        AsInField(),
        *(
            Symmetric(end, weight, own_loops, loop)
            for weight in weights
            for end in (1, 0)
            for own_loops, loop in _LOOPS
        ),
    ]


def _is_weight(graph: TypedGraph, name: str) -> bool:
    value: Tensor = graph.data[name]
    return value.is_floating_point() and value.dim() == 1


def attribute(graph: TypedGraph, name: str, edge: Tensor, dtype: torch.dtype) -> Tensor:
    """``[M]`` an attribute of some of the user's edges."""
    found: Tensor = graph.data[name][edge]
    return found.to(dtype)


#: What is summed: at which end of edges, which attribute (None for ones), in which type, and
#: whether self-loops are edges like others.
_What = tuple[int, str | None, torch.dtype, bool]


#: The same of edges that enter a node, but for self-loops.
WITHOUT_LOOPS: _What = (1, None, torch.float32, False)


@dataclass
class NodeSums:
    """Sums of weights at the nodes of a graph, read from its index where they are asked for.

    Attributes:
        graph: the user's graph, without types.
    """

    graph: TypedGraph
    _hubs: dict[tuple[_What, int], tuple[Tensor, Tensor]] = field(default_factory=dict)
    _last: dict[_What, tuple[Tensor, Tensor]] = field(default_factory=dict)
    _node: Tensor | None = None

    def of(self, fields: Fields, what: _What) -> tuple[Tensor, Tensor]:
        """Sums ``[n]`` at the nodes of fields, and ``[n]`` the weight of a node's own self-loop.

        The latter is NaN where there is none, or where self-loops are edges like others.
        """
        if self._node is not fields.node:
            self._node, self._last = fields.node, {}
        if what not in self._last:
            node = unique_sorted(fields.node)
            place = torch.searchsorted(node, fields.node)
            total, loop = self._of_nodes(node, what)
            self._last[what] = total[place], loop[place]
        return self._last[what]

    def _of_nodes(self, node: Tensor, what: _What) -> tuple[Tensor, Tensor]:
        index = self.graph.incoming if what[0] else self.graph.outgoing
        degree = index.pointer[node + 1] - index.pointer[node]
        total = torch.zeros(node.numel(), dtype=what[2], device=node.device)
        loop = torch.full_like(total, torch.nan)
        is_hub = degree > _HUB
        few = (~is_hub).nonzero().view(-1)
        part = degree[few].cumsum(0) // _AT_ONCE
        for piece in few.split(torch.bincount(part).tolist()) if few.numel() else ():
            total[piece], loop[piece] = self._count(node[piece], what)
        for position in is_hub.nonzero().view(-1).tolist():
            key = (what, int(node[position]))
            if key not in self._hubs:
                self._hubs[key] = self._count(node[position : position + 1], what)
            total[position], loop[position] = (each[0] for each in self._hubs[key])
        return total, loop

    def _count(self, node: Tensor, what: _What) -> tuple[Tensor, Tensor]:
        """Go through the edges of some nodes, in the user's order."""
        end, name, dtype, counts_loops = what
        graph = self.graph
        index = graph.incoming if end else graph.outgoing
        position, origin = expand(index.pointer, node)
        total = torch.zeros(node.numel(), dtype=dtype, device=node.device)
        loop = torch.full_like(total, torch.nan)
        if name is None and counts_loops:
            return (index.pointer[node + 1] - index.pointer[node]).to(dtype), loop
        weight = torch.ones(position.numel(), dtype=dtype, device=node.device)
        if name is not None:
            weight = attribute(graph, name, index.edge[position].long(), dtype)
        if not counts_loops:
            other = graph.source if end else graph.destination
            far = other[index.edge[position]] if index.other is None else index.other[position]
            is_loop = far == node[origin]
            loop[origin[is_loop]] = weight[is_loop]
            weight, origin = weight[~is_loop], origin[~is_loop]
        return total.index_add_(0, origin, weight), loop
