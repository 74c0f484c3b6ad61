"""GNNExplainer: a plain loop per instance, all penalties through autograd."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch_geometric import explain as pyg
from torch_geometric.data import Data
from torch_geometric.nn import GraphConv

import glassgraph as gg
from glassgraph.calling.protect import protected
from glassgraph.core import random
from glassgraph.core.addresses import edge_address, node_address
from glassgraph.errors import HyperParameterError
from glassgraph.testing.cases import CASES, Case
from glassgraph.testing.special_cases import PlantedCase
from tests.laws import literal

SEED = 13


def start(explainer: gg.GNNExplainer, data: object, index: int, case: Case) -> dict[str, Tensor]:
    """The initial mask logits of one instance, in the user's numbering.

    Random numbers belong to an edge's or node's address, which the core owns (tests/core); what is
    scaled and shifted how is written out here.
    """
    with protected(explainer.model):
        preparation = explainer.prepare(data)
        ((_, batch),) = preparation.batches(preparation.instances([index]), case.target, 1 << 30)
    scale = explainer.init_scale
    if scale is None:
        scale = math.sqrt(2.0) * math.sqrt(2.0 / (2.0 * batch.num_nodes))
    key = int(batch.key[0])
    address = edge_address(batch)
    if explainer.layerwise:
        above = [random.hash64(layer, address) for layer in range(1, batch.num_layers)]
        address = torch.stack([address, *above])
    noise = random.normal(SEED, torch.tensor(key), address)
    address = node_address(batch).view(-1, 1)
    width = batch.packed.data.x.size(1)

    def of_nodes(columns: int) -> Tensor:
        column = torch.arange(columns)
        return 0.1 * random.normal(SEED, torch.tensor(key), address, column)

    masks = {
        "common_attributes": torch.zeros(width).double(),
        "attributes": of_nodes(width),
        "object": of_nodes(1),
        "none": torch.zeros(0).double(),
    }
    return {"edge": explainer.init_mean + scale * noise, "feature": masks[explainer.feature_mask]}


def entropy(p: Tensor) -> Tensor:
    return -p * p.log() - (1 - p) * (1 - p).log()


def penalty(value: Tensor, size: float, weight: float, *, is_sum: bool) -> Tensor:
    """``size * sum or mean + weight * mean entropy``, over the entries that take part."""
    if value.numel() == 0:
        return torch.zeros(())
    amount = value.sum() if is_sum else value.mean()
    return size * amount + weight * entropy(value).mean()


def learn(
    model: nn.Module,
    case: Case,
    data: Data,
    row: int,
    explainer: gg.GNNExplainer,
    logits: dict[str, Tensor],
    local: gg.LocalExplanation,
) -> tuple[Tensor, Tensor]:
    """Masks of one instance on the user's graph: ``[E]`` or ``[2, E]``, and (dense) ``[N, F]``."""
    plain = literal.predict_one(model, case, data).detach()
    chosen = literal.target(case, plain, data, row)
    edge = logits["edge"].clone().requires_grad_()
    feature = logits["feature"].clone().requires_grad_()
    optimizer = torch.optim.Adam([edge, feature], lr=explainer.learning_rate)
    live: list[Tensor] = []
    for _ in range(explainer.epochs):
        rows = []
        for layer in (0, 1):
            own = edge[layer] if explainer.layerwise else edge
            every = torch.ones(data.num_edges).double()
            rows.append(every.index_put((local.edge_id,), own.sigmoid()))
        x = data.x
        if explainer.feature_mask == "common_attributes":
            x = x * feature.sigmoid()
        elif explainer.feature_mask != "none":
            x = x.index_put((local.node_id,), x[local.node_id] * feature.sigmoid())
        output = literal.gated(model, case, data, torch.stack(rows), x)
        loss = prediction_loss(case, output, plain, row, chosen)
        if not live:
            first = torch.autograd.grad(loss, [edge, feature], retain_graph=True, allow_unused=True)
            live = [
                torch.zeros_like(one).bool() if gradient is None else gradient != 0
                for one, gradient in zip((edge, feature), first, strict=True)
            ]
            penalties = torch.zeros(()).double()  # the first step follows the prediction alone
        else:
            penalties = penalty(
                edge.sigmoid()[live[0]], explainer.edge_size, explainer.edge_entropy, is_sum=True
            ) + penalty(
                feature.sigmoid()[live[1]],
                explainer.feature_size,
                explainer.feature_entropy,
                is_sum=False,
            )
        loss = loss + penalties
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    edge_mask = torch.zeros(*edge.shape[:-1], data.num_edges).double()
    edge_mask[..., local.edge_id] = edge.detach().sigmoid() * live[0]
    dense = torch.zeros_like(data.x)
    if explainer.feature_mask != "none":
        dense[local.node_id] = (feature.detach().sigmoid() * live[1]).expand_as(
            data.x[local.node_id]
        )
    return edge_mask, dense


def prediction_loss(case: Case, output: Tensor, plain: Tensor, row: Any, chosen: Any) -> Tensor:
    if row is None:
        rows = [prediction_loss(case, output, plain, *each) for each in enumerate(chosen)]
        return torch.stack(rows).mean()
    if case.mode == "regression":
        return (output[row, chosen[0]] - plain[row, chosen[0]]) ** 2
    one = literal.log_probability(case, output, row, chosen[0])
    if chosen[1] is None:
        return -one
    other = literal.log_probability(case, output, row, chosen[1])
    return torch.log(1 + torch.exp(other - one))


def compare(case: Case, **settings: object) -> None:
    model, data = case.model(), case.data()
    explainer = gg.GNNExplainer(model, case.task(), epochs=7, seed=SEED, progress=False, **settings)
    found = explainer.explain(data, case.index, case.target)
    for position, explanation in enumerate(found):
        one, row = literal.one_graph(case, data, position)
        logits = start(explainer, data, case.index[position], case)
        edge, feature = learn(model, case, one, row, explainer, logits, explanation.local)
        if explainer.layerwise:
            by_layer = explanation.layer_edge_mask
            torch.testing.assert_close(by_layer, edge, rtol=1e-8, atol=1e-10)
            edge = (edge[0] + edge[1]) / 2
        else:
            assert "layer_edge_mask" not in explanation
        torch.testing.assert_close(explanation.edge_mask, edge, rtol=1e-8, atol=1e-10)
        if explainer.feature_mask == "none":
            assert "node_mask" not in explanation
        else:
            torch.testing.assert_close(explanation.node_mask, feature, rtol=1e-8, atol=1e-10)
            torch.testing.assert_close(
                explanation.node_score, feature.mean(1), rtol=1e-8, atol=1e-10
            )


@pytest.mark.parametrize("case", CASES, ids=str)
def test_instances_learned_together_equal_a_plain_loop_over_each(case: Case) -> None:
    compare(case)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_mask_for_each_layer_equals_a_plain_loop(case: Case) -> None:
    compare(case, layerwise=True, feature_mask="none", edge_size=0.05)


def test_layers_that_cannot_reach_the_prediction_score_zero() -> None:
    """A path 0 -> 1 -> 2 into node 2: its last edge is needed at layer 1, the first at layer 0."""
    torch.manual_seed(3)
    data = Data(x=torch.rand(3, 5).double() + 0.5, edge_index=torch.tensor([[0, 1], [1, 2]]))
    convs = nn.ModuleList([GraphConv(5, 7), GraphConv(7, 3)]).double().eval()

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.convs = convs

        def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
            return self.convs[1](self.convs[0](x, edge_index), edge_index)

    explainer = gg.GNNExplainer(Net(), layerwise=True, epochs=5, progress=False)
    (found,) = explainer.explain(data, [2])
    assert (found.layer_edge_mask > 0).tolist() == [[True, True], [False, True]]
    torch.testing.assert_close(found.edge_mask, found.layer_edge_mask.sum(dim=0) / 2)


@pytest.mark.parametrize("feature_mask", ["attributes", "none"])
def test_with_one_layer_a_mask_for_each_layer_is_the_one_mask(feature_mask: str) -> None:
    case = Case("gin", "node")
    torch.manual_seed(4)
    model, data = GraphConv(5, 3).double().eval(), case.data()
    one, each = (
        gg.GNNExplainer(
            model,
            epochs=7,
            layerwise=layerwise,
            feature_mask=feature_mask,
            seed=SEED,
            progress=False,
        ).explain(data, case.index)
        for layerwise in (False, True)
    )
    for plain, layered in zip(one, each, strict=True):
        assert plain.edge_mask.any()
        assert torch.equal(plain.edge_mask, layered.edge_mask)
        assert torch.equal(layered.layer_edge_mask, plain.edge_mask.unsqueeze(0))


@pytest.mark.parametrize("kind", ["common_attributes", "attributes", "object", "none"])
@pytest.mark.parametrize("case", [Case("gin", "node"), Case("gcn", "graph")], ids=str)
def test_every_kind_of_feature_mask(case: Case, kind: str) -> None:
    compare(case, feature_mask=kind)


@pytest.mark.parametrize(
    "settings",
    [
        {"edge_size": 0.7},
        {"edge_entropy": 0.0},
        {"feature_size": 0.0, "feature_entropy": 3.0},
        {"learning_rate": 0.01, "init_mean": 0.0},
        {"init_scale": 0.3},
    ],
    ids=str,
)
def test_every_hyper_parameter(settings: dict[str, float]) -> None:
    compare(Case("gat", "node"), **settings)


def test_hyper_parameters_change_the_result() -> None:
    """What the literal version cannot see: an argument that nobody reads."""
    case = Case("gin", "node")
    model, data = case.model(), case.data()

    def run(**settings: object) -> list[Tensor]:
        explainer = gg.GNNExplainer(model, **{"epochs": 7, "progress": False, **settings})
        found = explainer.explain(data, [4])[0]
        return [found.edge_mask, found.get("node_mask", torch.zeros(()))]

    base = run()
    for name, value in {
        "epochs": 8,
        "learning_rate": 0.3,
        "edge_size": 0.1,
        "edge_entropy": 0.1,
        "feature_size": 0.1,
        "feature_entropy": 0.7,
        "feature_mask": "object",
        "layerwise": True,
        "init_mean": 0.7,
        "init_scale": 0.1,
        "seed": 1,
    }.items():
        changed = run(**{name: value})
        assert any(
            one.shape != other.shape or not torch.allclose(one, other)
            for one, other in zip(base, changed, strict=True)
        ), name


def test_an_entry_that_cannot_change_the_prediction_scores_zero() -> None:
    """A feature that is zero, and an edge that brings nothing, have no gradient."""
    case = PlantedCase("node")
    model, data = case.model(), case.data()
    data.x[2] = 0  # edge 1 comes from node 2
    data.x = torch.cat([data.x, torch.zeros(11, 1).double()], dim=1)

    class FirstColumn(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = model

        def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
            return self.net(x[:, :1], edge_index)

    explainer = gg.GNNExplainer(
        FirstColumn(), case.task(), epochs=5, feature_mask="common_attributes", progress=False
    )
    found = explainer.explain(data, [0])[0]
    assert found.edge_mask[1] == 0
    assert (found.edge_mask[torch.tensor([0, 3, 4])] > 0).all()
    assert not found.node_mask[:, 1].any()
    assert (found.node_mask[found.local.node_id, 0] > 0).all()


@pytest.mark.parametrize(
    "settings", [{"epochs": 0}, {"learning_rate": 0.0}, {"feature_mask": "some"}], ids=str
)
def test_hyper_parameters_out_of_range(settings: dict[str, object]) -> None:
    (name,) = settings
    with pytest.raises(HyperParameterError, match=f"{name}.*got"):
        gg.GNNExplainer(Case("gin", "node").model(), **settings)


def test_a_prediction_beyond_doubt_is_still_explained() -> None:
    """Where the softmax is exactly 1 the loss has no gradient, the score still has."""
    torch.manual_seed(5)
    data = Data(x=torch.rand(5, 3) + 0.5, edge_index=torch.tensor([[0, 1, 2, 3], [1, 2, 3, 4]]))
    conv = GraphConv(3, 2, bias=False).eval()
    with torch.no_grad():
        conv.lin_rel.weight.copy_(torch.tensor([[1e4] * 3, [-1e4] * 3]))
        conv.lin_root.weight.zero_()
    (explanation,) = gg.GNNExplainer(conv, epochs=5, progress=False).explain(data, index=[4])
    assert float(explanation.edge_mask[3]) > 0
    assert explanation.edge_mask[:3].tolist() == [0, 0, 0]


@pytest.mark.parametrize("feature_mask", ["attributes", "common_attributes", "object"])
def test_from_the_same_start_pyg_learns_the_same_masks(
    feature_mask: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An oracle that is not ours: PyG's own GNNExplainer, on the full graph, one node at a time."""
    case = Case("gin", "node")
    data, model = case.data(), case.model()
    scale, node = 0.25, 5
    algorithm = pyg.GNNExplainer(epochs=30, lr=0.01)
    peer = pyg.Explainer(
        copy.deepcopy(model),
        algorithm,
        explanation_type="model",
        node_mask_type=feature_mask,
        edge_mask_type="object",
        model_config={
            "mode": "multiclass_classification",
            "task_level": "node",
            "return_type": "raw",
        },
    )
    start: dict[str, Tensor] = {}
    initialize = algorithm._initialize_masks

    def remember(*args: Tensor) -> None:
        initialize(*args)
        algorithm.edge_mask = nn.Parameter(algorithm.edge_mask.double())
        algorithm.node_mask = nn.Parameter(algorithm.node_mask.double())
        start["edge"] = algorithm.edge_mask.detach().clone()
        start["feature"] = algorithm.node_mask.detach().clone()
        if feature_mask == "common_attributes":  # ours starts at zero
            algorithm.node_mask.data.zero_()

    monkeypatch.setattr(algorithm, "_initialize_masks", remember)
    theirs = peer(data.x, data.edge_index, index=node)

    drawn: list[int] = []

    class SameStart(gg.GNNExplainer):
        def attribute(self, batch):  # type: ignore[no-untyped-def]
            def normal(*_: object) -> Tensor:
                drawn.append(1)
                if len(drawn) == 1:
                    return start["edge"][batch.fields.edge] / scale
                return start["feature"][batch.fields.node] / 0.1

            monkeypatch.setattr(random, "normal", normal)
            return super().attribute(batch)

    ours = SameStart(
        model,
        **{**gg.GNNExplainer.pyg_settings, "epochs": 30},
        feature_mask=feature_mask,
        init_scale=scale,
        progress=False,
    ).explain(data, index=[node])[0]
    assert len(drawn) == (1 if feature_mask == "common_attributes" else 2)
    torch.testing.assert_close(ours.edge_mask, theirs.edge_mask, rtol=1e-9, atol=1e-12)
    expected = theirs.node_mask.expand_as(ours.node_mask)
    field = ours.local.node_id
    torch.testing.assert_close(ours.node_mask[field], expected[field], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("columns", [1, 3])
def test_the_opposite_class_gives_signed_evidence(columns: int) -> None:
    """Masks for a class minus masks against it: signs of the gradient, with nothing but targets."""
    value = torch.tensor([0.0, 2.0, -2.0, 3.0, -1.0, 1.0])
    data = Data(
        x=value.view(-1, 1).double(), edge_index=torch.stack([torch.arange(1, 6), torch.zeros(5)])
    )
    data.edge_index = data.edge_index.long()
    conv = GraphConv(1, columns, bias=False).double().eval()
    with torch.no_grad():
        conv.lin_root.weight.zero_()
        conv.lin_rel.weight.copy_(torch.tensor([[1.0], [-1.0], [-1.0]])[:columns])
    mode = "binary_classification" if columns == 1 else "multiclass_classification"
    settings = {"mode": mode, "progress": False}
    masked = gg.GNNExplainer(
        conv, epochs=200, learning_rate=0.1, edge_size=0.001, edge_entropy=0.0, init_mean=0.0,
        feature_mask="none", **settings,
    )  # fmt: skip
    one, other = (1, 0) if columns == 1 else (0, 1)
    plus, minus = (masked.explain(data, [0], target)[0].edge_mask for target in (one, other))
    gradient = gg.EdgeGradients(conv, **settings).explain(data, [0], one)[0].edge_mask
    assert torch.equal((plus - minus).sign(), gradient.sign())
    assert torch.equal(gradient.sign(), value[1:].sign().double())
    assert (plus - minus).abs().min() > 0.5
