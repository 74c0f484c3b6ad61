"""Hands out blocks, keeps what comes back, and finds out which instance brought a block down.

The driver alone moves files into place, and holds the folder's lock while it does. A block whose
worker dies is tried once more, for the worker may have been killed by somebody; then, or where a
block raises or takes too long, it is cut in halves, down to the one instance that is to blame. That
one is recorded with its error.
"""

from __future__ import annotations

import math
import secrets
import time
import warnings
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from glassgraph import errors
from glassgraph.engine.folder import JobFolder
from glassgraph.engine.worker import Answer
from glassgraph.errors import EngineError, GlassgraphError, OutputError
from glassgraph.results.saved.blocks import Block

#: Times that a worker may die before it has begun.
_STARTS = 3
#: If so many instances fail before any is done, it is not the instances.
_HOPELESS = 32
#: A block may take so many times what its instances took so far, and one time limit more.
_PATIENCE = 10
#: Seconds between two looks at who is late, at least.
_LOOK = 0.05
#: Time limits that a block may take as long as nobody knows how long an instance takes.
_AT_FIRST = 6


class Workers(Protocol):
    """A back end: workers by number."""

    def start(self, worker: int) -> None:
        """Start a worker; it says when it is ready."""

    def give(self, worker: int, block: Block, token: str) -> None:
        """Have a block explained into a file with the token's name."""

    def wait(self, timeout: float | None) -> list[tuple[int, Answer]]:
        """What workers have to say, at most so many seconds from now."""

    def seconds_in_line(self, worker: int) -> float:
        """How long a worker has waited for a processor that others had; 0 if nobody knows."""

    def kill(self, worker: int) -> None:
        """End a worker, whatever it does."""

    def close(self) -> None:
        """End all."""


@dataclass
class Given:
    """A block that a worker has.

    Attributes:
        block: it.
        deaths: how many workers have died of it.
        token: name of the file.
        begin: when it was given.
        in_line: how long its worker had waited for a processor by then.
    """

    block: Block
    deaths: int
    token: str
    begin: float
    in_line: float


@dataclass(frozen=True)
class Progress:
    """Where a job stands.

    Attributes:
        done: explained instances, those of earlier runs included.
        failed: instances that cannot be explained, likewise.
        total: all that were asked for.
        seconds: since this run began.
        rate: instances per second since the first was handed out; 0 before one is done.
    """

    done: int
    failed: int
    total: int
    seconds: float
    rate: float

    @property
    def left(self) -> float | None:
        """Seconds that are left, as far as the rate tells."""
        todo = self.total - self.done - self.failed
        return todo / self.rate if self.rate else None


@dataclass
class Driver:
    """One run of a job.

    Attributes:
        folder: where explanations go.
        workers: who makes them.
        num_workers: how many.
        time_limit: seconds that one instance may take, without those in which its worker waits for
            a processor; None for no limit.
        tell: called whenever something has changed.
        clock: seconds.
    """

    folder: JobFolder
    workers: Workers
    num_workers: int
    time_limit: float | None
    tell: Callable[[Progress], None]
    clock: Callable[[], float] = time.monotonic
    _todo: deque[tuple[Block, int]] = field(default_factory=deque)
    _given: dict[int, Given] = field(default_factory=dict)
    _idle: set[int] = field(default_factory=set)
    _starting: dict[int, int] = field(default_factory=dict)
    _seconds: float = 0.0
    _new: int = 0
    _new_failed: int = 0
    _first_given: float | None = None

    def run(self) -> None:
        """Explain what is left.

        Raises:
            OutputError: if explanations cannot be written; what is finished stays.
            EngineError: if workers do not start, or nothing can be explained.
            GlassgraphError: that workers meet before they begin.
        """
        self._todo.extend((block, 0) for block in self.folder.left)
        self._begin = self.clock()
        self._tell()
        try:
            for worker in range(min(self.num_workers, len(self._todo))):
                self._start(worker, 0)
            while self._todo or self._given:
                self._hand_out()
                for worker, answer in self.workers.wait(self._next_limit()):
                    self._take(worker, answer)
                self._end_late()
        finally:
            self.workers.close()

    def _start(self, worker: int, deaths: int) -> None:
        self._starting[worker] = deaths
        self.workers.start(worker)

    def _hand_out(self) -> None:
        while self._todo and self._idle:
            worker = self._idle.pop()
            block, deaths = self._todo.popleft()
            in_line = self.workers.seconds_in_line(worker)
            given = Given(block, deaths, secrets.token_hex(8), self.clock(), in_line)
            if self._first_given is None:  # workers take their time to start
                self._first_given = given.begin
            self._given[worker] = given
            self.workers.give(worker, block, given.token)

    # What came of it

    def _take(self, worker: int, answer: Answer) -> None:
        if worker in self._starting:
            self._started(worker, answer)
            return
        given = self._given.pop(worker, None)
        if answer.kind == "died":
            self.workers.kill(worker)
            self._idle.discard(worker)
            if given is not None:
                self._died(given, answer.text)
            self._start(worker, 0)
            return
        self._idle.add(worker)
        if given is None:
            return
        if answer.kind == "done":
            self._keep(given, answer.seconds)
        elif answer.kind == "raised":
            self._blame(given, answer.text)
        else:
            raise OutputError(
                f"{self.folder.path} cannot be written ({answer.text}); what is finished is safe: "
                "make room, and give the same command again"
            )
        self._repeat(answer, given.block)

    def _started(self, worker: int, answer: Answer) -> None:
        deaths = self._starting.pop(worker)
        if answer.kind == "ready":
            self._idle.add(worker)
            return
        if answer.kind == "refused":
            raise _raised(answer)
        self.workers.kill(worker)
        if deaths + 1 >= _STARTS:
            raise EngineError(
                f"a worker died {_STARTS} times before it was ready: {answer.text}. What it said "
                "stands on standard error; a script that calls explain_all needs "
                "if __name__ == '__main__': around the call"
            )
        self._start(worker, deaths + 1)

    def _keep(self, given: Given, seconds: float) -> None:
        self.folder.keep(given.block, given.token)
        self._seconds += seconds
        self._new += given.block.size
        self._tell()

    def _repeat(self, answer: Answer, block: Block) -> None:
        """Warn of what a worker warned of, of each thing once."""
        for heard in answer.heard:
            if self.folder.note(heard, block):
                where = f"positions {block.start} to {block.stop - 1} of {self.folder.path}"
                warnings.warn(f"{heard.text} (a worker, at {where})", heard.category, stacklevel=2)

    def _died(self, given: Given, text: str) -> None:
        if given.deaths == 0:
            self._todo.appendleft((given.block, 1))
        else:
            self._blame(given, text, deaths=1)

    def _blame(self, given: Given, text: str, deaths: int = 0) -> None:
        """Cut a block in halves, or record the one instance that is left of it."""
        block = given.block
        if block.size > 1:
            middle = block.start + block.size // 2
            halves = [Block(block.start, middle), Block(middle, block.stop)]
            # One instance alone is given a second chance: nobody knows who killed its worker.
            again = [(half, deaths if half.size > 1 else 0) for half in halves]
            self._todo.extendleft(reversed(again))
            return
        self.folder.fail(block, text)
        self._new_failed += 1
        if not self._new and self._new_failed >= _HOPELESS:
            raise EngineError(
                f"{_HOPELESS} of {_HOPELESS} instances failed, and none was explained; the last: "
                f"{text}"
            )
        self._tell()

    # Time

    def _limit(self, block: Block) -> float:
        if self.time_limit is None:
            return math.inf
        if block.size == 1:
            return self.time_limit
        if not self._new:
            return self.time_limit * min(block.size, _AT_FIRST)
        return self.time_limit + _PATIENCE * self._seconds / self._new * block.size

    def _taken(self, worker: int, given: Given) -> float:
        """Seconds that a worker has had for its block: a busy machine is not the block's fault."""
        in_line = self.workers.seconds_in_line(worker) - given.in_line
        return self.clock() - given.begin - max(0.0, in_line)  # a dead worker tells no time

    def _next_limit(self) -> float | None:
        left = [
            self._limit(given.block) - self._taken(worker, given)
            for worker, given in self._given.items()
        ]
        least = min(left, default=math.inf)
        return None if math.isinf(least) else max(_LOOK, least)

    def _end_late(self) -> None:
        for worker, given in list(self._given.items()):
            limit = self._limit(given.block)
            if self._taken(worker, given) < limit:
                continue
            self.workers.kill(worker)
            del self._given[worker]
            self._blame(given, f"it took longer than the time limit of {limit:g} s")
            self._start(worker, 0)

    def _tell(self) -> None:
        now, new = self.clock(), self._new + self._new_failed
        working = 0.0 if self._first_given is None else now - self._first_given
        rate = new / working if new and working else 0.0
        done, failed = self.folder.num_done, self.folder.num_failed
        self.tell(Progress(done, failed, self.folder.total, now - self._begin, rate))


def _raised(answer: Answer) -> GlassgraphError:
    """What a worker raised before it began, as it was."""
    kind = getattr(errors, answer.error, None)
    if isinstance(kind, type) and issubclass(kind, GlassgraphError):
        return kind(answer.text)
    return EngineError(f"a worker cannot begin: {answer.text}")
