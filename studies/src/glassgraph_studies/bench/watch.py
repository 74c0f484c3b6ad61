"""What worker processes of a job use, as Linux tells it while they run."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from typing_extensions import Self

#: Seconds between two looks.
_EVERY = 2.0
#: Words in the command line of a process that explains.
_WORKERS = ("spawn_main", "ray::Actor")


class Watch:
    """CPU time and private memory of the workers below this process, in a ``with`` block.

    Args:
        has_begun: asked until it says yes; CPU time counts from then on.

    Attributes:
        cpu: seconds of each worker since then.
        private: most megabytes that each has written to at once.
    """

    def __init__(self, has_begun: Callable[[], bool]) -> None:
        self._has_begun, self._is_over = has_begun, threading.Event()
        self._first: dict[int, float] = {}
        self._last: dict[int, float] = {}
        self._before: dict[int, float] = {}
        self._counts = False
        self.private: dict[int, float] = {}
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def cpu(self) -> dict[int, float]:
        """Seconds of each worker since the first block was there."""
        return {process: last - self._first[process] for process, last in self._last.items()}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: Any) -> None:
        self._is_over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._is_over.wait(_EVERY):
            found = {process: _cpu(process) for process in _workers(os.getpid())}
            if not self._counts and self._has_begun():
                self._counts = True
                self._first = dict(found)
            for process, seconds in found.items():
                if self._counts and seconds:
                    self._first.setdefault(process, 0.0)
                    self._last[process] = seconds
                self.private[process] = max(self.private.get(process, 0.0), private(process))


def _workers(root: int) -> list[int]:
    """Processes below one that explain."""
    parents = {process: _parent(process) for process in map(int, filter(str.isdigit, _all()))}
    found = []
    for process in parents:
        above = process
        while above not in (0, 1, root):
            above = parents.get(above, 0)
        if above == root and any(word in _words(process) for word in _WORKERS):
            found.append(process)
    return found


def _all() -> list[str]:
    return os.listdir("/proc") if Path("/proc").is_dir() else []


def _stat(process: int) -> list[str]:
    try:
        return Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return []


def _parent(process: int) -> int:
    words = _stat(process)
    return int(words[1]) if words else 0


def _cpu(process: int) -> float:
    words = _stat(process)
    return sum(map(int, words[11:13])) / os.sysconf("SC_CLK_TCK") if words else 0.0


def _words(process: int) -> str:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def private(process: int | str = "self") -> float:
    """Megabytes that a process alone has written to; of Linux, NaN elsewhere."""
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0.0 if Path("/proc/self/smaps_rollup").exists() else float("nan")
    sizes = [int(line.split()[1]) for line in lines if line.startswith("Private_Dirty")]
    return sum(sizes) / 1024
