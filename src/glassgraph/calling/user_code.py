"""Where in the user's own code an error came from."""

from __future__ import annotations

import sysconfig
import traceback
from pathlib import Path

import torch
import torch_geometric

#: Folders whose lines say nothing to the user.
_OTHERS = tuple(
    dict.fromkeys(
        [
            str(Path(__file__).parents[1]),
            *(str(Path(str(each.__file__)).parent) for each in (torch, torch_geometric)),
            *(sysconfig.get_paths()[key] for key in ("stdlib", "purelib", "platlib")),
        ]
    )
)


def where_raised(error: BaseException) -> str:
    """``" (net.py, line 12, in forward)"``: the last line of the user's code, "" if there is none.

    Example:
        >>> try:
        ...     [][1]
        ... except IndexError as error:
        ...     where_raised(error)  # typed at a prompt: no file
        ''
    """
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if not frame.filename.startswith((*_OTHERS, "<")):
            return f" ({frame.filename}, line {frame.lineno}, in {frame.name})"
    return ""
