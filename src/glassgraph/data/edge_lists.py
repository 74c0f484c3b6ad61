"""Lists of edges in Parquet and CSV files, read piece by piece."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from glassgraph.data.arrays import Array
from glassgraph.errors import GraphError, StoreError

if TYPE_CHECKING:
    import pyarrow as pa

#: Rows of a Parquet file, and bytes of a CSV file, that are read at once.
_ROWS, _BYTES = 1 << 20, 1 << 24
_PARQUET = (".parquet", ".pq")
_CSV = (".csv", ".csv.gz", ".csv.bz2", ".csv.zst", ".tsv", ".tsv.gz")


@dataclass(frozen=True)
class EdgeColumns:
    """Which columns of a table say what of an edge.

    Attributes:
        ends: columns of source and destination.
        attributes: for each attribute of edges its column, or columns side by side.
    """

    ends: tuple[str, str]
    attributes: dict[str, str | list[str]]

    @staticmethod
    def of(
        ends: tuple[str, str], attributes: Mapping[str, str | list[str]] | None = None
    ) -> EdgeColumns:
        """What a user gives, checked.

        Raises:
            GraphError: if it is something else than names of columns.
        """
        if isinstance(ends, str) or len(ends) != 2 or not all(isinstance(e, str) for e in ends):
            raise GraphError(f"columns are the names of two columns, of both ends; got {ends!r}")
        found: dict[str, str | list[str]] = {}
        for name, columns in (attributes or {}).items():
            names = [columns] if isinstance(columns, str) else list(columns)
            if not names or not all(isinstance(each, str) for each in names):
                raise GraphError(
                    f"edge_columns[{name!r}] is a column or a list of columns; got {columns!r}"
                )
            if name == "edge_index":
                raise GraphError("edge_index comes from the two columns of ends; see columns=")
            found[name] = columns if isinstance(columns, str) else names
        return EdgeColumns((ends[0], ends[1]), found)

    @property
    def names(self) -> list[str]:
        """All columns that are read, each once."""
        lists = ([each] if isinstance(each, str) else each for each in self.attributes.values())
        return list(dict.fromkeys([*self.ends, *(name for names in lists for name in names)]))


def is_edge_file(source: Any) -> bool:
    """Whether a source is the path of a list of edges."""
    return isinstance(source, (str, Path)) and str(source).lower().endswith(_PARQUET + _CSV)


def read_edges(files: list[Path], columns: EdgeColumns) -> Iterator[tuple[Array, dict[str, Array]]]:
    """Pieces of the lists: ends ``[c, 2]``, and for each attribute ``[c]`` or ``[c, k]``.

    Raises:
        GraphError: for columns that are missing, ends that are no integers, empty entries.
        StoreError: for a file that cannot be read.
    """
    for path in files:
        first = 0
        for batch in read_table(path, columns.names):
            where = Where(path, first)
            ends = [integers(batch, name, where) for name in columns.ends]
            values = {
                name: numbers(batch, [each] if isinstance(each, str) else each, where)
                for name, each in columns.attributes.items()
            }
            yield (
                np.stack(ends, axis=1),
                {
                    name: value[:, 0] if isinstance(columns.attributes[name], str) else value
                    for name, value in values.items()
                },
            )
            first += batch.num_rows


def read_table(
    path: Path, names: list[str] | None, *, has_header: bool = True
) -> Iterator[pa.RecordBatch]:
    """Pieces of a table.

    Args:
        path: a Parquet or CSV file.
        names: the columns to read; None for all.
        has_header: whether the first line of a CSV file has the names of its columns.

    Raises:
        GraphError: if a column is missing.
        StoreError: if the file cannot be read.
    """
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet

    try:
        if path.name.lower().endswith(_PARQUET):
            with pa.parquet.ParquetFile(path) as file:
                _check_columns(path, names, file.schema_arrow.names)
                yield from file.iter_batches(_ROWS, columns=names)
            return
        reading = pa.csv.ReadOptions(block_size=_BYTES, autogenerate_column_names=not has_header)
        parsing = pa.csv.ParseOptions(delimiter="\t" if ".tsv" in path.name.lower() else ",")
        with pa.csv.open_csv(path, reading, parsing) as reader:
            _check_columns(path, names, reader.schema.names)
            for batch in reader:
                yield batch if names is None else batch.select(names)
    except (pa.ArrowException, OSError) as error:
        raise StoreError(f"{path} cannot be read ({error})") from error


def _check_columns(path: Path, names: list[str] | None, found: list[str]) -> None:
    missing = [name for name in names or [] if name not in found]
    if missing:
        raise GraphError(
            f"{path} has no column {missing[0]!r}; it has {', '.join(map(repr, found))}: say which "
            "hold the ends with columns=(source, destination), and attributes with edge_columns="
        )


@dataclass(frozen=True)
class Where:
    """A piece of a file, for messages."""

    path: Path
    first: int

    def row(self, number: int) -> str:
        """Name a row of the piece."""
        return f"row {self.first + number} of {self.path}"


def integers(batch: pa.RecordBatch, name: str, where: Where) -> Array:
    """Numbers of nodes ``[c]``."""
    import pyarrow as pa

    column = batch.column(name)
    kind = column.type
    if pa.types.is_null(kind) and not batch.num_rows:
        return np.zeros(0, np.int64)
    if column.null_count:
        row = int(np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False))[0])
        raise GraphError(f"{where.row(row)} has no {name}; expected the number of a node")
    if pa.types.is_floating(kind):
        values = column.to_numpy(zero_copy_only=False)
        is_off = ~np.isfinite(values) | (np.nan_to_num(values) % 1 != 0)
        if is_off.any():
            row = int(np.flatnonzero(is_off)[0])
            raise GraphError(
                f"{where.row(row)} has {name} {values[row]}; expected the number of a node, an "
                "integer from 0"
            )
        return np.asarray(values.astype(np.int64))
    if not pa.types.is_integer(kind):
        raise GraphError(
            f"column {name!r} of {where.path} is {kind}; expected numbers of nodes, integers from "
            "0: number the nodes first, for example with pandas.factorize"
        )
    return np.asarray(column.to_numpy(zero_copy_only=False).astype(np.int64))


def numbers(
    batch: pa.RecordBatch, names: list[str], where: Where, *, may_lack: bool = False
) -> Array:
    """Attributes ``[c, k]``; entries that are empty are NaN, if there may be any."""
    import pyarrow as pa

    found = []
    for name in names:
        column = batch.column(name)
        kind = column.type
        is_number = pa.types.is_integer(kind) or pa.types.is_floating(kind)
        if not (is_number or pa.types.is_boolean(kind)):
            raise GraphError(f"column {name!r} of {where.path} is {kind}; expected numbers")
        if column.null_count and not may_lack:
            row = int(np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False))[0])
            raise GraphError(f"{where.row(row)} has no {name}; expected a number")
        found.append(column.to_numpy(zero_copy_only=False))
    return np.stack(found, axis=1)
