"""``glassgraph explain --dataset``: training, its bar, and saved weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import glassgraph as gg
from glassgraph.models import reference
from tests.cli.helpers import run


@pytest.fixture
def hasty(monkeypatch: Any) -> None:
    """Train three epochs instead of thousands."""
    monkeypatch.setattr(reference, "_DEFAULTS", {"node": {"epochs": 3}, "graph": {"epochs": 3}})
    monkeypatch.setattr(reference, "ATTEMPTS", 1)
    monkeypatch.setattr("glassgraph.cli.training._TRAINING", {"node": {"epochs": 3}})


def words(out: Path, *more: object) -> tuple[object, ...]:
    return ("explain", "--dataset", "tree-cycles", "--method", "saliency", "--out", out, *more)


@pytest.mark.usefixtures("hasty")
def test_a_missed_bar_is_said_and_recorded(tmp_path: Path) -> None:
    result = run(*words(tmp_path, "--quiet"))
    assert result.exit_code == 0
    assert "Warning: the model reaches a test accuracy of" in result.stderr
    assert "below the 0.95 that tree-cycles asks for" in result.stderr
    record = json.loads((tmp_path / "metrics.json").read_text())
    assert record["model"]["accuracy_reached"] is False
    assert record["model"]["accuracy_required"] == 0.95
    assert record["methods"][0]["instances"] == 60, "the data set's default instances"
    assert record["methods"][0]["auc"] is not None


@pytest.mark.usefixtures("hasty")
def test_trained_weights_can_be_used_again(tmp_path: Path) -> None:
    assert run(*words(tmp_path / "a", "--model", "gin", "--index", "300:303")).exit_code == 0
    weights = tmp_path / "a" / "model.safetensors"
    result = run(*words(tmp_path / "b", "--weights", weights, "--index", "300:303"))
    assert result.exit_code == 0, result.output
    prints = [
        gg.Explanations.load(tmp_path / name / "saliency").provenance["model_fingerprint"]
        for name in ("a", "b")
    ]
    assert prints[0] == prints[1]
    assert not (tmp_path / "b" / "model.safetensors").exists()
    result = run(*words(tmp_path / "c", "--weights", weights, "--model", "gat"))
    assert result.exit_code == 2
    assert "--model gat" in result.stderr
    assert "holds a gin" in result.stderr
    result = run(
        "explain", "--dataset", "ba-2motifs", "--weights", weights, "--method", "saliency",
        "--out", tmp_path / "d",
    )  # fmt: skip
    assert result.exit_code == 2
    assert "the model takes 10 features, 2 classes at the node level" in result.stderr


def test_options_that_do_not_fit_the_data_set(tmp_path: Path) -> None:
    for more, message in (
        (("--task", "graph"), "--task graph does not fit tree-cycles"),
        (("--root", tmp_path), "it takes no root"),
        (("--model", "rgcn"), "needs edge types, which tree-cycles lacks"),
    ):
        result = run(*words(tmp_path / "out", *more))
        assert result.exit_code == 2
        assert message in result.stderr
    result = run("explain", "--dataset", "nothing", "--method", "random", "--out", tmp_path / "o")
    assert "unknown data set 'nothing'" in result.stderr
