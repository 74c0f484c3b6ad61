"""What one worker does about memory: its limit, and what lacks it after a block is explained."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import glassgraph as gg
from glassgraph.engine import worker
from tests.engine.models import loops, model

_LIMITED = """
import pyarrow as pa
import torch
from glassgraph.engine.worker import limit_memory, write_rows

limit_memory(1088 << 20)  # as much as Arrow reserves, and a little more
write_rows(pa.table({"score": [[0.5, 0.25], []], "node": [[1, 2], []]}), "rows.parquet")
torch.ones(1 << 27)
try:
    torch.ones(1 << 29)
except RuntimeError as error:
    print("refused")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere memory has no such limit")
def test_a_limit_of_memory_leaves_room_to_write(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _LIMITED], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.stdout == "refused\n", done.stderr
    assert (tmp_path / "rows.parquet").exists()


@pytest.mark.usefixtures("in_process")
def test_memory_that_lacks_for_writing_is_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = worker.write_rows

    def write(table, path):
        if 4 in table["index"].to_pylist():
            raise MemoryError("malloc of size 64 failed")
        plain(table, path)

    monkeypatch.setattr(worker, "write_rows", write)
    found = gg.explain_all(
        model(), loops(6), "edge_gradients", out=tmp_path, workers=1, block=4, progress=False
    )
    failures = found.failures().set_index("index")["error"].to_dict()
    assert list(failures) == [4]
    assert failures[4].startswith("out of memory (MemoryError: malloc of size 64 failed")
