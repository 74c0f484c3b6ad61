"""Edges of many explanations, read from files a group of rows at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from glassgraph.errors import DamagedFileError
from glassgraph.results.aggregates.edge_scores import Ranking, edges_of_part
from glassgraph.results.saved import rows

Numbers = np.ndarray[Any, Any]
#: All that is read of edges, where they have scores of their own.
EDGE_COLUMNS = ("position", "index", "edge", "source", "destination", "edge_type", "edge_score")
_SCORE = "edge_score"


@dataclass(frozen=True)
class EdgeRows:
    """Edges of some explanations: instance, flat numbers, type (-1 without types) and score."""

    index: Numbers
    edge: Numbers
    source: Numbers
    destination: Numbers
    edge_type: Numbers
    score: Numbers

    @staticmethod
    def of(table: pa.Table, method: str, num_layers: int) -> EdgeRows:
        """Those of some rows."""
        score = edge_scores(table, method, num_layers)
        count = pc.list_value_length(table["edge"]).to_numpy()
        has_types = "edge_type" in table.column_names
        return EdgeRows(
            index=np.repeat(table["index"].to_numpy(), count),
            edge=values(table, "edge"),
            source=values(table, "source"),
            destination=values(table, "destination"),
            edge_type=values(table, "edge_type") if has_types else np.full(score.size, -1),
            score=score,
        )


def edge_scores(table: pa.Table, method: str, num_layers: int) -> Numbers:
    """Scores of all edges of some rows: their own, or what their layers or walks come to."""
    if _SCORE in table.column_names:
        return values(table, _SCORE)
    return edges_of_part(rows.to_part(table, num_layers), method).numpy()


def values(table: pa.Table, name: str) -> Numbers:
    """The numbers of a column of lists, one after the other."""
    found: Numbers = table[name].combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return found


def read_groups(
    path: Path, columns: tuple[str, ...], is_wanted: Callable[[Any], bool] | None = None
) -> Iterator[pa.Table]:
    """Rows of a file, of which only those are read that may matter.

    Args:
        path: the file.
        columns: what is read; everything where edges have no scores of their own.
        is_wanted: of the metadata of a group of rows, asked right before it is read; None for all
            at once.

    Raises:
        DamagedFileError: if it cannot be read.
    """
    try:
        with pq.ParquetFile(path, memory_map=True) as file:
            has = set(file.schema_arrow.names)
            names = [name for name in columns if name in has] if _SCORE in has else None
            if is_wanted is None:
                yield file.read(columns=names)
                return
            for group in range(file.num_row_groups):
                if is_wanted(file.metadata.row_group(group)):
                    yield file.read_row_group(group, columns=names)
    except (OSError, pa.ArrowException) as error:
        raise DamagedFileError(
            f"{path} cannot be read ({error}); remove it and resume the job"
        ) from error


def largest(group: Any, ranking: Ranking) -> float:
    """No edge of a group of rows scores more than this; infinity where its file does not say."""
    for number in range(group.num_columns):
        column = group.column(number)
        if column.path_in_schema.startswith(f"{_SCORE}."):
            said = column.statistics
            if said is None or not said.has_min_max:
                return np.inf
            return float(said.max if ranking == "signed" else max(said.max, -said.min))
    return np.inf
