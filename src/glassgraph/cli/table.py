"""Tables that commands print; those of metrics fit 80 columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich import box
from rich.table import Table

Rows = Sequence[Mapping[str, object]]

#: Columns about ground truth: key, title.
_TRUTH = (
    ("auc", "AUC"),
    ("auc_absolute", "AUC |s|"),
    ("auc_mean", "AUC mean"),
    ("average_precision", "AP"),
    ("precision_at_k", "P@k"),
)


def titled_table(title: str, names: Sequence[str], numbers: Sequence[str]) -> Table:
    """An empty table.

    Args:
        title: said above it; may have several lines.
        names: columns of words, to the left.
        numbers: columns of numbers, to the right.
    """
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 0, 0, 1))
    for name in names:
        table.add_column(name, no_wrap=True)
    for name in numbers:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def number(row: Mapping[str, Any], name: str, form: str, scale: float = 1) -> str:
    """A number of a row in a form, or a dash."""
    value = row.get(name)
    return "-" if value is None else form.format(scale * value)


def metrics_tables(rows: Rows, name: str, removal: str) -> Iterator[tuple[str, Table]]:
    """Titles and tables: time and accuracy, one line for each method; then fidelity by level."""
    keys = list(dict.fromkeys(key for row in rows for key in row))
    truth = [(key, title) for key, title in _TRUTH if key in keys]
    table = _table()
    for title in ("n", "ms each", *(title for _, title in truth)):
        _add_numbers(table, title)
    for row in rows:
        numbers = [_number(row.get(key)) for key, _ in truth]
        table.add_row(_name(row), str(row["instances"]), _milliseconds(row), *numbers)
    yield f"{name}: time{' and accuracy against ground truth' if truth else ''}", table
    levels = [key.split("@")[1] for key in keys if key.startswith("fidelity_plus@")]
    if not levels:
        return
    table = _table()
    wanted = [(f"fidelity_{kind}@{level}", level) for kind in ("plus", "minus") for level in levels]
    for key, level in wanted:
        sign = "+" if "plus" in key else "-"
        _add_numbers(table, f"fid{sign} {level}")
    for row in rows:
        table.add_row(_name(row), *(_number(row.get(key)) for key, _ in wanted))
    yield f"{name}: fidelity at sparsity, removal: {removal}", table


def _table() -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 0, 0, 1))
    table.add_column("method", no_wrap=True)
    return table


def _add_numbers(table: Table, title: str) -> None:
    """A column that keeps its width: where the terminal is narrow, names give way."""
    table.add_column(title, justify="right", no_wrap=True, min_width=len(title))


def _name(row: Mapping[str, object]) -> str:
    return f"{row['method']}{'' if row.get('complete', True) else ' (partial)'}"


def _milliseconds(row: Mapping[str, object]) -> str:
    seconds = row.get("seconds_per_instance")
    return f"{1000 * seconds:.1f}" if isinstance(seconds, float) else "-"


def _number(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, int | float) else "-"
