"""What GraphMask's solvers are told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Solver = Literal["path", "lagrangian"]


@dataclass(frozen=True)
class SolverSettings:
    """Hyper-parameters of the optimization; see `glassgraph.explainers.GraphMask`.

    Attributes:
        seed: seed of everything random.
        solver: which of them.
        steps: gradient steps in all.
        learning_rate: of Adam, None for the solver's own.
        location_scale: of the path: standard deviation of the gates' locations over a batch.
        sweep: of the path: the offset runs from plus to minus this.
        polish: of the path: share of the steps that polish the best solution.
        multiplier_learning_rate: of the Lagrangian: RMSProp on the multiplier.
        sparsity_weight: of the Lagrangian: weight of the expected share of open gates.
    """

    seed: int
    solver: Solver
    steps: int
    learning_rate: float | None
    location_scale: float
    sweep: float
    polish: float
    multiplier_learning_rate: float
    sparsity_weight: float
