"""Edges that might be there: which, and instances whose edges they are among.

An edge that is inserted looks like most others: of each attribute it has the row that most edges
have; weights, whose values all differ, have their mean.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from glassgraph.core.addresses import within_graph
from glassgraph.core.batch import InstanceBatch
from glassgraph.core.reachability import sees_all, visible_nodes
from glassgraph.errors import GraphError, HyperParameterError
from glassgraph.explainers.perturbation.counterfactuals.kinds import Allowed
from glassgraph.inputs.graph import TypedGraph
from glassgraph.inputs.links import edge_attributes


@dataclass(frozen=True)
class Insertions:
    """Instances with edges among theirs that are not there.

    Attributes:
        batch: the instances with these edges; an instance's own ones come first.
        is_new: ``[e']`` which are not there.
        attributes: rows ``[1, ...]`` that an inserted edge has, by name.
    """

    batch: InstanceBatch
    is_new: Tensor
    attributes: dict[str, Tensor]

    @property
    def own(self) -> Tensor:
        """``[e]`` where the instances' own edges stand."""
        return (~self.is_new).nonzero().view(-1)

    @classmethod
    def none(cls, batch: InstanceBatch) -> Insertions:
        """Instances as they are."""
        is_new = torch.zeros(batch.num_edges, dtype=torch.bool, device=batch.device)
        return cls(batch, is_new, {})

    @classmethod
    @torch.no_grad()
    def of(cls, batch: InstanceBatch, allowed: Allowed, *, pairs: bool) -> Insertions:
        """Instances, seen from outside, with all edges that may be inserted.

        Args:
            batch: the instances.
            allowed: which edges may be inserted.
            pairs: whether both directions are inserted as one.

        Raises:
            HyperParameterError: for pairs of nodes that do not exist or are joined, and if there
                are more than allowed.
            GraphError: of graphs with types, or on disk, to which no edge can be added.
        """
        refuse_graphs(batch.graph)
        source, destination = _candidates(batch, allowed, pairs=pairs)
        if pairs:
            source, destination = (
                torch.stack([source, destination], dim=1).view(-1),
                torch.stack([destination, source], dim=1).view(-1),
            )
        graph, attributes = _with_another_edge(batch)
        fields, count = batch.fields, batch.num_edges
        owner = torch.cat([fields.edge_instance, batch.node_instance[source]])
        order = torch.argsort(owner, stable=True)
        edge = torch.cat([fields.edge, torch.full_like(source, graph.num_edges - 1)])
        changed = replace(
            fields,
            edge_instance=owner[order],
            edge=edge[order],
            source=torch.cat([fields.source, source])[order],
            destination=torch.cat([fields.destination, destination])[order],
        )
        everyone = torch.arange(batch.num_instances, device=batch.device)
        found = replace(batch, graph=graph).with_fields(changed, everyone)
        found = replace(found, is_whole=batch.is_whole)
        return cls(replace(found, reference=found.output()), order >= count, attributes)


def refuse_graphs(graph: TypedGraph) -> None:
    """Refuse graphs to which no edge can be added.

    Raises:
        GraphError: saying why.
    """
    if graph.is_heterogeneous:
        raise GraphError(
            "insertions are for graphs with one type of nodes and edges; this one has several. "
            "Leave insertions='none'"
        )
    if graph.must_stay_cut:
        raise GraphError(
            "insertions need a graph in memory; this one is read from disk field by field. Leave "
            "insertions='none'"
        )


def _candidates(batch: InstanceBatch, allowed: Allowed, *, pairs: bool) -> tuple[Tensor, Tensor]:
    """Ends ``[c]`` of edges that may be inserted, among the nodes of the batch."""
    is_seen, key = visible_nodes(batch), _JoinedPairs(batch, pairs=pairs)
    hears = is_seen
    if not (sees_all(batch) or batch.wiring.needs_both_directions):
        hears = is_seen & (batch.fields.distance < batch.wiring.most_steps)
    is_given = not isinstance(allowed.insertions, str)
    given = _given(batch, allowed.insertions) if is_given else None
    found = []
    for number in range(batch.num_instances):
        own = batch.node_instance == number
        senders, receivers = ((own & each).nonzero().view(-1) for each in (is_seen, hears))
        if given is not None:
            ends = key.named(given, number)
            ends = ends[:, is_seen[ends].all(dim=0)]
        elif allowed.insertions == "target":
            seed = batch.fields.seed[number]
            ends = torch.cartesian_prod(senders, seed).t()
            if pairs or batch.wiring.needs_both_directions:
                ends = torch.cat([ends, ends.flip(0)], dim=1)
        else:
            joined = int(batch.edges_per_instance[number])
            count = senders.numel() * receivers.numel() // (1 + pairs)
            _refuse_many(batch, number, count - joined, allowed)  # before they are written out
            ends = torch.cartesian_prod(senders, receivers).t()
        ends = key.different(ends) if given is not None else key.free(key.different(ends))
        _refuse_many(batch, number, ends.size(1), allowed)
        found.append(ends)
    source, destination = torch.cat(found, dim=1)
    return source, destination


def _refuse_many(batch: InstanceBatch, number: int, count: int, allowed: Allowed) -> None:
    if count > allowed.most:
        raise HyperParameterError(
            f"insertions={allowed.insertions!r}: {count:,} pairs of nodes could be joined around "
            f"{batch.task.level} {int(batch.key[number])}, more than "
            f"max_candidates={allowed.most:,}. Name some, insertions=[(0, 5), ...], take "
            "insertions='target' where a node or link is explained, or raise max_candidates"
        )


class _JoinedPairs:
    """Which pairs of nodes are joined by an edge.

    Args:
        batch: the instances.
        pairs: whether direction does not count.
    """

    def __init__(self, batch: InstanceBatch, *, pairs: bool) -> None:
        self._batch, self._pairs = batch, pairs
        self._joined = torch.unique(self._key(batch.fields.source, batch.fields.destination))

    def _key(self, source: Tensor, destination: Tensor) -> Tensor:
        if self._pairs:
            ends = torch.stack([source, destination]).sort(dim=0).values
            source, destination = ends[0], ends[1]
        return source * max(1, self._batch.num_nodes) + destination

    def different(self, ends: Tensor) -> Tensor:
        """Each pair ``[2, c]`` once, without loops."""
        ends = ends[:, ends[0] != ends[1]]
        key = torch.unique(self._key(ends[0], ends[1]))
        size = max(1, self._batch.num_nodes)
        return torch.stack([key // size, key % size])

    def free(self, ends: Tensor) -> Tensor:
        """Pairs ``[2, c]`` that are not joined."""
        return ends[:, ~torch.isin(self._key(ends[0], ends[1]), self._joined)]

    def named(self, given: Tensor, number: int) -> Tensor:
        """Given pairs of the user's nodes ``[2, g]`` as nodes of an instance that has both.

        Raises:
            HyperParameterError: if one is joined already.
        """
        batch = self._batch
        row = (batch.node_instance == number).nonzero().view(-1)
        own = within_graph(batch.graph, batch.fields.node[row])
        place = torch.searchsorted(own, given).clamp_max(max(0, own.numel() - 1))
        has_both = (own[place] == given).all(dim=0)
        given, ends = given[:, has_both], row[place[:, has_both]]
        is_free = ~torch.isin(self._key(ends[0], ends[1]), self._joined)
        if not bool(is_free.all()):
            first = tuple(given[:, ~is_free][:, 0].tolist())
            raise HyperParameterError(
                f"insertions names {first}, which an edge joins already; leave it out"
            )
        return ends


def _given(batch: InstanceBatch, pairs: Sequence[Sequence[int]] | str) -> Tensor:
    """The user's pairs ``[2, g]``.

    Raises:
        HyperParameterError: for nodes that do not exist.
    """
    given = torch.tensor([[pair[end] for pair in pairs] for end in (0, 1)], device=batch.device)
    num_nodes = batch.graph.num_nodes
    if batch.graph.node_graph is not None:
        num_nodes = int(batch.graph.by_graph[0].pointer.diff().max())
    if given.numel() and (int(given.min()) < 0 or int(given.max()) >= num_nodes):
        wrong = given.t()[((given < 0) | (given >= num_nodes)).any(dim=0)][0].tolist()
        raise HyperParameterError(
            f"insertions names {tuple(wrong)}; nodes are 0 to {num_nodes - 1}"
        )
    return given


def _with_another_edge(batch: InstanceBatch) -> tuple[TypedGraph, dict[str, Tensor]]:
    """The user's graph with one more row in everything that edges have; what it holds."""
    graph = batch.graph
    data = copy.copy(graph.data)
    names = [name for name in edge_attributes(graph.data) if batch.model_call.needs(name)]
    rows = {name: _usual_row(name, graph.data[name]) for name in names}
    for name, row in rows.items():
        data[name] = torch.cat([graph.data[name], row])
    ends = graph.data.edge_index
    data.edge_index = torch.cat([ends, ends.new_zeros(2, 1)], dim=1)
    return replace(graph, data=data, edge_offset=[0, graph.num_edges + 1]), rows


def _usual_row(name: str, value: Tensor) -> Tensor:
    """What an inserted edge has of an attribute.

    Raises:
        GraphError: if there is nothing usual.
    """
    if value.is_floating_point() and value[:1].numel() == 1:
        kinds = torch.unique(value)
        if 2 * kinds.numel() > value.size(0):
            return value.mean(dim=0, keepdim=True)
    rows, count = torch.unique(value, dim=0, return_counts=True)
    if not count.numel() or (int(count.max()) == 1 and value.size(0) > 1):
        raise GraphError(
            f"insertions give an edge the row of {name} that most edges have; here all rows differ"
        )
    usual: Tensor = rows[count.argmax()].unsqueeze(0)
    return usual
