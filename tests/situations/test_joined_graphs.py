"""Graphs of one ``Data(batch=...)`` with edges between them are explained on what is joined."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn import GCNConv, GraphConv, global_add_pool, global_mean_pool

import glassgraph as gg
from glassgraph.errors import GlassgraphError, InstanceError
from glassgraph.explainers.registry import METHODS
from glassgraph.metrics import fidelity

#: Graphs 0 and 2 are joined by edges 3 and 8, graph 1 stands alone, 3 and 4 are joined by edge 12.
OWNER = [0, 0, 0, 1, 1, 2, 2, 2, 3, 3, 4, 4]
EDGES = [
    *[(0, 1), (1, 2), (2, 0), (2, 5), (3, 4), (4, 3), (5, 6), (6, 7)],
    *[(7, 1), (6, 5), (8, 9), (9, 8), (9, 10), (10, 11), (11, 10), (0, 2)],
]
JOINED = {0: {0, 2}, 1: {1}, 2: {0, 2}, 3: {3, 4}, 4: {3, 4}}

#: Methods that have nothing to read in such a model, and what they say.
REFUSING = {
    "cam": "pools its nodes by mean or sum",
    "attention": "no layer shows attention weights",
    "graph_lime": "explains node tasks",
    "page_link": "explains links and edges",
}


def joined() -> Data:
    torch.manual_seed(1)
    return Data(
        x=torch.randn(12, 3, dtype=torch.float64),
        edge_index=torch.tensor(EDGES).t().contiguous(),
        batch=torch.tensor(OWNER),
        u=torch.randn(5, 2, dtype=torch.float64),
        y=torch.tensor([0, 1, 0, 1, 1]),
    )


class Net(nn.Module):
    """Two rounds of messages, so that a joined graph reaches into the other."""

    def __init__(self, layer: Any = GraphConv, pool: Any = global_add_pool) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.one, self.two = layer(3, 6).double(), layer(6, 6).double()
        self.head, self.pool = nn.Linear(8, 2).double(), pool

    def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor, u: Tensor) -> Tensor:
        h = self.two(self.one(x, edge_index).tanh(), edge_index).tanh()
        return self.head(torch.cat([self.pool(h, batch), u], 1))


def own(model: nn.Module, data: Data, kept: Tensor | slice = slice(None)) -> Tensor:
    with torch.no_grad():
        return model(data.x, data.edge_index[:, kept], data.batch, data.u)


@pytest.mark.parametrize("index", [None, [2], [4, 0]], ids=str)
def test_occlusion_is_what_deleting_does(index: Any) -> None:
    model, data = Net().eval(), joined()
    whole = own(model, data)
    found = gg.explain(model, data, "occlusion", "graph", index=index, progress=False)
    for number, each in zip(range(5) if index is None else index, found, strict=True):
        torch.testing.assert_close(each.prediction, whole[number].softmax(0))
        chosen = int(whole[number].argmax())
        assert (each.local.index, each.local.target) == (number, chosen)
        for edge in range(data.num_edges):
            kept = torch.arange(data.num_edges) != edge
            after = own(model, data, kept)[number]
            expected = (whole[number] - after)[chosen]
            assert float(each.edge_mask[edge]) == pytest.approx(float(expected), abs=1e-9), edge


@pytest.mark.parametrize("method", sorted(METHODS))
def test_every_method_explains_the_models_own_prediction(method: str) -> None:
    model, data = Net(GCNConv, global_mean_pool).eval(), joined()
    whole = own(model, data).softmax(1)
    settings = METHODS[method].test_settings
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if method in REFUSING:
            with pytest.raises(GlassgraphError, match=REFUSING[method]):
                gg.explain(model, data, method, "graph", progress=False, **settings)
            return
        found = gg.explain(model, data, method, "graph", progress=False, **settings)
    owner = data.batch
    for number, each in enumerate(found):
        torch.testing.assert_close(each.prediction, whole[number])
        local = each.local
        assert set(owner[local.node_id].tolist()) == JOINED[number]
        assert set(owner[data.edge_index[0, local.edge_id]].tolist()) == JOINED[number]
        assert torch.equal(local.node_id[local.edge_index], data.edge_index[:, local.edge_id])
        assert local.seeds.numel() == 0
        if "edge_mask" in each:
            outside = ~torch.isin(owner[data.edge_index[0]], torch.tensor(sorted(JOINED[number])))
            assert bool(each.edge_mask.isfinite().all())
            assert not bool(each.edge_mask[outside].any())


def test_one_by_one_together_and_one_graph_alone_agree() -> None:
    model, data = Net().eval(), joined()
    together = gg.explain(model, data, "edge_gradients", "graph", progress=False)
    for number in range(5):
        (alone,) = gg.explain(model, data, "edge_gradients", "graph", [number], progress=False)
        torch.testing.assert_close(alone.edge_mask, together[number].edge_mask)
    apart = Data(x=data.x[3:5], edge_index=torch.tensor([[0, 1], [1, 0]]), u=data.u[1:2])
    (alone,) = gg.explain(model, [apart], "edge_gradients", "graph", progress=False)
    torch.testing.assert_close(alone.edge_mask, together[1].edge_mask[4:6])


@pytest.mark.parametrize("removal", ["shut", "delete"])
def test_fidelity_is_that_of_the_models_own_prediction(removal: Any) -> None:
    model, data = Net().eval(), joined()
    found = gg.explain(model, data, "occlusion", "graph", progress=False)
    measured = fidelity(found, model, data, removal=removal, top_k=[1])
    drops = []
    for each in found:
        kept = torch.ones(data.num_edges, dtype=torch.bool)
        kept[each.edge_mask.argmax()] = False
        before, after = own(model, data), own(model, data, kept)
        drops.append((before.softmax(1) - after.softmax(1))[each.local.index, each.local.target])
    assert measured.means()[0]["fidelity_plus"] == pytest.approx(float(torch.stack(drops).mean()))


def test_saved_and_read_again(tmp_path: Any) -> None:
    model, data = Net().eval(), joined()
    found = gg.explain(model, data, "occlusion", "graph", progress=False)
    found.save(tmp_path / "out")
    for one, other in zip(found, gg.Explanations.load(tmp_path / "out"), strict=True):
        assert torch.equal(one.edge_mask, other.edge_mask)


def test_a_node_task_on_joined_graphs_keeps_the_edges_between_them() -> None:
    class Nodes(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(2)
            self.one, self.two = GraphConv(3, 6).double(), GraphConv(6, 2).double()

        def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor) -> Tensor:
            return self.two(self.one(x, edge_index).tanh(), edge_index)

    found = gg.explain(Nodes().eval(), joined(), "occlusion", index=[5, 10], progress=False)
    assert float(found[0].edge_mask[3]) != 0.0
    assert float(found[1].edge_mask[12]) != 0.0


def test_a_graph_without_nodes_cannot_be_explained() -> None:
    data = joined()
    data.batch = torch.where(data.batch == 1, 0, data.batch)
    with pytest.raises(InstanceError, match="graph 1 has no nodes"):
        gg.explain(Net().eval(), data, "saliency", "graph")
    assert len(gg.explain(Net().eval(), data, "saliency", "graph", index=[0, 2, 3])) == 3
