r"""Unfaithfulness: how far is the model's distribution under an explanation from its own?

With ``y`` the probabilities on the graph ``G`` and ``y'`` those under the explanation,

.. code-block:: text

    GEF = 1 - exp(-KL(y || y'))        in [0, 1], low is faithful

* `gef` keeps the best quarter of the nodes, features or edges and takes out the rest: their
  features are set to 0, their messages shut (GraphXAI).
* `unfaithfulness` multiplies features and messages by the scores themselves, or keeps the ``top_k``
  best features: PyG's metric of the same name.

**Which way the divergence runs.** The paper, and PyG's docstring, define ``KL(y || y')``. Both
codes call ``torch.nn.functional.kl_div(log y, y')``, which is ``KL(y' || y)``.
``direction="definition"`` is the first, ``direction="code"`` the second, that of published tables
and of PyG's function.

Of several labels the divergence is the sum over labels, of several rows their mean; a regression
has none.

Agarwal, Queen, Lakkaraju and Zitnik, "Evaluating Explainability for Graph Neural Networks"
(Scientific Data 2023, https://arxiv.org/abs/2208.09339).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from glassgraph.calling.call import Call
from glassgraph.errors import UnknownMetricError
from glassgraph.inputs.task import Task, decision, probabilities
from glassgraph.metrics.masked import Answers, Masks, masked_answers
from glassgraph.metrics.measured import Better, Measured
from glassgraph.metrics.run import DEFAULT_MEMORY_BUDGET
from glassgraph.metrics.scores import Level, Ranking, edge_scores, node_scores
from glassgraph.results.explanation import Explanations
from glassgraph.results.records import LocalExplanation

#: ``"definition"``: KL(y || y'); ``"code"``: KL(y' || y), as PyG and GraphXAI compute.
Direction = Literal["definition", "code"]
#: How often chance is drawn for the floor.
CHANCE_DRAWS = 5
#: What is kept.
Kept = Literal["node", "feature", "edge"]


def gef(
    explanations: Explanations,
    model: nn.Module | Callable[..., Any],
    data: Any,
    *,
    task: str | Task | None = None,
    over: Kept = "node",
    keep: float = 0.25,
    direction: Direction = "definition",
    ranking: Ranking = "signed",
    call: Call | None = None,
    memory_budget: int = DEFAULT_MEMORY_BUDGET,
    seed: int = 0,
) -> list[Measured]:
    """GraphXAI's unfaithfulness: the model on the best quarter of an explanation.

    Args:
        explanations: what is measured.
        model: the explained model.
        data: the explained graph(s).
        task: as in `fidelity`.
        over: ``"node"``, ``"feature"`` (columns, by the sum of their scores over the nodes) or
            ``"edge"``.
        keep: share that is kept, at least one.
        direction: of the divergence, see the module.
        ranking: ``"signed"`` or ``"absolute"`` scores.
        call: how to call the model.
        memory_budget: bytes that one batch may take.
        seed: of the random selection that is the floor.

    Returns:
        ``gef`` at the level ``"node0.25"``, low is good; the floor keeps as many at random.

    Raises:
        UnknownMetricError: for arguments out of range, a regression, or explanations without such
            scores.
        GlassgraphError: see `fidelity`.
    """
    _check(over, Kept, "over")
    _check(direction, Direction, "direction")
    if not 0 < keep <= 1:
        raise UnknownMetricError(f"keep must lie in (0, 1]; got {keep!r}")
    generator = torch.Generator().manual_seed(seed)
    masks: list[list[Masks]] = [[] for _ in range(1 + CHANCE_DRAWS)]
    for i in range(len(explanations)):
        local = explanations.local(i)
        score = _scores(local, over, ranking)
        masks[0].append(_hard(local, over, score, keep))
        for row in masks[1:]:
            drawn = torch.rand(score.shape, generator=generator, dtype=torch.float64)
            row.append(_hard(local, over, drawn, keep))
    answers = masked_answers(
        explanations, model, data, masks, task=task, call=call, memory_budget=memory_budget
    )
    return _measured("gef", explanations, answers, direction, f"{over}{keep:g}")


def unfaithfulness(
    explanations: Explanations,
    model: nn.Module | Callable[..., Any],
    data: Any,
    *,
    task: str | Task | None = None,
    top_k: int | None = None,
    direction: Direction = "definition",
    call: Call | None = None,
    memory_budget: int = DEFAULT_MEMORY_BUDGET,
    seed: int = 0,
) -> list[Measured]:
    """PyG's unfaithfulness: the model with messages and features times their scores.

    With ``direction="code"`` it is what ``torch_geometric.explain.unfaithfulness`` returns for the
    same masks and an index that is a tensor. (Of an index that is a number PyG takes the C classes
    for a batch of C, and divides the divergence by C.)

    Args:
        explanations: what is measured; masks are all scores of edges, and of features or nodes,
            that they have, as they are.
        model: the explained model.
        data: the explained graph(s).
        task: as in `fidelity`.
        top_k: the columns of features with the ``top_k`` greatest sums are kept whole, the others
            set to 0, in the place of soft scores of features.
        direction: of the divergence, see the module.
        call: how to call the model.
        memory_budget: bytes that one batch may take.
        seed: of the floor, for which scores are dealt out at random within each instance.

    Returns:
        ``unfaithfulness`` at the level ``"soft"`` or ``"top3"``, low is good.

    Raises:
        UnknownMetricError: for a ``top_k`` out of range or without scores of features, an unknown
            direction, a regression, or explanations without scores.
        GlassgraphError: see `fidelity`.
    """
    _check(direction, Direction, "direction")
    generator = torch.Generator().manual_seed(seed)
    own = [soft_masks(explanations.local(i)) for i in range(len(explanations))]
    masks = [own, *([_dealt(each, generator) for each in own] for _ in range(CHANCE_DRAWS))]
    if top_k is not None:
        masks = [[_best_columns(each, top_k) for each in row] for row in masks]
    answers = masked_answers(
        explanations, model, data, masks, task=task, call=call, memory_budget=memory_budget
    )
    level = "soft" if top_k is None else f"top{top_k}"
    return _measured("unfaithfulness", explanations, answers, direction, level)


def soft_fidelity(
    explanations: Explanations,
    model: nn.Module | Callable[..., Any],
    data: Any,
    *,
    task: str | Task | None = None,
    call: Call | None = None,
    memory_budget: int = DEFAULT_MEMORY_BUDGET,
    seed: int = 0,
) -> list[Measured]:
    """PyG's fidelity: how often the decision changes under soft masks, and under their complement.

    ``fidelity_plus_acc`` is the share of instances whose decision about the explained class is
    another with messages and features times ``1 - score``, ``fidelity_minus_acc`` with ``score``:
    the mean of ``|1(y^G = y) - 1(y^S = y)|``. `fidelity` selects hard, and is signed.

    Args:
        explanations: what is measured; masks as in `unfaithfulness`.
        model: the explained model.
        data: the explained graph(s).
        task: as in `fidelity`.
        call: how to call the model.
        memory_budget: bytes that one batch may take.
        seed: of the floor, for which scores are dealt out at random within each instance.

    Returns:
        Both at the level ``"soft"``.

    Raises:
        UnknownMetricError: for a regression, or explanations without scores.
        GlassgraphError: see `fidelity`.
    """
    generator = torch.Generator().manual_seed(seed)
    own = [soft_masks(explanations.local(i)) for i in range(len(explanations))]
    states = [_complement(own), own]
    for _ in range(CHANCE_DRAWS):
        dealt = [_dealt(each, generator) for each in own]
        states += [_complement(dealt), dealt]
    answers = masked_answers(
        explanations, model, data, states, task=task, call=call, memory_budget=memory_budget
    )
    changed = torch.tensor(
        [[_is_changed(each, state) for each in answers] for state in range(len(states))],
        dtype=torch.float64,
    ).view(1 + CHANCE_DRAWS, 2, len(answers))
    names: tuple[tuple[str, Better], ...] = (("plus", "higher"), ("minus", "lower"))
    return [
        _beside_chance(f"fidelity_{name}_acc", explanations, changed[:, row], "soft", better)
        for row, (name, better) in enumerate(names)
    ]


def soft_masks(local: LocalExplanation) -> Masks:
    """All scores of an explanation as masks.

    Raises:
        UnknownMetricError: if there are none.
    """
    edge = None
    if local.edge_score is not None or local.layer_edge_score is not None:
        edge = edge_scores(local)
    feature = None
    if local.feature_score is not None:
        feature = local.feature_score.double()
    elif local.node_score is not None:
        feature = local.node_score.double().view(-1, 1)
    if edge is None and feature is None:
        raise UnknownMetricError(f"instance {local.index} has no scores to measure")
    return Masks(edge, feature)


def _dealt(masks: Masks, generator: torch.Generator) -> Masks:
    """The same values at random places."""

    def shuffled(value: Tensor | None) -> Tensor | None:
        if value is None:
            return None
        found = value.clone()
        known = ~value.isnan()
        size = int(known.sum())
        found[known] = value[known][torch.randperm(size, generator=generator)]
        return found

    return Masks(shuffled(masks.edge), shuffled(masks.feature))


def _complement(masks: Sequence[Masks]) -> list[Masks]:
    return [
        Masks(
            None if each.edge is None else 1 - each.edge,
            None if each.feature is None else 1 - each.feature,
        )
        for each in masks
    ]


def _best_columns(masks: Masks, top_k: int) -> Masks:
    """The best columns of features kept whole, as PyG does; scores of edges as they are."""
    feature = masks.feature
    if feature is None or feature.size(1) == 1:
        raise UnknownMetricError(
            "top_k keeps the best columns of features, and there are no scores of features; leave "
            "it out, or explain with a method that scores features"
        )
    if isinstance(top_k, bool) or not 1 <= top_k <= feature.size(1):
        raise UnknownMetricError(
            f"top_k must lie in 1 to {feature.size(1)}, the number of features; got {top_k!r}"
        )
    kept = torch.zeros_like(feature)
    kept[:, feature.nansum(dim=0).topk(top_k).indices] = 1
    return Masks(masks.edge, kept)


def _scores(local: LocalExplanation, over: Kept, ranking: Ranking) -> Tensor:
    """What is ranked: edges ``[e]``, nodes ``[n]``, or columns of features ``[F]``."""
    if over == "edge":
        return edge_scores(local, ranking)
    if over == "node":
        return node_scores(local, ranking)
    if local.feature_score is None:
        raise UnknownMetricError(
            f"instance {local.index} has no scores of features; measure over='node' or 'edge'"
        )
    score = local.feature_score.double()
    return (score.abs() if ranking == "absolute" else score).nansum(dim=0)


def _hard(local: LocalExplanation, over: Kept, score: Tensor, keep: float) -> Masks:
    """1 for the best share, 0 for the others."""
    size = torch.tensor([score.numel()])
    number = max(1, int(Level(sparsity=1 - keep).num_kept(size)))
    mask = torch.zeros_like(score)
    mask[torch.argsort(-score, stable=True)[:number]] = 1
    if over == "edge":
        return Masks(edge=mask)
    if over == "node":
        return Masks(feature=mask.view(-1, 1))
    return Masks(feature=mask.expand(local.node_id.numel(), -1))


def _measured(
    metric: str,
    explanations: Explanations,
    answers: Sequence[Answers],
    direction: Direction,
    level: str,
) -> list[Measured]:
    """A metric of the divergence, under the first masks beside that under the others."""
    values = [
        [_unfaithful(each, state, direction) for each in answers]
        for state in range(1 + CHANCE_DRAWS)
    ]
    found = torch.tensor(values, dtype=torch.float64).view(1 + CHANCE_DRAWS, len(answers))
    return [_beside_chance(metric, explanations, found, level, "lower")]


def _beside_chance(
    metric: str, explanations: Explanations, values: Tensor, level: str, better: Better
) -> Measured:
    """The first row of values ``[1 + draws, B]``, beside the mean of the others."""
    own, chance = (
        Measured.of(metric, explanations.method, each, level=level, better=better)
        for each in (values[0], values[1:].mean(dim=0))
    )
    return own.beside(floor=chance)


def _unfaithful(answers: Answers, state: int, direction: Direction) -> float:
    """``1 - exp(-KL)`` of an instance."""
    _check_classes(answers.task)
    before, after = (
        _distributions(answers.task, output) for output in (answers.before, answers.after[state])
    )
    first, second = (before, after) if direction == "definition" else (after, before)
    # 0 log 0 is 0; of what has no chance in the second, the divergence is infinite.
    log_ratio = torch.where(first > 0, (first / second).log(), 0.0)
    kl = (first * log_ratio).flatten(1).sum(dim=1).mean()
    return float(1 - (-kl.clamp_min(0)).exp())


def _distributions(task: Task, output: Tensor) -> Tensor:
    """Probabilities that sum to 1 over the last dimension."""
    probability = probabilities(task, output).double()
    if task.mode == "binary_classification" and output.size(1) > 1:
        return torch.stack([1 - probability, probability], dim=-1)
    return probability


def _is_changed(answers: Answers, state: int) -> float:
    """Share of an instance's rows about which the decision is another."""
    _check_classes(answers.task)
    before, after = (
        decision(answers.task, output, answers.targets)
        for output in (answers.before, answers.after[state])
    )
    return float((before != after).double().mean())


def _check_classes(task: Task) -> None:
    if not task.is_classification:
        raise UnknownMetricError(
            "unfaithfulness and soft fidelity compare classes; a regression has none: use fidelity"
        )


def _check(word: str, words: Any, name: str) -> None:
    if word not in get_args(words):
        known = ", ".join(map(repr, get_args(words)))
        raise UnknownMetricError(f"{name} must be one of {known}; got {word!r}")
