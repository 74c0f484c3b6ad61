"""What all commands share: where they print, how they fail, how they write JSON."""

from __future__ import annotations

import functools
import json
import math
import shutil
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, ParamSpec, TypeVar

import typer
from rich.console import Console

from glassgraph.errors import GlassgraphError, Interrupted, OutputError
from glassgraph.files import replace_text, replacing

#: Exit codes: a mistake of the user's; an interrupt (128 + SIGINT, as shells count).
MISTAKE, INTERRUPTED = 2, 130
#: Columns that panels of help need.
_PANELS = 80
#: Formats that matplotlib writes without more packages.
_FORMATS = (".pdf", ".png", ".svg")

P = ParamSpec("P")
R = TypeVar("R")


def out() -> Console:
    """For results."""
    return Console(highlight=False)


def notes() -> Console:
    """For everything said on the way: standard error."""
    return Console(stderr=True, highlight=False)


def reflowed(text: str) -> str:
    """Each paragraph in one line: a terminal breaks it where it ends, not where the code does."""
    return "\n\n".join(" ".join(part.split()) for part in text.split("\n\n"))


def help_style() -> Literal["rich"] | None:
    """How help is laid out: in panels, but for narrow terminals, where these clip words."""
    return "rich" if shutil.get_terminal_size().columns >= _PANELS else None


def say(text: str, style: str = "") -> None:
    """One line on standard error, as it is: no markup, no wrapping."""
    notes().print(text, style=style, markup=False, soft_wrap=True)


def say_error(error: BaseException) -> None:
    """One red line."""
    say(f"Error: {' '.join(str(error).split())}", style="bold red")


def friendly(command: Callable[P, R]) -> Callable[P, R]:
    """A user's mistake becomes one red line and exit code 2, Ctrl-C exit code 130."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except Interrupted as interrupt:
            say_error(interrupt)
            raise typer.Exit(INTERRUPTED) from None
        except GlassgraphError as error:
            say_error(error)
            raise typer.Exit(MISTAKE) from None
        except KeyboardInterrupt:
            say("Interrupted.", style="bold red")
            raise typer.Exit(INTERRUPTED) from None

    return run


@contextmanager
def told_warnings() -> Iterator[None]:
    """Warnings as one yellow line each instead of a file name and a line of code."""

    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        say(f"Warning: {' '.join(str(message).split())}", style="yellow")

    with warnings.catch_warnings():
        warnings.showwarning = show  # restored by catch_warnings
        yield


def jsonable(value: Any) -> Any:
    """The same with None for numbers that JSON has no word for."""
    if isinstance(value, Mapping):
        return {str(key): jsonable(entry) for key, entry in value.items()}
    if isinstance(value, str) or value is None:
        return value
    if isinstance(value, Sequence):
        return [jsonable(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file.

    Raises:
        OutputError: if it cannot be written.
    """
    text = json.dumps(jsonable(value), indent=1, allow_nan=False, ensure_ascii=False)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_text(path, text + "\n")
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error


def check_writable(folder: Path) -> None:
    """Create a folder and write into it, before anything takes time.

    Raises:
        OutputError: if that is not possible.
    """
    probe = folder / ".glassgraph-write-test"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with replacing(probe):
            pass
        probe.unlink()
    except OSError as error:
        raise OutputError(
            f"cannot write into {folder}: {error.strerror or error}; give a folder that you may "
            "write to"
        ) from error


def check_file_writable(path: Path | None) -> None:
    """As `check_writable` for a file that will be written, if there is one.

    Raises:
        OutputError: if it could not be written.
    """
    if path is None:
        return
    if path.is_dir():
        raise OutputError(f"cannot write {path}: it is a folder; give a file")
    check_writable(path.parent)
    if path.exists():
        try:
            path.open("r+b").close()
        except OSError as error:
            raise OutputError(f"cannot write {path}: {error.strerror or error}") from error


def check_figure_writable(figure: Path | None) -> None:
    """As `check_file_writable` for a figure, if there is one.

    Raises:
        OutputError: if it could not be written, or not in this format.
    """
    check_file_writable(figure)
    if figure is not None and figure.suffix.lower() not in _FORMATS:
        raise OutputError(f"cannot write {figure}: the file must end in {', '.join(_FORMATS)}")
