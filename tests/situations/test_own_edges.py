"""Models that build edges themselves, or do something to the edges that they are given."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn import EdgeConv, GCNConv, global_mean_pool
from torch_geometric.utils import coalesce, to_undirected

import glassgraph as gg
from glassgraph.core.told import FallbackWarning, UnseenWarning
from glassgraph.errors import GraphError, UnseenMessagesError, UnsupportedModelError
from glassgraph.explainers.constant import ConstantScoresWarning
from glassgraph.metrics import fidelity

WIDTH, NODES, EDGES, CLASSES, NEAREST = 3, 11, 23, 3, 3
#: Scores of edges alone.
OF_EDGES: dict[str, dict[str, Any]] = {
    "occlusion": {},
    "edge_gradients": {},
    "erasure_search": {},
    "causal_screening": {},
    "subgraphx": {"rollouts": 3},
    "shapley_edges": {"exact_up_to": 3, "samples": 200},
}
#: Scores of nodes or features as well.
OF_NODES: dict[str, dict[str, Any]] = {
    "saliency": {},
    "integrated_gradients": {"steps": 60},
    "gnn_explainer": {"epochs": 3},
    "pgm_explainer": {"num_samples": 30},
}


def points() -> Data:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(NODES, WIDTH, generator=generator).double()
    pos = torch.randn(NODES, 2, generator=generator).double()
    return Data(x=x, pos=pos, y=torch.zeros(NODES).long())


def graph() -> Data:
    data = points()
    generator = torch.Generator().manual_seed(4)
    ends = torch.randint(NODES, (2, EDGES), generator=generator)
    data.edge_index = coalesce(ends[:, ends[0] != ends[1]])
    return data


def without_edges() -> Data:
    data = points()
    data.edge_index = torch.empty(2, 0, dtype=torch.long)
    return data


def nearest(place: Tensor, batch: Tensor | None = None) -> Tensor:
    """Each node's nearest neighbors within its graph."""
    far = torch.eye(len(place), dtype=torch.bool)
    if batch is not None:
        far = far | (batch.view(-1, 1) != batch)
    distance = torch.cdist(place, place).masked_fill(far, torch.inf)
    count = min(NEAREST, len(place) - 1)
    senders = distance.topk(count, largest=False).indices
    receivers = torch.arange(len(place)).repeat_interleave(count)
    return torch.stack([senders.view(-1), receivers])


class Net(nn.Module):
    """Two layers, whose edges each kind below finds in its own way."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(3)
            self.one, self.two = _layer(WIDTH, 7), _layer(7, CLASSES)
        self.double().eval()

    def layers(self, x: Tensor, first: Tensor, second: Tensor) -> Tensor:
        return self.two(self.one(x, first), second)

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        return self.layers(x, edge_index, edge_index)


def _layer(width: int, out: int) -> EdgeConv:
    return EdgeConv(nn.Sequential(nn.Linear(2 * width, out), nn.Tanh()), aggr="add")


class InSpace(Net):
    def forward(self, x: Tensor, pos: Tensor) -> Tensor:
        edges = nearest(pos)
        return self.layers(x, edges, edges)


class Dynamic(Net):
    """The neighbors of the second layer are those in the states after the first."""

    def forward(self, x: Tensor) -> Tensor:
        h = self.one(x, nearest(x))
        return self.two(h, nearest(h))


class OfData(Net):
    def forward(self, data: Data) -> Tensor:
        edges = nearest(data.pos)
        return self.layers(data.x, edges, edges)


class Ignoring(Net):
    def forward(self, x: Tensor, pos: Tensor, edge_index: Tensor) -> Tensor:
        edges = nearest(pos)
        return self.layers(x, edges, edges)


class Pooled(Net):
    def forward(self, x: Tensor, batch: Tensor) -> Tensor:
        edges = nearest(x, batch)
        return global_mean_pool(self.layers(x, edges, edges), batch)


def explain(model: Any, data: Any, method: str, task: str = "node", **settings: Any) -> Any:
    """On nodes 2 and 7, or all graphs, without what is said of falling back."""
    settings = {**OF_EDGES, **OF_NODES}.get(method, {}) | settings
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FallbackWarning)
        index = [2, 7] if task == "node" else None
        return gg.explain(model, data, method, task, index=index, progress=False, **settings)


@contextmanager
def told(method: str) -> Iterator[None]:
    """What looks into the model says that all its edges are its own."""
    if method == "pgm_explainer":
        yield
        return
    with pytest.warns(UnseenWarning, match="one, two: all messages run along edges that the model"):
        yield


# Edges that the model builds itself


@pytest.mark.parametrize("data", [points, without_edges])
@pytest.mark.parametrize("kind", [InSpace, Dynamic, OfData])
@pytest.mark.parametrize("method", OF_EDGES)
def test_edges_of_the_model_are_not_scored(method: str, kind: type[Net], data: Any) -> None:
    """A missing edge_index was refused, an empty one explained by nothing at all."""
    with pytest.raises(UnsupportedModelError, match="edges cannot be scored; give the edges as"):
        explain(kind(), data(), method)


@pytest.mark.parametrize("method", ["occlusion", "edge_gradients", "erasure_search"])
def test_edges_that_the_model_ignores_are_not_scored(method: str) -> None:
    """Some of the given edges join nearest neighbors; they used to get the scores of these."""
    data, own = graph(), nearest(graph().pos)
    given = set(map(tuple, data.edge_index.t().tolist()))
    assert given & set(map(tuple, own.t().tolist()))
    with pytest.raises(UnsupportedModelError, match="the model builds the edges itself"):
        explain(Ignoring(), data, method)


def test_deleting_edges_that_the_model_ignores_tells_nothing() -> None:
    with pytest.warns(ConstantScoresWarning, match="no edge moves the explained score"):
        explain(Ignoring(), graph(), "causal_screening")


@pytest.mark.parametrize("data", [points, without_edges])
@pytest.mark.parametrize("method", OF_NODES)
def test_nodes_are_scored_as_with_the_same_edges_given(method: str, data: Any) -> None:
    given = points()
    given.edge_index = nearest(given.pos)
    if method in ("gnn_explainer", "pgm_explainer"):  # where given edges take part in the search
        with told(method):
            found = explain(InSpace(), data(), method)
        assert all(bool(each.local.node_score.any()) for each in found)
        return
    # On the whole graph as well: a mean over all nodes that does nothing but keep it whole.
    expected = explain(Whole(), given, method)
    with told(method):
        found = explain(InSpace(), data(), method)
    for one, other in zip(found, expected, strict=True):
        assert bool(other.local.node_score.any())
        torch.testing.assert_close(one.local.node_score, other.local.node_score)
        assert one.local.edge_id.numel() == 0


class Whole(Net):
    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        if x.size(0) != NODES:
            raise ValueError("a part of the graph")
        return self.layers(x, edge_index, edge_index)


def test_gradients_of_nodes_by_hand() -> None:
    data, model = points(), Dynamic()
    with told("saliency"):
        found = explain(model, data, "saliency", target=1)
    x = data.x.clone().requires_grad_()
    output = model(x)
    for explanation, node in zip(found, (2, 7), strict=True):
        (gradient,) = torch.autograd.grad(output[node, 1], x, retain_graph=True)
        torch.testing.assert_close(explanation.local.feature_score, gradient.square())


@pytest.mark.parametrize("method", ["saliency", "pgm_explainer"])
def test_point_clouds(method: str) -> None:
    clouds = [points(), points()]
    for position, cloud in enumerate(clouds):
        cloud.x, cloud.y = cloud.x[: 8 + position] * (1 + position), torch.tensor([1])
        del cloud.pos
    with told(method):
        found = explain(Pooled(), clouds, method, "graph")
    assert [each.local.node_score.numel() for each in found] == [8, 9]
    assert all(bool(each.local.node_score.any()) for each in found)
    with pytest.raises(UnsupportedModelError, match="edges cannot be scored"):
        explain(Pooled(), clouds, "occlusion", "graph")
    for cloud in clouds:
        cloud.edge_index = torch.empty(2, 0, dtype=torch.long)
    with pytest.warns(UnseenWarning, match="the data have no edges"):
        explain(Pooled(), clouds, "causal_screening", "graph")


def test_explanations_without_edges_are_saved_and_read(tmp_path: Path) -> None:
    with told("saliency"):
        found = explain(InSpace(), points(), "saliency")
    found.save(tmp_path / "out")
    again = gg.Explanations.load(tmp_path / "out", points())
    torch.testing.assert_close(again[0].node_mask, found[0].node_mask)
    assert again[0].edge_mask.shape == (0,)


def test_fidelity_of_edges_that_the_model_ignores_is_refused() -> None:
    data = graph()
    explanations = gg.Saliency(Net(), progress=False).explain(data, [2, 7])
    for removal in ("shut", "delete"):
        with pytest.raises(UnsupportedModelError, match="fidelity removes edges: the model builds"):
            fidelity(explanations, Ignoring(), data, removal=removal)


@pytest.mark.parametrize("method", ["occlusion", "saliency", "causal_screening", "zorro"])
def test_a_model_that_needs_edges_says_so(method: str) -> None:
    for model in (Net(), lambda data: Net()(data.x, data.edge_index)):
        if isinstance(model, nn.Module) or method in ("causal_screening", "zorro"):
            with pytest.raises(GraphError, match="edge_index is missing"):
                explain(model, points(), method)


@pytest.mark.parametrize("method", ["occlusion", "causal_screening"])
def test_a_graph_without_edges_is_no_fault_of_a_plain_model(method: str) -> None:
    found = explain(Net(), without_edges(), method)
    assert all(each.edge_mask.numel() == 0 for each in found)


# Edges added to the given ones


class Beside(Net):
    def forward(self, x: Tensor, pos: Tensor, edge_index: Tensor) -> Tensor:
        return self.layers(x, edge_index, nearest(pos))


class TwoHops(Net):
    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        dense = torch.zeros(len(x), len(x))
        dense[edge_index[0], edge_index[1]] = 1
        return self.layers(x, edge_index, (dense @ dense).nonzero().t())


class Undirecting(Net):
    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        edges = to_undirected(edge_index, num_nodes=len(x))
        return self.layers(x, edges, edges)


@pytest.mark.parametrize("kind", [Beside, TwoHops, Undirecting])
@pytest.mark.parametrize("method", ["occlusion", "saliency"])
def test_scores_that_would_mislead_are_refused(method: str, kind: type[Net]) -> None:
    names = "one, two" if kind is Undirecting else "two"
    with pytest.raises(UnseenMessagesError, match=f"^{names}: messages run"):
        explain(kind(), graph(), method)
    with pytest.warns(UnseenWarning, match=f"^{names}: messages run"):
        explain(kind(), graph(), method, on_unseen="warn")


@pytest.mark.parametrize("kind", [Beside, TwoHops, Undirecting])
def test_models_with_more_edges_can_be_called(kind: type[Net]) -> None:
    data = graph()
    found = explain(kind(), data, "causal_screening")
    arguments = (data.x, data.pos) if kind is Beside else (data.x,)
    for explanation, node in zip(found, (2, 7), strict=True):
        local, one = explanation.local, explanation.local.edge_id[explanation.local.edge_score == 1]
        output = kind()(*arguments, data.edge_index[:, one])[node]
        value = output.log_softmax(-1)[local.target]
        torch.testing.assert_close(local.tables["steps"]["value"][0], value.detach())


class Adding(Net):
    def forward(self, x: Tensor, pos: Tensor, edge_index: Tensor) -> Tensor:
        edges = torch.cat([edge_index, nearest(pos)], dim=1)
        return self.layers(x, edges, edges)


class VirtualNode(Net):
    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        node, virtual = torch.arange(len(x)), torch.full((len(x),), len(x))
        pairs = torch.stack([node, virtual])
        edges = torch.cat([edge_index, pairs, pairs.flip(0)], dim=1)
        x = torch.cat([x, x.mean(0, keepdim=True)])
        return self.layers(x, edges, edges)[:-1]


@pytest.mark.parametrize("kind", [Adding, VirtualNode])
def test_edges_are_shut_beside_those_that_the_model_adds(kind: type[Net]) -> None:
    """A virtual node made the graph look pooled, and every score was zero."""
    data, model = graph(), kind()
    with pytest.warns(UnseenWarning, match="along edges that the model adds to the given ones"):
        found = explain(model, data, "occlusion")
    arguments = (data.x, data.pos) if kind is Adding else (data.x,)
    open_ = _output(model, (*arguments, data.edge_index), None)
    for explanation, node in zip(found, (2, 7), strict=True):
        local = explanation.local
        assert local.edge_id.tolist() == list(range(data.num_edges))
        shut = [_output(model, (*arguments, data.edge_index), edge) for edge in local.edge_id]
        expected = [(open_ - each)[node, local.target] for each in shut]
        torch.testing.assert_close(local.edge_score, torch.stack(expected))
        assert bool(local.edge_score.any())


@torch.no_grad()
def _output(model: Net, arguments: Any, edge: Tensor | None) -> Tensor:
    """The output with the messages along one given edge, the first rows, at zero."""

    def change(_: Any, __: Any, messages: Tensor) -> Tensor:
        messages = messages.clone()
        if edge is not None:
            messages[int(edge)] = 0
        return messages

    handles = [layer.register_message_forward_hook(change) for layer in (model.one, model.two)]
    output = model(*arguments)
    for handle in handles:
        handle.remove()
    return output


class VirtualGCN(nn.Module):
    """Normalization by degrees, and one virtual node for each graph."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(3)
            self.conv, self.head = GCNConv(WIDTH, 7), nn.Linear(7, CLASSES)
        self.double().eval()

    def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor) -> Tensor:
        count = int(batch.max()) + 1
        pairs = torch.stack([torch.arange(len(x)), len(x) + batch])
        edges = torch.cat([edge_index, pairs, pairs.flip(0)], dim=1)
        x = torch.cat([x, global_mean_pool(x, batch)])
        h = self.conv(x, edges).relu()[:-count]
        return self.head(global_mean_pool(h, batch))


def test_virtual_nodes_of_graphs_side_by_side() -> None:
    data = [graph(), graph()]
    data[1].x = data[1].x.flip(0)
    explainer = gg.Occlusion(VirtualGCN(), "graph", progress=False, on_unseen="ignore")
    found = explainer.explain(data)  # no falling back
    for position, each in enumerate(data):
        alone = explainer.explain([each])[0]
        assert bool(alone.edge_mask.any())
        torch.testing.assert_close(found[position].edge_mask, alone.edge_mask)


# Edges in another order, or fewer of them


class Shuffling(Net):
    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        generator = torch.Generator().manual_seed(edge_index.size(1))
        order = torch.randperm(edge_index.size(1), generator=generator)
        return self.layers(x, edge_index[:, order], edge_index[:, order.flip(0)])


class Sorting(Net):
    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        edges = coalesce(edge_index, sort_by_row=False)
        return self.layers(x, edges, edges)


class DroppingAtTraining(Net):
    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        kept = torch.rand(edge_index.size(1)) < (0.5 if self.training else 2)
        return self.layers(x, edge_index[:, kept], edge_index[:, kept])


@pytest.mark.parametrize("kind", [Shuffling, Sorting, DroppingAtTraining])
@pytest.mark.parametrize("method", ["occlusion", "saliency", "edge_gradients"])
def test_the_order_of_edges_is_followed(method: str, kind: type[Net]) -> None:
    found, expected = (explain(model, graph(), method) for model in (kind().train(), Net()))
    for one, other in zip(found, expected, strict=True):
        assert bool(other.edge_mask.any())
        torch.testing.assert_close(one.edge_mask, other.edge_mask)


class Pruning(Net):
    """The second layer keeps the half of the edges whose ends are most alike."""

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        alike = (x[edge_index[0]] * x[edge_index[1]]).sum(-1)
        return self.layers(x, edge_index, edge_index[:, alike > 0])


def test_edges_that_a_layer_leaves_out_count_at_the_other_one() -> None:
    data, model = graph(), Pruning()
    found = explain(model, data, "occlusion", layerwise=True)
    alike = (data.x[data.edge_index[0]] * data.x[data.edge_index[1]]).sum(-1) > 0
    for explanation in found:
        score = explanation.layer_edge_mask
        assert bool(score.any())
        assert not bool(score[1, ~alike].any())
