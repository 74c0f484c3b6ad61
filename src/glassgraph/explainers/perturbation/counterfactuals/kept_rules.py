"""Do graphs keep rules after a change?

Rules are those of `glassgraph.graph_rules`, about whole graphs without loops and directions, so
they are for tasks about graphs. The types of nodes that a rule speaks of are `NodeWords`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from glassgraph.core.batch import InstanceBatch
from glassgraph.errors import HyperParameterError
from glassgraph.explainers.graph_generation.dense_graphs import DenseGraphs
from glassgraph.explainers.graph_generation.graph_rules import as_rule
from glassgraph.explainers.graph_generation.rule import satisfies
from glassgraph.inputs.receptive import pointer_of
from glassgraph.inputs.task import Task
from glassgraph.results.node_words import NodeWords

#: Entries of adjacency matrices that are looked at together.
_ENTRIES_AT_ONCE = 1 << 24


def check_rules(name: str, rules: Sequence[Callable[..., Any]], task: Task) -> None:
    """Refuse what is no rule, and rules where predictions are not about graphs.

    Raises:
        HyperParameterError: naming it.
    """
    for rule in rules:
        as_rule(rule)
    if rules and task.level != "graph":
        raise HyperParameterError(
            f"{name}: rules are about whole graphs, and so for predictions about graphs; got a "
            f"task about {task.level}s. Leave rules out"
        )


class KeptRules:
    """Asks rules about changed graphs of a batch.

    Args:
        batch: the instances, with edges that may be inserted.
        rules: the rules.
        drops_isolated: whether nodes go with the last of their edges.
    """

    def __init__(
        self, batch: InstanceBatch, rules: Sequence[Callable[..., Any]], *, drops_isolated: bool
    ) -> None:
        self._batch, self._drops_isolated = batch, drops_isolated
        known = NodeWords.of(batch.graph)
        self._rules = [as_rule(rule).bind(known.words) for rule in rules]
        self._num_types = len(known.words)
        self._pointer = pointer_of(batch.nodes_per_instance)
        self._width = max(1, int(batch.nodes_per_instance.max()))
        within = torch.arange(batch.num_nodes, device=batch.device)
        self._place = within - self._pointer[batch.node_instance]
        self._type = torch.full((batch.num_instances, self._width), -1, device=batch.device)
        kind = known.kind.to(batch.device)[batch.fields.node]
        self._type[batch.node_instance, self._place] = kind
        self._needs_edge = torch.zeros_like(self._type, dtype=torch.bool)
        for end in (batch.fields.source, batch.fields.destination):
            self._needs_edge[batch.node_instance[end], self._place[end]] = True

    def holds(self, instance: Tensor, variant: Tensor, edge: Tensor) -> Tensor:
        """Which variants ``[K]`` keep all rules.

        Args:
            instance: ``[K]`` whose they are.
            variant: ``[p]`` ascending, which variant has an edge.
            edge: ``[p]`` the edge.
        """
        size = max(1, _ENTRIES_AT_ONCE // self._width**2)
        found = []
        for first in range(0, instance.numel(), size):
            chosen = instance[first : first + size]
            bounds = variant.new_tensor([first, first + chosen.numel()])
            start, stop = torch.searchsorted(variant, bounds).tolist()
            graphs = self._graphs(chosen, variant[start:stop] - first, edge[start:stop])
            found.append(satisfies(self._rules, graphs))
        return torch.cat(found) if found else instance.bool()

    def _graphs(self, instance: Tensor, variant: Tensor, edge: Tensor) -> DenseGraphs:
        fields = self._batch.fields
        source, destination = (
            self._place[end[edge]] for end in (fields.source, fields.destination)
        )
        shape = (instance.numel(), self._width, self._width)
        adjacency = torch.zeros(shape, dtype=torch.bool, device=instance.device)
        adjacency[variant, source, destination] = True
        adjacency[variant, destination, source] = True
        adjacency.diagonal(dim1=1, dim2=2).zero_()
        kind = self._type[instance]
        if self._drops_isolated:
            is_gone = self._needs_edge[instance] & ~adjacency.any(dim=2)
            kind = kind.masked_fill(is_gone, -1)
            order = torch.argsort((kind < 0).int(), dim=1, stable=True)  # nodes come first
            kind = kind.gather(1, order)
            rows = order[:, :, None].expand(shape)
            adjacency = adjacency.gather(1, rows).gather(2, order[:, None, :].expand(shape))
        return DenseGraphs(kind, adjacency, self._num_types)
