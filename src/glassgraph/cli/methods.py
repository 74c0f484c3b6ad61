"""``glassgraph methods``: every method and what it is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.table import Table

from glassgraph.cli.console import check_file_writable, friendly, out, write_json

_MARKS = ("learned", "amortized", "black box", "signed", "random")


@friendly
def methods(
    json: Annotated[Path | None, typer.Option(help="Write the table to this file too.")] = None,
) -> None:
    """List every method with the survey's traits."""
    check_file_writable(json)
    from glassgraph.explainers.registry import methods as list_methods

    rows = list_methods().reset_index().to_dict(orient="records")
    table = Table(title=f"{len(rows)} methods", title_justify="left", box=box.SIMPLE_HEAD)
    for name in ("method", "family", "scores", "traits", "source"):
        table.add_column(name, no_wrap=name == "method", overflow="fold")
    for row in rows:
        traits = ", ".join(mark for mark in _MARKS if row[mark])
        scores = row["scores"] or f"the {row['explains']}"
        table.add_row(row["method"], row["family"], scores, traits, row["source"])
    out().print(table)
    if json is not None:
        write_json(json, rows)
