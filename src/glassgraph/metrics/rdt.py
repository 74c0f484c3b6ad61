r"""RDT-fidelity: is a prediction the same if all that an explanation leaves out is noise?

.. code-block:: text

    F(M) = share of samples Z with   f(Y) says what f(X) says,   Y = M * X + (1 - M) * Z

``Z`` replaces each entry of the features by the same feature of a node drawn anew
(`glassgraph.black_box.noise`), and edges stay. "Says" is the decision about the explained class,
for a regression a value within a tolerance, as in `glassgraph.explainers.perturbation.zorro`.

The mask ``M [n, F]`` in 0 to 1 is what an explanation scores: its features; else its nodes, each
with all features; else its edges, where a node counts the absolute scores of its edges. Scores are
taken by absolute value, and divided by the largest where that exceeds 1; nodes outside of the field
have 0. Masks may be soft, as the authors have it: ``Y`` then lies between ``X`` and ``Z``.

*Validity* is the same with zeros in the place of noise, one sample: ``noise="zero"``.

A method that searches with noise of its own, as ZORRO does, fits that noise. So the seed is
another one than that of the explanations unless one is given; the explanations' own seed repeats
what the search saw.

Funke, Khosla, Rathee and Anand, "Zorro: Valid, Sparse, and Stable Explanations in Graph Neural
Networks" (TKDE 2022, https://arxiv.org/abs/2105.08621).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from glassgraph.black_box.callable_module import as_module
from glassgraph.black_box.noise import FeatureNoise, only_features
from glassgraph.black_box.probing import prepare_black_box
from glassgraph.black_box.variants import Copies, Variants
from glassgraph.brief import brief_repr
from glassgraph.calling.call import Call, ModelCall
from glassgraph.calling.protect import protected
from glassgraph.core.batch import InstanceBatch
from glassgraph.core.told import FallbackWarning
from glassgraph.errors import UnknownMetricError
from glassgraph.inputs.task import Task, stays
from glassgraph.metrics.run import DEFAULT_MEMORY_BUDGET, check_same_data, recorded_task
from glassgraph.metrics.scores import node_scores
from glassgraph.results.again import explained_again
from glassgraph.results.explanation import Explanations
from glassgraph.results.records import LocalExplanation

#: ``"graph"``: features of other nodes; ``"zero"``: nothing.
Noise = Literal["graph", "zero"]


@dataclass(frozen=True)
class RDTFidelityResult:
    """RDT-fidelity of B instances.

    Attributes:
        method: whose explanations they are.
        noise: what stands in for what is left out.
        seed: of the noise.
        samples: how many.
        index: ``[B]`` the user's numbers of the instances.
        fidelity: ``[B]`` share of samples with the same decision.
        mean: the average, None without instances.
    """

    method: str
    noise: Noise
    seed: int
    samples: int
    index: Tensor
    fidelity: Tensor
    mean: float | None

    __repr__ = brief_repr


def rdt_fidelity(
    explanations: Explanations,
    model: nn.Module | Callable[..., Any],
    data: Any,
    *,
    task: str | Task | None = None,
    noise: Noise = "graph",
    samples: int = 100,
    seed: int | None = None,
    tolerance: float = 0.1,
    call: Call | None = None,
    memory_budget: int = DEFAULT_MEMORY_BUDGET,
) -> RDTFidelityResult:
    """How often a prediction is the same under masks and noise.

    Args:
        explanations: what is measured; their targets say which class.
        model: the explained model, or a function; it is only called.
        data: the explained graph(s), with one type of nodes.
        task: as in `fidelity`.
        noise: ``"graph"`` for features of other nodes, ``"zero"`` for zeros (validity).
        samples: how many times noise is drawn; zeros are one sample.
        seed: of the noise; None for another one than that of the explanations.
        tolerance: how far a regression may be off, as a share of its value.
        call: how to call the model.
        memory_budget: bytes that one pass may take.

    Raises:
        UnknownMetricError: for an unknown noise, no samples, or explanations without scores.
        UnsupportedModelError: if nodes have types, or no features.
        ExplanationFileError: if the explanations are of other data.
        TaskError: if the task has another level than the explanations.
    """
    if noise not in get_args(Noise):
        raise UnknownMetricError(f"noise must be 'graph' or 'zero'; got {noise!r}")
    if samples < 1:
        raise UnknownMetricError(f"samples must be at least 1; got {samples}")
    if not tolerance >= 0:
        raise UnknownMetricError(f"tolerance must not be negative; got {tolerance}")
    samples = samples if noise == "graph" else 1
    if seed is None:
        seed = int(explanations.provenance.get("seed", 0)) + 1
    module = as_module(model)
    with protected(module), torch.no_grad(), warnings.catch_warnings():
        # Explaining has told of instances that cannot be cut out; the numbers are right anyhow.
        warnings.simplefilter("ignore", FallbackWarning)
        preparation = prepare_black_box(
            ModelCall(module, call), recorded_task(explanations, task), data, "auto", None
        )
        graph = preparation.graph
        check_same_data(explanations, graph.num_nodes, graph.num_edges)
        every = [explanations.local(position) for position in range(len(explanations))]
        instances, targets = explained_again(explanations, preparation)
        found = torch.zeros(len(every), dtype=torch.double)
        batches = preparation.batches(instances, targets.chosen, memory_budget)
        for position, batch in batches if every else ():
            batch.targets = targets.take(position)
            here = [every[at] for at in position.tolist()]
            drawn = FeatureNoise(batch, seed) if noise == "graph" else None
            found[position.cpu()] = _measure(
                batch, _masks(batch, here), drawn, samples, tolerance, memory_budget
            )
    return RDTFidelityResult(
        method=explanations.method,
        noise=noise,
        seed=seed,
        samples=samples,
        index=instances.index.cpu(),
        fidelity=found,
        mean=float(found.mean()) if len(every) else None,
    )


def _measure(
    batch: InstanceBatch,
    masks: Tensor,
    noise: FeatureNoise | None,
    samples: int,
    tolerance: float,
    budget: int,
) -> Tensor:
    """RDT-fidelity ``[B]`` of masks ``[n, F]``."""
    x = only_features(batch)
    variants = Variants(batch, budget)
    found = torch.zeros(batch.num_instances, dtype=torch.double)
    for number in range(batch.num_instances):
        node = (batch.node_instance == number).nonzero().view(-1)
        instance = torch.full((samples,), number, device=batch.device)
        drawn = x.new_zeros(samples, node.numel(), x.size(1))
        if noise is not None:
            drawn = noise.draw(number, node, samples)
        drawn = _between(drawn, x[node].expand_as(drawn), masks[node])

        def fill(copies: Copies, features: Tensor = drawn) -> list[Tensor]:
            (variant,) = copies.variant
            return [features[int(variant[0]) : int(variant[-1]) + 1].flatten(0, 1)]

        output = variants.with_features(instance, fill)
        same = stays(
            batch.task,
            output,
            batch.targets.take(instance),
            batch.reference_of(instance),
            tolerance,
        )
        found[number] = same.double().mean().cpu()
    return found


def _between(drawn: Tensor, x: Tensor, mask: Tensor) -> Tensor:
    """``mask * x + (1 - mask) * drawn``; integers are kept where the mask is above one half."""
    if not x.is_floating_point():
        return torch.where(mask > 0.5, x, drawn)
    return drawn.lerp(x, mask.to(x.dtype))


def _masks(batch: InstanceBatch, explained: Sequence[LocalExplanation]) -> Tensor:
    """``[n, F]`` the masks of a batch's instances, in 0 to 1."""
    x = only_features(batch)
    found = batch.reference.new_zeros(x.shape)
    graph, key = batch.graph, batch.node_instance * max(1, batch.graph.num_nodes)
    key = key + batch.fields.node
    for number, local in enumerate(explained):
        score = local.feature_score
        if score is None:
            score = node_scores(local, "absolute").view(-1, 1)
        score = score.abs().to(found)
        score = score / score.max().clamp_min(1) if score.numel() else score
        node = local.node_id.to(x.device)
        if graph.is_split:
            node = node + graph.by_graph[0].pointer[local.graph]
        wanted = number * max(1, graph.num_nodes) + node
        place = torch.searchsorted(key, wanted).clamp_max(key.numel() - 1)
        is_here = key[place] == wanted
        found[place[is_here]] = score[is_here].expand(-1, x.size(1))
    return found
