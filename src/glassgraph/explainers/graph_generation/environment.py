"""The environment that graphs grow in: the class, the rules, the classifier, the moves offered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from glassgraph.explainers.graph_generation.classifier import Classifier
from glassgraph.explainers.graph_generation.dense_graphs import DenseGraphs
from glassgraph.explainers.graph_generation.rule import Rule, satisfies

#: Iterations count from 0; what is drawn outside of them has these addresses.
STREAM_EXPLAIN, STREAM_RANDOM, STREAM_INITIAL = -1, -2, -3


@dataclass(frozen=True)
class Environment:
    """For which class of which model graphs grow, and under which rules.

    Attributes:
        classifier: the explained model.
        rules: bound rules.
        target: the class.
        chance: 1/l, what its probability is held against.
        seed: seed of all numbers.
        mask_moves: offer only moves that keep the rules, as far as rules can say in advance.
    """

    classifier: Classifier
    rules: Sequence[Rule]
    target: int
    chance: float
    seed: int
    mask_moves: bool = True

    def target_probability(self, graphs: DenseGraphs) -> Tensor:
        """``[B]`` probability of the class."""
        return self.classifier(graphs)[:, self.target]

    def legal_moves(self, graphs: DenseGraphs) -> Tensor:
        """Moves that keep every rule that can say so in advance, ``[B, V, V + K]``."""
        moves = graphs.moves()
        for rule in self.rules:
            if rule.masks_moves:
                moves = moves & rule.allowed_moves(graphs)
        return moves

    def offered_moves(self, graphs: DenseGraphs) -> Tensor:
        """Moves that a policy chooses from, ``[B, V, V + K]``."""
        return self.legal_moves(graphs) if self.mask_moves else graphs.candidates()

    def is_valid(
        self, before: DenseGraphs, after: DenseGraphs, start: Tensor, end: Tensor
    ) -> Tensor:
        """Whether offered moves are possible and the graphs after them keep all rules, ``[B]``."""
        if self.mask_moves:
            return satisfies([rule for rule in self.rules if not rule.masks_moves], after)
        row = torch.arange(len(before), device=start.device)
        is_simple = before.moves()[row, start, end]
        where = is_simple.nonzero().flatten()
        return is_simple.index_copy(0, where, satisfies(self.rules, after.take(where)))
