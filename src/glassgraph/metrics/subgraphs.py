r"""Sufficiency and necessity: is the class the same with k undirected edges alone, or without them?

For graph ``i`` of ``B``, explained class ``y_i`` and the ``k`` best pairs of nodes ``S_i^k`` that
edges join (both directions of an edge are one unit, with the mean of their scores)

.. code-block:: text

    sufficiency(k) = mean_i 1(y^(S_i^k) = y_i)
    necessity(k) = mean_i 1(y^(G_i \ S_i^k) != y_i)

in shares of the graphs; both are better if higher. ``y^H`` is the class predicted on ``H``: edges
are deleted, and by default nodes go with the last of their edges (``removal="delete_isolated"``).
Where an explanation has fewer than ``k`` pairs, all of them are taken. If no node is left of a
graph, there is no prediction and the graph does not count (see ``n``): that is what necessity asks
of a graph with at most ``k`` pairs.

The class is the explained one, and a graph that is not of that class to begin with never counts as
sufficient before something made it so: explain predictions (no ``target``) to ask what the
benchmark asks.

A search for sufficiency reaches nearly all graphs (`glassgraph.metrics.ceiling`), and random edges
reach many: read a number only beside both.

Kosan et al., "GNNX-BENCH: Unravelling the Utility of Perturbation-based GNN Explainers through
In-depth Benchmarking" (ICLR 2024, https://arxiv.org/abs/2310.01794).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from glassgraph.calling.call import Call
from glassgraph.errors import TaskError
from glassgraph.inputs.task import Task
from glassgraph.metrics.measured import Measured
from glassgraph.metrics.removal import Removal, check_removal
from glassgraph.metrics.run import DEFAULT_MEMORY_BUDGET, opened
from glassgraph.metrics.scores import Ranking, read_levels
from glassgraph.metrics.states import States
from glassgraph.results.explanation import Explanations

#: The sizes of explanations that the benchmark reports.
SIZES = (5, 10, 15, 20, 25)


def sufficiency(
    explanations: Explanations,
    model: nn.Module | Callable[..., Any],
    data: Any,
    *,
    task: str | Task | None = None,
    removal: Removal = "delete_isolated",
    top_k: int | Sequence[int] = SIZES,
    ranking: Ranking = "signed",
    call: Call | None = None,
    memory_budget: int = DEFAULT_MEMORY_BUDGET,
) -> list[Measured]:
    """Share of predictions that keep their class on the k best undirected edges alone.

    See the module's docstring for the formula.

    Args:
        explanations: what is measured; their targets say which class.
        model: as in `fidelity`.
        data: the explained graph(s).
        task: as in `fidelity`.
        removal: what removing an edge means.
        top_k: numbers k of undirected edges.
        ranking: ``"signed"`` or ``"absolute"`` scores.
        call: as in `fidelity`.
        memory_budget: bytes that one pass may take.

    Raises:
        TaskError: for a regression, which has no classes.
        GlassgraphError: see `fidelity`.

    Example:
        >>> import torch
        >>> import glassgraph as gg
        >>> from torch_geometric.data import Data
        >>> from torch_geometric.nn import SimpleConv
        >>> x = torch.tensor([[0.0, 0.0], [3.0, 0.0], [0.0, 2.0]])
        >>> data = Data(x=x, edge_index=torch.tensor([[1, 2], [0, 0]]))
        >>> model = SimpleConv(aggr="sum")  # node 0 hears 3 for class 0, and 2 for class 1
        >>> explanations = gg.EdgeGradients(model, progress=False).explain(data, index=[0])
        >>> [found.estimate.value for found in sufficiency(explanations, model, data, top_k=[1])]
        [1.0]
    """
    return _share(
        "sufficiency", explanations, model, data, task, removal, top_k, ranking, call, memory_budget
    )


def necessity(
    explanations: Explanations,
    model: nn.Module | Callable[..., Any],
    data: Any,
    *,
    task: str | Task | None = None,
    removal: Removal = "delete_isolated",
    top_k: int | Sequence[int] = SIZES,
    ranking: Ranking = "signed",
    call: Call | None = None,
    memory_budget: int = DEFAULT_MEMORY_BUDGET,
) -> list[Measured]:
    """Share of predictions that lose their class without the k best undirected edges.

    See the module's docstring for the formula, and `sufficiency` for arguments and errors.
    """
    return _share(
        "necessity", explanations, model, data, task, removal, top_k, ranking, call, memory_budget
    )


def _share(
    metric: str,
    explanations: Explanations,
    model: nn.Module | Callable[..., Any],
    data: Any,
    task: str | Task | None,
    removal: Removal,
    top_k: int | Sequence[int],
    ranking: Ranking,
    call: Call | None,
    memory_budget: int,
) -> list[Measured]:
    levels, removal = read_levels((), top_k), check_removal(removal)
    keeps = metric == "sufficiency"
    with opened(explanations, model, data, task, call, removal, memory_budget) as run:
        if not run.preparation.task.is_classification:
            raise TaskError(f"{metric} asks whether the class changes; a regression has none")
        ranked = run.ranked(ranking, in_pairs=True)
        kept = ranked.num_kept(levels)

        def is_present(state: Tensor, instance: Tensor, edge: Tensor) -> Tensor:
            return (ranked.find(instance, edge) < kept[state, instance]) == keeps

        found = torch.full((len(levels), len(run)), float("nan"), dtype=torch.float64)
        for batch in run.batches():
            after = batch.ask(States.of_each(batch.position, len(levels), is_present))
            same = after.decision.view(len(levels), -1)
            found[:, batch.position.cpu()] = (same if keeps else 1 - same).cpu()
        found = run.spread(found)
    return [
        Measured.of(metric, explanations.method, found[k], level=str(level))
        for k, level in enumerate(levels)
    ]
