"""Numbers of predictions in a file: one on each line, or an array."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from glassgraph.errors import InstanceError

_EXPECTED = "expected a file of numbers: .npy, .pt, or text with a number on each line"


@dataclass(frozen=True)
class IndexFile:
    """What to explain, and where in a file it stands.

    Attributes:
        path: the file.
        numbers: ``[B]`` of predictions.
        lines: ``[B]`` of a text the line of each, from 1; None for an array.
    """

    path: Path
    numbers: Tensor
    lines: np.ndarray[tuple[int], np.dtype[np.int64]] | None = None

    @staticmethod
    def read(path: str | Path) -> IndexFile:
        """Read a file.

        Raises:
            InstanceError: if it is missing, holds something else than whole numbers from 0, or one
                of them twice; with the line.
        """
        path = Path(path)
        if not path.is_file():
            raise InstanceError(f"index: there is no file {path}; {_EXPECTED}")
        found = _read_array(path) if path.suffix in (".npy", ".pt") else _read_text(path)
        if not found.numbers.numel():
            raise InstanceError(f"index: {path} holds no numbers; {_EXPECTED}")
        found._refuse_negative()
        found._refuse_repeated()
        return found

    def told(self, error: InstanceError) -> InstanceError:
        """The same error with the place in the file, if it is about the largest number."""
        place = int(self.numbers.argmax())
        if f" {int(self.numbers[place])} is out of range" not in str(error):
            return InstanceError(f"{self.path}: {error}")
        return InstanceError(f"{self._at(place)}: {error}")

    def _at(self, place: int) -> str:
        where = f"entry {place}" if self.lines is None else f"line {self.lines[place]}"
        return f"{self.path}, {where}"

    def _refuse_negative(self) -> None:
        place = int(self.numbers.argmin())
        if int(self.numbers[place]) < 0:
            raise InstanceError(
                f"{self._at(place)}: {int(self.numbers[place])} is negative; numbers are from 0"
            )

    def _refuse_repeated(self) -> None:
        order = torch.argsort(self.numbers, stable=True)
        ordered = self.numbers[order]
        again = (ordered[1:] == ordered[:-1]).nonzero().view(-1)
        if again.numel():
            first, second = order[again[0]], order[again[0] + 1]
            raise InstanceError(
                f"{self._at(int(second))}: {int(self.numbers[second])} stands there twice, first "
                f"at {self._at(int(first)).rpartition(', ')[2]}; each prediction is explained once"
            )


def _read_array(path: Path) -> IndexFile:
    try:
        if path.suffix == ".npy":
            found = torch.from_numpy(np.array(np.load(path)))
        else:
            found = torch.as_tensor(torch.load(path, weights_only=True))
    except Exception as error:  # readers raise many kinds
        raise InstanceError(f"index: {path} cannot be read ({error}); {_EXPECTED}") from error
    if found.dtype == torch.bool:
        found = found.view(-1).nonzero().view(-1)
    if found.is_floating_point() or found.is_complex():
        raise InstanceError(f"index: {path} holds {found.dtype}; expected integers, or a mask")
    return IndexFile(path, found.long().reshape(-1))


def _read_text(path: Path) -> IndexFile:
    """Numbers of lines; empty ones are left out, and what follows a ``#``."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InstanceError(f"index: {path} cannot be read ({error}); {_EXPECTED}") from error
    words, lines = [], []
    for line, content in enumerate(text.splitlines(), start=1):
        word = content.partition("#")[0].strip()
        if word:
            words.append(word)
            lines.append(line)
    try:
        numbers = np.array([int(word) for word in words], dtype=np.int64)
    except (ValueError, OverflowError):
        line, word = next(
            each for each in zip(lines, words, strict=True) if not _is_number(each[1])
        )
        raise InstanceError(
            f"{path}, line {line}: {word!r} is no number of a prediction; {_EXPECTED}"
        ) from None
    return IndexFile(path, torch.from_numpy(numbers), np.array(lines, dtype=np.int64))


def _is_number(word: str) -> bool:
    try:
        return abs(int(word)) < 1 << 63
    except ValueError:
        return False
