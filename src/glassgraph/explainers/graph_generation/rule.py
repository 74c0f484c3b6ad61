"""The interface of rules that generated graphs have to keep, and asking several of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor
from typing_extensions import Self

from glassgraph.explainers.graph_generation.dense_graphs import DenseGraphs


class Rule(ABC):
    """What every graph on the way has to keep.

    A rule judges graphs (`holds`) and, where it can, says in advance which moves keep it
    (`allowed_moves`), so that a generator need not find out by trying. A rule of one's own derives
    from this class, or is just a function ``(node_type, edge_index) -> bool``, which is asked about
    one graph at a time.

    Graphs come as B dense graphs with room for V nodes of K types: ``node_type [B, V]`` (-1 where
    there is no node), ``adjacency [B, V, V]``, ``is_node [B, V]``, ``degree [B, V]``,
    ``num_nodes [B]``, ``num_edges [B]``.

    Example:
        >>> import glassgraph as gg
        >>> class NoCycle(gg.graph_rules.Rule):
        ...     def holds(self, graphs):
        ...         return graphs.num_edges < graphs.num_nodes
        >>> def size(x, edge_index, batch):
        ...     return torch.bincount(batch)[:, None] * torch.tensor([-1.0, 1.0])
        >>> xgnn = gg.XGNN(size, node_types=1, max_nodes=5, rules=[NoCycle()])
        >>> [graph.num_edges for graph in xgnn.random(n=3, target_class=1)]
        [4, 4, 4]
    """

    #: Whether `allowed_moves` tells every move that keeps it: nothing is left to judge after one.
    masks_moves: ClassVar[bool] = False

    @property
    def name(self) -> str:
        """As error messages call it."""
        return repr(self)

    def bind(self, node_types: Sequence[str]) -> Self:
        """Get to know the names of the node types.

        Raises:
            HyperParameterError: if the rule has nothing to say about one of them.
        """
        return self

    @abstractmethod
    def holds(self, graphs: DenseGraphs) -> Tensor:
        """Which graphs keep it, ``[B]`` bool."""

    def allowed_moves(self, graphs: DenseGraphs) -> Tensor:
        """Which moves keep it, ``[B, V, V + K]`` bool, as far as it can say in advance."""
        return graphs.candidates()

    def keeps(self, node_type: Tensor, edge_index: Tensor) -> bool:
        """Whether one graph keeps it; of a rule that knows the node types, see `bind`.

        Args:
            node_type: ``[n]`` numbers of the types of nodes.
            edge_index: ``[2, e]``; loops and directions do not count.
        """
        size, edges = node_type.numel(), edge_index[:, edge_index[0] != edge_index[1]]
        if not size:
            return False
        num_types = int(node_type.max()) + 1
        return bool(self.holds(DenseGraphs.from_edges(node_type, edges, size, num_types)))

    def to_json(self) -> dict[str, Any] | None:
        """How to build it again; None for rules that no file can hold."""
        return None


def satisfies(rules: Sequence[Rule], graphs: DenseGraphs) -> Tensor:
    """Whether graphs keep all rules, ``[B]``; later rules are asked where earlier ones hold."""
    kept = torch.ones(len(graphs), dtype=torch.bool, device=graphs.node_type.device)
    for rule in rules:
        where = kept.nonzero().flatten()
        if where.numel():
            kept[where] = rule.holds(graphs.take(where))
    return kept
