"""Instances under many subsets of their edges at once, for methods that search among subsets.

Every mask gets a copy of its instance; copies go through the model side by side and are packed
anew only when the number of masks has changed a lot. What a mask shuts is the messages of an edge
at all layers, or at one: an *item* is an edge (or both directions of one), or a pair of layer and
edge. Or it deletes edges from the graph.
"""

from __future__ import annotations

import torch
from torch import Tensor

from glassgraph.black_box.variants import Fill, Variants
from glassgraph.calling.out_of_memory import let_through
from glassgraph.core.batch import InstanceBatch
from glassgraph.core.copies import are_apart, rows_at_once
from glassgraph.core.undirected import edges_of_items
from glassgraph.explainers.perturbation.search.removal import DROPS_NODES


class Subsets:
    """Evaluates masks ``[K, I]`` on items, each for an instance of its own choice.

    Items are numbered within an instance: with W the most edges that an instance has, edge ``j`` of
    an instance (at layer ``l``) is item ``j`` (``l W + j``); numbers beyond an instance's own edges
    are unused. With pairs, ``j`` counts edges that go with their reverse once.

    Args:
        batch: the instances.
        layerwise: whether items are pairs of layer and edge.
        budget: bytes that one pass may take.
        removal: ``"shut"`` for messages; of graph tasks ``"delete"`` or ``"delete_isolated"``.
        pairs: whether an edge and its reverse are one item.
    """

    def __init__(
        self,
        batch: InstanceBatch,
        layerwise: bool,
        budget: int,
        removal: str = "shut",
        *,
        pairs: bool = False,
    ) -> None:
        self.batch = batch
        drops = removal == DROPS_NODES
        self._variants = None if removal == "shut" else Variants(batch, budget, drop_isolated=drops)
        self.num_layers = batch.num_layers if layerwise else 1
        self._edges = edges_of_items(batch, pairs=pairs)  # [i, 2]
        owner = batch.edge_instance[self._edges[:, 0]]
        self._count = torch.bincount(owner, minlength=batch.num_instances)
        self._first = self._count.cumsum(0) - self._count
        self._column = self._columns(owner)  # [e]
        self.width = max(1, int(self._count.max()))  # no dimension is empty
        self.rows = batch.edges_per_instance + batch.nodes_per_instance
        self.most_rows = rows_at_once(batch, budget)
        #: The copies that were packed last, and how many of each instance there are.
        self._packed: list[tuple[InstanceBatch, Tensor]] = []

    @property
    def items(self) -> Tensor:
        """``[B, I]`` which items an instance has."""
        column = torch.arange(self.width, device=self.batch.device)
        return (column < self._count.view(-1, 1)).repeat(1, self.num_layers)

    def _columns(self, owner: Tensor) -> Tensor:
        """``[e]`` the number of each edge's item within its instance ``owner [i]``."""
        item = torch.arange(owner.numel(), device=owner.device)
        column = torch.zeros_like(self.batch.edge_instance)
        for edge in self._edges.unbind(dim=1):
            column[edge[edge >= 0]] = (item - self._first[owner])[edge >= 0]
        return column

    def pad(self, value: Tensor) -> Tensor:
        """Sums ``[B, I]`` over the edges of items of ``[L, e]`` or ``[e]``, zero where unused."""
        value = value.expand(self.num_layers, self.batch.num_edges)
        found = value.new_zeros((self.batch.num_instances * self.width, self.num_layers))
        found.index_add_(0, self.batch.edge_instance * self.width + self._column, value.t())
        return found.view(-1, self.width, self.num_layers).transpose(1, 2).flatten(1)

    def unpad(self, value: Tensor) -> Tensor:
        """From items ``[B, I]`` to edges ``[L, e]``, with one layer if not layerwise."""
        value = value.view(-1, self.num_layers, self.width)
        return value[self.batch.edge_instance, :, self._column].t()

    def edges_of(self, instance: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Which mask ``[p]``, ascending, opens an edge, and which ``[p]``, ascending in a mask."""
        variant, column = mask.nonzero(as_tuple=True)
        edge = self._edges[self._first[instance[variant]] + column]
        has = edge >= 0
        variant, edge = variant.view(-1, 1).expand_as(edge)[has], edge[has]
        order = (variant * max(1, self.batch.num_edges) + edge).argsort()
        return variant[order], edge[order]

    @torch.no_grad()
    def outputs(self, instance: Tensor, mask: Tensor, fill: Fill | None = None) -> Tensor:
        """The model's output ``[K, C]`` with only the items of each mask open.

        NaN where nothing is left of a graph.

        Args:
            instance: ``[K]`` whose mask it is, ascending.
            mask: ``[K, I]``.
            fill: where edges are deleted, gives other features, see `Variants.on_edges`.
        """
        if self._variants is not None:
            return self._variants.on_edges(instance, *self.edges_of(instance, mask), fill)
        rows = self.rows[instance]
        parts = max(1, -(-int(rows.sum()) // self.most_rows))
        if self.batch.is_whole:
            parts = instance.numel()
        place = (rows.cumsum(0) - rows) * parts // rows.sum().clamp_min(1)
        sizes = torch.unique_consecutive(place, return_counts=True)[1].tolist()
        found = map(self._pass, instance.split(sizes), mask.split(sizes))
        return torch.cat(list(found)) if sizes else self.batch.reference[:0]

    def _pass(self, instance: Tensor, mask: Tensor) -> Tensor:
        need = torch.bincount(instance, minlength=self.batch.num_instances)
        at_hand = [(copies, have) for copies, have in self._packed if self._fits(need, have)]
        copies, have = at_hand[0] if at_hand else self._pack(need)
        if copies is None:  # the model mixes what lies side by side
            self.most_rows = 1
            return self.outputs(instance, mask)
        turn = torch.arange(instance.numel(), device=mask.device)
        slot = turn - (need.cumsum(0) - need)[instance] + (have.cumsum(0) - have)[instance]
        gates = mask.new_ones((copies.num_instances, mask.size(1)))
        gates[slot] = mask
        gates = gates.view(-1, self.num_layers, self.width)
        gates = gates[copies.edge_instance, :, self._column_of(copies, have)].t()
        gates = gates.to(self.batch.dtype)
        output = copies.output(gates[0] if self.num_layers == 1 else gates.contiguous())
        return output[copies.targets.rows_of(slot)]

    def _column_of(self, copies: InstanceBatch, have: Tensor) -> Tensor:
        """``[e']`` the items of the edges of copies, so many of each instance."""
        owner = torch.arange(have.numel(), device=have.device).repeat_interleave(have)
        count, own = copies.edges_per_instance, self.batch.edges_per_instance
        shift = (own.cumsum(0) - own)[owner] - (count.cumsum(0) - count)
        edge = torch.arange(copies.num_edges, device=have.device)
        return self._column[edge + shift[copies.edge_instance]]

    def _fits(self, need: Tensor, have: Tensor) -> bool:
        """Whether copies serve, and are not many more than needed."""
        is_enough = bool((need <= have).all())
        return is_enough and 2 * int((need * self.rows).sum()) >= int((have * self.rows).sum())

    def _pack(self, need: Tensor) -> tuple[InstanceBatch | None, Tensor]:
        """Make copies; None where they do not give the predictions they should."""
        if self.batch.is_whole:
            return self.batch, need
        owner = torch.arange(need.numel(), device=need.device).repeat_interleave(need)
        copies = self._apart(owner)
        if copies is None:
            return None, need
        self._packed = [(copies, need), *self._packed[:1]]
        return copies, need

    def _apart(self, owner: Tensor) -> InstanceBatch | None:
        """Copies, if the model bears them side by side."""
        if owner.numel() == 1:
            return self.batch.take(owner)
        try:
            copies = self.batch.take(owner)
            return copies if are_apart(copies, self.batch.reference_of(owner)) else None
        except Exception as error:  # noqa: BLE001 - a model for one graph at a time
            let_through(error)
            return None
