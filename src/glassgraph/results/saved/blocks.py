"""A folder of explanations that many workers wrote, block by block.

::

    DIR/job.json                                    what was asked for
    DIR/explanations/part=000000/START-STOP.parquet explanations of the positions [START, STOP)
    DIR/explanations/.../START-STOP.failed.parquet  one that could not be explained, and why

A block is there as a whole or not at all: its file is moved into place. No position is in two
files, so the names alone say what is done, what failed and what is left. `rows` says which columns
the files have.
"""

from __future__ import annotations

import bisect
import itertools
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glassgraph.errors import DamagedFileError, ExplanationFileError
from glassgraph.results.saved.result_folder import read_header

HEADER, FORMAT = "job.json", "glassgraph-job"
ROWS = "explanations"
#: Files in one folder, at most, unless blocks failed.
_PER_FOLDER = 1000
#: Blocks that a rate is taken from.
_LATEST = 64
_NAME = re.compile(r"(\d{12})-(\d{12})(\.failed)?\.parquet")


@dataclass(frozen=True, order=True)
class Block:
    """Positions from ``start`` to before ``stop``, and whether they failed."""

    start: int
    stop: int
    has_failed: bool = False

    @property
    def size(self) -> int:
        """How many instances."""
        return self.stop - self.start

    def path(self, folder: Path, block_size: int) -> Path:
        """Where its file is."""
        part = self.start // (block_size * _PER_FOLDER)
        ending = ".failed" if self.has_failed else ""
        name = f"{self.start:012d}-{self.stop:012d}{ending}.parquet"
        return folder / ROWS / f"part={part:06d}" / name


def read_job(folder: Path) -> dict[str, Any]:
    """What a job was asked for.

    Raises:
        ExplanationFileError: if the folder holds none.
        DamagedFileError: if it cannot be read.
    """
    path = folder / HEADER
    if not path.is_file():
        raise ExplanationFileError(
            f"{folder} holds no {HEADER}; expected a folder that explain_all or 'glassgraph "
            "explain --engine' wrote"
        )
    header = read_header(path, FORMAT)
    kinds = {"instances": int, "block": int}
    asked = header.get("asked")
    if not isinstance(asked, dict) or not all(
        isinstance(asked.get(name), kind) and asked[name] >= 0 for name, kind in kinds.items()
    ):
        raise DamagedFileError(f"{path} is damaged: it does not say what was asked for")
    return header


def finished(folder: Path) -> list[Block]:
    """What is done and what failed, ascending.

    Raises:
        DamagedFileError: if a position is in two files.
    """
    names = [name for part in _entries(folder / ROWS) for name in _entries(Path(part))]
    found = []
    for path in names:
        named = _NAME.fullmatch(os.path.basename(path))
        if named is not None:
            found.append(Block(int(named[1]), int(named[2]), named[3] is not None))
    found.sort(key=lambda block: (block.start, block.stop))
    for before, after in itertools.pairwise(found):
        if after.start < before.stop:
            raise DamagedFileError(
                f"{folder} holds position {after.start} twice, in blocks {before.start}-"
                f"{before.stop} and {after.start}-{after.stop}; remove one of these files"
            )
    return found


def _entries(folder: Path) -> list[str]:
    """Paths in a folder; none where it is no folder."""
    try:
        with os.scandir(folder) as found:
            return [each.path for each in found]
    except (FileNotFoundError, NotADirectoryError):
        return []


def recent_rate(folder: Path) -> float | None:
    """Instances per second over the latest blocks, by the times of their files.

    None where there are fewer than two, or files do not tell.
    """
    size = read_job(folder)["asked"]["block"]
    written = []
    for block in finished(folder):
        try:
            written.append((block.path(folder, size).stat().st_mtime, block.size))
        except OSError:  # moved or removed meanwhile
            continue
    latest = sorted(written)[-_LATEST:]
    if len(latest) < 2 or latest[-1][0] <= latest[0][0]:
        return None
    return sum(each for _, each in latest[1:]) / (latest[-1][0] - latest[0][0])


def left(done: Iterable[Block], total: int, size: int) -> list[Block]:
    """The gaps between finished blocks, cut where blocks of that size end.

    Args:
        done: finished blocks, ascending.
        total: number of instances.
        size: of a block.
    """
    gaps, at = [], 0
    for block in (*done, Block(total, total)):
        while at < block.start:
            stop = min(block.start, (at // size + 1) * size)
            gaps.append(Block(at, stop))
            at = stop
        at = block.stop
    return gaps


def block_of(blocks: list[Block], position: int) -> Block | None:
    """The finished block that a position is in."""
    number = bisect.bisect_right(blocks, position, key=lambda block: block.start) - 1
    found = blocks[number] if number >= 0 else None
    return found if found is not None and position < found.stop else None
