"""A headless Chromium for the tests that open a page as a reader does: one for each process."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]


def unavailable(reason: str) -> None:
    """Skip, but fail in continuous integration, where the browser tests must run."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        unavailable("playwright is not installed")
    found = [path for path in map(shutil.which, BROWSERS) if path]
    if not found:
        unavailable(f"no browser on the path: none of {', '.join(BROWSERS)}")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=found[0], args=ARGUMENTS)
        yield chromium
        chromium.close()
