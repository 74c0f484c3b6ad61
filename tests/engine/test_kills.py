"""A driver that is killed again and again, at more than a thousand nodes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import glassgraph as gg
from tests.engine.models import loops, model

NODES, BLOCK = 1600, 8


def blocks(folder: Path) -> dict[Path, int]:
    """Files of finished blocks, and when they were written."""
    return {path: path.stat().st_mtime_ns for path in folder.rglob("0*.parquet")}


@pytest.mark.filterwarnings("ignore:.*its lock is taken over:UserWarning")
def test_a_driver_killed_three_times_loses_and_doubles_nothing(tmp_path: Path) -> None:
    script = Path(__file__).with_name("long_driver.py")
    kept: dict[Path, int] = {}
    for share in (1 / 4, 1 / 2, 3 / 4):
        driver = subprocess.Popen([sys.executable, str(script), str(tmp_path), str(NODES)])
        try:
            until = time.monotonic() + 600
            while len(blocks(tmp_path)) < share * NODES / BLOCK and time.monotonic() < until:
                assert driver.poll() is None
                time.sleep(0.1)
        finally:
            os.kill(driver.pid, signal.SIGKILL)
            driver.wait()
        now = blocks(tmp_path)
        assert share * NODES / BLOCK <= len(now) < NODES / BLOCK
        assert {path: now[path] for path in kept} == kept
        kept = now
    found = gg.explain_all(
        model(),
        loops(NODES),
        "edge_gradients",
        out=tmp_path,
        workers=2,
        block=BLOCK,
        progress=False,
    )
    assert {path: blocks(tmp_path)[path] for path in kept} == kept
    positions = sorted(found.dataset.to_table(columns=["position"])["position"].to_pylist())
    assert positions == list(range(NODES))
