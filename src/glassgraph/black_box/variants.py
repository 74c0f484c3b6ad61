"""Instances with less of their input, or with other features: many at once, by calling the model.

Methods that see a model from outside change its input. `Variants` evaluates any number of changed
instances side by side as one disjoint graph:

* `on_edges`: with the listed edges alone (the others are deleted, so degrees change with them; on
  demand nodes go with the last of their edges), and with other features if some are given;
* `with_features`: with all edges and other features.

Where a prediction looks at its surroundings alone (node and link tasks), what cannot be reached any
more along the edges that are left is not computed. Nodes that a prediction is about always stay.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from glassgraph.black_box.kept_edges import KeptEdges
from glassgraph.calling.call import refuse_chance
from glassgraph.calling.out_of_memory import let_through
from glassgraph.core.batch import InstanceBatch
from glassgraph.core.context import every_row, rows_agree
from glassgraph.core.copies import are_apart
from glassgraph.core.reachability import sees_all
from glassgraph.errors import GlassgraphError, UnsupportedModelError
from glassgraph.inputs.node_features import with_features
from glassgraph.inputs.receptive import Fields, expand, pointer_of

#: Rows, of edges and nodes together, that one pass should have, about a cache's worth.
_ROWS_AT_ONCE = 1 << 14
#: Numbers in the features of one pass, at most.
_NUMBERS_AT_ONCE = 1 << 22


@dataclass(frozen=True)
class Copies:
    """Copies of instances, one after the other, whose features are to be filled in.

    Attributes:
        batch: the copies.
        original: the batch that they are copies of.
        number: ``[k]`` the number of the variant that each is.
        position: ``[n]`` which node of the original batch each node is.
    """

    batch: InstanceBatch
    original: InstanceBatch
    number: Tensor
    position: Tensor

    @property
    def variant(self) -> list[Tensor]:
        """For each node type ``[n_t]`` the number of the variant that a node belongs to."""
        return [self.number[self.batch.node_instance[own]] for own in self._positions]

    @property
    def node(self) -> list[Tensor]:
        """For each node type ``[n_t]`` its row in the features of the original batch."""
        within = _positions_within_types(self.original)
        return [within[self.position[own]] for own in self._positions]

    @property
    def _positions(self) -> list[Tensor]:
        return self.batch.packed.node_position


#: Gives for each node type the features of copies, None to leave a type alone.
Fill = Callable[[Copies], Sequence["Tensor | None"]]


@dataclass(frozen=True)
class Filled:
    """Features that go into some variants.

    Attributes:
        fill: gives them.
        number: ``[k]`` numbers of the variants.
        position: ``[n]`` which node of the original batch each of their nodes is.
    """

    fill: Fill
    number: Tensor
    position: Tensor

    def features(self, copies: InstanceBatch, original: InstanceBatch) -> Sequence[Tensor | None]:
        """Of the variants, packed as ``copies``."""
        return self.fill(Copies(copies, original, self.number, self.position))


class Variants:
    """Evaluates changed instances; the output is one row for each variant.

    Args:
        batch: the instances.
        budget: bytes that one pass may take.
        drop_isolated: whether a node goes with the last of its edges (nodes that had none to begin
            with stay, and those whose rows are explained); for tasks about graphs.
        share_sources: whether variants of an instance may share the nodes that no edge leads to:
            they hear nothing, so they are the same in all of them. Most of a field is at its
            boundary.
    """

    def __init__(
        self,
        batch: InstanceBatch,
        budget: int,
        *,
        drop_isolated: bool = False,
        share_sources: bool = False,
    ) -> None:
        self.batch, self._drops_isolated = batch, drop_isolated
        self._edges = KeptEdges(batch, drop_isolated=drop_isolated)
        widths = [x.size(1) for x in batch.all_features if x is not None]
        self._width = max(widths, default=1)
        bytes_per_row = 16 * (self._width + batch.wiring.width)
        fits = min(_ROWS_AT_ONCE, _NUMBERS_AT_ONCE // self._width, budget // bytes_per_row)
        #: Rows of one pass; one variant at a time where copies do not leave each other alone.
        self.most_rows = max(1, fits)
        self._is_apart: bool | None = False if batch.is_whole else None
        self._can_trim: bool | None = False if batch.is_whole or sees_all(batch) else None
        self._can_share: bool | None = None if share_sources else False
        self._packed: tuple[Tensor, InstanceBatch] | None = None

    @torch.no_grad()
    def on_edges(
        self, instance: Tensor, variant: Tensor, edge: Tensor, fill: Fill | None = None
    ) -> Tensor:
        """Outputs ``[K, C]`` with some edges alone; NaN where not a node is left.

        Args:
            instance: ``[K]`` whose variants they are.
            variant: ``[p]`` ascending, which variant keeps an edge.
            edge: ``[p]`` the edge it keeps, among the edges of the batch, ascending in a variant.
            fill: gives other features; None for those of the batch. Not where nodes are shared.
        """
        can_trim, shared = self._is_trimmable(), self._shared_nodes()
        found = []
        for first, last in self.parts(self._rows(instance, variant, can_trim, shared)):
            start, stop = torch.searchsorted(variant, variant.new_tensor([first, last])).tolist()
            chosen = instance[first:last]
            part = variant[start:stop] - first, edge[start:stop]
            fields, position = self._edges.fields(chosen, *part, can_trim=can_trim, shared=shared)
            number = torch.arange(first, last, device=self.batch.device)
            filled = None if fill is None else Filled(fill, number, position)
            found.append(self._output(fields, chosen, filled))
        return self._joined(found)

    def _rows(
        self, instance: Tensor, variant: Tensor, can_trim: bool, shared: Tensor | None
    ) -> Tensor:
        """``[K]`` how many rows a variant takes, roughly."""
        count = torch.bincount(variant, minlength=instance.numel())
        if not can_trim:
            return count + self.batch.nodes_per_instance[instance]
        if shared is None:
            return 3 * count + 2
        owner = self.batch.node_instance[~shared]
        own = torch.bincount(owner, minlength=self.batch.num_instances)[instance]
        edges = (self._share_of_edge * count).ceil().long()
        return edges + torch.minimum(own, 2 * count + 2)

    @property
    def _share_of_edge(self) -> float:
        """Features may be wide: an edge then takes the room of a part of a node."""
        return min(1.0, self.batch.wiring.width / self._width)

    @torch.no_grad()
    def with_features(self, instance: Tensor, fill: Fill, *, everywhere: bool = False) -> Tensor:
        """Outputs ``[K, C]`` with other features.

        Args:
            instance: ``[K]`` whose variants they are.
            fill: gives the features of a part of the variants.
            everywhere: of all nodes of the explained type, variant after variant; of node tasks.
        """
        edges = (self._share_of_edge * self.batch.edges_per_instance).ceil().long()
        rows = (edges + self.batch.nodes_per_instance)[instance]
        found = []
        for first, last in self.parts(rows):
            chosen = instance[first:last]
            copies = self._copies(chosen)
            number = torch.arange(first, last, device=self.batch.device)
            position, _ = expand(pointer_of(self.batch.nodes_per_instance), chosen)
            features = fill(Copies(copies, self.batch, number, position))
            with on_a_part():
                found.append(
                    node_output(copies, features) if everywhere else copies.output(None, features)
                )
        return self._joined(found)

    def within_reach(self, instance: Tensor, variant: Tensor, edge: Tensor) -> Tensor:
        """Which of some edges ``[p]`` can still reach a prediction, by their place, ascending.

        All of them where a prediction sees everything; the arguments are those of `on_edges`.
        """
        if not self._is_trimmable():
            return torch.arange(edge.numel(), device=edge.device)
        return self._edges.within_reach(instance, variant, edge)

    # Parts

    def _is_trimmable(self) -> bool:
        """Whether nodes that cannot be reached any more may be left out.

        On a small graph a model that looks at all nodes passes for one that looks far. So a few
        instances lose every second edge, or all, and are evaluated with and without such nodes.
        """
        if self._can_trim is None:
            count = min(4, self.batch.num_instances)
            chosen = torch.arange(count, device=self.batch.device)
            edge = torch.arange(self.batch.num_edges, device=self.batch.device)[::2]
            edge = edge[self.batch.edge_instance[edge] < count]
            half = chosen.repeat(2), self.batch.edge_instance[edge], edge

            def are_equal() -> bool:
                trimmed, full = (
                    self._output(self._edges.fields(*half, can_trim=each)[0], half[0])
                    for each in (True, False)
                )
                return bool(rows_agree(trimmed, full, self.batch.model_call).all())

            try:
                self._can_trim = are_equal()
            except GlassgraphError as error:  # it fails without them
                refuse_chance(are_equal, error)
                self._can_trim = False
        return self._can_trim

    def _shared_nodes(self) -> Tensor | None:
        """``[n]`` which nodes variants of an instance share; None if there are none.

        A model may still count the edges that leave a node, or look at all nodes together. So a
        few instances with all edges, and with one half or the other, are evaluated either way.
        """
        batch = self.batch
        if self._can_share is False or not self._is_trimmable():
            return None
        found = torch.ones(batch.num_nodes, dtype=torch.bool, device=batch.device)
        found[batch.fields.destination] = False
        found[batch.fields.seed.flatten()] = False
        if batch.wiring.needs_both_directions or not bool(found.any()):
            return None
        if self._can_share is None:
            self._can_share = self._shares_rightly(found)
        return found if self._can_share else None

    def _shares_rightly(self, shared: Tensor) -> bool:
        batch = self.batch
        chosen = torch.arange(min(4, batch.num_instances), device=batch.device).repeat_interleave(3)
        edge, variant = expand(pointer_of(batch.edges_per_instance), chosen)
        turn = variant % 3
        is_left = (turn == 0) | (edge % 2 == turn - 1)
        part = chosen, variant[is_left], edge[is_left]

        def are_equal() -> bool:
            together, apart = (
                self._output(self._edges.fields(*part, can_trim=True, shared=each)[0], chosen)
                for each in (shared, None)
            )
            return bool(rows_agree(together, apart, batch.model_call).all())

        try:
            return are_equal()
        except GlassgraphError as error:
            refuse_chance(are_equal, error)
            return False

    def parts(self, rows: Tensor) -> Iterator[tuple[int, int]]:
        """First and last (exclusive) of the variants that go into each pass."""
        if not rows.numel():
            return
        if not self._are_apart():
            yield from ((number, number + 1) for number in range(rows.numel()))
            return
        filled = rows.cumsum(0)
        first = 0
        while first < rows.numel():
            before = int(filled[first - 1]) if first else 0
            last = int(torch.searchsorted(filled, before + self.most_rows, right=True))
            last = max(first + 1, last)
            yield first, last
            first = last

    def _joined(self, found: list[Tensor]) -> Tensor:
        return torch.cat(found) if found else self.batch.reference[:0]

    def _copies(self, instance: Tensor) -> InstanceBatch:
        """Copies of instances, packed once for each list of them."""
        if self.batch.is_whole:
            return self.batch
        if self._packed is None or not torch.equal(self._packed[0], instance):
            self._packed = (instance, self.batch.take(instance))
        return self._packed[1]

    def _are_apart(self) -> bool:
        """Whether a model leaves copies alone that lie side by side.

        Every second copy gets other features (without any, it loses its edges); the rest must still
        give their predictions.
        """
        if self._is_apart is None:
            count = min(8, self.batch.num_instances)
            owner = torch.arange(count, device=self.batch.device).repeat_interleave(2)
            fields = self.batch.fields.take(owner)
            if all(x is None for x in self.batch.features):
                fields = _filtered(fields, fields.edge_instance % 2 == 0)

            def asked() -> bool:
                copies = self.batch.with_fields(fields, owner)
                return are_apart(copies, copies.reference)

            try:
                self._is_apart = asked()
            except Exception as error:  # noqa: BLE001 - a model for one at a time
                let_through(error)
                refuse_chance(asked, error)
                self._is_apart = False
        return self._is_apart

    def _output(self, fields: Fields, instance: Tensor, filled: Filled | None = None) -> Tensor:
        if self._drops_isolated:
            size = torch.bincount(fields.node_instance, minlength=instance.numel())
            left = (size > 0).nonzero().view(-1)
            if left.numel() < instance.numel():
                return self._output_of_those(left, fields, instance, filled)
        with on_a_part():
            changed = self.batch.with_fields(fields, instance)
            if self.batch.is_whole and self.batch.task.level != "graph":
                _keep_graphs(changed)
            features = None if filled is None else filled.features(changed, self.batch)
            return changed.output(None, features)

    def _output_of_those(
        self, left: Tensor, fields: Fields, instance: Tensor, filled: Filled | None
    ) -> Tensor:
        """Outputs of the variants ``left``; NaN for the others."""
        found = torch.full_like(self.batch.reference_of(instance), float("nan"))
        if left.numel():
            row = self.batch.targets.take(instance).rows_of(left)
            kept = filled and replace(filled, number=filled.number[left])  # the others have no node
            found[row] = self._output(fields.take(left), instance[left], kept)
        return found


def node_output(batch: InstanceBatch, features: Sequence[Tensor | None] | None = None) -> Tensor:
    """What the model returns for every node of the explained type, ``[n_t, C]``; node tasks.

    Nodes at the boundary of a field lack some of their surroundings.

    Args:
        batch: the instances.
        features: replaces the batch's features, None to leave a type alone.
    """
    data = with_features(batch.graph, batch.packed.data, batch.feature_names, features)
    number = batch.graph.type_position(batch.task.node_type)
    num_nodes = batch.packed.node_position[number].numel()
    return every_row(batch.model_call, data, num_nodes, batch.task)


@contextmanager
def on_a_part() -> Iterator[None]:
    """Say what the model was asked when it fails."""
    try:
        yield
    except GlassgraphError:
        raise
    except Exception as error:
        let_through(error)
        raise UnsupportedModelError(
            "the model fails on a part of the graph, or with other features, which methods that "
            f"see it from outside have to show it: {type(error).__name__}: {error}. (Kinds of "
            "nodes that are kept as floating numbers are changed like numbers; give them as "
            "integers: data.x = data.x.long())"
        ) from error


def _keep_graphs(batch: InstanceBatch) -> None:
    """Graphs that lie side by side in the user's data stay apart."""
    owner = batch.graph.node_graph
    if owner is None:
        return
    data = batch.packed.data
    stores = data.node_stores if batch.graph.is_heterogeneous else [data]
    for store, position in zip(stores, batch.packed.node_position, strict=True):
        if "batch" in store:
            store["batch"] = owner[batch.fields.node[position]]


def _filtered(fields: Fields, kept: Tensor) -> Fields:
    """Fields with fewer edges."""
    return Fields(
        num_instances=fields.num_instances,
        node_instance=fields.node_instance,
        node=fields.node,
        distance=fields.distance,
        edge_instance=fields.edge_instance[kept],
        edge=fields.edge[kept],
        source=fields.source[kept],
        destination=fields.destination[kept],
        seed=fields.seed,
    )


def _positions_within_types(batch: InstanceBatch) -> Tensor:
    """``[n]`` the row of each node in the features of its type."""
    found = torch.empty(batch.num_nodes, dtype=torch.long, device=batch.device)
    for position in batch.packed.node_position:
        found[position] = torch.arange(position.numel(), device=batch.device)
    return found
