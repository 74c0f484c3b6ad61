"""Workers inside of the driver's process: the same blocks and files, without starting anything."""

from __future__ import annotations

from collections import deque
from pathlib import Path

from glassgraph.engine.worker import Answer, Worker, describe
from glassgraph.results.saved.blocks import Block


class InProcess:
    """In the place of `LocalWorkers`; memory is not limited, for it is the driver's own."""

    def __init__(self, folder: Path, memory: int | None) -> None:
        self._folder = folder
        self._workers: dict[int, Worker] = {}
        self._said: deque[tuple[int, Answer]] = deque()

    def start(self, worker: int) -> None:
        try:
            self._workers[worker] = Worker(self._folder)
        except Exception as error:  # noqa: BLE001 - as processes do
            self._said.append((worker, Answer("refused", type(error).__name__, describe(error))))
        else:
            self._said.append((worker, Answer("ready")))

    def give(self, worker: int, block: Block, token: str) -> None:
        answer = self._workers[worker].explain(block.start, block.stop, token)
        self._said.append((worker, answer))

    def wait(self, timeout: float | None) -> list[tuple[int, Answer]]:
        return [self._said.popleft()]

    def seconds_in_line(self, worker: int) -> float:
        return 0.0

    def kill(self, worker: int) -> None:
        self._workers.pop(worker, None)

    def close(self) -> None:
        self._workers.clear()
