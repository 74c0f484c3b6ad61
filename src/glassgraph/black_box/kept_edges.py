"""Fields of variants of instances that keep some of their edges alone."""

from __future__ import annotations

import torch
from torch import Tensor

from glassgraph.core.batch import InstanceBatch
from glassgraph.core.output_rows import OutputRows
from glassgraph.inputs.receptive import Fields, expand, pointer_of


class KeptEdges:
    """Makes fields of variants.

    Args:
        batch: the instances.
        drop_isolated: whether a node goes with the last of its edges (nodes that had none to begin
            with stay, and those whose rows are explained).
    """

    def __init__(self, batch: InstanceBatch, *, drop_isolated: bool) -> None:
        self.batch, self._drops_isolated = batch, drop_isolated

    def fields(
        self,
        instance: Tensor,
        variant: Tensor,
        edge: Tensor,
        *,
        can_trim: bool,
        shared: Tensor | None = None,
    ) -> tuple[Fields, Tensor]:
        """One field for each variant, and which node ``[n]`` of the batch each of their nodes is.

        Args:
            instance: ``[K]`` whose variants they are.
            variant: ``[p]`` ascending, which variant keeps an edge.
            edge: ``[p]`` the edge it keeps, among the edges of the batch, ascending in a variant.
            can_trim: whether nodes that can reach no prediction any more are left out.
            shared: ``[n]`` nodes that variants of an instance have in common; None for none.
        """
        base, key = self.batch.fields, self._keys(instance)
        holder = variant
        if shared is not None:
            holder = key.first_alike[variant].where(shared[base.source[edge]], variant)
        source = key.of(holder, base.source[edge])
        destination = key.of(variant, base.destination[edge])
        seed = key.of_seeds(base.seed)
        if not can_trim:
            nodes = key.of_all_nodes()
            if self._drops_isolated:
                nodes = nodes[self._are_left(key, nodes, torch.cat([source, destination]))]
        else:
            kept, nodes = self._reach(seed, source, destination, key.size)
            variant, edge = variant[kept], edge[kept]
            source, destination = source[kept], destination[kept]
        fields = self._fields(key, nodes, variant, edge, source, destination, seed)
        return fields, key.rows(nodes)

    def within_reach(self, instance: Tensor, variant: Tensor, edge: Tensor) -> Tensor:
        """Which of some edges ``[p]`` can still reach a prediction, by their place, ascending.

        The arguments are those of `fields`.
        """
        fields, key = self.batch.fields, self._keys(instance)
        source, destination = (
            key.of(variant, end[edge]) for end in (fields.source, fields.destination)
        )
        kept, _ = self._reach(key.of_seeds(fields.seed), source, destination, key.size)
        return kept

    def _keys(self, instance: Tensor) -> _Keys:
        return _Keys(instance, pointer_of(self.batch.nodes_per_instance))

    def _fields(
        self,
        key: _Keys,
        nodes: Tensor,
        variant: Tensor,
        edge: Tensor,
        source: Tensor,
        destination: Tensor,
        seed: Tensor,
    ) -> Fields:
        """Fields from keys of nodes, ascending."""
        base, row = self.batch.fields, key.rows(nodes)
        place = nodes.new_empty(key.size)
        place[nodes] = torch.arange(nodes.numel(), device=nodes.device)
        return Fields(
            num_instances=key.instance.numel(),
            node_instance=nodes // key.width,
            node=base.node[row],
            distance=base.distance[row],
            edge_instance=variant,
            edge=base.edge[edge],
            source=place[source],
            destination=place[destination],
            seed=place[seed],
        )

    def _are_left(self, key: _Keys, nodes: Tensor, ends: Tensor) -> Tensor:
        """Which nodes, given by their keys, stay: with an edge, explained, or without any before.

        Args:
            key: of the variants.
            nodes: keys of nodes.
            ends: keys of the ends of all edges that are there.
        """
        base = self.batch.fields
        needs_edge = torch.zeros(self.batch.num_nodes, dtype=torch.bool, device=nodes.device)
        needs_edge[base.source] = needs_edge[base.destination] = True
        needs_edge[base.seed.flatten()] = False
        if isinstance(self.batch.output_rows, OutputRows):
            needs_edge[self.batch.output_rows.packed] = False
        is_end = torch.zeros(key.size, dtype=torch.bool, device=nodes.device)
        is_end[ends] = True
        return is_end[nodes] | ~needs_edge[key.rows(nodes)]

    def _reach(
        self, seed: Tensor, source: Tensor, destination: Tensor, num_keys: int
    ) -> tuple[Tensor, Tensor]:
        """Which edges can still reach a prediction, and the keys of all nodes that can."""
        wiring = self.batch.wiring
        is_reached = torch.zeros(num_keys, dtype=torch.bool, device=seed.device)
        is_reached[seed.flatten()] = True
        kept = torch.zeros_like(source, dtype=torch.bool)
        for _ in range(min(wiring.most_steps, num_keys)):
            now = is_reached[destination]
            if wiring.needs_both_directions:
                now |= is_reached[source]
            if bool((now == kept).all()):
                break
            kept = now
            is_reached[source[kept]] = True
            if wiring.needs_both_directions:
                is_reached[destination[kept]] = True
        return kept.nonzero().view(-1), is_reached.nonzero().view(-1)


class _Keys:
    """Numbers for pairs of a variant and a node of its instance.

    Args:
        instance: ``[K]`` whose variants they are.
        pointer: ``[B + 1]`` first node of each instance.
    """

    def __init__(self, instance: Tensor, pointer: Tensor) -> None:
        self.instance, self._pointer = instance, pointer
        self.width = max(1, int(pointer.diff().max()))
        self.size = instance.numel() * self.width

    def of(self, variant: Tensor, node: Tensor) -> Tensor:
        """Keys of nodes, given by their rows in the batch."""
        return variant * self.width + node - self._pointer[self.instance[variant]]

    def of_seeds(self, seed: Tensor) -> Tensor:
        """Keys ``[K, S]`` of the nodes that each variant's prediction is about."""
        everyone = torch.arange(self.instance.numel(), device=seed.device).view(-1, 1)
        first = self._pointer[self.instance].view(-1, 1)
        return everyone * self.width + seed[self.instance] - first

    @property
    def first_alike(self) -> Tensor:
        """``[K]`` the first variant of the same instance."""
        _, group = torch.unique(self.instance, return_inverse=True)
        number = torch.arange(group.numel(), device=group.device)
        first = torch.full_like(number, group.numel())
        return first.scatter_reduce(0, group, number, "amin")[group]

    def of_all_nodes(self) -> Tensor:
        """Keys of all nodes of all variants."""
        position, variant = expand(self._pointer, self.instance)
        return self.of(variant, position)

    def rows(self, key: Tensor) -> Tensor:
        """Rows in the batch, from keys."""
        return self._pointer[self.instance[key // self.width]] + key % self.width
