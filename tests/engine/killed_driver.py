"""A driver for a test to kill: it explains slowly enough."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))


def main() -> None:
    import glassgraph as gg
    from tests.engine.models import loops, model

    gg.explain_all(
        model(), loops(22), "edge_gradients", out=sys.argv[1], workers=1, block=2, progress=False
    )


if __name__ == "__main__":
    main()
