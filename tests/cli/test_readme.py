"""What the README shows works."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

import glassgraph as gg
from glassgraph.models import reference
from tests.cli.helpers import run

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str, page: str = README) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page, flags=re.DOTALL)


def test_the_code_on_relevance_runs() -> None:
    names: dict[str, Any] = {}
    for code in blocks("python", (ROOT / "docs" / "relevance.md").read_text(encoding="utf-8")):
        exec(compile(code, "relevance.md", "exec"), names)
    assert names["explanation"].walks.shape == (5, 4)


@pytest.mark.parametrize(
    ("page", "call"), [("compare", "compare_all"), ("diagnostics", "gradient_signs")]
)
def test_the_code_on_edge_gradients_runs(
    page: str, call: str, monkeypatch: Any, capsys: Any
) -> None:
    monkeypatch.setattr(reference, "_DEFAULTS", {"node": {"epochs": 20}})
    monkeypatch.setattr(reference, "ATTEMPTS", 1)
    text = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
    (code,) = (code for code in blocks("python", text) if call in code)
    exec(compile(code, f"{page}.md", "exec"), {})
    printed = capsys.readouterr().out
    assert "all ones" in printed if page == "compare" else printed.count("GradientSigns(") == 4


def commands() -> list[list[str]]:
    lines = "\n".join(blocks("sh")).replace("\\\n", " ").splitlines()
    return [shlex.split(line)[1:] for line in lines if line.startswith("glassgraph ")]


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_the_options_of_the_commands_exist(words: list[str]) -> None:
    """Each command is asked for its help instead, where every option must stand."""
    number = next((n for n, word in enumerate(words) if word.startswith("-")), len(words))
    result = run(*words[:number], "--help")
    assert result.exit_code == 0
    for word in words[number:]:
        assert not word.startswith("--") or word in result.stdout


def test_the_methods_in_the_table_exist() -> None:
    named = re.findall(r"^\| `(\w+)` \|", README, flags=re.MULTILINE)
    assert len(named) >= 5
    assert set(named) <= set(gg.methods().index)


def test_links_to_own_files() -> None:
    root = Path(__file__).resolve().parents[2]
    named = set(re.findall(r"\]\(([\w./-]+)\)", README))
    assert {"docs/architecture.md", "docs/coverage.md", "CONTRIBUTING.md"} <= named
    assert not [path for path in sorted(named) if not (root / path).is_file()]
