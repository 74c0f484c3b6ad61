"""The reference models compute what their formula says."""

import pytest
import torch
from torch.nn.functional import normalize
from torch_geometric.data import Batch, Data

from glassgraph.errors import HyperParameterError
from glassgraph.models import GAT, GCN, GIN, MODELS, RGCN, SAGE, Body, build_model

F, D, C, R = 5, 12, 3, 4


def random_graph(num_nodes, num_edges):
    return Data(
        x=torch.randn(num_nodes, F, dtype=torch.float64),
        edge_index=torch.randint(num_nodes, (2, num_edges)),
        edge_type=torch.randint(R, (num_edges,)),
    )


def build(kind, level, **body):
    options = {"num_relations": R} if kind == "rgcn" else {}
    return MODELS[kind](F, D, C, level=level, body=Body(**body), **options).double().eval()


def call(model, graph, batch=None):
    extra = {"edge_type": graph.edge_type} if model.kind == "rgcn" else {}
    return model(graph.x, graph.edge_index, batch=batch, **extra)


@pytest.mark.parametrize("level", ["node", "graph"])
@pytest.mark.parametrize("kind", list(MODELS))
def test_shapes_and_batching(kind, level):
    model = build(kind, level, num_layers=2)
    graphs = [random_graph(7, 17), random_graph(11, 23), random_graph(1, 0)]
    batch = Batch.from_data_list(graphs)
    together = call(model, batch, batch.batch)
    alone = torch.cat([call(model, graph) for graph in graphs])
    assert together.shape == ((3 if level == "graph" else 19), C)
    torch.testing.assert_close(together, alone)


def test_the_papers_node_model_by_hand():
    model = GCN(F, D, C, normalize=False, body=Body(l2_normalize=True)).double()
    graph = random_graph(13, 37)
    adjacency = torch.zeros(13, 13, dtype=torch.float64)
    for source, target in graph.edge_index.T.tolist():
        adjacency[target, source] += 1
    h, outputs = graph.x, []
    for number, conv in enumerate(model.convs):
        h = normalize(adjacency @ h @ conv.lin.weight.T + conv.bias, dim=1)
        h = h.relu() if number < 2 else h
        outputs.append(h)
    expected = torch.cat(outputs, dim=1) @ model.head.weight.T + model.head.bias
    torch.testing.assert_close(model(graph.x, graph.edge_index), expected)


def test_gin_with_add_and_max_by_hand():
    model = GIN(F, D, C, "graph", Body(num_layers=1, pool=("add", "max"))).double()
    graph = random_graph(13, 37)
    total = graph.x.clone()
    for source, target in graph.edge_index.T.tolist():
        total[target] += graph.x[source]
    h = model.convs[0].nn(total)
    expected = model.head(torch.cat([h.sum(0), h.max(0).values])[None])
    torch.testing.assert_close(model(graph.x, graph.edge_index), expected)


@pytest.mark.parametrize("aggr", ["mean", "add"])
def test_relations_by_hand(aggr):
    model = RGCN(F, D, C, R, aggr=aggr, body=Body(num_layers=1)).double()
    conv, graph = model.convs[0], random_graph(7, 37)
    expected = graph.x @ conv.root + conv.bias
    for relation in range(R):
        adjacency = torch.zeros(7, 7, dtype=torch.float64)
        for edge in (graph.edge_type == relation).nonzero().view(-1):
            source, target = graph.edge_index[:, edge]
            adjacency[target, source] += 1
        if aggr == "mean":
            adjacency /= adjacency.sum(1, keepdim=True).clamp_min(1)
        expected = expected + adjacency @ graph.x @ conv.weight[relation]
    found = model(graph.x, graph.edge_index, graph.edge_type)
    torch.testing.assert_close(found, model.head(expected))


@pytest.mark.parametrize("aggr", ["mean", "add"])
def test_neighbors_and_oneself_by_hand(aggr):
    model = SAGE(F, D, C, aggr=aggr, body=Body(num_layers=1, activate_last=True)).double()
    conv, graph = model.convs[0], random_graph(7, 37)
    adjacency = torch.zeros(7, 7, dtype=torch.float64)
    for source, target in graph.edge_index.T.tolist():
        adjacency[target, source] += 1
    if aggr == "mean":
        adjacency /= adjacency.sum(1, keepdim=True).clamp_min(1)
    own = graph.x @ conv.lin_r.weight.T
    expected = (adjacency @ graph.x @ conv.lin_l.weight.T + conv.lin_l.bias + own).relu()
    torch.testing.assert_close(model(graph.x, graph.edge_index), model.head(expected))


def test_a_weight_of_zero_removes_an_edge():
    model = build("gcn", "node")
    graph = random_graph(7, 19)
    graph.edge_index[:, 4] = torch.tensor([2, 5])  # a self-loop of weight 0 would count in a GCN
    weight = torch.ones(19, dtype=torch.float64)
    weight[4] = 0
    kept = torch.arange(19) != 4
    torch.testing.assert_close(
        model(graph.x, graph.edge_index, weight),
        model(graph.x, graph.edge_index[:, kept], weight[kept]),
    )


def test_dropout_acts_in_training_only():
    model = build("gin", "node", dropout=0.5)
    graph = random_graph(7, 19)
    assert torch.equal(call(model, graph), call(model, graph))
    model.train()
    assert not torch.equal(call(model, graph), call(model, graph))


@pytest.mark.parametrize("kind", list(MODELS))
def test_architecture_builds_the_same_model(kind):
    model = build(kind, "graph", num_layers=2, concat=False, pool=("max", "add"), dropout=0.25)
    again = build_model(model.architecture).double().eval()
    again.load_state_dict(model.state_dict())
    assert again.architecture == model.architecture
    graph = random_graph(5, 11)
    assert torch.equal(call(again, graph), call(model, graph))


@pytest.mark.parametrize(
    ("build_wrongly", "message"),
    [
        (lambda: GCN(0, D, C), "must be positive"),
        (lambda: GCN(F, D, C, "edge"), "level must be"),
        (lambda: GAT(F, 13, C, heads=4), "heads must divide"),
        (lambda: RGCN(F, D, C, num_relations=0), "num_relations"),
        (lambda: RGCN(F, D, C, R, aggr="median"), "aggr must be 'mean', 'add' or 'max'"),
        (lambda: SAGE(F, D, C, aggr="median"), "aggr must be 'mean', 'add' or 'max'"),
        (lambda: Body(num_layers=0), "num_layers"),
        (lambda: Body(pool=("median",)), "pool must name"),
        (lambda: Body(pool=()), "pool must name"),
        (lambda: Body(dropout=1.0), "dropout"),
        (lambda: build_model({"kind": "mlp"}), "kind must be one of"),
        (lambda: build_model({"kind": "gin", "in_channels": 5}), "hidden_channels"),
        (lambda: build_model({"kind": "gin", "body": 3}), "body must be a mapping"),
    ],
)
def test_wrong_architectures_are_refused(build_wrongly, message):
    with pytest.raises(HyperParameterError, match=message):
        build_wrongly()


def test_layers_are_normalized_over_the_batch_before_their_activation():
    body = Body(num_layers=1, pool=("max",), activate_last=True, batch_norm=True)
    model = GIN(F, D, C, "graph", body).double()
    graph = random_graph(13, 37)
    model.train()
    model(graph.x, graph.edge_index)  # running moments that are not 0 and 1
    model.eval()
    h, norm = model.convs[0](graph.x, graph.edge_index), model.norms[0]
    h = (h - norm.running_mean) / (norm.running_var + norm.eps).sqrt() * norm.weight + norm.bias
    expected = model.head(h.relu().max(0).values[None])
    torch.testing.assert_close(model(graph.x, graph.edge_index), expected)
    assert GIN(F, D, C).norms is None
