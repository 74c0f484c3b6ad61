"""Benzene: the file as it is, its alternatives, and what a damaged one is told."""

from pathlib import Path

import networkx as nx
import numpy as np
import pytest
import torch

from glassgraph.datasets import ExplanationDataset, load_dataset
from glassgraph.datasets.benzene import ATOMS, BONDS, FILE
from glassgraph.errors import DatasetError
from tests.datasets.benzene_file import write
from tests.datasets.card import check_card


@pytest.fixture(scope="module")
def real(shared: Path) -> ExplanationDataset:
    return load_dataset("benzene", shared / "data" / "graph_attribution_molecules" / "benzene")


@pytest.mark.slow("a few molecules: test_a_small_file_by_hand")
def test_counts(real: ExplanationDataset) -> None:
    labels = torch.cat([graph.y for graph in real.graphs])
    assert (len(labels), int(labels.sum())) == (12_000, 6001)
    assert (real.num_features, real.num_classes, real.level) == (14, 2, "graph")
    assert [len(real.split[part]) for part in ("train", "val", "test")] == [9000, 1000, 2000]
    assert real.split["test"].tolist() == list(range(10_000, 12_000))
    assert len(real.explained) == 999
    assert labels[real.explained].eq(1).all()
    check_card(real)
    assert abs(float(labels[real.split["val"]].float().mean()) - 0.5) < 0.01


def test_alternatives_are_all_choices_of_rings(real: ExplanationDataset) -> None:
    sizes: dict[int, int] = {}
    for graph in real.graphs:
        count = int(graph.node_truth.any(dim=0).sum())
        sizes[count] = sizes.get(count, 0) + 1
        assert (count > 0) == bool(graph.y)
    assert sizes == {0: 5999, 1: 3982, 3: 1855, 7: 161, 15: 3}


def test_single_rings_are_six_aromatic_carbons_in_a_ring(real: ExplanationDataset) -> None:
    carbon, aromatic = ATOMS.index("C"), BONDS.index("aromatic")
    for number in real.explained[::37].tolist():
        graph = real.graphs[number]
        bonds = graph.edge_index[:, graph.edge_type == aromatic].t().tolist()
        for column in graph.node_truth.t():
            ring = column.nonzero().view(-1).tolist()
            if len(ring) == 6:
                assert graph.x[ring, carbon].eq(1).all()
                own = nx.Graph(bonds).subgraph(ring)
                assert nx.is_connected(own)
                assert [degree for _, degree in own.degree] == [2] * 6


def test_both_directions_of_every_bond_are_there(real: ExplanationDataset) -> None:
    graph = real.graphs[1]
    forward = {
        (a, b): int(k)
        for (a, b), k in zip(graph.edge_index.t().tolist(), graph.edge_type, strict=True)
    }
    assert all(forward[(b, a)] == kind for (a, b), kind in forward.items())
    assert torch.equal(graph.edge_attr.argmax(dim=1), graph.edge_type)


def test_a_small_file_by_hand(tmp_path: Path) -> None:
    dataset = load_dataset("benzene", write(tmp_path))
    two, one, chain = dataset.graphs[:3]
    assert two.node_truth.int().t().tolist() == [
        [1] * 6 + [0] * 6,
        [0] * 6 + [1] * 6,
        [1] * 12,
    ]
    assert one.node_truth.int().t().tolist() == [[1] * 6 + [0], [0] * 7, [0] * 7]
    assert not chain.node_truth.any()
    assert chain.x.argmax(dim=1).tolist() == [0, 0, 1, 2]
    assert chain.edge_index.tolist() == [[0, 1, 1, 2, 2, 3], [1, 0, 2, 1, 3, 2]]
    assert chain.edge_type.tolist() == [0, 0, 0, 0, 1, 1]
    assert [int(graph.y) for graph in dataset.graphs[:3]] == [1, 1, 0]
    assert dataset.explained.tolist() == [6, 7]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"attribution": None}, "lacks attribution"),
        ({"label": np.zeros(8)}, "label must have 9 entries"),
        ({"edge_ptr": np.array([0, 138])}, "node_ptr has 9 molecules, edge_ptr 1"),
        ({"node_type": np.full(69, 14)}, "node_type holds numbers out of range"),
        ({"test_index": np.array([9])}, "test_index holds numbers out of range"),
        ({"label": np.array([object()] * 9)}, "allow_pickle"),
    ],
)
def test_damaged_files_are_named(tmp_path: Path, change: dict[str, object], message: str) -> None:
    with pytest.raises(DatasetError, match=f"is damaged: .*{message}"):
        load_dataset("benzene", write(tmp_path, **change))


def test_ends_lie_in_their_own_molecule(tmp_path: Path) -> None:
    from tests.datasets.benzene_file import arrays

    senders = arrays()["senders"]
    senders[-1] = 4  # the chain has atoms 0 to 3
    with pytest.raises(DatasetError, match="senders holds numbers out of range"):
        load_dataset("benzene", write(tmp_path, senders=senders))


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=f"no {FILE} in"):
        load_dataset("benzene", tmp_path)
    with pytest.raises(DatasetError, match="pass its folder as root"):
        load_dataset("benzene")
    with pytest.raises(DatasetError, match="cannot be downloaded"):
        load_dataset("benzene", tmp_path, download=True)
    (tmp_path / FILE).write_text("no archive")
    with pytest.raises(DatasetError, match="is damaged"):
        load_dataset("benzene", tmp_path)
