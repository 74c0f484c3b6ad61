"""What methods say of themselves was measured: it is counted from the published rows."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from glassgraph.benchmarks import read_rows
from glassgraph.explainers.evidence import FILE, Evidence, evidence_of
from glassgraph.explainers.registry import METHODS
from tests.cli.helpers import run

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "docs" / "results"
ROWS = (RESULTS / "survey", RESULTS / "survey_newer")


@pytest.mark.slow("reads all rows of the survey; how rows become words: test_weak_is_at_most_half")
def test_evidence_and_tables_are_those_of_the_rows() -> None:
    """Nobody has written a number by hand."""
    sys.path.insert(0, str(ROOT / "docs" / "tools"))
    from result_tables import evidence_text, with_tables  # type: ignore[import-not-found]

    assert FILE.read_text() == evidence_text(*ROWS)
    for name in ("survey", "which_method"):
        page = ROOT / "docs" / f"{name}.md"
        assert with_tables(page) == page.read_text()


def test_commands_of_published_rows_name_no_folder_of_a_machine() -> None:
    commands = " ".join(command for folder in ROWS for command in read_rows(folder)["command"])
    assert set(re.findall(r"--root \S+", commands)) == {"--root data"}


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
