"""Help of every command: each word of it is there whole, at every width."""

from __future__ import annotations

import contextlib
import importlib.metadata
import io
import re
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from typer import rich_utils

from glassgraph.cli.app import make_app


def commands(width: int) -> Iterator[tuple[str, Any]]:
    """All commands with options of their own; those of the studies as they are at 80 and more."""
    root: Any = typer.main.get_command(make_app())
    for name, command in root.commands.items():
        if name not in ("reproduce", "bench"):
            yield f"glassgraph {name}", command
    for entry in (
        importlib.metadata.entry_points(group="glassgraph.commands") if width >= 80 else ()
    ):
        group: Any = typer.main.get_command(entry.load())
        for name, command in group.commands.items():
            yield f"glassgraph {entry.name} {name}", command


def shown(name: str, command: Any, width: int) -> str:
    text = io.StringIO()
    with contextlib.redirect_stdout(text), contextlib.suppress(SystemExit):
        command.main(["--help"], prog_name=name, terminal_width=width)
    return text.getvalue()


@pytest.fixture
def narrow(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    width: int = request.param
    monkeypatch.setattr(rich_utils, "MAX_WIDTH", width)
    monkeypatch.setenv("COLUMNS", str(width))
    return width


@pytest.mark.parametrize("narrow", [60, 80, 120], indirect=True)
def test_every_word_of_help_is_shown_whole(narrow: int) -> None:
    count = 0
    for name, command in commands(narrow):
        text = shown(name, command, narrow)
        assert "…" not in text, f"{name}\n{text}"
        assert max(map(len, text.splitlines())) <= narrow
        joined = re.sub(r"-\n +", "-", re.sub(r"[│╭╮╰╯─]", " ", text))  # lines end after hyphens
        words = set(joined.split())
        told = [command.help or "", *(getattr(each, "help", None) or "" for each in command.params)]
        lost = {word for each in told for word in each.split() if word not in words}
        lost |= {name for each in command.params for name in each.opts if name not in joined}
        assert lost == set(), f"{name}: {lost}\n{text}"
        count += 1
    assert count >= 6


@pytest.mark.parametrize("narrow", [80], indirect=True)
def test_paragraphs_are_broken_where_the_terminal_ends(narrow: int) -> None:
    lines = shown("explain", dict(commands(narrow))["glassgraph explain"], narrow).splitlines()
    begin = next(n for n, line in enumerate(lines) if "Writes OUT/<method>/" in line)
    paragraph = [line.strip() for line in lines[begin:]]
    assert min(len(line) for line in paragraph[: paragraph.index("") - 1]) > 60
