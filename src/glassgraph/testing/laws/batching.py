"""Laws about batches and receptive fields: what lies beside a prediction changes nothing."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric.data import Data

from glassgraph.core.told import FallbackWarning
from glassgraph.results.explanation import Explanations, LocalExplanation
from glassgraph.testing.cases import AnyCase, graph
from glassgraph.testing.compare import EDGE_MASKS, expect, expect_same, scores
from glassgraph.testing.law import law
from glassgraph.testing.subject import Masks, Subject, masks


@law(
    catches="scores that depend on the other instances of a batch",
    usually="a mean, maximum or normalization over the whole batch; do it for each instance, with "
    "batch.edge_instance or batch.node_instance",
)
def together_is_alone(subject: Subject, case: AnyCase) -> None:
    """Many at once = one by one = in another order."""
    together, data, backwards_index = subject.first(case), case.data(), case.index[::-1]
    explainer = subject.build(case.model(), case)
    backwards = subject.explain(explainer, case, data, backwards_index)
    expect(
        len(together) == len(backwards) == len(case.index),
        f"{len(together)} and {len(backwards)} explanations of {len(case.index)} instances",
    )
    for position, index in enumerate(case.index):
        (alone,) = subject.explain(explainer, case, data, [index])
        others = {"together": together[position], "backwards": backwards[-1 - position]}
        for how, other in others.items():
            expect(other.local.index == index, f"instance {index} comes as {other.local.index}")
            expect_same(scores(other), scores(alone), f"instance {index} {how} and alone")


@law(
    catches="scores that depend on how many instances share a batch",
    usually="a mean of losses where their sum was meant, or a normalization over a chunk of copies",
)
def budget_is_irrelevant(subject: Subject, case: AnyCase) -> None:
    """How many instances share a batch does not matter, nor how many copies a method makes."""
    whole = masks(subject.first(case))
    for budget in (1, 400_000):
        explainer = subject.build(case.model(), case, memory_budget=budget)
        chunked = masks(subject.explain(explainer, case))
        for position, (one, other) in enumerate(zip(whole, chunked, strict=True)):
            expect_same(other, one, f"memory_budget={budget}, instance {position}")


@law(
    catches="scores that depend on how much of the graph was cut out",
    usually="a size of the batch (nodes, edges) enters the formula; if the paper's does, name the "
    "setting that makes up for it in fixed_settings",
    on_own=False,
)
def field_is_full_graph(subject: Subject, case: AnyCase) -> None:
    """The receptive field gives what the full graph gives.

    The model is called so that it refuses any graph but the user's own, which makes the library
    fall back to the full graph. Blind methods score what lies outside the field as well, and so do
    learned ones (a feature's mask is shared by all nodes): those are compared on the field.
    """
    fixed, data, model = subject.method.fixed_settings, case.data(), case.model()
    cut = subject.first(case)
    if fixed:
        cut = subject.explain(subject.build(model, case, **fixed), case, data)
    graphs = data if isinstance(data, list) else [data]
    sizes = {each.num_nodes for each in graphs} | {sum(each.num_nodes for each in graphs)}

    def strict(model: nn.Module, data: Data) -> Tensor:
        if data.num_nodes not in sizes:
            raise ValueError(f"{data.num_nodes} nodes are not the user's graph")
        return case.predict(model, data)

    full = _fall_back(subject, subject.build(model, case, call=strict, **fixed), case, data)
    for position, (one, other) in enumerate(zip(cut, full, strict=True)):
        expected = _comparable(subject, one, scores(other))
        if subject.scope.samples_field:
            is_finite = all(bool(torch.isfinite(value).all()) for value in expected.values())
            expect(is_finite, f"instance {position}: not finite on the full graph")
        else:
            expect_same(scores(one), expected, f"field and full graph, instance {position}")


def _fall_back(subject: Subject, explainer: Any, case: AnyCase, data: Any) -> Explanations:
    """Explain on the full graph, of which the library warns."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.filterwarnings("always", category=FallbackWarning)
        full = subject.explain(explainer, case, data)
    told = any(issubclass(each.category, FallbackWarning) for each in caught)
    expect(told, "it never fell back to the full graph")
    return full


def _comparable(subject: Subject, one: Any, expected: Masks) -> Masks:
    """What the full graph says, as far as the receptive field can know it."""
    traits = subject.traits
    if subject.is_blind or traits.is_learned or subject.scope.finds_by_chance:
        expected = _within(one.local, expected)
    if traits.is_amortized and "layer_edge_mask" in expected:
        # On the full graph nobody knows which messages come too late; the field does.
        late = scores(one)["layer_edge_mask"] == 0
        expected["layer_edge_mask"][late] = 0
        expected["edge_mask"] = expected["layer_edge_mask"].amax(dim=0)
    return expected


def _within(local: LocalExplanation, dense: Masks) -> Masks:
    """Dense masks, zero outside a receptive field."""
    found = {}
    for name, value in dense.items():
        found[name] = torch.zeros_like(value)
        at = (..., local.edge_id) if name in EDGE_MASKS else (local.node_id,)
        found[name][at] = value[at]
    return found


@law(
    catches="scores that depend on parts of the graph that cannot reach the prediction",
    usually="a size of the user's graph enters the formula",
    applies=lambda _, case: case.level != "graph",
    on_own=False,
)
def far_graph_is_irrelevant(subject: Subject, case: AnyCase) -> None:
    """What cannot reach a prediction changes nothing: more nodes, fed by the old ones.

    Where the features of all nodes matter the nodes are there from the start, alone, and what comes
    are their edges.
    """
    data = case.data()
    far = _with_more(data)
    if subject.scope.draws_from_all_nodes:
        start = far.edge_subgraph(torch.arange(far.num_edges) < data.num_edges)
        near = subject.explain(subject.build(case.model(), case), case, start)
    else:
        near = subject.first(case)
    after = subject.explain(subject.build(case.model(), case), case, far)
    for position, (one, other) in enumerate(zip(near, after, strict=True)):
        own, old = (_first_part(scores(each), data) for each in (one, other))
        expect_same(old, own, f"with more nodes far away, instance {position}")


def _with_more(data: Data) -> Data:
    """A graph with another one behind it, into which it sends messages."""
    far, other = data.clone(), graph(13, 19, torch.Generator().manual_seed(13))
    hanging = torch.stack([torch.arange(11), torch.arange(11) + data.num_nodes])
    far.x = torch.cat([data.x, other.x])
    far.edge_index = torch.cat([data.edge_index, hanging, other.edge_index + data.num_nodes], 1)
    num_added = far.edge_index.size(1) - data.num_edges
    for name in ("edge_weight", "edge_attr", "edge_type"):
        if name in data:
            far[name] = torch.cat([data[name], data[name][:num_added]])
    if "y" in data:
        far.y = torch.cat([data.y, data.y[:13]])
    return far


def _first_part(dense: Masks, data: Data) -> Masks:
    """Scores of the edges and nodes that a graph has."""
    return {
        name: value[..., : data.num_edges] if name in EDGE_MASKS else value[: data.num_nodes]
        for name, value in dense.items()
    }
