"""Grad-CAM against literal loops over nodes and channels, and where states are read."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Data, HeteroData
from torch_geometric.nn import (
    APPNP,
    DirGNNConv,
    GATConv,
    GCNConv,
    GINConv,
    JumpingKnowledge,
    SAGEConv,
    SGConv,
    TopKPooling,
    global_add_pool,
    global_mean_pool,
    to_hetero,
)

import glassgraph as gg
from glassgraph.core.told import FallbackWarning
from glassgraph.errors import HyperParameterError, UnsupportedModelError
from glassgraph.explainers.registry import make_explainer
from glassgraph.testing.cases import CASES, Case
from glassgraph.testing.networks import FEATURES
from tests.laws import literal
from tests.laws.cases import explained

GRAPHS = Case("gin", "graph").data()
NODES = Case("gin", "node").data()


def close(got: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(got, expected, rtol=1e-9, atol=1e-12)


# The formula


def literal_map(states: Tensor, gradient: Tensor, nodes: list[int] | None) -> Tensor:
    """``sum_k alpha_k H[n, k]`` in loops; alpha is the mean over ``nodes``, or each node's own."""
    scores = torch.zeros(states.size(0)).double()
    for n in range(states.size(0)) if nodes is None else nodes:
        for k in range(states.size(1)):
            alpha = gradient[n, k]
            if nodes is not None:
                alpha = torch.stack([gradient[m, k] for m in nodes]).sum() / len(nodes)
            scores[n] += alpha * states[n, k]
    return scores


def literal_run(model: Any, case: Case, data: Data, row: int) -> list[tuple[Tensor, Tensor]]:
    """Both layers' states and gradients of the laws' network, from hooks on its known modules."""
    kept: dict[str, Tensor] = {}

    def keep(name: str, value: Tensor) -> None:
        kept[name] = value

    last = model.convs[1] if case.level == "node" or case.rows else model.norm
    handles = [
        model.convs[1].register_forward_pre_hook(lambda _, args: keep("first", args[0])),
        last.register_forward_hook(lambda _, __, out: keep("last", out)),
    ]
    output = literal.predict_one(model, case, data)
    for handle in handles:
        handle.remove()
    chosen = literal.target(case, output.detach(), data, row)
    states = [kept["first"], kept["last"]]
    gradients = torch.autograd.grad(literal.score(case, output, row, chosen), states)
    return [(one.detach(), other) for one, other in zip(states, gradients, strict=True)]


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("averaged", [False, True])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_literal_loops(case: Case, averaged: bool, relu: bool) -> None:
    model, data = case.model(), case.data()
    found = {}
    for layer in (0, 1, "average"):
        explainer = gg.GradCAM(
            model, case.task(), layer=layer, average_gradients=averaged, relu=relu, progress=False
        )
        found[layer] = explained(explainer, case, data)
    for position in range(len(case.index)):
        one, row = literal.one_graph(case, data, position)
        maps = []
        for layer, (states, gradient) in enumerate(literal_run(model, case, one, row)):
            nodes = list(range(one.num_nodes))
            if case.level != "graph":
                nodes = [n for n in nodes if gradient[n].any()]
            maps.append(literal_map(states, gradient, nodes if averaged else None))
            if relu:
                maps[-1] = maps[-1].clamp(min=0)
            got = found[layer][position]
            inside = got.local.node_id
            close(got.node_score[inside], maps[-1][inside])
            assert not got.node_score[~gradient.any(dim=1)].any() or case.level == "graph"
        got = found["average"][position]
        close(got.node_score[got.local.node_id], ((maps[0] + maps[1]) / 2)[got.local.node_id])
        source, destination = one.edge_index[:, got.local.edge_id]
        ends = got.node_score[source], got.node_score[destination]
        close(got.edge_mask[got.local.edge_id], (ends[0] + ends[1]) / 2)


@pytest.mark.parametrize("case", CASES[::3], ids=str)
def test_defaults_follow_the_task(case: Case) -> None:
    model, data = case.model(), case.data()
    is_graph = case.level == "graph"
    named = gg.GradCAM(
        model,
        case.task(),
        layer=1 if is_graph else "average",
        average_gradients=is_graph,
        progress=False,
    )
    plain = gg.GradCAM(model, case.task(), progress=False)
    for one, other in zip(explained(plain, case, data), explained(named, case, data), strict=True):
        assert torch.equal(one.node_score, other.node_score)


class Pooled(nn.Module):
    """Two layers with functional activations, a pooling and a linear head."""

    def __init__(self, pool: Any) -> None:
        super().__init__()
        torch.manual_seed(4)
        self.conv1, self.conv2 = GCNConv(FEATURES, 7), GCNConv(7, 11)
        self.pool, self.head = pool, nn.Linear(11, 3)
        self.double().eval()

    def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor) -> Tensor:
        h = self.conv1(x, edge_index).tanh()
        h = self.conv2(h, edge_index).relu()
        return self.head(self.pool(h, batch))


@pytest.mark.parametrize("pool", [global_mean_pool, global_add_pool])
def test_with_a_linear_head_it_is_cam(pool: Any) -> None:
    """Mean: ``alpha_k = 1/N sum_n w_k/N = w_k/N``, so CAM/N. Sum: ``alpha_k = w_k``, so CAM."""
    model = Pooled(pool)
    for relu in (True, False):
        settings: Any = {"task": "graph", "relu": relu, "progress": False}
        cams = gg.CAM(model, **settings).explain(GRAPHS, target=2)
        grad_cams = gg.GradCAM(model, **settings).explain(GRAPHS, target=2)
        for data, cam, grad_cam in zip(GRAPHS, cams, grad_cams, strict=True):
            divisor = data.num_nodes if pool is global_mean_pool else 1
            assert relu or cam.node_score.abs().max() > 1e-2
            close(grad_cam.node_score, cam.node_score / divisor)
            close(grad_cam.edge_mask, cam.edge_mask / divisor)


def test_by_hand() -> None:
    """GIN sums neighbors, ``y = 2 mean(h_0) - 3 mean(h_1)``, so ``S = ReLU(2 h_0 - 3 h_1) / N``."""

    class Hand(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = GINConv(nn.Identity())

        def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor) -> Tensor:
            h = global_mean_pool(self.conv(x, edge_index), batch)
            return (h * torch.tensor([2.0, -3.0]).double()).sum(dim=1, keepdim=True)

    data = Data(
        x=torch.tensor([[1.0, 0.0], [2.0, 1.0], [0.0, 5.0]]).double(),
        edge_index=torch.tensor([[0, 1], [1, 2]]),
    )
    # h = x + what arrives: (1, 0), (3, 1), (2, 6); 2 h_0 - 3 h_1 = 2, 3, -14
    task = gg.Task("graph", "regression")
    found = gg.GradCAM(Hand(), task, progress=False).explain([data])[0]
    close(3 * found.node_score, torch.tensor([2.0, 3.0, 0.0]).double())
    close(6 * found.edge_mask, torch.tensor([5.0, 3.0]).double())


# Where states are read


class Chain(nn.Module):
    """Node classification with modules of all kinds in a row; activations are modules."""

    def __init__(self, *layers: nn.Module, width: int = 7) -> None:
        super().__init__()
        torch.manual_seed(4)
        self.layers = nn.ModuleList(layers)
        self.acts = nn.ModuleList([nn.Tanh() for _ in layers])
        self.head = nn.Linear(width, 3)
        self.double().eval()

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        for layer, act in zip(self.layers, self.acts, strict=True):
            x = act(layer(x, edge_index))
        return self.head(x)


def grad_cam(model: nn.Module, layer: Any, data: Any = NODES, task: str = "node") -> Any:
    index = [4, 17] if task == "node" else [2, 0]
    explainer = gg.GradCAM(model, task, layer=layer, relu=False, progress=False)
    return explainer.explain(data, index, 1)


def same(model: nn.Module, layer: Any, other: Any, data: Any = NODES, task: str = "node") -> None:
    one, two = grad_cam(model, layer, data, task), grad_cam(model, other, data, task)
    for first, second in zip(one, two, strict=True):
        assert first.node_score.any()
        close(first.node_score, second.node_score)


def test_a_layer_hands_on_what_comes_after_its_activation() -> None:
    model = Chain(GATConv(FEATURES, 3, heads=5), GCNConv(15, 7), SAGEConv(7, 7))
    same(model, 0, "acts.0")
    same(model, 1, "acts.1")
    same(model, 2, "layers.2")  # the last of a node task: the module itself


def test_after_the_last_layer_the_pooling_reads() -> None:
    class WithModules(Pooled):
        def __init__(self) -> None:
            super().__init__(global_mean_pool)
            self.act, self.norm = nn.ReLU(), nn.LayerNorm(11).double()

        def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor) -> Tensor:
            h = self.conv2(self.conv1(x, edge_index).tanh(), edge_index)
            return self.head(self.pool(self.norm(self.act(h)), batch).tanh())

    same(WithModules(), 1, "norm", GRAPHS, "graph")
    same(WithModules(), None, "norm", GRAPHS, "graph")


class Jumps(Pooled):
    """The largest of what both layers say is pooled."""

    def __init__(self, largest: Any) -> None:
        super().__init__(global_mean_pool)
        self.conv1, self.largest = GCNConv(FEATURES, 11).double(), largest
        self.conv2 = GCNConv(11, 11).double()

    def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor) -> Tensor:
        one = self.conv1(x, edge_index).tanh()
        other = self.conv2(one, edge_index).tanh()
        return self.head(self.pool(self.largest([one, other]), batch))


LARGEST: dict[str, Any] = {
    "maximum": lambda states: torch.maximum(*states),
    "values and indices": JumpingKnowledge("max"),  # ``torch.stack(states).max(dim=-1)[0]``
    "sorted": lambda states: torch.stack(states).sort(dim=0)[0].unbind()[1],
}


@pytest.mark.parametrize("method", ["grad_cam", "cam", "pg_explainer"])
@pytest.mark.parametrize("largest", list(LARGEST)[1:])
def test_states_that_a_function_returns_among_others(method: str, largest: str) -> None:
    """What ``max`` and ``sort`` return beside indices was not seen, and other states were taken."""
    settings = {"epochs": 2} if method == "pg_explainer" else {}
    scores = []
    for name in ("maximum", largest):
        torch.manual_seed(4)
        explainer: Any = make_explainer(
            method, Jumps(LARGEST[name]).eval(), "graph", progress=False, **settings
        )
        if method == "pg_explainer":
            explainer.fit(GRAPHS, index=[0, 1, 2])
        scores.append(explainer.explain(GRAPHS, [2, 0], 1)[0].edge_mask)
    assert scores[0].any()
    close(scores[1], scores[0])


def test_links_read_the_last_states_of_all_nodes() -> None:
    case = Case("gcn", "edge", columns=3)
    model, data = case.model(), case.data()
    for layer, module in ((1, "norm"),):
        found = [
            gg.GradCAM(model, case.task(), layer=each, progress=False).explain(data, [3, 0], 1)
            for each in (layer, module)
        ]
        for one, other in zip(*found, strict=True):
            assert one.node_score.count_nonzero() <= 2
            close(one.node_score, other.node_score)


@pytest.mark.parametrize(
    "steps", [SGConv(FEATURES, 7, K=3), APPNP(K=3, alpha=0.2)], ids=["sgc", "appnp"]
)
def test_steps_inside_a_module_hand_nothing_on(steps: nn.Module) -> None:
    width = FEATURES if isinstance(steps, APPNP) else 7
    model = Chain(steps, GCNConv(width, 7))
    same(model, 2, "acts.0")
    with pytest.raises(UnsupportedModelError, match=r"layer 1: it is a step inside layers.0.*2, 3"):
        grad_cam(model, 1)
    average = gg.GradCAM(model, relu=False, progress=False).explain(NODES, [4], 1)[0]
    both = [
        gg.GradCAM(model, relu=False, layer=layer, progress=False).explain(NODES, [4], 1)[0]
        for layer in (2, 3)
    ]
    close(average.node_score, (both[0].node_score + both[1].node_score) / 2)


def test_a_module_called_twice_is_two_layers() -> None:
    conv = GCNConv(FEATURES, FEATURES)
    model = Chain(conv, conv, width=FEATURES)
    same(model, 0, "acts.0")
    same(model, 1, "layers.1")  # a name means the last call


class Tapped(nn.Module):
    """A layer of the user's own, whose messages go through a tap."""

    def __init__(self, tells: bool, width: int = FEATURES) -> None:
        super().__init__()
        self.tap, self.lin, self.tells = gg.MessageTap(), nn.Linear(width, 7), tells

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        sent = self.tap(x[edge_index[0]], edge_index, *([x] if self.tells else []))
        return self.lin(x + torch.zeros_like(x).index_add(0, edge_index[1], sent))


def test_taps_show_the_states_they_are_told() -> None:
    model = Chain(Tapped(True), Tapped(True, 7))
    same(model, 0, "acts.0")
    same(model, 1, "layers.1")
    silent = Chain(Tapped(False), Tapped(False, 7))
    same(silent, 1, "layers.1")
    with pytest.raises(
        UnsupportedModelError, match=r"layer 0: no tensor .* states after layer 1\."
    ):
        grad_cam(silent, 0)


def test_a_tap_in_the_model_itself() -> None:
    class Bare(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.tap = gg.MessageTap()

        def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
            sent = self.tap(x[edge_index[0]], edge_index, x)
            return torch.zeros_like(x).index_add(0, edge_index[1], sent)

    with pytest.raises(UnsupportedModelError, match="layer 0: tap have no module of their own"):
        grad_cam(Bare(), "average")


def test_layers_side_by_side_in_one_module() -> None:
    model = Chain(DirGNNConv(GCNConv(FEATURES, 7)), DirGNNConv(SAGEConv(7, 7)))
    same(model, 0, "acts.0")
    same(model, 1, "layers.1")


class Dense(nn.Module):
    """A layer written with a dense adjacency matrix."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.tap, self.lin = gg.AdjacencyTap(), nn.Linear(width, 7)

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        adjacency = x.new_zeros(x.size(0), x.size(0))
        adjacency[edge_index[1], edge_index[0]] = 0.5
        return self.lin(x + self.tap(adjacency, x))


def test_dense_adjacency_matrices() -> None:
    data = Data(x=NODES.x, edge_index=NODES.edge_index.unique(dim=1))
    same(Chain(Dense(FEATURES), Dense(7)), 0, "acts.0", data)

    class PooledDense(Chain):
        def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor) -> Tensor:
            for layer, act in zip(self.layers, self.acts, strict=True):
                x = act(layer(x, edge_index))
            return global_add_pool(x, batch)

    graphs = [Data(x=each.x, edge_index=each.edge_index.unique(dim=1)) for each in GRAPHS]
    same(PooledDense(Dense(FEATURES), Dense(7)), 1, "acts.1", graphs, "graph")


@pytest.mark.filterwarnings("ignore::glassgraph.core.told.PooledMessagesWarning")
def test_a_pooling_layer_that_drops_nodes() -> None:
    class Coarse(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(4)
            self.conv1, self.conv2 = GINConv(nn.Linear(FEATURES, 7)), GINConv(nn.Linear(7, 3))
            self.act, self.pool = nn.Tanh(), TopKPooling(7)
            self.double().eval()

        def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor) -> Tensor:
            h = self.act(self.conv1(x, edge_index))
            h, edge_index, _, batch, _, _ = self.pool(h, edge_index, None, batch)
            return global_add_pool(self.conv2(h, edge_index), batch)

    with pytest.raises(UnsupportedModelError, match="pooling layer may have dropped some"):
        grad_cam(Coarse(), None, GRAPHS, "graph")
    assert grad_cam(Coarse(), "act", GRAPHS, "graph")[0].node_score.any()


class Parallel(nn.Module):
    """Two branches whose layers read different states."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(4)
        self.firsts = nn.ModuleList([GCNConv(FEATURES, 7), GCNConv(FEATURES, 7)])
        self.seconds = nn.ModuleList([GCNConv(7, 3), GCNConv(7, 3)])
        self.double().eval()

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        states = [conv(x, edge_index).tanh() for conv in self.firsts]
        pairs = zip(self.seconds, states, strict=True)
        return sum(conv(h, edge_index) for conv, h in pairs)


def test_branches_have_no_single_state() -> None:
    with pytest.raises(UnsupportedModelError, match=r"seconds.0, seconds.1.*read different states"):
        grad_cam(Parallel(), 0)
    assert grad_cam(Parallel(), "firsts.1")[0].node_score.any()


def test_graphs_of_one_node_alone_are_what_they_are_among_others() -> None:
    """One row per node and one row per graph look alike there."""
    model = Pooled(global_mean_pool)
    single = Data(x=torch.rand(1, FEATURES).double(), edge_index=torch.zeros(2, 1).long())
    single.y = torch.zeros(1).long()
    for method in (gg.CAM, gg.GradCAM):
        explainer: Any = method(model, "graph", relu=False, progress=False)
        among = explainer.explain([*GRAPHS, single], target=1)[3]
        (alone,) = explainer.explain([single], target=1)
        assert among.node_score.any()
        close(alone.node_score, among.node_score)
        close(alone.edge_mask, among.edge_mask)


@pytest.mark.parametrize("averaged", [False, True])
def test_the_full_graph_gives_what_the_receptive_field_gives(averaged: bool) -> None:
    model = Chain(GCNConv(FEATURES, 7), GCNConv(7, 7))

    def call(model: nn.Module, data: Data) -> Tensor:
        if data.num_nodes != NODES.num_nodes:
            raise RuntimeError("not the user's graph")
        return model(data.x, data.edge_index)

    settings: Any = {"average_gradients": averaged, "progress": False}
    cut = gg.GradCAM(model, **settings).explain(NODES, [4, 17], 1)
    with pytest.warns(FallbackWarning):
        full = gg.GradCAM(model, call=call, **settings).explain(NODES, [4, 17], 1)
    for one, other in zip(cut, full, strict=True):
        close(one.edge_mask, other.edge_mask)
        inside = one.local.node_id
        close(one.node_score[inside], other.node_score[inside])


# What is refused


@pytest.mark.parametrize("layer", [True, 1.0, ("conv1",)])
def test_a_layer_of_the_wrong_kind(layer: Any) -> None:
    with pytest.raises(HyperParameterError, match=r"layer must be 'average', an integer, a"):
        gg.GradCAM(Chain(GCNConv(FEATURES, 7)), layer=layer)


@pytest.mark.parametrize("layer", [-1, 2])
def test_a_layer_out_of_range(layer: int) -> None:
    with pytest.raises(HyperParameterError, match=rf"from 0 to 1 \(.* 2 times\); got {layer}"):
        grad_cam(Chain(GCNConv(FEATURES, 7), GCNConv(7, 7)), layer)


def test_an_unknown_submodule() -> None:
    with pytest.raises(HyperParameterError, match=r"Chain has no submodule 'act.0'; it has acts.0"):
        grad_cam(Chain(GCNConv(FEATURES, 7)), "act.0")


def test_a_submodule_without_node_rows() -> None:
    with pytest.raises(UnsupportedModelError, match=r"'head' returned shape \[2, 3\]"):
        grad_cam(Pooled(global_mean_pool), "head", GRAPHS, "graph")
    model = Chain(GCNConv(FEATURES, 7))
    model.spare = nn.Linear(2, 2)
    with pytest.raises(UnsupportedModelError, match="'spare' was not called"):
        grad_cam(model, "spare")


def test_states_that_no_gradient_reaches() -> None:
    class Spy(nn.Module):
        def forward(self, h: Tensor) -> Tensor:
            return h.detach()

    class Spied(Chain):
        def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
            h = self.layers[0](x, edge_index)
            self.spy(h)
            return self.head(h)

    model = Spied(GCNConv(FEATURES, 7))
    model.spy = Spy()
    with pytest.raises(UnsupportedModelError, match="does the model detach them"):
        grad_cam(model, "spy")


def test_heterogeneous_graphs() -> None:
    data = HeteroData()
    data["a"].x, data["b"].x = torch.rand(3, 2), torch.rand(5, 2)
    data["a", "to", "b"].edge_index = torch.tensor([[0, 1], [2, 3]])
    data["b", "to", "a"].edge_index = torch.tensor([[0, 1], [2, 1]])

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = SAGEConv((2, 2), 2)

        def forward(self, x, edge_index):  # PyG 2.6 traces no annotations that are text
            return self.conv(x, edge_index)

    model = to_hetero(Net(), data.metadata())
    explainer = gg.GradCAM(model, gg.Task("node", node_type="b"), progress=False)
    with pytest.raises(UnsupportedModelError, match="one type of nodes; this graph has 2"):
        explainer.explain(data, [2])
