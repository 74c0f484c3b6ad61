"""GraphLIME's first experiment in small: noise of known place, picks of known number."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from glassgraph.errors import HyperParameterError, OutputError
from glassgraph_studies.reproduce.graph_lime import experiment as study
from glassgraph_studies.reproduce.graph_lime.study import tables
from studies.tests.citations import NODES, WORDS, citations
from tests.cli.helpers import run


def test_noise_is_appended_and_words_are_shares() -> None:
    plain = citations()
    noisy = study.with_noise(plain, seed=3, num_noise=5)
    x = noisy.graphs[0].x
    assert x.shape == (NODES, WORDS + 5)
    sums = x[:, :WORDS].sum(dim=1)
    assert torch.allclose(sums, (plain.graphs[0].x.sum(dim=1) > 0).float())
    assert torch.allclose(x[:, WORDS:].mean(dim=1), torch.zeros(NODES), atol=1e-6)
    assert [len(noisy.split[part]) for part in ("train", "val", "test")] == [42, 6, 12]
    assert torch.equal(x, study.with_noise(plain, seed=3, num_noise=5).graphs[0].x)


def test_picks_are_the_best_above_zero() -> None:
    scores = torch.tensor([[0.0, 3.0, 1.0, 2.0], [0.0, 0.0, 4.0, 0.0]])
    assert study.picks(scores, 2).tolist() == [
        [False, True, False, True],
        [False, False, True, False],
    ]


@pytest.mark.filterwarnings(
    "ignore::glassgraph.explainers.surrogate.graph_lime.ConstantPredictionWarning"
)
def test_rows_count_noise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study, "PICKED", 8)
    rows = list(study.run_graph_lime(
        tmp_path, nodes=9, epochs=60, rows=["graph_lime", "saliency", "random"], progress=False,
        dataset=citations(),
    ))  # fmt: skip
    for row in rows:
        assert sum(row["counts"]) == row["nodes"] == 9
        mean = sum(number * count for number, count in enumerate(row["counts"])) / 9
        assert row["mean_noise"] == pytest.approx(mean)
        assert row["none"] == row["counts"][0] / 9
        assert row["picked"] <= 8
    assert rows[2]["picked"] == 8
    assert rows[0]["picked"] < 8
    json.dumps(rows)
    (table,) = tables(rows)
    assert [float(table.columns[1].cell(row)) for row in rows] == [
        pytest.approx(row["mean_noise"], abs=0.005) for row in rows
    ]
    study.save_figure(rows, tmp_path / "picks.png")
    assert (tmp_path / "picks.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(OutputError):
        study.save_figure(rows, tmp_path / "picks.png" / "below.png")


def test_misses_are_told() -> None:
    def row(name: str, mean: float, accuracy: float = 0.9) -> dict[str, object]:
        return {"row": name, "mean_noise": mean, "test_accuracy": accuracy}

    assert study.missed([row("graph_lime", 0.1), row("random", 1.7)]) == []
    assert study.missed([row("graph_lime", 1.8), row("random", 1.7)]) == ["random picks 1.70"]
    assert study.missed([row("saliency", 1.0, 0.5)]) == ["test accuracy 0.500"]


def test_mistakes_are_told_before_anything_is_trained(tmp_path: Path) -> None:
    with pytest.raises(HyperParameterError, match="no row 'lime'"):
        list(study.run_graph_lime(tmp_path, rows=["lime"]))
    result = run("reproduce", "graph-lime", "--root", tmp_path, "--figure", tmp_path / "picks.gif")
    assert result.exit_code == 2
    assert "must end in" in result.stderr
