"""How a job gets on: one line that is rewritten on a terminal, else a line now and then."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TextIO

from glassgraph.engine.driver import Progress

#: Seconds between two lines where nobody can rewrite one.
_EVERY = 30.0
_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def reporter(stream: TextIO | None = None, every: float = _EVERY) -> Callable[[Progress], None]:
    """Says where a job stands.

    Args:
        stream: where to; standard error if None.
        every: seconds between lines, where the stream is no terminal. The first and the last are
            always said.
    """
    out = sys.stderr if stream is None else stream
    is_terminal = out.isatty()
    last = -every

    def tell(progress: Progress) -> None:
        nonlocal last
        is_over = progress.done + progress.failed == progress.total
        now = time.monotonic()
        if not is_over and now - last < (0.2 if is_terminal else every):
            return
        last = now
        ending = "\n" if is_over or not is_terminal else ""
        out.write(("\r\x1b[K" if is_terminal else "") + sentence(progress) + ending)
        out.flush()

    return tell


def sentence(progress: Progress) -> str:
    """One line: what is done, what failed, the rate, and how long it takes still."""
    share = (progress.done + progress.failed) / progress.total if progress.total else 1.0
    failed = f", {progress.failed:,} failed" if progress.failed else ""
    rate = f", {progress.rate:.3g}/s" if progress.rate else ""
    left = "" if not progress.left else f", {duration(progress.left)} left"
    return f"{progress.done:,} of {progress.total:,} explained{failed} ({share:.1%}){rate}{left}"


def duration(seconds: float) -> str:
    """``"40 s"``, ``"12 min"``, ``"3 h 20 min"``, ``"2 d 4 h"``."""
    if seconds < 2 * _MINUTE:
        return f"{seconds:.0f} s"
    if seconds < 2 * _HOUR:
        return f"{seconds / _MINUTE:.0f} min"
    if seconds < 2 * _DAY:
        return f"{seconds // _HOUR:.0f} h {seconds % _HOUR / _MINUTE:.0f} min"
    return f"{seconds // _DAY:.0f} d {seconds % _DAY / _HOUR:.0f} h"
