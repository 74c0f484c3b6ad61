"""``glassgraph bench``: what commands hand to the measurements, and the tables they print."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from glassgraph_studies.bench.speed import experiment
from tests.cli.helpers import run

ROW = {
    "dataset": "tree-cycles",
    "method": "saliency",
    "peer": "pyg",
    "instances": 7,
    "ours_s_per_instance": 0.0025,
    "peer_s_per_instance": 0.01,
    "ratio": 4.0,
    "ours_auc": 0.75,
    "peer_auc": float("nan"),
    "saliency_auc": None,
    "max_difference": None,
    "repeats": 2,
    "threads": 3,
}
PEERS = {"saliency": "pyg", "attention": "pyg", "lrp": "literal", "cam": "literal"}


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the command hands to a study that measures one row."""
    options: dict[str, Any] = {}

    def study(**given: Any) -> Iterator[dict[str, Any]]:
        options.clear()
        options.update(given, threads=torch.get_num_threads())
        yield ROW

    monkeypatch.setattr(experiment, "run_speed_bench", study)
    monkeypatch.setattr("glassgraph_studies.reference.peers.PEERS", PEERS)
    return options


def test_bench_passes_its_options_on(tmp_path: Path, seen: dict[str, Any]) -> None:
    result = run(
        "bench", "speed", "--peer", "pyg", "--dataset", "tree-cycles", "--dataset", "mutag",
        "--method", "saliency", "--instances", 7, "--repeats", 2, "--threads", 3, "--seed", 5,
        "--root", tmp_path, "--json", tmp_path / "rows.json", "--quiet",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert seen == {
        "datasets": ["tree-cycles", "mutag"],
        "methods": ["saliency"],
        "instances": 7,
        "repeats": 2,
        "threads": 3,
        "device": "cpu",
        "seed": 5,
        "root": tmp_path,
        "progress": False,
    }
    assert result.stderr == ""  # the row is kept, and not said
    assert json.loads((tmp_path / "rows.json").read_text()) == [{**ROW, "peer_auc": None}]
    assert "4.0x" in result.stdout
    without_root = run("bench", "speed")
    assert f"method {ROW['method']}" in without_root.stderr
    assert "datasets" not in seen  # the study's own
    assert seen["methods"] == list(PEERS)
    assert seen["instances"] == 100
    assert "mutag is left out" in without_root.output


def test_bench_takes_several_methods_in_every_form(seen: dict[str, Any]) -> None:
    for words in (
        ["--method", "lrp,cam", "--method", "saliency"],
        ["--methods", "lrp, cam,saliency,lrp"],
    ):
        assert run("bench", "speed", *words).exit_code == 0
        assert seen["methods"] == ["lrp", "cam", "saliency"]


def test_bench_chooses_methods_by_their_peer(seen: dict[str, Any]) -> None:
    for peer in ("pyg", "literal"):
        assert run("bench", "speed", "--peer", peer).exit_code == 0
        assert seen["methods"] == [name for name in PEERS if PEERS[name] == peer]
    result = run("bench", "speed", "--peer", "pyg", "--method", "saliency,lrp")
    assert result.exit_code == 2
    assert "lrp is measured beside 'literal', not 'pyg'" in result.stderr


def test_bench_shows_a_table_for_each_peer(
    seen: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    literal = {
        **ROW,
        "dataset": "ba-community",
        "method": "excitation_backprop",
        "instances": 100,
        "peer": "literal",
        "peer_s_per_instance": 2.58871,
        "ratio": 412.2,
        "max_difference": 3e-7,
    }
    rows = [ROW, literal]
    monkeypatch.setattr(experiment, "run_speed_bench", lambda **_: iter(rows))
    text = run("bench", "speed", "--quiet").stdout
    assert "beside PyG" in text
    assert "beside literal" in text
    assert "3e-07" in text
    assert "excitation_backprop" in text
    assert "…" not in text  # it fits 80 columns


def test_bench_knows_two_peers() -> None:
    result = run("bench", "speed", "--peer", "dig")
    assert result.exit_code == 2
    assert "--peer must be one of pyg, literal; got 'dig'" in result.stderr


def test_bench_walks_writes_its_rows(tmp_path: Path) -> None:
    result = run(
        "bench",
        "walks",
        "--layers",
        2,
        "--top",
        3,
        "--repeats",
        1,
        "--json",
        tmp_path / "rows.json",
    )
    assert result.exit_code == 0, result.output
    (row,) = json.loads((tmp_path / "rows.json").read_text())
    assert (row["layers"], row["walks"]) == (2, 3)
    assert "num_walks" in result.output
