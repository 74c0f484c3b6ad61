"""What the commands that measure share: their options, and rows that are kept as they come."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from glassgraph.cli.console import check_file_writable, out, say, write_json

Threads = Annotated[int, typer.Option(min=1, help="Threads of torch.")]
Seed = Annotated[int, typer.Option(min=0, help="Seed of everything random.")]
MutagRoot = Annotated[
    Path | None, typer.Option(help="Folder of MUTAG's raw files; without it MUTAG is left out.")
]
CoraRoot = Annotated[Path, typer.Option(help="Folder of Cora's files, ind.cora.x and its kind.")]
Json = Annotated[Path | None, typer.Option(help="Write the rows to this file.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress.")]


class Kept:
    """Rows of a measurement, written to a file as they come, should a later part be interrupted.

    Args:
        json: the file.
        quiet: whether to print nothing but tables.

    Raises:
        OutputError: if the file cannot be written.
    """

    def __init__(self, json: Path | None, *, quiet: bool = False) -> None:
        check_file_writable(json)
        self.rows: list[dict[str, Any]] = []
        self._json, self._quiet = json, quiet

    def add(self, rows: Sequence[dict[str, Any]], *lines: str) -> None:
        """Keep rows, and say lines about them."""
        self.rows.extend(rows)
        if self._json is not None:
            write_json(self._json, self.rows)
        for line in () if self._quiet else lines:
            say(line)

    def add_one(self, row: dict[str, Any]) -> None:
        """Keep one row, and say all that is in it."""
        words = (
            f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
            for name, value in row.items()
        )
        self.add([row], "  ".join(words))

    def show(self, *tables: Table) -> None:
        """Print tables, and where the rows are."""
        for table in tables:
            out().print(table)
        if self._json is not None and not self._quiet:
            say(f"rows: {self._json}")


def without_mutag(datasets: Sequence[str], root: Path | None) -> list[str]:
    """All data sets, but for MUTAG where its files are not named."""
    if root is None:
        say("mutag is left out: give --root, the folder of its raw files")
    return [name for name in datasets if root is not None or name != "mutag"]
