"""What workers of a job warned of: ``DIR/warnings.json``, each place in the code once."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from glassgraph.errors import DamagedFileError
from glassgraph.files import parse_json, replace_text, writing

_NAME = "warnings.json"


@dataclass(frozen=True)
class JobWarning:
    """A warning, as it was said first.

    Attributes:
        category: name of its class.
        text: what it says.
        place: the file and the line that said it.
        start: first position of the block that was explained.
        stop: position after its last.
    """

    category: str
    text: str
    place: str
    start: int
    stop: int

    @property
    def source(self) -> tuple[str, str]:
        """What warnings have in common that are told once."""
        return self.category, self.place


def read_warnings(folder: Path) -> list[JobWarning]:
    """What was warned of so far.

    Raises:
        DamagedFileError: if the file cannot be read.
    """
    path = folder / _NAME
    try:
        return [JobWarning(**each) for each in parse_json(path.read_text(encoding="utf-8"))]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, TypeError) as error:
        raise DamagedFileError(f"{path} cannot be read ({error}); remove it") from error


def write_warnings(folder: Path, found: list[JobWarning]) -> None:
    """Write them down.

    Raises:
        OutputError: if that is not possible.
    """
    with writing(folder):
        replace_text(folder / _NAME, json.dumps([asdict(each) for each in found], indent=1))
