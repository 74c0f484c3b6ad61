"""The small commands, and how fast the command line comes up."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import glassgraph as gg
from tests.cli.helpers import run


def test_methods_lists_every_method(tmp_path: Path) -> None:
    result = run("methods", "--json", tmp_path / "methods.json")
    assert result.exit_code == 0
    rows = json.loads((tmp_path / "methods.json").read_text())
    assert [row["method"] for row in rows] == list(gg.methods().index)
    assert all(row["method"] in result.stdout for row in rows)


def test_an_unwritable_json_file_is_one_line(tmp_path: Path) -> None:
    result = run("methods", "--json", tmp_path)
    assert result.exit_code == 2
    assert "it is a folder" in result.stderr


ROW = {
    "dataset": "tree-cycles",
    "method": "saliency",
    "instances": 7,
    "ours_s_per_instance": 0.0025,
    "peer_s_per_instance": 0.01,
    "ratio": 4.0,
    "ours_auc": 0.75,
    "peer_auc": float("nan"),
    "saliency_auc": None,
    "threads": 3,
}


def test_bench_passes_its_options_on(tmp_path: Path, monkeypatch: Any) -> None:
    seen: dict[str, Any] = {}

    def study(**options: Any) -> list[dict[str, Any]]:
        seen.update(options)
        return [ROW]

    module = ModuleType("glassgraph.studies.speed")
    module.run_speed_bench = study  # type: ignore[attr-defined]
    module.DATASETS = ("tree-cycles", "mutag")  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "glassgraph.studies.speed", module)
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
        "seed": 5,
        "root": tmp_path,
        "progress": False,
        "report": None,
    }
    assert json.loads((tmp_path / "rows.json").read_text()) == [{**ROW, "peer_auc": None}]
    assert "4.0x" in result.stdout
    without_root = run("bench", "speed")
    assert seen["datasets"] == ["tree-cycles"]
    assert seen["instances"] == 100
    assert "mutag is left out" in without_root.output


def test_bench_knows_one_peer() -> None:
    result = run("bench", "speed", "--peer", "dig")
    assert result.exit_code == 2
    assert "--peer must be 'pyg'; got 'dig'" in result.stderr


def test_the_study_takes_what_the_command_gives() -> None:
    import inspect

    from glassgraph.studies.speed import run_speed_bench

    names = set(inspect.signature(run_speed_bench).parameters)
    assert {"datasets", "methods", "instances", "repeats", "threads", "seed", "root"} <= names


def test_help_names_the_commands() -> None:
    result = run("--help")
    assert result.exit_code == 0
    assert all(name in result.stdout for name in ("explain", "methods", "bench"))


def test_the_command_line_does_not_import_torch() -> None:
    """The package itself is left out here: what its __init__ imports is its own affair."""
    package = Path(gg.__file__).parent
    code = f"""
import sys, types
package = types.ModuleType("glassgraph")
package.__path__ = [{str(package)!r}]
sys.modules["glassgraph"] = package
import glassgraph.cli
heavy = {{"torch", "torch_geometric", "pandas", "sklearn", "matplotlib"}} & set(sys.modules)
assert not heavy, heavy
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
