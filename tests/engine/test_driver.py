"""Which blocks are handed out again, cut or recorded, with workers that are no processes."""

from __future__ import annotations

import os
import shutil
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import torch

from glassgraph.engine.driver import Driver, Progress
from glassgraph.engine.folder import JobFolder, open_folder
from glassgraph.engine.progress import duration, sentence
from glassgraph.engine.worker import UNFINISHED, Answer, write_rows
from glassgraph.errors import (
    DamagedFileError,
    EngineError,
    FolderInUseError,
    GraphError,
    OutputError,
    ResumeError,
)
from glassgraph.results.saved.blocks import Block, block_of, finished, left, recent_rate

TOTAL, SIZE = 53, 7


@dataclass
class Fake:
    """Workers that do what they are told of each position, at once."""

    folder: Path
    raises: set[int] = field(default_factory=set)
    dies: set[int] = field(default_factory=set)
    hangs: set[int] = field(default_factory=set)
    killed_once: set[int] = field(default_factory=set)
    start_answers: list[Answer] = field(default_factory=list)
    disk_full_after: int = 10**9
    now: float = 0.0
    busy: float = 0.0  # share of the time in which others have the processors
    said: deque[tuple[int, Answer]] = field(default_factory=deque)
    blocks: list[Block] = field(default_factory=list)
    starts: int = 0
    is_closed: bool = False

    def start(self, worker: int) -> None:
        self.starts += 1
        answer = self.start_answers.pop(0) if self.start_answers else Answer("ready")
        self.said.append((worker, answer))

    def give(self, worker: int, block: Block, token: str) -> None:
        self.blocks.append(block)
        own = set(range(block.start, block.stop))
        if own & self.hangs:
            return
        if own & self.killed_once:
            self.killed_once -= own
            self.said.append((worker, Answer("died", text="killed")))
        elif own & self.dies:
            self.said.append((worker, Answer("died", text="died of it")))
        elif own & self.raises:
            self.said.append((worker, Answer("raised", "ValueError", "ValueError: poisoned")))
        elif len(self.blocks) > self.disk_full_after:
            self.said.append((worker, Answer("disk", "OSError", "No space left on device")))
        else:
            path = self.folder / UNFINISHED / f"{token}.parquet"
            write_rows(pa.table({"position": list(range(block.start, block.stop))}), path)
            self.said.append((worker, Answer("done", seconds=1.0)))

    def wait(self, timeout: float | None) -> list[tuple[int, Answer]]:
        if self.said:
            return [self.said.popleft()]
        assert timeout is not None, "nobody says anything, and no time limit ends it"
        self.now += timeout
        return []

    def seconds_in_line(self, worker: int) -> float:
        return self.busy * self.now

    def kill(self, worker: int) -> None:
        self.said = deque(each for each in self.said if each[0] != worker)

    def close(self) -> None:
        self.is_closed = True


def run(folder: Path, fake: Fake, workers: int = 2, **asked: Any) -> JobFolder:
    index = torch.arange(TOTAL) + 100
    header = {"provenance": {}, "asked": {"instances": TOTAL, "block": SIZE, **asked}}
    with open_folder(folder):
        job = JobFolder(folder, header, index, torch.zeros_like(index))
        Driver(job, fake, workers, 5.0, lambda _: None, lambda: fake.now).run()
    return job


def covered(folder: Path) -> list[int]:
    """All positions that are done, ascending; twice what is there twice."""
    done = [block for block in finished(folder) if not block.has_failed]
    return [position for block in done for position in range(block.start, block.stop)]


def failed(folder: Path) -> list[int]:
    return [block.start for block in finished(folder) if block.has_failed]


def test_every_position_is_done_once(tmp_path):
    fake = Fake(tmp_path)
    job = run(tmp_path, fake)
    assert covered(tmp_path) == list(range(TOTAL))
    assert (job.num_done, job.num_failed, fake.is_closed) == (TOTAL, 0, True)
    assert [block.size for block in finished(tmp_path)] == [7] * 7 + [4]


def test_time_in_which_others_have_the_processors_does_not_count(tmp_path):
    seconds, failures = [], []
    for number, busy in enumerate((0.0, 0.9)):
        fake = Fake(folder := tmp_path / str(number), hangs={7}, busy=busy)
        failures.append(run(folder, fake).num_failed)
        seconds.append(fake.now)
    assert failures == [1, 1]
    assert seconds[1] == pytest.approx(10 * seconds[0], rel=0.02)


@pytest.mark.parametrize("how", ["raises", "dies", "hangs"])
def test_one_poisoned_instance_is_recorded_and_the_others_go_on(tmp_path, how):
    run(tmp_path, Fake(tmp_path, **{how: {17, 52}}))
    assert failed(tmp_path) == [17, 52]
    assert covered(tmp_path) == [each for each in range(TOTAL) if each not in (17, 52)]


def test_a_block_whose_worker_was_killed_by_somebody_is_not_cut(tmp_path):
    fake = Fake(tmp_path, killed_once={3, 30})
    run(tmp_path, fake)
    assert failed(tmp_path) == []
    assert {block.size for block in finished(tmp_path)} == {7, 4}
    assert fake.starts == 2 + 2


def test_one_instance_alone_is_tried_twice_before_it_is_blamed_for_a_death(tmp_path):
    fake = Fake(tmp_path, dies={17})
    run(tmp_path, fake)
    assert [block.size for block in fake.blocks if block == Block(17, 18)] == [1, 1]


def test_a_full_disk_ends_the_job_and_the_same_call_goes_on(tmp_path):
    fake = Fake(tmp_path, disk_full_after=3)
    with pytest.raises(OutputError, match=r"No space left.*same command"):
        run(tmp_path, fake)
    assert len(covered(tmp_path)) == 3 * SIZE
    assert fake.is_closed
    again = Fake(tmp_path)
    run(tmp_path, again)
    assert covered(tmp_path) == list(range(TOTAL))
    assert len(again.blocks) == 8 - 3  # nothing twice


def test_what_is_left_after_cuts_is_what_is_missing(tmp_path):
    run(tmp_path, Fake(tmp_path, raises={17}))
    lost = next(block for block in finished(tmp_path) if block.start < 17 < block.stop + 3)
    lost.path(tmp_path, SIZE).unlink()
    again = Fake(tmp_path)
    run(tmp_path, again)
    assert again.blocks == [Block(lost.start, lost.stop)]


def test_a_driver_that_died_leaves_unfinished_files_that_do_not_count(tmp_path):
    run(tmp_path, Fake(tmp_path))
    (tmp_path / UNFINISHED).mkdir()
    (tmp_path / UNFINISHED / "0123.parquet").write_bytes(b"half")
    shutil.rmtree(tmp_path / "explanations")
    (tmp_path / "explanations").mkdir()
    run(tmp_path, Fake(tmp_path))
    assert covered(tmp_path) == list(range(TOTAL))
    assert not (tmp_path / UNFINISHED).exists()


def test_another_request_is_refused_and_says_what_differs(tmp_path):
    run(tmp_path, Fake(tmp_path), data="first")
    with pytest.raises(ResumeError, match='data was "first", is "second"'):
        run(tmp_path, Fake(tmp_path), data="second")


def test_a_second_driver_is_refused(tmp_path):
    with open_folder(tmp_path), pytest.raises(FolderInUseError, match="is being written"):
        run(tmp_path, Fake(tmp_path))


def test_a_worker_that_meets_a_mistake_before_it_begins_says_it(tmp_path):
    fake = Fake(tmp_path, start_answers=[Answer("refused", "GraphError", "x is missing")])
    with pytest.raises(GraphError, match="x is missing"):
        run(tmp_path, fake)
    assert fake.is_closed


def test_workers_that_never_get_ready_end_the_job(tmp_path):
    fake = Fake(tmp_path, start_answers=[Answer("died", text="ended with 1")] * 3)
    with pytest.raises(EngineError, match=r"died 3 times.*__main__"):
        run(tmp_path, fake, workers=1)


def test_if_nothing_can_be_explained_it_is_not_the_instances(tmp_path):
    with pytest.raises(EngineError, match=r"32 of 32 instances failed.*poisoned"):
        run(tmp_path, Fake(tmp_path, raises=set(range(TOTAL))))


def test_a_position_in_two_files_is_damage(tmp_path):
    run(tmp_path, Fake(tmp_path))
    Block(0, 7).path(tmp_path, SIZE).rename(Block(0, 8).path(tmp_path, SIZE))
    with pytest.raises(DamagedFileError, match="position 7 twice"):
        finished(tmp_path)


def test_gaps_end_where_blocks_end():
    done = [Block(3, 7), Block(17, 18, has_failed=True)]
    assert left(done, 20, 7) == [Block(0, 3), Block(7, 14), Block(14, 17), Block(18, 20)]
    assert block_of(done, 6) == done[0]
    assert block_of(done, 7) is None
    assert block_of([], 0) is None


def test_the_rate_of_late_is_told_by_the_times_of_files(tmp_path):
    run(tmp_path, Fake(tmp_path))
    assert [block.size for block in finished(tmp_path)] == [7] * 7 + [4]
    for number, block in enumerate(finished(tmp_path)):
        os.utime(block.path(tmp_path, SIZE), (0, 1000 + 2 * number))
    assert recent_rate(tmp_path) == (TOTAL - 7) / 14
    for block in finished(tmp_path)[1:]:
        block.path(tmp_path, SIZE).unlink()
    assert recent_rate(tmp_path) is None


@dataclass
class Slow(Fake):
    """Ten seconds to start, and two for each block."""

    def start(self, worker: int) -> None:
        super().start(worker)
        self.now += 10

    def give(self, worker: int, block: Block, token: str) -> None:
        super().give(worker, block, token)
        self.now += 2


def test_the_rate_does_not_count_the_start_of_workers(tmp_path):
    told: list[Progress] = []
    fake = Slow(tmp_path)
    index = torch.arange(TOTAL)
    header = {"provenance": {}, "asked": {"instances": TOTAL, "block": SIZE}}
    with open_folder(tmp_path):
        job = JobFolder(tmp_path, header, index, torch.zeros_like(index))
        Driver(job, fake, 1, None, told.append, lambda: fake.now).run()
    assert told[0].rate == 0
    assert [each.rate for each in told[1:]] == [7 / 2] * 7 + [TOTAL / 16]
    assert told[3].left == (TOTAL - 21) / (7 / 2)
    assert told[-1].seconds == 10 + 16


def test_progress_says_rate_and_time_left():
    now = Progress(done=1500, failed=2, total=10_000, seconds=10.0, rate=50.0)
    said = "1,500 of 10,000 explained, 2 failed (15.0%), 50/s, 3 min left"
    assert sentence(now) == said
    assert [duration(each) for each in (40, 700, 12_000, 187_200)] == [
        "40 s",
        "12 min",
        "3 h 20 min",
        "2 d 4 h",
    ]
