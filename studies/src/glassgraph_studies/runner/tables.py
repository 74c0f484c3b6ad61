"""Tables of studies: columns that know their numbers."""

from __future__ import annotations

from glassgraph.cli.table import Column, Table, print_table

__all__ = ["Column", "Table", "name", "number", "print_table", "shown", "yes_or_no"]


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
