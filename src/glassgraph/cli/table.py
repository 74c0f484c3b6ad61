"""Tables that commands print: laid out so that no digit is ever cut off.

A number that lost a digit would be another number. So columns that do not fit beside the others
follow below, under the names; words may be broken, numbers never.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

Cell = Callable[[Any], str]


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        title: its head.
        cell: what stands in it, for each row.
        is_name: whether it says what a row is about: to the left, and in every part of the table.
        wraps: whether a cell may take several lines, broken between its words.
        is_text: whether it holds words, to the left.
    """

    title: str
    cell: Cell
    is_name: bool = False
    wraps: bool = False
    is_text: bool = False


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        title: said above it; may have several lines.
        columns: names first.
        rows: what the columns read.
        is_dim: which rows stay in the background.
    """

    title: str
    columns: Sequence[Column]
    rows: Sequence[Any]
    is_dim: Callable[[Any], bool] = lambda _: False


def print_table(table: Table, console: Console, style: str = "italic") -> None:
    """Print a table; columns that do not fit beside the others follow below, under the names.

    Names give way between their words; where that is not enough, each row stands by itself.

    Args:
        table: the table.
        console: where to.
        style: of the title.
    """
    console.print(Text(table.title, style=style))
    names = [column for column in table.columns if column.is_name]
    left = [column for column in table.columns if not column.is_name]
    if not _fits(names, left, table.rows, console.width):
        names = [replace(column, wraps=True) for column in names]
        if not _fits(names, left, table.rows, console.width):
            _print_rows(table, names, left, console)
            return
    for part in _parts(table.rows, names, left, console.width):
        console.print(_rich(table, part, console.width))


def _print_rows(
    table: Table, names: Sequence[Column], left: Sequence[Column], console: Console
) -> None:
    """Row after row, a line for each column: where one does not even fit beside the names."""
    for row in table.rows:
        console.print()
        style = "dim" if table.is_dim(row) else ""
        for column in names:
            console.print(Text(column.cell(row), style=style, overflow="fold"))
        for column in left:
            text = f"  {column.title}: {column.cell(row)}"
            is_long = any(cell_len(word) > console.width for word in text.split())
            console.print(Text(text, style=style), soft_wrap=is_long)
    console.print()


def _fits(names: Sequence[Column], left: Sequence[Column], rows: Sequence[Any], width: int) -> bool:
    """Whether each column fits beside the names."""
    return all(_width([*names, column], rows) <= width for column in left)


def _parts(
    rows: Sequence[Any], names: Sequence[Column], left: Sequence[Column], width: int
) -> Iterator[Sequence[Column]]:
    """As many columns side by side as fit, at least one beside the names."""
    if not left:
        yield names
    while left:
        most = 1
        while most < len(left) and _width([*names, *left[: most + 1]], rows) <= width:
            most += 1
        yield [*names, *left[:most]]
        left = left[most:]


def _width(columns: Sequence[Column], rows: Sequence[Any]) -> int:
    """The least width: a space before and after each column, and one at both ends."""
    return 2 + sum(1 + _own_width(column, rows) for column in columns) + len(columns) - 1


def _own_width(column: Column, rows: Sequence[Any]) -> int:
    texts = [column.title, *(column.cell(row) for row in rows)]
    if column.wraps:
        texts = [word for text in texts for word in text.split()]
    return max((cell_len(text) for text in texts), default=0)


def _rich(table: Table, columns: Sequence[Column], width: int) -> RichTable:
    """The table as it is printed."""
    result = RichTable(box=box.SIMPLE_HEAD, padding=(0, 0, 0, 1))
    for column, own in zip(columns, _widths(columns, table.rows, width), strict=True):
        result.add_column(
            column.title,
            justify="left" if column.is_name or column.is_text else "right",
            overflow="fold",
            width=own,
        )
    for row in table.rows:
        cells = (Text(column.cell(row)) for column in columns)
        result.add_row(*cells, style="dim" if table.is_dim(row) else None)
    return result


def _widths(columns: Sequence[Column], rows: Sequence[Any], width: int) -> list[int]:
    """The width of each column; what is left goes to those that wrap, by what they lack."""
    least = [_own_width(column, rows) for column in columns]
    room = max(0, width - _width(columns, rows))
    lacks = [_natural_width(column, rows) - own for column, own in zip(columns, least, strict=True)]
    share = min(1.0, room / max(1, sum(lacks)))
    return [own + int(share * lack) for own, lack in zip(least, lacks, strict=True)]


def _natural_width(column: Column, rows: Sequence[Any]) -> int:
    return max(cell_len(text) for text in (column.title, *(column.cell(row) for row in rows)))
