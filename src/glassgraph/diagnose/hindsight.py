r"""Hindsight bias: would the method explain the opposite answer just as happily?

A method that searches for a mask that yields a given answer can find one for almost any answer: it
knows the answer before it looks. An explanation of how the model came to answer ``a`` should not
turn into an equally good explanation of how it came to answer ``b``, because it did not. Each
prediction is explained twice, for its own class ``a`` and for the opposite one ``b`` (the runner-up
unless told otherwise), and the model runs on the retained messages of either alone:

.. code-block:: text

    reached(a) = share of instances for which S_a, the messages retained for a, alone yield a
    reached(b) = the same for b and S_b
    bias       = share of instances for which both is so
    similarity = mean over instances of |S_a & S_b| / |S_a | S_b|   (1 where both are empty)

A faithful method has ``reached(a)`` near 1 and ``bias`` near 0. ``reached(b)`` by itself says less:
a model may answer ``b`` on any small set of messages (``reached_at_random`` tells, on as many
messages chosen at random), and a method that never looks at the answer would then look biased. It
has ``S_a = S_b``, which cannot yield both answers, so its ``bias`` is 0 and its ``similarity`` 1.

The paper names the effect for masks that are learned for one example at a time, and amortizes to
avoid it; it shows it on planted edges (its Table 1). Swapping the answer is our experiment.

Schlichtkrull, De Cao and Titov, "Interpreting Graph Neural Networks for NLP With Differentiable
Edge Masking" (ICLR 2021, https://arxiv.org/abs/2010.00577).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from glassgraph.diagnose.effects import Replacement, predictions, takes_baselines
from glassgraph.diagnose.measure import RunOutputs
from glassgraph.diagnose.metric import BoundMetric, Metric
from glassgraph.errors import InstanceError, TargetError, TaskError
from glassgraph.explainers.base import Explainer
from glassgraph.inputs import task as tasks
from glassgraph.inputs.rows import mean_rows
from glassgraph.inputs.task import Target, Targets
from glassgraph.masking.rerun import Piece, Rerun
from glassgraph.metrics import Ranking
from glassgraph.results.aggregates.decisions import Rule, ScoreTable, count, rank
from glassgraph.results.explanation import Explanations
from glassgraph.results.instance_columns import rows_in_order

if TYPE_CHECKING:
    import pandas as pd

#: What is measured of each instance and answer.
_COLUMNS = ("kept_share", "reached", "reached_at_random", "raised", "score_change")
#: Stream of random numbers.
_ORDER = 3


@dataclass(frozen=True)
class HindsightResult:
    """How a method explains an answer and its opposite.

    Attributes:
        method: whose explanations they are.
        table: one row for each answer, ``asked`` being ``"own"`` or ``"opposite"``: ``instances``;
            ``kept_share`` (retained messages among all, mean over predictions); ``reached`` (share
            of predictions for which the retained messages alone yield the asked class);
            ``reached_at_random`` (the same with as many messages chosen at random); ``raised``
            (share for which they give the asked class a higher score than all messages do);
            ``score_change`` (mean change of that score, in the model's units); ``metric``, over all
            predictions, where one is given.
        bias: share of predictions for which each explanation yields the answer that was asked for,
            the model's own one and the opposite, in [0, 1]; 0 is good.
        similarity: mean Jaccard similarity of the two sets of retained messages, in [0, 1].
        own: explanations of the own answers.
        opposite: explanations of the opposite answers.
    """

    method: str
    table: pd.DataFrame
    bias: float
    similarity: float
    own: Explanations
    opposite: Explanations


def hindsight(
    explainer: Explainer,
    data: Any,
    index: Any = None,
    target: Target = None,
    opposite: int | Tensor | None = None,
    *,
    threshold: float | None = None,
    top_share: float | None = None,
    ranking: Ranking = "signed",
    replacement: Replacement = "own",
    metric: Metric | None = None,
    seed: int = 0,
) -> HindsightResult:
    """Explain the model's answer and the opposite one, and see what either explanation yields.

    Args:
        explainer: the method; an amortized one is fitted before.
        data: the graph(s).
        index: what to explain, see `Explainer.explain`.
        target: the answer, the predicted class if None; see `Explainer.explain`.
        opposite: the opposite answer: a class, or a tensor with one for each prediction. By default
            the likeliest class other than the answer.
        threshold: messages with a greater score are retained; by default the explanations' own.
        top_share: or: this share of each prediction's messages is retained, the best ones.
        ranking: ``"signed"`` or ``"absolute"`` scores.
        replacement: what a shut message becomes: the explainer's ``"own"`` baseline (zero where it
            has none), or ``"zero"``.
        metric: your own measure of the outputs on the retained messages alone,
            ``metric(outputs, data) -> float``; see `glassgraph.diagnose.metric`.
        seed: seed of the random messages that the result is compared with.

    Returns:
        A table of both answers, and two numbers. Predictions without messages are left out.

    Raises:
        TaskError: for a regression or multi-label outputs, where no answer is the opposite one.
        TargetError: if answer and opposite are the same, or the target is a pair.
        HyperParameterError: for arguments out of range, or if nothing says what is retained.
        InstanceError: if no prediction has messages.
        MetricError: if the metric fails, or returns something else than one number.
        GlassgraphError: see `Explainer.explain`.

    Example:
        >>> import glassgraph as gg
        >>> from torch_geometric.data import Data
        >>> from torch_geometric.nn import GCN
        >>> data = Data(x=torch.rand(4, 3), edge_index=torch.tensor([[0, 1, 2], [1, 2, 3]]))
        >>> explainer = gg.Random(GCN(3, 8, 2, 2), task="node")
        >>> gg.diagnose.hindsight(explainer, data, top_share=0.5).similarity  # blind to the answer
        1.0
    """
    if isinstance(target, tuple):
        raise TargetError(f"hindsight asks for one class and its opposite; got the pair {target}")
    if not explainer.task.is_classification:
        raise TaskError("a regression has no opposite answer; hindsight needs classes")
    own = Rerun.of(explainer, data, index, target)
    opposite_class = _opposite(own, opposite)
    other = Rerun.of(explainer, data, index, opposite_class.cpu())
    decisions = [
        (
            ScoreTable.read(run.explanations, ranking, run.device),
            Rule.of(run.explanations, threshold, top_share),
            run.targets,
        )
        for run in (own, other)
    ]
    found = torch.zeros(2, len(_COLUMNS), len(own), dtype=torch.float64)
    bias, similarity = torch.zeros(2, len(own), dtype=torch.float64)
    has_items = torch.zeros(len(own), dtype=torch.bool)
    bound = BoundMetric.of(metric, data, own.instances.index)
    if bound is not None:  # what it cannot measure is told before all runs
        RunOutputs.of_reference(own).measured(bound)
    outputs = [RunOutputs(), RunOutputs()]
    with own.pieces(baselines=takes_baselines(replacement)) as pieces:
        for piece in pieces:
            at = piece.position.cpu()
            sets, reached = [], []
            for answer, (table, rule, targets) in enumerate(decisions):
                item, retained, _ = piece.decide(table, rule)
                asked = targets.take(piece.position)
                output = piece.output(retained | ~item)
                if bound is not None:
                    outputs[answer].add(piece, output)
                at_random = _as_many_at_random(piece, item, retained, int(seed))
                found[answer][:, at] = _measure(piece, item, retained, asked, output, at_random)
                reached.append(predictions(piece.batch.task, output, asked) == asked.chosen)
                has_items[at] = (count(item, piece.instance, piece.size) > 0).cpu()
                sets.append(retained)
            similarity[at] = _jaccard(piece, *sets)
            both = (reached[0] & reached[1]).double()
            bias[at] = mean_rows(piece.batch.targets.rows, both).cpu()
    if not bool(has_items.any()):
        raise InstanceError("no prediction has messages that reach it; there is nothing to explain")
    found = found[..., has_items]
    rows = _table(found.mean(dim=2), int(has_items.sum()))
    if bound is not None:
        rows["metric"] = [each.measured(bound) for each in outputs]
    return HindsightResult(
        method=explainer.name,
        table=rows,
        bias=float(bias[has_items].mean()),
        similarity=float(similarity[has_items].mean()),
        own=own.explanations,
        opposite=other.explanations,
    )


def _opposite(own: Rerun, opposite: int | Tensor | None) -> Tensor:
    """The opposite class of each row, ``[R]``."""
    probability = rows_in_order(own.explanations, "prediction")
    answer = own.targets.chosen.cpu()
    task = own.preparation.task
    if probability.size(1) < 2 or (task.mode == "binary_classification" and _is_multilabel(own)):
        raise TaskError(
            "hindsight needs classes of which exactly one is predicted; multi-label outputs and a "
            "single class have no opposite answer"
        )
    if opposite is None:
        return probability.scatter(1, answer.view(-1, 1), float("-inf")).argmax(dim=1)
    given = torch.as_tensor(opposite).cpu().view(-1)
    rows, size = own.targets.rows, answer.numel()
    if rows is not None and given.numel() == len(own):
        given = given[rows.instance.cpu()]
    if given.is_floating_point() or given.numel() not in (1, size):
        raise TargetError(
            f"opposite is a class, or a tensor with one for each of {len(own)} predictions; got "
            f"{given.dtype} of shape {tuple(given.shape)}"
        )
    found = given.long().expand(size)
    same = int((found == answer).sum())
    if same:
        raise TargetError(
            f"the opposite answer equals the explained one in {same} of {size} predictions; "
            "give another class there, or leave opposite out for the runner-up"
        )
    return found


def _is_multilabel(own: Rerun) -> bool:
    """Whether the model has several independent outputs; asks it about the first predictions."""
    if own.preparation.task.mode != "binary_classification":
        return False
    with own.pieces(baselines=False) as pieces:
        return next(pieces).batch.reference.size(1) > 1


def _as_many_at_random(piece: Piece, item: Tensor, retained: Tensor, seed: int) -> Tensor:
    """The model's output on as many messages as are retained, chosen at random."""
    instance, size = piece.instance, piece.size
    noise = piece.noise(len(item), seed, _ORDER, 0)
    chosen = rank(item, noise, instance, size) < count(retained, instance, size)[instance]
    return piece.output(chosen | ~item)


def _measure(
    piece: Piece, item: Tensor, retained: Tensor, asked: Targets, output: Tensor, at_random: Tensor
) -> Tensor:
    """What the retained messages of one answer yield, ``[5, b]``, see `_COLUMNS`."""
    batch, instance, size = piece.batch, piece.instance, piece.size
    amount, total = count(retained, instance, size), count(item, instance, size)
    change = tasks.score(batch.task, output, asked) - tasks.score(
        batch.task, batch.reference, asked
    )
    reached, at_random_reached = (
        mean_rows(asked.rows, (predictions(batch.task, each, asked) == asked.chosen).double())
        for each in (output, at_random)
    )
    columns = [
        amount / total.clamp_min(1),
        reached,
        at_random_reached,
        change > 0,
        change,
    ]
    return torch.stack([column.double() for column in columns]).cpu()


def _jaccard(piece: Piece, one: Tensor, other: Tensor) -> Tensor:
    """Similarity ``[b]`` of two sets of items of each instance; 1 where both are empty."""
    both = count(one & other, piece.instance, piece.size)
    either = count(one | other, piece.instance, piece.size)
    return torch.where(either > 0, both / either.clamp_min(1), 1.0).double().cpu()


def _table(found: Tensor, instances: int) -> pd.DataFrame:
    """One row for each answer; see `HindsightResult`."""
    import pandas as pd

    rows = [
        {"asked": asked, "instances": instances, **dict(zip(_COLUMNS, each.tolist(), strict=True))}
        for asked, each in zip(("own", "opposite"), found, strict=True)
    ]
    return pd.DataFrame(rows)
