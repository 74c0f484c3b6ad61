"""Arrays in ``.npy`` files: written piece by piece, read through a memory map.

A map is backed by the file, so that all processes of a machine share its pages, and the system
drops those that nobody needs. What is written goes through ordinary files instead: pages
of a map that is written to count as the writer's own memory.
"""

from __future__ import annotations

import hashlib
import math
import mmap
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from typing_extensions import Self

Array = NDArray[Any]

#: Python names this flag of Linux from 3.13 on.
_NO_RESERVE = getattr(mmap, "MAP_NORESERVE", 0x4000 if sys.platform == "linux" else 0)
#: Bytes that are copied, compared or hashed at once.
_PIECE = 1 << 24
#: What numpy has no type for is kept as its bits.
_BITS = {torch.bfloat16: torch.int16}


class ArrayWriter:
    """A new ``.npy`` file whose first dimension grows.

    Args:
        path: where to; ``.npy``.
        dtype: of the entries.
        row: shape of one row.
    """

    def __init__(self, path: Path, dtype: Any, row: tuple[int, ...] = ()) -> None:
        self.path, self.dtype, self.row = path, np.dtype(dtype), row
        self.num_rows = 0
        self._file = path.open("w+b")
        self._write_header()
        self._first = self._file.tell()

    def append(self, rows: Array) -> None:
        """Add rows at the end."""
        assert rows.shape[1:] == self.row
        np.ascontiguousarray(rows, self.dtype).tofile(self._file)
        self.num_rows += len(rows)

    def grow_to(self, num_rows: int) -> None:
        """Make room for rows that are then written by `write` in whatever order."""
        self._file.truncate(self._first + num_rows * self._row_bytes)
        self.num_rows = num_rows

    def write(self, first: int, rows: Array) -> None:
        """Write rows at their place."""
        self._file.seek(self._first + first * self._row_bytes)
        np.ascontiguousarray(rows, self.dtype).tofile(self._file)

    def read(self, first: int, num_rows: int) -> Array:
        """Read rows that were written."""
        self._file.flush()
        self._file.seek(self._first + first * self._row_bytes)
        count = num_rows * math.prod(self.row)
        return np.fromfile(self._file, self.dtype, count).reshape(num_rows, *self.row)

    def chunks(self, num_rows: int) -> Iterator[tuple[int, Array]]:
        """What was written, in order: the number of a first row, and so many rows from there."""
        for first in range(0, self.num_rows, num_rows):
            yield first, self.read(first, min(num_rows, self.num_rows - first))

    def close(self) -> None:
        """Write down how many rows there are."""
        if not self._file.closed:
            self._file.seek(0)
            self._write_header()
            assert self._file.tell() == self._first  # numpy leaves room for the number to grow
            self._file.close()

    @property
    def _row_bytes(self) -> int:
        return int(self.dtype.itemsize * math.prod(self.row))

    def _write_header(self) -> None:
        header = np.lib.format.header_data_from_array_1_0(np.empty((0, *self.row), self.dtype))
        header["shape"] = (self.num_rows, *self.row)
        np.lib.format.write_array_header_1_0(self._file, header)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def save_tensor(path: Path, value: Tensor) -> str:
    """Write a tensor, and return the name of its type."""
    value = value.detach()
    name = str(value.dtype).removeprefix("torch.")
    if value.dtype in _BITS:
        value = value.contiguous().view(_BITS[value.dtype])
    if value.dim() == 0:
        np.save(path, value.cpu().numpy())
        return name
    dtype = value[:0].cpu().numpy().dtype
    row_bytes = max(1, dtype.itemsize * value[:1].numel())
    with ArrayWriter(path, dtype, tuple(value.shape[1:])) as writer:
        for piece in value.split(max(1, _PIECE // row_bytes)):
            writer.append(piece.cpu().numpy())
    return name


def map_array(path: Path) -> Array:
    """An array on disk; its pages are read when they are needed.

    The file is never written to. Who writes to the array gets copies of its pages, where the system
    grants them without reserving memory for all; else the array is read-only.
    """
    array: Array = np.load(path, mmap_mode="r", allow_pickle=False)
    if not isinstance(array, np.memmap) or not hasattr(mmap, "MAP_PRIVATE"):
        return array
    try:
        with path.open("rb") as file:
            flags = mmap.MAP_PRIVATE | _NO_RESERVE
            access = mmap.PROT_READ | mmap.PROT_WRITE
            pages = mmap.mmap(file.fileno(), 0, flags=flags, prot=access)
    except OSError:
        return array
    return np.ndarray(array.shape, array.dtype, pages, array.offset, array.strides)


def map_tensor(path: Path, dtype: str | None = None) -> Tensor:
    """The same as a tensor; ``dtype`` is torch's name of its type where numpy has none."""
    with warnings.catch_warnings():  # where it is read-only, torch would say so
        warnings.filterwarnings("ignore", "The given NumPy array is not writable", UserWarning)
        found = torch.from_numpy(map_array(path))
    wanted = found.dtype if dtype is None else getattr(torch, dtype)
    return found.view(wanted) if wanted in _BITS else found


def checksum(path: Path) -> str:
    """SHA-256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
    return digest.hexdigest()
