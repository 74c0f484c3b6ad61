"""The gallery's pages, each written once; what finds faults in pages."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import pytest

from tests.browser import unavailable
from tests.report.gallery import PAGES


@pytest.fixture(scope="session")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("gallery")
    return {name: write(folder / name) for name, write in PAGES.items()}


@pytest.fixture(scope="session")
def axe() -> str:
    try:
        return (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")
    except ImportError:
        unavailable("axe-playwright-python is not installed")
        raise
