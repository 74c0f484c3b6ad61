"""Which rooms register hooks on a model (import-linter cannot see a method call)."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import glassgraph
import glassgraph_studies

PACKAGE = Path(glassgraph.__file__).parent
STUDIES = Path(glassgraph_studies.__file__).parent
#: Messages, hidden states between layers, modified backward passes.
HOOKING_ROOMS = ("core", "hidden", "relevance")
#: Stands in for the user of a model, whose own hooks must stay.
USERS_ROOM = "testing"
REGISTERS_HOOK = re.compile(r"register_\w+_hook")


def hook_registrations(source: str) -> Iterator[int]:
    """Line numbers at which the source names a method or function that registers a hook."""
    for node in ast.walk(ast.parse(source)):
        name = getattr(node, "attr", None) or getattr(node, "id", None)
        if isinstance(name, str) and REGISTERS_HOOK.fullmatch(name):
            yield node.lineno


def test_only_three_rooms_register_hooks() -> None:
    found = [
        f"{path.relative_to(package)}:{line}"
        for package in (PACKAGE, STUDIES)
        for path in sorted(package.rglob("*.py"))
        if package == STUDIES
        or path.relative_to(package).parts[0] not in (*HOOKING_ROOMS, USERS_ROOM)
        for line in hook_registrations(path.read_text(encoding="utf-8"))
    ]
    assert found == [], "touch a model through glassgraph.core, hidden or relevance instead"


def test_the_check_sees_a_hook() -> None:
    source = "layer = model.conv\nhandle = layer.register_message_forward_hook(print)\n"
    assert list(hook_registrations(source)) == [2]
    assert list(hook_registrations("module.register_buffer('z', z)")) == []


def test_each_of_these_rooms_does() -> None:
    for room in HOOKING_ROOMS:
        sources = [path.read_text(encoding="utf-8") for path in (PACKAGE / room).rglob("*.py")]
        assert any(next(hook_registrations(source), None) for source in sources), room
