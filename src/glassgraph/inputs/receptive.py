"""Receptive fields: the part of the graph that can reach a prediction.

Fields of many instances are found together by a breadth-first search over (instance, node) pairs,
along the index of incoming edges. The cost depends on the size of the fields, not of the graph.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from glassgraph.inputs.graph import CompressedIndex, TypedGraph


@dataclass(frozen=True)
class Fields:
    """The receptive fields of B instances, one after the other.

    Attributes:
        num_instances: B.
        node_instance: ``[n]`` ascending.
        node: ``[n]`` flat node of the user's graph, ascending within an instance.
        distance: ``[n]`` hops to the explained node (0 for graph tasks).
        edge_instance: ``[e]`` ascending.
        edge: ``[e]`` flat edge of the user's graph, ascending within an instance.
        source: ``[e]`` position of the sender among the n nodes.
        destination: ``[e]`` position of the receiver among the n nodes.
        seed: ``[B, S]`` positions of the explained nodes (S = 1 node, 2 link, 0 graph tasks).
    """

    num_instances: int
    node_instance: Tensor
    node: Tensor
    distance: Tensor
    edge_instance: Tensor
    edge: Tensor
    source: Tensor
    destination: Tensor
    seed: Tensor

    def take(self, instances: Tensor) -> Fields:
        """The fields of some instances, in the order given; an instance may come several times."""
        device = self.node.device
        node_position, node_instance = _take_groups(
            self.node_instance, self.num_instances, instances
        )
        edge_position, edge_instance = _take_groups(
            self.edge_instance, self.num_instances, instances
        )
        num_nodes = torch.bincount(self.node_instance, minlength=self.num_instances)
        old_start = num_nodes.cumsum(0) - num_nodes
        new_start = num_nodes[instances].cumsum(0) - num_nodes[instances]
        shift = (new_start - old_start[instances]).to(device)
        return Fields(
            num_instances=int(instances.numel()),
            node_instance=node_instance,
            node=self.node[node_position],
            distance=self.distance[node_position],
            edge_instance=edge_instance,
            edge=self.edge[edge_position],
            source=self.source[edge_position] + shift[edge_instance],
            destination=self.destination[edge_position] + shift[edge_instance],
            seed=self.seed[instances] + shift.view(-1, 1),
        )


def _take_groups(group: Tensor, num_groups: int, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """Positions of the members of the wanted groups, and the new group of each."""
    count = torch.bincount(group, minlength=num_groups)
    pointer = torch.zeros(num_groups + 1, dtype=torch.long, device=group.device)
    torch.cumsum(count, 0, out=pointer[1:])
    return expand(pointer, wanted)


def pointer_of(count: Tensor) -> Tensor:
    """Where each of several groups begins, ``[B + 1]``, from their sizes ``[B]``."""
    return torch.cat([count.new_zeros(1), count.cumsum(0)])


def expand(pointer: Tensor, group: Tensor) -> tuple[Tensor, Tensor]:
    """All positions ``pointer[g]:pointer[g + 1]`` for each g, and which of the g each came from."""
    start = pointer[group]
    count = pointer[group + 1] - start
    origin = torch.repeat_interleave(count)
    first = count.cumsum(0) - count
    offset = torch.arange(origin.numel(), device=pointer.device) - first[origin]
    return start[origin] + offset, origin


def unique_sorted(value: Tensor) -> Tensor:
    """Different values in ascending order."""
    value = value.sort().values
    if value.numel() == 0:
        return value
    is_first = torch.ones_like(value, dtype=torch.bool)
    torch.ne(value[1:], value[:-1], out=is_first[1:])
    return value[is_first]


def not_in(value: Tensor, ordered: Tensor) -> Tensor:
    """Which values do not stand among others, given in ascending order."""
    position = torch.searchsorted(ordered, value).clamp_max(max(ordered.numel() - 1, 0))
    return ordered[position] != value


def receptive_fields(
    graph: TypedGraph,
    seeds: Tensor,
    num_hops: int,
    both_directions: bool,
    *,
    with_surroundings: bool = False,
) -> Fields:
    """Cut out what lies within some hops of each instance's nodes.

    Args:
        graph: the user's graph.
        seeds: ``[B, S]`` flat nodes that each instance is about.
        num_hops: hops K: edges are kept whose receiver lies within K - 1 hops.
        both_directions: also follow edges from sender to receiver (for layers that send backwards).
        with_surroundings: add all edges that enter or leave a node of the field, so that its nodes
            have the degrees, in and out, that they have in the graph.

    Returns:
        The fields, whose edges keep the user's order.
    """
    search = _Search(graph, seeds)
    for _ in range(num_hops):
        search.step(both_directions)
        if search.is_finished:
            break
    if with_surroundings:
        search.add_surroundings()
    return search.fields(is_repeated=both_directions or with_surroundings)


class _Search:
    """Breadth first over pairs of an instance and a node, as keys ``instance * N + node``.

    Args:
        graph: the user's graph.
        seeds: ``[B, S]`` where each instance begins.
    """

    def __init__(self, graph: TypedGraph, seeds: Tensor) -> None:
        self._graph = graph
        self._num_nodes, self._num_edges = max(graph.num_nodes, 1), max(graph.num_edges, 1)
        instance = torch.arange(seeds.size(0), device=seeds.device)
        self._seed = instance.view(-1, 1) * self._num_nodes + seeds
        self._seen = unique_sorted(self._seed.flatten())
        self._layers = [self._seen]
        self._edges: list[Tensor] = []
        self._ends: list[Tensor] = []

    @property
    def is_finished(self) -> bool:
        """Whether the last step found no new node."""
        return self._layers[-1].numel() == 0

    def step(self, both_directions: bool) -> None:
        """Go one hop further."""
        graph, last = self._graph, self._layers[-1]
        reached = self._cross(last, graph.incoming, 0)
        if both_directions:
            ahead = self._cross(last, graph.outgoing, 1)
            reached = torch.cat([reached, ahead])
        self._add_layer(reached)

    def add_surroundings(self) -> None:
        """Add all edges that enter or leave what has been seen, and their other ends."""
        graph, inside = self._graph, self._seen
        for number, index in enumerate((graph.incoming, graph.outgoing)):
            self._add_layer(self._cross(inside, index, number))

    def _cross(self, start: Tensor, index: CompressedIndex, end: int) -> Tensor:
        """Note the edges that an index lists for nodes, and return what is at their other ends.

        Args:
            start: keys of the nodes.
            index: lists edges by these nodes.
            end: where the other nodes stand among the ends of an edge: 0 sender, 1 receiver.
        """
        position, origin = expand(index.pointer, start % self._num_nodes)
        edge, instance = index.edge[position], (start // self._num_nodes)[origin]
        self._edges.append(instance * self._num_edges + edge)
        if index.other is None:
            other = (self._graph.destination if end else self._graph.source)[edge]
        else:  # a graph on disk: edges of a node lie side by side in its index, and there alone
            other = index.other[position]
            own = (start % self._num_nodes)[origin]
            self._ends.append(torch.stack([own, other] if end else [other, own]))
        return instance * self._num_nodes + other

    def _add_layer(self, reached: Tensor) -> None:
        reached = unique_sorted(reached)
        layer = reached[not_in(reached, self._seen)]
        self._layers.append(layer)
        self._seen = torch.cat([self._seen, layer]).sort().values

    def fields(self, *, is_repeated: bool) -> Fields:
        """What has been found.

        Args:
            is_repeated: whether edges may have been crossed several times.
        """
        graph, key = self._graph, self._seen
        edge_key, ends = self._sorted_edges(is_repeated)
        instance, edge = edge_key // self._num_edges, edge_key % self._num_edges
        start = instance * self._num_nodes
        source, destination = (
            (graph.source[edge], graph.destination[edge]) if ends is None else ends
        )
        return Fields(
            num_instances=self._seed.size(0),
            node_instance=key // self._num_nodes,
            node=key % self._num_nodes,
            distance=self._distance(),
            edge_instance=instance,
            edge=edge,
            source=torch.searchsorted(key, start + source),
            destination=torch.searchsorted(key, start + destination),
            seed=torch.searchsorted(key, self._seed),
        )

    def _sorted_edges(self, is_repeated: bool) -> tuple[Tensor, Tensor | None]:
        """Keys of the edges in order, each once, and their ends ``[2, e]`` where they are known."""
        if not self._edges:
            return self._seen.new_empty(0), None
        key = torch.cat(self._edges)
        if not self._ends:
            return (unique_sorted(key) if is_repeated else key.sort().values), None
        key, order = key.sort()
        if is_repeated:
            is_first = torch.ones_like(key, dtype=torch.bool)
            torch.ne(key[1:], key[:-1], out=is_first[1:])
            key, order = key[is_first], order[is_first]
        return key, torch.cat(self._ends, dim=1)[:, order]

    def _distance(self) -> Tensor:
        """``[n]`` the step at which each node was found."""
        sizes = [layer.numel() for layer in self._layers]
        step = torch.repeat_interleave(torch.tensor(sizes, device=self._seen.device))
        return step[torch.argsort(torch.cat(self._layers))]


def whole_graphs(graph: TypedGraph, graphs: Tensor, seeds: Tensor | None = None) -> Fields:
    """Whole graphs as fields: every node can reach the prediction at any layer.

    Graphs that edges join come together, with a node of the explained one as the seed.

    Args:
        graph: the user's graph(s).
        graphs: ``[B]`` which graph each instance takes.
        seeds: ``[B, S]`` flat explained nodes, where the task has them.
    """
    nodes, edges = graph.by_component
    groups = graphs
    if graph.joined is not None:
        groups = graph.joined.component[graphs]
        seeds = graph.joined.first_node[graphs].view(-1, 1) if seeds is None else seeds
    position, node_instance = expand(nodes.pointer, groups)
    node = nodes.edge[position]
    edge_position, edge_instance = expand(edges.pointer, groups)
    edge = edges.edge[edge_position]
    key = node_instance * max(graph.num_nodes, 1) + node
    if seeds is None:
        seeds = graphs.new_empty((graphs.numel(), 0))
    instance = torch.arange(graphs.numel(), device=graphs.device).view(-1, 1)

    def locate(at: Tensor, where: Tensor) -> Tensor:
        return torch.searchsorted(key, at * max(graph.num_nodes, 1) + where)

    return Fields(
        num_instances=int(graphs.numel()),
        node_instance=node_instance,
        node=node,
        distance=torch.zeros_like(node),
        edge_instance=edge_instance,
        edge=edge,
        source=locate(edge_instance, graph.source[edge]),
        destination=locate(edge_instance, graph.destination[edge]),
        seed=locate(instance, seeds),
    )
