r"""Robust fidelity: the same questions, on graphs like those that the model has learned from.

Fidelity takes all of an explanation ``S`` away, or all but it, and so asks the model about graphs
that are unlike any it has seen. Here most of the graph stays. With ``E_a`` a random part in which
every undirected edge is with probability ``a``,

.. code-block:: text

    Fid+ = f(G)_y - E f(G - E_a+(S))_y            Fid- = f(G)_y - E f(S + E_a-(G \ S))_y
    Delta = Fid+ - Fid-

in probability of the explained class (as `glassgraph.metrics.fidelity`; a regression in its own
unit). ``alpha_plus`` is the share of the explanation that is *removed*, ``alpha_minus`` the share
of the rest that is *kept*. With ``alpha_plus=1, alpha_minus=0`` they are ordinary fidelity.

A number is drawn for each pair of nodes, so that both directions of an edge come or go together. It
depends on seed, instance, draw and the two nodes alone: an instance has the same draws alone and
among others, at all levels, and for all methods.

Zheng et al., "Towards Robust Fidelity for Evaluating Explainability of Graph Neural Networks" (ICLR
2024, https://arxiv.org/abs/2310.01820).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from glassgraph.calling.call import Call
from glassgraph.core import random
from glassgraph.core.addresses import pair_address
from glassgraph.errors import UnknownMetricError
from glassgraph.inputs.graph import TypedGraph
from glassgraph.inputs.instances import Instances
from glassgraph.inputs.task import Task
from glassgraph.metrics.measured import Better, Measured
from glassgraph.metrics.removal import Removal, check_removal
from glassgraph.metrics.run import DEFAULT_MEMORY_BUDGET, Run, opened
from glassgraph.metrics.scores import Level, Ranking, read_levels
from glassgraph.metrics.states import States
from glassgraph.results.explanation import Explanations


@dataclass(frozen=True)
class Draws:
    """Random parts of graphs.

    Attributes:
        alpha_plus: share of the explanation that is removed.
        alpha_minus: share of the rest that is kept.
        samples: how many parts are drawn.
        seed: of the draws.

    Raises:
        UnknownMetricError: for shares outside of [0, 1], or no samples.
    """

    alpha_plus: float = 0.1
    alpha_minus: float = 0.9
    samples: int = 50
    seed: int = 0

    def __post_init__(self) -> None:
        for name, share in (("alpha_plus", self.alpha_plus), ("alpha_minus", self.alpha_minus)):
            if not 0 <= share <= 1:
                raise UnknownMetricError(f"{name} is a share from 0 to 1; got {share}")
        if self.samples < 1:
            raise UnknownMetricError(f"samples must be at least 1; got {self.samples}")

    @property
    def num_plus(self) -> int:
        """How many parts of the explanation are drawn: one, where all or nothing is."""
        return 1 if self.alpha_plus in (0, 1) else self.samples

    @property
    def num_minus(self) -> int:
        """The same of the rest."""
        return 1 if self.alpha_minus in (0, 1) else self.samples

    def of(self, graph: TypedGraph, instances: Instances) -> Callable[..., Tensor]:
        """A function that says whether edges are there.

        It takes the number of the draw (those of Fid-, then those of Fid+), the instance, the edge
        and whether it is selected, each ``[k]``.
        """
        address, key = pair_address(graph), instances.index

        def is_present(draw: Tensor, instance: Tensor, edge: Tensor, selected: Tensor) -> Tensor:
            number = random.uniform(self.seed, key[instance], draw, address[edge])
            without = ~selected | (number >= self.alpha_plus)
            alone = selected | (number < self.alpha_minus)
            return torch.where(draw < self.num_minus, alone, without)

        return is_present


def robust_fidelity(
    explanations: Explanations,
    model: nn.Module | Callable[..., Any],
    data: Any,
    *,
    task: str | Task | None = None,
    removal: Removal = "shut",
    sparsity: float | Sequence[float] = (0.5, 0.7, 0.9),
    top_k: int | Sequence[int] | None = None,
    ranking: Ranking = "signed",
    alpha_plus: float = 0.1,
    alpha_minus: float = 0.9,
    samples: int = 50,
    seed: int = 0,
    call: Call | None = None,
    memory_budget: int = DEFAULT_MEMORY_BUDGET,
) -> list[Measured]:
    """Robust Fid+, Fid- and their difference at each level, as drops of probability.

    See the module's docstring for the formulas. The edges of an explanation are selected as in
    `fidelity`, at shares of directed edges.

    Args:
        explanations: what is measured; their targets say which class.
        model: as in `fidelity`.
        data: the explained graph(s).
        task: as in `fidelity`.
        removal: what removing an edge means.
        sparsity: shares of the receptive field's edges that are *not* selected.
        top_k: numbers of selected edges, instead of sparsities.
        ranking: ``"signed"`` or ``"absolute"`` scores.
        alpha_plus: share of the selected edges that is removed.
        alpha_minus: share of the other edges that is kept.
        samples: how many random parts the means are over.
        seed: of the random parts.
        call: as in `fidelity`.
        memory_budget: bytes that one pass may take.

    Returns:
        For each level ``robust_fidelity_plus`` (higher is better), ``robust_fidelity_minus``
        (lower) and ``robust_fidelity_delta`` (higher).

    Raises:
        UnknownMetricError: for shares outside of [0, 1], no samples, and as in `fidelity`.
        GlassgraphError: see `fidelity`.

    Example:
        >>> import torch
        >>> import glassgraph as gg
        >>> from torch_geometric.data import Data
        >>> from torch_geometric.nn import SimpleConv
        >>> x = torch.tensor([[0.0, 0.0], [3.0, 0.0], [0.0, 2.0]])
        >>> data = Data(x=x, edge_index=torch.tensor([[1, 2], [0, 0]]))
        >>> model = SimpleConv(aggr="sum")
        >>> explanations = gg.EdgeGradients(model, progress=False).explain(data, index=[0])
        >>> found = robust_fidelity(explanations, model, data, top_k=1, samples=200)
        >>> [f"{one.metric.split('_')[-1]} {one.estimate.value:.1f}" for one in found]
        ['plus 0.1', 'minus -0.0', 'delta 0.1']
    """
    levels, removal = read_levels(sparsity, top_k), check_removal(removal)
    draws = Draws(alpha_plus, alpha_minus, samples, seed)
    with opened(explanations, model, data, task, call, removal, memory_budget) as run:
        plus, minus = _drops(run, levels, ranking, draws)
    ways: list[tuple[str, Tensor, Better]] = [
        ("plus", plus, "higher"),
        ("minus", minus, "lower"),
        ("delta", plus - minus, "higher"),
    ]
    return [
        Measured.of(
            f"robust_fidelity_{name}", explanations.method, drop[k], level=str(level), better=better
        )
        for k, level in enumerate(levels)
        for name, drop, better in ways
    ]


def _drops(
    run: Run, levels: Sequence[Level], ranking: Ranking, draws: Draws
) -> tuple[Tensor, Tensor]:
    """Fid+ and Fid- ``[K, B]``."""
    ranked = run.ranked(ranking)
    kept, is_drawn = ranked.num_kept(levels), draws.of(run.preparation.graph, run.instances)
    each = draws.num_minus + draws.num_plus

    def is_present(state: Tensor, instance: Tensor, edge: Tensor) -> Tensor:
        selected = ranked.find(instance, edge) < kept[state // each, instance]
        return is_drawn(state % each, instance, edge, selected)

    drop = torch.full((2, len(levels), len(run)), float("nan"), dtype=torch.float64)
    for batch in run.batches():
        after = batch.ask(States.of_each(batch.position, each * len(levels), is_present)).value
        lost = batch.before.value - after.view(len(levels), each, -1)
        minus, plus = lost.double().cpu().split([draws.num_minus, draws.num_plus], dim=1)
        drop[:, :, batch.position.cpu()] = torch.stack([plus.mean(dim=1), minus.mean(dim=1)])
    plus, minus = run.spread(drop)
    return plus, minus
