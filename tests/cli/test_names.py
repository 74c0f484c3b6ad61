"""``glassgraph explain --names FILE.json``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import glassgraph as gg
from tests.cli.helpers import explain, write_case


@pytest.fixture
def case(tmp_path: Path) -> dict[str, Any]:
    return write_case(tmp_path)


def names_file(folder: Path, content: Any) -> Path:
    path = folder / "names.json"
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    path.write_bytes(text)
    return path


def test_names_reach_files_and_report(case: dict[str, Any], tmp_path: Path) -> None:
    content = {
        "node_names": {"4": "Ada & <b>Bob</b>", "5": "\ud800"},
        "feature_names": ["a", "b", "c", "d", "e"],
        "class_names": {"0": "calm", "1": "wild", "2": "odd"},
    }
    result = explain(case, names=names_file(tmp_path, content))
    assert result.exit_code == 0, result.output
    found = gg.Explanations.load(case["--out"] / "saliency")
    assert [found.local(i).title for i in range(4)] == [
        "node 0",
        "Ada & <b>Bob</b>",
        "?",
        "node 11",
    ]
    assert found.local(0).feature_names == list("abcde")
    assert found.local(0).target_name in ("calm", "wild", "odd")
    page = (case["--out"] / "report.html").read_text(encoding="utf-8")
    assert "Ada \\u0026 \\u003cb" in page or "Ada & \\u003cb" in page


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"{", "is no JSON"),
        (b"\xff\xfe", "is no JSON"),
        ([["a"]], "holds a list; expected an object"),
        ({}, "has no key; expected an object with any of the keys node_names"),
        ({"nodes": ["a"]}, "has the keys 'nodes'"),
        ({"class_names": "ab"}, "class_names is 'ab'; expected a list of words"),
        ({"node_names": ["a", "b"]}, "node_names has 2 entries"),
        ({"graph_names": ["a", "b"]}, "expected 1"),
        ({"node_names": [1] * 13}, "node_names are words"),
        ({"feature_names": ["a"]}, "expected 5"),
        ({"class_names": ["a"]}, "expected 3"),
    ],
)
def test_files_that_do_not_fit(
    case: dict[str, Any], tmp_path: Path, content: Any, words: str
) -> None:
    result = explain(case, names=names_file(tmp_path, content), method="saliency")
    assert result.exit_code == 2
    assert words in " ".join(result.stderr.split())
    assert "Traceback" not in result.output


def test_a_file_that_is_not_there(case: dict[str, Any], tmp_path: Path) -> None:
    for path in (tmp_path / "none.json", tmp_path):
        result = explain(case, names=path)
        assert result.exit_code == 2
        assert "cannot be read" in result.stderr
        assert not case["--out"].exists() or not list(case["--out"].iterdir())
