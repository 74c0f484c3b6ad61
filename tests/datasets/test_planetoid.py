"""Citation graphs from files of the published form, written here in small."""

from __future__ import annotations

import pickle
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from glassgraph.datasets import load_dataset
from glassgraph.datasets import planetoid as module
from glassgraph.datasets.planetoid import planetoid
from glassgraph.errors import DatasetError
from tests.datasets.card import check_card

#: 3 for training, 4 more that are labeled, tests 7, 9 and 10 in another order; 8 is left out.
LABELS = [0, 1, 2, 0, 1, 2, 0, 2, 0, 1, 1]
TESTS = [9, 7, 10]
LINKS = {0: [1, 1, 0], 1: [0, 2], 2: [], 3: [7], 9: [4]}


def words(node: int) -> list[float]:
    return [float(node % 2), float(node % 3 == 0), float(node), 1.0, 0.0]


def write(folder: Path, name: str = "cora", **changes: Any) -> Path:
    def rows(nodes: list[int]) -> tuple[Any, Any]:
        return (
            csr_matrix(np.array([words(node) for node in nodes], dtype=np.float32)),
            np.eye(3, dtype=np.int32)[[LABELS[node] for node in nodes]],
        )

    graph = defaultdict(list, {node: LINKS.get(node, []) for node in range(11)})
    parts: dict[str, Any] = {"graph": graph}
    parts["x"], parts["y"] = rows([0, 1, 2])
    parts["allx"], parts["ally"] = rows(list(range(7)))
    parts["tx"], parts["ty"] = rows(TESTS)
    for part, value in (parts | changes).items():
        (folder / f"ind.{name}.{part}").write_bytes(pickle.dumps(value, protocol=4))
    (folder / f"ind.{name}.test.index").write_text("\n".join(map(str, TESTS)))
    return folder


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_VALIDATION", 4)


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch, few: None) -> None:
    monkeypatch.setattr(module, "_VALIDATION", 500)


def test_every_node_has_its_words_and_class(tmp_path: Path) -> None:
    found = planetoid("cora", write(tmp_path))
    graph = found.graphs[0]
    for node in (0, 3, 6, 7, 9, 10):
        assert graph.x[node].tolist() == words(node)
        assert int(graph.y[node]) == LABELS[node]
    assert not graph.x[8].any()
    assert found.split["train"].tolist() == [0, 1, 2]
    assert found.split["val"].tolist() == [3, 4, 5, 6]
    assert found.split["test"].tolist() == found.explained.tolist() == [7, 9, 10]
    pairs = set(map(tuple, graph.edge_index.t().tolist()))
    assert pairs == {(0, 1), (1, 0), (1, 2), (2, 1), (3, 7), (7, 3), (4, 9), (9, 4)}
    assert graph.num_edges == len(pairs)


class Trap:
    """Runs code when it is read."""

    def __reduce__(self) -> Any:
        return print, ()


def test_what_is_no_array_is_not_read(tmp_path: Path) -> None:
    write(tmp_path, graph=Trap())
    with pytest.raises(DatasetError, match=r"builtins\.print, which is not read"):
        planetoid("cora", tmp_path)


def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"no file at .*ind\.citeseer\.x"):
        planetoid("citeseer", write(tmp_path))
    with pytest.raises(DatasetError, match="known are cora, citeseer"):
        planetoid("pubmed", tmp_path)
    (tmp_path / "ind.cora.ty").write_bytes(b"\x80\x02")
    with pytest.raises(DatasetError, match=r"ind\.cora\.ty is damaged"):
        planetoid("cora", tmp_path)


@pytest.mark.usefixtures("published")
@pytest.mark.parametrize(
    ("name", "sizes"),
    [("cora", (2708, 2 * 5278, 1433, 7)), ("citeseer", (3327, 2 * 4552, 3703, 6))],
)
def test_the_graphs_themselves(shared: Path, name: str, sizes: tuple[int, ...]) -> None:
    for root in (shared / "data", shared / "data" / "planetoid"):
        data = load_dataset(name, root)
        graph = data.graphs[0]
        assert (graph.num_nodes, graph.num_edges, data.num_features, data.num_classes) == sizes
        check_card(data)
        parts = [len(data.split[part]) for part in ("train", "val", "test")]
        assert parts == [20 * data.num_classes, 500, 1000]
        assert data.graphs[0].y[data.split["train"]].bincount().tolist() == [20] * sizes[3]


def test_by_name_without_its_files(tmp_path: Path) -> None:
    write(tmp_path)
    with pytest.raises(DatasetError, match=r"ind\.citeseer\.x.*nor in .*github\.com/kimiyoung"):
        load_dataset("citeseer", tmp_path)
    (tmp_path / "ind.cora.ty").unlink()
    with pytest.raises(DatasetError, match=r"lacks ind\.cora\.ty"):
        load_dataset("Cora", tmp_path)
