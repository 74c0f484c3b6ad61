"""The folder of a job: of one request, of one driver, and only of whole files."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from glassgraph.engine.hearing import Heard
from glassgraph.engine.worker import INDEX, UNFINISHED, write_rows
from glassgraph.errors import OutputError
from glassgraph.files import remove_leftovers, replace_text, replacing, writing
from glassgraph.results.saved.blocks import (
    FORMAT,
    HEADER,
    ROWS,
    Block,
    finished,
    left,
    read_job,
)
from glassgraph.results.saved.folder_lock import locked
from glassgraph.results.saved.job_warnings import JobWarning, read_warnings, write_warnings
from glassgraph.results.saved.resuming import as_word, refuse_differences
from glassgraph.results.saved.rows import failed_row


@contextmanager
def open_folder(path: Path) -> Iterator[None]:
    """Be the one driver of a folder.

    Raises:
        FolderInUseError: if another process writes there.
        OutputError: if it cannot be written, or holds something else.
    """
    with writing(path):
        path.mkdir(parents=True, exist_ok=True)
    with locked(path):
        if not (path / HEADER).exists() and (path / ROWS).exists():
            raise OutputError(
                f"{path} holds explanations of an unknown job, without {HEADER}; choose another "
                "output folder"
            )
        with writing(path):
            remove_leftovers(path)
            shutil.rmtree(path / UNFINISHED, ignore_errors=True)
            (path / UNFINISHED).mkdir()
        yield
        with writing(path):
            shutil.rmtree(path / UNFINISHED, ignore_errors=True)


class JobFolder:
    """Where explanations of a job go; only inside of `open_folder`.

    Args:
        path: the folder.
        header: what is asked for.
        index: ``[B]`` the user's number of each instance.
        graph: ``[B]`` which graph each is in.

    Raises:
        ResumeError: if the folder is of a job that was asked for something else.
        DamagedFileError: if a position is there twice.
        OutputError: if it cannot be written.
    """

    def __init__(self, path: Path, header: Mapping[str, Any], index: Tensor, graph: Tensor) -> None:
        self.path, self._index, self._graph = path, index, graph
        self.total, self._size = int(index.numel()), int(header["asked"]["block"])
        self._done: list[Block] = []
        self._noted: set[tuple[str, str]] = set()
        if (path / HEADER).exists():
            refuse_differences(path, read_job(path), header["provenance"], header["asked"])
            self._done = finished(path)
        with writing(path), replacing(path / INDEX) as temporary, temporary.open("wb") as file:
            np.save(file, index.cpu().numpy())
        if not (path / HEADER).exists():
            said = {"format": FORMAT, "format_version": 1, **header}
            with writing(path):  # first of all: rows without it are nobody's
                replace_text(path / HEADER, json.dumps(said, indent=1, default=as_word))
        with writing(path):
            (path / ROWS).mkdir(exist_ok=True)
        self.num_failed = sum(block.has_failed for block in self._done)
        self.num_done = sum(block.size for block in self._done) - self.num_failed

    @property
    def left(self) -> list[Block]:
        """What was neither explained nor failed when the folder was opened."""
        return left(self._done, self.total, self._size)

    def keep(self, block: Block, token: str) -> None:
        """Move what a worker wrote into its place."""
        self._move(self.path / UNFINISHED / f"{token}.parquet", block)
        self.num_done += block.size

    def fail(self, block: Block, error: str) -> None:
        """Record an instance that cannot be explained."""
        at = block.start
        row = failed_row(at, int(self._index[at]), int(self._graph[at]), error)
        path = self.path / UNFINISHED / f"failed-{at}.parquet"
        with writing(path):
            write_rows(row, path)
        self._move(path, Block(block.start, block.stop, has_failed=True))
        self.num_failed += 1

    def note(self, heard: Heard, block: Block) -> bool:
        """Write down what a worker warned of; whether this run has not met it before."""
        found = JobWarning(
            heard.category.__name__, heard.text, heard.place, block.start, block.stop
        )
        is_new = found.source not in self._noted
        if is_new:
            self._noted.add(found.source)
            known = read_warnings(self.path)
            if found.source not in {each.source for each in known}:
                write_warnings(self.path, [*known, found])
        return is_new

    def _move(self, source: Path, block: Block) -> None:
        place = block.path(self.path, self._size)
        with writing(place):
            place.parent.mkdir(parents=True, exist_ok=True)
            os.replace(source, place)
