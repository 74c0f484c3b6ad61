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

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from glassgraph.black_box.callable_module import as_module
from glassgraph.brief import brief_repr
from glassgraph.calling.call import Call
from glassgraph.calling.protect import protected
from glassgraph.core.prepare import Preparation
from glassgraph.inputs.task import Task
from glassgraph.metrics.measured import Better, Measured
from glassgraph.metrics.removal import Of, Removal, check_removal
from glassgraph.metrics.run import DEFAULT_MEMORY_BUDGET, Run, prepare
from glassgraph.metrics.scores import Level, Ranking, read_levels
from glassgraph.metrics.states import States
from glassgraph.results.explanation import Explanations


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
        num_without_edges: instances without edges (nodes, features) to remove, which are left out
            of all of the above.
        of: what is removed.
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
    of: Of = "edge"

    __repr__ = brief_repr

    def measured(self) -> list[Measured]:
        """The four fidelities at each level, with intervals over instances."""
        ways: list[tuple[str, Tensor, Better]] = [
            ("fidelity_plus", self.plus_prob, "higher"),
            ("fidelity_minus", self.minus_prob, "lower"),
            ("fidelity_plus_acc", self.plus_acc, "higher"),
            ("fidelity_minus_acc", self.minus_acc, "lower"),
        ]
        return [
            Measured.of(name, self.method, values[k], level=level, better=better)
            for k, level in enumerate(self.levels)
            for name, values, better in ways
        ]

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
    of: Of = "edge",
    removal: Removal | None = None,
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
        of: what is selected and removed: ``"edge"``, ``"node"`` (but for those that the prediction
            is about) or ``"feature"``, which needs scores of features.
        removal: of edges and nodes ``"shut"`` (the default) to replace messages by zero (degrees
            stay), ``"delete"`` to take them out of the graph, of edges ``"delete_isolated"`` to
            take nodes without edges along; of nodes and features ``"zero"`` (the default of
            features) or ``"mean"``. See `glassgraph.metrics.removal`.
        sparsity: shares of the receptive field's edges (nodes, features) that are *not* selected.
        top_k: numbers of selected ones, instead of sparsities.
        ranking: ``"signed"`` or ``"absolute"`` scores.
        call: how to call the model.
        memory_budget: bytes that one batch may take.

    Raises:
        UnknownMetricError: for an unknown removal or ranking, levels out of range, explanations
            without scores, or without scores of features where these are asked for.
        UnsupportedModelError: if messages are to be shut of a model that is only called, or the
            model builds its edges itself; if features are replaced that are integers.
        ExplanationFileError: if the explanations are of other data.
        TaskError: if the task has another level than the explanations.
    """
    levels = read_levels(sparsity, top_k)
    removal = check_removal(removal, of)
    module = as_module(model)
    with protected(module):
        preparation = prepare(explanations, module, data, task, call, removal, of)
        return measure(explanations, preparation, levels, removal, ranking, memory_budget, of)


def measure(
    explanations: Explanations,
    preparation: Preparation,
    levels: Sequence[Level],
    removal: Removal,
    ranking: Ranking,
    memory_budget: int,
    of: Of = "edge",
) -> FidelityResult:
    """`fidelity` on what is prepared; call it inside ``protected``."""
    run = Run.of_explanations(explanations, preparation, of, removal, memory_budget)
    ranked = run.ranked(ranking)
    kept, half = ranked.num_kept(levels), len(levels)

    def is_present(state: Tensor, instance: Tensor, item: Tensor) -> Tensor:
        selected = ranked.find(instance, item) < kept[state % half, instance]
        return selected == (state >= half)  # first all of "without S", then all of "S alone"

    drop = torch.full((2 * half, len(run)), float("nan"), dtype=torch.float64)
    lost = drop.clone()
    for batch in run.batches():
        after = batch.ask(States.of_each(batch.position, 2 * half, is_present))
        at = batch.position.cpu()
        drop[:, at] = (batch.before.value - after.value.view(2 * half, -1)).double().cpu()
        lost[:, at] = (batch.before.decision - after.decision.view(2 * half, -1)).cpu()
    count = ranked.count.cpu().double()
    return FidelityResult(
        method=explanations.method,
        removal=removal,
        levels=tuple(str(level) for level in levels),
        index=run.instances.index.cpu(),
        plus_prob=drop[:half],
        minus_prob=drop[half:],
        plus_acc=lost[:half],
        minus_acc=lost[half:],
        sparsity=1 - kept.cpu().double() / count,
        num_without_edges=len(explanations) - len(run),
        of=of,
    )


def _mean(value: Tensor) -> float | None:
    known = value[~value.isnan()]  # a graph that lost its last node has no number
    return float(known.mean()) if known.numel() else None
