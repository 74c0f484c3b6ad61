"""Graphs on disk: what is built, opened and given back."""

from __future__ import annotations

from pathlib import Path

import torch
from torch_geometric.data import Data
from torch_geometric.nn import GCN

import glassgraph as gg
from glassgraph.data import GraphStore


def graph() -> Data:
    generator = torch.Generator().manual_seed(0)
    edge_index = torch.randint(0, 37, (2, 151), generator=generator)
    return Data(
        x=torch.rand(41, 3, generator=generator),
        edge_index=edge_index,
        edge_weight=torch.rand(151, generator=generator),
        y=torch.arange(41) % 5,
    )


def test_a_graph_comes_back_as_it_was_given(tmp_path: Path) -> None:
    data = graph()
    found = GraphStore.build(data, tmp_path / "graph").to_data()
    assert list(found.keys()) == list(data.keys())
    assert all(torch.equal(found[key], data[key]) for key in data.keys())  # noqa: SIM118


def test_explanations_of_a_store_are_those_of_the_data(tmp_path: Path) -> None:
    data, torch_seed = graph(), torch.manual_seed(0)
    assert torch_seed is not None
    store = GraphStore.build(data, tmp_path / "graph")
    explainer = gg.EdgeGradients(GCN(3, 7, 2, 5), "node", progress=False, check="local")
    (one,) = explainer.explain(data, [2, 3, 40]).parts
    (other,) = explainer.explain(store, [2, 3, 40]).parts
    for name in ("edge", "source", "destination", "edge_score", "prediction", "label"):
        assert torch.equal(getattr(one, name), getattr(other, name)), name
