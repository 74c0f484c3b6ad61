"""The rows of a benchmark: one schema, in Parquet files that are whole or not there.

One row for each data set × model seed × method × metric × level. A cell (data set × seed × method)
is one file ``OUT/rows/DATASET.SEED.METHOD.parquet``, moved to its place when the cell has ended: a
file that is there is a finished cell, whatever ended the process.

======================================  ============================================================
column                                  meaning
======================================  ============================================================
``suite``                               name of the suite; ``"own"`` for a user's model
``dataset``, ``seed``                   name of the data set; seed of the data, the model and the
                                        method
``method``, ``settings``                registry name; settings other than the defaults, as JSON
``metric``, ``level``, ``better``       name; ``"0.7"`` (sparsity), ``"top5"`` (edges) or ``""``;
                                        ``"higher"``, ``"lower"`` or ``"zero"``
``value``, ``low``, ``high``, ``n``     the number, its 95 % interval, instances that it is about
``floor``, ``floor_low``, ``…_high``    the same for random scores on the same instances
``ceiling``, ``…_low``, ``…_high``      the same for a search for this metric on these instances
``normalized``                          (value - floor) / (ceiling - floor)
``status``                              ``"measured"``, ``"not_applicable"``, ``"no_truth"``,
                                        ``"timeout"`` or ``"failed"``
``reason``                              in words, why there is no number; of a measured row, what
                                        its reader has to know (``"fitted in hindsight"``)
``fit_seconds``, ``seconds``            seconds of computing (on other devices than the processor:
                                        that pass) to learn; to explain all instances
``seconds_per_instance``                ``seconds`` / number of explained instances
``model_accuracy``                      of the explained model on the test part, in [0, 1]
``command``                             what repeats the cell
======================================  ============================================================

A number is null where it does not exist. A method that did not run has one row with ``metric`` and
``level`` empty; a metric that could not be measured has one row with its name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from glassgraph.errors import DamagedFileError, OutputError
from glassgraph.files import replacing, writing

if TYPE_CHECKING:
    import pandas as pd

Row = dict[str, Any]

#: What became of a row.
STATUSES = ("measured", "not_applicable", "no_truth", "timeout", "failed")
#: The folder of the rows in that of the benchmark.
FOLDER = "rows"

_TEXT = ("suite", "dataset", "method", "settings", "metric", "level", "better")
_NUMBERS = (
    *("value", "low", "high"),
    *("floor", "floor_low", "floor_high"),
    *("ceiling", "ceiling_low", "ceiling_high", "normalized"),
)
_SECONDS = ("fit_seconds", "seconds", "seconds_per_instance", "model_accuracy")

SCHEMA = pa.schema(
    [
        pa.field("suite", pa.string(), nullable=False),
        pa.field("dataset", pa.string(), nullable=False),
        pa.field("seed", pa.int64(), nullable=False),
        *(pa.field(name, pa.string(), nullable=False) for name in _TEXT[2:]),
        *(pa.field(name, pa.float64()) for name in _NUMBERS[:3]),
        pa.field("n", pa.int64()),
        *(pa.field(name, pa.float64()) for name in _NUMBERS[3:]),
        pa.field("status", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        *(pa.field(name, pa.float64()) for name in _SECONDS),
        pa.field("command", pa.string(), nullable=False),
    ]
)


def cell_file(out: Path, dataset: str, seed: int, method: str) -> Path:
    """Where the rows of a cell lie."""
    return out / FOLDER / f"{plain(dataset)}.{seed}.{plain(method)}.parquet"


def plain(name: str) -> str:
    """A name that any file system takes."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", name)


def write_cell(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write the rows of a cell, all at once.

    Raises:
        OutputError: if they cannot be written.
    """
    table = to_table(rows)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            pq.write_table(table, temporary)


def to_table(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Rows in the schema; columns that a row lacks are empty."""
    empty = {"settings": "{}", "metric": "", "level": "", "better": "", "reason": "", "command": ""}
    filled = [{**empty, **row} for row in rows]
    columns = [pa.array([row.get(f.name) for row in filled], type=f.type) for f in SCHEMA]
    return pa.Table.from_arrays(columns, schema=SCHEMA)


def to_frame(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Rows as a data frame with all columns of the schema."""
    return _frame([to_table(rows)])


def read_rows(out: str | Path) -> pd.DataFrame:
    """All rows that a benchmark has finished by now.

    Args:
        out: the folder that ``glassgraph benchmark --out`` or ``BenchmarkResult.save`` wrote; of a
            benchmark that is still running, too.

    Returns:
        A table with the columns of the module's docstring, ordered by data set, seed and method.

    Raises:
        OutputError: if the folder is no benchmark's.
        DamagedFileError: naming the file that cannot be read.
    """
    folder = Path(out) / FOLDER
    if not folder.is_dir():
        raise OutputError(
            f"{out} holds no rows of a benchmark; give the folder that 'glassgraph benchmark --out'"
            " wrote"
        )
    return _frame(read_cell(path) for path in sorted(folder.glob("*.parquet")))


def read_cell(path: Path) -> pa.Table:
    """The rows of one file.

    Raises:
        DamagedFileError: if it is not such a file.
    """
    try:
        table = pq.read_table(path)
        return table.select(SCHEMA.names).cast(SCHEMA)
    except (OSError, KeyError, ValueError, pa.ArrowException) as error:
        raise DamagedFileError(
            f"{path} does not hold rows of a benchmark ({' '.join(str(error).split())[:200]}); "
            "delete it, and the same command measures the cell again"
        ) from error


def _frame(tables: Iterable[pa.Table]) -> pd.DataFrame:
    found: pd.DataFrame = pa.concat_tables([SCHEMA.empty_table(), *tables]).to_pandas()
    return found.astype({"n": "Int64"})
