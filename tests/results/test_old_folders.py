"""Folders that an earlier version wrote stay readable, to the last number.

``folders/`` was written by version 0.1.0 before the store was split into files. All of them are
about a path 0-1-2-3-4 with the edge 3-0 besides, or generated for a ring of three nodes.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import glassgraph as gg

FOLDERS = Path(__file__).parent / "folders"


def test_layer_scores_and_walks() -> None:
    found = gg.Explanations.load(FOLDERS / "gnn_lrp")
    assert repr(found) == "Explanations('gnn_lrp', 1 node predictions)"
    assert found.provenance["versions"]["glassgraph"] == "0.1.0"
    explanation = found[0]
    assert explanation.x.shape == (5, 3)
    assert explanation.edge_index.tolist() == [[0, 1, 2, 3, 3], [1, 2, 3, 4, 0]]
    assert explanation.walks.tolist() == [[3, 3, 3], [2, 3, 3], [1, 2, 3], [2, 2, 3]]
    expected = torch.tensor([-0.099084, -0.072647, 0.044332, -0.026813])
    torch.testing.assert_close(explanation.walk_scores, expected, atol=1e-6, rtol=0)
    layers = torch.tensor([[0, 0.044332, -0.072647, 0, 0], [0, 0, 0.017519, 0, 0]])
    torch.testing.assert_close(explanation.layer_edge_mask, layers, atol=1e-6, rtol=0)
    assert explanation.local.total == pytest.approx(float(explanation.walk_scores.sum()), abs=1e-6)


def test_tables_of_a_method() -> None:
    found = gg.Explanations.load(FOLDERS / "causal_screening")
    assert [each.index for each in found] == [3, 4]
    assert found[0].edge_mask.tolist() == pytest.approx([1 / 3, 2 / 3, 1, 0, 0])
    assert found[1].edge_mask.tolist() == pytest.approx([0, 1 / 3, 2 / 3, 1, 0])
    steps = found.table("steps")
    assert steps["position"].tolist() == [0, 0, 0, 1, 1, 1]


@pytest.mark.parametrize("name", ["gnn_lrp", "causal_screening"])
def test_what_is_written_again_is_the_same(name: str, tmp_path: Path) -> None:
    gg.Explanations.load(FOLDERS / name).save(tmp_path)
    old = {path.name: path.read_bytes() for path in (FOLDERS / name).iterdir()}
    new = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert set(old) == set(new)
    for file in old:
        if not file.endswith(".parquet"):  # the version of its writer is part of a Parquet file
            assert new[file] == old[file]


def test_generated_graphs() -> None:
    found = gg.ModelExplanation.load(FOLDERS / "xgnn")
    assert repr(found) == "ModelExplanation('xgnn', class 1, 2 graphs, best 0.731)"
    assert [graph.num_edges for graph in found] == [3, 3]
    assert [graph.taken for graph in found] == [3, 3]
    assert found[0].steps[2].end == 2
    torch.testing.assert_close(found[0].at(3).edge_index, found[0].edge_index)
