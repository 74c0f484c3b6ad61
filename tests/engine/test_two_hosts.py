"""Ray over two hosts, network namespaces with a cable between them, one of which is killed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import glassgraph as gg

pytest.importorskip("ray")

NODES, PORT = 1200, 6406
HEAD, OTHER = ("gg-head", "10.213.7.1"), ("gg-other", "10.213.7.2")


def run(*words: str) -> None:
    done = subprocess.run(words, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def _can_make_hosts() -> bool:
    if shutil.which("ip") is None or not hasattr(os, "geteuid") or os.geteuid() != 0:
        return False
    done = subprocess.run(["ip", "netns", "add", "gg-probe"], capture_output=True, check=False)
    subprocess.run(["ip", "netns", "del", "gg-probe"], capture_output=True, check=False)
    return done.returncode == 0


def _kill(name: str) -> None:
    """All processes of a host, as if it lost its power."""
    found = subprocess.run(["ip", "netns", "pids", name], capture_output=True, check=False)
    for process in map(int, found.stdout.split()):
        try:
            os.kill(process, signal.SIGKILL)
        except ProcessLookupError:
            continue


@pytest.fixture
def address() -> Iterator[str]:
    """Of a cluster of two hosts with a processor each."""
    if not _can_make_hosts():
        pytest.skip("no network namespaces can be made here")
    for name, _ in (HEAD, OTHER):
        run("ip", "netns", "add", name)
    folder = tempfile.mkdtemp(prefix="gg")  # names of sockets must be short
    try:
        run("ip", "link", "add", "gg0", "netns", HEAD[0], "type", "veth", "peer", "gg1",
            "netns", OTHER[0])  # fmt: skip
        for (name, number), cable in ((HEAD, "gg0"), (OTHER, "gg1")):
            run("ip", "-n", name, "addr", "add", f"{number}/24", "dev", cable)
            run("ip", "-n", name, "link", "set", cable, "up")
            run("ip", "-n", name, "link", "set", "lo", "up")
        at = f"{HEAD[1]}:{PORT}"
        for (name, number), role in (
            (
                HEAD,
                ["--head", "--include-dashboard=false", f"--port={PORT}", f"--temp-dir={folder}"],
            ),
            (OTHER, [f"--address={at}"]),
        ):
            run("ip", "netns", "exec", name, sys.executable, "-m", "ray.scripts.scripts", "start",
                f"--node-ip-address={number}", "--num-cpus=1",
                "--object-store-memory=100000000", "--disable-usage-stats", *role)  # fmt: skip
        yield at
    finally:
        for name, _ in (HEAD, OTHER):
            _kill(name)
            subprocess.run(["ip", "netns", "del", name], check=False)
        shutil.rmtree(folder, ignore_errors=True)


def test_a_host_that_is_gone_costs_no_finished_block(address: str, tmp_path: Path) -> None:
    script, out = Path(__file__).with_name("long_driver.py"), tmp_path / "job"
    words = ["ip", "netns", "exec", HEAD[0], sys.executable, str(script), str(out)]
    driver = subprocess.Popen([*words, str(NODES), address])
    try:
        until = time.monotonic() + 600
        while len(list(out.rglob("0*.parquet"))) < NODES // 16 and time.monotonic() < until:
            assert driver.poll() is None
            time.sleep(0.02)
        before = {path: path.stat().st_mtime_ns for path in out.rglob("0*.parquet")}
        _kill(OTHER[0])
        assert NODES // 16 <= len(before) < NODES // 8
        assert driver.wait(600) == 0
    finally:
        driver.kill()
        driver.wait()
    found = gg.Explanations.scan(out)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    positions = sorted(found.dataset.to_table(columns=["position"])["position"].to_pylist())
    assert positions == list(range(NODES))
    assert len(found) == NODES
