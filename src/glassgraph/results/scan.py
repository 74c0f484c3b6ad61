"""Explanations that a job wrote, read without loading all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pds
import pyarrow.parquet as pq
import torch
from torch import Tensor

from glassgraph.errors import DamagedFileError, HyperParameterError, InstanceError
from glassgraph.inputs.graph import TypedGraph
from glassgraph.results.aggregates.edge_scores import Ranking, edges_of_part
from glassgraph.results.contents import Contents
from glassgraph.results.names import Names
from glassgraph.results.reading import InstanceReader
from glassgraph.results.records import LocalExplanation, Part
from glassgraph.results.saved import rows
from glassgraph.results.saved.blocks import ROWS, Block, block_of, finished, read_job
from glassgraph.results.type_names import edge_type_words

if TYPE_CHECKING:
    import pandas as pd

Found = TypeVar("Found")
Numbers = np.ndarray[Any, Any]
_INDEX = "index.npy"
#: All that is read of edges, where they have scores of their own.
_EDGE_COLUMNS = ("position", "index", "edge", "source", "destination", "edge_type", "edge_score")


@dataclass(frozen=True)
class EdgeRows:
    """Edges of one block: instance, flat numbers, type (-1 without types) and score of each."""

    index: Numbers
    edge: Numbers
    source: Numbers
    destination: Numbers
    edge_type: Numbers
    score: Numbers


class Scan(Generic[Found]):
    """What a job has explained so far; each call reads only what it answers from.

    ``len`` is the number of explanations that are there. A job may still be running: what is
    finished when the scan is opened is what it sees.

    Args:
        folder: the job's folder.
        build: from contents to `Explanations`.
        open_data: opens the explained graph(s); None if they are gone.

    Raises:
        ExplanationFileError: if the folder holds no job.
        DamagedFileError: if it is damaged.
    """

    def __init__(
        self,
        folder: Path,
        build: Callable[[Contents], Found],
        open_data: Callable[[], Any] | None = None,
    ) -> None:
        self.folder, self._build, self._open = folder, build, open_data
        self.header = read_job(folder)
        blocks = finished(folder)
        self._done = [block for block in blocks if not block.has_failed]
        self._failed = [block for block in blocks if block.has_failed]

    def __len__(self) -> int:
        return sum(block.size for block in self._done)

    def __repr__(self) -> str:
        total, level = self.header["asked"]["instances"], self.header["level"]
        failed = f", {len(self._failed)} failed" if self._failed else ""
        return (
            f"Scan({self.header['method']!r}, {len(self)} of {total} {level} predictions{failed})"
        )

    @property
    def method(self) -> str:
        """Registry name of the method."""
        return str(self.header["method"])

    @property
    def dataset(self) -> pds.Dataset:
        """All rows as a pyarrow data set, for filters and engines that read Parquet."""
        return pds.dataset(self.folder / ROWS, format="parquet", partitioning="hive")

    @cached_property
    def graph(self) -> TypedGraph | None:
        """What is explained, as one graph; None if it is not where the job found it."""
        return None if self._open is None else TypedGraph.read(self._open())

    # One, some

    def find(self, index: int) -> LocalExplanation:
        """Read one explanation, by the user's number of the instance.

        Raises:
            InstanceError: if it was not asked for, is not done yet, or failed (with the reason).
        """
        position = self._position(index)
        table = self._read(self._done, position)
        if table is None:
            failed = self._read(self._failed, position)
            reason = "is not explained yet" if failed is None else f"failed: {failed['error'][0]}"
            raise InstanceError(f"{self.header['level']} {index} {reason}")
        contents = self._contents([rows.to_part(table, self.header["num_layers"])], graph=None)
        return InstanceReader(contents, {}, Names.read(contents)).read(0, 0)

    def explanations(self, index: Sequence[int] | Tensor) -> Found:
        """Read some explanations, by the user's numbers of the instances.

        Raises:
            InstanceError: see `find`.
        """
        numbers = index.tolist() if isinstance(index, Tensor) else list(index)
        return self._at([self._position(int(number)) for number in numbers])

    def sample(self, count: int, seed: int = 0) -> Found:
        """Explanations drawn at random without repetition, for reports and metrics.

        Args:
            count: how many; all that are there if there are fewer.
            seed: of the draw.
        """
        sizes = np.array([block.size for block in self._done], dtype=np.int64)
        starts = np.array([block.start for block in self._done], dtype=np.int64)
        total = int(sizes.sum())
        drawn = np.random.default_rng(seed).choice(total, size=min(count, total), replace=False)
        ends = np.cumsum(sizes)
        block = np.searchsorted(ends, np.sort(drawn), side="right")
        positions = starts[block] + np.sort(drawn) - (ends - sizes)[block]
        return self._at(positions.tolist())

    def failures(self) -> pd.DataFrame:
        """What could not be explained: ``position``, ``index``, ``graph`` and ``error``."""
        import pandas as pd

        names = ["position", "index", "graph", "error"]
        found = [self._file(block, names).to_pandas() for block in self._failed]
        return pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=names)

    # All, block by block

    def edge_rows(self) -> Iterator[EdgeRows]:
        """The edges of all explanations, a block at a time."""
        for block in self._done:
            yield self._edges_of(block)

    def top_edges(self, count: int = 10, ranking: Ranking = "signed") -> pd.DataFrame:
        """The edges with the largest scores over all explanations.

        Args:
            count: how many.
            ranking: by score, or by its absolute value.

        Returns:
            ``index`` of the instance, flat ``edge``, ``source`` and ``destination``, ``score``.
        """
        import pandas as pd

        names = ("index", "edge", "source", "destination", "score")
        best = pd.DataFrame({name: [] for name in names})
        for each in self.edge_rows():
            size = np.abs(each.score) if ranking == "absolute" else each.score
            chosen = np.argsort(-size, kind="stable")[:count]
            own = pd.DataFrame({name: getattr(each, name)[chosen] for name in names})
            best = own if best.empty else pd.concat([best, own], ignore_index=True)
            key = best["score"].abs() if ranking == "absolute" else best["score"]
            best = best.loc[key.sort_values(ascending=False, kind="stable").index[:count]]
        return best.reset_index(drop=True)

    def by_edge_type(self) -> pd.DataFrame:
        """How edges score, by their type.

        Returns:
            A row for each ``edge_type`` (a name, or the number in the data's ``edge_type``):
            ``count`` of edges over all explanations, ``mean_score``, ``mean_absolute_score``.

        Raises:
            HyperParameterError: if edges have no types.
        """
        import pandas as pd

        sums: Numbers = np.zeros((3, 0))
        for each in self.edge_rows():
            if each.edge_type.size and int(each.edge_type.min()) < 0:
                raise HyperParameterError(
                    "these edges have no types: the graph has one, and no edge_type [E]"
                )
            score = each.score.astype(np.float64)
            own = np.stack(
                [np.bincount(each.edge_type, weight) for weight in (None, score, np.abs(score))]
            )
            width = max(sums.shape[1], own.shape[1])
            sums, own = (np.pad(one, ((0, 0), (0, width - one.shape[1]))) for one in (sums, own))
            sums = sums + own
        kinds = np.flatnonzero(sums[0])
        count, total, absolute = sums[:, kinds]
        names: Sequence[Any] = kinds.tolist()
        if self.header["edge_types"] != [None]:
            words = edge_type_words([tuple(name) for name in self.header["edge_types"]])
            names = [words[kind] for kind in kinds]
        return pd.DataFrame(
            {
                "edge_type": names,
                "count": count.astype(np.int64),
                "mean_score": total / count,
                "mean_absolute_score": absolute / count,
            }
        )

    # Files

    @cached_property
    def _index(self) -> tuple[Numbers, Numbers | None]:
        """The numbers of all instances, ascending, and the position of each; None for in order."""
        path = self.folder / _INDEX
        try:
            index: Numbers = np.load(path, mmap_mode="r")
        except (OSError, ValueError) as error:
            raise DamagedFileError(f"{path} cannot be read ({error}); resume the job") from error
        if index.size < 2 or bool((np.diff(index) > 0).all()):
            return index, None
        order = np.argsort(index, kind="stable")
        return index[order], order

    def _position(self, number: int) -> int:
        index, order = self._index
        place = int(np.searchsorted(index, number))
        if place == index.size or int(index[place]) != number:
            raise InstanceError(
                f"{self.header['level']} {number} is none of the {index.size} that were asked for"
            )
        return place if order is None else int(order[place])

    def _file(self, block: Block, columns: Sequence[str] | None = None) -> pa.Table:
        path = block.path(self.folder, self.header["asked"]["block"])
        try:
            with pq.ParquetFile(path) as file:
                has = set(file.schema_arrow.names)
                names = None if columns is None else [name for name in columns if name in has]
                return file.read(columns=names)
        except (OSError, pa.ArrowException) as error:
            raise DamagedFileError(
                f"{path} cannot be read ({error}); remove it and resume the job"
            ) from error

    def _read(self, blocks: list[Block], position: int) -> pa.Table | None:
        """The row of a position: of its file the one group of rows that holds it."""
        block = block_of(blocks, position)
        if block is None:
            return None
        path = block.path(self.folder, self.header["asked"]["block"])
        place = position - block.start
        try:
            with pq.ParquetFile(path) as file:
                for group in range(file.num_row_groups):
                    size = file.metadata.row_group(group).num_rows
                    if place < size:
                        return file.read_row_group(group).slice(place, 1)
                    place -= size
        except (OSError, pa.ArrowException) as error:
            raise DamagedFileError(
                f"{path} cannot be read ({error}); remove it and resume the job"
            ) from error
        raise DamagedFileError(f"{path} has lost rows; remove it and resume the job")

    def _at(self, positions: list[int]) -> Found:
        """Explanations at some positions, in that order."""
        parts = []
        for place, position in enumerate(positions):
            table = self._read(self._done, position)
            if table is None:
                number = int(np.load(self.folder / _INDEX, mmap_mode="r")[position])
                self.find(number)  # says why
                raise InstanceError(f"{self.header['level']} {number} is not explained yet")
            part = rows.to_part(table, self.header["num_layers"])
            parts.append(part.take(torch.tensor([0]), torch.tensor([place])))
        return self._build(self._contents(parts, self.graph))

    def _contents(self, parts: list[Part], graph: TypedGraph | None) -> Contents:
        header = self.header
        return Contents(
            method=header["method"],
            level=header["level"],
            num_layers=header["num_layers"],
            provenance=header["provenance"],
            parts=parts,
            is_complete=True,
            graph=graph,
            node_types=header["node_types"],
            edge_types=[None if name is None else tuple(name) for name in header["edge_types"]],
        )

    def _edges_of(self, block: Block) -> EdgeRows:
        table = self._file(block, _EDGE_COLUMNS)
        if "edge_score" not in table.column_names:
            table = self._file(block)
            part = rows.to_part(table, self.header["num_layers"])
            score = edges_of_part(part, self.method).numpy()
        else:
            score = _values(table, "edge_score")
        count = pc.list_value_length(table["edge"]).to_numpy()
        if "edge_type" in table.column_names:
            edge_type = _values(table, "edge_type")
        else:
            edge_type = np.full(score.size, -1)
        return EdgeRows(
            index=np.repeat(table["index"].to_numpy(), count),
            edge=_values(table, "edge"),
            source=_values(table, "source"),
            destination=_values(table, "destination"),
            edge_type=edge_type,
            score=score,
        )


def _values(table: pa.Table, name: str) -> Numbers:
    """The numbers of a column of lists, one after the other."""
    values: Numbers = table[name].combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return values
