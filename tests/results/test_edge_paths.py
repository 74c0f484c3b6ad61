"""Paths between two nodes against all paths there are."""

from __future__ import annotations

import math
from itertools import pairwise

import networkx as nx
import pytest
import torch
from torch_geometric.data import Data
from torch_geometric.nn import GCN, SimpleConv

import glassgraph as gg
from glassgraph.errors import HyperParameterError, InstanceError, WalkError
from glassgraph.results.edge_paths import edge_paths
from tests.hetero.link_models import link_set_up

TASK = gg.Task("edge", mode="binary_classification")


def dense() -> Data:
    generator = torch.Generator().manual_seed(4)
    pairs = torch.tensor([(u, v) for u in range(7) for v in range(7) if u != v])
    chosen = pairs[torch.randperm(len(pairs), generator=generator)[:24]]
    x = torch.rand(7, 3, generator=generator).double()
    return Data(x=x, edge_index=torch.cat([chosen, chosen[:2]]).t().contiguous())


def by_hand(local, start: int, end: int, directed: bool, absolute: bool):
    """Every simple path, by the product of its edges' shares; of parallel edges the best."""
    score = local.edge_score.abs() if absolute else local.edge_score
    graph = nx.DiGraph() if directed else nx.Graph()
    for (u, v), value in zip(local.edge_index.t().tolist(), score.tolist(), strict=True):
        if value > 0:
            known = graph.get_edge_data(u, v, {"share": 0})["share"]
            graph.add_edge(u, v, share=max(known, value / float(score.max())))
    found = nx.all_simple_paths(graph, start, end) if {start, end} <= set(graph) else []
    products = [math.prod(graph.edges[pair]["share"] for pair in pairwise(p)) for p in found]
    return sorted(products, reverse=True)


@pytest.mark.parametrize("ranking", ["signed", "absolute"])
@pytest.mark.parametrize("directed", [True, False])
def test_they_are_the_best_of_all(directed: bool, ranking: str) -> None:
    torch.manual_seed(0)
    data = dense()
    explanation = gg.Occlusion(GCN(3, 8, 3, 2).double().eval(), progress=False).explain(data, [0])[
        0
    ]
    local = explanation.local
    for source in local.node_id.tolist():
        if source == 0:
            continue
        start, end = (local.node_id.tolist().index(each) for each in (source, 0))
        expected = by_hand(local, start, end, directed, ranking == "absolute")
        found = explanation.paths(source, k=7, directed=directed, ranking=ranking)
        assert found.scores.tolist() == pytest.approx(expected[:7])
        for nodes, edges, title in zip(found.nodes, found.edges, found.titles, strict=True):
            assert (nodes[0], nodes[-1]) == (source, 0)
            assert title == " → ".join(f"node {node}" for node in nodes)
            for edge, step in zip(edges, pairwise(nodes), strict=True):
                ends = data.edge_index[:, edge].tolist()
                assert ends == list(step) or (not directed and ends == list(step)[::-1])


def test_ends_of_links_are_those_of_paths() -> None:
    model, data = link_set_up("sage")
    explanations = gg.explain(model, data, "saliency", TASK, progress=False)
    explanation = explanations[3]
    found = explanation.paths()
    named = explanation.paths(("user", 2), ("item", 4))
    assert found.nodes == named.nodes
    assert found.scores.tolist() == named.scores.tolist()
    assert len(found)
    for nodes, edges in zip(found.nodes, found.edges, strict=True):
        assert (nodes[0], nodes[-1]) == (("user", 2), ("item", 4))
        for (kind, edge), (source, target) in zip(edges, pairwise(nodes), strict=True):
            relation = tuple(kind.split("__"))
            assert (relation[0], relation[2]) == (source[0], target[0])
            assert data[relation].edge_index[:, edge].tolist() == [source[1], target[1]]
    assert explanations[4].paths().nodes == []  # neither end receives anything


def test_layers_of_typed_graphs() -> None:
    model, data = link_set_up("sage")
    settings = {"layerwise": True, "progress": False}
    (explanation,) = gg.explain(model, data, "occlusion", TASK, index=[3], **settings)
    found = explanation.paths(through="layers", k=4)
    assert found.nodes.shape == (4, 3)
    assert all(types[-1] in ("user", "item") for types in found.node_types)
    for nodes, types, edges, kinds in zip(
        found.nodes.tolist(), found.node_types, found.edges.tolist(), found.edge_types, strict=True
    ):
        for step, (edge, kind) in enumerate(zip(edges, kinds, strict=True)):
            if edge < 0:
                assert kind == ""
                continue
            relation = tuple(kind.split("__"))
            assert [types[step], types[step + 1]] == [relation[0], relation[2]]
            ends = data[relation].edge_index[:, edge].tolist()
            assert ends == nodes[step : step + 2]
    tag = explanation.paths(("tag", 0), through="layers")
    assert all(types[0] == "tag" for types in tag.node_types)


class Sum(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = SimpleConv()

    def forward(self, x, edge_index):
        return self.conv(self.conv(x, edge_index), edge_index)


def test_what_does_not_connect_gives_nothing() -> None:
    data = Data(x=torch.tensor([[1.0], [-1.0], [2.0]]), edge_index=torch.tensor([[0, 1], [1, 2]]))
    data.x[0] = -1.0
    task = gg.Task("node", mode="regression")
    explanation = gg.Occlusion(Sum(), task, progress=False).explain(data, [2])[0]
    assert explanation.paths(0).nodes == []  # both edges speak against the value
    assert explanation.paths(0, ranking="absolute").nodes == [[0, 1, 2]]
    assert explanation.paths(2).nodes == []  # a node and itself
    assert explanation.paths(9).nodes == []  # not among those that can reach it
    assert explanation.paths(2, 0).nodes == []
    assert explanation.paths(2, 0, ranking="absolute", directed=False).nodes == [[2, 1, 0]]


def test_names_of_nodes_are_read() -> None:
    data = Data(x=torch.ones(3, 1), edge_index=torch.tensor([[0, 1], [1, 2]]))
    task = gg.Task("node", mode="regression")
    found = gg.Occlusion(Sum(), task, progress=False).explain(data, [2], node_names=["a", "b", "c"])
    assert found[0].paths(0).titles == ["a → b → c"]


def test_scores_of_nodes_are_those_of_edges() -> None:
    model, data = GCN(3, 8, 2, 2).double().eval(), dense()
    explanation = gg.Zorro(model, progress=False, samples=7).explain(data, [0])[0]
    local = explanation.local
    found = edge_paths(local, 3, None, 2, "signed", True)
    assert len(found) == len(explanation.paths(3, k=2))


def test_what_is_given_wrongly() -> None:
    model, data = link_set_up("sage")
    link = gg.explain(model, data, "saliency", TASK, index=[3], progress=False)[0]
    for wrong in (2, ("user", "2"), ("user", 1.5), "user"):
        with pytest.raises(InstanceError, match=r"as pairs \(type, number\)"):
            link.paths(wrong)
    with pytest.raises(HyperParameterError, match="k must be positive"):
        link.paths(k=0)
    with pytest.raises(HyperParameterError, match="through must be 'layers' or 'edges'"):
        link.paths(through="nodes")
    plain = gg.Saliency(Sum(), gg.Task("node", mode="regression"), progress=False).explain(
        Data(x=torch.ones(3, 1), edge_index=torch.tensor([[0, 1], [1, 2]])), [2]
    )[0]
    with pytest.raises(WalkError, match="say where paths start"):
        plain.paths()
    with pytest.raises(InstanceError, match="given by their numbers"):
        plain.paths(("node", 1))
