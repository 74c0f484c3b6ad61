"""A driver to kill: one node stops its job, the first time.

``python killed_driver.py FOLDER ENGINE [ADDRESS]`` explains into ``FOLDER/job``.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))
BLOCK = 3


def explain(folder: Path, engine: str, address: str | None = None) -> Any:
    """The same job each time; those who explain it leave notes in the folder."""
    import glassgraph as gg
    from tests.engine.models import NODES, Once, loops, model

    return gg.explain_all(
        model(),
        loops(NODES),
        Once,
        out=folder / "job",
        notes=str(folder),
        engine=engine,  # type: ignore[arg-type]
        address=address,
        workers=1,
        block=BLOCK,
        time_limit=None,
        progress=False,
    )


def kill_and_resume(folder: Path, engine: str, address: str | None = None) -> Any:
    """What a driver and its successor explain; the first is killed when one block is left."""
    from glassgraph.results.saved.blocks import Block, finished, left
    from tests.engine.models import HANGS, NODES

    def files() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in folder.rglob("*.parquet")}

    last = [Block(HANGS, HANGS + BLOCK)]
    given = [folder, engine] if address is None else [folder, engine, address]
    driver = subprocess.Popen([sys.executable, __file__, *given])
    try:
        until = time.monotonic() + 120
        while left(finished(folder / "job"), NODES, BLOCK) != last and time.monotonic() < until:
            assert driver.poll() is None
            time.sleep(0.05)
    finally:
        driver.kill()
        driver.wait()
    before = files()
    assert len(before) == 5 + 3  # of seven blocks the last waits, and one was cut into three
    found = explain(folder, engine, address)
    assert before.items() <= files().items()
    return found


if __name__ == "__main__":
    explain(Path(sys.argv[1]), *sys.argv[2:])
