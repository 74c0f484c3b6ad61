r"""Stability: does the explanation stay where it ought to?

The survey's fourth metric. A prediction is explained again under a change that leaves what there is
to explain, and the explanations are held against each other: overlap of the best 10, rank
correlation, worst ``1 - cosine`` (`glassgraph.metrics.agreement` defines them, and the chance level
that stands beside each).

.. code-block:: text

    "edges"           1 to 5 random edges are added   each with the unchanged graph
    "noise"           features, within a ball         each with the unchanged graph
    "seeds"           the method's seed               every two
    "models"          the model: retrained            every two
    "architectures"   the model: of another kind      every two

Added edges join nodes of the prediction's receptive field (of the graph, for predictions about
graphs) that are not joined yet; on an undirected graph both directions come together. They carry
the attributes of an edge drawn at random. Explanations are compared on the original edges. Noise
moves the features of each node by a vector drawn evenly from the ball of radius ``radius`` times
the root mean square of the nodes' norms.

A draw under which the prediction is another is rejected and drawn anew, up to ``tries`` times; the
number of rejected draws of each instance is returned beside the measures, since a method looks
stable where only harmless changes are left. Edges must leave the decision (of a regression the
value within ``delta`` of it, as a share), noise also every probability within ``delta``.

Other models explain the class that the first one was explained for.

Yuan, Yu, Gui and Ji, "Explainability in Graph Neural Networks: A Taxonomic Survey" (TPAMI 2022,
https://arxiv.org/abs/2012.15445). Kosan et al., "GNNX-BENCH" (ICLR 2024,
https://arxiv.org/abs/2310.01794). Agarwal, Queen, Lakkaraju and Zitnik, "Evaluating Explainability
for Graph Neural Networks" (Scientific Data 2023, https://arxiv.org/abs/2208.09339).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal, get_args

import torch
from torch import nn

from glassgraph.diagnose.perturbed import Change, Perturbed, added_edges, feature_noise
from glassgraph.errors import HyperParameterError
from glassgraph.explainers.base import Explainer, hyper_parameter_names
from glassgraph.inputs.task import Target
from glassgraph.metrics.agreement import Comparing, Entry, Overlap, agreement_of
from glassgraph.metrics.measured import Measured
from glassgraph.metrics.scores import Ranking
from glassgraph.results.explanation import Explanations
from glassgraph.results.instance_columns import rows_in_order
from glassgraph.results.records import LocalExplanation

#: What changes.
Under = Literal["edges", "seeds", "noise", "models", "architectures"]
_OTHERS = ("models", "architectures")


def stability(
    explainer: Explainer,
    data: Any,
    index: Any = None,
    target: Target = None,
    *,
    under: Under,
    others: Sequence[Explainer | nn.Module] | None = None,
    seeds: int = 5,
    edges: int | Sequence[int] = (1, 2, 3, 4, 5),
    draws: int = 2,
    tries: int = 20,
    radius: float = 0.05,
    delta: float = 0.05,
    top_k: int = 10,
    ranking: Ranking = "signed",
    over: Entry = "edge",
    overlap: Overlap = "share",
    seed: int = 0,
) -> list[Measured]:
    """Does a method say the same under a change that leaves the prediction?

    Args:
        explainer: the method on its model, fitted where it has to be.
        data: the explained graph(s).
        index: which predictions, as in `Explainer.explain`.
        target: the explained class.
        under: what changes, see the module.
        others: ``"models"``, ``"architectures"``: explainers of the other models, or the models
            (explained with the same settings). ``"seeds"``: explainers that differ in their seed;
            needed for methods that are fitted, which are else built anew.
        seeds: number of seeds, that of the explainer and those after it.
        edges: ``"edges"``: numbers of added edges, a level for each.
        draws: ``"edges"`` and ``"noise"``: accepted draws for each instance and level.
        tries: how often a draw is made anew before the instance goes without.
        radius: ``"noise"``: of the ball, as a share of the root mean square of the nodes' norms.
        delta: largest change of a probability under noise; of a regression's value, as a share.
        top_k: ``overlap`` is about this number of best entries.
        ranking: ``"signed"`` or ``"absolute"`` scores, for ``overlap`` and ``rank``.
        over: what is compared: ``"edge"``, ``"node"`` or ``"feature"``.
        overlap: ``"share"`` of the best ``min(k, E)``, or ``"jaccard"``.
        seed: of the draws, and of the chance level.

    Returns:
        For each level ``stability_<under>_overlap``, ``_rank`` and ``_worst`` with their floors;
        under edges and noise also ``stability_<under>_rejected``, the mean number of rejected draws
        of an instance. The seeds of a method without chance are not run: its numbers are 1, 1 and
        0 at the level ``"deterministic"``.

    Raises:
        HyperParameterError: for arguments out of range, or others that are missing.
        UnsupportedModelError: for noise on features that are no numbers, or edges where there is
            no ``edge_index`` to add to.
        GlassgraphError: see `Explainer.explain`.

    Example:
        >>> import glassgraph as gg
        >>> from torch_geometric.data import Data
        >>> from torch_geometric.nn import GCN
        >>> data = Data(x=torch.rand(4, 3), edge_index=torch.tensor([[0, 1, 2, 0], [1, 2, 3, 2]]))
        >>> explainer = gg.Random(GCN(3, 8, 2, 2), task="node", progress=False)
        >>> for found in stability(explainer, data, [3], under="seeds", top_k=1):
        ...     print(found.metric, found.estimate.n)
        stability_seeds_overlap 1
        stability_seeds_rank 1
        stability_seeds_worst 1
    """
    how = Comparing(top_k, ranking, over, overlap, "each", seed)
    _check(under, others, seeds, draws, tries, radius, delta)
    if under in ("edges", "noise"):
        how = Comparing(top_k, ranking, over, overlap, "first", seed)
        numbers = [edges] if isinstance(edges, int) else list(edges)
        if under == "edges":
            _check_numbers(numbers)
            changes: list[tuple[str, Change]] = [(str(k), added_edges(k)) for k in numbers]
        else:
            changes = [(f"{radius:g}", feature_noise(radius))]
        tolerance = None if under == "edges" else delta
        perturbed = Perturbed(explainer, data, index, target, tolerance, delta, tries, seed)
        return [
            each
            for level, change in changes
            for each in _under_change(perturbed, change, draws, how, f"stability_{under}", level)
        ]
    first = explainer.explain(data, index, target)
    if under == "seeds" and others is None and not explainer.traits.is_random:
        return _deterministic(first, how)
    runs = [first]
    asked = _same_classes(first, target)
    for each in _others(explainer, others, seeds):
        runs.append(each.explain(data, index, asked))
    return agreement_of(
        [[run.local(i) for i in range(len(run))] for run in runs],
        how,
        f"stability_{under}",
        explainer.name,
    )


def _under_change(
    perturbed: Perturbed, change: Change, draws: int, how: Comparing, metric: str, level: str
) -> list[Measured]:
    """The measures of one kind of change, and how many draws were rejected."""
    runs: list[Sequence[LocalExplanation | None]] = [perturbed.originals]
    rejected = torch.zeros(len(perturbed.originals), dtype=torch.float64)
    for draw in range(draws):
        found, refused = perturbed.explained(change, draw)
        runs.append(found)
        rejected += refused
    method = perturbed.explainer.name
    return [
        *agreement_of(runs, how, metric, method, level),
        Measured.of(f"{metric}_rejected", method, rejected, level=level, better="lower"),
    ]


def _deterministic(found: Explanations, how: Comparing) -> list[Measured]:
    """What any number of seeds gives where none is read: the explanation against itself."""
    own = [found.local(i) for i in range(len(found))]
    return agreement_of([own, own], how, "stability_seeds", found.method, "deterministic")


def _others(
    explainer: Explainer, others: Sequence[Explainer | nn.Module] | None, seeds: int
) -> list[Explainer]:
    if others is not None:
        return [
            each if isinstance(each, Explainer) else _rebuilt(explainer, model=each)
            for each in others
        ]
    return [_rebuilt(explainer, seed=explainer.seed + number) for number in range(1, seeds)]


def _rebuilt(explainer: Explainer, **changes: Any) -> Explainer:
    """The method with the same settings, but another seed or model.

    Raises:
        HyperParameterError: for one that is fitted, which this would not be.
    """
    if explainer.traits.is_amortized:
        raise HyperParameterError(
            f"{explainer.name} is fitted before it explains, on data that stability does not know; "
            "fit one for each seed or model and give them as others=[...]"
        )
    settings = {
        name: getattr(explainer, name)
        for name in hyper_parameter_names(type(explainer))
        if hasattr(explainer, name)
    }
    # The task has mode and return type already.
    settings |= {"mode": None, "return_type": None}
    return type(explainer)(
        **settings | {"model": explainer.model, "task": explainer.task} | changes
    )


def _same_classes(first: Explanations, target: Target) -> Target:
    """What other models are asked for: the classes that the first explanations are about."""
    if isinstance(target, tuple) or not len(first):
        return target
    chosen = rows_in_order(first, "target")
    return chosen if bool((chosen >= 0).all()) else target


def _check(
    under: str,
    others: Sequence[Any] | None,
    seeds: int,
    draws: int,
    tries: int,
    radius: float,
    delta: float,
) -> None:
    if under not in get_args(Under):
        words = ", ".join(map(repr, get_args(Under)))
        raise HyperParameterError(f"under must be one of {words}; got {under!r}")
    if under in _OTHERS and not others:
        raise HyperParameterError(
            f"under={under!r} needs others=[...]: the other models, or explainers of them"
        )
    if others is not None and under in ("edges", "noise"):
        raise HyperParameterError(f"under={under!r} changes the data; others has no meaning there")
    if others is not None and not others:
        raise HyperParameterError("others is empty; give at least one explainer")
    for name, number, least in (("seeds", seeds, 2), ("draws", draws, 1), ("tries", tries, 1)):
        if isinstance(number, bool) or not isinstance(number, int) or number < least:
            raise HyperParameterError(f"{name} must be at least {least}; got {number!r}")
    for name, value in (("radius", radius), ("delta", delta)):
        if not (math.isfinite(value) and value > 0):
            raise HyperParameterError(f"{name} must be positive; got {value!r}")


def _check_numbers(numbers: Sequence[int]) -> None:
    if not numbers or any(isinstance(k, bool) or not isinstance(k, int) or k < 1 for k in numbers):
        raise HyperParameterError(f"edges must be positive numbers of edges; got {numbers!r}")
