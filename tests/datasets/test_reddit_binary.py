"""REDDIT-BINARY: its published sizes, both forms of its files, and damaged ones."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
import torch

from glassgraph.datasets import load_dataset
from glassgraph.datasets.reddit_binary import reddit_binary
from glassgraph.errors import DatasetError
from tests.datasets.card import check_card

#: A triangle with a tail, a pair, and two nodes apart.
TEXT = "3\n4 2\n0 2 1 2\n0 2 0 2\n0 3 0 1 3\n0 1 2\n2 0\n0 1 1\n0 1 0\n2 2\n0 0\n0 0\n"
TU = {
    "A": "1, 2\n2, 1\n1, 3\n3, 1\n2, 3\n3, 2\n3, 4\n4, 3\n5, 6\n6, 5\n",
    "graph_indicator": "1\n1\n1\n1\n2\n2\n3\n3\n",
    "graph_labels": "1\n-1\n1\n",
}


def write_tu(folder: Path, **changes: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in {**TU, **changes}.items():
        (folder / f"REDDIT-BINARY_{name}.txt").write_text(text)
    return folder


def write_zip(folder: Path, **texts: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(folder / "REDDIT-BINARY.zip", "w") as archive:
        for name, text in texts.items():
            archive.writestr(f"REDDIT-BINARY/REDDIT-BINARY{name}.txt", text)
    return folder


@pytest.mark.slow("every form of file by hand: test_every_form_by_hand")
def test_the_file_itself(shared: Path) -> None:
    data = load_dataset("reddit-binary", shared / "data")
    nodes = [int(graph.num_nodes or 0) for graph in data.graphs]
    edges = [graph.num_edges for graph in data.graphs]
    labels = torch.cat([graph.y for graph in data.graphs])
    assert labels.bincount().tolist() == [1000, 1000]
    assert max(nodes) == 3782
    check_card(data)
    assert round(sum(nodes) / 2000, 1) == 429.6
    assert round(sum(edges) / 4000, 1) == 497.8
    assert [len(data.split[part]) for part in ("train", "val", "test")] == [1600, 200, 200]
    assert data.explained.equal(data.split["test"])
    graph = data.graphs[1234]
    assert graph.is_undirected()
    own = graph.edge_index[0].bincount(minlength=graph.num_nodes)
    bins = graph.x.argmax(dim=1)
    assert graph.x.sum(dim=1).eq(1).all()
    assert ((2**bins <= own + 1) & (own + 1 < 2 ** (bins + 1))).all()


@pytest.mark.parametrize("form", ["text", "zip", "TUDataset", "PyG", "zip of TUDataset"])
def test_every_form_by_hand(tmp_path: Path, form: str) -> None:
    if form == "text":
        (tmp_path / "REDDIT-BINARY.txt").write_text(TEXT)
    elif form == "zip":
        write_zip(tmp_path / "reddit_binary", **{"": TEXT})
    elif form == "zip of TUDataset":
        write_zip(tmp_path, **{f"_{name}": text for name, text in TU.items()})
    else:
        write_tu(tmp_path / ("REDDIT-BINARY/raw" if form == "PyG" else ""))
    graphs = reddit_binary(tmp_path, features="constant").graphs
    assert [graph.num_nodes for graph in graphs] == [4, 2, 2]
    assert [int(graph.y) for graph in graphs] == [1, 0, 1]
    ends = [(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1), (2, 3), (3, 2)]
    assert graphs[0].edge_index.t().tolist() == [list(pair) for pair in ends]
    assert graphs[1].edge_index.tolist() == [[0, 1], [1, 0]]
    assert graphs[2].num_edges == 0
    assert graphs[0].x.tolist() == [[1.0]] * 4


def test_degrees_are_features(tmp_path: Path) -> None:
    (tmp_path / "REDDIT-BINARY.txt").write_text(TEXT)
    data = load_dataset("reddit-binary", tmp_path)
    assert data.graphs[0].x.argmax(dim=1).tolist() == [1, 1, 2, 1]  # 2, 2, 3 and 1 neighbors
    assert data.graphs[2].x.argmax(dim=1).tolist() == [0, 0]
    assert data.graphs[2].x.shape == (2, 12)
    with pytest.raises(DatasetError, match="'degree' or 'constant', got 'tags'"):
        reddit_binary(tmp_path, features="tags")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "first line is the number of graphs"),
        ("2\n1 0\n0 0\n", "graph 1: line 4"),
        ("1\n2 0\n0 1 1\n", "graph 0 has 2 nodes"),
        ("1\n2 0\n0 1 1\n0 2 0\n", "not as many neighbors"),
        ("1\n2 0\n0 1 2\n0 1 0\n", "graph 0: a neighbor is none of its 2 nodes"),
        ("1\n2 0\n0 1 1\n0 1 0\n9\n", "1 lines follow"),
        ("1\n2 0\n0 1 1\n0 1 0\n", r"two labels, got \[0\]"),
        ("1\n2 zero\n0 1 1\n0 1 0\n", "invalid literal"),
    ],
)
def test_damaged_text(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "REDDIT-BINARY.txt").write_text(text)
    with pytest.raises(DatasetError, match=rf"REDDIT-BINARY\.txt is damaged: .*{message}"):
        load_dataset("reddit-binary", tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"A": "1, 9\n"}, r"must lie in 1\.\.8"),
        ({"A": "4, 5\n"}, "joins two graphs"),
        ({"graph_indicator": "1\n2\n1\n1\n2\n2\n3\n3\n"}, "in order"),
        ({"graph_labels": "1\n-1\n"}, "the 2 graphs"),
        ({"A": "1, 2\n3\n"}, "is damaged"),
    ],
)
def test_damaged_files_of_tudataset(tmp_path: Path, changes: dict[str, str], message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        load_dataset("reddit-binary", write_tu(tmp_path, **changes))


def test_missing_files_and_damaged_archives(tmp_path: Path) -> None:
    for nothing in (None, tmp_path, tmp_path / "nowhere"):
        with pytest.raises(DatasetError, match=r"REDDIT-BINARY\.zip.*chrsmrrs"):
            load_dataset("reddit-binary", nothing)
    file = write_zip(tmp_path, _other=TEXT) / "REDDIT-BINARY.zip"
    with pytest.raises(DatasetError, match=r"holds neither REDDIT-BINARY\.txt nor"):
        load_dataset("reddit-binary", tmp_path)
    whole = (write_zip(tmp_path, **{"": TEXT}) / "REDDIT-BINARY.zip").read_bytes()
    for damaged in (whole[:-30], whole[:50] + b"\0\1" + whole[52:], b""):
        file.write_bytes(damaged)
        with pytest.raises(DatasetError, match=r"REDDIT-BINARY\.zip is damaged"):
            load_dataset("reddit-binary", tmp_path)
