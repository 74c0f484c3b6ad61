"""Data sets with planted motifs: generated ones, and molecules that are read from files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor

from glassgraph.errors import DatasetError

GENERATED = ("ba-shapes", "ba-community", "tree-cycles", "tree-grid", "ba-2motifs")
#: Data sets that are read from files, and how these begin.
FROM_FILES = {"mutagenicity": "Mutagenicity", "mutag": "MUTAG"}
DATASETS = (*GENERATED, *FROM_FILES)


def with_files(datasets: Iterable[str], root: Path | str | None) -> list[str]:
    """Those that are generated, and the others too where there is a folder of files."""
    return [name for name in datasets if root is not None or name not in FROM_FILES]


class LeftOutWarning(UserWarning):
    """A method cannot explain the predictions of a data set."""


def evenly(index: Tensor, most: int | None) -> Tensor:
    """At most so many of them, evenly spread."""
    if most is None or len(index) <= most:
        return index
    return index[torch.linspace(0, len(index) - 1, most).round().long()]


def find_files(name: str, root: Path | str | None) -> Path:
    """The folder of a data set's raw files: ``root``, or the one in it that holds them.

    Raises:
        DatasetError: if there are none.
    """
    first = f"{FROM_FILES[name]}_A.txt"
    if root is not None and Path(root).is_dir():
        for folder in (Path(root), *sorted(Path(root).iterdir())):
            if (folder / first).is_file():
                return folder
    raise DatasetError(
        f"{name} is read from files: root must be the folder of {first}, or the folder above it; "
        f"got {root}"
    )
