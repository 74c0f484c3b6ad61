"""What every test starts from: one thread, a fixed seed, and the shared data where it lies."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

# One thread: the same sums in the same order, and no contention between test processes.
torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _seed() -> None:
    """Give each test and doctest the same random numbers, whichever ran before it."""
    torch.manual_seed(0)  # noqa: TID251 - what the tests themselves draw


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of shared data: ``GLASSGRAPH_SHARED``, or ``../shared`` beside the repository.

    Without it a test is skipped; in continuous integration (``CI`` is set) it fails.
    """
    repository = Path(__file__).resolve().parent
    folder = Path(os.environ.get("GLASSGRAPH_SHARED") or repository.parent / "shared")
    if folder.is_dir():
        return folder
    reason = f"no shared data at {folder}; set GLASSGRAPH_SHARED to the folder that holds it"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
