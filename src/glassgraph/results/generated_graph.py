"""One generated graph and its history: the moves that led to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch_geometric.data import Data

from glassgraph.brief import brief_repr


@dataclass(frozen=True)
class Step:
    """One move of a generator.

    Attributes:
        start: node that the edge starts from.
        end: node that it goes to; the new one's number where one was added.
        added: type of the added node, -1 for none.
        is_valid: whether the graph after it keeps all rules.
        is_accepted: whether it was kept; else it was rolled back.
        probability: of the target class on the graph after it; NaN if that breaks a rule, for then
            the model is not asked.
        reward: what the generator was paid; NaN where none was computed.
    """

    start: int
    end: int
    added: int
    is_valid: bool
    is_accepted: bool
    probability: float
    reward: float


@dataclass(frozen=True)
class GeneratedGraph:
    """A graph and its history.

    Attributes:
        data: what the model is given: ``x``, ``edge_index`` (both directions), ``node_type``.
        probabilities: ``[C]`` of all classes.
        keeps_rules: whether it keeps all rules.
        origin: the graph that growing began with: ``node_type``, ``edge_index``.
        origin_probability: of the target class there.
        steps: all moves that were tried, in order, also those after `taken`.
        taken: how many of them lead to this graph.
    """

    data: Data
    probabilities: Tensor
    keeps_rules: bool
    origin: Data
    origin_probability: float
    steps: tuple[Step, ...]
    taken: int

    __repr__ = brief_repr

    @property
    def node_type(self) -> Tensor:
        """``[n]`` type of each node."""
        node_type: Tensor = self.data.node_type
        return node_type

    @property
    def edge_index(self) -> Tensor:
        """``[2, e]`` edges in both directions."""
        edge_index: Tensor = self.data.edge_index
        return edge_index

    @property
    def num_edges(self) -> int:
        """Number of undirected edges."""
        return int(self.edge_index.size(1)) // 2

    def at(self, step: int) -> Data:
        """The partial graph after so many steps: ``node_type`` and ``edge_index``.

        Raises:
            IndexError: if there are not so many steps.
        """
        if not 0 <= step <= len(self.steps):
            raise IndexError(f"step must lie in 0..{len(self.steps)}; got {step}")
        kept = [each for each in self.steps[:step] if each.is_accepted]
        origin: Any = self.origin
        types = origin.node_type.tolist() + [each.added for each in kept if each.added >= 0]
        pairs = [(each.start, each.end) for each in kept]
        added = torch.tensor(pairs + [(b, a) for a, b in pairs]).long().view(-1, 2).t()
        edges = torch.cat([origin.edge_index, added], dim=1)
        order = (edges[0] * max(1, len(types)) + edges[1]).argsort()
        return Data(node_type=torch.tensor(types), edge_index=edges[:, order], num_nodes=len(types))
