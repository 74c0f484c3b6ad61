"""Every situation that the docs tell of has a test, and the test is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

TESTS = Path(__file__).parent
PAGE = (TESTS.parent / "docs" / "what_works.md").read_text(encoding="utf-8")


def rows(page: str) -> list[list[str]]:
    lines = [line for line in page.splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    return [row for row in cells if row[0] not in ("situation", "---")]


def missing(page: str) -> list[str]:
    """Tests that a page names and that do not exist."""
    found = []
    for row in rows(page):
        name, _, function = row[-1].strip("`").partition("::")
        path = TESTS / name
        tree = ast.parse(path.read_text(encoding="utf-8")) if path.is_file() else ast.Module()
        defined = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        if function not in defined:
            found.append(row[-1])
    return found


def test_every_situation_has_its_test() -> None:
    assert len(rows(PAGE)) >= 13
    assert all(len(row) == 3 and all(row) for row in rows(PAGE))
    assert not missing(PAGE)


def test_a_test_that_is_gone_is_noticed() -> None:
    line = "| a | b | `test_what_works.py::test_of_nothing` |"
    assert missing(line) == ["`test_what_works.py::test_of_nothing`"]
