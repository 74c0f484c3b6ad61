"""The command that leads a job dies at any place, or its disk is full: nothing is lost or doubled.

The driver is a copy of this process (``fork``) that explains by itself and kills itself at some
access to its folder, so that a kill can be put between any two of them.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

import glassgraph as gg
from glassgraph.engine import worker
from glassgraph.results.saved.blocks import finished
from glassgraph.results.saved.folder_lock import locked
from tests.cli.helpers import explain, run
from tests.engine.models import RAISES, Poisoned

pytestmark = [
    pytest.mark.usefixtures("in_process"),
    pytest.mark.skipif(not hasattr(os, "fork"), reason="the driver is a fork"),
    pytest.mark.filterwarnings("ignore:.*its lock is taken over:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning"),
]
NODES = 11
MODEL = """
from tests.engine.models import model as make
"""


@pytest.fixture
def case(tmp_path: Path) -> dict[str, Any]:
    from glassgraph.data import GraphStore
    from tests.engine.models import loops

    (tmp_path / "net.py").write_text(MODEL)
    GraphStore.build(loops(NODES), tmp_path / "store")
    return {
        "--store": tmp_path / "store",
        "--model": f"{tmp_path / 'net.py'}:make",
        "--method": "saliency",
        "--block": 2,
        "--workers": 1,
        "--out": tmp_path / "job",
    }


def led_by_a_fork(case: dict[str, Any], kill_at: int) -> int | None:
    """Run the command in a copy of this process; the signal that ended it.

    Args:
        case: options.
        kill_at: the access to the job's folder, from 1, in the place of which it is killed.
    """
    child = os.fork()
    if child == 0:
        left = kill_at

        def watch(event: str, details: tuple[Any, ...]) -> None:
            nonlocal left
            if event in ("open", "os.rename", "os.mkdir", "os.rmdir", "os.remove", "os.scandir"):
                left -= str(details[0]).startswith(str(case["--out"]))
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(watch)
        try:
            code = explain(case).exit_code
        except BaseException:  # noqa: BLE001 - no test goes on in the copy
            code = 99
        os._exit(code)
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        return os.WTERMSIG(status)
    assert os.WEXITSTATUS(status) == 0
    return None


def files(case: dict[str, Any]) -> dict[Path, int]:
    found = (case["--out"] / "explanations").rglob("*.parquet")
    return {path: path.stat().st_mtime_ns for path in found}


def assert_whole(case: dict[str, Any]) -> None:
    scan = gg.Explanations.scan(case["--out"])
    positions = scan.dataset.to_table(columns=["position"])["position"].to_pylist()
    assert sorted(positions) == list(range(NODES))
    assert [block.size for block in finished(case["--out"])] == [2] * 5 + [1]
    assert not (case["--out"] / "unfinished").exists()


def test_three_kills_at_different_places(case: dict[str, Any]) -> None:
    """Before a block is there, between blocks, and near the end."""
    seen: list[dict[Path, int]] = [{}]
    for kill_at in (20, 43, 43):
        assert led_by_a_fork(case, kill_at) == signal.SIGKILL
        now = files(case)
        assert seen[-1].items() <= now.items()  # nothing that was finished is touched
        seen.append(now)
    assert 0 == len(seen[1]) < len(seen[2]) < len(seen[3])
    assert explain(case).exit_code == 0
    assert seen[-1].items() <= files(case).items()
    assert_whole(case)


@pytest.mark.parametrize("kill_at", range(2, 54, 4))
def test_a_kill_at_any_place(case: dict[str, Any], kill_at: int) -> None:
    assert led_by_a_fork(case, kill_at) == signal.SIGKILL
    before = files(case)
    assert explain(case).exit_code == 0
    assert before.items() <= files(case).items()
    assert_whole(case)


def test_a_full_disk_ends_it_and_the_same_command_goes_on(
    case: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    written, write = [], worker.pq.write_table

    def full(table: Any, path: Path, **how: Any) -> None:
        if len(written) == 3:
            Path(path).write_bytes(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")
        written.append(path)
        write(table, path, **how)

    with monkeypatch.context() as patch:
        patch.setattr(worker.pq, "write_table", full)
        result = explain(case)
    assert result.exit_code == 2
    assert "No space left on device" in result.output
    assert "what is finished is safe: make room, and give the same command again" in result.output
    before = files(case)
    assert len(before) == 3
    assert "6 done, 0 failed, 5 left" in run("jobs", case["--out"]).stdout
    assert explain(case).exit_code == 0
    assert before.items() <= files(case).items()
    assert_whole(case)


def test_a_second_command_is_refused_while_the_first_writes(case: dict[str, Any]) -> None:
    case["--out"].mkdir()
    with locked(case["--out"]):
        result = explain(case)
    assert result.exit_code == 2
    assert "is being written by process" in result.output
    assert not files(case)


def test_a_poisoned_instance_is_told_of_and_the_rest_is_there(
    case: dict[str, Any], tmp_path: Path
) -> None:
    gg.register(Poisoned)
    try:
        result = explain(case, index="0:8", method="poisoned", json=tmp_path / "job.json")
    finally:
        from glassgraph.explainers.registry import unregister

        unregister("poisoned")
    assert result.exit_code == 0
    words = result.stdout.splitlines()
    said = words.index("poisoned: 7 done, 1 failed, 0 left, of 8 node predictions")
    assert words[said + 1].startswith(f"  node {RAISES}: ValueError: of this node")
    assert "1 could not be explained; the rest went on" in result.output
