"""What all growing graphs share, whoever moves them: the rules, the classifier, what happened."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from glassgraph.explainers.generation.classifier import Classifier
from glassgraph.explainers.generation.graph_rules import Rule
from glassgraph.explainers.generation.states import Graphs

#: Iterations count from 0; what is drawn outside of them has these addresses.
STREAM_EXPLAIN, STREAM_WANDER, STREAM_START = -1, -2, -3


@dataclass(frozen=True)
class Ground:
    """For which class of which model graphs grow, and under which rules.

    Attributes:
        classifier: the explained model.
        rules: bound rules.
        target: the class.
        chance: 1/l, what its probability is held against.
        seed: seed of all numbers.
    """

    classifier: Classifier
    rules: Sequence[Rule]
    target: int
    chance: float
    seed: int

    def legal(self, graphs: Graphs) -> Tensor:
        """Moves that keep every rule that knows in advance, ``[B, V, V + K]``."""
        moves = graphs.moves()
        for rule in self.rules:
            if rule.foresees:
                moves = moves & rule.moves(graphs)
        return moves


@dataclass(frozen=True)
class Recorded:
    """One step of those episodes that went on.

    Attributes:
        row: ``[b]`` which episodes.
        start, end: ``[b]`` moves.
        is_valid, is_accepted: ``[b]``.
        probability: ``[b]`` of the target, NaN where the graph breaks a rule.
        reward: ``[b]``.
        after: all B graphs after the step.
    """

    row: Tensor
    start: Tensor
    end: Tensor
    is_valid: Tensor
    is_accepted: Tensor
    probability: Tensor
    reward: Tensor
    after: Graphs


@dataclass
class Episodes:
    """B graphs that grew, from where they began.

    Attributes:
        begin: the graphs at the beginning.
        steps: what happened.
    """

    begin: Graphs
    steps: list[Recorded] = field(default_factory=list)

    @property
    def last(self) -> Graphs:
        """The graphs at the end."""
        return self.steps[-1].after if self.steps else self.begin

    def best(self, slack: float) -> tuple[Graphs, Tensor]:
        """Of each episode the graph that it gives, and the step it came by.

        Of the graphs nearly as probable as the best those with the most nodes, of these the first,
        which has the fewest edges. Without an accepted step it is the beginning, step 0.
        """
        graphs = self.begin
        taken, size = torch.zeros_like(graphs.size), torch.zeros_like(graphs.size)
        value = torch.full((len(self.steps), len(graphs)), -math.inf, device=taken.device).double()
        for number, step in enumerate(self.steps):
            found = step.probability.double().masked_fill(~step.is_accepted, -math.inf)
            value[number, step.row] = found
        highest = value.amax(dim=0) if self.steps else value
        for number, step in enumerate(self.steps):
            is_near = (value[number] >= highest - slack) & value[number].isfinite()
            is_chosen = is_near & (step.after.size > size)
            graphs = step.after.where(is_chosen, graphs)
            size = torch.where(is_chosen, graphs.size, size)
            taken = torch.where(is_chosen, number + 1, taken)
        return graphs, taken


def keeps(rules: Sequence[Rule], graphs: Graphs) -> Tensor:
    """Whether graphs keep all rules, ``[B]``; later rules are asked where earlier ones hold."""
    kept = torch.ones(len(graphs), dtype=torch.bool, device=graphs.node_type.device)
    for rule in rules:
        where = kept.nonzero().flatten()
        if where.numel():
            kept[where] = rule.holds(graphs.take(where))
    return kept
