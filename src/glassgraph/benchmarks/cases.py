"""What a metric of a benchmark is asked about, and what it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from glassgraph.metrics.measured import Better, Measured
from glassgraph.metrics.scores import Ranking
from glassgraph.results.explanation import Explanations

if TYPE_CHECKING:
    from glassgraph.benchmarks.subjects import Subject
    from glassgraph.explainers.base import Explainer

#: Sparsities of metrics that have levels, unless a suite says otherwise.
SPARSITY = (0.5, 0.7, 0.9)


@dataclass(frozen=True)
class Case:
    """What one metric is measured on.

    Attributes:
        explanations: what is measured.
        subject: the model, the data, and which predictions are explained.
        explainer: what made the explanations, fitted.
        make: the same method for another model and seed, fitted on the same predictions.
        ranking: ``"signed"`` or ``"absolute"`` scores.
        seed: of everything that a metric draws.
    """

    explanations: Explanations
    subject: Subject
    explainer: Explainer
    make: Callable[[Any, int], Explainer]
    ranking: Ranking = "signed"
    seed: int = 0


@dataclass(frozen=True)
class Asked:
    """Metrics of one group, and how they are measured.

    Attributes:
        group: name of the group.
        names: the metrics that are wanted of it.
        sparsity: shares of edges that are left out; empty where ``top_k`` counts.
        top_k: numbers of edges instead.
        options: further arguments of the metric.
    """

    group: str
    names: tuple[str, ...]
    sparsity: tuple[float, ...] = ()
    top_k: tuple[int, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def levels(self) -> dict[str, Any]:
        """As the functions of `glassgraph.metrics` take them."""
        if self.top_k:
            return {"top_k": self.top_k}
        return {"sparsity": self.sparsity} if self.sparsity else {}


Measure = Callable[[Case, Asked], "list[Measured]"]


@dataclass(frozen=True)
class Group:
    """Metrics that are measured together.

    Attributes:
        metrics: their names, and which way each is good.
        measure: measures them.
        searched: those that can be searched for, which gives their ceiling.
        needs_truth: whether the data have to say what is true.
        takes: what its levels may be, ``"sparsity"`` or ``"top_k"``; none for what has no levels.
        default_levels: those that count if a suite names none.
        options: further arguments, and their types.
    """

    metrics: Mapping[str, Better]
    measure: Measure
    searched: tuple[str, ...] = ()
    needs_truth: bool = False
    takes: tuple[str, ...] = ()
    default_levels: Mapping[str, tuple[Any, ...]] = field(
        default_factory=lambda: {"sparsity": SPARSITY}
    )
    options: Mapping[str, type] = field(default_factory=dict)

    @property
    def has_levels(self) -> bool:
        """Whether it is measured at levels."""
        return bool(self.takes)
