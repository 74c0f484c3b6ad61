"""What a worker does, in whatever process it runs: explain a block, and write it beside its place.

It says what came of it; whoever started it moves the file into place. So a worker that everybody
took for dead, and that goes on, spoils nothing.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from glassgraph import processes
from glassgraph.calling.out_of_memory import is_out_of_memory
from glassgraph.engine.hearing import Heard, hearing
from glassgraph.engine.recipe import Recipe
from glassgraph.errors import GlassgraphError
from glassgraph.inputs.graph import TypedGraph
from glassgraph.inputs.task import Target
from glassgraph.results.aggregates.attributes import edge_attribute
from glassgraph.results.saved.rows import to_rows

UNFINISHED, INDEX = "unfinished", "index.npy"
#: Rows that are read together: one explanation is found without reading the others of its block.
_GROUP = 32
#: ``done``; ``raised``: an instance of the block did; ``disk``: the block could not be written;
#: ``died``: the worker did; ``ready``, ``refused``: it has started, or cannot.
Kind = Literal["ready", "refused", "done", "raised", "disk", "died"]


@dataclass(frozen=True)
class Answer:
    """What came of a block, or of a start.

    Attributes:
        kind: see `Kind`.
        error: name of the class of what was raised.
        text: in words.
        seconds: that it took.
        heard: what was warned of meanwhile.
    """

    kind: Kind
    error: str = ""
    text: str = ""
    seconds: float = 0.0
    heard: tuple[Heard, ...] = ()


class Worker:
    """A model and its data, opened by path, and ready to explain blocks.

    Args:
        folder: the job's.
        memory: bytes of its own that the process may take beyond what it has now; None for all.

    Raises:
        GlassgraphError: if the data or the model cannot be had.
    """

    def __init__(self, folder: Path, memory: int | None = None) -> None:
        torch.set_num_threads(1)
        self._folder = folder
        with hearing():  # the driver has been told the same
            recipe = Recipe.read(folder)
            self._target = recipe.target
            self._explainer = recipe.explainer(folder)
            self._data = recipe.data.open(folder)
            graph = self._explainer.prepare(self._data).graph
        self._edge_type = edge_types(graph)
        self._index = np.load(folder / INDEX, mmap_mode="r")
        if memory is not None:
            limit_memory(memory)

    def explain(self, start: int, stop: int, token: str) -> Answer:
        """Explain the instances at some positions, into a file with the token's name."""
        begin = time.monotonic()
        with hearing() as heard:
            answer = self._explain(start, stop, token)
        return replace(answer, seconds=time.monotonic() - begin, heard=tuple(heard))

    def _explain(self, start: int, stop: int, token: str) -> Answer:
        try:
            table = self._rows(start, stop)
            try:
                write_rows(table, self._folder / UNFINISHED / f"{token}.parquet")
            except OSError as error:  # pyarrow's are of OSError
                return Answer("disk", type(error).__name__, str(error))
        except Exception as error:  # noqa: BLE001 - whatever it raises is recorded
            return Answer("raised", type(error).__name__, describe(error))
        return Answer("done")

    def _rows(self, start: int, stop: int) -> pa.Table:
        index = torch.from_numpy(self._index[start:stop].copy())
        target: Target = self._target
        if isinstance(target, Tensor) and target.numel() > 1:
            target = target[start:stop]
        found = self._explainer.explain(self._data, index, target)
        table = to_rows(found.own_parts(), self._edge_type)
        place = table.schema.get_field_index("position")
        moved = pa.array(table["position"].to_numpy() + start)
        return table.set_column(place, "position", moved)


def write_rows(table: pa.Table, path: Path) -> None:
    """Write a file, and see it on the disk."""
    lists = [field for field in table.schema if pa.types.is_list(field.type)]
    whole = [field.name for field in lists if pa.types.is_integer(field.type.value_type)]
    pq.write_table(
        table,
        path,
        row_group_size=_GROUP,
        compression="zstd",
        use_dictionary=False,
        column_encoding={f"{name}.list.element": "DELTA_BINARY_PACKED" for name in whole},
    )
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def edge_types(graph: TypedGraph) -> Tensor | None:
    """``[E]`` the type of each edge: of a graph with types, or the data's ``edge_type``."""
    if graph.is_heterogeneous:
        offset = torch.tensor(graph.edge_offset)
        return torch.repeat_interleave(torch.arange(offset.numel() - 1), offset.diff())
    found: Any = edge_attribute(graph, "edge_type") if "edge_type" in graph.data else None
    if found is None or found.dtype.kind not in "iu" or found.ndim != 1:
        return None
    return torch.from_numpy(found)


def limit_memory(num_bytes: int) -> None:
    """Let this process have so much memory of its own beyond what it has.

    Files that are mapped to be read do not count, nor what Arrow takes from its own reserve. Where
    a system has no such limit, there is none.
    """
    pa.allocate_buffer(1)  # Arrow reserves a GiB of addresses at its first byte: before the limit
    try:
        import resource

        status = Path("/proc/self/status").read_text(encoding="utf-8")
        now = next(line for line in status.splitlines() if line.startswith("VmData:"))
        limit = int(now.split()[1]) * 1024 + num_bytes
        hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
        if hard != resource.RLIM_INFINITY:
            limit = min(limit, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))
    except (ImportError, OSError, StopIteration, ValueError):
        return


def describe(error: BaseException) -> str:
    """An error in words, a lack of memory by its name."""
    found = processes.describe(error)
    is_named = isinstance(error, GlassgraphError) or not is_out_of_memory(error)
    return found if is_named else f"out of memory ({found})"
