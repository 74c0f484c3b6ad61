"""Inputs that differ from one another in the features of a few nodes.

Many *variants* share a *base*: the same features but for some rows. A node whose states no change
reaches in time is not computed again: a variant holds the nodes between its changed rows and the
prediction alone, and these read everything else from the base, which lies in the same pass. Each
copied node keeps all of its incoming edges, so degrees are as they were.

Whether a model bears that is tried out first; where it does not (it pools, or looks across), every
variant is a whole copy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from glassgraph.black_box.variants import Copies, Variants, on_a_part
from glassgraph.calling.call import refuse_chance
from glassgraph.calling.out_of_memory import let_through
from glassgraph.core.batch import InstanceBatch
from glassgraph.core.context import rows_agree
from glassgraph.core.reachability import hops_away, sees_all
from glassgraph.inputs.graph import CompressedIndex
from glassgraph.inputs.node_features import exchanged
from glassgraph.inputs.receptive import Fields, expand, pointer_of


@dataclass(frozen=True)
class Alterations:
    """K variants of K0 bases.

    Attributes:
        instance: ``[K0]`` whose bases they are.
        fill: ``fill(first, last, rows)`` writes the features of some of the bases into rows
            ``[r, F]``.
        base: ``[K]`` ascending, which base a variant changes.
        variant: ``[p]`` ascending, which variant changes a row.
        node: ``[p]`` the node of that row, among the nodes of the batch.
        alter: ``alter(rows, at, first, last)`` changes, in place, the rows ``at [last - first]``
            that hold what the base has at those of ``p`` from first to last.
    """

    instance: Tensor
    fill: Callable[[int, int, Tensor], None]
    base: Tensor
    variant: Tensor
    node: Tensor
    alter: Callable[[Tensor, Tensor, int, int], None]


class AlteredRows:
    """Evaluates variants; for graphs with one type of nodes, which have features.

    Args:
        batch: the instances.
        is_readable: ``[n]`` nodes whose features can matter.
        budget: bytes that one pass may take.
    """

    def __init__(self, batch: InstanceBatch, is_readable: Tensor, budget: int) -> None:
        self.batch, self._variants = batch, Variants(batch, budget)
        self._distance = hops_away(batch)
        self._steps = batch.wiring.most_steps
        at_limit = self._distance == batch.wiring.num_hops
        if bool(at_limit.any()) and not bool((at_limit & is_readable).any()):
            self._steps -= 1  # the last hop is for degrees alone
        self._first = torch.searchsorted(
            batch.node_instance, torch.arange(batch.num_instances, device=batch.device)
        )
        self._count = batch.nodes_per_instance
        self.is_sharing = self._can_share()

    @torch.no_grad()
    def output(self, asked: Alterations) -> Tensor:
        """Outputs ``[K, C]`` of the variants."""
        owner = asked.instance[asked.base]
        if not self.is_sharing:
            return self._in_full(asked, owner)
        size = torch.zeros_like(asked.base).index_add_(
            0, asked.variant, self._touched.pointer.diff()[asked.node]
        )
        is_first = torch.ones_like(asked.base, dtype=torch.bool)
        is_first[1:] = asked.base[1:] != asked.base[:-1]
        rows = size + is_first * self._count[owner]
        found = [self._together(asked, first, last) for first, last in self._variants.parts(rows)]
        return torch.cat(found) if found else self.batch.reference[:0]

    def _in_full(self, asked: Alterations, owner: Tensor) -> Tensor:
        """Every variant a whole copy."""

        def fill(copies: Copies) -> list[Tensor]:
            (variant,) = copies.variant
            first, last = int(variant[0]), int(variant[-1]) + 1
            low, high = int(asked.base[first]), int(asked.base[last - 1]) + 1
            begins = self._begins(asked.instance[low:high])
            base = self._new_rows(int(begins[-1]))
            asked.fill(low, high, base)
            row, _ = expand(begins, asked.base[first:last] - low)
            features = base[row]
            start, stop = torch.searchsorted(
                asked.variant, torch.tensor([first, last], device=variant.device)
            ).tolist()
            starts = self._begins(owner[first:last])
            at = starts[asked.variant[start:stop] - first] + self._within(asked.node[start:stop])
            asked.alter(features, at, start, stop)
            return [features]

        return self._variants.with_features(owner, fill)

    def _together(self, asked: Alterations, first: int, last: int) -> Tensor:
        """Some variants, and what they share."""
        device, batch = self.batch.device, self.batch
        low, high = int(asked.base[first]), int(asked.base[last - 1]) + 1
        start, stop = torch.searchsorted(
            asked.variant, torch.tensor([first, last], device=device)
        ).tolist()
        instance, base = asked.instance[low:high], asked.base[first:last] - low
        variant, node = asked.variant[start:stop] - first, asked.node[start:stop]
        begins = self._begins(instance)
        num_base = int(begins[-1])

        # A key for each pair of a variant and one of its instance's nodes.
        width = max(1, int(self._count.max()))
        place, of = expand(self._touched.pointer, node)
        touched = self._touched.edge[place]
        key = torch.unique(variant[of] * width + self._within(touched))
        owner = instance[base[key // width]]
        copied = self._first[owner] + key % width

        shared_node, shared_of = expand(self._pointer, instance)
        shared_edge, edge_of = expand(self._edges.pointer, shared_node)
        own_edge, own_of = expand(self._edges.pointer, copied)
        shared_edge, own_edge = self._edges.edge[shared_edge], self._edges.edge[own_edge]
        source = batch.fields.source
        shared_source = begins[shared_of[edge_of]] + self._within(source[shared_edge])
        own_variant = key[own_of] // width
        own_source = self._find(key, own_variant, source[own_edge], width, begins[base], num_base)
        everyone = torch.arange(last - first, device=device).view(-1, 1)
        seed = batch.fields.seed[instance]
        seeds = self._find(
            key,
            everyone.expand(-1, seed.size(1)),
            batch.fields.seed[instance[base]],
            width,
            begins[base],
            num_base,
        )
        rows = torch.cat([shared_node, copied])
        number = high - low
        edges = torch.cat([shared_edge, own_edge])
        fields = Fields(
            num_instances=number + last - first,
            node_instance=torch.cat([shared_of, number + key // width]),
            node=batch.fields.node[rows],
            distance=batch.fields.distance[rows],
            edge_instance=torch.cat([shared_of[edge_of], number + own_variant]),
            edge=batch.fields.edge[edges],
            source=torch.cat([shared_source, own_source]),
            destination=torch.cat([edge_of, num_base + own_of]),
            seed=torch.cat([begins[:-1].view(-1, 1) + self._within(seed), seeds]),
        )
        features = self._new_rows(num_base + key.numel())
        shared, own = features.split([num_base, key.numel()])
        asked.fill(low, high, shared)
        original = begins[base[key // width]] + key % width
        torch.index_select(shared, 0, original, out=own)
        at = num_base + torch.searchsorted(key, variant * width + self._within(node))
        asked.alter(features, at, start, stop)
        with on_a_part():
            packed = batch.with_fields(fields, torch.cat([instance, instance[base]]))
            return packed.output(features=[features])[number:]

    def _find(
        self, key: Tensor, variant: Tensor, node: Tensor, width: int, begins: Tensor, num_base: int
    ) -> Tensor:
        """Rows of nodes as variants see them: their own copy, or the base's."""
        if not key.numel():
            return begins[variant] + self._within(node)
        wanted = variant * width + self._within(node)
        place = torch.searchsorted(key, wanted.contiguous()).clamp_max(key.numel() - 1)
        shared = begins[variant] + self._within(node)
        return torch.where(key[place] == wanted, num_base + place, shared)

    def _new_rows(self, count: int) -> Tensor:
        (x,) = self.batch.all_features
        assert x is not None
        return x.new_empty((count, x.size(1)))

    def _within(self, node: Tensor) -> Tensor:
        """Places of nodes within their instances."""
        return node - self._first[self.batch.node_instance[node]]

    def _begins(self, instance: Tensor) -> Tensor:
        """Where the nodes of each of a list of instances begin, and the end."""
        count = self._count[instance]
        return pointer_of(count)

    # What a model bears

    def _can_share(self) -> bool:
        """Whether shared nodes give the predictions of whole copies, on some changed rows."""
        batch = self.batch
        wiring = batch.wiring
        if batch.is_whole or sees_all(batch) or wiring.needs_both_directions:
            return False
        if batch.task.is_about_edges:  # an explained edge has its row beside its receiver's others
            return False
        self._pointer = torch.cat([self._first, self._first.new_tensor([batch.num_nodes])])
        self._edges = CompressedIndex.build(batch.fields.destination, batch.num_nodes)
        self._touched = self._touched_nodes()
        (x,) = batch.all_features
        assert x is not None
        chosen = torch.arange(min(4, batch.num_instances), device=batch.device)
        nodes, base = expand(self._pointer, chosen)
        spread = torch.linspace(0, nodes.numel() - 1, min(32, nodes.numel()), device=batch.device)
        nodes, base = nodes[spread.long()], base[spread.long()]

        def alter(rows: Tensor, at: Tensor, _first: int, _last: int) -> None:
            old = rows[at]
            is_real = old.is_floating_point()
            rows[at] = old.flip(1) - 2 * old - 0.5 if is_real else exchanged(old)

        def fill(low: int, high: int, rows: Tensor) -> None:
            row, _ = expand(self._pointer, chosen[low:high])
            rows.copy_(0.5 - x[row] if x.is_floating_point() else x[row].flip(0))

        each = torch.arange(nodes.numel(), device=batch.device)
        asked = Alterations(chosen, fill, base, each, nodes, alter)
        try:
            self.is_sharing = True
            shared = self.output(asked)
        except Exception as error:  # noqa: BLE001 - the shared graph is ours
            let_through(error)
            refuse_chance(lambda: self.output(asked), error)
            return False
        in_full = self._in_full(asked, chosen[base])
        return bool(rows_agree(shared, in_full, batch.model_call).all())

    def _touched_nodes(self) -> CompressedIndex:
        """For each node, the nodes whose states it can change in time to change the prediction."""
        fields, num = self.batch.fields, self.batch.num_nodes
        forward = CompressedIndex.build(fields.source, num)
        frontier = torch.arange(num, device=self.batch.device)
        frontier = frontier * num + frontier
        seen = frontier
        for hops in range(1, min(self._steps, num) + 1):
            origin, at = frontier // num, frontier % num
            place, of = expand(forward.pointer, at)
            after = fields.destination[forward.edge[place]]
            is_in_time = hops + self._distance[after] <= self._steps
            reached = torch.unique((origin[of] * num + after)[is_in_time])
            frontier = reached[~torch.isin(reached, seen)]
            if not frontier.numel():
                break
            seen = torch.cat([seen, frontier])
        seen = seen.sort().values
        pointer = torch.searchsorted(seen, torch.arange(num + 1, device=seen.device) * num)
        return CompressedIndex(pointer, seen % num)
