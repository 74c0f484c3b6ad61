"""``kill -9`` in a cell, and the same run again: what was finished stays, the rest is measured."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from glassgraph.benchmarks import Run, Suite, parse_suite, read_rows
from glassgraph.results.saved.folder_lock import AbandonedLockWarning, locked
from tests.benchmarks.stars import known

ROOT = Path(__file__).parents[2]

KILLED = """
import sys
from pathlib import Path
from glassgraph.benchmarks import Run
from glassgraph.results.saved.folder_lock import AbandonedLockWarning, locked
from tests.benchmarks.stars import known
from tests.benchmarks.test_killed import asked_of
with known():
    asked = asked_of(sys.argv[1])
    Run(asked, asked, Path(sys.argv[1]) / "out").go()
"""


def asked_of(folder: str) -> Suite:
    table = {
        "name": "tiny",
        "instances": 7,
        "datasets": ["stars"],
        "methods": ["truth", "logged", "inverse"],
        "metrics": ["auc"],
        "settings": {"logged": {"folder": folder}},
    }
    return parse_suite(table, "tiny.toml")


@pytest.mark.filterwarnings("ignore:.*its lock is taken over:UserWarning")
@pytest.mark.slow("parts that make the whole, a method that is ended: test_run.py")
def test_killed_in_a_cell_and_run_again(tmp_path: Path) -> None:
    (tmp_path / "wait").touch()
    words = [sys.executable, "-c", KILLED, str(tmp_path)]
    log = tmp_path / "log"
    with subprocess.Popen(words, cwd=ROOT) as process:
        wait_until(lambda: log.exists() and log.read_text().endswith("\n"), process)
        process.kill()
    finished = sorted((tmp_path / "out" / "rows").glob("*.parquet"))
    assert [file.name for file in finished] == ["stars.0.truth.parquet"]
    written = finished[0].stat().st_mtime_ns
    (orphan,) = map(int, log.read_text().split())
    wait_until(lambda: not is_alive(orphan))
    (tmp_path / "wait").unlink()
    with known():
        asked = asked_of(str(tmp_path))
        Run(asked, asked, tmp_path / "out").go()
    frame = read_rows(tmp_path / "out")
    assert finished[0].stat().st_mtime_ns == written
    assert len(log.read_text().split()) == 2  # the interrupted cell, from its beginning
    assert set(frame["method"]) == {"truth", "logged", "inverse"}
    assert (frame["status"] == "measured").all()


def wait_until(done: Any, process: subprocess.Popen[bytes] | None = None) -> None:
    end = time.monotonic() + 60
    while not done():
        assert time.monotonic() < end
        assert process is None or process.poll() is None
        time.sleep(0.02)


def is_alive(process: int) -> bool:
    try:
        status = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return False
    return status.rsplit(")", 1)[1].split()[0] != "Z"


def test_a_forked_process_does_not_hold_the_lock_beyond_its_parents_end(tmp_path: Path) -> None:
    (tmp_path / "wait").touch()
    words = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        process.kill()
        process.wait()
        with pytest.warns(AbandonedLockWarning), locked(tmp_path):
            assert is_alive(child)
        (tmp_path / "wait").unlink()


HOLDER = """
import os, sys, time
from pathlib import Path
from glassgraph.results.saved.folder_lock import locked
folder = Path(sys.argv[1])
with locked(folder):
    if not os.fork():
        print(os.getpid(), flush=True)
    while (folder / "wait").exists():
        time.sleep(0.01)
    os._exit(0)
"""
