"""PaGE-Link: its paths against all paths, its mask against the loop written out."""

from __future__ import annotations

import math
from itertools import islice, pairwise

import networkx as nx
import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Data, HeteroData
from torch_geometric.nn import SimpleConv

import glassgraph as gg
from glassgraph.calling.protect import protected
from glassgraph.core.batch import InstanceBatch
from glassgraph.explainers.perturbation._soft_masks import EdgeMask, Penalty
from glassgraph.explainers.perturbation.path_search.ends import LinkEnds
from tests.hetero.link_models import link_set_up

TASK = gg.Task("edge", mode="binary_classification")
FREE = {"directed": True, "max_length": 4, "k_core": 0, "max_degree": None}


def batch_of(name: str, index: list[int]) -> tuple[nn.Module, InstanceBatch]:
    model, data = link_set_up(name)
    explainer = gg.PaGELink(model, TASK, progress=False)
    with protected(model):
        preparation = explainer.prepare(data)
        ((_, batch),) = preparation.batches(preparation.instances(index), None, None)
    return model, batch


def graph_of(batch: InstanceBatch, value: Tensor, instance: int) -> nx.DiGraph:
    """The field of a link, with costs ``log d[v] - log p[u, v]``; one relation joins each pair."""
    seeds = batch.fields.seed[instance].tolist()
    degree = batch.graph.incoming.pointer.diff()[batch.fields.node]
    graph = nx.DiGraph()
    graph.add_nodes_from(seeds)
    edges = zip(batch.fields.source.tolist(), batch.fields.destination.tolist(), strict=True)
    for at, (u, v) in enumerate(edges):
        if int(batch.edge_instance[at]) == instance:
            log = 0.0 if v == seeds[1] else math.log(max(1, int(degree[v])))
            graph.add_edge(u, v, at=at, cost=log - math.log(float(value[at])))
    return graph


def paths_by_hand(batch: InstanceBatch, value: Tensor, instance: int, longest: int):
    graph = graph_of(batch, value, instance)
    source, target = batch.fields.seed[instance].tolist()
    if not nx.has_path(graph, source, target):
        return
    for nodes in nx.shortest_simple_paths(graph, source, target, weight="cost"):
        if len(nodes) <= longest + 1:
            steps = [graph.edges[pair] for pair in pairwise(nodes)]
            yield [step["at"] for step in steps], math.exp(-sum(step["cost"] for step in steps))


@pytest.mark.parametrize("longest", [2, 3, 4])
def test_the_paths_are_the_best_of_all(longest: int) -> None:
    _, batch = batch_of("hetero_conv", [0, 2, 3, 4])
    torch.manual_seed(longest)
    value = torch.rand(batch.num_edges).double()
    ends = LinkEnds.of(batch, **{**FREE, "max_length": longest})
    found = ends.best(value, 6)
    for instance in range(4):
        expected = list(islice(paths_by_hand(batch, value, instance, longest), 6))
        own = (found.instance == instance).nonzero().view(-1)
        edges = [[each for each in row if each >= 0] for row in found.edge[own].tolist()]
        assert edges == [path for path, _ in expected]
        assert found.score[own].tolist() == pytest.approx([score for _, score in expected])
        assert found.rank[own].tolist() == list(range(len(expected)))


def test_either_way_is_a_way() -> None:
    _, batch = batch_of("hetero_conv", [3])
    value = torch.rand(batch.num_edges).double()
    forward, either = (
        LinkEnds.of(batch, **{**FREE, "directed": each}).best(value, 50) for each in (True, False)
    )
    assert len(either.rank) > len(forward.rank)
    for nodes, edges in zip(either.node.tolist(), either.edge.tolist(), strict=True):
        for edge, step in zip(edges, pairwise(nodes), strict=True):
            if edge >= 0:
                ends = [int(batch.fields.source[edge]), int(batch.fields.destination[edge])]
                assert sorted(ends) == sorted(step)


@pytest.mark.parametrize(("core", "most"), [(2, None), (3, None), (2, 4)])
def test_fields_are_pruned_to_their_core(core: int, most: int | None) -> None:
    """By hand: nodes of too many neighbors leave, then, one after the other, those of too few."""
    _, batch = batch_of("hetero_conv", [3])
    kept = LinkEnds.of(batch, **{**FREE, "k_core": core, "max_degree": most}).is_kept
    graph, ends = nx.Graph(), set(batch.fields.seed[0].tolist())
    pairs = list(zip(batch.fields.source.tolist(), batch.fields.destination.tolist(), strict=True))
    graph.add_edges_from(pairs)
    if most is not None:
        graph.remove_nodes_from([n for n, d in list(graph.degree) if d > most and n not in ends])
    while few := [n for n, d in list(graph.degree) if d < core and n not in ends]:
        graph.remove_nodes_from(few)
    expected = [graph.has_edge(*pair) for pair in pairs]
    assert kept.tolist() == expected
    assert sum(expected) < len(expected)
    assert (sum(expected) > 0) == (core == 2)


def literal_mask(model, batch: InstanceBatch, logits: Tensor, epochs: int) -> Tensor:
    """The loop of the paper on one link, by autograd and networkx; one logit for each edge."""
    logits = logits.clone().requires_grad_()
    optimizer = torch.optim.Adam([logits], lr=0.1)
    for _ in range(epochs):
        p = logits.sigmoid()
        paths = islice(paths_by_hand(batch, p.detach(), 0, 5), 2)
        on = torch.zeros(batch.num_edges, dtype=torch.bool)
        on[[at for path, _ in paths for at in path]] = True
        loss = batch.loss(p).sum() - 0.7 * p[on].mean() + 1.3 * p[~on].mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return logits.detach().sigmoid()


@pytest.mark.parametrize("name", ["sage", "hgt"])
def test_the_mask_is_that_of_the_loop_written_out(name: str) -> None:
    model, batch = batch_of(name, [3])
    settings = {"guides": 2, "on_path": 0.7, "off_path": 1.3, "k_core": 0, "epochs": 8}
    explainer = gg.PaGELink(model, TASK, progress=False, seed=5, **settings)
    nothing = Penalty(0.0, 0.0, size_is_sum=True)
    start = EdgeMask(batch, 5, num_masks=1, init_mean=0.0, init_scale=0.1, penalty=nothing)
    with protected(model):
        found = explainer.attribute(batch)
        expected = literal_mask(model, batch, start.logits.detach(), 8)
    torch.testing.assert_close(found.edge, expected)
    table = found.tables["paths"]
    best = [path for path, _ in islice(paths_by_hand(batch, expected, 0, 5), 10)]
    rows = table.values["path"].tolist()
    steps = list(zip(table.values["edge"].tolist(), rows, strict=True))
    own = [[edge for edge, at in steps if at == rank] for rank in range(10)]
    assert own == best + [[]] * (10 - len(best))


class Product(nn.Module):
    """What arrives at both ends after two steps, multiplied."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = SimpleConv(combine_root="sum")

    def forward(self, x, edge_index, edge_label_index):
        h = self.conv(self.conv(x, edge_index), edge_index)
        source, target = h[edge_label_index]
        return (source * target).sum(dim=-1)


def two_ways() -> Data:
    """From 0 to 5 by 1, by 2 (a hub of many), and by 3 and 4; both directions of each edge."""
    pairs = [(0, 1), (1, 5), (0, 2), (2, 5), (0, 3), (3, 4), (4, 5)]
    pairs += [(2, other) for other in range(6, 14)]
    edges = torch.tensor(pairs + [(v, u) for u, v in pairs]).t().contiguous()
    data = Data(x=torch.full((14, 2), 0.1).double(), edge_index=edges)
    data.edge_label_index = torch.tensor([[0], [5]])
    return data


def test_short_paths_through_nodes_of_few_neighbors_come_first() -> None:
    explainer = gg.PaGELink(Product(), TASK, progress=False, k_core=0, prediction=0.0, seed=1)
    explanation = explainer.explain(two_ways())[0]
    assert explanation.paths(k=3).nodes == [[0, 1, 5], [0, 3, 4, 5], [0, 2, 5]]
    pruned = gg.PaGELink(Product(), TASK, progress=False, max_degree=4, seed=1).explain(two_ways())
    assert [0, 2, 5] not in pruned[0].paths(k=10).nodes
    frame = pruned.table("paths")
    assert set(frame.query("path == 0").step) == {0, 1}


def test_paths_are_read_again_and_in_parts(tmp_path) -> None:
    model, data = link_set_up("rgcn_distmult")
    found = gg.PaGELink(model, TASK, progress=False, epochs=4).explain(data, [0, 2, 3])
    found.save(tmp_path)
    after = gg.Explanations.load(tmp_path)
    alone = gg.PaGELink(model, TASK, progress=False, epochs=4).explain(data, [3])
    assert found[2].paths().nodes == after[2].paths().nodes == alone[0].paths().nodes
    assert found[1:][1].paths().edges == alone[0].paths().edges
    assert found[2].paths(k=1).nodes == found[2].paths().nodes[:1]
    first = found[2].paths().nodes[0]
    assert (first[0], first[-1]) == (("user", 2), ("item", 4))


def test_ends_that_nothing_connects_are_said_to_be() -> None:
    data = two_ways()
    apart = torch.tensor([[14, 15], [15, 14]])
    data.edge_index = torch.cat([data.edge_index, apart], dim=1)
    data.x = torch.full((16, 2), 0.1).double()
    data.edge_label_index = torch.tensor([[0, 0], [5, 14]])
    explainer = gg.PaGELink(Product(), TASK, progress=False, k_core=0, epochs=3)
    found = explainer.explain(data)
    assert found.local(0).remark is None
    assert found.local(1).remark == "no path connects the two ends of the link"
    assert found.local(1).edge_score.any()
    assert found[1].paths().nodes == []


def test_an_edge_that_is_explained_is_no_way_between_its_ends() -> None:
    class Edges(Product):
        def forward(self, x, edge_index):
            return super().forward(x, edge_index, edge_index)

    data = two_ways()
    del data.edge_label_index
    task = gg.Task("edge", mode="binary_classification", predicts="edges")
    found = gg.PaGELink(Edges(), task, progress=False, k_core=0, epochs=3).explain(data, [0])
    assert found.local(0).title == "node 0 → node 1"
    assert [0, 1] not in found[0].paths(k=10).nodes
    assert [0, 2, 5, 1] in found[0].paths(k=10).nodes
    data.edge_label_index = torch.tensor([[0], [1]])
    as_link = gg.PaGELink(Product(), TASK, progress=False, k_core=0, epochs=3).explain(data)
    assert as_link[0].paths(k=10).nodes == found[0].paths(k=10).nodes


def test_graphs_without_inverse_edges() -> None:
    data = HeteroData()
    data["user"].x, data["item"].x = torch.rand(2, 2).double(), torch.rand(2, 2).double()
    data["user", "buys", "item"].edge_index = torch.tensor([[0, 1, 1], [0, 0, 1]])
    data["user", "likes", "item"].edge_label_index = torch.tensor([[0], [1]])

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = SimpleConv(combine_root="sum")

        def forward(self, x_dict, edge_index_dict, edge_label_index):
            sent = edge_index_dict["user", "buys", "item"]
            item = self.conv((x_dict["user"], x_dict["item"]), sent)
            source, target = edge_label_index
            return (x_dict["user"][source] * item[target]).sum(dim=-1)

    settings = {"progress": False, "k_core": 0, "epochs": 2}
    (alone,) = gg.PaGELink(Network(), TASK, **settings).explain(data)
    assert alone.paths().nodes == []  # one step: only what user 1 bought reaches item 1


def test_nodes_and_graphs_have_no_two_ends() -> None:
    with pytest.raises(gg.errors.TaskError, match="have two ends; got a node task"):
        gg.PaGELink(Product(), "node", progress=False)
    with pytest.raises(gg.errors.HyperParameterError, match="guides"):
        gg.PaGELink(Product(), TASK, guides=0)
