"""Benzene: does a molecule hold a benzene ring, and which atoms are it?

The molecules, the file and the truth are those of `datasets.zinc_molecules`.
"""

from pathlib import Path

from glassgraph.datasets.base import ExplanationDataset
from glassgraph.datasets.zinc_molecules import ATOMS, BONDS, files, zinc_molecules
from glassgraph.errors import DatasetError

__all__ = ["ATOMS", "BONDS", "FILE", "benzene"]

FILE = files("benzene").names[0]


def benzene(
    root: str | Path | None = None, seed: int = 0, download: bool = False
) -> ExplanationDataset:
    """Molecules with and without benzene rings, and the atoms of the rings.

    Each graph has `x [N, 14]` (one-hot atom), `edge_attr [E, 5]` (one-hot bond), `edge_type [E]`,
    `y` and `node_truth [N, K]`.

    Args:
        root: The folder that holds `benzene_graphs.npz`, or one above it.
        seed: Seed of the validation part.
        download: Not supported; the file has to be there.

    Raises:
        DatasetError: if the file is missing or damaged.
    """
    if download:
        raise DatasetError(f"benzene cannot be downloaded; pass the folder of {FILE} as root")
    return zinc_molecules("benzene", root, seed, as_parts=False)
