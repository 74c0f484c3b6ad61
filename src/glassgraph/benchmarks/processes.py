"""Work with a time limit that really ends: each piece in a process of its own.

The limit is one of computing, the processor's time of that process, so that what else a machine
does decides about no result. A piece that waits (for a file, a lock, a sleep) ends when `WAITS`
times its limit has passed on the clock.

A thread that hangs inside of a compiled function cannot be stopped; a process can. Pieces run in
forked processes, so that they see everything in memory (a model in a notebook, methods that were
registered by hand), one thread each, and send what they find as they find it: what was sent before
a time limit is kept. A piece dies with the process that started it, so that after a kill nothing
goes on.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import Any, Literal

import psutil
import torch

from glassgraph.errors import UnsupportedSystemError
from glassgraph.processes import describe, die_with

Send = Callable[[Any], None]
#: Limits that may pass on the clock, where a piece waits or shares its processor.
WAITS = 5
#: Seconds between two looks at a piece whose limit is near.
_LOOK = 0.05


@dataclass(frozen=True)
class Piece:
    """One piece of work.

    Attributes:
        key: what it is called.
        work: does it, and sends what it finds.
        limit: seconds of computing that it may take; None for no limit.
    """

    key: Any
    work: Callable[[Send], Any]
    limit: float | None = None


@dataclass
class Outcome:
    """What came of a piece.

    Attributes:
        key: of the piece.
        sent: what it sent.
        end: how it ended: by itself, at its time limit, or by dying.
        reason: in words, of one that died or failed.
        seconds: that it took.
    """

    key: Any
    sent: list[Any] = field(default_factory=list)
    end: Literal["done", "timeout", "failed"] = "done"
    reason: str = ""
    seconds: float = 0.0


def run_pieces(
    pieces: Iterable[Piece], workers: int = 1, may_start: Callable[[], bool] = lambda: True
) -> Iterator[Outcome]:
    """Do pieces side by side, each in a process of its own.

    Args:
        pieces: in the order in which they are begun; read one at a time.
        workers: how many run at once.
        may_start: asked before each; once it says no, none is begun any more.

    Yields:
        What came of each, as they end.

    Raises:
        UnsupportedSystemError: where processes cannot be forked.
    """
    if "fork" not in multiprocessing.get_all_start_methods():
        raise UnsupportedSystemError(
            "a time limit needs a system that can fork processes (Linux, macOS, or WSL on Windows)"
        )
    left, running = iter(pieces), list[_Running]()
    is_open = True
    try:
        while True:
            while is_open and len(running) < workers:
                piece = next(left, None) if may_start() else None
                if piece is None:
                    is_open = False
                else:
                    running.append(_Running(piece))
            if not running:
                return
            _wait(running)
            for each in [each for each in running if each.is_over()]:
                running.remove(each)
                yield each.outcome
    finally:
        for each in running:
            each.kill()


def run_one(work: Callable[[Send], Any], limit: float | None = None) -> Outcome:
    """One piece of work."""
    return next(run_pieces([Piece(None, work, limit)]))


class _Running:
    """A piece in its process."""

    def __init__(self, piece: Piece) -> None:
        context = multiprocessing.get_context("fork")
        self.receiver, sender = context.Pipe(duplex=False)
        self.process = context.Process(
            target=_child, args=(piece.work, sender, os.getpid()), daemon=False
        )
        with warnings.catch_warnings():
            # Python 3.12 warns of forks beside threads; the child touches no lock of theirs, and
            # uses one thread, as workers of torch's data loaders do.
            warnings.simplefilter("ignore", DeprecationWarning)
            self.process.start()
        sender.close()
        self.outcome = Outcome(piece.key)
        self.begin, self.limit = time.monotonic(), piece.limit

    @property
    def left(self) -> float | None:
        """Seconds until the time limit, at the earliest."""
        if self.limit is None:
            return None
        return min(self.limit - self._computed(), self._left_on_the_clock(self.limit))

    def _left_on_the_clock(self, limit: float) -> float:
        return self.begin + WAITS * limit - time.monotonic()

    def _computed(self) -> float:
        """Seconds that the process has computed."""
        try:
            times = psutil.Process(self.process.pid).cpu_times()
        except psutil.Error:  # it has just ended
            return 0.0
        return float(times.user + times.system)

    def is_over(self) -> bool:
        """Read what was sent; end it at its time limit."""
        is_closed = self._read()
        self.outcome.seconds = time.monotonic() - self.begin
        if is_closed:
            self.process.join()
            self._judge()
        elif self.limit is not None and (left := self.left) is not None and left <= 0:
            waited = self._left_on_the_clock(self.limit) <= 0
            self.kill()
            self._read()
            self.outcome.end = "timeout"
            self.outcome.reason = f"the time limit of {self.limit:g} s"
            if waited:
                self.outcome.reason += f", and {WAITS * self.limit:g} s on the clock"
        else:
            return False
        self.receiver.close()
        return True

    def _read(self) -> bool:
        """Take what is in the pipe; whether it is closed at the other end."""
        try:
            while self.receiver.poll():
                kind, value = pickle.loads(self.receiver.recv_bytes())
                if kind == "failed":
                    self.outcome.end, self.outcome.reason = "failed", value
                else:
                    self.outcome.sent.append(value)
        except (EOFError, OSError):
            return True
        return False

    def _judge(self) -> None:
        code = self.process.exitcode
        if self.outcome.end == "done" and code != 0:
            self.outcome.end = "failed"
            died = f"was killed by signal {-code}" if code and code < 0 else f"ended with {code}"
            self.outcome.reason = f"its process {died} (out of memory?)"

    def kill(self) -> None:
        """End the process, whatever it does."""
        self.process.kill()
        self.process.join()


def _wait(running: list[_Running]) -> None:
    times = [each.left for each in running if each.left is not None]
    wait([each.receiver for each in running], max(_LOOK, min(times)) if times else None)


def _child(work: Callable[[Send], Any], sender: Connection, parent: int) -> None:
    """What a process does: the work, with one thread; Ctrl-C is its parent's to handle."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with(parent)
    torch.set_num_threads(1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            work(lambda value: _send(sender, "sent", value))
    except Exception as error:  # noqa: BLE001 - whatever it raises is told
        with suppress(OSError):
            _send(sender, "failed", describe(error))
    finally:
        sender.close()


def _send(sender: Connection, kind: str, value: Any) -> None:
    """By value: torch would share tensors through a process that is gone when they are read."""
    sender.send_bytes(pickle.dumps((kind, value)))
