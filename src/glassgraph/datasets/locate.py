"""Where the raw files of a data set lie.

Whoever calls a loader names either the folder of the files themselves, or a folder above it that
holds it under its usual name, so that one folder of many data sets serves for all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from glassgraph.errors import DatasetError


@dataclass(frozen=True)
class Files:
    """Raw files of a data set.

    Attributes:
        names: File names, all of which are needed.
        folder: The folder they usually lie in, below a folder of many data sets; parts of it may
            be left out from the left.
        origin: Where to get them.
    """

    names: tuple[str, ...]
    folder: str
    origin: str

    def candidates(self, root: str | Path) -> list[Path]:
        """The folders that are looked into, in this order."""
        root, parts = Path(root), Path(self.folder).parts
        return [root, *(root.joinpath(*parts[-n:]) for n in range(1, len(parts) + 1))]

    def find(self, name: str, root: str | Path | None, beside: Sequence[Path] = ()) -> Path:
        """The folder that holds all of the files.

        Args:
            name: Of the data set, for the message.
            root: Their folder, or one above it.
            beside: Further folders to look into.

        Raises:
            DatasetError: naming the files, the folders and where the files are from.
        """
        wanted = ", ".join(self.names)
        if root is None:
            raise DatasetError(
                f"{name} is read from {wanted}; pass its folder as root, or one that holds it as "
                f"{self.folder}. The files are from {self.origin}"
            )
        if Path(root).is_file():
            raise DatasetError(
                f"{name}: root {root} is a file; pass the folder of {wanted}, or one above it"
            )
        folders = [*self.candidates(root), *beside]
        for folder in folders:
            if all((folder / file).is_file() for file in self.names):
                return folder
        raise DatasetError(f"{name}: {self._missing(folders)}. The files are from {self.origin}")

    def _missing(self, folders: list[Path]) -> str:
        """What is not there; of a folder that holds a part of the files, what it lacks."""
        for folder in folders:
            lacking = [file for file in self.names if not (folder / file).is_file()]
            if len(lacking) < len(self.names):
                return f"{folder} lacks {', '.join(lacking)}"
        looked = ", nor in ".join(map(str, folders))
        return f"no {', '.join(self.names)} in {looked}; pass root=<the folder with these files>"
