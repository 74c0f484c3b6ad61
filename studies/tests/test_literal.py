"""Literal versions and ours, held against each other on a tiny graph in float64."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch_geometric.data import Data
from torch_geometric.nn import SimpleConv, global_add_pool

from glassgraph.explainers.registry import make_explainer
from glassgraph.models.gnn import GAT, GCN, GIN, GNN, SAGE, Body
from glassgraph.results.explanation import LocalExplanation
from glassgraph_studies.reference.passes import LITERAL, forward, walk_relevance
from glassgraph_studies.reference.pgm import pgm_explainer
from glassgraph_studies.reference.pyg import PyGPeer

NODES, FEATURES, CLASSES, NODE = 12, 5, 3, 4
SETTINGS: dict[str, dict[str, Any]] = {"excitation_backprop": {"negative": "allow"}}
#: Networks that differ in all that a literal version has to know of them.
NETWORKS: dict[str, tuple[Any, Body, dict[str, Any]]] = {
    "gcn": (GCN, Body(concat=True, l2_normalize=True, pool=("add",)), {"normalize": False}),
    "gin": (GIN, Body(concat=False, pool=("mean",)), {}),
    "gat": (GAT, Body(num_layers=2, concat=False, l2_normalize=True, pool=("mean",)), {"heads": 2}),
    "sage": (SAGE, Body(num_layers=2, concat=True, pool=("add",)), {}),
}


def model_of(kind: str, level: str) -> GNN:
    build, body, options = NETWORKS[kind]
    model: GNN = build(FEATURES, 8, CLASSES, level=level, body=body, **options)
    return model.double().eval().requires_grad_(False)


def graph(num_nodes: int = NODES, num_edges: int = 30) -> Data:
    edges = torch.randint(num_nodes, (2, num_edges))
    edges = torch.unique(edges[:, edges[0] != edges[1]], dim=1)
    return Data(x=torch.randn(num_nodes, FEATURES).double(), edge_index=edges)


def ours(method: str, model: GNN, data: Data, **settings: Any) -> LocalExplanation:
    explainer = make_explainer(method, model, model.level, progress=False, **settings)
    if model.level == "graph":
        return explainer.explain([data], [0]).local(0)
    return explainer.explain(data, [NODE]).local(0)


@pytest.mark.parametrize("level", ["node", "graph"])
@pytest.mark.parametrize("kind", NETWORKS)
def test_the_network_written_out_is_the_network(kind: str, level: str) -> None:
    model, data = model_of(kind, level), graph()
    passed = forward(model, data, None if level == "graph" else NODE, data.x)
    batch = torch.zeros(NODES, dtype=torch.long)
    logits = model(data.x, data.edge_index, batch=batch)
    torch.testing.assert_close(passed.logits, logits[0 if level == "graph" else NODE])
    assert len(passed.states) == len(passed.returned) == model.body.num_layers


@pytest.mark.parametrize("level", ["node", "graph"])
@pytest.mark.parametrize("kind", NETWORKS)
def test_scores_are_those_of_the_literal_version(kind: str, level: str) -> None:
    model, data = model_of(kind, level), graph()
    for method, literal in LITERAL.items():
        if method == "cam" and level == "node":
            continue
        found = ours(method, model, data, **SETTINGS.get(method, {}))
        scores = literal(model, data, None if level == "graph" else NODE)
        everywhere = torch.zeros(NODES).double()
        everywhere[found.node_id] = found.node_score
        torch.testing.assert_close(everywhere, scores.node, rtol=1e-9, atol=1e-12, msg=method)
        assert scores.node.abs().max() > 1e-4 or method in ("cam", "grad_cam")
        if scores.edge is not None:
            torch.testing.assert_close(found.edge_score, scores.edge[found.edge_id], msg=method)


@pytest.mark.parametrize("level", ["node", "graph"])
@pytest.mark.parametrize("kind", NETWORKS)
def test_walks_are_those_of_the_literal_version(kind: str, level: str) -> None:
    model, data = model_of(kind, level), graph(num_nodes=8, num_edges=14)
    found = ours("gnn_lrp", model, data, gamma=(3.0, 0.0), walks="all")
    gammas = [*torch.linspace(3.0, 0.0, model.body.num_layers).tolist(), 0.0]
    walks, node = found.node_id[found.walks], None if level == "graph" else NODE
    assert found.walk_scores.abs().max() > 1e-4
    for walk, score in list(zip(walks.tolist(), found.walk_scores.tolist(), strict=True))[:12]:
        assert walk_relevance(model, data, node, walk, gammas) == pytest.approx(score, abs=1e-12)


def test_without_rules_walks_are_those_of_gamma_0() -> None:
    model, data = model_of("gin", "graph"), graph(num_nodes=8, num_edges=14)
    found = ours("gnn_lrp", model, data, gamma=0.0, walks=5)
    walks = found.node_id[found.walks].tolist()
    for walk, score in zip(walks, found.walk_scores.tolist(), strict=True):
        assert walk_relevance(model, data, None, walk, None) == pytest.approx(score, abs=1e-12)


def test_attention_into_the_explained_node_is_pygs() -> None:
    model, data = model_of("gat", "node"), graph(num_edges=60)
    found = ours("attention", model, data)
    theirs = PyGPeer("attention", model, "node")(data, NODE).edge
    here = found.node_id[found.edge_index[1]] == NODE
    assert int(here.sum()) >= 2
    assert torch.equal(found.edge_score[here], theirs[found.edge_id[here]])


def test_a_wrong_walk_is_noticed() -> None:
    """The oracle tells walks apart, and gives nothing to what is no walk."""
    model, data = model_of("gcn", "graph"), graph(num_nodes=8, num_edges=14)
    found = ours("gnn_lrp", model, data, walks="all")
    first, last = found.node_id[found.walks[[0, -1]]].tolist()
    gammas = [3.0, 1.5, 0.0, 0.0]
    relevance = [walk_relevance(model, data, None, walk, gammas) for walk in (first, last)]
    assert abs(relevance[0]) > 2 * abs(relevance[1])
    assert walk_relevance(model, data, None, [0, 0, 0, 0], gammas) == 0.0


class Sum(torch.nn.Module):
    """Logits say whether the neighbors' features add up to more than 4."""

    level = "node"

    def __init__(self) -> None:
        super().__init__()
        self.convs = torch.nn.ModuleList([SimpleConv(aggr="sum")])

    def forward(self, x: Any, edge_index: Any, batch: Any = None) -> Any:
        total = self.convs[0](x, edge_index)
        total = (total if batch is None else global_add_pool(total, batch)) - 4
        return torch.cat([-total, total], dim=1)


@pytest.mark.parametrize("node", [0, None])
def test_the_loop_of_pgm_explainer_finds_the_node_that_decides(node: int | None) -> None:
    data = Data(
        x=torch.tensor([[0.0], [8.0], [0.0], [0.0]]),
        edge_index=torch.tensor([[1, 2, 3], [0, 0, 0]]),
    )
    torch.manual_seed(0)
    literal = pgm_explainer(Sum(), data, node).node
    pyg = PyGPeer("pgm_explainer", Sum(), "node")(data, 0).edge
    level = "graph" if node is None else "node"
    explainer = make_explainer("pgm_explainer", Sum(), level, score="confidence", progress=False)
    found = explainer.explain(data if node == 0 else [data], [0]).local(0).node_score
    assert literal is not None
    assert pyg is not None
    for score in (literal, found):
        assert score[1] > 0.999
        assert score[2:].max() < score[1]
    if node == 0:
        assert literal[0] == found[0] == 1  # it belongs to every explanation
        assert pyg.argmax() == 0
