r"""Counterfactuals read out of scores, and how good they are.

Any scores of edges say in which order to delete them: the best first, those that speak for the
prediction (scores above 0) alone, until the model decides otherwise. What has been deleted then is
a counterfactual, and methods can be compared by it:

.. code-block:: text

    validity          share of predictions whose decision changes
    size              mean number of changes, of those
    sparsity          mean share of the field's edges that stay, of those
    proximity         mean of |E and E'| / |E or E'|, edges before and after, of those
    feature_distance  mean Euclidean distance of features before and after, of those
    accuracy          mean share of the deleted edges that are true, of those
    plausibility      share of those that keep given rules

Lucic et al. ("CF-GNNExplainer", AISTATS 2022, https://arxiv.org/abs/2102.03322) report 1 - validity
and call it fidelity: lower is better. Their accuracy goes by the nodes at the ends of deleted
edges; this one by edges, where the data tell them (`LocalExplanation.edge_truth`).

*Proximity* is the likeness of two sets of edges (Jaccard); with deletions alone it is the sparsity.
GRETEL (Prado-Romero and Stilo, CIKM 2022, https://doi.org/10.1145/3511808.3557608) takes the edit
distance for it, which is the size here.

Methods that look for counterfactuals score the edges that they delete, so reading them gives what
they found, or less where a part of it suffices.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from glassgraph.calling.call import Call
from glassgraph.core.undirected import takes_pairs
from glassgraph.errors import HyperParameterError, TaskError, UnknownMetricError
from glassgraph.inputs.task import Task
from glassgraph.metrics.measured import Measured
from glassgraph.metrics.plausibility import GraphRule, plausibility
from glassgraph.metrics.ranked import flat_edges
from glassgraph.metrics.removal import DELETIONS, Removal, check_removal
from glassgraph.metrics.run import DEFAULT_MEMORY_BUDGET, Run, opened
from glassgraph.metrics.scores import Ranking, edge_scores
from glassgraph.metrics.states import StateBatch, States
from glassgraph.results.counterfactual import Counterfactual
from glassgraph.results.explanation import Explanations
from glassgraph.results.records import LocalExplanation

_NAN = float("nan")
_SIZE, _DISTANCE = "counterfactual_size", "counterfactual_feature_distance"
#: Deletions of an instance that are asked for at once.
_AT_ONCE = 16


def counterfactuals(
    explanations: Explanations,
    model: nn.Module | Callable[..., Any],
    data: Any,
    *,
    task: str | Task | None = None,
    removal: Removal = "delete",
    pairs: bool | None = None,
    max_size: int | None = None,
    ranking: Ranking = "signed",
    call: Call | None = None,
    memory_budget: int = DEFAULT_MEMORY_BUDGET,
) -> list[Counterfactual]:
    """Delete the best edges of each explanation until the decision changes.

    Args:
        explanations: with scores of edges.
        model: as in `fidelity`.
        data: the explained graph(s).
        task: as in `fidelity`.
        removal: ``"delete"``, or ``"delete_isolated"`` where nodes go with their last edge.
        pairs: whether all edges between two nodes are deleted as one, with the mean of their
            scores; None where every edge of the graph has its reverse.
        max_size: edges (or pairs) that are deleted, at most; None for all with a score above 0.
        ranking: ``"signed"`` or ``"absolute"`` scores.
        call: as in `fidelity`.
        memory_budget: bytes that one pass may take.

    Returns:
        One for each explanation. Where the decision never changes, ``is_valid`` is False, and what
        is deleted is all that was tried.

    Raises:
        TaskError: for a regression, which decides nothing.
        UnknownMetricError: for a removal that deletes nothing.
        HyperParameterError: if ``max_size`` is not positive.
        GlassgraphError: see `fidelity`.

    Example:
        >>> import torch
        >>> import glassgraph as gg
        >>> from torch_geometric.data import Data
        >>> from torch_geometric.nn import SimpleConv
        >>> x = torch.tensor([[0.0, 0.0], [3.0, 0.0], [0.0, 2.0]])
        >>> data = Data(x=x, edge_index=torch.tensor([[1, 2], [0, 0]]))
        >>> model = SimpleConv()  # node 0 hears 3 for class 0, and 2 for class 1
        >>> explanations = gg.EdgeGradients(model, progress=False).explain(data, index=[0])
        >>> (found,) = counterfactuals(explanations, model, data)
        >>> found.is_valid, found.size, found.new_class, found.data.edge_index.tolist()
        (True, 1, 1, [[2], [0]])
    """
    removal = check_removal(removal)
    if removal not in DELETIONS:
        raise UnknownMetricError(
            "a counterfactual is a graph without some edges, so removal must be 'delete' or "
            f"'delete_isolated'; got {removal!r}"
        )
    if max_size is not None and max_size < 1:
        raise HyperParameterError(f"max_size must be at least 1, or None; got {max_size!r}")
    with opened(explanations, model, data, task, call, removal, memory_budget) as run:
        if not run.preparation.task.is_classification:
            raise TaskError("counterfactuals change the class; a regression has none")
        graph = run.preparation.graph
        in_pairs = takes_pairs(graph, pairs)
        order = _Order(run, ranking, in_pairs, max_size)
        found: list[Counterfactual | None] = [None] * run.num_all
        for batch in run.batches():
            for place, one in _read_out(run, batch, order):
                found[int(run.place[place])] = one
    return [
        _nothing(explanations.local(i), in_pairs, graph) if one is None else one
        for i, one in enumerate(found)
    ]


class _Order:
    """Units of all explanations, in the order in which they are deleted."""

    def __init__(self, run: Run, ranking: Ranking, in_pairs: bool, max_size: int | None) -> None:
        self.in_pairs = in_pairs
        self.ranked = run.ranked(ranking, in_pairs=in_pairs)
        graph = run.preparation.graph
        limits = []
        #: For each explanation the rank of each of its edges.
        self.ranks: list[Tensor] = []
        for number, local in enumerate(run.locals_):
            edge = flat_edges(local, graph).to(graph.device)
            rank = self.ranked.find(torch.full_like(edge, number), edge).cpu()
            score = edge_scores(local, ranking).double()
            total = score.new_zeros(int(self.ranked.count[number])).index_add(0, rank, score)
            limits.append(int((total > 0).sum()))
            self.ranks.append(rank)
        most = torch.tensor(limits, device=graph.device)
        self.limit = most if max_size is None else most.clamp_max(max_size)


def _read_out(run: Run, batch: StateBatch, order: _Order) -> list[tuple[int, Counterfactual]]:
    position = batch.position
    limit = order.limit[position]
    size = limit.clone()
    value, changes = batch.before.value.clone(), torch.zeros_like(limit, dtype=torch.bool)
    predicted = batch.before.predicted.clone()
    pending, first = (limit > 0).nonzero().view(-1), 1
    while pending.numel():
        sizes = torch.arange(first, first + _AT_ONCE, device=position.device)

        def is_present(
            state: Tensor, instance: Tensor, edge: Tensor, sizes: Tensor = sizes
        ) -> Tensor:
            gone = torch.minimum(sizes[state], order.limit[instance])
            return order.ranked.find(instance, edge) >= gone

        after = batch.ask(States.of_each(position[pending], _AT_ONCE, is_present))
        differs = (after.decision.view(_AT_ONCE, -1) - batch.before.decision[pending]).abs() > 0
        is_first = differs & (differs.cumsum(dim=0) == 1)
        done = differs.any(dim=0)
        turn = torch.where(done, is_first.int().argmax(dim=0), _AT_ONCE - 1)
        column = torch.arange(pending.numel(), device=position.device)
        value[pending] = after.value.view(_AT_ONCE, -1)[turn, column]
        predicted[pending] = after.predicted.view(_AT_ONCE, -1)[turn, column]
        changes[pending] = done
        size[pending] = torch.minimum(sizes[turn], limit[pending])
        first += _AT_ONCE
        pending = pending[~done & (limit[pending] >= first)]
    return [
        (place, _counterfactual(run, place, order, *numbers))
        for place, *numbers in zip(
            position.tolist(),
            size.tolist(),
            changes.tolist(),
            predicted.tolist(),
            batch.before.value.tolist(),
            value.tolist(),
            strict=True,
        )
    ]


def _counterfactual(
    run: Run,
    place: int,
    order: _Order,
    size: int,
    is_valid: bool,
    predicted: int,
    before: float,
    after: float,
) -> Counterfactual:
    local, goes = run.locals_[place], (order.ranks[place] < size).nonzero().view(-1)
    return Counterfactual(
        index=local.index,
        edge_id=local.edge_id[goes],
        edge_type=None if local.edge_type is None else [local.edge_type[i] for i in goes],
        size=size,
        num_edges=int(order.ranked.count[place]),
        is_valid=is_valid,
        new_class=None if predicted < 0 else predicted,
        before=before,
        after=after,
        is_undirected=order.in_pairs,
        original=run.preparation.graph.single(local.graph),
    )


def _nothing(local: LocalExplanation, in_pairs: bool, graph: Any) -> Counterfactual:
    """Of an explanation without edges."""
    return Counterfactual(
        index=local.index,
        edge_id=local.edge_id[:0],
        edge_type=None if local.edge_type is None else [],
        size=0,
        num_edges=0,
        is_valid=False,
        new_class=None,
        before=float("nan"),
        after=float("nan"),
        is_undirected=in_pairs,
        original=graph.single(local.graph),
    )


def counterfactual_quality(
    explanations: Explanations,
    found: list[Counterfactual],
    *,
    rules: Sequence[GraphRule | Callable[..., Any]] = (),
    removal: Removal = "delete",
    seed: int = 0,
) -> list[Measured]:
    """How good counterfactuals are: validity, size, sparsity, proximity, and more where it applies.

    All but the validity are means over the valid ones. Accuracy is left out where no explanation
    has a truth, the distance of features where none is changed, plausibility without rules. Its
    floor is chance: random changes of the same kind and number.

    Args:
        explanations: what they were read from.
        found: of `counterfactuals`, or each explanation's own.
        rules: what graphs have to keep, of `glassgraph.graph_rules`; of explanations of graphs.
        removal: ``"delete_isolated"`` if nodes go with the last of their edges, for rules.
        seed: of the random changes.

    Raises:
        UnknownMetricError: if there is not one for each explanation, or rules are given where no
            graphs are explained.
    """
    if len(found) != len(explanations):
        raise UnknownMetricError(
            f"there are {len(found)} counterfactuals for {len(explanations)} explanations; give "
            "one for each"
        )
    columns: dict[str, list[float]] = {
        "counterfactual_validity": [float(each.is_valid) for each in found],
        _SIZE: [float(each.size) if each.is_valid else _NAN for each in found],
        "counterfactual_sparsity": [each.sparsity if each.is_valid else _NAN for each in found],
    }
    columns["counterfactual_proximity"] = [
        each.proximity if each.is_valid else _NAN for each in found
    ]
    if any(each.features.column.numel() for each in found):
        columns[_DISTANCE] = [each.feature_distance if each.is_valid else _NAN for each in found]
    accuracy = [_accuracy(explanations.local(i), each) for i, each in enumerate(found)]
    if any(value == value for value in accuracy):
        columns["counterfactual_accuracy"] = accuracy
    measured = [
        Measured.of(
            name,
            explanations.method,
            torch.tensor(values, dtype=torch.float64),
            better="lower" if name in (_SIZE, _DISTANCE) else "higher",
        )
        for name, values in columns.items()
    ]
    if rules:
        measured.append(plausibility(explanations, found, rules, removal=removal, seed=seed))
    return measured


def _accuracy(local: LocalExplanation, found: Counterfactual) -> float:
    """Share of true edges among those deleted."""
    if local.edge_truth is None or not found.is_valid or not bool(local.edge_truth.any()):
        return _NAN
    at = torch.isin(local.edge_id, found.edge_id)
    if local.edge_type is not None and found.edge_type is not None:
        pairs = set(zip(found.edge_type, found.edge_id.tolist(), strict=True))
        names = zip(local.edge_type, local.edge_id.tolist(), strict=True)
        at = torch.tensor([each in pairs for each in names])
    return float(local.edge_truth[at].double().mean())
