"""The tables of metrics that ``glassgraph explain`` prints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from glassgraph.cli.table import Column, Table

Row = Mapping[str, object]

#: Columns about ground truth: key, title.
_TRUTH = (
    ("auc", "AUC"),
    ("auc_absolute", "AUC |s|"),
    ("auc_mean", "AUC mean"),
    ("average_precision", "AP"),
    ("precision_at_k", "P@k"),
)


def metrics_tables(rows: Sequence[Row], name: str, removal: str) -> Iterator[Table]:
    """Time and accuracy, one line for each method; then fidelity by level."""
    keys = list(dict.fromkeys(key for row in rows for key in row))
    truth = [(key, title) for key, title in _TRUTH if key in keys]
    columns = [
        Column("method", _name, is_name=True),
        Column("n", lambda row: str(row["instances"])),
        Column("ms each", _milliseconds),
        *(_number(title, key) for key, title in truth),
    ]
    title = f"{name}: time{' and accuracy against ground truth' if truth else ''}"
    yield Table(title, columns, rows)
    levels = [key.split("@")[1] for key in keys if key.startswith("fidelity_plus@")]
    if not levels:
        return
    fidelity = [
        _number(f"fid{sign} {level}", f"fidelity_{kind}@{level}")
        for kind, sign in (("plus", "+"), ("minus", "-"))
        for level in levels
    ]
    yield Table(f"{name}: fidelity at sparsity, removal: {removal}", [columns[0], *fidelity], rows)


def _number(title: str, key: str) -> Column:
    def cell(row: Row) -> str:
        value = row.get(key)
        return f"{value:.3f}" if isinstance(value, int | float) else "-"

    return Column(title, cell)


def _name(row: Row) -> str:
    return f"{row['method']}{'' if row.get('complete', True) else ' (partial)'}"


def _milliseconds(row: Row) -> str:
    seconds = row.get("seconds_per_instance")
    return f"{1000 * seconds:.1f}" if isinstance(seconds, float) else "-"
