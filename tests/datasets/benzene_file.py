"""A file of a few molecules in the form of the benzene data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from glassgraph.datasets.benzene import FILE

RING = [(i, (i + 1) % 6) for i in range(6)]
#: Atoms, bonds (begin, end, kind), label and alternatives of three molecules: two rings that are
#: joined, a ring with an oxygen, and a chain.
TWO_RINGS = (
    [0] * 12,
    [(a, b, 3) for a, b in RING] + [(6 + a, 6 + b, 3) for a, b in RING] + [(0, 6, 0)],
    1,
    [[1] * 6 + [0] * 6, [0] * 6 + [1] * 6, [1] * 12],
)
RING_AND_OXYGEN = (
    [0] * 6 + [2],
    [(a, b, 3) for a, b in RING] + [(2, 6, 0)],
    1,
    [[1] * 6 + [0]],
)
CHAIN = ([0, 0, 1, 2], [(0, 1, 0), (1, 2, 0), (2, 3, 1)], 0, [[0] * 4])


def arrays(copies: int = 1) -> dict[str, Any]:
    """The file's arrays: the three molecules again and again, the last third for test."""
    molecules = [TWO_RINGS, RING_AND_OXYGEN, CHAIN] * (3 * copies)
    found: dict[str, list[Any]] = {
        key: []
        for key in ("node_type", "edge_type", "senders", "receivers", "label", "attribution")
    }
    counts = []
    for atoms, bonds, label, alternatives in molecules:
        found["node_type"] += atoms
        for begin, end, kind in bonds:
            found["senders"] += [begin, end]
            found["receivers"] += [end, begin]
            found["edge_type"] += [kind, kind]
        found["label"].append(label)
        found["attribution"] += [flag for row in alternatives for flag in row]
        counts.append((len(atoms), 2 * len(bonds), len(alternatives)))
    nodes, edges, alternatives_of = np.array(counts).T
    order = np.arange(len(molecules))
    return {
        **{key: np.array(value) for key, value in found.items()},
        "node_ptr": np.r_[0, nodes.cumsum()],
        "edge_ptr": np.r_[0, edges.cumsum()],
        "num_explanations": alternatives_of,
        "train_index": order[: 6 * copies],
        "test_index": order[6 * copies :],
    }


def write(folder: Path, copies: int = 1, **change: Any) -> Path:
    """Write the file, with some arrays changed (None: left out); returns the folder."""
    kept = {**arrays(copies), **change}
    np.savez(folder / FILE, **{key: value for key, value in kept.items() if value is not None})
    return folder
