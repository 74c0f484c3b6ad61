"""Commands that other distributions add, through entry points of the group ``glassgraph.commands``.

An entry point names a `typer.Typer`::

    [project.entry-points."glassgraph.commands"]
    mine = "my_package.commands:mine"

Listing commands loads none of them: that happens when one is called. So a slow one costs nothing,
and one that is broken spoils only itself.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable
from importlib.metadata import EntryPoint

import typer

from glassgraph.cli.console import friendly
from glassgraph.errors import CommandError

GROUP = "glassgraph.commands"
#: Commands of our own second distribution: what they are, listed also where it is not installed.
_STUDIES = {
    "reproduce": "Repeat experiments of papers.",
    "bench": "Measure against other libraries and literal versions.",
}
#: Every word behind the command is the plug-in's, ``--help`` too.
_PASS_ON = {
    "ignore_unknown_options": True,
    "allow_extra_args": True,
    "help_option_names": [],
}


def add_plugins(app: typer.Typer) -> None:
    """Add a command for each name; one that is there already is not replaced."""
    found: dict[str, list[EntryPoint]] = {name: [] for name in _STUDIES}
    for entry in importlib.metadata.entry_points(group=GROUP):
        found.setdefault(entry.name, []).append(entry)
    taken = {command.name for command in app.registered_commands}
    for name, entries in found.items():
        if name not in taken:
            text = _STUDIES.get(name) or f"Added by {_distribution(entries[0])}."
            app.command(name, help=text, context_settings=_PASS_ON)(_forward(name, entries))


def _forward(name: str, entries: list[EntryPoint]) -> Callable[[typer.Context], None]:
    """The command that loads a plug-in and hands it every word."""

    @friendly
    def load() -> typer.Typer:
        return _load(name, entries)

    def forward(context: typer.Context) -> None:
        command = typer.main.get_command(load())
        command(args=context.args, prog_name=context.command_path)

    return forward


def _load(name: str, entries: list[EntryPoint]) -> typer.Typer:
    """Import a plug-in.

    Raises:
        CommandError: if there is none, or more than one, or it cannot be imported.
    """
    if not entries:
        raise CommandError(
            f"'glassgraph {name}' is part of glassgraph-studies, which is not installed: "
            "pip install glassgraph-studies, or in a clone of the repository pip install -e studies"
        )
    names = sorted({_distribution(entry) for entry in entries})
    if len(entries) > 1:
        raise CommandError(
            f"'glassgraph {name}' is added more than once, by {' and '.join(names)}: uninstall all "
            "but one"
        )
    advice = f"update or reinstall {names[0]}, or uninstall it"
    try:
        plugin = entries[0].load()
    except Exception as error:
        raise CommandError(
            f"'glassgraph {name}' of {names[0]} cannot be loaded "
            f"({type(error).__name__}: {error}); {advice}"
        ) from error
    if not isinstance(plugin, typer.Typer):
        raise CommandError(
            f"'glassgraph {name}' of {names[0]} must be a typer.Typer, got a "
            f"{type(plugin).__name__}; {advice}"
        )
    return plugin


def _distribution(entry: EntryPoint) -> str:
    return "an unnamed distribution" if entry.dist is None else entry.dist.name
