"""Tables of studies: columns that know their numbers, laid out so that no digit is ever cut off."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
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
    """

    title: str
    cell: Cell
    is_name: bool = False
    wraps: bool = False


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        title: said above it; may have several lines.
        columns: names first.
        rows: what the columns read.
    """

    title: str
    columns: Sequence[Column]
    rows: Sequence[Any]


def name(title: str, key: str) -> Column:
    """A column of words."""
    return Column(title, lambda row: str(row[key]), is_name=True)


def number(title: str, key: str, form: str = "{}", scale: float = 1) -> Column:
    """A column of numbers in a form, with a dash where there is none.

    Args:
        title: its head.
        key: of the row.
        form: a format string.
        scale: numbers are multiplied by it.
    """
    return Column(title, lambda row: shown(row.get(key), form, scale))


def shown(value: float | None, form: str, scale: float = 1) -> str:
    """A number in a form, or a dash.

    Example:
        >>> shown(0.25, "{:.1f} %", 100), shown(None, "{:.1f} %")
        ('25.0 %', '-')
    """
    if value is None:
        return "-"
    return form.format(value if scale == 1 else scale * value)


def yes_or_no(title: str, key: str) -> Column:
    """A column that says whether a bar is met."""
    return Column(title, lambda row: "yes" if row[key] else "no")


def print_table(table: Table, console: Console) -> None:
    """Print a table; columns that do not fit beside the others follow below, under the names.

    A number is never cut: it would be another number.
    """
    console.print(Text(table.title, style="italic"))
    for part in _parts(table, console.width):
        console.print(part)


def _parts(table: Table, width: int) -> Iterator[RichTable]:
    """As many columns side by side as fit, at least one beside the names."""
    names = [column for column in table.columns if column.is_name]
    left = [column for column in table.columns if not column.is_name]
    if not left:
        yield _rich(names, table.rows, width)
    while left:
        most = 1
        while most < len(left) and _width([*names, *left[: most + 1]], table.rows) <= width:
            most += 1
        yield _rich([*names, *left[:most]], table.rows, width)
        left = left[most:]


def _width(columns: Sequence[Column], rows: Sequence[Any]) -> int:
    """The least width: a space before and after each column, and one at both ends."""
    return 2 + sum(1 + _own_width(column, rows) for column in columns) + len(columns) - 1


def _own_width(column: Column, rows: Sequence[Any]) -> int:
    texts = [column.title, *(column.cell(row) for row in rows)]
    if column.wraps:
        texts = [word for text in texts for word in text.split()]
    return max((cell_len(text) for text in texts), default=0)


def _rich(columns: Sequence[Column], rows: Sequence[Any], width: int) -> RichTable:
    """The table as it is printed; where not even one number fits beside names, they give way."""
    is_wide = _width(columns, rows) > width
    table = RichTable(box=box.SIMPLE_HEAD, padding=(0, 0, 0, 1))
    for column in columns:
        gives_way = is_wide and column.is_name
        table.add_column(
            column.title,
            justify="left" if column.is_name else "right",
            no_wrap=not (column.wraps or gives_way),
            overflow="fold",
            min_width=None if gives_way else _own_width(column, rows),
        )
    for row in rows:
        table.add_row(*(Text(column.cell(row)) for column in columns))
    return table
