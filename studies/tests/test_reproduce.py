"""``glassgraph reproduce`` in a tiny version."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.helpers import run


def test_star_graphs_prints_published_beside_measured(tmp_path: Path) -> None:
    result = run(
        "reproduce", "star-graphs", "--seeds", 2, "--graphs", 60,
        "--method", "integrated_gradients", "--json", tmp_path / "rows.json",
        "--figure", tmp_path / "star.png",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    rows = json.loads((tmp_path / "rows.json").read_text())
    assert [(row["method"], row["seed"]) for row in rows] == [
        ("integrated_gradients", 0),
        ("integrated_gradients", 1),
    ]
    assert rows[0]["test_graphs"] == 3
    mean = (rows[0]["f1"] + rows[1]["f1"]) / 2
    line = next(line for line in result.stdout.splitlines() if "Integrated gradients" in line)
    assert "88.3/93.5/90.8" in line
    assert f"{mean:.1f}±" in line
    assert line.split()[-1] == f"{min(rows[0]['f1'], rows[1]['f1']):.1f}"
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert (tmp_path / "star.png").read_bytes().startswith(b"\x89PNG")
    assert "seed 1: accuracy of the network" in result.stderr


def test_quiet_says_nothing_but_the_table(tmp_path: Path) -> None:
    result = run(
        "reproduce", "star-graphs", "--seeds", 1, "--graphs", 40, "--quiet",
        "--method", "integrated_gradients",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    assert result.stdout.splitlines()[0].rstrip().endswith("mean ± std of 1 seed")


def test_mistakes_are_one_line_before_anything_is_trained(tmp_path: Path) -> None:
    for words, message in (
        (["--method", "saliency"], "there is no row 'saliency'"),
        (["--figure", tmp_path / "star.gif"], "must end in .pdf, .png, .svg"),
        (["--json", tmp_path], "it is a folder"),
    ):
        result = run("reproduce", "star-graphs", *words)
        assert result.exit_code == 2
        assert message in result.stderr
        assert "train" not in result.stderr
