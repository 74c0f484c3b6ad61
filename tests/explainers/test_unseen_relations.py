"""Relations that gates have not learned from: told by name, and their gates stay open."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Data, HeteroData
from torch_geometric.nn import (
    FastRGCNConv,
    HeteroConv,
    MessagePassing,
    RGCNConv,
    SAGEConv,
    global_add_pool,
)

import glassgraph as gg
from glassgraph.errors import FitError, GraphError
from glassgraph.explainers.perturbation.message_gates.relations import UnseenRelationWarning

KINDS, FEATURES = 3, 5
TYPES = (("a", "to", "b"), ("b", "of", "a"), ("a", "like", "a"))


class Weighted(MessagePassing):
    """Reads the type of an edge outside of its messages."""

    def __init__(self, before: int, after: int, kinds: int) -> None:
        super().__init__(aggr="add")
        self.weight = nn.Parameter(torch.randn(kinds, before, after))

    def forward(self, x: Tensor, edge_index: Tensor, kind: Tensor) -> Tensor:
        sent = torch.einsum("md,mdh->mh", x[edge_index[0]], self.weight[kind])
        found: Tensor = self.propagate(edge_index, x=x, sent=sent)
        return found

    def message(self, x_j: Tensor, sent: Tensor) -> Tensor:
        return sent


class Relational(nn.Module):
    def __init__(self, conv: Any) -> None:
        super().__init__()
        self.one, self.two = conv(FEATURES, 7, KINDS), conv(7, 7, KINDS)
        self.head = nn.Linear(7, 2)

    def forward(self, x: Tensor, edge_index: Tensor, edge_type: Tensor, batch: Tensor) -> Tensor:
        h = self.two(self.one(x, edge_index, edge_type).relu(), edge_index, edge_type)
        return self.head(global_add_pool(h, batch))


class Renamed(Relational):
    """The user's name for a relation is not PyG's."""

    def forward(  # type: ignore[override]
        self, x: Tensor, edge_index: Tensor, relation: Tensor, batch: Tensor
    ) -> Tensor:
        return super().forward(x, edge_index, relation, batch)


class Typed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            HeteroConv({each: SAGEConv((FEATURES, FEATURES), FEATURES) for each in TYPES})
            for _ in range(2)
        )
        self.head = nn.Linear(FEATURES, 2)

    def forward(self, x_dict: Any, edge_index_dict: Any) -> Tensor:
        for conv in self.convs:
            found = conv(x_dict, edge_index_dict)
            x_dict = {**x_dict, **{kind: x.relu() for kind, x in found.items()}}
        return self.head(x_dict["b"])


def seeded(make: Any, *arguments: Any) -> nn.Module:
    torch.manual_seed(1)
    model: nn.Module = make(*arguments)
    return model.double().eval()


def graph(kinds: int, seed: int, name: str = "edge_type") -> Data:
    generator = torch.Generator().manual_seed(seed)
    edge_index = torch.randint(7, (2, 23), generator=generator).unique(dim=1)
    x = torch.randn(7, FEATURES, generator=generator).double()
    types = torch.randint(kinds, (edge_index.size(1),), generator=generator)
    return Data(x=x, edge_index=edge_index, **{name: types})


def typed(present: tuple[str, ...], empty: tuple[str, ...] = ()) -> HeteroData:
    generator = torch.Generator().manual_seed(3)
    data = HeteroData()
    for kind in "ab":
        data[kind].x = torch.randn(11, FEATURES, generator=generator).double()
    for each in TYPES:
        edges = torch.randint(11, (2, 29), generator=generator).unique(dim=1)
        if each[1] in present + empty:
            data[each].edge_index = edges if each[1] in present else edges[:, :0]
    return data


def fitted(model: nn.Module, task: Any, data: Any, method: Any = gg.GraphMask) -> Any:
    settings = {"max_changed": 1.0} if method is gg.GraphMask else {}
    explainer = method(model, task, steps=20, tolerance=1e9, progress=False, **settings)
    return explainer.fit(data)


@pytest.mark.parametrize("conv", [RGCNConv, FastRGCNConv, Weighted])
def test_a_relation_that_comes_up_when_explaining_stays_open(conv: Any, tmp_path: Path) -> None:
    model = seeded(Relational, conv)
    explainer = fitted(model, "graph", [graph(2, seed) for seed in range(13)])
    data = graph(3, 99)
    path = explainer.save(tmp_path / "fit.safetensors")
    for each in (explainer, gg.GraphMask.load(path, model, progress=False)):
        with pytest.warns(UnseenRelationWarning, match=r"edge_type 2 \(one.*edge_type 2 \(two"):
            scores = each.explain(data)[0].layer_edge_mask
        assert (scores[:, data.edge_type == 2] == 1).all()
        assert (scores[:, data.edge_type < 2] < 0.9).any()
    kept = data.edge_subgraph(data.edge_type < 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        explainer.explain(kept)


def test_the_layer_says_what_a_relation_is_whatever_the_user_calls_it() -> None:
    model = seeded(Renamed, FastRGCNConv)
    explainer = fitted(model, "graph", [graph(2, seed, "relation") for seed in range(13)])
    data = graph(3, 99, "relation")
    with pytest.warns(UnseenRelationWarning, match="edge_type 2"):
        scores = explainer.explain(data)[0].layer_edge_mask
    assert (scores[:, data.relation == 2] == 1).all()


@pytest.mark.parametrize("empty", [(), ("of",)], ids=["absent", "without edges"])
@pytest.mark.parametrize("method", [gg.GraphMask, gg.InformationBottleneck])
@pytest.mark.slow("relations: test_a_relation_that_comes_up_when_explaining_stays_open")
def test_an_edge_type_that_comes_up_when_explaining_stays_open(method: Any, empty: Any) -> None:
    explainer = fitted(
        seeded(Typed), gg.Task("node", node_type="b"), typed(("to", "like"), empty), method
    )
    data = typed(("to", "of", "like"))
    if method is gg.InformationBottleneck and empty:
        return  # it has gates for the type, which saw no edge; GraphMask alone keeps track
    with pytest.warns(UnseenRelationWarning, match="of___a"):
        explanation = explainer.explain(data, index=[5])[0]
    of = explanation["b", "of", "a"].layer_edge_mask
    assert set(of.unique().tolist()) == {0.0, 1.0}  # where no message reaches the node: 0
    to = explanation["a", "to", "b"].layer_edge_mask
    assert not set(to.unique().tolist()) <= {0.0, 1.0}


def test_gates_know_their_sites_by_name() -> None:
    """Without the middle type all sites behind it move up by one."""
    model, task = seeded(Typed), gg.Task("node", node_type="b")
    explainer = fitted(model, task, typed(("to", "of", "like")))
    with_type = explainer.explain(typed(("to", "of", "like"), ()), index=[5])[0]
    found = explainer.explain(typed(("to", "like")), index=[5])[0]
    # The last layer reads states of the first, where b's messages to a are gone: compare that one.
    for each in (TYPES[0], TYPES[2]):
        first = with_type[each].layer_edge_mask[0], found[each].layer_edge_mask[0]
        torch.testing.assert_close(*first, rtol=1e-9, atol=1e-12)
    assert float(found[TYPES[0]].layer_edge_mask.max()) > 0


def test_graphs_without_edges_or_nodes() -> None:
    model, graphs = seeded(Relational, RGCNConv), [graph(3, seed) for seed in range(13)]
    lonely = Data(
        x=graphs[0].x,
        edge_index=torch.empty(2, 0, dtype=torch.long),
        edge_type=torch.empty(0, dtype=torch.long),
    )
    nothing = Data(x=lonely.x[:0], edge_index=lonely.edge_index, edge_type=lonely.edge_type)
    explainer = fitted(model, "graph", [lonely, *graphs])
    found = explainer.explain([lonely, graphs[3]])
    assert found[0].layer_edge_mask.shape == (2, 0)
    alone = explainer.explain(graphs[3])[0].layer_edge_mask
    torch.testing.assert_close(found[1].layer_edge_mask, alone, rtol=1e-9, atol=1e-12)
    for use in (explainer.fit, explainer.explain):
        with pytest.raises(GraphError, match="graph 1 has no nodes"):
            use([graphs[0], nothing])
    with pytest.raises(FitError, match="nothing to learn"):
        fitted(model, "graph", [lonely, lonely])
