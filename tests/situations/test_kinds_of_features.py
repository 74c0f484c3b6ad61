"""Features that are integers, positions, or several steps: scores of their shape, or the reason."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Data, HeteroData
from torch_geometric.nn import GATConv, GraphConv, SAGEConv, global_add_pool

import glassgraph as gg
from glassgraph.errors import (
    GraphError,
    NoGradientError,
    UnsupportedModelError,
    WalkError,
)
from glassgraph.explainers.registry import METHODS, find_method
from glassgraph.metrics import fidelity, mask_entropy, rdt_fidelity

NODES, EDGES, KINDS, STEPS, WIDTH = 11, 37, 7, 3, 5


def ends(seed: int = 0) -> Tensor:
    return torch.randint(NODES, (2, EDGES), generator=torch.Generator().manual_seed(seed))


def numbers(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).double()


def kinds(*shape: int) -> Tensor:
    return torch.randint(KINDS, shape, generator=torch.Generator().manual_seed(2))


class Layers(nn.Module):
    def __init__(self, width: int = WIDTH) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.one, self.two = GraphConv(width, 6), GraphConv(6, 3)
        self.table = nn.Embedding(KINDS, WIDTH)
        self.double().eval()

    def layers(self, h: Tensor, edge_index: Tensor) -> Tensor:
        return self.two(self.one(h, edge_index).tanh(), edge_index)


class Embeds(Layers):
    """Integers ``[N]``, ``[N, 1]`` or several of them for each node."""

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        h = self.table(x) if x.dim() == 1 else self.table(x).sum(1)
        return self.layers(h, edge_index)


class Dense(Layers):
    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        return self.layers(x, edge_index)


class Positions(Layers):
    """Distances weight the messages: they have to follow when positions move."""

    def __init__(self) -> None:
        super().__init__(3)

    def forward(self, pos: Tensor, edge_index: Tensor) -> Tensor:
        weight = (pos[edge_index[0]] - pos[edge_index[1]]).square().sum(1).neg().exp()
        return self.two(self.one(pos, edge_index, weight).tanh(), edge_index, weight)


class Steps(Layers):
    """A series ``[N, F, T]`` for each node, read step by step."""

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        found = [self.layers(x[:, :, t], edge_index) * (t + 1) for t in range(x.size(2))]
        return torch.stack(found).sum(0)


class Mixed(Layers):
    """The mean over steps, so that every method sees one state of each node."""

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        return self.layers(x.tanh().mean(2), edge_index)


class MixedFlat(Layers):
    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        return self.layers(x.view(x.size(0), WIDTH, STEPS).tanh().mean(2), edge_index)


NODE_METHODS = [
    name
    for name, method in METHODS.items()
    if "node" in method.scope.levels and name != "attention"
]


def explain(model: nn.Module, data: Any, method: str, **more: Any) -> gg.Explanations:
    kind = find_method(method)
    settings = {**kind.test_settings, **more}
    task = settings.pop("task", "node")
    explainer = kind(model, task, progress=False, **settings)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if hasattr(explainer, "fit"):
            explainer.fit(data)
        return explainer.explain(data, [0, 4], target=1)


# Integers


INTEGERS = {"one": (NODES,), "one column": (NODES, 1), "four columns": (NODES, 4)}
REASON = r"node features are no floating numbers \(x is int64 \[11"


@pytest.mark.parametrize("shape", INTEGERS.values(), ids=INTEGERS)
@pytest.mark.parametrize("method", NODE_METHODS)
def test_integers_are_explained_or_the_reason_is_named(method: str, shape: tuple[int, ...]) -> None:
    """ZORRO and PGM-Explainer used to refuse them: 'this graph has none'."""
    data = Data(x=kinds(*shape), edge_index=ends())
    refused = {
        "graph_lime": (UnsupportedModelError, REASON),
        "gnn_lrp": (WalkError, REASON),
        "subgraphx": (UnsupportedModelError, "no floating features .* use .*split"),
    }
    if method in refused:
        error, words = refused[method]
        with pytest.raises(error, match=words):
            explain(Embeds(), data, method)
        return
    found = explain(Embeds(), data, method)
    for each in found:
        assert bool(torch.isfinite(each.edge_mask).all())
    if method in ("zorro", "pgm_explainer", "random"):
        assert found[0].node_score.shape == (NODES,)
    if method == "zorro":
        assert found[0].node_mask.shape == (NODES, (*shape, 1)[1])


def test_integrated_gradients_of_integers_name_the_reason() -> None:
    data = Data(x=kinds(NODES), edge_index=ends())
    with pytest.raises(GraphError, match=REASON):
        explain(Embeds(), data, "integrated_gradients", on="features")


def test_no_features_at_all_is_another_reason() -> None:
    class Constant(Layers):
        def forward(self, edge_index: Tensor, num_nodes: int) -> Tensor:
            return self.layers(torch.ones(num_nodes, WIDTH).double(), edge_index)

    data = Data(edge_index=ends(), num_nodes=NODES)
    with pytest.raises(UnsupportedModelError, match="neither x nor pos nor z"):
        explain(Constant(), data, "pgm_explainer")
    with pytest.raises(GraphError, match="neither x nor pos nor z"):
        explain(Constant(), data, "integrated_gradients", on="features")


class KnowsOne(nn.Module):
    """Says 1 where kind 3 is among the senders to a node, and 0 elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = SAGEConv(1, 1, aggr="max", root_weight=False, bias=False).double()
        nn.init.ones_(self.conv.lin_l.weight)

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        is_kind = (x.view(-1, 1) == 3).double()
        found = self.conv(is_kind, edge_index)
        return torch.cat([0.5 - found, found - 0.5], dim=1)


@pytest.mark.parametrize("column", [(), (1,)])
@pytest.mark.parametrize("method", ["zorro", "pgm_explainer"])
def test_the_node_of_the_kind_that_counts_is_found(method: str, column: tuple[int, ...]) -> None:
    x = torch.tensor([0, 1, 3, 2, 4, 5, 6, 0, 1, 2, 4]).view(-1, *column)
    data = Data(x=x, edge_index=torch.tensor([[1, 2, 3, 4, 5, 6], [0, 0, 0, 0, 0, 0]]))
    settings = {"samples": 50, "tau": 0.9} if method == "zorro" else {"num_samples": 200}
    kind = find_method(method)
    (found,) = kind(KnowsOne(), progress=False, **settings).explain(data, [0])
    others = found.node_score.clone()
    others[[0, 2]] = 0  # PGM-Explainer ranks the explained node with the highest
    assert found.node_score[2] > others.max()


def test_metrics_of_integers() -> None:
    data = Data(x=kinds(NODES, 2), edge_index=ends())
    found = explain(Embeds(), data, "zorro", samples=3)
    assert mask_entropy(found).mean_nodes >= 0
    everything = rdt_fidelity(found, Embeds(), data, samples=5)
    assert 0 <= everything.mean <= 1
    assert fidelity(found, Embeds(), data).means()


def test_keeping_all_integers_keeps_the_prediction() -> None:
    """RDT-fidelity of the full mask is 1: no row is replaced."""
    data = Data(x=kinds(NODES, 2), edge_index=ends())
    found = explain(Embeds(), data, "zorro", samples=3)
    for part in found.contents().parts:
        part.feature_score.fill_(1)
        part.node_score.fill_(1)
    assert rdt_fidelity(found, Embeds(), data, samples=5).mean == 1


def test_kinds_kept_as_floating_numbers() -> None:
    """They cannot be changed little by little, and the message says what to do."""

    class Casts(Layers):
        def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
            return self.layers(self.table(x[:, 0].long()), edge_index)

    data = Data(x=kinds(NODES, 1).double(), edge_index=ends())
    whole = Data(x=kinds(NODES, 1), edge_index=ends())
    for method in ("causal_screening", "occlusion", "edge_gradients"):  # nothing of x is changed
        one, other = (explain(Casts(), each, method) for each in (data, whole))
        torch.testing.assert_close(one[1].edge_mask, other[1].edge_mask)
    with pytest.raises(UnsupportedModelError, match=r"give them as integers"):
        explain(Casts(), data, "pgm_explainer", perturbation="scale")
    with pytest.raises(NoGradientError, match="differentiably on features"):
        explain(Casts(), data, "integrated_gradients")


# Positions


@pytest.mark.parametrize("method", NODE_METHODS)
def test_positions_take_the_place_of_features(method: str) -> None:
    found = explain(Positions(), Data(pos=numbers(NODES, 3), edge_index=ends()), method)
    promised = find_method(method).traits.scores
    if "feature" in promised:
        assert found[0].node_mask.shape == (NODES, 3)
        assert bool(torch.isfinite(found[0].node_mask).all())
    if "node" in promised:
        assert found[0].node_score.shape == (NODES,)


def test_gradients_of_positions_are_those_of_autograd() -> None:
    data = Data(pos=numbers(NODES, 3), edge_index=ends())
    found = explain(Positions(), data, "saliency")
    for number, each in zip([0, 4], found, strict=True):
        leaf = data.pos.clone().requires_grad_()
        (expected,) = torch.autograd.grad(Positions()(leaf, data.edge_index)[number, 1], leaf)
        torch.testing.assert_close(each.node_mask, expected.square())


def test_integrated_gradients_of_positions_are_complete() -> None:
    data = Data(pos=numbers(NODES, 3), edge_index=ends())
    kind = find_method("integrated_gradients")
    explainer = kind(Positions(), progress=False, steps=64)
    gaps = explainer.completeness(data, [0, 4], 1)["gap"]
    assert float(gaps.abs().max()) < 1e-6


def test_features_come_before_positions() -> None:
    class Both(Layers):
        def forward(self, x: Tensor, pos: Tensor, edge_index: Tensor) -> Tensor:
            return self.layers(x + pos.sum(1, keepdim=True), edge_index)

    data = Data(x=numbers(NODES, WIDTH), pos=numbers(NODES, 3), edge_index=ends())
    assert explain(Both(), data, "saliency")[0].node_mask.shape == (NODES, WIDTH)
    # The model does not read x: what moves its prediction are positions.
    assert explain(Positions(), data, "saliency")[0].node_mask.shape == (NODES, 3)


# Steps


@pytest.mark.parametrize("model", [Steps, Mixed])
@pytest.mark.parametrize("method", NODE_METHODS)
def test_scores_of_steps_have_their_shape(method: str, model: type[Layers], tmp_path: Path) -> None:
    data = Data(x=numbers(NODES, WIDTH, STEPS), edge_index=ends())
    if model is Steps and method in ("grad_cam", "pg_explainer", "rc_explainer"):
        with pytest.raises(UnsupportedModelError, match="read different states"):
            explain(model(), data, method)
        return
    found = explain(model(), data, method)
    if "feature" not in find_method(method).traits.scores:
        return
    mask = found[1].node_mask
    assert mask.shape == (NODES, WIDTH, STEPS)
    assert bool(torch.isfinite(mask).all())
    found.save(tmp_path / "saved")
    assert torch.equal(gg.Explanations.load(tmp_path / "saved")[1].node_mask, mask)


@pytest.mark.parametrize("method", [name for name in NODE_METHODS if name != "graph_lime"])
def test_steps_are_columns_in_another_shape(method: str) -> None:
    x = numbers(NODES, WIDTH, STEPS)
    steps = explain(Mixed(), Data(x=x, edge_index=ends()), method)
    flat = explain(MixedFlat(), Data(x=x.flatten(1), edge_index=ends()), method)
    for one, other in zip(steps, flat, strict=True):
        for name in ("edge_mask", "node_score"):
            if name in one:
                torch.testing.assert_close(one[name], other[name])
        if "feature" in find_method(method).traits.scores:
            torch.testing.assert_close(one.node_mask.flatten(1), other.node_mask)


def test_gradients_of_steps_are_those_of_autograd() -> None:
    data = Data(x=numbers(NODES, WIDTH, STEPS), edge_index=ends())
    found = explain(Steps(), data, "saliency")
    leaf = data.x.clone().requires_grad_()
    (expected,) = torch.autograd.grad(Steps()(leaf, data.edge_index)[4, 1], leaf)
    torch.testing.assert_close(found[1].node_mask, expected.square())
    torch.testing.assert_close(found[1].node_score, expected.square().sum((1, 2)))


def test_numbers_without_a_column() -> None:
    class Scalars(Layers):
        def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
            return self.layers(x.view(-1, 1).expand(-1, WIDTH), edge_index)

    data = Data(x=numbers(NODES), edge_index=ends())
    found = explain(Scalars(), data, "saliency")
    leaf = data.x.clone().requires_grad_()
    (expected,) = torch.autograd.grad(Scalars()(leaf, data.edge_index)[4, 1], leaf)
    torch.testing.assert_close(found[1].node_mask, expected.square().view(-1, 1))


def test_steps_of_graphs() -> None:
    class Pools(Steps):
        def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor) -> Tensor:
            return global_add_pool(super().forward(x, edge_index), batch)

    graphs = [Data(x=numbers(n, WIDTH, STEPS), edge_index=ends() % n) for n in (7, 11, 5, 3, 2)]
    for method in ("saliency", "zorro", "pgm_explainer", "subgraphx"):
        found = explain(Pools(), graphs, method, task="graph")
        assert found[1].node_score.shape == (2,)
    saliency = explain(Pools(), graphs, "saliency", task="graph")
    assert saliency[0].node_mask.shape == (7, WIDTH, STEPS)


# Several types of nodes


class Typed(nn.Module):
    """Kinds at one type of nodes, numbers in steps at the other."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.table = nn.Embedding(KINDS, WIDTH)
        self.into, self.back = SAGEConv((WIDTH, 4), 6), SAGEConv((4, WIDTH), 6)
        self.last = SAGEConv((6, 6), 3)
        self.double().eval()

    def forward(self, x_dict: dict[str, Tensor], edge_index_dict: Any) -> Tensor:
        a, b = self.table(x_dict["a"]), x_dict["b"].mean(2)
        into, back = edge_index_dict["a", "to", "b"], edge_index_dict["b", "to", "a"]
        h_b, h_a = self.into((a, b), into).relu(), self.back((b, a), back).relu()
        return self.last((h_b, h_a), back)


def typed() -> HeteroData:
    data = HeteroData(a={"x": kinds(NODES)}, b={"x": numbers(NODES, 4, STEPS)})
    data["a", "to", "b"].edge_index, data["b", "to", "a"].edge_index = ends(3), ends(4)
    return data


@pytest.mark.parametrize("method", NODE_METHODS)
def test_several_types_of_nodes(method: str) -> None:
    one_type = {"grad_cam", "zorro", "graph_lime"}
    task = gg.Task("node", node_type="a")
    if method in one_type:
        with pytest.raises(UnsupportedModelError, match=r"one type of nodes"):
            explain(Typed(), typed(), method, task=task)
        return
    found = explain(Typed(), typed(), method, task=task)
    assert bool(torch.isfinite(found[0]["b", "to", "a"].edge_mask).all())
    if "feature" in find_method(method).traits.scores:
        assert found[0]["b"].node_mask.shape == (NODES, 4, STEPS)
    if method == "pgm_explainer":
        assert found[0]["a"].node_score.shape == (NODES,)


# Arguments of edges that features decide


class Weighs(Layers):
    """Edge weights of embedded kinds, which depend on the graph and its kinds alone."""

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        h = self.table(x)
        weight = (h[edge_index[0]] * h[edge_index[1]]).sum(1).sigmoid()
        return self.two(self.one(h, edge_index, weight).tanh(), edge_index, weight)


def test_weights_made_of_kinds() -> None:
    data = Data(x=kinds(NODES), edge_index=ends())
    found = explain(Weighs(), data, "occlusion")
    model = Weighs()
    h = model.table(data.x)
    weight = (h[data.edge_index[0]] * h[data.edge_index[1]]).sum(1).sigmoid()

    def output(gates: Tensor) -> Tensor:
        gated = weight * gates
        states = model.one(h, data.edge_index, gated).tanh()
        return model.two(states, data.edge_index, gated)[4, 1]

    with torch.no_grad():
        full = output(torch.ones(EDGES).double())
        expected = torch.stack(
            [full - output(1 - torch.eye(EDGES).double()[edge]) for edge in range(EDGES)]
        )
    torch.testing.assert_close(found[1].edge_mask, expected)


def test_attention_over_kinds() -> None:
    class Attends(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(1)
            self.table, self.conv = nn.Embedding(KINDS, WIDTH), GATConv(WIDTH, 3)
            self.double().eval()

        def forward(self, z: Tensor, edge_index: Tensor) -> Tensor:
            return self.conv(self.table(z), edge_index)

    data = Data(z=kinds(NODES), edge_index=ends(), num_nodes=NODES)
    assert explain(Attends(), data, "attention")[0].edge_mask.shape == (EDGES,)
    assert explain(Attends(), data, "zorro")[0].node_mask.shape == (NODES, 1)
