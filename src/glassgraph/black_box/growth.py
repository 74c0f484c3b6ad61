"""Subgraphs that grow by an edge at a time: of many instances, evaluated with every candidate.

At each step the candidates of an instance share the edges that it has so far, so a candidate's
graph is put together without looking at the rest of the instance.
"""

from __future__ import annotations

import torch
from torch import Tensor

from glassgraph.black_box.attribute_hash import LABELS, edge_hashes, node_hashes
from glassgraph.black_box.variants import Variants
from glassgraph.core import random
from glassgraph.core.addresses import edge_address
from glassgraph.core.batch import InstanceBatch
from glassgraph.core.output_rows import OutputRows
from glassgraph.core.reachability import visible_edges
from glassgraph.core.undirected import edges_of_items
from glassgraph.inputs.receptive import expand, pointer_of

#: Edges of candidates' graphs that are listed at once.
_EDGES_AT_ONCE = 1 << 20


class Growth:
    """A growing set of edges for each instance.

    Args:
        batch: the instances.
        memory_budget: bytes that one pass may take.
        pairs: whether the two directions of an undirected edge come together.
        drop_isolated: whether nodes that only edges outside of the set touch are left out.

    Attributes:
        edge: ``[I, 2]`` the edges of each item, ascending; the second is -1 for a single edge.
        instance: ``[I]`` ascending.
        address: ``[I]`` a number for each item that depends on its ends alone.
        look: ``[I]`` the same for all items with ends and edges that look the same.
        everyone: ``[B]`` all instances.
    """

    def __init__(
        self,
        batch: InstanceBatch,
        memory_budget: int,
        *,
        pairs: bool = False,
        drop_isolated: bool = False,
    ) -> None:
        self.batch = batch
        self.edge = edges_of_items(batch, pairs=pairs)
        self.instance = batch.edge_instance[self.edge[:, 0]]
        self.everyone = torch.arange(batch.num_instances, device=batch.device)
        self._has_two = self.edge[:, 1] >= 0
        self._node_hash, self._edge_hash = node_hashes(batch), edge_hashes(batch)
        source, destination = batch.fields.source, batch.fields.destination
        look = node_hashes(batch, LABELS)
        self.look = self._sum(random.hash64(8, look[source], look[destination], self._edge_hash))
        self.address = self._sum(edge_address(batch))
        self._variants = Variants(batch, memory_budget, drop_isolated=drop_isolated)
        self._is_selected = torch.zeros(batch.num_edges, dtype=torch.bool, device=batch.device)
        self._is_used = torch.zeros_like(self._has_two)
        #: Whether some edge touches a node: a prediction's own nodes, and those whose rows are
        #: explained, count as touched.
        self._is_touched = torch.zeros(batch.num_nodes, dtype=torch.bool, device=batch.device)
        self._is_touched[batch.fields.seed.flatten()] = True
        if isinstance(batch.output_rows, OutputRows):
            self._is_touched[batch.output_rows.packed] = True
        self._is_used |= ~self._in_sight(torch.ones_like(self._is_selected))

    def candidates(self) -> Tensor:
        """Items that are not in the set and that the prediction would see, ascending."""
        return (self._in_sight(self._is_selected) & ~self._is_used).nonzero().view(-1)

    def add(self, item: Tensor) -> None:
        """Put items into the sets."""
        self._is_used[item] = True
        edge = torch.cat([self.edge[item, 0], self.edge[item, 1][self._has_two[item]]])
        self._is_selected[edge] = True
        fields = self.batch.fields
        self._is_touched[fields.source[edge]] = True
        self._is_touched[fields.destination[edge]] = True

    def outputs_of_nothing(self) -> Tensor:
        """The model's output ``[B, C]`` without any edge; NaN where no node is left either."""
        none = self.everyone[:0]
        return self._variants.on_edges(self.everyone, none, none)

    def outputs_with(self, item: Tensor) -> Tensor:
        """The model's output ``[K, C]`` on an instance's set with one more item each.

        Args:
            item: ``[K]`` ascending.
        """
        first, same = self._without_repeats(item)
        item = item[first]
        selected = self._is_selected.nonzero().view(-1)
        count = torch.bincount(
            self.batch.edge_instance[selected], minlength=self.batch.num_instances
        )
        size = count[self.instance[item]] + 2
        part = (size.cumsum(0) - size) // _EDGES_AT_ONCE
        sizes = torch.unique_consecutive(part, return_counts=True)[1].tolist()
        found = [self._outputs(each, selected, count) for each in item.split(sizes)]
        return torch.cat(found)[self.batch.targets.take(self.instance[item]).rows_of(same)]

    def spread(self, value: Tensor) -> Tensor:
        """Values ``[I]`` of items as values ``[e]`` of their edges."""
        found = value.new_zeros(self.batch.num_edges)
        found[self.edge[:, 0]] = value
        found[self.edge[self._has_two, 1]] = value[self._has_two]
        return found

    def _sum(self, value: Tensor) -> Tensor:
        """Numbers ``[I]`` for items from those ``[e]`` of their edges; they wrap around."""
        if not value.numel():
            return value
        return value[self.edge[:, 0]] + value[self.edge[:, 1]].where(self._has_two, 0)

    def _in_sight(self, is_there: Tensor) -> Tensor:
        """``[I]`` whether a prediction would see an item beside edges ``[e]`` that are there."""
        is_seen = visible_edges(self.batch, is_there)
        return is_seen[self.edge[:, 0]] | (is_seen[self.edge[:, 1]] & self._has_two)

    def _without_repeats(self, item: Tensor) -> tuple[Tensor, Tensor]:
        """First of all items that make graphs which look the same, and which of these each is.

        Nodes that no edge touches can be exchanged if they look the same.
        """
        fields, first = self.batch.fields, self.edge[item, 0]
        source, destination = fields.source[first], fields.destination[first]
        second = self._edge_hash[self.edge[item, 1]].where(self._has_two[item], 0)
        key = random.hash64(
            6,
            self.instance[item],
            self._name(source),
            self._name(destination),
            (source == destination).long(),
            self._edge_hash[first],
            self._has_two[item].long(),
            second,
        )
        _, same = torch.unique(key, return_inverse=True)
        position = torch.arange(item.numel(), device=item.device)
        lead = torch.full_like(position, item.numel())
        lead = lead.scatter_reduce(0, same, position, "amin")[same]
        kept = (lead == position).nonzero().view(-1)
        return kept, torch.searchsorted(kept, lead)

    def _name(self, node: Tensor) -> Tensor:
        """A number for touched nodes alone, and one for all others that look the same."""
        is_touched = self._is_touched[node]
        return random.hash64(7, is_touched.long(), node.where(is_touched, self._node_hash[node]))

    def _outputs(self, item: Tensor, selected: Tensor, count: Tensor) -> Tensor:
        """Outputs with each of some items."""
        instance, has_two = self.instance[item], self._has_two[item]
        pointer = pointer_of(count)
        position, owner = expand(pointer, instance)
        size = count[instance] + 1 + has_two
        start = size.cumsum(0) - size
        edge = selected.new_empty(int(size.sum()))
        shared = selected[position]
        place = (start - pointer[instance])[owner] + position
        for number in (0, 1):
            added = self.edge[item, number]
            is_there = has_two if number else torch.ones_like(has_two)
            place += (shared > added[owner]) & is_there[owner]
            own = start + torch.searchsorted(selected, added) - pointer[instance] + number
            edge[own[is_there]] = added[is_there]
        edge[place] = shared
        variant = torch.repeat_interleave(size)
        return self._variants.on_edges(instance, variant, edge)
