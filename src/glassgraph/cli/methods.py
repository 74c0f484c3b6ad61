"""``glassgraph methods``: every method and what it is; what one of them takes."""

from __future__ import annotations

import dataclasses
import inspect
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.markup import escape
from rich.table import Table

from glassgraph.cli.console import check_file_writable, friendly, out, write_json

_MARKS = ("learned", "amortized", "black box", "signed", "random")


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
    table = Table(title=f"{len(rows)} methods", title_justify="left", box=box.SIMPLE_HEAD)
    for column in ("method", "family", "scores", "traits", "source"):
        table.add_column(column, no_wrap=column == "method", overflow="fold")
    for row in rows:
        traits = ", ".join(mark for mark in _MARKS if row[mark])
        scores = row["scores"] or f"the {row['explains']}"
        table.add_row(row["method"], row["family"], scores, traits, row["source"])
    out().print(table)
    return rows


def _describe(name: str) -> list[dict[str, Any]]:
    """Print what a method is and takes; its own hyper-parameters first."""
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
    table = Table(title="hyper-parameters", title_justify="left", box=box.SIMPLE_HEAD)
    for column in ("name", "default", "takes", "about"):
        table.add_column(column, overflow="fold")
    for row in rows:
        takes, default = escape(str(row["takes"])), escape(repr(row["default"]))
        table.add_row(str(row["name"]), default, takes, escape(str(row["about"])))
    out().print(f"[bold]{name}[/] ({method.__module__}.{method.__qualname__})\n")
    out().print(about, markup=False, highlight=False, soft_wrap=True)
    out().print()
    out().print(table)
    return rows


def _shared_names(method: type[Any]) -> set[str]:
    """Hyper-parameters that every method of its kind has."""
    from glassgraph.explainers.base import Explainer
    from glassgraph.explainers.model_explainer import ModelExplainer
    from glassgraph.explainers.settings import settings_of

    kind = Explainer if issubclass(method, Explainer) else ModelExplainer
    return {each.name for each in settings_of(kind)}
