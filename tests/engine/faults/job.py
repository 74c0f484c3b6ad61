"""A job that a process of its own leads, so that it can be killed.

``python -m tests.engine.faults.job GRAPH OUT NODES ENGINE [ADDRESS]``
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
#: Instances in a block: there are over a hundred blocks, so that any moment is in the midst of one.
BLOCK = 32


@dataclass
class Job:
    """One request, and who leads it at the moment.

    Attributes:
        graph: folder of the graph.
        out: of the job.
        nodes: how many are explained.
        engine: which engine.
        address: of a cluster.
        before: words that the command begins with, of a host.
        environment: variables that it has besides.
        driver: who leads it.
    """

    graph: Path
    out: Path
    nodes: int
    engine: str = "local"
    address: str | None = None
    before: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    driver: subprocess.Popen[str] | None = field(default=None, init=False)

    def begin(self) -> None:
        """Give the command, for the first time or again."""
        words = [self.graph, self.out, self.nodes, self.engine, *filter(None, [self.address])]
        self.driver = subprocess.Popen(
            [*self.before, sys.executable, "-m", __spec__.name, *map(str, words)],
            cwd=ROOT,
            env={**os.environ, **self.environment},
            stderr=subprocess.PIPE,
            text=True,
        )

    def files(self) -> dict[str, int]:
        """Finished blocks, and when each was written."""
        found = (self.out / "explanations").rglob("*.parquet")
        return {path.name: path.stat().st_mtime_ns for path in found}

    def wait_for(self, blocks: int) -> None:
        """Return when so many are finished.

        Raises:
            AssertionError: if the job ends before.
        """
        assert self.driver is not None
        while len(self.files()) < blocks:
            assert self.driver.poll() is None, self.end()[1]
            time.sleep(0.02)

    def kill(self) -> dict[str, int]:
        """Kill who leads it; what is finished then."""
        assert self.driver is not None
        os.kill(self.driver.pid, signal.SIGKILL)
        self.end()
        return self.files()

    def end(self) -> tuple[int, str]:
        """Wait until it ends; its exit status, and what it said."""
        assert self.driver is not None
        said = self.driver.communicate()[1]
        return self.driver.returncode, said

    def table(self) -> Any:
        """All rows, in the order of their positions."""
        import glassgraph as gg

        return gg.Explanations.scan(self.out).dataset.to_table().sort_by("position")


def main(graph: str, out: str, nodes: str, engine: str, address: str | None = None) -> None:
    """Lead it."""
    import torch
    from torch_geometric.nn import GCN

    import glassgraph as gg

    torch.manual_seed(0)
    gg.explain_all(
        GCN(16, 64, 2, 8).eval(),
        graph,
        "edge_gradients",
        index=torch.arange(int(nodes)),
        out=out,
        engine=engine,  # type: ignore[arg-type]
        address=address,
        workers=2,
        block=BLOCK,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
