"""What processes tell of others."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from glassgraph.processes import seconds_in_line

COUNTS = Path("/proc/self/schedstat")


@pytest.mark.skipif(not COUNTS.exists(), reason="this system does not count them")
def test_a_process_beside_another_on_one_processor_waits_in_line() -> None:
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    other = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        time.sleep(0.2)  # until it runs
        before, begin, own = seconds_in_line(os.getpid()), time.monotonic(), time.thread_time()
        while time.monotonic() < begin + 1.0:
            pass
        taken, own = time.monotonic() - begin, time.thread_time() - own
        waited = seconds_in_line(os.getpid()) - before
    finally:
        other.kill()
        other.wait()
        os.sched_setaffinity(0, allowed)
    assert waited > 0.1
    assert own + waited == pytest.approx(taken, abs=0.2)


def test_nothing_is_known_of_a_process_that_is_not_there() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    assert seconds_in_line(process.pid) == 0.0
