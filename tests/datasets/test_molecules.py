"""MUTAG and Mutagenicity, read from raw files, with the truth that belongs to each edge."""

import shutil

import pytest
import torch

from glassgraph.datasets import load_dataset
from glassgraph.datasets.molecules import MUTAG_ATOMS, MUTAGENICITY_ATOMS
from glassgraph.errors import DatasetError
from tests.datasets.card import check_card


@pytest.fixture(scope="module")
def mutag(shared):
    return load_dataset("mutag", shared / "data" / "mutag_tud")


@pytest.fixture(scope="module")
def mutagenicity(shared):
    return load_dataset("mutagenicity", shared / "data" / "mutagenicity_tud")


def symmetric(data):
    """Whether every marked edge is marked in both directions, in the same motif."""
    marked = data.ground_truth_edge_mask.nonzero().view(-1).tolist()
    of = {tuple(data.edge_index[:, i].tolist()): int(data.edge_motif[i]) for i in marked}
    return all(of.get((b, a)) == number for (a, b), number in of.items())


def test_mutag_counts(mutag):
    assert (len(mutag.graphs), mutag.num_features, mutag.num_classes) == (188, 7, 2)
    assert sum(g.num_nodes for g in mutag.graphs) == 3371
    assert sum(g.num_edges for g in mutag.graphs) == 7442
    assert sum(int(g.y) for g in mutag.graphs) == 125
    assert mutag.graphs[0].edge_attr.shape[1] == 4
    check_card(mutag)
    assert [len(mutag.split[part]) for part in ("train", "val", "test")] == [150, 18, 20]


def test_mutag_explains_the_mutagens_and_their_394_nitro_bonds(mutag):
    assert all(int(mutag.graphs[i].y) == 1 for i in mutag.explained.tolist())
    assert len(mutag.explained) == 125
    assert sum(int(mutag.truth(i).sum()) for i in mutag.explained.tolist()) == 2 * 394


def test_every_nitro_group_is_one_nitrogen_and_two_oxygens(mutag):
    for data in mutag.graphs:
        assert symmetric(data)
        for number in range(int(data.node_motif.max()) + 1):
            atoms = data.x[data.node_motif == number].argmax(dim=1).tolist()
            assert sorted(MUTAG_ATOMS[a] for a in atoms) == ["N", "O", "O"]
            assert int((data.edge_motif == number).sum()) == 4


def test_edge_type_is_the_number_of_the_bond(mutag):
    data = mutag.graphs[5]
    assert torch.equal(data.edge_attr, torch.nn.functional.one_hot(data.edge_type, 4).float())


@pytest.mark.slow("the same reader: test_mutag_counts and those after it")
def test_mutagenicity_counts(mutagenicity):
    graphs = mutagenicity.graphs
    assert (len(graphs), mutagenicity.num_features) == (4337, 14)
    assert sum(g.num_nodes for g in graphs) == 131488
    assert sum(g.num_edges for g in graphs) == 266894
    assert sum(int(g.ground_truth_edge_mask.sum()) for g in graphs) == 7352
    assert sum(bool(g.ground_truth_edge_mask.any()) for g in graphs) == 1356
    assert len(mutagenicity.explained) == 1015
    check_card(mutagenicity)
    assert all(int(graphs[i].y) == 0 for i in mutagenicity.explained.tolist())


@pytest.mark.slow("the same reader: test_mutag_counts and those after it")
def test_mutagenicity_truth_is_aligned_with_the_edges(mutagenicity):
    # A truth file that had kept its own order would mark other bonds than N-O and N-H.
    seen = set()
    for i in mutagenicity.explained.tolist():
        data = mutagenicity.graphs[i]
        assert symmetric(data)
        atoms = data.x.argmax(dim=1)[data.edge_index[:, data.ground_truth_edge_mask]]
        seen |= {frozenset(pair) for pair in atoms.T.tolist()}
    named = {frozenset(MUTAGENICITY_ATOMS[a] for a in pair) for pair in seen}
    assert named == {frozenset("NO"), frozenset("NH")}


def test_root_may_be_the_tudataset_layout(shared, tmp_path, mutag):
    raw = tmp_path / "MUTAG" / "raw"
    shutil.copytree(shared / "data" / "mutag_tud", raw)
    again = load_dataset("mutag", tmp_path)
    assert torch.equal(again.graphs[17].edge_index, mutag.graphs[17].edge_index)


@pytest.mark.parametrize("name", ["mutag", "mutagenicity"])
def test_missing_folder_says_where_it_looked_and_what_to_do(tmp_path, name):
    with pytest.raises(DatasetError, match=r"_A\.txt.*raw.*pass root=.*download=True") as error:
        load_dataset(name, tmp_path / "nowhere")
    assert str(tmp_path / "nowhere") in str(error.value)


def test_missing_truth_file_names_its_origin(shared, tmp_path):
    for file in (shared / "data" / "mutagenicity_tud").glob("Mutagenicity_*.txt"):
        if not file.name.endswith("edge_gt.txt"):
            (tmp_path / file.name).symlink_to(file)
    with pytest.raises(DatasetError, match=r"lacks Mutagenicity_edge_gt\.txt.*PGExplainer"):
        load_dataset("mutagenicity", tmp_path)


def test_damaged_file_is_reported(shared, tmp_path):
    for file in (shared / "data" / "mutag_tud").glob("MUTAG_*.txt"):
        shutil.copyfile(file, tmp_path / file.name)
    (tmp_path / "MUTAG_node_labels.txt").write_text("0\n1\n")
    with pytest.raises(DatasetError, match="MUTAG"):
        load_dataset("mutag", tmp_path)


def test_failed_download_is_a_dataset_error(monkeypatch, tmp_path):
    def refuse(root, name):
        raise OSError("no route to host")

    monkeypatch.setattr("glassgraph.datasets.molecules.TUDataset", refuse)
    with pytest.raises(DatasetError, match=r"could not download MUTAG.*no route to host"):
        load_dataset("mutag", tmp_path, download=True)
