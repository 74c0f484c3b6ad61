"""Out of memory: an error that is nobody's mistake, and passes every place that catches errors."""

from __future__ import annotations

import sys

import torch

_NOTE = (
    "Several copies of all messages are held at once: a smaller memory_budget= (bytes that one "
    "batch of instances may take) has fewer instances explained side by side, and a smaller "
    "batch_size=, where the method has one, fewer graphs"
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory has run out, on whatever device."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    words = str(error)  # torch's allocator for CPUs raises a plain RuntimeError
    return isinstance(error, RuntimeError) and (
        "DefaultCPUAllocator" in words or "out of memory" in words
    )


def let_through(error: BaseException) -> None:
    """Raise an error again if memory has run out; it says how to do with less.

    Raises:
        BaseException: the error itself.
    """
    if not is_out_of_memory(error):
        return
    if sys.version_info >= (3, 11):
        if _NOTE not in getattr(error, "__notes__", ()):
            error.add_note(_NOTE)
    elif _NOTE not in str(error):
        error.args = (f"{error}. {_NOTE}",)
    raise error
