"""Word vectors as a table: from a mapping, a JSON file, or an .npz of words and vectors."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from glassgraph.datasets.locate import Files
from glassgraph.errors import DatasetError

#: GloVe in 50 dimensions (Pennington, Socher and Manning 2014), of common words.
GLOVE = Files(
    ("glove.6B.50d.subset.npz",),
    "glove_small",
    "https://nlp.stanford.edu/projects/glove (glove.6B.50d, PDDL 1.0): words and vectors as the "
    "arrays 'words' [V] and 'vectors' [V, 50] of an .npz file",
)

Vectors = str | Path | Mapping[str, Sequence[float]]


@dataclass(frozen=True)
class WordVectors:
    """Vectors of words.

    Attributes:
        table: ``[V + 1, F]``, the last row zero.
        row: the row of each word.
    """

    table: Tensor
    row: Mapping[str, int]

    def rows(self, words: Sequence[str]) -> Tensor:
        """The row of each word in lower case, V where there is none."""
        return torch.tensor([self.row.get(word.lower(), len(self.row)) for word in words])

    @staticmethod
    def read(vectors: Vectors) -> WordVectors:
        """The table of a mapping or a file.

        Raises:
            DatasetError: if the file is missing or malformed, or vectors differ in length.
        """
        if isinstance(vectors, str | Path) and str(vectors).endswith(".npz"):
            return _from_arrays(Path(vectors))
        found = _from_json(Path(vectors)) if isinstance(vectors, str | Path) else vectors
        if not isinstance(found, Mapping) or not found:
            raise DatasetError("word vectors must map words to lists of numbers")
        try:
            table = torch.tensor(list(found.values()), dtype=torch.float)
        except (TypeError, ValueError) as error:
            raise DatasetError(
                f"word vectors must be equally long lists of numbers: {error}"
            ) from None
        if table.dim() != 2:
            raise DatasetError(
                f"word vectors must be lists of numbers, got shape {list(table.shape)}"
            )
        return _table(table, list(found))


def _table(vectors: Tensor, words: Sequence[str]) -> WordVectors:
    zeros = vectors.new_zeros(1, vectors.size(1))
    return WordVectors(torch.cat([vectors, zeros]), {word: i for i, word in enumerate(words)})


def _from_json(path: Path) -> object:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DatasetError(
            f"cannot read word vectors from {path}; a JSON object from words to lists of "
            f"numbers is expected: {error}"
        ) from error


def _from_arrays(path: Path) -> WordVectors:
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            words, vectors = file["words"], file["vectors"].astype(np.float32)
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise DatasetError(
            f"cannot read word vectors from {path}; arrays 'words' [V] and 'vectors' [V, F] are "
            f"expected: {error}"
        ) from error
    if words.ndim != 1 or words.dtype.kind != "U" or vectors.shape[:1] != words.shape:
        raise DatasetError(
            f"{path}: 'words' [V] and 'vectors' [V, F] are expected, got {words.dtype} "
            f"{list(words.shape)} and {list(vectors.shape)}"
        )
    if vectors.ndim != 2 or not np.isfinite(vectors).all():
        raise DatasetError(f"{path}: 'vectors' must be finite numbers [V, F]")
    return _table(torch.from_numpy(vectors), words.tolist())
