"""Commands of other distributions: found by name, loaded when called, and harmless when broken."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from glassgraph.cli.app import make_app
from glassgraph.cli.plugins import GROUP

mine = typer.Typer(help="Mine.")


@mine.callback()
def about() -> None:
    """Mine."""


@mine.command()
def double(number: int, quiet: bool = False) -> None:
    """Twice the number."""
    typer.echo("" if quiet else f"{2 * number}")


class Installed(EntryPoint):
    """An entry point of a distribution that is not there."""

    dist = SimpleNamespace(name="somebodys-commands")  # type: ignore[assignment]


def install(monkeypatch: pytest.MonkeyPatch, **targets: str) -> None:
    """Pretend that exactly these commands are installed."""
    entries = [Installed(name, target, GROUP) for name, target in targets.items()]

    def entry_points(*, group: str) -> list[EntryPoint]:
        return [entry for entry in entries if entry.group == group]

    monkeypatch.setattr(importlib.metadata, "entry_points", entry_points)


def call(*words: str) -> Any:
    return CliRunner().invoke(make_app(), words)


def test_a_command_is_added_with_its_own_commands_and_help(monkeypatch: Any) -> None:
    install(monkeypatch, mine=f"{__name__}:mine")
    assert call("mine", "double", "21").stdout == "42\n"
    assert call("mine", "double", "21", "--quiet").stdout == "\n"
    listing = call("--help").stdout
    assert "Added by somebodys-commands." in listing
    help_of_it = call("mine", "double", "--help")
    assert help_of_it.exit_code == 0
    assert "Twice the number." in help_of_it.stdout
    wrong = call("mine", "double", "many")
    assert wrong.exit_code == 2
    assert "mine double" in wrong.stderr


@pytest.mark.parametrize("words", [[], ["--help"], ["xgnn"], ["speed", "--peer", "pyg"]])
@pytest.mark.parametrize("name", ["reproduce", "bench"])
def test_without_the_studies_the_command_says_how_to_get_them(
    monkeypatch: Any, name: str, words: list[str]
) -> None:
    install(monkeypatch)
    result = call(name, *words)
    assert result.exit_code == 2
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert f"'glassgraph {name}' is part of glassgraph-studies" in line
    assert "pip install glassgraph-studies" in line
    assert "pip install -e studies" in line
    assert name in call("--help").stdout


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("no_such_module:app", "ModuleNotFoundError: No module named 'no_such_module'"),
        (f"{__name__}:nothing", "AttributeError"),
        ("broken_plugin:app", "ZeroDivisionError: division by zero"),
        ("math:pi", "must be a typer.Typer, got a float"),
    ],
)
def test_a_broken_command_spoils_only_itself(
    monkeypatch: Any, tmp_path: Path, target: str, reason: str
) -> None:
    (tmp_path / "broken_plugin.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(tmp_path)
    install(monkeypatch, bad=target, mine=f"{__name__}:mine")
    assert call("--help").exit_code == 0
    assert call("mine", "double", "3").stdout == "6\n"
    result = call("bad", "--whatever")
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert "'glassgraph bad' of somebodys-commands" in line
    assert reason in line
    assert "uninstall it" in line


def test_own_commands_are_not_replaced_and_names_are_unique(monkeypatch: Any) -> None:
    first = Installed("explain", "no_such_module:app", GROUP)
    twice = [Installed("both", f"{__name__}:mine", GROUP) for _ in range(2)]
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: [first, *twice])
    assert "--method" in call("explain", "--help").stdout
    result = call("both")
    assert result.exit_code == 2
    assert "is added more than once, by somebodys-commands" in result.stderr


def test_listing_loads_nothing(monkeypatch: Any, tmp_path: Path) -> None:
    (tmp_path / "broken_plugin.py").write_text("raise SystemExit('loaded')\n")
    monkeypatch.syspath_prepend(tmp_path)
    install(monkeypatch, slow="broken_plugin:app")
    result = call("--help")
    assert result.exit_code == 0
    assert "slow" in result.stdout
    assert "broken_plugin" not in sys.modules


def test_help_of_the_studies_does_not_import_torch() -> None:
    code = """
import sys, types, importlib.util
spec = importlib.util.find_spec("glassgraph")
package = types.ModuleType("glassgraph")
package.__path__ = list(spec.submodule_search_locations)
sys.modules["glassgraph"] = package
from typer.testing import CliRunner
from glassgraph.cli import app
for words in (["--help"], ["reproduce", "--help"], ["bench", "speed", "--help"]):
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
heavy = {"torch", "torch_geometric", "pandas", "sklearn", "matplotlib"} & set(sys.modules)
assert not heavy, heavy
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
