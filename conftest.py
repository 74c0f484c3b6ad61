"""What every test starts from: one thread, a fixed seed, and the shared data where it lies."""

from __future__ import annotations

import gc
import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from glassgraph.explainers.registry import registered, unregister
from tests.quick import is_left_out

_numbers = itertools.count()
# One thread: the same sums in the same order, and no contention between test processes.
torch.set_num_threads(1)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Files that the quick tier leaves out are not even read for it."""
    if config.option.markexpr != "quick":
        return None
    return is_left_out(collection_path.relative_to(config.rootpath).as_posix()) or None


def pytest_collection_finish() -> None:
    """What is collected stays until the end: let the garbage collector pass over it."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _seed() -> None:
    """Give each test and doctest the same random numbers, whichever ran before it."""
    torch.default_generator.manual_seed(0)


@pytest.fixture(autouse=True)
def _methods() -> Iterator[None]:
    """Forget the methods that a test, doctest or README example registers: others count them."""
    before = registered()
    yield
    for name in registered() - before:
        unregister(name)


@pytest.fixture(autouse=True)
def _cache(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep trained models of one test from others, and out of the user's home."""
    own = tmp_path_factory.getbasetemp() / "glassgraph-cache" / str(next(_numbers))
    monkeypatch.setenv("GLASSGRAPH_CACHE", str(own))


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
