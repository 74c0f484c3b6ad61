"""Sentiment trees: a sentence by hand, malformed files, and the published sizes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import glassgraph as gg
from glassgraph.datasets import load_dataset
from glassgraph.datasets.sentiment_trees import (
    FILES,
    coverage,
    parse_tree,
    phrase,
    sentiment_trees,
    tree_graph,
)
from glassgraph.errors import DatasetError
from tests.datasets.card import check_card

VECTORS = {"lovely": [1.0, 2.0, 3.0], "film": [4.0, 5.0, 6.0], "(": [7.0, 8.0, 9.0]}
SENTENCE = "(4 (2 A) (4 (3 (2 Lovely) (2 film)) (1 !)))"


def write(folder: Path, **changes: str) -> Path:
    parts = {
        "train": f"{SENTENCE}\n(1 (2 bad) (2 film))\n(2 (2 a) (2 film))\n",
        "val": "(0 (2 bad) (2 film))\n\n(2 film)\n",
        "test": "(3 film)\n(4 (2 bad) (2 bad))\n(2 bad)\n",
    }
    for part, text in (parts | changes).items():
        (folder / FILES[part]).write_text(text, encoding="utf-8")
    return folder


def test_a_sentence_by_hand() -> None:
    graph = tree_graph(SENTENCE, VECTORS)
    # 0 the sentence, 1 A, 2 Lovely film !, 3 Lovely film, 4 Lovely, 5 film, 6 !
    assert graph.x.tolist() == [
        [0, 0, 0, 1],
        [0, 0, 0, 0],
        [0, 0, 0, 1],
        [0, 0, 0, 1],
        [1, 2, 3, 0],
        [4, 5, 6, 0],
        [0, 0, 0, 0],
    ]
    up = {(1, 0), (2, 0), (3, 2), (6, 2), (4, 3), (5, 3)}
    assert set(map(tuple, graph.edge_index.t().tolist())) == up | {(b, a) for a, b in up}
    assert graph.num_edges == 12
    assert graph.y.tolist() == [4]
    assert graph.sentiment.tolist() == [4, 2, 4, 3, 2, 2, 1]
    assert graph.words == ["A", "Lovely", "film", "!"]
    assert graph.is_known.tolist() == [False, True, True, False]
    assert [phrase(graph, node) for node in (0, 2, 3, 6)] == [
        "A Lovely film !", "Lovely film !", "Lovely film", "!",
    ]  # fmt: skip


def test_a_word_alone_brackets_slashes_and_spaces_in_words() -> None:
    graph = tree_graph("(3 film)", VECTORS)
    assert graph.x.tolist() == [[4, 5, 6, 0]]
    assert graph.edge_index.shape == (2, 0)
    graph = tree_graph("(2 (2 -LRB-) (2 (2 3\u00a01\\/2) (2 -RRB-)))", VECTORS)
    assert graph.words == ["(", "3\u00a01/2", ")"]
    assert graph.x[1].tolist() == [7, 8, 9, 0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("(5 film)", "a sentiment 0..4, got '5'"),
        ("(film)", "a sentiment 0..4, got 'film'"),
        ("(", "a sentiment 0..4, got 'nothing'"),
        ("(2 (2 a) (2 b)", "1 brackets are not closed"),
        ("(2 a))", "'\\)' stands outside of the tree"),
        ("film", "'film' stands outside of the tree"),
        ("(2 a) (2 b)", "more than one tree"),
        ("(2)", "a phrase holds no word"),
        ("(2 (3 ) (2 a))", "a phrase holds no word"),
        ("(2 a b)", "the word 'b' needs a phrase of its own"),
        ("(2 (2 a) b)", "the word 'b' needs a phrase of its own"),
        ("(2 a (2 b))", "a phrase holds a word beside a phrase"),
        ("", "no tree"),
    ],
)
def test_malformed_trees(text: str, words: str) -> None:
    with pytest.raises(DatasetError, match=f"line 7: .*{words}"):
        parse_tree(text, "line 7")


def test_labels_and_parts(tmp_path: Path) -> None:
    (tmp_path / "vectors.json").write_text(json.dumps(VECTORS))
    for num_classes, labels in ((2, [1, 0, 0, 1, 1]), (5, [4, 1, 2, 0, 2, 3, 4, 2])):
        dataset = sentiment_trees(write(tmp_path), tmp_path / "vectors.json", num_classes)
        assert [int(graph.y) for graph in dataset.graphs] == labels
        assert dataset.num_classes == num_classes
        assert dataset.num_features == 4
    sizes = {part: ids.tolist() for part, ids in dataset.split.items()}
    assert sizes == {"train": [0, 1, 2], "val": [3, 4], "test": [5, 6, 7]}
    assert dataset.explained.tolist() == [5, 6, 7]
    # A! bad a bad bad bad bad are unknown, of 15 words.
    assert coverage(dataset) == pytest.approx(1 - 8 / 15)


@pytest.mark.parametrize(
    ("vectors", "words"),
    [
        ({}, "must map words to lists"),
        ({"a": [1.0], "b": [1.0, 2.0]}, "equally long lists"),
        ({"a": 1.0}, "must be lists of numbers"),
        ({"a": ["x"]}, "equally long lists"),
        ("nowhere.json", "cannot read word vectors from nowhere.json"),
    ],
)
def test_bad_vectors(tmp_path: Path, vectors: Any, words: str) -> None:
    with pytest.raises(DatasetError, match=words):
        sentiment_trees(write(tmp_path), vectors)


def test_bad_files(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"cannot read .*train.txt; the folder holds train.txt"):
        sentiment_trees(tmp_path, VECTORS)
    with pytest.raises(DatasetError, match="num_classes must be 2 or 5, got 3"):
        sentiment_trees(tmp_path, VECTORS, 3)  # type: ignore[arg-type]
    write(tmp_path, val="(3 film)\n(3 film\n")
    with pytest.raises(DatasetError, match=r"dev.txt, line 2: 1 brackets are not closed"):
        sentiment_trees(tmp_path, VECTORS)


def test_explanations_leave_the_words_alone(tmp_path: Path) -> None:
    from torch_geometric.nn import GCNConv, global_mean_pool

    class Classifier(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = GCNConv(4, 2)

        def forward(self, x: Any, edge_index: Any, batch: Any = None) -> Any:
            return global_mean_pool(self.conv(x, edge_index), batch)

    dataset = sentiment_trees(write(tmp_path), VECTORS, 5)
    made = gg.EdgeGradients(Classifier(), "graph", progress=False).explain(dataset.graphs, [0, 3])
    assert made[0].words == ["A", "Lovely", "film", "!"]
    assert made.local(1).edge_score is not None
    assert made.local(1).edge_index.tolist() == dataset.graphs[3].edge_index.tolist()


@pytest.mark.slow("the same format by hand: test_a_sentence_by_hand, test_sst_by_name")
def test_the_treebank_itself(shared: Path) -> None:
    data = shared / "data"
    dataset = sentiment_trees(data / "sst_trees", data / "glove_small" / "glove-50d-5k.json")
    assert {part: len(ids) for part, ids in dataset.split.items()} == {
        "train": 6920, "val": 872, "test": 1821,
    }  # fmt: skip
    assert 0.78 < coverage(dataset) < 0.80
    for graph in dataset.graphs[::997]:
        assert graph.num_nodes == 2 * len(graph.words) - 1
        assert graph.num_edges == 2 * (graph.num_nodes - 1)
    first = dataset.graphs[0]
    assert phrase(first, 0).startswith("The Rock is destined to be the 21st Century 's new")


def arrays(folder: Path, **changes: Any) -> Path:
    whole = {"words": np.array(list(VECTORS)), "vectors": np.array(list(VECTORS.values()))}
    folder.mkdir(exist_ok=True)
    kept = {name: value for name, value in (whole | changes).items() if value is not None}
    np.savez(folder / "glove.6B.50d.subset.npz", **kept)
    return folder


@pytest.mark.parametrize("root", ["", "sst_trees", "beside"])
def test_sst_by_name(tmp_path: Path, root: str) -> None:
    trees = tmp_path / "sst_trees"
    trees.mkdir()
    write(trees)
    arrays(trees if root == "beside" else tmp_path / "glove_small")
    data = load_dataset("sst", trees if root == "beside" else tmp_path / root)
    graph = data.graphs[0]
    assert data.name == "sst"
    assert graph.node_names == [
        "A Lovely film !", "A", "Lovely film !", "Lovely film", "Lovely", "film", "!",
    ]  # fmt: skip
    assert graph.x.equal(tree_graph(SENTENCE, VECTORS).x)
    assert [int(each.y) for each in data.graphs] == [1, 0, 0, 1, 1]


def test_sst_without_its_files(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"train\.txt, dev\.txt, test\.txt.*nlp\.stanford"):
        load_dataset("sst", tmp_path)
    with pytest.raises(DatasetError, match="pass its folder as root"):
        load_dataset("sst")
    write(tmp_path)
    with pytest.raises(DatasetError, match=r"glove\.6B\.50d\.subset\.npz.*PDDL"):
        load_dataset("sst", tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"words": None}, "cannot read word vectors"),
        ({"words": np.array(["one"])}, "'words' .V. and 'vectors' .V, F. are expected"),
        ({"vectors": np.zeros(3)}, "finite numbers"),
        ({"vectors": np.full((3, 2), np.nan)}, "finite numbers"),
        ({"words": np.array([1, 2, 3])}, "are expected, got int64"),
    ],
)
def test_damaged_vectors(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        load_dataset("sst", arrays(write(tmp_path), **changes))


@pytest.mark.slow("the same format by hand: test_a_sentence_by_hand, test_sst_by_name")
def test_sst_itself(shared: Path) -> None:
    data = load_dataset("sst", shared / "data")
    assert [len(data.split[part]) for part in ("train", "val", "test")] == [6920, 872, 1821]
    assert data.num_features == 51
    assert round(coverage(data), 3) == 0.927
    check_card(data)
    graph = data.graphs[0]
    assert graph.node_names[0] == " ".join(graph.words)
    assert len(graph.node_names) == graph.num_nodes
