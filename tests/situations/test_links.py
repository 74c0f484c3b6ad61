"""Link prediction with more than pairs of nodes: relations, times, features of links."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Batch, Data
from torch_geometric.nn import GCNConv, RGCNConv

import glassgraph as gg
from glassgraph.core import tracing
from glassgraph.core.told import FallbackWarning
from glassgraph.errors import InstanceError
from glassgraph.metrics import fidelity
from glassgraph.testing import check_explainer

NODES, EDGES, LINKS, RELATIONS, WIDTH = 13, 37, 5, 3, 4
INDEX = [4, 0, 2, 0]
METHODS = {
    "saliency": {},
    "edge_gradients": {},
    "occlusion": {},
    "gnn_explainer": {"epochs": 3},
    "erasure_search": {},
    "lrp": {},
    "causal_screening": {},
    "subgraphx": {"rollouts": 2, "samples": 5},
    "shapley_edges": {"exact_up_to": 3, "samples": 200},
    "shapley_nodes": {"exact_up_to": 3, "samples": 200},
}
pytestmark = pytest.mark.filterwarnings("error::glassgraph.core.told.FallbackWarning")


def knowledge(links: int = LINKS, nodes: int = NODES, edges: int = EDGES, seed: int = 5) -> Data:
    """A graph with typed edges, and typed links to predict."""
    draw = torch.Generator().manual_seed(seed)
    return Data(
        x=torch.randn(nodes, WIDTH, generator=draw).double(),
        edge_index=torch.randint(nodes, (2, edges), generator=draw),
        edge_type=torch.randint(RELATIONS, (edges,), generator=draw),
        edge_label_index=torch.randint(nodes, (2, links), generator=draw),
        edge_label_type=torch.arange(links) % RELATIONS,
        edge_label=torch.arange(links).remainder(2).double(),
    )


def built(kind: type[nn.Module], *arguments: Any) -> Any:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return kind(*arguments).double()


class RGCNDistMult(nn.Module):
    """Schlichtkrull et al. 2018: R-GCN states, and one diagonal for each relation."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = RGCNConv(WIDTH, 6, RELATIONS), RGCNConv(6, 6, RELATIONS)
        self.relation = nn.Parameter(torch.randn(RELATIONS, 6))

    def states(self, x: Tensor, edge_index: Tensor, edge_type: Tensor) -> Tensor:
        return self.two(self.one(x, edge_index, edge_type).tanh(), edge_index, edge_type)

    def forward(
        self,
        x: Tensor,
        edge_index: Tensor,
        edge_type: Tensor,
        edge_label_index: Tensor,
        edge_label_type: Tensor,
    ) -> Tensor:
        h = self.states(x, edge_index, edge_type)
        source, destination = h[edge_label_index]
        return (source * self.relation[edge_label_type] * destination).sum(-1)


class OneRelation(nn.Module):
    """The same about links of one relation, which needs no attribute of links."""

    def __init__(self, model: RGCNDistMult, relation: int) -> None:
        super().__init__()
        self.model, self.own = model, relation

    def forward(
        self, x: Tensor, edge_index: Tensor, edge_type: Tensor, edge_label_index: Tensor
    ) -> Tensor:
        own = torch.full_like(edge_label_index[0], self.own)
        return self.model(x, edge_index, edge_type, edge_label_index, own)


def task() -> gg.Task:
    return gg.Task("edge", "binary_classification")


def expect_same(found: Any, expected: Any) -> None:
    for name in ("edge_mask", "node_score", "layer_edge_mask"):
        assert (name in found) == (name in expected)
        if name in found:
            torch.testing.assert_close(found[name], expected[name])
    torch.testing.assert_close(found.local.prediction, expected.local.prediction)


@pytest.mark.parametrize("method", METHODS)
def test_relations_of_links(method: str) -> None:
    """Several relations at once score as each link does with a model of its relation alone."""
    model, data = built(RGCNDistMult), knowledge()
    settings = {"progress": False, **METHODS[method]}
    found = gg.explain(model, data, method, task=task(), index=INDEX, **settings)
    assert [each.local.index for each in found] == INDEX
    plain = data.clone()
    del plain.edge_label_type
    for number, one in zip(INDEX, found, strict=True):
        alone = OneRelation(model, int(data.edge_label_type[number]))
        (expected,) = gg.explain(alone, plain, method, task=task(), index=[number], **settings)
        expect_same(one, expected)
    assert any(bool(one.edge_mask.any()) for one in found)


@pytest.mark.parametrize("removal", ["shut", "delete"])
def test_fidelity_of_links_with_relations(removal: str) -> None:
    model, data = built(RGCNDistMult), knowledge()
    found = gg.EdgeGradients(model, task(), progress=False).explain(data, INDEX)
    together = fidelity(found, model, data, removal=removal)
    plain = data.clone()
    del plain.edge_label_type
    for position, number in enumerate(INDEX):
        alone = OneRelation(model, int(data.edge_label_type[number]))
        one = gg.EdgeGradients(alone, task(), progress=False).explain(plain, [number])
        expected = fidelity(one, alone, plain, removal=removal)
        torch.testing.assert_close(together.plus_prob[:, [position]], expected.plus_prob)
        torch.testing.assert_close(together.minus_prob[:, [position]], expected.minus_prob)


class Rich(nn.Module):
    """Reads times ``[links]``, weights ``[links, 1]`` and features ``[links, 2, 3]`` of links."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = GCNConv(WIDTH, 6), GCNConv(6, 6)
        self.head = nn.Linear(6 + 6, 1)

    def forward(
        self,
        x: Tensor,
        edge_index: Tensor,
        edge_label_index: Tensor,
        edge_label_time: Tensor,
        edge_label_weight: Tensor,
        edge_label_attr: Tensor,
    ) -> Tensor:
        h = self.two(self.one(x, edge_index).tanh(), edge_index)
        source, destination = h[edge_label_index]
        pair = source * destination * torch.exp(-edge_label_time).unsqueeze(-1)
        return self.head(torch.cat([pair, edge_label_attr.flatten(1)], -1)) * edge_label_weight


class RichOfData(Rich):
    def forward(self, data: Data) -> Tensor:  # type: ignore[override]
        return super().forward(
            data.x,
            data.edge_index,
            data.edge_label_index,
            data.edge_label_time,
            data.edge_label_weight,
            data.edge_label_attr,
        )


def rich(**sizes: int) -> Data:
    data = knowledge(**sizes)
    links = data.edge_label_index.size(1)
    draw = torch.Generator().manual_seed(1)
    data.edge_label_time = torch.rand(links, generator=draw).double()
    data.edge_label_weight = torch.rand(links, 1, generator=draw).double()
    data.edge_label_attr = torch.randn(links, 2, 3, generator=draw).double()
    return data


def only(data: Data, number: int) -> Data:
    """The same graph with one link."""
    one = data.clone()
    one.edge_label_index = data.edge_label_index[:, [number]]
    for key in data.to_dict():
        if key.startswith("edge_label_") and key != "edge_label_index":
            one[key] = data[key][[number]]
    return one


CALLS = {
    "arguments": (Rich, None),
    "data": (RichOfData, None),
    "call": (RichOfData, lambda model, data: model(data)),
}


@pytest.mark.parametrize("how", CALLS)
@pytest.mark.parametrize("sizes", [{}, {"links": NODES}, {"links": EDGES}, {"edges": NODES}])
@pytest.mark.parametrize("check", ["full", "local"])
def test_times_weights_and_features_of_links(how: str, sizes: dict[str, int], check: str) -> None:
    """Also where there are as many links as nodes or edges, whose attributes are cut otherwise."""
    kind, call = CALLS[how]
    model, data = built(kind), rich(**sizes)
    explainer = gg.IntegratedGradients(
        model, task(), call=call, check=check, steps=3, progress=False
    )
    found = explainer.explain(data, INDEX)
    for number, one in zip(INDEX, found, strict=True):
        (expected,) = explainer.explain(only(data, number))
        expect_same(one, expected)
    assert any(bool(one.edge_mask.any()) for one in found)


@pytest.mark.parametrize("kind", [np.asarray, list, tuple])
def test_relations_in_arrays_and_lists(kind: Any) -> None:
    class ReadsAnything(RGCNDistMult):
        def forward(  # type: ignore[override]
            self,
            x: Tensor,
            edge_index: Tensor,
            edge_type: Tensor,
            edge_label_index: Tensor,
            edge_label_type: Any,
        ) -> Tensor:
            relation = torch.as_tensor(edge_label_type)
            return super().forward(x, edge_index, edge_type, edge_label_index, relation)

    data = knowledge()
    index = list(range(LINKS))[::-1]  # as many as there are, but in another order
    expected = gg.Saliency(built(RGCNDistMult), task(), progress=False).explain(data, index)
    data.edge_label_type = kind(data.edge_label_type.tolist())
    found = gg.Saliency(built(ReadsAnything), task(), progress=False).explain(data, index)
    for one, other in zip(found, expected, strict=True):
        expect_same(one, other)


def test_all_links_share_a_field_while_a_method_learns() -> None:
    explainer = gg.PGExplainer(built(Rich), task(), epochs=2, progress=False).fit(rich())
    assert len(explainer.explain(rich(), INDEX)) == len(INDEX)


def test_links_of_several_graphs() -> None:
    model, graphs = built(RGCNDistMult), [knowledge(seed=7), knowledge(seed=5)]
    expected = gg.Occlusion(model, task(), progress=False).explain(graphs[1], INDEX)
    index = [LINKS + number for number in INDEX]
    for data in (graphs, Batch.from_data_list(graphs)):
        found = gg.Occlusion(model, task(), progress=False).explain(data, index)
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one.edge_mask, other.edge_mask)


def test_links_of_a_graph_that_is_traced_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """A large graph was traced without links, and the model said to lack them."""
    model, data = built(RGCNDistMult), knowledge()
    expected = gg.Saliency(model, task(), progress=False).explain(data, INDEX)
    monkeypatch.setattr(tracing, "_SMALL_GRAPH_EDGES", 5)
    found = gg.Saliency(model, task(), progress=False).explain(data, INDEX)
    for one, other in zip(found, expected, strict=True):
        expect_same(one, other)


def test_links_that_fall_back_to_the_full_graph() -> None:
    class Centered(RGCNDistMult):
        def states(self, x: Tensor, edge_index: Tensor, edge_type: Tensor) -> Tensor:
            h = super().states(x, edge_index, edge_type)
            return h - h.mean(0)

    model, data = built(Centered), knowledge()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = gg.Saliency(model, task(), progress=False).explain(data, INDEX)
        out = model(
            data.x, data.edge_index, data.edge_type, data.edge_label_index, data.edge_label_type
        )
    for one, logit in zip(found, out.detach()[INDEX], strict=True):
        assert float(one.local.prediction[1]) == pytest.approx(float(logit.sigmoid()))


@pytest.mark.parametrize("rows", [LINKS - 1, EDGES, NODES])
def test_an_attribute_with_other_rows_than_links(rows: int) -> None:
    data = knowledge()
    data.edge_label_type = torch.zeros(rows).long()
    with pytest.raises(InstanceError, match=f"edge_label_type has {rows} rows for {LINKS} links"):
        gg.Saliency(built(RGCNDistMult), task(), progress=False).explain(data)


def test_other_pairs_of_nodes_keep_their_numbers() -> None:
    """Each link is held against negative pairs, which lie anywhere: the whole graph is needed."""

    class Contrastive(RGCNDistMult):
        def forward(self, data: Data) -> Tensor:  # type: ignore[override]
            h = self.states(data.x, data.edge_index, data.edge_type)
            source, destination = h[data.edge_label_index]
            other = h[data.edge_label_negative_index[0]] * h[data.edge_label_negative_index[1]]
            return (source * destination).sum(-1) - other.sum(-1).mean()

    data = knowledge(links=2)
    data.edge_label_negative_index = torch.tensor([[3, 7, 1], [2, 2, 9]])
    model = built(Contrastive)
    expected = model(data).detach().sigmoid()
    with pytest.warns(FallbackWarning, match="edge_label_negative_index lists nodes"):
        found = gg.Saliency(model, task(), on_unseen="ignore", progress=False).explain(data, [1, 0])
    for one in found:
        assert float(one.local.prediction[1]) == pytest.approx(float(expected[one.local.index]))


def test_a_node_task_leaves_links_alone() -> None:
    """As data of `RandomLinkSplit` are, given whole to a model of nodes."""

    class Nodes(Rich):
        def forward(self, data: Data) -> Tensor:  # type: ignore[override]
            return self.one(data.x, data.edge_index)

    model, data = built(Nodes), rich()
    plain = Data(x=data.x, edge_index=data.edge_index)
    expected = gg.Saliency(model, progress=False).explain(plain, [2, 7])
    for one, other in zip(
        gg.Saliency(model, progress=False).explain(data, [2, 7]), expected, strict=True
    ):
        torch.testing.assert_close(one.edge_mask, other.edge_mask)


@pytest.mark.slow("laws of links: tests/laws")
def test_laws_hold_for_links_with_relations() -> None:
    table = check_explainer(gg.Saliency, built(RGCNDistMult), knowledge(), task(), INDEX)
    assert bool(table.holds.all())
