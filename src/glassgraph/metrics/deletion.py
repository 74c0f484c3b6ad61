r"""The area between two curves of deletion: how much earlier than by chance does a prediction fall?

Edges are removed from the best to the last. With ``S_t`` the best share ``t`` of them, and ``R_t``
as many random ones,

.. code-block:: text

    area = integral over t from 0 to 1 of   E_R f(G \ R_t)_y - f(G \ S_t)_y

by the trapezoidal rule, in probability of the explained class (a regression in its own unit). It is
0 for random scores, positive where the best edges carry the prediction, and negative for a ranking
that is wrong way round. Both curves are measured on the same instance, so that the interval is one
of paired differences. How faithful a *ranking* is has also been called its infidelity; the area
needs no level.

Random orders depend on seed, instance and draw alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from glassgraph.calling.call import Call
from glassgraph.core import random
from glassgraph.errors import UnknownMetricError
from glassgraph.inputs.task import Task
from glassgraph.metrics.measured import Measured
from glassgraph.metrics.ranked import rank_edges
from glassgraph.metrics.removal import Removal, check_removal
from glassgraph.metrics.run import DEFAULT_MEMORY_BUDGET, Run, opened
from glassgraph.metrics.scores import Level, Ranking
from glassgraph.metrics.states import States
from glassgraph.results.explanation import Explanations
from glassgraph.results.records import LocalExplanation


def deletion_area(
    explanations: Explanations,
    model: nn.Module | Callable[..., Any],
    data: Any,
    *,
    task: str | Task | None = None,
    removal: Removal = "shut",
    ranking: Ranking = "signed",
    steps: int = 10,
    draws: int = 10,
    seed: int = 0,
    call: Call | None = None,
    memory_budget: int = DEFAULT_MEMORY_BUDGET,
) -> list[Measured]:
    """Area between the deletion curve of random scores and that of the explanations.

    See the module's docstring for the formula.

    Args:
        explanations: what is measured; their targets say which class.
        model: as in `fidelity`.
        data: the explained graph(s).
        task: as in `fidelity`.
        removal: what removing an edge means.
        ranking: ``"signed"`` or ``"absolute"`` scores.
        steps: into how many parts the curves are cut.
        draws: how many random orders the mean is over.
        seed: of the random orders.
        call: as in `fidelity`.
        memory_budget: bytes that one pass may take.

    Returns:
        One ``deletion_area``, higher is better.

    Raises:
        UnknownMetricError: for no steps or draws, and as in `fidelity`.
        GlassgraphError: see `fidelity`.
    """
    for name, number in (("steps", steps), ("draws", draws)):
        if number < 1:
            raise UnknownMetricError(f"{name} must be at least 1; got {number}")
    removal = check_removal(removal)
    with opened(explanations, model, data, task, call, removal, memory_budget) as run:
        found = run.spread(_areas(run, ranking, steps, draws, seed))
    return [Measured.of("deletion_area", explanations.method, found)]


def _areas(run: Run, ranking: Ranking, steps: int, draws: int, seed: int) -> Tensor:
    """``[b]`` of each instance."""
    graph = run.preparation.graph
    orders = [run.ranked(ranking)]
    orders += [rank_edges(run.locals_, graph, score=_random(seed, d)) for d in range(draws)]
    removed = orders[0].num_kept([Level(sparsity=1 - t / steps) for t in range(1, steps + 1)])

    def is_present(state: Tensor, instance: Tensor, edge: Tensor) -> Tensor:
        rank = torch.empty_like(edge)
        for number, order in enumerate(orders):
            mine = state // steps == number
            rank[mine] = order.find(instance[mine], edge[mine])
        return rank >= removed[state % steps, instance]

    found = torch.full((len(run),), float("nan"), dtype=torch.float64)
    for batch in run.batches():
        states = States.of_each(batch.position, steps * len(orders), is_present)
        own, *chance = batch.ask(states).value.double().view(len(orders), steps, -1)
        gap = torch.stack(chance).mean(dim=0) - own
        # Where nothing is left of a graph, neither curve has a number, and they end together.
        gap = gap.nan_to_num(0.0)
        found[batch.position.cpu()] = ((gap.sum(dim=0) - gap[-1] / 2) / steps).cpu()
    return found


def _random(seed: int, draw: int) -> Callable[[LocalExplanation], Tensor]:
    def score(local: LocalExplanation) -> Tensor:
        address = torch.tensor([local.graph, local.index])
        return random.uniform(seed, *address, draw, torch.arange(local.edge_id.numel()))

    return score
