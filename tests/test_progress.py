"""Bars of progress, and what must not stop them."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

#: A process that was forked dies with tqdm's lock, as one that the system kills may.
DIES_WITH_THE_LOCK = """
import os, signal
from tqdm import tqdm
from glassgraph import progress

tqdm(disable=True)  # makes the lock, which forked processes share
child = os.fork()
if child == 0:
    tqdm.get_lock().acquire()
    os.kill(os.getpid(), signal.SIGKILL)
os.waitpid(child, 0)
progress._draws = lambda: True
for disable in (True, False):
    with progress.progress_bar(range(3), "work", disable=disable) as bar:
        assert list(bar) == [0, 1, 2]
        bar.set_postfix(loss=1)
print("done")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows has no fork, so no lock is inherited")
def test_a_process_that_dies_with_the_lock_stops_no_other() -> None:
    command = [sys.executable, "-c", DIES_WITH_THE_LOCK]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout == "done\n", done.stderr
    assert "work: 100%" in done.stderr
