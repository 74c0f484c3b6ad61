"""The small commands, and how fast the command line comes up."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

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
