"""``glassgraph methods``: every method and what it is; what one of them takes."""

from __future__ import annotations

import dataclasses
import inspect
from pathlib import Path
from typing import Annotated, Any

import typer

from glassgraph.cli.console import check_file_writable, friendly, out, write_json
from glassgraph.cli.table import Cell, Column, Table, print_table

_MARKS = ("learned", "amortized", "black box", "signed", "random")
#: Columns of the list, beside the method: title, and what stands in it.
_COLUMNS: dict[str, Cell] = {
    "family": lambda row: str(row["family"]),
    "scores": lambda row: str(row["scores"] or f"the {row['explains']}"),
    "traits": lambda row: ", ".join(mark for mark in _MARKS if row[mark]),
    "source": lambda row: str(row["source"]),
}
#: Columns of the list of methods on events.
_EVENT_COLUMNS: dict[str, Cell] = {
    "needs": lambda row: str(row["needs"]),
    "asks": lambda row: str(row["about"]),
    "settings": lambda row: str(row["settings"]) or "-",
}
#: Columns of a method's hyper-parameters, beside their names.
_SETTINGS: dict[str, Cell] = {
    "default": lambda row: repr(row["default"]),
    "takes": lambda row: str(row["takes"]),
    "about": lambda row: str(row["about"]),
}


@friendly
def methods(
    name: Annotated[
        str | None, typer.Argument(help="Describe this method and its hyper-parameters.")
    ] = None,
    json: Annotated[Path | None, typer.Option(help="Write the table to this file too.")] = None,
) -> None:
    """List every method with the survey's traits, or the hyper-parameters of one.

    Those on past events in a stream, which 'glassgraph temporal' takes, follow with what they ask
    of a model; a name may be that of a method on graphs and of one on events.
    """
    check_file_writable(json)
    rows: list[dict[Any, Any]] = _list() if name is None else _describe_any(name)
    if json is not None:
        write_json(json, rows)


def _list() -> list[dict[Any, Any]]:
    from glassgraph.explainers.registry import methods as list_methods

    rows: list[dict[Any, Any]] = list_methods().reset_index().to_dict(orient="records")
    print_table(Table(f"{len(rows)} methods", [_name("method"), *_words(_COLUMNS)], rows), out())
    on_events = event_methods()
    title = f"{len(on_events)} methods on streams of events: glassgraph temporal"
    print_table(Table(title, [_name("method"), *_words(_EVENT_COLUMNS)], on_events), out())
    return rows


def event_methods() -> list[dict[str, str]]:
    """What is known of the methods on past events, a row for each."""
    from glassgraph.temporal.methods import METHODS, NEEDS
    from glassgraph.temporal.settings import SETTINGS

    return [
        {
            "method": name,
            "needs": NEEDS[name],
            "settings": ", ".join(SETTINGS.get(name, ())),
            "about": (inspect.getdoc(method) or "").partition("\n")[0],
        }
        for name, method in METHODS.items()
    ]


def _describe_any(name: str) -> list[dict[Any, Any]]:
    """Describe the method on graphs of this name, and the one on events."""
    from glassgraph.errors import UnknownMethodError

    on_events = [row for row in event_methods() if row["method"] == name]
    try:
        rows: list[dict[Any, Any]] = [*_describe(name)]
    except UnknownMethodError:
        if not on_events:
            raise
        rows = []
    return rows + (_describe_events(on_events[0]) if on_events else [])


def _describe_events(row: dict[str, str]) -> list[dict[Any, Any]]:
    """Print what a method on past events asks, needs and takes."""
    from glassgraph.temporal.settings import Settings, about_settings

    name = row["method"]
    out().print(f"[bold]{name}[/] on past events in a stream (glassgraph temporal)\n")
    out().print(f"{row['about']} It needs {row['needs']}.\n", markup=False, soft_wrap=True)
    about, defaults = about_settings(), Settings()
    rows: list[dict[Any, Any]] = [
        {"name": each, "default": getattr(defaults, each), "about": about.get(each, "")}
        for each in row["settings"].split(", ")
        if each
    ]
    columns = [_name("name"), *_words({key: _SETTINGS[key] for key in ("default", "about")})]
    if rows:
        print_table(Table("settings", columns, rows), out())
    return rows


def _describe(name: str) -> list[dict[str, Any]]:
    """Print what a method is and takes; its own hyper-parameters first."""
    from glassgraph.explainers.evidence import evidence_of
    from glassgraph.explainers.registry import any_method
    from glassgraph.explainers.settings import settings_of

    method = any_method(name)
    about = inspect.getdoc(method) or ""
    rows = [
        {
            "name": each.name,
            "default": None if each.default is dataclasses.MISSING else each.default,
            "takes": each.expected,
            "about": each.about,
        }
        for each in settings_of(method)
    ]
    shared = _shared_names(method)
    rows.sort(key=lambda row: row["name"] in shared)  # stable: their order is that of the class
    out().print(f"[bold]{name}[/] ({method.__module__}.{method.__qualname__})\n")
    out().print(about, markup=False, highlight=False, soft_wrap=True)
    out().print()
    known = evidence_of(name)
    if known is not None:
        out().print(f"{known}\n", markup=False, highlight=False, soft_wrap=True)
    print_table(Table("hyper-parameters", [_name("name"), *_words(_SETTINGS)], rows), out())
    return rows


def _name(key: str) -> Column:
    return Column(key, lambda row: str(row[key]), is_name=True)


def _words(cells: dict[str, Cell]) -> list[Column]:
    return [Column(title, cell, wraps=True, is_text=True) for title, cell in cells.items()]


def _shared_names(method: type[Any]) -> set[str]:
    """Hyper-parameters that every method of its kind has."""
    from glassgraph.explainers.base import Explainer
    from glassgraph.explainers.model_explainer import ModelExplainer
    from glassgraph.explainers.settings import settings_of

    kind = Explainer if issubclass(method, Explainer) else ModelExplainer
    return {each.name for each in settings_of(kind)}
