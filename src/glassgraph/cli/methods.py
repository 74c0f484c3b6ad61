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
    """List every method with the survey's traits, or the hyper-parameters of one."""
    check_file_writable(json)
    rows: list[dict[Any, Any]] = _list() if name is None else [*_describe(name)]
    if json is not None:
        write_json(json, rows)


def _list() -> list[dict[Any, Any]]:
    from glassgraph.explainers.registry import methods as list_methods

    rows: list[dict[Any, Any]] = list_methods().reset_index().to_dict(orient="records")
    print_table(Table(f"{len(rows)} methods", [_name("method"), *_words(_COLUMNS)], rows), out())
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
