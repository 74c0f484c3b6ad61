"""Laws about what scores say: of this model, of what can matter, of what does."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from glassgraph.explainers.scope import LEVELS
from glassgraph.testing.cases import AnyCase, Case
from glassgraph.testing.compare import differ, expect, scores
from glassgraph.testing.law import law
from glassgraph.testing.special_cases import PlantedCase
from glassgraph.testing.subject import Subject, masks


@law(
    catches="an explanation that does not depend on the model",
    usually="scores come from the graph alone, or a loss was computed without gradients",
    applies=lambda subject, _: not subject.is_blind,
)
def model_matters(subject: Subject, case: AnyCase) -> None:
    """A model with other weights is explained differently."""
    one, other = masks(subject.first(case)), masks(subject.first(case, model_seed=1))
    if subject.has_nothing_to_say(one + other):
        return
    is_different = any(differ(first, second) for first, second in zip(one, other, strict=True))
    expect(is_different, "a model with other weights gets the same scores")


@law(
    catches="scores on what cannot reach the prediction, and on messages that come too late",
    usually="scores belong to other edges than those of the batch, or a layer gets scores of all "
    "edges where some of its messages come too late",
    on_own=False,
)
def outside_is_zero(subject: Subject, case: Case) -> None:
    """Edges that cannot reach the prediction score 0, and every score is finite."""
    data = case.data()
    num_layers = 3 if subject.scope.sees_degrees and case.kind == "gcn" else 2
    for position, explanation in enumerate(subject.first(case)):
        number = case.index[position]
        one = data[number] if case.level == "graph" else data
        reach = [torch.ones(one.num_edges, dtype=torch.bool)] * 2
        if case.level != "graph":
            seeds = [number] if case.level == "node" else one.edge_label_index[:, number].tolist()
            reach = within_reach(one.edge_index, seeds, num_layers)
            assert not reach[0].all(), "the case leaves nothing outside"
        where = f"instance {position}"
        for name, value in scores(explanation).items():
            expect(bool(torch.isfinite(value).all()), f"{where}: {name} is not finite")
        if "edge" in subject.traits.scores:
            _expect_zero(f"{where}: edge_mask", explanation.edge_mask, reach[0])
        if "layer_edge_mask" in explanation:
            for layer, mask in enumerate(explanation.layer_edge_mask):
                _expect_zero(f"{where}: layer_edge_mask[{layer}]", mask, reach[layer])


def _expect_zero(name: str, mask: Tensor, reach: Tensor) -> None:
    expect(mask.shape == reach.shape, f"{name} has {mask.numel()} scores of {len(reach)} edges")
    outside = mask[~reach]
    expect(
        not bool(outside.any()),
        f"{name}: {int((outside != 0).sum())} edges that cannot reach the prediction have scores, "
        f"of up to {float(outside.abs().max()) if outside.numel() else 0:.3g}",
    )


def within_reach(edge_index: Tensor, seeds: list[int], num_layers: int) -> list[Tensor]:
    """For each layer, which edges' messages there can reach the seeds: one loop per hop."""
    near, found = set(seeds), []
    for _ in range(num_layers):
        is_reached = torch.tensor([int(node) in near for node in edge_index[1]], dtype=torch.bool)
        found.append(is_reached)
        near = near | {int(node) for node in edge_index[0, is_reached]}
    return found[::-1]


@law(
    catches="scores of the wrong sign, or of something else than the evidence",
    usually="the loss is explained where the score was meant, or too few steps are taken; settings "
    "under which the evidence stands out are the method's evidence_settings",
    cases=[PlantedCase(level) for level in LEVELS],
    applies=lambda subject, _: not subject.is_blind and subject.traits.scores != ("feature",),
    on_own=False,
)
def planted_edge_is_first(subject: Subject, case: PlantedCase) -> None:
    """In a hand-built model one edge carries the evidence; it must have the highest score.

    Methods that score nodes see no difference between edges into one node: theirs must have the
    highest score among edges into other nodes. For those that ask for decisions alone the evidence
    has to pass a threshold, or the decision would not need it.
    """
    if subject.scope.asks_for_decisions:
        case = replace(case, threshold=0.5)
    data, settings = case.data(), subject.method.evidence_settings
    explainer = subject.build(case.model(), case, **settings)
    (explanation,) = subject.learn_and_explain(explainer, case, data, case.index)
    rest, receiver = explanation.edge_mask.clone(), data.edge_index[1]
    best = float(rest[case.edge])
    names_receivers = subject.scope.names_receivers
    rest[receiver == receiver[case.edge] if names_receivers else case.edge] = float("-inf")
    expect(
        best > float(rest.max()) + 1e-6,
        f"the edge that carries the evidence has score {best:.6g}, another one {rest.max():.6g}",
    )
