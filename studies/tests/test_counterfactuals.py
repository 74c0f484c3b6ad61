"""The study of counterfactuals on tiny graphs: its arithmetic, its loop, its rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch_geometric.utils import to_dense_adj

import glassgraph as gg
from glassgraph_studies.reference.cf_gnn_explainer import Settings, literal_counterfactual
from glassgraph_studies.reproduce.counterfactuals.experiment import (
    EXACT,
    Scene,
    run_counterfactuals,
)
from glassgraph_studies.reproduce.counterfactuals.networks import PUBLISHED, read_subject
from tests.cli.helpers import run


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random network of their shape, and a graph of eleven nodes."""
    folder = tmp_path_factory.mktemp("shared")
    (folder / "cf_gnnexplainer").mkdir()
    (folder / "synthetic_reference").mkdir()
    draw = torch.Generator().manual_seed(2)
    weights = {}
    for name, shape in (("gc1", (10, 20)), ("gc2", (20, 20)), ("gc3", (20, 20))):
        weights[f"{name}.weight"] = torch.randn(shape, generator=draw)
        weights[f"{name}.bias"] = torch.randn(shape[1], generator=draw)
    weights["lin.weight"] = torch.randn(2, 60, generator=draw)
    weights["lin.bias"] = torch.zeros(2)
    save_file(weights, folder / "cf_gnnexplainer" / "gcn_3layer_Tree-Cycles.safetensors")
    edges = torch.combinations(torch.arange(11))
    edges = edges[torch.randperm(len(edges), generator=draw)[:13]]
    np.savez(
        folder / "synthetic_reference" / "syn3_Tree-Cycles.npz",
        edges=edges.numpy(),
        num_nodes=11,
    )
    return folder


def test_the_network_is_the_same_on_edges_and_on_matrices(root: Path) -> None:
    subject = read_subject(root, "tree-cycles")
    assert subject.index.tolist() == [0, 5, 10]
    x, ends = subject.data.x, subject.data.edge_index
    with torch.no_grad():
        sparse = subject.model(x, ends)
    torch.testing.assert_close(subject.dense(x, to_dense_adj(ends)[0]), sparse)


def test_the_literal_loop_finds_a_counterfactual(root: Path) -> None:
    subject = read_subject(root, "tree-cycles")
    scene = Scene.make(subject, 5, 5000, 0, progress=False)
    scene.row(EXACT)
    for node, least in zip(subject.index.tolist(), scene.least.tolist(), strict=True):
        x, ends = subject.data.x, subject.data.edge_index
        size = literal_counterfactual(subject.dense, x, ends, node, Settings(epochs=60))
        assert size is None or size >= least


def test_rows(root: Path) -> None:
    rows = list(
        run_counterfactuals(root, ["tree-cycles"], ["occlusion"], literal=1, progress=False)
    )
    assert [row["row"] for row in rows] == [EXACT, "occlusion"]
    assert rows[0]["exact"] in (1.0, None)
    for row in rows:
        assert row["nodes"] == 3
        assert row["published"] == PUBLISHED["tree-cycles"]
        assert 0 <= row["fidelity"] <= 1
        assert row["speedup"] > 0


def test_nodes_at_deleted_edges_by_hand(root: Path) -> None:
    subject = read_subject(root, "tree-cycles")
    scene = Scene.make(subject, 5, 100, 0, progress=False)
    node, first, second = 0, 3, 4
    scene.predicted = torch.zeros(11, dtype=torch.long)
    ends = torch.tensor([[node, first, second, 9], [first, second, node, node]])
    subject.data.edge_index = ends
    found = gg.Counterfactual(
        node, torch.tensor([0, 1]), None, 2, 4, True, 1, 0.9, 0.1, True, subject.data
    )
    assert scene._accuracy(found) is None  # not predicted in a motif
    scene.predicted[torch.tensor([node, first])] = 1
    assert scene._accuracy(found) == 0.5  # of 3 and 4


def test_what_is_not_there_is_named(root: Path) -> None:
    with pytest.raises(gg.errors.UnknownMethodError, match="there is no row 'saliency'"):
        list(run_counterfactuals(root, rows=["saliency"]))
    with pytest.raises(gg.errors.DatasetError, match="there is no network for 'cora'"):
        read_subject(root, "cora")
    with pytest.raises(gg.errors.DatasetError, match=r"Tree-Grid\.safetensors is missing"):
        read_subject(root, "tree-grid")


def test_the_command_prints_published_beside_measured(root: Path) -> None:
    result = run(
        "reproduce", "counterfactuals", "--root", root, "--dataset", "tree-cycles",
        "--row", "cf_gnn_explainer", "--literal", 0, "--quiet",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    line = next(each for each in result.stdout.splitlines() if "cf_gnn_explainer" in each)
    assert "0.21" in line
    assert max(map(len, result.stdout.splitlines())) <= 80
