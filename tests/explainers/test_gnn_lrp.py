"""GNN-LRP against a literal version: one masked pass of the gamma rule for each walk."""

from __future__ import annotations

from itertools import pairwise, product
from pathlib import Path

import pandas as pd
import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn import APPNP, GAT, GCNConv, GINConv, global_add_pool
from torch_geometric.nn.conv.gcn_conv import gcn_norm

import glassgraph as gg
from glassgraph import GNNLRP, LRP
from glassgraph.errors import DamagedFileError, HyperParameterError, InstanceError, WalkError
from glassgraph.explainers.decomposition.walks import reading
from glassgraph.relevance.signed_rules import Gamma
from glassgraph.results.explanation import Explanations
from tests.relevance.walk_scenes import HOMOGENEOUS, graph, literal_walks, model_of

GAMMAS = (2.0, 0.5)


class Net(nn.Module):
    """Three layers and a linear head, on nodes or on graphs."""

    def __init__(self, kind: str, level: str, bias: bool = True) -> None:
        super().__init__()
        self.level = level
        widths = [3, 8, 8, 6]
        if kind == "gcn":
            convs = [GCNConv(a, b, bias=bias) for a, b in pairwise(widths)]
        else:
            convs = [
                GINConv(nn.Sequential(nn.Linear(a, 9, bias), nn.ReLU(), nn.Linear(9, b, bias)))
                for a, b in pairwise(widths)
            ]
        self.convs, self.head = nn.ModuleList(convs), nn.Linear(6, 2, bias)
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                nn.init.normal_(parameter, std=0.2)

    def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor | None = None) -> Tensor:
        for conv in self.convs:
            x = conv(x, edge_index).relu()
        return self.head(global_add_pool(x, batch) if self.level == "graph" else x)


def literal_gamma(model: Net, data: Data, node: int | None, target: int) -> dict[tuple, float]:
    """Relevance of all sequences of nodes: Schnake et al.'s detach trick, a copy for each.

    A linear map z with gamma weights p goes on as ``p * (z / p).detach()``; between layers only one
    node of each copy passes on gradients.
    """
    n = int(data.num_nodes)
    sequences = torch.tensor(list(product(range(n), repeat=4)))
    gammas = torch.linspace(*GAMMAS, 3).tolist()

    def gamma_linear(x: Tensor, linear: nn.Module, bias: Tensor | None, gamma: float) -> Tensor:
        weight = linear.weight
        z, p = x @ weight.t(), x @ (weight + gamma * weight.clamp(min=0)).t()
        if bias is not None:
            z, p = z + bias, p + bias + gamma * bias.clamp(min=0)
        return p * (z / p).detach()

    if isinstance(model.convs[0], GCNConv):
        edges, weight = gcn_norm(data.edge_index, None, n, dtype=torch.double)
        adjacency = torch.zeros(n, n).double().index_put((edges[1], edges[0]), weight, True)
    else:
        ones = torch.ones(data.num_edges).double()
        index = data.edge_index[1], data.edge_index[0]
        adjacency = torch.eye(n).double().index_put(index, ones, accumulate=True)
    x = data.x.expand(len(sequences), -1, -1).clone().requires_grad_()
    h = x
    for position in range(4):
        mask = torch.zeros(len(sequences), n, 1).double()
        mask.scatter_(1, sequences[:, position].view(-1, 1, 1), 1.0)
        h = h * mask + h.detach() * (1 - mask)
        if position == 3:
            break
        conv, gamma = model.convs[position], gammas[position]
        if isinstance(conv, GCNConv):
            h = gamma_linear(adjacency @ h, conv.lin, conv.bias, gamma).relu()
        else:
            first, _, second = conv.nn
            h = gamma_linear(adjacency @ h, first, first.bias, gamma).relu()
            h = gamma_linear(h, second, second.bias, gamma).relu()
    output = model.head(h)[:, :, target]
    output = output.sum(1) if node is None else output[:, node]
    (gradient,) = torch.autograd.grad(output.sum(), x)
    relevance = (x.detach() * gradient).sum((1, 2))
    return dict(zip(map(tuple, sequences.tolist()), relevance.tolist(), strict=True))


@pytest.mark.parametrize("kind", ["gcn", "gin"])
@pytest.mark.parametrize("level", ["node", "graph"])
def test_walks_are_those_of_the_papers_masked_passes(kind: str, level: str) -> None:
    model, data = Net(kind, level).double().eval(), graph()
    explainer = GNNLRP(model, level, gamma=GAMMAS, walks="all", progress=False)
    index = 0 if level == "graph" else 1
    explanation = explainer.explain([data] if level == "graph" else data, [index], 1)[0]
    expected = literal_gamma(model, data, None if level == "graph" else 1, 1)
    found = dict(
        zip(map(tuple, explanation.walks.tolist()), explanation.walk_scores.tolist(), strict=True)
    )
    assert max(map(abs, found.values())) > 1e-3
    for walk, relevance in expected.items():
        assert found.get(walk, 0.0) == pytest.approx(relevance, abs=1e-11)
    size = explanation.walk_scores.abs()
    assert bool((size.diff() <= 1e-10).all())


@pytest.mark.parametrize("kind", HOMOGENEOUS)
def test_gamma_0_is_the_product_of_jacobians(kind: str) -> None:
    model, data = model_of(kind), graph()
    explainer = GNNLRP(model, gamma=0.0, walks="all", progress=False)
    explanation = explainer.explain(data, [0], 0)[0]
    expected = literal_walks(model, data, 0)
    for walk, score in zip(
        explanation.walks.tolist(), explanation.walk_scores.tolist(), strict=True
    ):
        assert score == pytest.approx(expected[tuple(walk)], abs=1e-11)


class Attention(nn.Module):
    """GAT, whose attention LRP holds constant."""

    def __init__(self) -> None:
        super().__init__()
        self.gat, self.head = GAT(3, 4, 2, heads=2, bias=False), nn.Linear(4, 2, bias=False)

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        return self.head(self.gat(x, edge_index).relu())


class Teleport(nn.Module):
    """APPNP: the features return at each step."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.steps = nn.Linear(3, 4, bias=False), APPNP(K=3, alpha=0.2)

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        return self.steps(self.first(x).relu(), edge_index)


@pytest.mark.parametrize("make", [Attention, Teleport, *HOMOGENEOUS])
@pytest.mark.parametrize("gamma", [0.0, 0.7])
def test_sums_over_walks_are_those_of_lrp(make, gamma: float) -> None:
    """All walks from a node: its LRP score. Without biases, all walks along an edge: its score."""
    model = model_of(make, bias=False) if isinstance(make, str) else make().double().eval()
    data = graph()
    layers = 2 if make is Attention else 3
    walks = GNNLRP(model, gamma=[gamma] * (layers + 1), progress=False).explain(data, [0, 1], 0)
    plain = LRP(model, rule=Gamma(gamma), progress=False).explain(data, [0, 1], 0)
    for one, other in zip(walks, plain, strict=True):
        close(one.node_score, other.node_score)
        close(one.layer_edge_mask, other.layer_edge_mask)
        close(one.edge_mask, other.edge_mask)
        assert one.local.total == pytest.approx(other.local.total)
        assert float(one.node_score.sum()) == pytest.approx(one.local.total, rel=1e-9)


def close(got: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(got, expected, rtol=1e-9, atol=1e-12)


def test_the_whole_graph_as_a_subgraph_has_the_whole_logit() -> None:
    model, data = Net("gin", "graph", bias=False).double().eval(), graph()
    explainer = GNNLRP(model, "graph", progress=False)
    output = model(data.x, data.edge_index, torch.zeros(5).long())
    for alpha in (0.0, 0.3, 1.0):
        relevance = explainer.subgraph_relevance([data], [range(5), []], target=1, alpha=alpha)
        close(relevance, torch.stack([output[0, 1], output.new_zeros(())]).detach())


@pytest.mark.parametrize("alpha", [0.0, 0.2, 1.0])
def test_subgraphs_are_weighted_sums_of_walks(alpha: float) -> None:
    """Each visit outside counts alpha; walks that never touch the set are left out."""
    model, data = Net("gcn", "node").double().eval(), graph()
    explainer = GNNLRP(model, gamma=GAMMAS, walks="all", progress=False)
    explanation = explainer.explain(data, [1], 0)[0]
    sets = [[1], [1, 3], [0, 2, 4], [0, 1, 2, 3, 4]]
    expected = []
    for inside in sets:
        within = torch.isin(explanation.walks, torch.tensor(inside))
        outside = (~within).sum(1).double()
        weight = alpha**outside * within.any(1)
        expected.append((weight * explanation.walk_scores).sum())
    found = explainer.subgraph_relevance(data, sets, 1, 0, alpha=alpha)
    close(found, torch.stack(expected))
    masks = torch.zeros(4, 5, dtype=torch.bool)
    for row, inside in zip(masks, sets, strict=True):
        row[inside] = True
    close(explainer.subgraph_relevance(data, masks, 1, 0, alpha=alpha), found)


def test_chosen_walks() -> None:
    model, graphs = Net("gin", "graph").double().eval(), [graph(1), graph(2)]
    explainer = GNNLRP(model, "graph", walks="all", progress=False)
    for number, explanation in enumerate(explainer.explain(graphs, target=0)):
        rows = [5, 0, 17]
        found = explainer.walk_relevance(graphs, explanation.walks[rows], number, 0)
        close(found, explanation.walk_scores[rows])


@pytest.mark.parametrize("search", ["exact", "longest", "amp_ave"])
def test_listed_walks_are_the_best_of_all(search) -> None:
    model, data = Net("gin", "node").double().eval(), graph()
    everything = GNNLRP(model, walks="all", progress=False).explain(data, [0, 1], 0)
    few = GNNLRP(model, walks=4, search=search, progress=False).explain(data, [0, 1], 0)
    for one, other in zip(few, everything, strict=True):
        assert one.walks.shape == (4, 4)
        scores = dict(zip(map(tuple, other.walks.tolist()), other.walk_scores, strict=True))
        for walk, score in zip(one.walks.tolist(), one.walk_scores, strict=True):
            close(score, scores[tuple(walk)])
        assert bool((one.walk_scores.abs().diff() <= 1e-10).all())
        if search == "exact":
            close(one.walk_scores, other.walk_scores[:4])
    none = GNNLRP(model, walks=0, progress=False).explain(data, [0, 1], 0)
    assert none[1].walks.shape == (0, 4)
    assert none.walks_frame().empty


@pytest.mark.slow("all walks: test_listed_walks_are_the_best_of_all")
def test_walks_of_the_best_neurons_are_listed_once_with_all_that_runs_along_them() -> None:
    """At 10,000 products from number to number every walk of relevance is among them."""
    model, data = Net("gin", "node").double().eval(), graph()
    everything = GNNLRP(model, walks="all", progress=False).explain(data, [0, 1], 0)
    for k in (4, 10_000):
        found = GNNLRP(model, walks=k, search="emp_neu", progress=False).explain(data, [0, 1], 0)
        for one, other in zip(found, everything, strict=True):
            assert 0 < len(one.walks) <= k
            scores = dict(zip(map(tuple, other.walks.tolist()), other.walk_scores, strict=True))
            assert len({*map(tuple, one.walks.tolist())}) == len(one.walks)
            for walk, score in zip(one.walks.tolist(), one.walk_scores, strict=True):
                close(score, scores[tuple(walk)])
            if k == 10_000:
                close(one.walk_scores, other.walk_scores[: len(one.walks)])
                assert not bool(other.walk_scores[len(one.walks) :].any())


def test_little_memory_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    model, graphs = Net("gin", "graph").double().eval(), [graph(seed) for seed in range(5)]
    plenty = GNNLRP(model, "graph", progress=False).explain(graphs, target=0)
    little = GNNLRP(model, "graph", memory_budget=30_000, progress=False).explain(graphs, target=0)
    for one, other in zip(little, plenty, strict=True):
        for name in ("edge_mask", "layer_edge_mask", "node_score", "walk_scores"):
            close(getattr(one, name), getattr(other, name))
        assert torch.equal(one.walks, other.walks)
    monkeypatch.setattr(reading, "_MOST_BYTES", 1000)
    with pytest.raises(WalkError, match="raise memory_budget"):
        GNNLRP(model, "graph", memory_budget=1000, progress=False).explain(graphs, [0])


def test_walks_survive_saving_and_slicing(tmp_path: Path) -> None:
    model, data = Net("gcn", "node").double().eval(), graph()
    found = GNNLRP(model, walks=3, progress=False).explain(data, target=0, save_to=tmp_path / "one")
    found[1:4].save(tmp_path / "two")
    for folder, start in (("one", 0), ("two", 1)):
        loaded = Explanations.load(tmp_path / folder)
        for position, explanation in enumerate(loaded):
            original = found[start + position]
            assert torch.equal(explanation.walks, original.walks)
            assert torch.equal(explanation.walk_scores, original.walk_scores)
    frame = found.walks_frame()
    assert list(frame.columns) == [
        *("position", "index", "graph", "rank"),
        *(f"node_{position}" for position in range(4)),
        "score",
    ]
    rows = frame[frame["index"] == 2]
    assert rows[[f"node_{p}" for p in range(4)]].to_numpy().tolist() == found[2].walks.tolist()
    (tmp_path / "one" / "part-00000.walks.parquet").unlink()
    with pytest.raises(DamagedFileError, match="was written with"):  # a table that was there
        Explanations.load(tmp_path / "one")
    assert isinstance(pd.read_parquet(tmp_path / "two" / "part-00000.walks.parquet"), pd.DataFrame)


def test_the_explained_scalar_is_the_logit() -> None:
    class Probabilities(Net):
        def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor | None = None) -> Tensor:
            return super().forward(x, edge_index, batch).softmax(-1)

    torch.manual_seed(3)
    logits = Net("gcn", "node").double().eval()
    probabilities = Probabilities("gcn", "node").double().eval()
    probabilities.load_state_dict(logits.state_dict())
    data = graph()
    one = GNNLRP(logits, progress=False).explain(data, [1], 0)[0]
    other = GNNLRP(probabilities, return_type="probs", progress=False).explain(data, [1], 0)[0]
    close(one.walk_scores, other.walk_scores)
    assert one.local.total == pytest.approx(float(logits(data.x, data.edge_index).detach()[1, 0]))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            {"gamma": -1.0},
            r"gnn_lrp: gamma must be a finite number of at least 0 .*got -1\.0 \(float\)",
        ),
        ({"gamma": ()}, "gamma must be a number, two"),
        ({"gamma": "zero"}, "gamma must be a finite number of at least 0 .*got 'zero'"),
        ({"gamma": [0.5, float("nan")]}, "each a finite number of at least 0"),
        ({"walks": -1}, "walks must be an integer of at least 0 or 'all'; got -1"),
        ({"walks": True}, "walks must be an integer of at least 0 or 'all'; got True"),
        ({"search": "fast"}, "search must be 'exact', 'longest', 'amp_ave' or 'emp_neu'"),
        ({"max_walks": 0}, "max_walks must be an integer of at least 1; got 0"),
    ],
)
def test_bad_hyper_parameters(arguments, words: str) -> None:
    with pytest.raises(HyperParameterError, match=words):
        GNNLRP(Net("gcn", "node"), **arguments)


def test_bad_inputs() -> None:
    model, data = Net("gcn", "node").double().eval(), graph()
    explainer = GNNLRP(model, walks="all", max_walks=10, progress=False)
    with pytest.raises(WalkError, match="at most 10 may be listed"):
        explainer.explain(data, [0])
    with pytest.raises(HyperParameterError, match="gamma has 5 numbers; the model has 3"):
        GNNLRP(model, gamma=[1.0] * 5, progress=False).explain(data, [0])
    with pytest.raises(HyperParameterError, match="alpha must lie"):
        explainer.subgraph_relevance(data, [[0]], 0, alpha=2)
    with pytest.raises(InstanceError, match="index names 5 instances"):
        explainer.subgraph_relevance(data, [[0]])
    with pytest.raises(InstanceError, match="node 7 is out of range: there are 5"):
        explainer.subgraph_relevance(data, [[7]], 0)
    with pytest.raises(InstanceError, match="given by their numbers"):
        explainer.walk_relevance(data, [[0.5, 0, 0, 0]], 0)
    with pytest.raises(WalkError, match="nothing reaches the prediction"):
        explainer.walk_relevance(data, [[4, 4, 4, 4]], 0)
    with pytest.raises(WalkError, match="one node for each of the 3 layers and one more"):
        explainer.walk_relevance(data, [[0, 0]], 0)


# Paths of layerwise methods


@pytest.mark.parametrize("method", [gg.EdgeGradients, GNNLRP])
def test_paths_are_the_best_of_all_paths(method) -> None:
    """All ways to take an edge or to stay, three times, written out."""
    model, data = Net("gcn", "node").double().eval(), graph()
    explanation = method(model, progress=False).explain(data, [1], 0)[0]
    scores = explanation.layer_edge_mask
    moves = [(a, b, e) for e, (a, b) in enumerate(data.edge_index.t().tolist())]
    moves += [(node, node, -1) for node in range(5)]
    for source, target in [(None, None), (3, None), (None, 0), (2, 0)]:
        expected = []
        for path in product(moves, repeat=3):
            if any(one[1] != other[0] for one, other in pairwise(path)):
                continue
            if source not in (None, path[0][0]) or path[-1][1] != (1 if target is None else target):
                continue
            if not set(
                data.edge_index[:, [m[2] for m in path if m[2] >= 0]].flatten().tolist()
            ) <= {*explanation.local.node_id.tolist()}:
                continue
            total = sum(float(scores[p, m[2]]) for p, m in enumerate(path) if m[2] >= 0)
            expected.append(total)
        found = explanation.paths(source, target, k=6)
        assert found.scores.tolist() == pytest.approx(sorted(expected, reverse=True)[:6], abs=1e-12)
        for nodes, edges, score in zip(found.nodes, found.edges, found.scores, strict=True):
            total = sum(float(scores[p, e]) for p, e in enumerate(edges.tolist()) if e >= 0)
            assert float(score) == pytest.approx(total, abs=1e-12)
            for position, edge in enumerate(edges.tolist()):
                ends = (
                    data.edge_index[:, edge].tolist() if edge >= 0 else [int(nodes[position])] * 2
                )
                assert ends == nodes[position : position + 2].tolist()


def test_paths_that_cannot_be() -> None:
    model, data = Net("gcn", "node").double().eval(), graph()
    explanation = gg.EdgeGradients(model, progress=False).explain(data, [0], 0)[0]
    assert len(explanation.paths(source=4)) == 0  # it does not reach node 0
    with pytest.raises(HyperParameterError, match="k must be positive"):
        explanation.paths(k=0)
    with pytest.raises(InstanceError, match="given by their numbers"):
        explanation.paths(source=1.5)
    saliency = gg.Saliency(model, progress=False).explain(data, [0], 0)[0]
    with pytest.raises(WalkError, match="use a layerwise method"):
        saliency.paths()
    assert saliency.walks is None


@pytest.mark.parametrize("alpha", [0.0, 0.3])
def test_nodes_join_a_subgraph_in_the_order_of_a_literal_search(alpha: float) -> None:
    torch.manual_seed(4)
    model = Net("gin", "graph").double()
    data = [
        Data(x=torch.rand(n, 3).double(), edge_index=torch.randint(n, (2, 2 * n)))
        for n in (5, 7, 4)
    ]
    explainer = GNNLRP(model, "graph", gamma=GAMMAS)
    found = explainer.node_order(data, target=(0, 1), alpha=alpha)
    for number, each in enumerate(data):
        chosen: list[int] = []
        while len(chosen) < each.num_nodes:
            rest = [node for node in range(each.num_nodes) if node not in chosen]
            sets = [[*chosen, node] for node in rest]
            value = explainer.subgraph_relevance(data, sets, number, (0, 1), alpha=alpha)
            chosen.append(rest[int(value.argmax())])
        nodes, step = found[number]
        assert nodes.tolist() == chosen
        assert [chosen.index(node) for node in range(each.num_nodes)] == step.tolist()
    with pytest.raises(HyperParameterError, match="alpha must lie in"):
        explainer.node_order(data, alpha=2.0)
