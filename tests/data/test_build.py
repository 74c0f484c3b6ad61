"""What a graph on disk is made of: files read piece by piece, and edges that are sorted."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch_geometric.data import Batch, Data, HeteroData

from glassgraph.data import GraphStore
from glassgraph.errors import ExistingResultError, GraphError, OutputError, StoreError
from glassgraph.inputs.graph import CompressedIndex, TypedGraph
from tests.data import graphs


@pytest.mark.parametrize("at_once", [1, 2, 7, 1000])
def test_edges_are_sorted_as_in_memory(
    at_once: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("glassgraph.data.sorting._AT_ONCE", at_once)  # hubs, too, have more
    data: Any = graphs.rich_graph()
    data.edge_index = torch.cat([data.edge_index, torch.tensor([[1] * 11, [59] * 11])], dim=1)
    data = Data(x=data.x, edge_index=data.edge_index)
    store = GraphStore.build(data, tmp_path / "graph")
    for number, direction in ((1, "in"), (0, "out")):
        pointer, other, edge = store.index(direction)
        expected = CompressedIndex.build(data.edge_index[number], 61)
        assert torch.equal(pointer, expected.pointer)
        assert torch.equal(edge.long(), expected.edge)
        assert torch.equal(other.long(), data.edge_index[1 - number][expected.edge])


def test_types_lie_one_behind_the_other(tmp_path: Path) -> None:
    data = graphs.typed_graph()
    store = GraphStore.build(data, tmp_path / "graph")
    one, other = TypedGraph.read(data), TypedGraph.read(store)
    assert torch.equal(one.source, other.source)
    assert torch.equal(one.destination, other.destination)
    assert (one.node_types, one.edge_types) == (other.node_types, other.edge_types)
    assert (one.node_offset, one.edge_offset) == (other.node_offset, other.edge_offset)
    found: Any = store.to_data()
    assert isinstance(found, HeteroData)
    for own, again in zip(data.stores, found.stores, strict=True):
        assert all(torch.equal(value, again[key]) for key, value in own.items())


def test_whatever_a_data_object_may_hold(tmp_path: Path) -> None:
    data: Any = Data(edge_index=torch.tensor([[0, 1], [1, 2]], dtype=torch.int32), num_nodes=5)
    data.half = torch.rand(5).bfloat16()
    data.flag = torch.tensor([True, False, True, True, False])
    data.number, data.words, data.scalar = 7, ["a", "b"], torch.tensor(3.5)
    data.array = np.arange(5)
    data.strided = torch.rand(3, 5).t()
    found: Any = GraphStore.build(data, tmp_path / "graph").to_data()
    assert found.edge_index.dtype == torch.int64
    for name in ("half", "flag", "scalar", "strided"):
        assert torch.equal(found[name], data[name])
        assert found[name].dtype == data[name].dtype
    assert (found.number, found.words, found.num_nodes) == (7, ["a", "b"], 5)
    assert np.array_equal(found.array, data.array)


def test_a_graph_without_edges(tmp_path: Path) -> None:
    data = Data(x=torch.rand(3, 2), edge_index=torch.empty(2, 0, dtype=torch.long))
    assert GraphStore.build(data, tmp_path / "graph").to_data().num_edges == 0


def edge_table(tmp_path: Path, **changes: Any) -> pd.DataFrame:
    data: Any = graphs.rich_graph()
    table = {"source": data.edge_index[0].numpy(), "destination": data.edge_index[1].numpy()}
    table |= {"w": data.edge_weight.numpy(), "kind": data.edge_type.numpy()}
    table |= {f"a{i}": data.edge_attr[:, i].numpy() for i in range(2)}
    return pd.DataFrame(table).assign(**changes)


@pytest.mark.parametrize("form", ["parquet", "csv", "csv.gz", "two files"])
def test_lists_of_edges(form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("glassgraph.data.edge_lists._ROWS", 50)
    monkeypatch.setattr("glassgraph.data.edge_lists._BYTES", 2000)
    data: Any = graphs.rich_graph()
    table = edge_table(tmp_path).rename(columns={"source": "from", "destination": "to"})
    source: Any = tmp_path / f"edges.{form}"
    if form == "parquet":
        table.to_parquet(source)
    elif form == "two files":
        source = [str(tmp_path / "1.parquet"), str(tmp_path / "2.parquet")]
        table[:60].to_parquet(source[0])
        table[60:].to_parquet(source[1])
    else:
        table.to_csv(source, index=False)
    np.save(tmp_path / "x.npy", np.asfortranarray(data.x.numpy()))
    store = GraphStore.build(
        source,
        tmp_path / "graph",
        columns=("from", "to"),
        edge_columns={"edge_weight": "w", "edge_type": "kind", "edge_attr": ["a0", "a1"]},
        nodes={"x": tmp_path / "x.npy", "y": data.y},
    )
    found: Any = store.to_data()
    for name in ("edge_index", "edge_type", "x", "y"):
        assert torch.equal(found[name], data[name]), name
    for name in ("edge_weight", "edge_attr"):
        assert torch.allclose(found[name].to(data[name]), data[name], atol=1e-7)


BAD_COLUMNS: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({}, {"columns": ("from", "to")}, r"has no column 'from'; it has 'source', 'destination'"),
    ({}, {"edge_columns": {"edge_weight": "weight"}}, "has no column 'weight'"),
    ({"source": -1}, {}, "edge 0 names node -1"),
    ({"source": 61}, {"num_nodes": 61}, "edge 0 names node 61; there are 61 nodes"),
    ({"source": 0.5}, {}, r"row 0 of .* has source 0.5; expected the number of a node"),
    ({"source": float("nan")}, {}, r"row 0 of .*edges.parquet has source nan|has no source"),
    ({"source": None}, {}, "has no source|is null"),
    ({"source": "ann"}, {}, r"column 'source' .* expected numbers of nodes"),
    ({"w": float("nan")}, {"edge_columns": {"edge_weight": "w"}}, "NaN|has no w"),
    ({"w": float("inf")}, {"edge_columns": {"edge_weight": "w"}}, "row 0 of edge_weight is NaN or"),
    ({"w": "heavy"}, {"edge_columns": {"edge_weight": "w"}}, "column 'w' .* expected numbers"),
    ({}, {"edge_columns": {"edge_weight": []}}, "is a column or a list of columns"),
    ({}, {"edge_columns": {"edge_index": "w"}}, "comes from the two columns of ends"),
    ({}, {"columns": "source"}, "names of two columns"),
    ({}, {"nodes": {"x": torch.rand(61, 2), "y": torch.rand(60)}}, r"60 rows for 61 nodes"),
    ({}, {"nodes": {"x": torch.tensor(1.0)}}, "a row for each node"),
    ({}, {"nodes": {"x": torch.full((61, 2), torch.nan)}}, "row 0 of x is NaN"),
    ({}, {"nodes": {"x": torch.rand(5, 2)}}, "there are 5 nodes"),
]


@pytest.mark.parametrize(("change", "given", "message"), BAD_COLUMNS)
def test_what_cannot_be_is_named(
    change: dict[str, Any], given: dict[str, Any], message: str, tmp_path: Path
) -> None:
    edge_table(tmp_path, **change).to_parquet(tmp_path / "edges.parquet")
    with pytest.raises(GraphError, match=message):
        GraphStore.build(tmp_path / "edges.parquet", tmp_path / "graph", **given)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["edges.parquet"]


def test_sources_that_are_none(tmp_path: Path) -> None:
    data = graphs.rich_graph()
    (tmp_path / "torn.parquet").write_bytes(b"PAR1")
    batch: Any = Batch.from_data_list([data, data])
    with_batch = Data(x=data.x, edge_index=data.edge_index, batch=torch.zeros(61).long())
    sparse: Any = Data(x=data.x, edge_index=data.edge_index, odd=data.x.to_sparse())
    for source, message in (
        (3, "source is a int; expected"),
        ([data], "source is a list; expected"),
        (batch, "one graph: several graphs are explained from a list"),
        (with_batch, "batch vector"),
        (sparse, "odd is a sparse tensor"),
        (tmp_path / "none.parquet", "there is no file"),
        (tmp_path, "expected a torch_geometric Data"),
        (tmp_path / "torn.parquet", "cannot be read"),
    ):
        with pytest.raises(StoreError, match=message):
            GraphStore.build(source, tmp_path / "graph")
    with pytest.raises(StoreError, match="has its own"):
        GraphStore.build(data, tmp_path / "graph", num_nodes=3)
    with pytest.raises(GraphError, match="x has 305 values that are NaN"):
        GraphStore.build(Data(x=data.x * torch.nan, edge_index=data.edge_index), tmp_path / "graph")
    assert not (tmp_path / "graph").exists()


def test_what_is_there_is_replaced_on_demand_alone(tmp_path: Path) -> None:
    data, folder = graphs.rich_graph(), tmp_path / "graph"
    (folder / "mine").mkdir(parents=True)
    for replace in (False, True):
        with pytest.raises(ExistingResultError, match="is there already"):
            GraphStore.build(data, folder, replace=replace)
    (folder / "mine").rmdir()
    store = GraphStore.build(data, folder)
    with pytest.raises(ExistingResultError, match="replace=True"):
        GraphStore.build(data, folder)
    smaller = Data(x=data.x, edge_index=data.edge_index[:, :5])
    assert GraphStore.build(smaller, folder, replace=True).num_edges == 5
    assert store.num_edges == 173
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        GraphStore.build(data, tmp_path / "file" / "graph")


def write_gz(path: Path, rows: Any) -> None:
    with gzip.open(path, "wt") as file:
        file.writelines(",".join(map(str, row)) + "\n" for row in rows)


def test_raw_files_of_ogb(tmp_path: Path) -> None:
    data: Any = graphs.rich_graph()
    raw = tmp_path / "arxiv" / "raw"
    raw.mkdir(parents=True)
    write_gz(raw / "edge.csv.gz", data.edge_index.t().tolist())
    write_gz(raw / "num-node-list.csv.gz", [[61]])
    write_gz(raw / "node-feat.csv.gz", data.x.tolist())
    write_gz(raw / "node-label.csv.gz", data.y.view(-1, 1).tolist())
    write_gz(raw / "edge-feat.csv.gz", data.edge_attr.tolist())
    found: Any = GraphStore.build(tmp_path / "arxiv", tmp_path / "graph").to_data()
    assert torch.equal(found.edge_index, data.edge_index)
    assert torch.equal(found.y, data.y.view(-1, 1))
    assert torch.allclose(found.x, data.x)
    assert torch.allclose(found.edge_attr, data.edge_attr)
    write_gz(raw / "node-label.csv.gz", [[1]] * 60)
    with pytest.raises(GraphError, match="60 rows for 61 nodes"):
        GraphStore.build(tmp_path / "arxiv", tmp_path / "other")
    write_gz(raw / "num-node-list.csv.gz", [[61], [3]])
    with pytest.raises(StoreError, match="counts the nodes of 2 graphs"):
        GraphStore.build(tmp_path / "arxiv", tmp_path / "other")
