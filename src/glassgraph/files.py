"""Files that are whole or not there at all.

A file is written under another name in its folder and then moved into place, so whoever reads sees
the old one or the new one, whatever interrupts the writer. The other name cannot be guessed and has
to be new: nothing is written through a link that somebody laid there, and a link in the place of
the file itself is replaced, not followed.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from glassgraph.errors import OutputError

#: Names of files that are not in place yet; what a killed writer left is known by them.
_BEGINNING, _ENDING = ".glassgraph-", ".tmp"


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A new, empty file in the folder of ``path``, which takes its place if the block ends well.

    Raises:
        OSError: if it cannot be made or moved. It is removed, and ``path`` stays as it was.
    """
    temporary = path.with_name(f"{_BEGINNING}{secrets.token_hex(8)}{_ENDING}")
    os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    try:
        yield temporary
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def replace_text(path: Path, text: str) -> None:
    """Write a file of text, see `replacing`."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def remove_leftovers(folder: Path) -> None:
    """Remove what writers left that were killed; only for who alone writes into the folder."""
    for path in folder.glob(f"{_BEGINNING}*{_ENDING}"):
        path.unlink(missing_ok=True)


@contextmanager
def writing(target: Path, advice: str = "choose another output folder") -> Iterator[None]:
    """What can go wrong when ``target`` is written is one named error.

    Raises:
        OutputError: for any of them, a full disk among them.
    """
    try:
        yield
    except OutputError:
        raise
    except (OSError, SafetensorError) as error:  # pyarrow's are of OSError
        reason = getattr(error, "strerror", None) or str(error)
        raise OutputError(f"{target} cannot be written ({reason}); {advice}") from error


def parse_json(text: str) -> Any:
    """What a text of JSON says.

    Raises:
        ValueError: if it is none, or is nested too deeply to be read.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("JSON that is nested too deeply") from None
