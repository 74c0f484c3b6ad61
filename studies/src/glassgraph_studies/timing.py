"""Timing within one process: medians, and memory of the process."""

from __future__ import annotations

import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch

#: What `now` reads.
CLOCKS: dict[str, Callable[[], float]] = {
    "wall": time.perf_counter,
    "processor": time.process_time,
}
_CLOCK = ContextVar("clock", default="wall")


def seconds(run: Callable[[], object], repeats: int, *, warm_up: int = 1) -> float:
    """Median time of some calls, after calls that are not counted."""
    for _ in range(warm_up):
        run()
    times = []
    for _ in range(repeats):
        start = now()
        run()
        times.append(now() - start)
    return statistics.median(times)


def now() -> float:
    """Seconds on a clock, read when a GPU in use has done all that it was given."""
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()
    return CLOCKS[_CLOCK.get()]()


@contextmanager
def clock(name: str) -> Iterator[None]:
    """Let `now` read one of `CLOCKS` inside the block: on a shared machine the processor's."""
    token = _CLOCK.set(name)
    try:
        yield
    finally:
        _CLOCK.reset(token)


def peak_megabytes() -> float:
    """Largest resident memory of this process so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20) if sys.platform == "darwin" else peak / 1024


@contextmanager
def num_threads(threads: int) -> Iterator[None]:
    """Let torch use some threads inside the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
