"""The trust study in small: what is read, what counts as right, and that the method finds it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch_geometric.data import Data

import glassgraph as gg
from glassgraph.datasets.trust import trust
from glassgraph.errors import DatasetError, UnknownMethodError
from glassgraph_studies.reproduce.pgm import experiment as study
from tests.cli.helpers import run

ROWS = [(7, 5, 10), (9, 5, -2), (5, 9, -3), (30, 9, -10), (30, 7, 4), (7, 30, 1), (9, 30, -1)]


def write(folder: Path, rows: Any, name: str = "bitcoinalpha.csv") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["SOURCE,TARGET,RATING,TIME", *(f"{s},{t},{r},1" for s, t, r in rows)]
    (folder / name).write_text("\n".join(lines) + "\n")
    return folder


def ratings(num_traders: int = 90, seed: int = 0) -> list[tuple[int, int, int]]:
    """Every third trader is rated badly by most; the others well."""
    rng = np.random.default_rng(seed)
    found = []
    for trader in range(num_traders):
        others = rng.permutation([each for each in range(num_traders) if each != trader])
        for rater in others[: rng.integers(6, 10)]:
            is_good = (trader % 3 != 0) != (rng.random() < 0.15)
            found.append((int(rater), trader, int(rng.integers(1, 11) * (1 if is_good else -1))))
    return found


def test_a_file_by_hand(tmp_path: Path) -> None:
    dataset = trust("bitcoin-alpha", write(tmp_path / "deep", ROWS).parent)
    graph = dataset.graphs[0]
    # Traders 5, 7, 9, 30 become 0, 1, 2, 3.
    assert graph.edge_index.tolist() == [[1, 2, 0, 3, 3, 1, 2], [0, 0, 2, 2, 1, 3, 3]]
    assert graph.edge_weight.tolist() == pytest.approx([1, -0.2, -0.3, -1, 0.4, 0.1, -0.1])
    assert graph.y.tolist() == [1, 1, 0, 0]
    assert 3 not in torch.cat(list(dataset.split.values()))  # its ratings cancel
    assert graph.ground_truth_edge_mask.tolist() == [True, False, True, True, True, False, False]
    assert dataset.truth(2).nonzero().view(-1).tolist() == [2, 3]
    assert graph.x[2].tolist() == pytest.approx([1, float(np.log(3)), -0.15, 1])
    assert graph.x[3].tolist() == pytest.approx([1, float(np.log(3)), -0.3, 0.5])


@pytest.mark.parametrize(
    ("rows", "message"), [([(1, 2, 11)], "got 11"), ([], "got none"), ([(1, 2, "x")], "whole")]
)
def test_files_that_hold_something_else(rows: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=message):
        trust("bitcoin-alpha", write(tmp_path, rows))


def test_files_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"no bitcoinotc\.csv in"):
        trust("bitcoin-otc", tmp_path)
    with pytest.raises(DatasetError, match="unknown network 'bitcoin'"):
        trust("bitcoin", tmp_path)


def test_precision_and_recall_by_hand() -> None:
    local = gg.LocalExplanation(
        index=30, graph=0, target=0, prediction=torch.zeros(2), label=0, seeds=torch.tensor([30]),
        node_id=torch.tensor([10, 20, 30, 40, 50]), node_type=None, edge_id=torch.arange(0),
        edge_type=None, edge_index=torch.zeros(2, 0).long(), edge_score=None,
        layer_edge_score=None, node_score=torch.tensor([0.1, 0.9, 5.0, 0.5, 0.3]),
        feature_score=None, edge_truth=None,
    )  # fmt: skip
    truth = torch.tensor([False, True, False, False, True])
    assert study.precision_at(local, truth, 1) == 1
    assert study.precision_at(local, truth, 2) == 0.5
    assert study.precision_at(local, truth, 3) == pytest.approx(2 / 3)
    tied = replace(local, node_score=torch.tensor([0.0, 0.9, 0.0, 0.0, 0.0]))
    assert study.precision_at(tied, truth, 3) == pytest.approx((1 + 2 / 3) / 3)
    motif = torch.tensor([True, True, True, False, False])
    assert study.recall_at(local, motif, 3) == pytest.approx(2 / 3)
    assert study.recall_at(local, motif, 8) == 3 / 8


def test_right_nodes_are_raters_of_the_right_sign(tmp_path: Path) -> None:
    dataset = trust("bitcoin-alpha", write(tmp_path, ROWS))

    def model(x: Any, edge_index: Any, edge_weight: Any) -> Any:
        total = torch.zeros_like(x[:, :1]).index_add(
            0, edge_index[1], edge_weight.view(-1, 1) * x[edge_index[0], :1]
        )
        return torch.cat([-total, total], dim=1)

    local = gg.PGMExplainer(model, num_hops=1, progress=False).explain(dataset.graphs[0], [0])
    right = study.right_nodes(dataset, local.local(0))
    assert local.local(0).node_id[right].tolist() == [1]


@pytest.mark.slow("right nodes and measures by hand stand above")
def test_the_study_in_small(tmp_path: Path) -> None:
    write(tmp_path / "data", ratings())
    result = run(
        "reproduce", "pgm", "--root", tmp_path / "data", "--network", "bitcoin-alpha", "--seeds", 2,
        "--nodes", 8, "--samples", 60, "--no-motifs", "--json", tmp_path / "rows.json", "--quiet",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    rows = json.loads((tmp_path / "rows.json").read_text())
    assert [(row["seed"], row["row"]) for row in rows] == [
        (seed, row) for seed in (0, 1) for row in study.ROWS
    ]
    by_row = {row["row"]: row for row in rows}
    assert by_row["causes"]["precision"][0] > by_row["random"]["precision"][0]
    assert by_row["saliency"]["precision"][0] > 60
    assert rows[0]["published"] == list(study.PUBLISHED["bitcoin-alpha"])
    mean = (rows[0]["precision"][0] + rows[4]["precision"][0]) / 2
    line = next(line for line in result.stdout.splitlines() if "pgm_explainer" in line)
    assert "87.3/85.7/84.8" in line
    assert f" {mean:.1f}/" in line
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_mistakes_are_told_before_anything_is_trained(tmp_path: Path) -> None:
    with pytest.raises(UnknownMethodError, match="no row 'lime'"):
        list(study.run_trust(tmp_path, rows=["lime"]))
    few = write(tmp_path, [(s, t, 5 if t % 2 else -5) for t in range(30) for s in (40, 41)])
    with pytest.raises(DatasetError, match="no test node has 5 ratings"):
        list(study.run_trust(few, ["bitcoin-alpha"], [0], nodes=4, progress=False))


def test_motif_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    def sees(x: Any, edge_index: Any) -> Any:
        total = torch.zeros_like(x).index_add(0, edge_index[1], x[edge_index[0]]).sum(1, True)
        return torch.cat([12 - total, total - 12], dim=1)

    class Known:
        model = staticmethod(sees)

    monkeypatch.setattr(study, "reference_model", lambda *_, **__: Known)
    (row,) = study.run_motifs(["tree-cycles"], samples=60, progress=False)
    assert 0 <= row["recall"] <= 100
    assert row["recall"] > 100 / 6  # more than the explained node alone
    assert row["published"] == 95.4


def test_the_networks_have_their_known_sizes(shared: Path) -> None:
    for name, nodes, edges, negative in (
        ("bitcoin-alpha", 3783, 24186, 1536),
        ("bitcoin-otc", 5881, 35592, 3563),
    ):
        graph: Data = trust(name, shared / "data" / "bitcoin_trust").graphs[0]
        assert (graph.num_nodes, graph.num_edges) == (nodes, edges)
        assert int((graph.edge_weight < 0).sum()) == negative
