"""Explanations that a job wrote, read without loading all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.dataset as pds
import pyarrow.parquet as pq
import torch
from torch import Tensor

from glassgraph.errors import DamagedFileError, HyperParameterError, InstanceError
from glassgraph.inputs.graph import TypedGraph
from glassgraph.results.aggregates.edge_scores import Ranking
from glassgraph.results.contents import Contents
from glassgraph.results.edge_rows import (
    EDGE_COLUMNS,
    EdgeRows,
    Numbers,
    edge_scores,
    largest,
    read_groups,
    values,
)
from glassgraph.results.names import Names
from glassgraph.results.reading import InstanceReader
from glassgraph.results.records import LocalExplanation, Part
from glassgraph.results.saved import rows
from glassgraph.results.saved.blocks import ROWS, Block, block_of, finished, read_job
from glassgraph.results.saved.job_warnings import JobWarning, read_warnings
from glassgraph.results.type_names import edge_type_words

if TYPE_CHECKING:
    import pandas as pd

Found = TypeVar("Found")
_INDEX = "index.npy"
#: Instances that are looked for without sorting all.
_FEW = 8


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

    def open_data(self) -> Any:
        """The explained graph(s), as the job was given them; None if they are gone."""
        return None if self._open is None else self._open()

    @cached_property
    def graph(self) -> TypedGraph | None:
        """What is explained, as one graph; None if it is not where the job found it."""
        data = self.open_data()
        return None if data is None else TypedGraph.read(data)

    # One, some

    def find(self, index: int) -> LocalExplanation:
        """Read one explanation, by the user's number of the instance.

        Raises:
            InstanceError: if it was not asked for, is not done yet, or failed (with the reason).
        """
        (position,) = self._positions([index])
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
        return self._at(self._positions([int(number) for number in numbers]))

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

    def warnings(self) -> pd.DataFrame:
        """What workers warned of, each thing once.

        Returns:
            ``category``, ``text``, ``place`` in the code, and the positions ``start`` to before
            ``stop`` that were explained when it was said first.

        Raises:
            DamagedFileError: if the folder does not tell.
        """
        import pandas as pd

        names = [each.name for each in fields(JobWarning)]
        return pd.DataFrame([asdict(each) for each in read_warnings(self.folder)], columns=names)

    # All, block by block

    def edge_rows(self) -> Iterator[EdgeRows]:
        """The edges of all explanations, a block at a time."""
        for table in self._tables(EDGE_COLUMNS):
            yield EdgeRows.of(table, self.method, self.header["num_layers"])

    def top_edges(self, count: int = 10, ranking: Ranking = "signed") -> pd.DataFrame:
        """The edges with the largest scores over all explanations.

        What a file says of its largest scores decides whether it is read at all.

        Args:
            count: how many.
            ranking: by score, or by its absolute value.

        Returns:
            ``index`` of the instance, flat ``edge``, ``source`` and ``destination``, ``score``.
        """
        import pandas as pd

        names = ("index", "edge", "source", "destination", "score")
        best = pd.DataFrame({name: [] for name in names})
        last = -np.inf

        def may_matter(group: Any) -> bool:
            return largest(group, ranking) > last

        for table in self._tables(EDGE_COLUMNS, may_matter):
            each = EdgeRows.of(table, self.method, self.header["num_layers"])
            size = np.abs(each.score) if ranking == "absolute" else each.score
            chosen = np.argsort(-size, kind="stable")[:count]
            own = pd.DataFrame({name: getattr(each, name)[chosen] for name in names})
            best = own if best.empty else pd.concat([best, own], ignore_index=True)
            key = best["score"].abs() if ranking == "absolute" else best["score"]
            order = key.sort_values(ascending=False, kind="stable").index[:count]
            best = best.loc[order].reset_index(drop=True)
            if len(best) == count:
                last = float(key[order[-1]])
        return best

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
        for table in self._tables(("edge_type", "edge_score")):
            if "edge_type" not in table.column_names:
                raise HyperParameterError(
                    "these edges have no types: the graph has one, and no edge_type [E]"
                )
            kind = values(table, "edge_type")
            score = edge_scores(table, self.method, self.header["num_layers"]).astype(np.float64)
            own = np.stack([np.bincount(kind, weight) for weight in (None, score, np.abs(score))])
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

    def _tables(
        self, columns: tuple[str, ...], is_wanted: Callable[[Any], bool] | None = None
    ) -> Iterator[pa.Table]:
        size = self.header["asked"]["block"]
        for block in self._done:
            yield from read_groups(block.path(self.folder, size), columns, is_wanted)

    # Files

    @cached_property
    def _index(self) -> Numbers:
        """The number of each instance."""
        path = self.folder / _INDEX
        try:
            index: Numbers = np.load(path, mmap_mode="r")
        except (OSError, ValueError) as error:
            raise DamagedFileError(f"{path} cannot be read ({error}); resume the job") from error
        return index

    @cached_property
    def _order(self) -> Numbers:
        """Positions in the order of the numbers."""
        return np.argsort(self._index, kind="stable")

    def _positions(self, numbers: Sequence[int]) -> list[int]:
        """Where instances are; few are looked for one by one, without sorting all."""
        if len(numbers) > _FEW or "_order" in vars(self):
            order = self._order
            found = np.searchsorted(self._index, np.asarray(numbers), sorter=order)
            places = [int(order[each]) if each < order.size else -1 for each in found]
        else:
            matching = (np.flatnonzero(self._index == number)[:1] for number in numbers)
            places = [int(each[0]) if each.size else -1 for each in matching]
        for number, place in zip(numbers, places, strict=True):
            if place < 0 or int(self._index[place]) != number:
                raise InstanceError(
                    f"{self.header['level']} {number} is none of the {self._index.size} that were "
                    "asked for"
                )
        return places

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
                number = int(self._index[position])
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
