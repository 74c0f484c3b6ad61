"""Graphs on disk: what is opened, given back, refused, and saved beside explanations."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch

import glassgraph as gg
from glassgraph.data import GraphStore
from glassgraph.errors import ResumeError, StoreError
from tests.data import graphs


@pytest.fixture
def store(tmp_path: Path) -> GraphStore:
    return GraphStore.build(graphs.rich_graph(), tmp_path / "graph")


def test_a_graph_comes_back_as_it_was_given(store: GraphStore) -> None:
    data: Any = graphs.rich_graph()
    found: Any = store.to_data()
    assert sorted(found.keys()) == sorted(data.keys())
    assert all(torch.equal(found[key], value) for key, value in data.to_dict().items())
    store.verify()


def test_what_it_says_of_itself(store: GraphStore) -> None:
    assert (store.num_nodes, store.num_edges) == (61, 173)
    assert f"{store!r}".startswith(f"GraphStore({str(store.path)!r}, 61 nodes, 173 edges, ")
    again = pickle.loads(pickle.dumps(store))
    assert (again.path, again.num_edges) == (store.path, 173)
    assert len(pickle.dumps(store)) < 500


def test_types_are_counted(tmp_path: Path) -> None:
    store = GraphStore.build(graphs.typed_graph(), tmp_path / "graph")
    assert "54 nodes of 2 types, 143 edges of 3 types, " in f"{store!r}"


def test_who_writes_to_what_is_mapped_does_not_write_to_the_file(store: GraphStore) -> None:
    store.mapped.x.zero_()
    assert not torch.equal(store.mapped.x, GraphStore.open(store.path).mapped.x)
    store.verify()


def test_damage_is_named(store: GraphStore) -> None:
    path = store.path / "in_edge.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"in_edge.npy is not what was written"):
        GraphStore.open(store.path).verify()
    path.write_bytes(content[:-4])
    with pytest.raises(StoreError, match=r"in_edge.npy has \d+ bytes, not \d+"):
        GraphStore.open(store.path)
    path.unlink()
    with pytest.raises(StoreError, match=r"lacks in_edge.npy"):
        GraphStore.open(store.path)


def test_a_damaged_manifest_is_named(store: GraphStore) -> None:
    path = store.path / "graph.json"
    good = json.loads(path.read_text())
    for change, message in (
        ({"format": "other"}, "does not describe a graph"),
        ({"version": 99}, "version 99 of the format"),
        ({"node_offset": [0]}, "do not fit"),
        ({"attributes": [{"type": None}]}, "damaged"),
        ({"files": {}}, r"lists no attribute_"),
        ({"files": {"../x.npy": {}}}, "lists no|not a file of its own"),
    ):
        path.write_text(json.dumps({**good, **change}))
        with pytest.raises(StoreError, match=message):
            GraphStore.open(store.path)
    path.write_text("{")
    with pytest.raises(StoreError, match="cannot be read"):
        GraphStore.open(store.path)
    path.unlink()
    with pytest.raises(StoreError, match=r"holds no graph.json"):
        GraphStore.open(store.path)


def test_explanations_are_saved_without_the_graph(store: GraphStore, tmp_path: Path) -> None:
    explainer = gg.EdgeGradients(graphs.GCN(), "node", progress=False)
    found = explainer.explain(store, [2, 3], save_to=tmp_path / "found")
    assert not list((tmp_path / "found").glob("*.safetensors"))
    loaded = gg.Explanations.load(tmp_path / "found", data=store)
    assert torch.equal(loaded[0].edge_mask, found[0].edge_mask)
    assert torch.equal(loaded[1].x, graphs.rich_graph().x)  # type: ignore[arg-type]
    again = explainer.explain(store, [2, 3], save_to=tmp_path / "found", resume=True)
    assert torch.equal(again[0].edge_mask, found[0].edge_mask)
    other = GraphStore.build(changed(), tmp_path / "other")
    with pytest.raises(ResumeError, match="data"):
        explainer.explain(other, [2, 3], save_to=tmp_path / "found", resume=True)


def changed() -> Any:
    data: Any = graphs.rich_graph()
    data.x = data.x + 1
    return data


def test_predictions_are_made_again_from_a_store(store: GraphStore) -> None:
    explainer = gg.EdgeGradients(graphs.GCN(), "node", progress=False)
    data = graphs.rich_graph()
    one = explainer.predict(data, explainer.explain(data, [2, 3]), top_share=0.3)
    with graphs.every_graph_is_large():
        explainer = gg.EdgeGradients(graphs.GCN(), "node", progress=False)
        other = explainer.predict(store, explainer.explain(store, [2, 3]), top_share=0.3)
    assert torch.allclose(one.outputs, other.outputs)


def test_by_the_name_of_a_method(store: GraphStore) -> None:
    found = gg.explain(graphs.GCN(), store, "edge_gradients", task="node", index=[2])
    assert len(found) == 1
