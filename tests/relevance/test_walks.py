"""The walk graph against masked copies, one for each sequence of nodes."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Batch, Data, HeteroData
from torch_geometric.nn import (
    GATConv,
    GCNConv,
    GINConv,
    GraphNorm,
    HeteroConv,
    SAGEConv,
    TopKPooling,
    global_add_pool,
)

import glassgraph as gg
from glassgraph.errors import WalkError
from glassgraph.explainers.decomposition.walks.lists import all_walks
from glassgraph.relevance.walk_reader import TooLarge, read_walks
from tests.relevance.walk_scenes import (
    HOMOGENEOUS,
    KINDS,
    Stepwise,
    graph,
    literal_walks,
    model_of,
    read,
)

each_kind = pytest.mark.parametrize("kind", KINDS)


def found_walks(walks, batch, most: int = 10_000) -> dict[tuple[int, ...], float]:
    found = all_walks(walks, most=most)
    nodes = map(tuple, batch.fields.node[found.node].tolist())
    return dict(zip(nodes, found.score.tolist(), strict=True))


@each_kind
@pytest.mark.parametrize("node", [0, 1])
def test_walks_are_those_of_masked_copies(kind: str, node: int) -> None:
    model, data = model_of(kind), graph()
    expected = literal_walks(model, data, node)
    found = found_walks(*read(model, data, [node]))
    assert len(found) > 10
    assert max(map(abs, found.values())) > 1e-4
    for walk, relevance in expected.items():
        assert found.get(walk, 0.0) == pytest.approx(relevance, abs=1e-12)


@pytest.mark.parametrize("kind", ["gin", "jumping"])
def test_walks_of_graphs_side_by_side(kind: str) -> None:
    model, graphs = model_of(kind, level="graph"), [graph(1), graph(2)]
    walks, _ = read(model, graphs, level="graph")
    found = all_walks(walks, most=10_000)
    for number, each in enumerate(graphs):
        rows = found.instance == number
        nodes = map(tuple, (found.node[rows] - 5 * number).tolist())
        scores = dict(zip(nodes, found.score[rows].tolist(), strict=True))
        assert len(scores) == walks.num_walks[number]
        for walk, relevance in literal_walks(model, each, 0).items():
            assert scores.get(walk, 0.0) == pytest.approx(relevance, abs=1e-12)


@pytest.mark.parametrize("kind", HOMOGENEOUS)
def test_walks_sum_to_the_score_without_biases(kind: str) -> None:
    model, data = model_of(kind, bias=False), graph()
    walks, batch = read(model, data)
    torch.testing.assert_close(walks.relevance(), batch.score(), rtol=1e-10, atol=1e-13)
    torch.testing.assert_close(
        walks.node_relevance().sum(), batch.score().sum(), rtol=1e-10, atol=1e-13
    )


@pytest.mark.parametrize("kind", HOMOGENEOUS)
def test_walks_through_an_edge_sum_to_its_gradient_without_biases(kind: str) -> None:
    """With LRP-0 the gradient of a gate is the sum of all walks through it."""
    model, data = model_of(kind, bias=False), graph()
    walks, batch = read(model, data, [0, 1])
    gradients = gg.EdgeGradients(model, progress=False).attribute(batch).layer_edge
    torch.testing.assert_close(
        walks.edge_relevance(batch.num_edges), gradients, rtol=1e-10, atol=1e-13
    )
    assert gradients.abs().max() > 1e-4


@pytest.mark.parametrize("kind", ["gcn", "sage", "rgcn", "jumping"])
def test_weights_of_visits_are_those_of_each_walk(kind: str) -> None:
    model, data = model_of(kind), graph()
    walks, _ = read(model, data, [0, 1])
    weight = torch.rand(3, walks.num_nodes, dtype=torch.double)
    found = all_walks(walks, most=10_000)
    visits = weight[:, found.node].prod(-1) * found.score
    expected = torch.zeros(3, 2).double().index_add(1, found.instance, visits)
    torch.testing.assert_close(walks.relevance(weight), expected, rtol=1e-10, atol=1e-13)


@each_kind
def test_sums_over_walks_are_sums_over_the_list(kind: str) -> None:
    """With biases as well: nodes where walks start, and edges they pass."""
    model, data = model_of(kind), graph()
    walks, batch = read(model, data, [0])
    found = all_walks(walks, most=10_000)
    start = torch.zeros(walks.num_nodes).double().index_add(0, found.node[:, 0], found.score)
    torch.testing.assert_close(walks.node_relevance(), start, rtol=1e-10, atol=1e-13)
    if kind != "gcn":  # elsewhere a node may also stay, or parallel sites may share a step
        return
    flow = walks.edge_relevance(batch.num_edges)
    ends = torch.stack([batch.fields.source, batch.fields.destination], dim=1)
    for layer in range(3):
        for edge, pair in enumerate(ends):
            passed = (found.node[:, layer : layer + 2] == pair).all(1)
            assert float(flow[layer, edge]) == pytest.approx(float(found.score[passed].sum()))


def test_biases_are_in_what_arrives_but_not_in_the_walks() -> None:
    data = graph()
    for bias in (False, True):
        walks, _ = read(model_of("gcn", bias=bias), data, [0])
        pairs = zip(walks.arriving(), walks.prefixes(), strict=True)
        same = [torch.allclose(one, other) for one, other in list(pairs)[:-1]]
        assert all(same) is not bias


class Attention(Stepwise):
    """GATConv computes its weights from both ends, before its messages."""

    def __init__(self) -> None:
        super().__init__("gcn")
        self.convs = nn.ModuleList([GATConv(3, 5), GATConv(5, 4), GATConv(4, 4)])


class Normalized(Stepwise):
    """GraphNorm between two layers makes every node depend on every other."""

    def __init__(self) -> None:
        super().__init__("gcn")
        self.norm = GraphNorm(5)

    def step(self, layer, state, edge_index, edge_type):
        (h,) = super().step(layer, state, edge_index, edge_type)
        return [self.norm(h)] if layer == 0 else [h]


class Tapped(nn.Module):
    """A layer that is not PyG's."""

    def __init__(self) -> None:
        super().__init__()
        self.linear, self.tap = nn.Linear(3, 2), gg.MessageTap()

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        h = self.linear(x)
        messages = self.tap(h[edge_index[0]], edge_index, h)
        return torch.zeros_like(h).index_add(0, edge_index[1], messages)


class Pooled(nn.Module):
    """Messages behind a pooling layer run between other nodes."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.pool = GINConv(nn.Linear(3, 4)), TopKPooling(4)
        self.two = GINConv(nn.Linear(4, 2))

    def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor) -> Tensor:
        h = self.one(x, edge_index)
        h, edge_index, _, batch, _, _ = self.pool(h, edge_index, batch=batch)
        return global_add_pool(self.two(h, edge_index), batch)


@pytest.mark.filterwarnings("ignore::glassgraph.core.told.PooledMessagesWarning")
@pytest.mark.parametrize(
    ("model", "level", "words"),
    [
        (Attention, "node", "depend on their senders in another way"),
        (Normalized, "graph", "depends on other nodes too"),
        (Tapped, "node", "is a MessageTap"),
        (Pooled, "graph", "after a pooling layer"),
    ],
)
def test_models_whose_walks_are_not_defined_are_refused(model, level, words) -> None:
    torch.manual_seed(1)
    net = model().double().eval()
    if level == "graph" and model is Normalized:
        net.level = "graph"
    with pytest.raises(WalkError, match=words):
        read(net, [graph()] if level == "graph" else graph(), None, level=level)


def test_features_that_are_no_numbers_are_refused() -> None:
    class Indexed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table, self.conv = nn.Embedding(4, 3), GCNConv(3, 2)

        def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
            return self.conv(self.table(x), edge_index)

    data = Data(x=torch.tensor([0, 1, 2]), edge_index=torch.tensor([[0, 1], [1, 2]]))
    with pytest.raises(WalkError, match="floating node features"):
        read(Indexed().eval(), data)


def test_matrices_beyond_the_budget_are_not_built() -> None:
    model, data = model_of("gin"), graph()
    _, batch = read(model, data)
    with pytest.raises(TooLarge) as error:
        read_walks(batch, budget=1000)
    assert error.value.num_bytes > 1000


def test_an_instance_does_not_depend_on_the_others() -> None:
    model, data = model_of("sage"), graph()
    together, batch = read(model, data)
    for node in range(5):
        alone, own = read(model, data, [node])
        expected = found_walks(alone, own)
        rows = all_walks(together, most=10_000)
        chosen = rows.instance == node
        nodes = map(tuple, batch.fields.node[rows.node[chosen]].tolist())
        found = dict(zip(nodes, rows.score[chosen].tolist(), strict=True))
        assert found.keys() == expected.keys()
        assert all(found[walk] == pytest.approx(expected[walk]) for walk in found)


def test_heterogeneous_graphs() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            kinds = [("a", "to", "b"), ("b", "to", "a"), ("a", "to", "a")]
            self.convs = nn.ModuleList(
                HeteroConv(
                    {kind: SAGEConv((wide, wide), 4, bias=False) for kind in kinds}, aggr="sum"
                )
                for wide in (-1, 4)
            )
            self.head = nn.Linear(4, 2, bias=False)

        def forward(self, x_dict, edge_index_dict):
            for conv in self.convs:
                x_dict = {key: h.relu() for key, h in conv(x_dict, edge_index_dict).items()}
            return self.head(x_dict["a"])

    data = HeteroData()
    data["a"].x, data["b"].x = torch.rand(4, 3).double(), torch.rand(3, 2).double()
    data["a", "to", "b"].edge_index = torch.tensor([[0, 1, 3], [0, 1, 2]])
    data["b", "to", "a"].edge_index = torch.tensor([[0, 1, 2], [0, 2, 0]])
    data["a", "to", "a"].edge_index = torch.tensor([[1, 2, 3], [0, 0, 2]])
    model = Net().double().eval()
    model(data.x_dict, data.edge_index_dict)
    task = gg.Task("node", node_type="a")
    walks, batch = read(model, data, [0, 2], level=task)
    torch.testing.assert_close(walks.relevance(), batch.score(), rtol=1e-10, atol=1e-13)
    gradients = gg.EdgeGradients(model, task, progress=False).attribute(batch).layer_edge
    torch.testing.assert_close(
        walks.edge_relevance(batch.num_edges), gradients, rtol=1e-10, atol=1e-13
    )


def test_walks_on_graphs_in_one_batch_object() -> None:
    model = model_of("gcn", level="graph", bias=False)
    walks, batch = read(model, Batch.from_data_list([graph(1), graph(2)]), level="graph")
    torch.testing.assert_close(walks.relevance(), batch.score(), rtol=1e-10, atol=1e-13)
