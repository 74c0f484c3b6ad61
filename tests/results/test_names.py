"""Names of nodes, edges and classes: where they come from, and where they stay."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch_geometric.data import Batch, Data, HeteroData
from torch_geometric.nn import GCN

import glassgraph as gg
from glassgraph.errors import DamagedFileError, ExplanationFileError, GraphError
from tests.results.known import known


def sentences(**more: Any) -> list[Data]:
    first = Data(
        x=torch.rand(3, 2),
        edge_index=torch.tensor([[0, 2], [1, 1]]),
        edge_type=torch.tensor([0, 1]),
        words=["Cats", "chase", "mice"],
    )
    second = Data(
        x=torch.rand(2, 2),
        edge_index=torch.tensor([[0], [1]]),
        edge_type=torch.tensor([0]),
        words=["Dogs", "sleep"],
    )
    for data, extra in zip((first, second), zip(*more.values(), strict=True), strict=False):
        for key, value in zip(more, extra, strict=True):
            data[key] = value
    return [first, second]


def explained(data: Any = None) -> gg.Explanations:
    return known(data or sentences(), [[[1, 0], [0, 1]], [[1], [0]]], threshold=0.5)


@pytest.mark.parametrize("attribute", ["node_names", "words", "tokens", "text"])
def test_words_of_the_data_name_its_nodes(attribute: str) -> None:
    data = sentences()
    for each in data:
        each[attribute] = [f"{word}!" for word in each.words]
        if attribute != "words" and attribute != "node_names":
            del each.words
    found = explained(data)
    assert found.local(0).node_names == ["Cats!", "chase!", "mice!"]
    assert found.local(1).node_names == ["Dogs!", "sleep!"]
    assert explained(Batch.from_data_list(data)).local(1).node_names == ["Dogs!", "sleep!"]


def test_a_list_that_is_no_list_of_nodes_names_none() -> None:
    data = sentences()
    data[0].words, data[1].words = ["one", "two"], ["three", "four", "five"]  # as many in all
    assert explained(data).local(0).node_names is None
    numbers = sentences()
    for each in numbers:
        each.words = list(range(each.num_nodes))
    assert explained(numbers).local(0).node_names is None


def test_edges_by_name_and_by_type() -> None:
    named = explained(sentences(relations=[["subj", "obj"], ["subj"]]))
    assert named.local(0).edge_names == ["subj", "obj"]
    by_type = explained().named(edge_names={0: "agent", 1: "patient"})
    assert by_type.local(0).edge_names == ["agent", "patient"]
    assert by_type.local(1).edge_names == ["agent"]
    listed = explained().named(edge_names=[["p", "q"], ["r"]])
    assert listed.local(1).edge_names == ["r"]
    assert by_type.aggregate("edge_name")["count"].tolist() == [4, 2]


def test_names_given_go_before_those_of_the_data_and_leave_the_rest() -> None:
    found = explained()
    other = found.named(node_names=["a", "b", "c", "d", "e"])
    assert other.local(1).node_names == ["d", "e"]
    assert found.local(1).node_names == ["Dogs", "sleep"]
    both = other.named(class_names=["calm", "wild"])
    assert both.local(1).node_names == ["d", "e"]
    assert both.local(1).class_names == ["calm", "wild"]


def test_tables_bear_names_where_there_are_any() -> None:
    frame = explained(sentences(relations=[["subj", "obj"], ["subj"]])).to_frame()
    assert frame.source_name.tolist() == ["Cats", "mice", "Dogs"]
    assert frame.destination_name.tolist() == ["chase", "chase", "sleep"]
    assert frame.edge_name.tolist() == ["subj", "obj", "subj"]
    bare = known(Data(x=torch.rand(2, 1), edge_index=torch.tensor([[0], [1]])), [[1.0]])
    assert not {"source_name", "edge_name"} & set(bare.to_frame())
    once = known(sentences(), [[1, 0], [1]])
    assert "Cats→chase (1)" in once._repr_html_()


def test_names_stay_in_slices_and_in_files(tmp_path: Path) -> None:
    found = explained().named(edge_names={0: "agent", 1: "patient"}, class_names=["no", "yes"])
    loaded = gg.Explanations.load(found[1:].save(tmp_path / "a"))
    assert loaded.local(0).node_names == ["Dogs", "sleep"]
    assert loaded.local(0).edge_names == ["agent"]
    assert loaded.local(0).class_names == ["no", "yes"]
    given = explained().named(node_names=[["p", "q", "r"], ["s", "t"]])
    bare = gg.Explanations.load(given.save(tmp_path / "b", include_graph=False))
    assert bare.local(1).node_names == ["s", "t"]
    with pytest.raises(ExplanationFileError, match="load"):
        bare.named(node_names=["p", "q", "r", "s", "t"])


def test_types_are_named_by_themselves() -> None:
    data = HeteroData(author={"x": torch.rand(2, 3)}, paper={"x": torch.rand(3, 3)})
    data["author", "writes", "paper"].edge_index = torch.tensor([[0, 1], [0, 1]])
    data["paper", "cites", "paper"].edge_index = torch.tensor([[0, 1], [1, 2]])
    found = known(data, [[1, 1, 1, 0]], threshold=0.5)
    named = found.named(
        node_names={"author": ["Ada", "Bob"]},
        edge_names={("author", "writes", "paper"): "wrote", "cites": "builds on"},
    ).local(0)
    assert named.node_names == ["Ada", "Bob", "", "", ""]
    assert named.edge_names == ["wrote", "wrote", "builds on", "builds on"]


def test_words_of_types_are_stored(tmp_path: Path) -> None:
    data = HeteroData(author={"x": torch.rand(2, 3)}, paper={"x": torch.rand(3, 3)})
    data["author", "writes", "paper"].edge_index = torch.tensor([[0, 1], [0, 1]])
    data["author"].node_names = ["Ada", "Bob"]
    data["author", "writes", "paper"].relations = ["first", "last"]
    loaded = gg.Explanations.load(known(data, [[1, 0]], threshold=0.5).save(tmp_path)).local(0)
    assert loaded.node_names == ["Ada", "Bob", "", "", ""]
    assert loaded.edge_names == ["first", "last"]


@pytest.mark.parametrize("text", [b"[1, 2]", b"{", b"\xff", b"3"])
def test_damaged_words_are_damage(tmp_path: Path, text: bytes) -> None:
    explained().save(tmp_path)
    (file,) = tmp_path.glob("graph*.safetensors")
    tensors = load_file(file)
    key = next(key for key in tensors if key.endswith("|words|words"))
    save_file(tensors | {key: torch.tensor(list(text), dtype=torch.uint8)}, file)
    with pytest.raises(DamagedFileError, match="words"):
        gg.Explanations.load(tmp_path)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ({"node_names": ["a"]}, "5 nodes"),
        ({"node_names": [["a", "b"], ["c", "d", "e"]]}, "5 nodes"),
        ({"node_names": "abcde"}, "5 nodes"),
        ({"node_names": [1, 2, 3, 4, 5]}, "words"),
        ({"edge_names": {0: "agent"}}, "no name for the edge types 1"),
        ({"edge_names": ["a"]}, "3 edges"),
        ({"class_names": "yes"}, "words"),
        ({"class_names": 2}, "words"),
    ],
)
def test_names_that_do_not_fit_are_refused(names: dict[str, Any], words: str) -> None:
    with pytest.raises(GraphError, match=words):
        explained().named(**names)


def test_a_dictionary_needs_types() -> None:
    data = sentences()
    for each in data:
        del each.edge_type
    with pytest.raises(GraphError, match="edge_type"):
        explained(data).named(edge_names={0: "agent"})


def test_rows_of_graphs_are_never_shifted() -> None:
    """Lists of other lengths than their graphs fit in all by chance, and would name wrong edges."""
    data = sentences(relation=[["a"], ["b", "c"]])
    with pytest.raises(GraphError, match="one value for each"):
        explained(data).aggregate("relation")


def test_walks_and_tables_of_methods_bear_names_too() -> None:
    data = Data(x=torch.rand(3, 2), edge_index=torch.tensor([[0, 1], [1, 2]]))
    model = GCN(2, 4, 2, 2)
    bare = gg.explain(model, data, "gnn_lrp", index=[2], progress=False)
    named = bare.named(node_names=["a", "b", "c"])
    walks = named.walks_frame()
    assert "name_0" not in bare.walks_frame()
    assert [dict(enumerate("abc"))[node] for node in walks.node_1] == walks.name_1.tolist()
    found = gg.explain(model, data, "pgm_explainer", index=[2], progress=False)
    table = found.named(node_names=["a", "b", "c"]).table("nodes")
    assert "node_name" not in found.table("nodes")
    assert table.node_name.tolist() == ["abc"[node] for node in table.node]


@pytest.mark.parametrize(
    "names",
    [3, {"nodes": 3}, {"nodes": ["a"]}, {"classes": [1]}, {"graphs": []}, {"features": {"a": 1}}],
)
def test_damaged_names_are_damage(tmp_path: Path, names: Any) -> None:
    explained().save(tmp_path)
    path = tmp_path / "explanations.json"
    header = json.loads(path.read_text(encoding="utf-8"))
    header["provenance"]["names"] = names
    path.write_text(json.dumps(header), encoding="utf-8")
    with pytest.raises(DamagedFileError, match="name"):
        gg.Explanations.load(tmp_path)
