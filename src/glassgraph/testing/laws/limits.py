"""Laws at the limits: no edges, one node, loops, parallel edges, single precision."""

from __future__ import annotations

import warnings

import torch

from glassgraph.testing.cases import KINDS, Case
from glassgraph.testing.compare import expect, scores
from glassgraph.testing.law import law
from glassgraph.testing.special_cases import LIMITS, LimitCase
from glassgraph.testing.subject import Subject

_BASES = [
    *(Case(kind, "node") for kind in KINDS),
    Case("gcn", "graph", "binary_classification", columns=1),
    Case("gin", "edge", "regression", columns=1),
]


@law(
    catches="division by nothing, and other failures on graphs at the limits",
    usually="a mean or maximum over no edges, or a normalization by a score that is zero",
    cases=[LimitCase(base, name) for base in _BASES for name in LIMITS],
    on_own=False,
)
def limits_are_explained(subject: Subject, case: LimitCase) -> None:
    """Node 0 (or the whole graph) at the limits: right shapes, right type, finite scores."""
    _expect_sound(subject, case)


@law(
    catches="scores in another precision than the model's",
    usually="a tensor is made without dtype=batch.dtype",
    cases=[
        LimitCase(base, "parallel", torch.float32)
        for base in (Case("gcn", "node"), Case("gat", "graph"))
    ],
    on_own=False,
)
def precision_is_kept(subject: Subject, case: LimitCase) -> None:
    """A model in single precision gets scores in single precision."""
    _expect_sound(subject, case)


def _expect_sound(subject: Subject, case: LimitCase) -> None:
    data = case.data()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of a node that is alone
        explainer = subject.build(case.model(), case)
        (explanation,) = subject.explain(explainer, case, data)
    num_nodes, num_edges = data.num_nodes, data.num_edges
    shapes = {"edge_mask": (num_edges,), "layer_edge_mask": (2, num_edges)}
    for name, value in scores(explanation).items():
        expect(value.dtype == case.dtype, f"{name} is {value.dtype}; expected {case.dtype}")
        expect(bool(torch.isfinite(value).all()), f"{name} is not finite")
        shape = shapes.get(name, (num_nodes, *value.shape[1:]))
        expect(value.shape == shape, f"{name} has shape {tuple(value.shape)}; expected {shape}")
    has_edges = "edge" in subject.traits.scores
    expect(not has_edges or "edge_mask" in explanation, "there is no edge_mask")
    if case.level == "node" and case.graph == "isolated":
        is_zero = not has_edges or not bool(explanation.edge_mask.any())
        expect(is_zero, "edges that lead elsewhere have scores")
        expect(explanation.local.edge_id.numel() == 0, "the field of a node alone has edges")
