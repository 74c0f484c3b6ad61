"""A driver of a job of many blocks, for tests that kill it or a part of its cluster.

Folder, number of nodes, and the address of a Ray cluster or nothing for processes of this machine.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))


def main() -> None:
    import glassgraph as gg
    from tests.engine.models import loops, model

    out, nodes, *address = sys.argv[1:]
    where: Any = {"engine": "ray", "address": address[0]} if address else {}
    data = loops(int(nodes))
    gg.explain_all(
        model(), data, "edge_gradients", out=out, workers=2, block=8, progress=False, **where
    )


if __name__ == "__main__":
    main()
