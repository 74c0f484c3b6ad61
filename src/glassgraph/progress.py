"""Progress of long work: a bar in a terminal or a notebook, a line every ten percent elsewhere.

A bar draws itself again and again over one line. In a log, in CI or through a pipe nothing can be
drawn over, so that thousands of bars would stand there side by side.
"""

from __future__ import annotations

import math
import os
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sized
from typing import Any

from tqdm.auto import tqdm
from typing_extensions import Self

_LINES = 10


def progress_bar(
    iterable: Iterable[Any] | None = None,
    desc: str = "",
    *,
    total: int | None = None,
    disable: bool = False,
    delay: float = 0.0,
    leave: bool = True,
    unit: str = "it",
) -> Any:
    """As `tqdm.tqdm`; but where standard error is no terminal, ten lines at most.

    Args:
        iterable: what is gone through; None for calls of ``update``.
        desc: what is done, in a word or two.
        total: number of steps; by default the length of ``iterable``.
        disable: show nothing.
        delay: work that takes fewer seconds shows nothing.
        leave: whether the bar stays when all is done.
        unit: name of a step.
    """
    is_silent = disable or sys.stderr is None
    if not is_silent and _draws():
        return Bar(iterable, desc, total=total, delay=delay, leave=leave, unit=unit)
    return ProgressLines(iterable, desc, total=total, delay=math.inf if is_silent else delay)


class Bar(tqdm):
    """tqdm's, with a lock that is of this process alone.

    Its own is shared with forked processes: one that is killed while it holds it, and every new bar
    takes it, leaves the others waiting for ever.
    """


def _own_lock() -> None:
    Bar.set_lock(threading.RLock())


_own_lock()
if hasattr(os, "register_at_fork"):  # another thread may hold it just then
    os.register_at_fork(after_in_child=_own_lock)


def _draws() -> bool:
    """Whether a bar can be drawn over: in a terminal, and in notebooks, which have widgets."""
    return sys.stderr.isatty() or any(
        each.__module__.startswith("tqdm.notebook") for each in Bar.__mro__
    )


class ProgressLines:
    """What of tqdm's interface this library calls, with a line for every tenth of the work.

    Args:
        iterable: see `progress_bar`.
        desc: see `progress_bar`.
        total: see `progress_bar`; without a total nothing is said.
        delay: see `progress_bar`; infinite where nothing is to be said.
    """

    def __init__(
        self, iterable: Iterable[Any] | None, desc: str, *, total: int | None, delay: float
    ) -> None:
        self._iterable, self._desc, self._delay = iterable, desc, delay
        size = len(iterable) if isinstance(iterable, Sized) else None
        self.total = size if total is None else total
        self.n, self._said = 0, 0
        self._postfix = ""
        self._start = time.monotonic()

    def update(self, n: int = 1) -> None:
        """So many more steps are done."""
        self.n += n
        tenth = _LINES * self.n // self.total if self.total else 0
        seconds = time.monotonic() - self._start
        if tenth > self._said and seconds >= self._delay:
            self._said = tenth
            share = f"{100 * self.n // (self.total or 1)} % ({self.n} of {self.total}"
            sys.stderr.write(f"{self._desc}: {share}, {seconds:.0f} s){self._postfix}\n")
            sys.stderr.flush()

    def set_postfix(self, refresh: bool = True, **values: Any) -> None:
        """What the next line says too."""
        self._postfix = "".join(f", {name} {value}" for name, value in values.items())

    def close(self) -> None:
        """Nothing is left to do."""

    def __iter__(self) -> Iterator[Any]:
        for each in self._iterable or ():
            yield each
            self.update()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
