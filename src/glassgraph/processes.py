"""What processes that work for another share: they die with it, and tell it of errors in words."""

from __future__ import annotations

import os
import threading
import time
import traceback
from pathlib import Path

from glassgraph.errors import GlassgraphError

#: Seconds between two looks at whether the starting process still lives.
_LOOK = 0.5


def die_with(parent: int) -> None:
    """End this process once the one that started it is gone, so that nothing goes on alone."""
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_LOOK)
    os._exit(1)


def seconds_in_line(process_id: int) -> float:
    """Seconds for which a process's first thread could have run, and had no processor.

    Zero where the system does not count them.
    """
    try:
        counts = Path(f"/proc/{process_id}/schedstat").read_text(encoding="ascii").split()
        return int(counts[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0


def describe(error: BaseException) -> str:
    """An error in words; of one that nobody foresaw, where it came from."""
    text = " ".join(str(error).split())
    if isinstance(error, GlassgraphError):
        return text
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({os.path.basename(frames[-1].filename)}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {text}{where}"
