"""Workers that are processes of this machine: no server, and nothing to install."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from pathlib import Path

from glassgraph.engine.worker import Answer, Worker, describe
from glassgraph.processes import die_with, seconds_in_line
from glassgraph.results.saved.blocks import Block

#: Seconds that workers without work have to end by themselves, and to clean up.
_FAREWELL = 5.0
#: Set while a process starts, which runs the user's script once more.
STARTING = "GLASSGRAPH_WORKER_STARTING"


class LocalWorkers:
    """Processes, each with one end of a pipe.

    Args:
        folder: the job's.
        memory: bytes of its own that a worker may take.
    """

    def __init__(self, folder: Path, memory: int | None) -> None:
        self._folder, self._memory = folder, memory
        self._running: dict[int, tuple[multiprocessing.Process, Connection]] = {}
        self._at_work: set[int] = set()

    def start(self, worker: int) -> None:
        """Start a worker; it says when it is ready."""
        context = multiprocessing.get_context("spawn")
        here, there = context.Pipe()
        process = context.Process(
            target=_serve, args=(there, self._folder, self._memory, os.getpid()), daemon=True
        )
        with _starting():
            process.start()
        there.close()
        self._running[worker] = (process, here)  # type: ignore[assignment]
        self._at_work.add(worker)  # until it is ready

    def give(self, worker: int, block: Block, token: str) -> None:
        """Have a block explained; a worker that has died says so instead."""
        self._at_work.add(worker)
        with suppress(OSError):  # its end of the pipe is closed, which `wait` finds
            self._running[worker][1].send((block.start, block.stop, token))

    def wait(self, timeout: float | None) -> list[tuple[int, Answer]]:
        """What workers have to say."""
        owner = {pipe: worker for worker, (_, pipe) in self._running.items()}
        found = []
        for pipe in wait(list(owner), timeout):
            worker = owner[pipe]  # type: ignore[index]
            self._at_work.discard(worker)
            try:
                found.append((worker, self._running[worker][1].recv()))
            except (EOFError, OSError):
                found.append((worker, Answer("died", text=self._how_it_died(worker))))
        return found

    def seconds_in_line(self, worker: int) -> float:
        """How long a worker has waited for a processor."""
        process_id = self._running[worker][0].pid
        return 0.0 if process_id is None else seconds_in_line(process_id)

    def kill(self, worker: int) -> None:
        """End a worker, whatever it does."""
        process, pipe = self._running.pop(worker)
        process.kill()
        process.join()
        pipe.close()

    def close(self) -> None:
        """End all: those at work at once, the others once they have cleaned up."""
        idle = [self._running[worker] for worker in self._running.keys() - self._at_work]
        for _, pipe in idle:
            pipe.close()  # that nobody asks any more ends them
        until = time.monotonic() + _FAREWELL
        for process, _ in idle:
            process.join(max(0.0, until - time.monotonic()))
        for worker in list(self._running):
            self.kill(worker)

    def process_ids(self) -> list[int]:
        """Of all workers."""
        return [process.pid for process, _ in self._running.values() if process.pid is not None]

    def _how_it_died(self, worker: int) -> str:
        process, _ = self._running[worker]
        process.join(5)
        code = process.exitcode
        died = f"was killed by signal {-code}" if code and code < 0 else f"ended with {code}"
        return f"its process {died} (out of memory?)"


@contextmanager
def _starting() -> Iterator[None]:
    os.environ[STARTING] = "1"
    try:
        yield
    finally:
        os.environ.pop(STARTING, None)


def _serve(pipe: Connection, folder: Path, memory: int | None, parent: int) -> None:
    """What a worker's process does until nobody asks any more; Ctrl-C is for the driver."""
    os.environ.pop(STARTING, None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with(parent)
    try:
        worker = Worker(folder, memory)
    except Exception as error:  # noqa: BLE001 - whatever it is, the driver says it
        pipe.send(Answer("refused", type(error).__name__, describe(error)))
        return
    pipe.send(Answer("ready"))
    while True:
        try:
            start, stop, token = pipe.recv()
            pipe.send(worker.explain(start, stop, token))
        except (EOFError, OSError):
            return
