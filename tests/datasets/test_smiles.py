"""Molecules from SMILES and from alphabets: atoms and bonds have their words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch_geometric.data import Data

from glassgraph.datasets import from_smiles, name_atoms, read_smiles
from glassgraph.datasets.chemistry import ELEMENTS
from glassgraph.errors import DatasetError

PAIR = torch.tensor([[0, 1], [1, 0]])


def test_atomic_numbers_count_from_hydrogen() -> None:
    assert [ELEMENTS[z - 1] for z in (1, 6, 7, 8, 17, 26, 79, 92, 118)] == (
        ["H", "C", "N", "O", "Cl", "Fe", "Au", "U", "Og"]
    )


def test_a_molecule_has_elements_bonds_and_its_smiles() -> None:
    found = from_smiles("C=CC#N")
    assert found.node_names == ["C", "C", "C", "N"]
    words = {
        tuple(sorted(ends)): word
        for ends, word in zip(found.edge_index.t().tolist(), found.edge_names, strict=True)
    }
    assert words == {(0, 1): "double", (1, 2): "single", (2, 3): "triple"}
    assert found.smiles == "C=CC#N"


def test_rings_are_aromatic_and_hydrogens_are_asked_for() -> None:
    assert set(from_smiles("c1ccccc1").edge_names) == {"aromatic"}
    assert set(from_smiles("c1ccccc1", kekulize=True).edge_names) == {"single", "double"}
    assert sorted(from_smiles("O", hydrogens=True).node_names) == ["H", "H", "O"]
    assert from_smiles("[Na+].[Cl-]").node_names == ["Na", "Cl"]
    assert from_smiles("*C").node_names == ["*", "C"]


@pytest.mark.parametrize("smiles", ["", "   ", "C1CC", "no molecule", None, 7])
def test_what_is_no_smiles_is_named(smiles: Any) -> None:
    with pytest.raises(DatasetError, match="no SMILES that RDKit can read"):
        from_smiles(smiles)


def test_a_table_with_labels_and_names(tmp_path: Path) -> None:
    path = tmp_path / "molecules.csv"
    path.write_text('id,SMILES,active\nethanol,CCO,1\n"a, b",C#N,0.5\n', encoding="utf-8")
    one, other = read_smiles(path, label="active", name="id")
    assert (one.graph_name, one.y.tolist(), one.num_nodes) == ("ethanol", [1], 3)
    assert (other.graph_name, other.y.tolist()) == ("a, b", [0.5])


def test_lines_of_smiles_with_names(tmp_path: Path) -> None:
    path = tmp_path / "molecules.smi"
    path.write_text("CCO ethyl alcohol\n\nC\n", encoding="utf-8")
    one, other = read_smiles(path)
    assert (one.graph_name, other.graph_name) == ("ethyl alcohol", "")


@pytest.mark.parametrize(
    ("text", "options", "words"),
    [
        ("smiles\nCC\nbad(\n", {}, r"line 3 \('bad\('\)"),
        ("molecule\nCC\n", {}, "no column 'smiles'; it has 'molecule'"),
        ("smiles\nCC\n", {"label": "y"}, "no column 'y'"),
        ("smiles,y\nCC,high\n", {"label": "y"}, "y is 'high', which is no number"),
        ("smiles\n", {}, "holds no molecule"),
        ("", {}, "no column 'smiles'"),
    ],
)
def test_what_a_table_lacks_is_named(
    tmp_path: Path, text: str, options: dict[str, Any], words: str
) -> None:
    path = tmp_path / "molecules.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DatasetError, match=words):
        read_smiles(path, **options)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="cannot be read"):
        read_smiles(tmp_path / "nothing.csv")


def test_alphabets_name_one_hot_rows_and_the_graph_stays_as_it_was() -> None:
    graph = Data(
        x=torch.tensor([[1.0, 0, 9], [0, 1, 9]]),  # a further column is no part of the alphabet
        edge_index=PAIR,
        edge_attr=torch.eye(2)[[1, 1]],
    )
    found = name_atoms(graph, ["N", "O"], ["single", "double"])
    assert (found.node_names, found.edge_names) == (["N", "O"], ["double", "double"])
    assert "node_names" not in graph
    assert found.x is graph.x


def test_numbers_are_named_by_dictionaries() -> None:
    graph = Data(x=torch.tensor([[0, 6.0], [1, 8.0]]), edge_index=PAIR, edge_type=PAIR[0])
    assert name_atoms(graph, column=1).node_names == ["C", "O"]
    found = name_atoms(graph, {0: "S", 1: "Cl"}, {0: "single", 1: "triple"})
    assert (found.node_names, found.edge_names) == (["S", "Cl"], ["single", "triple"])


@pytest.mark.parametrize(
    ("graph", "arguments", "words"),
    [
        ({"x": torch.ones(2, 2)}, (["C", "N"],), "row 0 of x is not one-hot"),
        ({"x": torch.eye(2)}, (["C", "N", "O"],), "alphabet of 3 words"),
        ({"x": torch.eye(2)}, (["C", "Carbon"],), "'Carbon': no element"),
        ({"x": torch.tensor([[500.0], [6.0]])}, (), "no word for the atoms 500"),
        ({"x": torch.tensor([[6.5], [6.0]])}, (), "no word for the atoms"),
        ({}, (["C"],), "needs a tensor x"),
        ({"x": torch.eye(2)}, (["C", "N"], ["single"]), "needs a tensor edge_attr"),
        ({"z": torch.tensor([6, 8]), "edge_attr": torch.ones(2, 1)}, (None, ["-"]), "'-': no bond"),
    ],
)
def test_what_does_not_fit_an_alphabet_is_named(
    graph: dict[str, Any], arguments: tuple[Any, ...], words: str
) -> None:
    with pytest.raises(DatasetError, match=words):
        name_atoms(Data(edge_index=PAIR, num_nodes=2, **graph), *arguments)
