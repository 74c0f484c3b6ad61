"""Do counterfactuals keep rules that every real graph keeps, such as valences?

Beside it stands what chance does: as many edges of the same graph, drawn at random, are deleted
(and as many pairs joined), and the share of draws that keep the rules is the floor.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor
from typing_extensions import Self

from glassgraph.errors import GraphError, UnknownMetricError
from glassgraph.metrics.measured import Measured
from glassgraph.metrics.removal import DELETIONS, Removal, check_removal
from glassgraph.results.counterfactual import Counterfactual
from glassgraph.results.explanation import Explanations
from glassgraph.results.node_words import NodeWords

#: Random changes of a graph that tell chance.
_DRAWS = 100


@runtime_checkable
class GraphRule(Protocol):
    """What every graph has to keep: a rule of `glassgraph.graph_rules`."""

    def bind(self, node_types: Sequence[str]) -> Self:
        """Get to know the words of node types."""
        ...

    def keeps(self, node_type: Tensor, edge_index: Tensor) -> bool:
        """Whether one graph keeps it."""
        ...


def plausibility(
    explanations: Explanations,
    found: Sequence[Counterfactual],
    rules: Sequence[GraphRule | Callable[..., Any]],
    *,
    removal: Removal = "delete",
    seed: int = 0,
) -> Measured:
    """Share of the valid counterfactuals whose graphs keep all rules, beside chance.

    Args:
        explanations: of graphs, of which these are counterfactuals.
        found: one for each.
        rules: of `glassgraph.graph_rules`, or functions ``(node_type, edge_index) -> bool``.
        removal: ``"delete_isolated"`` if nodes go with the last of their edges.
        seed: of the draws of chance.

    Raises:
        UnknownMetricError: for explanations that are not about graphs, and other removals.
        GraphError: if the graph is not at hand.
    """
    removal = check_removal(removal)
    if removal not in DELETIONS:
        raise UnknownMetricError(
            "rules are about graphs without some edges, so removal must be 'delete' or "
            f"'delete_isolated'; got {removal!r}"
        )
    if explanations.level != "graph":
        raise UnknownMetricError(
            "rules are about whole graphs, so plausibility is about counterfactuals of graphs; got "
            f"explanations of {explanations.level}s"
        )
    if explanations.graph is None:
        raise GraphError("the folder of explanations holds no graph; give load(folder, data=data)")
    words = NodeWords.of(explanations.graph)
    asked = [rule.bind(words.words) if isinstance(rule, GraphRule) else rule for rule in rules]
    judge = _Judge(asked, words, explanations, drops_isolated=removal == "delete_isolated")
    kept, chance = [], []
    for number, each in enumerate(found):
        is_known = each.is_valid
        kept.append(float(judge.keeps(number, each)) if is_known else float("nan"))
        chance.append(judge.chance(number, each, seed) if is_known else float("nan"))
    measured, floor = (
        Measured.of(
            "counterfactual_plausibility",
            explanations.method,
            torch.tensor(values, dtype=torch.float64),
        )
        for values in (kept, chance)
    )
    return measured.beside(floor=floor)


class _Judge:
    """Asks rules about changed graphs.

    Args:
        rules: the rules, which know the words of nodes.
        words: what nodes are.
        explanations: of the graphs.
        drops_isolated: whether nodes go with the last of their edges.
    """

    def __init__(
        self,
        rules: Sequence[GraphRule | Callable[..., Any]],
        words: NodeWords,
        explanations: Explanations,
        *,
        drops_isolated: bool,
    ) -> None:
        assert explanations.graph is not None
        self._rules, self._words, self._drops_isolated = rules, words, drops_isolated
        self._graph = explanations.graph
        self._explanations = explanations

    def keeps(self, number: int, found: Counterfactual) -> bool:
        """Whether a counterfactual's graph keeps them all."""
        return self._holds(number, found.original.edge_index, found.data.edge_index)

    def chance(self, number: int, found: Counterfactual, seed: int) -> float:
        """Share of random changes of the same kind and number that keep them."""
        draw = np.random.default_rng([seed, found.index])
        edges = found.original.edge_index.cpu()
        num_nodes = int(found.original.num_nodes)
        units = _units(edges, found.is_undirected, num_nodes)
        names, place = torch.unique(units, return_inverse=True)
        free = _free(names, found.is_undirected, num_nodes) if found.num_inserted else names[:0]
        count, more = min(found.num_deleted, names.numel()), min(found.num_inserted, free.numel())
        if not count + more:
            return float("nan")
        total = 0
        for _ in range(_DRAWS):
            goes = torch.zeros(names.numel(), dtype=torch.bool)
            goes[torch.from_numpy(draw.permutation(names.numel())[:count].copy())] = True
            new = free[torch.from_numpy(draw.permutation(free.numel())[:more].copy())]
            ends = torch.stack([new // num_nodes, new % num_nodes])
            if found.is_undirected:
                ends = torch.cat([ends, ends.flip(0)], dim=1)
            changed = torch.cat([edges[:, ~goes[place]], ends], dim=1)
            total += self._holds(number, edges, changed)
        return total / _DRAWS

    def _holds(self, number: int, before: Tensor, after: Tensor) -> bool:
        kind = self._words.kind[self._nodes(number)]
        is_left = torch.ones(kind.numel(), dtype=torch.bool)
        if self._drops_isolated:
            is_left[before.flatten().cpu()] = False
            is_left[after.flatten().cpu()] = True
        place = is_left.cumsum(0) - 1
        edges = place[after.cpu()]
        both = torch.unique(torch.cat([edges, edges.flip(0)], dim=1), dim=1)
        return all(
            rule.keeps(kind[is_left], both)
            if isinstance(rule, GraphRule)
            else bool(rule(kind[is_left], both[:, both[0] != both[1]]))
            for rule in self._rules
        )

    def _nodes(self, number: int) -> slice:
        """Flat nodes of an explanation's graph."""
        graph = self._explanations.local(number).graph
        if self._graph.node_graph is None:
            return slice(None)
        pointer = self._graph.by_graph[0].pointer
        return slice(int(pointer[graph]), int(pointer[graph + 1]))


def _units(edges: Tensor, is_undirected: bool, num_nodes: int) -> Tensor:
    """``[E]`` a number for each edge, the same for what is deleted as one."""
    if is_undirected:
        edges = edges.sort(dim=0).values
    return edges[0] * num_nodes + edges[1]


def _free(taken: Tensor, is_undirected: bool, num_nodes: int) -> Tensor:
    """Numbers of pairs of different nodes that no edge joins."""
    size = (num_nodes, num_nodes)
    pairs = torch.ones(size).triu(1) if is_undirected else 1 - torch.eye(num_nodes)
    number = pairs.flatten().nonzero().view(-1)
    return number[~torch.isin(number, taken)]
