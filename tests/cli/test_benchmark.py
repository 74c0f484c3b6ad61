"""``glassgraph benchmark``: what it prints, keeps and refuses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from glassgraph.benchmarks import read_rows
from tests.benchmarks.stars import known
from tests.cli.helpers import run

SUITE = """
name = "tiny"
instances = 11
time_limit = 30
datasets = ["stars"]
methods = ["random", "truth", "cam", "hangs"]
metrics = ["accuracy", {name = "fidelity", top_k = [2]}]
"""


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("COLUMNS", "80")
    with known():
        yield


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.toml"
    path.write_text(SUITE, encoding="utf-8")
    return path


def test_it_measures_prints_and_goes_on(file: Path, tmp_path: Path) -> None:
    options = ["--suite", file, "--methods", "random,truth,cam", "--out", tmp_path / "out"]
    first = run("benchmark", *options, "--seeds", 1)
    assert first.exit_code == 0, first.output
    lines = first.stdout.splitlines()
    assert max(len(line) for line in lines if not line.startswith("leaderboard")) <= 80
    assert (tmp_path / "out" / "leaderboard.html").exists()
    (truth,) = (line for line in lines if line.split()[:1] == ["truth"])
    assert "1.000*" in truth
    assert "cam on stars: not_applicable: cam explains graph predictions" in first.stdout
    assert "[3/3]" in first.stderr
    frame = read_rows(tmp_path / "out")
    assert set(frame["command"]) >= {
        f"glassgraph benchmark --suite {file} --datasets stars --methods truth --seeds 0:1 "
        "--out repeated"
    }
    second = run("benchmark", *options, "--seeds", "0:2")
    assert "[6/6]" in second.stderr
    assert "seed 0" not in second.stderr
    assert set(read_rows(tmp_path / "out")["seed"]) == {0, 1}


def test_a_spent_budget_says_what_is_left(file: Path, tmp_path: Path) -> None:
    options = ["--suite", file, "--methods", "truth", "--seeds", 3, "--out", tmp_path / "out"]
    found = run("benchmark", *options, "--budget", "0.000001s")
    assert found.exit_code == 0
    assert "3 of 3 cells are left" in found.stdout
    assert "the same command goes on" in " ".join(found.stdout.split())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--suite", "quik"], ["'quik'", "'quick'"]),
        (["--methods", "salency"], ["--methods", "'saliency'"]),
        (["--datasets", "ba_shape"], ["--datasets", "'ba-shapes'"]),
        (["--seeds", "0"], ["--seeds"]),
        (["--seeds", "some"], ["--seeds", "'some'"]),
        (["--budget", "soon"], ["--budget", "'soon'"]),
        (["--methods", ","], ["--methods"]),
    ],
)
def test_what_is_refused(options: list[str], words: list[str], tmp_path: Path) -> None:
    found = run("benchmark", *options, "--out", tmp_path / "out")
    assert found.exit_code == 2
    for word in words:
        assert word in found.stderr
    assert not (tmp_path / "out").exists()


def test_a_folder_of_another_suite_is_refused(file: Path, tmp_path: Path) -> None:
    options = ["--suite", file, "--methods", "truth", "--out", tmp_path / "out", "--quiet"]
    assert run("benchmark", *options).exit_code == 0
    file.write_text(SUITE.replace("= 11", "= 12"), encoding="utf-8")
    found = run("benchmark", *options)
    assert found.exit_code == 2
    assert "rows of another suite ('tiny'; other datasets)" in found.stderr
