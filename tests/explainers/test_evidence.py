"""What methods say of themselves was measured: it is counted from the published rows."""

from __future__ import annotations

import inspect
import json
import re
import sys
from pathlib import Path

import pytest

from glassgraph.benchmarks import read_rows, read_suite
from glassgraph.explainers.evidence import FILE, Evidence, evidence_of
from glassgraph.explainers.registry import METHODS
from tests.cli.helpers import run

sys.path.insert(0, str(Path(__file__).parents[2] / "docs" / "tools"))
from result_tables import (  # type: ignore[import-not-found]
    NETWORKS,
    WEIGHTS,
    evidence_text,
    networks_of,
    with_tables,
)

ROOT = Path(__file__).parents[2]
ROWS = ROOT / "docs" / "results" / "survey"


@pytest.mark.slow("reads all rows of the survey; how rows become words: test_weak_is_at_most_half")
def test_evidence_and_tables_are_those_of_the_rows() -> None:
    """Nobody has written a number by hand."""
    assert FILE.read_text() == evidence_text(ROWS)
    for name in ("survey", "which_method"):
        page = ROOT / "docs" / f"{name}.md"
        assert with_tables(page) == page.read_text()


def test_commands_of_published_rows_name_folders_of_the_repository() -> None:
    commands = " ".join(read_rows(ROWS)["command"])
    assert set(re.findall(r"--root \S+", commands)) == {"--root data"}
    assert set(re.findall(r"--cache \S+", commands)) == {"--cache docs/results/survey/references"}
    assert (ROOT / "docs" / "results" / "survey" / WEIGHTS).is_dir()


def test_networks_are_published_with_the_rows() -> None:
    """Whoever goes on with the suite, or repeats a cell, explains the same networks."""
    suite = read_suite("survey")
    known = json.loads((ROWS / NETWORKS).read_text())
    assert set(known) == {f"{data.name}.{seed}" for data in suite.datasets for seed in suite.seeds}
    assert networks_of(ROWS / WEIGHTS) == known


def test_published_data_sets_have_all_methods() -> None:
    rows = read_rows(ROWS)
    for _, own in rows.groupby(["seed", "dataset"]):
        assert set(own["method"]) == set(rows["method"])
    assert not rows["reason"].str.contains("on the clock").any()  # lost to other work


@pytest.mark.parametrize("name", sorted(METHODS))
def test_methods_that_seldom_beat_random_say_so(name: str) -> None:
    known = evidence_of(name)
    if known is not None and known.is_weak:
        about = " ".join((inspect.getdoc(METHODS[name]) or "").split())
        assert "robust fidelity" in about


def test_every_method_that_was_measured_is_known() -> None:
    known = [name for name in METHODS if evidence_of(name) is not None]
    assert len(known) >= 20
    assert evidence_of("no such method") is None


@pytest.mark.parametrize(
    ("above", "not_above", "is_weak"), [(2, 1, False), (1, 1, True), (0, 3, True)]
)
def test_weak_is_at_most_half(above: int, not_above: int, is_weak: bool) -> None:
    names = [f"d{number}" for number in range(above + not_above)]
    found = Evidence("m", tuple(names[:above]), tuple(names[above:]))
    assert found.is_weak is is_weak
    assert f"on {above} of {above + not_above} data sets" in str(found)


def test_methods_say_it() -> None:
    said = " ".join(run("methods", "occlusion").output.split())
    assert str(evidence_of("occlusion")) in said
