"""``make cluster-check``: are jobs of thousands of nodes whole when their parts die?

Each check runs the same job, does something to it on the way, and holds what is there in the end
against a job that nothing was done to: no finished block may be lost, touched or doubled, and all
rows have to be equal to the bit. Checks that need root (two hosts, a full disk) say so where there
is none, and the command fails::

    python -m tests.engine.faults.check [--nodes 4096] [--only WORD]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch_geometric.data import Data

from glassgraph.data import GraphStore
from tests.engine.faults.hosts import Host, two_hosts
from tests.engine.faults.job import BLOCK, Job

_NODES, _DEGREE = 20_000, 10
#: Characters of a failure that are printed.
_SHOWN = 700


def main() -> int:
    """Run the checks, print a line for each; 1 if one fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=4096, help="nodes that each job explains")
    parser.add_argument("--only", default="", help="checks whose names hold this")
    asked = parser.parse_args()
    failed = 0
    with tempfile.TemporaryDirectory(prefix="glassgraph-faults-") as name:
        folder = Path(name)
        draw = torch.Generator().manual_seed(0)
        edges = torch.randint(0, _NODES, (2, _DEGREE * _NODES), generator=draw)
        data = Data(x=torch.randn(_NODES, 16, generator=draw), edge_index=edges)
        GraphStore.build(data, folder / "graph")

        def job(out: str, *more: Any, **others: Any) -> Job:
            return Job(folder / "graph", folder / out, asked.nodes, *more, **others)

        whole = job("whole")
        whole.begin()
        assert whole.end()[0] == 0
        expected = whole.table()
        for number, (what, check) in enumerate(CHECKS.items()):
            if asked.only not in what:
                continue
            begin = time.monotonic()
            try:
                made, told = check(lambda *a, n=number, **k: job(f"job-{n}", *a, **k))
                assert_equal(made, expected)
            except Exception as error:  # noqa: BLE001 - the other checks go on
                failed += 1
                told = f"FAILED: {type(error).__name__}: {error}"[-_SHOWN:]
            else:
                told += f"; {len(made.files())} blocks, rows equal to the bit"
            print(f"{what}: {told} ({time.monotonic() - begin:.0f} s)", flush=True)
    return int(failed > 0)


def assert_equal(job: Job, expected: Any) -> None:
    """Every position once, and every number as it is without faults."""
    found = job.table()
    positions = found["position"].to_pylist()
    assert positions == list(range(job.nodes)), "positions are lost or doubled"
    assert found.equals(expected), "rows differ"
    assert len(job.files()) == -(-job.nodes // BLOCK), "blocks were cut"
    assert not (job.out / "unfinished").exists(), "unfinished files are left"


def assert_kept(before: dict[str, int], job: Job) -> None:
    """What was finished was not written again."""
    assert before.items() <= job.files().items(), "a finished block was lost or written again"


# The checks: what was done to the job, in words


def driver(make: Callable[..., Job], engine: str) -> tuple[Job, str]:
    """Killed when half of what was left is done, three times."""
    job, kept = make(engine), list[dict[str, int]]()
    for _ in range(3):
        job.begin()
        done = len(job.files())
        job.wait_for(done + (job.nodes // BLOCK - done) // 2)
        kept.append(job.kill())
    job.begin()
    status, said = job.end()
    assert status == 0, said
    for before in kept:
        assert_kept(before, job)
    return job, f"killed at {', '.join(str(len(each)) for each in kept)} finished blocks"


def host(make: Callable[..., Job], harm: Callable[[Host], None]) -> tuple[Job, str]:
    """One of two hosts, when half is done."""
    with two_hosts() as (one, other, address):
        job = make("ray", address=address, before=one.words(), environment=one.environment)
        job.begin()
        job.wait_for(job.nodes // BLOCK // 2)
        assert one.explains(), "the first host has no worker"
        assert other.explains(), "the second host has no worker"
        before, begin = job.files(), time.monotonic()
        harm(other)
        status, said = job.end()
        taken = time.monotonic() - begin
        assert status == 0, said
        assert_kept(before, job)
    return job, f"harmed at {len(before)} finished blocks, the job went on for {taken:.0f} s"


def loses_power(host: Host) -> None:
    """Nothing runs on it, and nobody was told."""
    host.cut_off()
    host.kill()


def disk(make: Callable[..., Job]) -> tuple[Job, str]:
    """Full before half is done; then there is room."""
    job = make()
    size = sum(path.stat().st_size for path in (job.out.parent / "whole").rglob("*.parquet"))
    with small_disk(job.out, size // 2):
        job.begin()
        status, said = job.end()
        assert status, "it ended as if nothing were wrong"
        assert "No space left on device" in said, said
        assert "give the same command again" in said, said
        before = job.files()
        assert 0 < len(before) < job.nodes // BLOCK, "it was not full on the way"
        run("mount", "-o", f"remount,size={10 * size}", str(job.out))
        job.begin()
        status, said = job.end()
        assert status == 0, said
        assert_kept(before, job)
        job.table()
        kept = Path(f"{job.out}-kept")
        run("cp", "--archive", str(job.out), str(kept))
    job.out = kept
    return job, f"full at {len(before)} finished blocks"


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[None]:
    """A disk of so many bytes."""
    folder.mkdir()
    run("mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(folder))
    try:
        yield
    finally:
        run("umount", str(folder))


def run(*words: str) -> None:
    """A program that must not fail."""
    subprocess.run(words, check=True)


def by_root(check: Callable[..., tuple[Job, str]]) -> Callable[..., tuple[Job, str]]:
    """The same, or an error that says who may ask it."""

    def ask(make: Callable[..., Job]) -> tuple[Job, str]:
        if os.geteuid():
            raise PermissionError("needs root")
        return check(make)

    return ask


CHECKS: dict[str, Callable[..., tuple[Job, str]]] = {
    "driver killed, local": lambda make: driver(make, "local"),
    "driver killed, Ray": lambda make: driver(make, "ray"),
    "one of two hosts loses power": by_root(lambda make: host(make, loses_power)),
    "one of two hosts is cut off, and goes on": by_root(lambda make: host(make, Host.cut_off)),
    "disk full": by_root(disk),
}

if __name__ == "__main__":
    sys.exit(main())
