"""``glassgraph datasets``: every data set, its size, its truth and how to get its files."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from glassgraph.cli.console import check_file_writable, friendly, out, write_json
from glassgraph.cli.table import Cell, Column, Table, print_table

if TYPE_CHECKING:
    from glassgraph.datasets import DatasetCard

_SIZES = ("graphs", "nodes", "edges", "classes", "features")
_WORDS: dict[str, Cell] = {
    "license": lambda row: str(row["license"]),
    "labels say": lambda row: str(row["about"]),
    "truth about": lambda row: str(row["truth_about"]),
}
_FOOT = (
    "Edges are columns of edge_index; generated sizes are those of seed 0. Files: give their "
    "folder as --root, or one above it; 'glassgraph datasets NAME' says where they are from."
)


@friendly
def datasets(
    name: Annotated[str | None, typer.Argument(help="Say all about this data set.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write the table to this file too.")] = None,
) -> None:
    """List every data set: size, task, ground truth, license, and how to get the files."""
    check_file_writable(json)
    from glassgraph.datasets import CARDS, dataset_card

    cards = CARDS if name is None else (dataset_card(name),)
    rows = [_row(card) for card in cards]
    if name is None:
        _print_list(rows)
    else:
        _print_one(rows[0])
    if json is not None:
        write_json(json, rows)


def _row(card: DatasetCard) -> dict[str, Any]:
    return {**asdict(card), "generated": card.is_generated, "how_to_get": card.how_to_get}


def _print_list(rows: list[dict[str, Any]]) -> None:
    columns = [
        Column("data set", lambda row: str(row["name"]), is_name=True),
        Column("level", lambda row: str(row["level"]), is_text=True),
        *(Column(size, _number(size)) for size in _SIZES),
        Column("truth", lambda row: str(row["truth"]), is_text=True),
        Column("files", _files, is_text=True, wraps=True),
        *(Column(title, cell, wraps=True, is_text=True) for title, cell in _WORDS.items()),
    ]
    print_table(Table(f"{len(rows)} data sets", columns, rows), out())
    out().print(_FOOT, markup=False, highlight=False)


def _number(key: str) -> Cell:
    return lambda row: f"{row[key]:,}"


def _files(row: dict[str, Any]) -> str:
    return "generated" if row["generated"] else f"{row['folder']}/"


def _print_one(row: dict[str, Any]) -> None:
    out().print(f"[bold]{row['name']}[/]: {row['about']}\n")
    sizes = ", ".join(f"{row[size]:,} {size}" for size in _SIZES)
    for title, text in (
        ("task", f"one label for each {row['level']}; {row['explained']:,} explained by default"),
        ("size", sizes),
        ("truth", f"{row['truth']}: {row['truth_about']}"),
        ("license", row["license"]),
        ("source", row["source"]),
        ("files", row["how_to_get"]),
    ):
        out().print(f"{title}: {text}", markup=False, highlight=False, soft_wrap=True)
