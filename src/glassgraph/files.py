"""Files that are whole or not there at all.

A file is written in a folder of its own beside its place and then moved there, so whoever reads
sees the old one or the new one, whatever interrupts the writer. That folder's name cannot be
guessed and has to be new: nothing is written through a link that somebody laid there, and a link in
the place of the file itself is replaced, not followed.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from glassgraph.errors import ExistingResultError, OutputError

#: Names of those folders; what a killed writer left is known by them.
_BEGINNING, _ENDING = ".glassgraph-", ".tmp"


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A new, empty file that takes the place of ``path`` if the block ends well.

    Raises:
        OSError: if it cannot be made or moved. It is removed, and ``path`` stays as it was.
    """
    folder = path.with_name(f"{_BEGINNING}{secrets.token_hex(8)}{_ENDING}")
    folder.mkdir(0o700)
    try:
        temporary = folder / path.name
        temporary.touch()
        rights = stat.S_IMODE(temporary.stat().st_mode)
        yield temporary
        if stat.S_IMODE(temporary.stat().st_mode) != rights:  # safetensors has its own idea
            temporary.chmod(rights)
        os.replace(temporary, path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def new_folder(path: Path, known_by: str, *, replace: bool) -> Iterator[Path]:
    """A new folder that takes the place of ``path`` if the block ends well.

    Args:
        path: it must not exist, or be an empty folder.
        known_by: a file by which a folder of this kind is known.
        replace: whether such a folder may be replaced.

    Raises:
        ExistingResultError: if there is something else.
        OSError: if it cannot be made or moved. It is removed, and ``path`` stays as it was.
    """
    path = path.absolute()
    is_there = path.is_symlink() or (path.exists() and (not path.is_dir() or any(path.iterdir())))
    if is_there and not (replace and (path / known_by).is_file() and not path.is_symlink()):
        what = "there is something else" if replace else "pass replace=True to replace it"
        raise ExistingResultError(f"{path} is there already; {what}, or choose another folder")
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = path.with_name(f"{_BEGINNING}{secrets.token_hex(8)}{_ENDING}")
    folder.mkdir(0o700)
    try:
        temporary, before = folder / "new", folder / "before"
        temporary.mkdir()
        yield temporary
        if is_there:
            os.replace(path, before)
        os.replace(temporary, path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def replace_text(path: Path, text: str) -> None:
    """Write a file of text, see `replacing`."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def remove_leftovers(folder: Path) -> None:
    """Remove what writers left that were killed; only for who alone writes into the folder."""
    for path in folder.glob(f"{_BEGINNING}*{_ENDING}"):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)


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
