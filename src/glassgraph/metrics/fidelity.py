r"""Fidelity: does the prediction need the best edges, and are they enough?

For instance ``i`` with explained class ``y_i``, graph ``G_i`` (its receptive field) and best edges
``S_i``, both signed and averaged over instances,

.. code-block:: text

    Fid+_prob = f(G)_y - f(G \ S)_y             Fid-_prob = f(G)_y - f(S)_y
    Fid+_acc  = 1(y^G = y) - 1(y^(G \ S) = y)   Fid-_acc  = 1(y^G = y) - 1(y^S = y)

Fid+ is high where the edges are *necessary*; Fid- is near 0 where they are *sufficient*, and below
0 where the prediction is surer on ``S`` than on the whole graph. ``f`` is a probability, ``y^H``
the class predicted on ``H``. The class is the one that was explained: the predicted one ("model" in
GraphFramEx's words) or the label ("phenomenon"), as the explanations were made.

* contrastive targets ``(a, b)``: ``f`` is ``P(a) - P(b)``, and ``y^H = y`` means ``P(a) > P(b)``;
* multi-label outputs: the explained column's probability, and whether it exceeds one half;
* regression: ``f`` is the output itself, and there is no accuracy.

Signed drops follow Yuan et al. (DIG); PyG's ``fidelity`` takes absolute values and multiplies by
soft masks. Selection here is hard: exactly the best edges at a given sparsity. What "without an
edge" means is `glassgraph.metrics.removal`'s subject. Both states lie off the training
distribution, so fidelity mixes importance with that shift: compare at equal sparsity and removal.

Pope et al., "Explainability Methods for Graph Convolutional Neural Networks" (CVPR 2019). Yuan, Yu,
Gui and Ji, "Explainability in Graph Neural Networks: A Taxonomic Survey" (TPAMI 2022,
https://arxiv.org/abs/2012.15445). Amara et al., "GraphFramEx" (LoG 2022,
https://arxiv.org/abs/2206.09677).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from glassgraph.black_box.callable_module import as_module
from glassgraph.black_box.probing import prepare_black_box
from glassgraph.calling.call import Call, ModelCall
from glassgraph.calling.protect import protected
from glassgraph.core.own_edges import why_no_edges
from glassgraph.core.prepare import Preparation
from glassgraph.core.told import FallbackWarning, OnUnseen
from glassgraph.errors import (
    ExplanationFileError,
    NoMessagePassingError,
    SparseAdjacencyError,
    TaskError,
    UnsupportedModelError,
)
from glassgraph.inputs.rows import mean_rows
from glassgraph.inputs.task import Task, decision, explained_probability
from glassgraph.metrics.removal import Removal, Selection, check_removal, delete, shut
from glassgraph.metrics.scores import Level, Ranking, rank_edges, read_levels
from glassgraph.results.again import explained_again
from glassgraph.results.explanation import Explanations

#: Memory that one batch of instances may take, in bytes.
DEFAULT_MEMORY_BUDGET = 1 << 30


@dataclass(frozen=True)
class FidelityResult:
    """Fidelity at K levels of B instances.

    Attributes:
        method: whose explanations they are.
        removal: what removing an edge means.
        levels: the K levels, as text (``"0.7"``, ``"top5"``).
        index: ``[B]`` the user's numbers of the instances.
        plus_prob: ``[K, B]`` Fid+ of each instance, as a drop of probability (of value, for a
            regression).
        minus_prob: ``[K, B]`` Fid- of each instance.
        plus_acc: ``[K, B]`` Fid+ in accuracy, of -1, 0 and 1; NaN for a regression.
        minus_acc: ``[K, B]`` Fid- in accuracy.
        sparsity: ``[K, B]`` the share of edges that was really left out of the selection.
        num_without_edges: instances without edges, which are left out of all of the above.
    """

    method: str
    removal: Removal
    levels: tuple[str, ...]
    index: Tensor
    plus_prob: Tensor
    minus_prob: Tensor
    plus_acc: Tensor
    minus_acc: Tensor
    sparsity: Tensor
    num_without_edges: int

    def means(self) -> list[dict[str, object]]:
        """The averages over instances: one row for each level; None where there is none."""
        return [
            {
                "level": level,
                "sparsity": _mean(self.sparsity[k]),
                "fidelity_plus": _mean(self.plus_prob[k]),
                "fidelity_minus": _mean(self.minus_prob[k]),
                "fidelity_plus_acc": _mean(self.plus_acc[k]),
                "fidelity_minus_acc": _mean(self.minus_acc[k]),
            }
            for k, level in enumerate(self.levels)
        ]


def fidelity(
    explanations: Explanations,
    model: nn.Module | Callable[..., Any],
    data: Any,
    *,
    task: str | Task | None = None,
    removal: Removal = "shut",
    sparsity: float | Sequence[float] = (0.5, 0.7, 0.9),
    top_k: int | Sequence[int] | None = None,
    ranking: Ranking = "signed",
    call: Call | None = None,
    memory_budget: int = DEFAULT_MEMORY_BUDGET,
) -> FidelityResult:
    """Fid+ and Fid- of explanations, in probability and in accuracy.

    Args:
        explanations: what is measured; their targets say which class.
        model: the explained model, or a function that returns predictions; it is left as it was.
            What cannot be looked into (a function, a scripted or traced model) takes
            ``removal="delete"``.
        data: the explained graph(s).
        task: the task; as recorded in the explanations if None. A word ("node") takes mode and
            return type from the record.
        removal: ``"shut"`` to replace an edge's messages by zero (degrees stay), ``"delete"`` to
            take the edge out of the graph.
        sparsity: shares of the receptive field's edges that are *not* selected.
        top_k: numbers of selected edges, instead of sparsities.
        ranking: ``"signed"`` or ``"absolute"`` scores.
        call: how to call the model.
        memory_budget: bytes that one batch may take.

    Raises:
        UnknownMetricError: for an unknown removal or ranking, levels out of range, or explanations
            without scores.
        UnsupportedModelError: if messages are to be shut of a model that is only called, or the
            model builds its edges itself.
        ExplanationFileError: if the explanations are of other data.
        TaskError: if the task has another level than the explanations.
    """
    levels = read_levels(sparsity, top_k)
    check_removal(removal)
    module = as_module(model)
    with protected(module):
        preparation = prepare(explanations, module, data, task, call, removal)
        return measure(explanations, preparation, levels, removal, ranking, memory_budget)


def prepare(
    explanations: Explanations,
    model: nn.Module,
    data: Any,
    task: str | Task | None,
    call: Call | None,
    removal: Removal,
) -> Preparation:
    """Ready model and data once, for any number of metrics; call it inside ``protected``.

    Raises:
        UnsupportedModelError: if messages are to be shut of a model that is only called, or the
            model builds its edges itself.
    """
    model_call, task = ModelCall(model, call), recorded_task(explanations, task)
    preparation = _open(model, model_call, task, data, removal)
    reason = why_no_edges(preparation.graph, preparation.wiring)
    if reason is not None:
        raise UnsupportedModelError(f"fidelity removes edges: {reason}")
    return preparation


def _open(
    model: nn.Module, model_call: ModelCall, task: Task, data: Any, removal: Removal
) -> Preparation:
    """Look into the model, or only call it where that is all that can be done."""
    try:
        # Where edges are deleted, whatever is sent along them goes.
        on_unseen: OnUnseen = "warn" if removal == "shut" else "ignore"
        return Preparation.read(model, model_call, task, data, on_unseen=on_unseen)
    except (NoMessagePassingError, SparseAdjacencyError) as error:
        if removal == "shut":
            raise UnsupportedModelError(
                "removal='shut' replaces messages inside of the model, where this one cannot be "
                f"looked into ({error}); use removal='delete', which only calls it"
            ) from error
    return prepare_black_box(model_call, task, data, "auto", None)


def recorded_task(explanations: Explanations, task: str | Task | None) -> Task:
    """The task of explanations, with what the user says about it.

    Raises:
        TaskError: if the level is another.
    """
    if not isinstance(task, Task):
        record = dict(explanations.provenance.get("task", {}))
        record.pop("level", None)
        task = Task.of(explanations.level if task is None else task, **record)
    if task.level != explanations.level:
        raise TaskError(
            f"the explanations are of {explanations.level} predictions; got a {task.level} task"
        )
    return task


def measure(
    explanations: Explanations,
    preparation: Preparation,
    levels: Sequence[Level],
    removal: Removal,
    ranking: Ranking,
    memory_budget: int,
) -> FidelityResult:
    """`fidelity` on what is prepared; call it inside ``protected``."""
    graph = preparation.graph
    check_same_data(explanations, graph.num_nodes, graph.num_edges)
    every = [explanations.local(i) for i in range(len(explanations))]
    with_edges = torch.tensor([bool(local.edge_id.numel()) for local in every], dtype=torch.bool)
    locals_ = [local for local in every if local.edge_id.numel()]
    instances, targets = explained_again(explanations, preparation)
    chosen = with_edges.nonzero().view(-1).to(graph.device)
    instances, targets = instances.take(chosen), targets.take(chosen)
    selection = Selection.of(rank_edges(locals_, graph, ranking), levels)
    num_states = 2 * len(levels)
    drop = torch.zeros(num_states, len(locals_), dtype=torch.float64)
    lost = torch.full((num_states, len(locals_)), float("nan"), dtype=torch.float64)
    with warnings.catch_warnings(), torch.no_grad():
        # Explaining has told of instances that cannot be cut out; the numbers are right anyhow.
        warnings.simplefilter("ignore", FallbackWarning)
        batches = preparation.batches(instances, targets.chosen, memory_budget)
        for position, batch in batches if locals_ else ():
            if removal == "shut":
                outputs = shut(batch, position, selection)
            else:
                outputs = delete(preparation, instances, batch, position, selection, memory_budget)
            asked, at = targets.take(position), position.cpu()
            before = explained_probability(batch.task, batch.reference, asked)
            after = [explained_probability(batch.task, output, asked) for output in outputs]
            drop[:, at] = torch.stack([before - value for value in after]).double().cpu()
            if batch.task.is_classification:
                right, *still = [
                    mean_rows(asked.rows, decision(batch.task, output, asked).double())
                    for output in (batch.reference, *outputs)
                ]
                lost[:, at] = torch.stack([right - value for value in still]).double().cpu()
    half, count = len(levels), selection.ranked.count.cpu()
    return FidelityResult(
        method=explanations.method,
        removal=removal,
        levels=tuple(str(level) for level in levels),
        index=instances.index.cpu(),
        plus_prob=drop[:half],
        minus_prob=drop[half:],
        plus_acc=lost[:half],
        minus_acc=lost[half:],
        sparsity=1 - selection.num_kept.cpu().double() / count,
        num_without_edges=len(every) - len(locals_),
    )


def check_same_data(explanations: Explanations, num_nodes: int, num_edges: int) -> None:
    """Refuse data of other sizes than those that were explained."""
    graph = explanations.provenance.get("graph", {})
    for name, got in (("num_nodes", num_nodes), ("num_edges", num_edges)):
        if graph.get(name, got) != got:
            raise ExplanationFileError(
                f"the explanations are of data with {graph[name]} {name[4:]}, these have {got}; "
                "give the data that were explained"
            )


def _mean(value: Tensor) -> float | None:
    if value.numel() == 0 or bool(value.isnan().any()):
        return None
    return float(value.mean())
