"""One writer at a time for a folder.

The lock is a file that says who writes since when. The system holds it too (``flock``) and
lets go when the process dies, so what a killed writer left is known for sure on the same host, and
taken over. Where it cannot be known, the user is told which file to delete.
"""

from __future__ import annotations

import json
import os
import platform
import warnings
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from glassgraph.errors import FolderInUseError
from glassgraph.files import parse_json, writing

try:
    import fcntl
except ImportError:  # not on Windows: there an older lock is never taken over
    fcntl = None  # type: ignore[assignment]

LOCK = ".glassgraph.lock"
#: Of a lock file, enough for what is written into it.
_MOST_BYTES = 4096


class AbandonedLockWarning(UserWarning):
    """A writer died without finishing; its lock is taken over."""


#: The locks of this process.
_held: weakref.WeakSet[FolderLock] = weakref.WeakSet()


class FolderLock:
    """The right to write into a folder, until `release`.

    Args:
        folder: it has to exist.

    Raises:
        FolderInUseError: if another process, or another thread of this one, writes there.
        OSError: if the lock cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / LOCK
        while True:
            self._file, is_new = _open(self._path)
            try:
                dead = self._take(folder, is_new)
            except BaseException:
                os.close(self._file)
                raise
            if dead is not None:
                break
            os.close(self._file)  # its owner has just removed it
        _held.add(self)
        if dead:
            self._tell(folder, dead)

    def release(self) -> None:
        """Let others write."""
        if self._file >= 0:
            self._path.unlink(missing_ok=True)
            self.forget()

    def forget(self) -> None:
        """Close the file, and leave it to whoever else has it open."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _tell(self, folder: Path, dead: dict[str, Any]) -> None:
        try:
            warnings.warn(
                f"{folder}: {_named(dead)}, began to write here and died; its lock is taken over",
                AbandonedLockWarning,
                stacklevel=7,
            )
        except BaseException:  # where warnings are errors
            self.release()
            raise

    def _take(self, folder: Path, is_new: bool) -> dict[str, Any] | None:
        """Whose the file was before it was made ours; None if it is not in its place any more."""
        is_held = _hold(self._file)
        owner = _owner(self._file)
        here = platform.node()
        if is_held is False or (not is_new and not _may_take(owner, is_held, here)):
            is_sure = is_held is False and owner.get("host", here) == here
            raise FolderInUseError(_in_use(folder, owner, None if is_sure else self._path))
        if not _is_in_place(self._file, self._path):
            return None
        now = datetime.now(timezone.utc).isoformat(timespec="seconds")
        text = json.dumps({"process": os.getpid(), "host": here, "since": now})
        os.ftruncate(self._file, 0)
        os.lseek(self._file, 0, os.SEEK_SET)
        os.write(self._file, text.encode())
        return owner


def _forget_all() -> None:
    """A forked process does not write for its parent, and must not hold the lock beyond its end."""
    for lock in list(_held):
        lock.forget()


if hasattr(os, "register_at_fork"):  # not on Windows, where nothing is forked
    os.register_at_fork(after_in_child=_forget_all)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Nobody else writes into a folder while the block runs.

    Raises:
        OutputError: if somebody does (`FolderInUseError`), or the lock cannot be made.
    """
    with writing(folder):
        lock = FolderLock(folder)
    try:
        yield
    finally:
        with writing(folder):
            lock.release()


def writer_of(folder: Path) -> str | None:
    """Who writes into a folder, in words; None if nobody does, or who did is dead for sure."""
    try:
        file = os.open(folder / LOCK, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    except OSError:
        return None
    try:
        owner = _owner(file)
    finally:
        os.close(file)
    is_here = owner.get("host") == platform.node()
    return None if is_here and _is_dead(owner.get("process")) else _named(owner)


def _open(path: Path) -> tuple[int, bool]:
    """The lock file, and whether it was made now; a link in its place is not followed."""
    how = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0)
    while True:
        try:
            return os.open(path, how | os.O_CREAT | os.O_EXCL, 0o666), True
        except FileExistsError:
            pass
        try:
            return os.open(path, how), False
        except FileNotFoundError:
            continue


def _hold(file: int) -> bool | None:
    """Ask the system for the lock; None where it has none to give."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _owner(file: int) -> dict[str, Any]:
    """What the file says; nothing if its writer died before it said anything."""
    os.lseek(file, 0, os.SEEK_SET)
    try:
        found = parse_json(os.read(file, _MOST_BYTES).decode())
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _may_take(owner: dict[str, Any], is_held: bool | None, here: str) -> bool:
    """Whether the owner of a lock is dead for sure."""
    if owner.get("host", here) != here:
        return False  # its locks may not be seen from this host
    return True if is_held else _is_dead(owner.get("process"))


def _is_dead(process: Any) -> bool:
    if fcntl is None or not isinstance(process, int) or process <= 0:
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


def _is_in_place(file: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file), os.stat(path, follow_symlinks=False))
    except FileNotFoundError:
        return False


def _in_use(folder: Path, owner: dict[str, Any], doubtful: Path | None) -> str:
    advice = "wait for it, or choose another output folder"
    if doubtful is not None:
        advice += f"; if that process is dead, delete {doubtful}"
    return f"{folder} is being written by {_named(owner)}; {advice}"


def _named(owner: dict[str, Any]) -> str:
    if not owner:
        return "another process"
    process = owner.get("process")
    own = " (this very one)" if process == os.getpid() else ""
    return f"process {process}{own} on {owner.get('host')}, since {owner.get('since')}"
