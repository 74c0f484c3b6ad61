"""The laws of the house plan: each is a function that raises AssertionError for a bad explainer."""

from __future__ import annotations

import contextlib
import copy
import random
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Data

import glassgraph as gg
from glassgraph.core.batch import InstanceBatch
from glassgraph.core.prepare import FallbackWarning
from glassgraph.core.protect import protected
from glassgraph.explainers.surrogate.graph_lime import ConstantPredictionWarning
from tests.laws import literal
from tests.laws.cases import (
    FEATURES,
    Case,
    Factory,
    assert_same,
    differ,
    explained,
    graph,
    scope_of,
    scores,
    traits_of,
)

#: ``output(batch, gates)``: how the law of gates evaluates a batch.
GatedOutput = Callable[[InstanceBatch, Tensor | None], Tensor]


# The user's model and data


def snapshot(model: nn.Module, data: Any) -> dict[str, Any]:
    """Everything about a model and its data that an explanation must leave as it was."""
    found: dict[str, Any] = {}
    for name, module in model.named_modules():
        found[f"{name}.training"] = module.training
        found[f"{name}.attributes"] = sorted(vars(module))
        for attribute, value in vars(module).items():
            if attribute.endswith(("_hooks", "_hooks_with_kwargs", "_hooks_always_called")):
                found[f"{name}.{attribute}"] = list(value.items())
            elif isinstance(value, (bool, int, float, str, type(None))):
                found[f"{name}.{attribute}"] = value
    for name, parameter in model.named_parameters():
        found[f"{name}.identity"] = id(parameter)
        found[f"{name}.value"] = parameter.detach().clone()
        found[f"{name}.requires_grad"] = parameter.requires_grad
        found[f"{name}.grad"] = None if parameter.grad is None else parameter.grad.clone()
    for name, buffer in model.named_buffers():
        found[f"{name}.identity"] = id(buffer)
        found[f"{name}.value"] = buffer.clone()
    for number, each in enumerate(data if isinstance(data, list) else [data]):
        found[f"data {number}"] = {
            key: value.clone() if isinstance(value, Tensor) else value
            for key, value in each.to_dict().items()
        }
    return found


def assert_unchanged(before: dict[str, Any], after: dict[str, Any]) -> None:
    """Two snapshots are equal to the last bit."""
    assert before.keys() == after.keys(), sorted(before.keys() ^ after.keys())
    for name, value in before.items():
        assert _equal(value, after[name]), f"{name} changed"


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_equal(one[key], other[key]) for key in one)
    return type(one) is type(other) and bool(one == other)


def _used_model(case: Case) -> nn.Module:
    """A model in the middle of its life: mixed modes, a frozen weight, a gradient, user hooks."""
    model = case.model()
    literal.predict(model, case, case.data())  # some layers choose an algorithm at their first call
    model.train()
    model.convs[0].eval()
    model.head.bias.requires_grad_(False)
    model.head.weight.grad = torch.ones_like(model.head.weight)
    model.convs[1].register_forward_hook(lambda module, inputs, output: None)
    model.convs[0].register_message_forward_hook(lambda module, inputs, output: None)
    return model


def check_model_unchanged(make: Factory, case: Case) -> None:
    """Model and data are bit for bit what they were, and the model's outputs too."""
    model, data = _used_model(case), case.data()
    before, output = snapshot(model, data), _plain_output(model, case, data)
    explained(make(model, case), case, data, refit=True)
    assert_unchanged(before, snapshot(model, data))
    assert torch.equal(output, _plain_output(model, case, data))


def _plain_output(model: nn.Module, case: Case, data: Any) -> Tensor:
    """What the user's own call gives, in evaluation mode, on a copy."""
    twin = copy.deepcopy(model).eval()
    with torch.no_grad():
        return literal.predict(twin, case, data)


class Blown(RuntimeError):
    """What a fuse in a model raises."""


def check_model_unchanged_after_failure(
    make: Factory, case: Case, error: type[BaseException], last_call: int = 7
) -> None:
    """The same where the model fails at its n-th call, for every n, and where `attribute` fails."""
    data = case.data()
    for fuse in range(1, last_call):
        model, calls = _used_model(case), [0]

        def blow(module: nn.Module, inputs: Any, calls: list[int] = calls, n: int = fuse) -> None:
            calls[0] += 1
            if calls[0] >= n:
                raise error

        model.convs[1].register_forward_pre_hook(blow)
        explainer = make(model, case)
        before = snapshot(model, data)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FallbackWarning)
            _expect_failure(explainer, case, data)
        assert_unchanged(before, snapshot(model, data))
        if calls[0] < fuse:
            break  # it never went off: the explainer calls the model less often
    model = _used_model(case)
    explainer = make(model, case)
    whole = explainer.attribute

    def fails_at_the_end(batch: InstanceBatch) -> gg.Attribution:
        whole(batch)
        raise error

    explainer.attribute = fails_at_the_end  # type: ignore[method-assign]
    before = snapshot(model, data)
    with pytest.raises(error):
        explained(explainer, case, data, refit=True)
    assert_unchanged(before, snapshot(model, data))


def _expect_failure(explainer: gg.Explainer, case: Case, data: Any) -> None:
    with contextlib.suppress(Blown, gg.errors.GlassgraphError, KeyboardInterrupt):
        explained(explainer, case, data, refit=True)


def check_model_matters(make: Factory, case: Case) -> None:
    """A model with other weights is explained differently (unless the method is blind)."""
    data = case.data()
    runs = [explained(make(case.model(seed), case), case, data) for seed in (0, 1)]
    is_different = any(differ(scores(one), scores(other)) for one, other in zip(*runs, strict=True))
    if _nothing_decides(make, [scores(each) for run in runs for each in run]):
        return
    assert is_different or traits_of(make).family == "baseline"


def _nothing_decides(make: Factory, found: list[dict[str, Tensor]]) -> bool:
    """Whether no input changes a decision, for methods that ask for nothing else."""
    is_empty = not any(bool(value.any()) for each in found for value in each.values())
    return is_empty and scope_of(make).asks_for_decisions


# Batching


def check_together_is_alone(make: Factory, case: Case) -> None:
    """Many at once = one by one = in another order."""
    model, data = case.model(), case.data()
    together = explained(make(model, case), case, data)
    backwards = explained(make(model, case), case, data, case.index[::-1])
    assert len(together) == len(backwards) == len(case.index)
    for position, index in enumerate(case.index):
        (alone,) = explained(make(model, case), case, data, [index])
        for other in (together[position], backwards[len(case.index) - 1 - position]):
            assert other.local.index == index
            assert_same(scores(other), scores(alone))


def check_budget_is_irrelevant(make: Factory, case: Case) -> None:
    """How many instances share a batch does not matter, nor how many copies a method makes."""
    model, data = case.model(), case.data()
    whole = explained(make(model, case), case, data)
    for budget in (1, 400_000):
        chunked = explained(make(model, case, memory_budget=budget), case, data)
        for one, other in zip(whole, chunked, strict=True):
            assert_same(scores(other), scores(one))


def check_field_is_full_graph(make: Factory, case: Case) -> None:
    """The receptive field gives what the full graph gives.

    The model is called so that it refuses any graph but the user's own, which makes the library
    fall back to the full graph. Blind methods score what lies outside the field as well, and so do
    learned ones (a feature's mask is shared by all nodes): those are compared on the field.
    """
    model, data = case.model(), case.data()
    settings = make.fixed_size  # type: ignore[attr-defined]
    cut = explained(make(model, case, **settings), case, data)
    graphs = data if isinstance(data, list) else [data]
    sizes = {each.num_nodes for each in graphs} | {sum(each.num_nodes for each in graphs)}

    def strict(model: nn.Module, data: Data) -> Tensor:
        if data.num_nodes not in sizes:
            raise Blown(f"{data.num_nodes} nodes are not the user's graph")
        return literal.predict_one(model, case, data)

    with pytest.warns(FallbackWarning, match="receptive fields"):
        full = explained(make(model, case, call=strict, **settings), case, data)
    traits = traits_of(make)
    for one, other in zip(cut, full, strict=True):
        expected = scores(other)
        by_chance = scope_of(make).finds_by_chance
        if traits.family == "baseline" or traits.is_learned or by_chance:
            expected = _within(one.local, expected)
        if traits.is_amortized and "layer_edge_mask" in expected:
            # On the full graph nobody knows which messages come too late; the field does.
            late = scores(one)["layer_edge_mask"] == 0
            expected["layer_edge_mask"][late] = 0
            expected["edge_mask"] = expected["layer_edge_mask"].amax(dim=0)
        if scope_of(make).samples_field:
            assert all(torch.isfinite(value).all() for value in expected.values())
            continue
        assert_same(scores(one), expected)


def _within(local: gg.LocalExplanation, dense: dict[str, Tensor]) -> dict[str, Tensor]:
    """Dense masks, zero outside a receptive field."""
    found = {}
    for name, value in dense.items():
        is_edge = name in ("edge_mask", "layer_edge_mask")
        found[name] = torch.zeros_like(value)
        at = (..., local.edge_id) if is_edge else (local.node_id,)
        found[name][at] = value[at]
    return found


def check_far_graph_is_irrelevant(make: Factory, case: Case) -> None:
    """What cannot reach a prediction changes nothing: more nodes, fed by the old ones.

    Where the features of all nodes matter the nodes are there from the start, alone, and what comes
    are their edges.
    """
    if case.level == "graph":
        return
    model, data = case.model(), case.data()
    far = data.clone()
    other = graph(13, 19)
    hanging = torch.stack([torch.arange(11), torch.arange(11) + data.num_nodes])
    far.x = torch.cat([data.x, other.x])
    far.edge_index = torch.cat([data.edge_index, hanging, other.edge_index + data.num_nodes], 1)
    num_added = far.edge_index.size(1) - data.num_edges
    for name in ("edge_weight", "edge_attr", "edge_type"):
        if name in data:
            far[name] = torch.cat([data[name], data[name][:num_added]])
    if "y" in data:
        far.y = torch.cat([data.y, data.y[:13]])
    start = data
    if scope_of(make).draws_from_all_nodes:
        start = far.edge_subgraph(torch.arange(far.num_edges) < data.num_edges)
    near = explained(make(model, case), case, start)
    for one, other in zip(near, explained(make(model, case), case, far), strict=True):
        old = {
            name: value[..., : data.num_edges]
            if name in ("edge_mask", "layer_edge_mask")
            else value[: data.num_nodes]
            for name, value in scores(other).items()
        }
        own = {
            name: value if name in ("edge_mask", "layer_edge_mask") else value[: data.num_nodes]
            for name, value in scores(one).items()
        }
        assert_same(old, own)


# Permutations


def check_edge_order_is_irrelevant(make: Factory, case: Case) -> None:
    """Edges in another order have the same scores, in that order.

    Random numbers are addressed by an edge's endpoints; among parallel edges by their order, so
    that order is kept where the method is random.
    """
    model, data = case.model(), case.data()
    before = explained(make(model, case), case, data)
    is_list = isinstance(data, list)
    graphs, orders = [], []
    for each in data if is_list else [data]:
        order = torch.randperm(each.num_edges)
        if traits_of(make).is_random:
            order = _with_parallels_in_order(order, each.edge_index)
        shuffled = each.clone()
        for name in ("edge_index", "edge_weight", "edge_attr", "edge_type"):
            if name in each:
                value = each[name]
                shuffled[name] = value[:, order] if name == "edge_index" else value[order]
        graphs.append(shuffled)
        orders.append(order)
    after = explained(make(model, case), case, graphs if is_list else graphs[0])
    for one, other in zip(before, after, strict=True):
        order = orders[one.local.graph]
        expected = {
            name: value[..., order] if name in ("edge_mask", "layer_edge_mask") else value
            for name, value in scores(one).items()
        }
        assert_same(scores(other), expected)


def _with_parallels_in_order(order: Tensor, edge_index: Tensor) -> Tensor:
    """A permutation that keeps edges with equal endpoints in their order."""
    order = order.clone()
    ends = [tuple(pair) for pair in edge_index.t()[order].tolist()]
    for pair in set(ends):
        at = torch.tensor([place for place, each in enumerate(ends) if each == pair])
        order[at] = order[at].sort().values
    return order


def check_node_order_is_irrelevant(make: Factory, case: Case) -> None:
    """Nodes under other numbers have the same scores, under those numbers.

    Random methods are left out: their numbers are addressed by node.
    """
    if traits_of(make).is_random:
        return
    model, data = case.model(), case.data()
    before = explained(make(model, case), case, data)
    is_list = isinstance(data, list)
    graphs, places = [], []
    for each in data if is_list else [data]:
        place = torch.randperm(each.num_nodes)  # node v becomes node place[v]
        moved = each.clone()
        moved.edge_index = place[each.edge_index]
        for name in ("x", "y") if case.level == "node" else ("x",):
            moved[name] = torch.empty_like(each[name])
            moved[name][place] = each[name]
        if "edge_label_index" in each:
            moved.edge_label_index = place[each.edge_label_index]
        graphs.append(moved)
        places.append(place)
    index = places[0][case.index].tolist() if case.level == "node" else case.index
    after = explained(make(model, case), case, graphs if is_list else graphs[0], index)
    for one, other in zip(before, after, strict=True):
        place = places[one.local.graph]
        got = {
            name: value if name in ("edge_mask", "layer_edge_mask") else value[place]
            for name, value in scores(other).items()
        }
        assert_same(got, scores(one))


# Gates


def plain_gates(batch: InstanceBatch, gates: Tensor | None) -> Tensor:
    """The library's own gated output."""
    return batch.output(gates)


def check_open_gates_change_no_bit(case: Case, output: GatedOutput = plain_gates) -> None:
    """With z = 1 the output is bitwise that of the model, and the user's, up to summation order."""
    model, data = case.model(), case.data()
    for batch in _batches(model, case, data):
        untouched = output(batch, None)
        assert torch.equal(output(batch, batch.ones()), untouched)
        assert torch.equal(output(batch, batch.ones(layerwise=True)), untouched)
        plain = literal.predict(model, case, data)
        rows = case.index if case.level != "graph" else [2, 0]
        torch.testing.assert_close(untouched, plain[rows], rtol=1e-12, atol=1e-13)


def check_shut_gate_deletes_message(case: Case, output: GatedOutput = plain_gates) -> None:
    """With z = 0 the output is that of the model whose one message is zeroed by a literal hook.

    Shared gates zero an edge's message in both layers, layerwise gates in one of them.
    """
    model, data = case.model(), case.data()
    for batch in _batches(model, case, data):
        fields = batch.fields
        starts = batch.graph.by_graph[1].pointer
        for edge in range(0, batch.num_edges, 3):
            instance = int(fields.edge_instance[edge])
            number = case.index[instance] if case.level == "graph" else 0
            user_edge = int(fields.edge[edge]) - int(starts[number])
            one = data[number] if case.level == "graph" else data
            row = 0 if case.level == "graph" else case.index[instance]
            for layer in (None, 0, 1):
                gates = batch.ones(layerwise=layer is not None)
                gates[(edge,) if layer is None else (layer, edge)] = 0
                shut = torch.ones(2, one.num_edges).double()
                shut[slice(None) if layer is None else layer, user_edge] = 0
                expected = literal.gated(model, case, one, shut)
                torch.testing.assert_close(
                    output(batch, gates)[instance], expected[row], rtol=1e-10, atol=1e-12
                )


def _batches(model: nn.Module, case: Case, data: Any) -> list[InstanceBatch]:
    explainer = gg.Random(model, case.task(), progress=False)
    with protected(model):
        preparation = explainer.prepare(data)
        instances = preparation.instances(case.index)
        found = [batch for _, batch in preparation.batches(instances, case.target, 1 << 30)]
    assert sum(batch.num_instances for batch in found) == len(case.index)
    return found


# Which edges


def check_outside_is_zero(make: Factory, case: Case) -> None:
    """Edges that cannot reach the prediction score 0, and every score is finite."""
    model, data = case.model(), case.data()
    sees_degrees = scope_of(make).sees_degrees
    num_layers = 3 if sees_degrees and case.kind == "gcn" else 2
    found = explained(make(model, case), case, data)
    for position, explanation in enumerate(found):
        one = data[case.index[position]] if case.level == "graph" else data
        if case.level == "graph":
            reach = [torch.ones(one.num_edges, dtype=torch.bool)] * 2
        else:
            number = case.index[position]
            seeds = [number] if case.level == "node" else one.edge_label_index[:, number].tolist()
            reach = literal.reach(one.edge_index, seeds, num_layers)
            assert not reach[0].all(), "the case leaves nothing outside"
        for name, value in scores(explanation).items():
            assert torch.isfinite(value).all(), name
        if "edge" in traits_of(make).scores:
            assert explanation.edge_mask.shape == (one.num_edges,)
            assert not explanation.edge_mask[~reach[0]].any()
        if "layer_edge_mask" in explanation:
            for layer, mask in enumerate(explanation.layer_edge_mask):
                assert not mask[~reach[layer]].any(), f"layer {layer}"


def check_planted_edge_is_first(
    make: Factory, level: str, names_receivers: bool = False, **settings: Any
) -> None:
    """In a hand-built model one edge carries the evidence; it must have the highest score.

    Methods that score nodes see no difference between edges into one node: theirs must have the
    highest score among edges into other nodes. For those that ask for decisions alone the evidence
    has to pass a threshold, or the decision would not need it.
    """
    traits = traits_of(make)
    if traits.family == "baseline" or traits.scores == ("feature",):
        return
    threshold = 0.5 if scope_of(make).asks_for_decisions else 0.0
    case, model, data, planted = literal.planted(level, threshold)
    (explanation,) = explained(make(model, case, **settings), case, data, [0], refit=True)
    rest = explanation.edge_mask.clone()
    best = float(rest[planted])
    receiver = data.edge_index[1]
    rest[receiver == receiver[planted] if names_receivers else planted] = float("-inf")
    assert best > float(rest.max()) + 1e-6


# Randomness


def check_seed_decides(make: Factory, case: Case) -> None:
    """Same seed, same bits; another seed, other scores if and only if the method is random."""
    model, data = case.model(), case.data()
    one, same, other = (
        [scores(each) for each in explained(make(model, case, seed=seed), case, data)]
        for seed in (5, 5, 6)
    )
    for first, second in zip(one, same, strict=True):
        assert all(torch.equal(first[name], second[name]) for name in first)
    if _nothing_decides(make, one + other):
        return
    is_different = any(differ(first, second) for first, second in zip(one, other, strict=True))
    assert is_different == traits_of(make).is_random


def check_global_random_state(make: Factory, case: Case) -> None:
    """The global generators are neither moved nor read."""
    model, data, runs = case.model(), case.data(), []
    for seed in (1, 2):
        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        random.seed(seed)
        before = _random_state()
        runs.append([scores(each) for each in explained(make(model, case), case, data)])
        after = _random_state()
        assert torch.equal(before[0], after[0])
        assert before[1] == after[1]
        assert before[2] == after[2]
    for first, second in zip(*runs, strict=True):
        assert all(torch.equal(first[name], second[name]) for name in first)


def _random_state() -> tuple[Tensor, Any, Any]:
    name, keys, *rest = np.random.get_state()  # noqa: NPY002
    return torch.get_rng_state(), (name, keys.tolist(), *rest), random.getstate()  # type: ignore[union-attr]


# Files


def check_save_and_load(make: Factory, case: Case, folder: Path) -> None:
    """What is loaded equals what was saved, bit for bit, with and without the graph."""
    model, data = case.model(), case.data()
    before = explained(make(model, case), case, data)
    before.save(folder / "with")
    before.save(folder / "without", include_graph=False)
    for after in (
        gg.Explanations.load(folder / "with"),
        gg.Explanations.load(folder / "without", data=data),
    ):
        for name in ("method", "level", "num_layers", "provenance", "is_complete"):
            assert getattr(after, name) == getattr(before, name), name
        assert len(after) == len(before)
        for one, other in zip(before, after, strict=True):
            first, second = scores(one), scores(other)
            assert first.keys() == second.keys()
            for name, value in first.items():
                assert value.dtype == second[name].dtype
                assert torch.equal(value, second[name]), name
            assert _equal(vars(one.local), vars(other.local))
            assert torch.equal(one.x, other.x)
            assert torch.equal(one.edge_index, other.edge_index)


# The edges of the world

#: Graphs at the limits: name -> (number of nodes, edges).
WORLD = {
    "no edges": (3, []),
    "one node": (1, []),
    "one node with a loop": (1, [(0, 0)]),
    "isolated": (5, [(1, 2), (2, 1), (3, 2)]),
    "loops": (3, [(0, 0), (0, 1), (1, 1), (1, 0), (2, 2)]),
    "double loop": (2, [(0, 0), (1, 0), (0, 0)]),
    "parallel": (3, [(1, 0), (1, 0), (2, 1), (1, 0), (2, 1)]),
    "two nodes": (2, [(1, 0)]),
}


def check_edge_of_the_world(
    make: Factory, case: Case, name: str, dtype: torch.dtype = torch.float64
) -> None:
    """Node 0 (or the whole graph) at the limits: right shapes, right dtype, finite scores."""
    num_nodes, pairs = WORLD[name]
    torch.manual_seed(3)
    ends = torch.tensor(pairs, dtype=torch.long).view(-1, 2).t().contiguous()
    data = Data(x=torch.randn(num_nodes, FEATURES, dtype=dtype), edge_index=ends)
    if case.kind == "rgcn":
        data.edge_type = torch.arange(len(pairs)) % 3
    elif case.kind == "gat":
        data.edge_attr = torch.randn(len(pairs), 3, dtype=dtype)
    data.y = torch.zeros(num_nodes if case.level == "node" else 1, dtype=torch.long)
    if case.level == "edge":
        data.edge_label_index = torch.tensor([[0], [num_nodes - 1]])
        data.edge_label = torch.zeros(1, dtype=torch.long)
    model = case.model().to(dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConstantPredictionWarning)  # of a node that is alone
        (explanation,) = explained(make(model, case), case, data, [0])
    num_layers = 2
    has_edges = "edge" in traits_of(make).scores
    assert not has_edges or explanation.edge_mask.shape == (len(pairs),)
    for key, value in scores(explanation).items():
        assert value.dtype == dtype, key
        assert torch.isfinite(value).all(), key
        if key in ("node_mask", "node_score"):
            assert value.size(0) == num_nodes
    if "layer_edge_mask" in explanation:
        assert explanation.layer_edge_mask.shape == (num_layers, len(pairs))
    if case.level == "node" and name == "isolated":
        assert not has_edges or not explanation.edge_mask.any()
        assert explanation.local.edge_id.numel() == 0
