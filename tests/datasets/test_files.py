"""Graphs survive a round trip through both file forms, and foreign files are refused."""

import json
from fractions import Fraction

import pytest
import torch
from safetensors.torch import save_file
from torch_geometric.data import Data, HeteroData

from glassgraph.datasets import load_graphs, save_graphs
from glassgraph.errors import DatasetError


def homogeneous(num_nodes, num_edges):
    return Data(
        x=torch.rand(num_nodes, 3, dtype=torch.float64),
        edge_index=torch.randint(num_nodes, (2, num_edges)),
        edge_type=torch.randint(5, (num_edges,)),
        y=torch.tensor([1]),
        title="first",
        ids=[2, 3],
    )


def heterogeneous():
    data = HeteroData()
    data["user"].x = torch.rand(7, 2)
    data["item"].num_nodes = 5
    data["user", "buys", "item"].edge_index = torch.tensor([[0, 6, 3], [4, 1, 0]])
    data["item", "rev_buys", "user"].edge_index = torch.tensor([[4, 1], [0, 6]])
    return data


def assert_same(first, second):
    assert type(first) is type(second)
    if isinstance(first, torch.Tensor):
        assert first.dtype == second.dtype
        assert torch.equal(first, second)
    elif isinstance(first, dict):
        assert first.keys() == second.keys()
        for key in first:
            assert_same(first[key], second[key])
    else:
        assert first == second


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_round_trip(tmp_path, suffix):
    graphs = [homogeneous(11, 13), heterogeneous(), homogeneous(2, 0)]
    loaded = load_graphs(save_graphs(graphs, tmp_path / f"graphs{suffix}"))
    assert [type(graph) for graph in loaded] == [Data, HeteroData, Data]
    for before, after in zip(graphs, loaded, strict=True):
        assert_same(before.to_dict(), after.to_dict())


def test_the_comparison_sees_a_changed_value():
    with pytest.raises(AssertionError):
        assert_same({"x": torch.zeros(3)}, {"x": torch.tensor([0.0, 0.0, 1e-30])})


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_views_and_gradients_are_saved_as_plain_values(tmp_path, suffix):
    big = torch.rand(1009, 4, requires_grad=True)
    graph = Data(x=big[:5].T.contiguous().T, edge_index=torch.tensor([[0], [4]]))
    path = save_graphs(graph, tmp_path / f"one{suffix}")
    assert torch.equal(load_graphs(path)[0].x, big[:5].detach())
    assert path.stat().st_size < 5000


def test_a_plain_dict_of_tensors_is_one_graph(tmp_path):
    path = tmp_path / "mine.pt"
    torch.save({"edge_index": torch.tensor([[0, 1], [1, 2]]), "num_nodes": 3}, path)
    (graph,) = load_graphs(path)
    assert (graph.num_nodes, graph.num_edges) == (3, 2)


@pytest.mark.parametrize("content", [Data(x=torch.ones(2, 2)), [Fraction(1, 3)], torch.ones(3)])
def test_pickled_objects_are_refused_with_the_way_to_save_them(tmp_path, content):
    path = tmp_path / "objects.pt"
    torch.save(content, path)
    with pytest.raises(DatasetError, match="save_graphs"):
        load_graphs(path)


class Trap:
    """Unpickling this would raise the flag."""

    raised = False

    def __reduce__(self):
        return setattr, (Trap, "raised", True)


def test_loading_never_runs_code_from_the_file(tmp_path):
    path = tmp_path / "trap.pt"
    torch.save({"edge_index": Trap()}, path)
    with pytest.raises(DatasetError, match="can run code"):
        load_graphs(path)
    assert not Trap.raised


EDGE = torch.tensor([[0], [1]])


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        ({"x": torch.ones(2, 3)}, "edge_index is missing"),
        ({"edge_index": EDGE}, "needs x or num_nodes"),
        ({"edge_index": EDGE.float(), "num_nodes": 2}, "must be a tensor of int64"),
        ({"edge_index": EDGE.T, "num_nodes": 2}, r"must be \[2, E\], got \[1, 2\]"),
        ({"edge_index": EDGE, "x": torch.ones(1, 3)}, r"must lie in \[0, 1\)"),
        ({"edge_index": -EDGE, "num_nodes": 3}, "from -1 to 0"),
        ({"edge_index": EDGE, "x": torch.tensor([[1.0], [torch.nan]])}, "not finite"),
        ({"edge_index": EDGE, "num_nodes": 2, "edge_type": torch.ones(3)}, "edge_type must have 1"),
        ({"edge_index": EDGE, "num_nodes": 2, "parts": [EDGE]}, "list of tensors"),
        ({"user": {"x": torch.ones(2, 1)}}, "heterogeneous graph needs edges"),
        ({("a", "to", "b"): {"edge_index": EDGE}, "a": {"num_nodes": 2}}, "'b'.* has no nodes"),
        (
            {("a", "to", "a"): {"edge_index": EDGE}, "a": {"num_nodes": 1}},
            r"must lie in \[0, 1\) for 'a'",
        ),
    ],
)
def test_malformed_graphs_are_refused(tmp_path, graph, message):
    path = tmp_path / "bad.pt"
    torch.save([graph], path)
    with pytest.raises(DatasetError, match=message):
        load_graphs(path)


def test_unreadable_files_are_refused(tmp_path):
    with pytest.raises(DatasetError, match="no file of graphs"):
        load_graphs(tmp_path / "absent.pt")
    with pytest.raises(DatasetError, match=r"must end in \.pt or \.safetensors"):
        load_graphs(tmp_path / "graphs.csv")
    (tmp_path / "noise.pt").write_bytes(b"not a zip file")
    with pytest.raises(DatasetError):
        load_graphs(tmp_path / "noise.pt")
    torch.save([], tmp_path / "empty.pt")
    with pytest.raises(DatasetError, match="holds no graphs"):
        load_graphs(tmp_path / "empty.pt")


def test_safetensors_need_their_description(tmp_path):
    path = tmp_path / "bare.safetensors"
    save_file({"x": torch.ones(3)}, path)
    with pytest.raises(DatasetError, match=r"needs bare\.json beside it"):
        load_graphs(path)
    for text in ("{", "[]", json.dumps({"format": "other"}), json.dumps({"graphs": []})):
        path.with_suffix(".json").write_text(text)
        with pytest.raises(DatasetError, match=r"bare\.json"):
            load_graphs(path)


def test_objects_are_not_saved(tmp_path):
    graph = Data(edge_index=EDGE, num_nodes=2, owner=Fraction(1, 2))
    with pytest.raises(DatasetError, match="owner is a Fraction"):
        save_graphs(graph, tmp_path / "graph.pt")
    with pytest.raises(DatasetError, match="cannot write"):
        save_graphs(Data(edge_index=EDGE, num_nodes=2), tmp_path / "no" / "folder.pt")
