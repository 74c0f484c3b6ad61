"""A folder that one writer fills; an earlier result stays readable until the new one is whole.

The header, a JSON file, says which files belong to a result. Where a folder holds one already, the
new files get a name of their own and the header another name, until `commit` moves it into place:
one step, before which the folder holds the old result and after which it holds the new one. Then
the files get their ordinary names, in one step too.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from glassgraph.errors import DamagedFileError, ExistingResultError, ExplanationFileError
from glassgraph.files import parse_json, remove_leftovers, replace_text, writing
from glassgraph.results.saved.folder_lock import FolderLock
from glassgraph.results.saved.resuming import as_word

#: Version 2 says which ``run`` its files are named after; 1 is what version 0.1.0 wrote.
FORMAT_VERSIONS = (1, 2)
#: What is in the names of files that replace others.
_RUN = "[0-9a-f]{8}"
#: No run has this name.
_NONE = "none"


class ResultFolder:
    """Where a result is written, and under which names; close it to let others write.

    Args:
        folder: made if needed.
        header: name of the header.
        stems: what the names of the other files begin with.
        overwrite: whether a result that is there may be replaced.

    Raises:
        OutputError: if the folder cannot be written, is being written, or (`ExistingResultError`)
            holds a result that may not be replaced.
    """

    def __init__(
        self, folder: Path, header: str, stems: Sequence[str], *, overwrite: bool = True
    ) -> None:
        self.folder, self._header = folder, folder / header
        self._file = re.compile(
            rf"({'|'.join(stems)})(?:-({_RUN}))?(-\d{{5}})?(\.[^.]+)?\.(parquet|safetensors)"
        )
        if not overwrite:
            refuse_existing(folder, header, "pass overwrite=True")
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = FolderLock(folder)
        self.run = ""
        #: Whether the folder still holds an earlier result.
        self.is_replacing = False

    def begin(self) -> None:
        """Begin a new result, beside the one that is there."""
        with writing(self.folder):
            remove_leftovers(self.folder)
            self._unfinished.unlink(missing_ok=True)
            self.is_replacing = self._header.exists()
            old = run_of(self._header) if self.is_replacing else _NONE
            if old is not None:  # else its header cannot be read: nothing is known of its files
                self._remove_others(old)
            self.run = secrets.token_hex(4) if self.is_replacing else ""

    def resume(self) -> Path | None:
        """Go on with the result that is not whole, or else with the one that is there; its header.

        None if the folder holds neither; then it is to `begin`.
        """
        for path in (self._unfinished, self._header):
            if path.is_file():
                self.is_replacing = path == self._unfinished
                self.run = run_of(path) or ""
                with writing(self.folder):
                    remove_leftovers(self.folder)
                return path
        return None

    def path(self, name: str) -> Path:
        """Where a file of the result is."""
        return self.folder / file_name(name, self.run)

    def write_header(self, header: dict[str, Any]) -> None:
        """Write the header of a result that may not be whole yet."""
        self._write(self._unfinished if self.is_replacing else self._header, header)

    def commit(self, header: dict[str, Any]) -> None:
        """Write the header of what the folder holds from now on."""
        self.write_header(header)
        if self.is_replacing:
            self._unfinished.replace(self._header)
            self.is_replacing = False
        self._remove_others(self.run)
        if self.run and self._link():
            self.run = ""
            self._write(self._header, header)
            self._remove_others(self.run)

    def _write(self, path: Path, header: dict[str, Any]) -> None:
        header = {**header, "format_version": 2 if self.run else 1, "run": self.run}
        if not self.run:
            del header["run"]
        replace_text(path, json.dumps(header, indent=1, default=as_word))

    def _link(self) -> bool:
        """Give all files their ordinary names besides; False where the file system cannot."""
        for path, named in self._files():
            if named[2] == self.run:
                try:
                    path.with_name(path.name.replace(f"-{self.run}", "", 1)).hardlink_to(path)
                except OSError:
                    self._remove_others(self.run)
                    return False
        return True

    def _files(self) -> Iterator[tuple[Path, re.Match[str]]]:
        """All files of results."""
        for path in list(self.folder.iterdir()):
            named = self._file.fullmatch(path.name)
            if named is not None:
                yield path, named

    def remove_parts_from(self, number: int) -> None:
        """Remove what a killed writer had begun of parts that its header does not name."""
        for path, named in self._files():
            is_own = (named[2] or "") == self.run and named[3] is not None
            if is_own and int(named[3][1:]) >= number:
                path.unlink(missing_ok=True)

    def close(self) -> None:
        """Let others write."""
        with writing(self.folder):
            self._lock.release()

    @property
    def _unfinished(self) -> Path:
        return unfinished(self._header)

    def _remove_others(self, run: str) -> None:
        """Remove the files of all results but one."""
        for path, named in self._files():
            if (named[2] or "") != run:
                path.unlink(missing_ok=True)


def unfinished(header: Path) -> Path:
    """The header of a result that is to replace the one of this header."""
    return header.with_name(f"{header.stem}.unfinished{header.suffix}")


def file_name(name: str, run: str) -> str:
    """The name of a file, ``part-0.parquet`` or ``graph.tensors``, in a run."""
    if not run:
        return name
    stem = re.match(r"[a-z]+", name)
    assert stem is not None
    return f"{stem[0]}-{run}{name[stem.end() :]}"


def read_header(path: Path, kind: str) -> dict[str, Any]:
    """Read a header.

    Args:
        path: the file.
        kind: what it has to say it is.

    Raises:
        DamagedFileError: if it is no JSON.
        ExplanationFileError: if it is of another kind or version.
    """
    try:
        header = parse_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DamagedFileError(
            f"{path} is damaged: {error}; restore it, or explain again"
        ) from error
    if not isinstance(header, dict) or header.get("format") != kind:
        raise ExplanationFileError(f"{path} was not written by Glassgraph")
    version = header.get("format_version")
    if isinstance(version, bool) or version not in FORMAT_VERSIONS:
        known = " and ".join(map(str, FORMAT_VERSIONS))
        raise ExplanationFileError(
            f"{path} has format version {version}; this version of Glassgraph reads {known}"
        )
    run = header.get("run", "")
    if run != "" and not (isinstance(run, str) and re.fullmatch(_RUN, run)):
        raise DamagedFileError(f"{path} is damaged: run is {run!r}; restore it, or explain again")
    return header


def run_of(header: Path) -> str | None:
    """The run that a header names; None if it cannot be read."""
    try:
        run = parse_json(header.read_text(encoding="utf-8")).get("run", "")
    except (OSError, ValueError, AttributeError):
        return None
    return run if isinstance(run, str) and (not run or re.fullmatch(_RUN, run)) else None


def has_result(folder: Path, header: str) -> bool:
    """Whether a folder holds a result, whole or not."""
    return (folder / header).exists() or unfinished(folder / header).exists()


def refuse_existing(folder: Path, header: str, advice: str) -> None:
    """Refuse to write where a result is.

    Raises:
        ExistingResultError: saying what to do.
    """
    if has_result(folder, header):
        raise ExistingResultError(
            f"{folder} holds a result already; {advice}, or choose another output folder"
        )
