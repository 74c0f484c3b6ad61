"""Logic7 and logic8: sizes, substructures, and where their file may lie."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from glassgraph.datasets import ExplanationDataset, load_dataset
from glassgraph.datasets.alternatives import alternatives, substructures, unions
from glassgraph.datasets.zinc_molecules import ATOMS
from glassgraph.errors import DatasetError
from glassgraph.inputs.graph import TypedGraph
from glassgraph.results.truth import node_truth
from tests.datasets.benzene_file import arrays
from tests.datasets.card import check_card

FOLDER = Path("data", "graph_attribution_molecules")
#: Molecules, those of label 1, and the official parts.
SIZES = {"logic7": (4326, 375, 3840, 486), "logic8": (8671, 1527, 7753, 918)}


@pytest.fixture(scope="module", params=["logic7", "logic8"])
def real(request: pytest.FixtureRequest, shared: Path) -> ExplanationDataset:
    return load_dataset(request.param, shared / FOLDER / request.param)


@pytest.mark.slow("a few molecules: test_a_small_file_by_hand")
def test_counts(real: ExplanationDataset) -> None:
    labels = torch.cat([graph.y for graph in real.graphs])
    assert (real.num_features, real.num_classes, real.level) == (14, 2, "graph")
    train, val, test = (len(real.split[part]) for part in ("train", "val", "test"))
    assert (len(labels), int(labels.sum()), train + val, test) == SIZES[real.name]
    assert labels[real.explained].eq(1).all()
    check_card(real)
    for graph in real.graphs:
        assert bool(graph.node_truth_parts.any()) == bool(graph.y), "there is truth for label 1"


def test_the_truth_of_every_molecule_is_that_of_the_file(
    real: ExplanationDataset, shared: Path
) -> None:
    with np.load(shared / FOLDER / real.name / f"{real.name}_graphs.npz") as file:
        count, ends = file["num_explanations"].astype(int), file["node_ptr"].astype(int)
        flags = file["attribution"] > 0
    begin = np.r_[0, np.cumsum(count * np.diff(ends))]
    for number in real.explained.tolist():
        graph = real.graphs[number]
        rows = flags[begin[number] : begin[number + 1]].reshape(count[number], -1)
        found = alternatives(graph)
        assert found is not None
        assert set(map(tuple, found.t().tolist())) == set(map(tuple, rows.tolist()))
        assert found.unique(dim=1).size(1) == found.size(1)


def test_substructures_are_of_the_atoms_they_are_named_after(real: ExplanationDataset) -> None:
    for number in real.explained.tolist():
        graph = real.graphs[number]
        for part in graph.node_truth_parts.t():
            atoms = sorted(ATOMS[a] for a in graph.x[part].argmax(dim=1).tolist())
            if not atoms:
                continue
            if real.name == "logic7":
                assert atoms == ["C", "F", "O"]
            else:
                assert len(atoms) == 5
                assert {"C", "O"} <= set(atoms)


def test_results_read_unions(real: ExplanationDataset) -> None:
    graphs = [real.graphs[i] for i in real.explained[:3].tolist()]
    joint = TypedGraph.read(graphs)
    own = torch.arange(
        int(graphs[0].num_nodes or 0), sum(int(g.num_nodes or 0) for g in graphs[:2])
    )
    found, expected = node_truth(joint, "graph", own), alternatives(graphs[1])
    assert found is not None
    assert expected is not None
    assert torch.equal(found, expected)


def test_unions_and_substructures_by_hand() -> None:
    parts = torch.tensor([[1, 0, 0, 0], [1, 1, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]]).bool()
    found = unions(parts)
    assert {"".join(map(str, column)) for column in found.int().t().tolist()} == {
        "1100", "0110", "1110", "0001", "1101", "0111", "1111",
    }  # fmt: skip
    shuffled = found[:, torch.tensor([3, 0, 6, 5, 1, 4, 2])]
    own = substructures(shuffled)
    assert {tuple(column) for column in own.t().tolist()} == {
        tuple(column) for column in parts[:, [0, 1, 3]].t().tolist()
    }
    with pytest.raises(DatasetError, match="not all of the unions"):
        substructures(torch.eye(3).bool())
    with pytest.raises(DatasetError, match=r"17 substructures.*node_truth \[N, K\]"):
        unions(torch.eye(17))


def test_a_small_file_by_hand(tmp_path: Path) -> None:
    np.savez(tmp_path / "logic7_graphs.npz", **arrays())
    dataset = load_dataset("logic7", tmp_path)
    two, one, chain = dataset.graphs[:3]
    assert two.node_truth_parts.int().t().tolist() == [[1] * 6 + [0] * 6, [0] * 6 + [1] * 6]
    assert one.node_truth_parts.int().t().tolist() == [[1] * 6 + [0], [0] * 7]
    assert not chain.node_truth_parts.any()


def test_what_is_wrong_with_a_file_is_named(tmp_path: Path) -> None:
    for nothing in (None, tmp_path / "nowhere", tmp_path):
        with pytest.raises(DatasetError, match=r"logic8_graphs\.npz.*google-research"):
            load_dataset("logic8", nothing)
    file = tmp_path / "logic8_graphs.npz"
    file.write_bytes(b"PK\x03\x04 and then nothing")
    with pytest.raises(DatasetError, match="is damaged"):
        load_dataset("logic8", tmp_path)
    with pytest.raises(DatasetError, match=f"root {file} is a file"):
        load_dataset("logic8", file)
    with pytest.raises(DatasetError, match="cannot be downloaded"):
        load_dataset("logic8", tmp_path, download=True)
    for change in (
        {"attribution": arrays()["attribution"] ^ 1},  # no unions of rings any more
        {"node_ptr": arrays()["node_ptr"][::-1]},
        {"num_explanations": -arrays()["num_explanations"]},
    ):
        np.savez(file, **{**arrays(), **change})
        with pytest.raises(DatasetError, match="is damaged"):
            load_dataset("logic8", tmp_path)
