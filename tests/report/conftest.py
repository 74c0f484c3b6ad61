"""The gallery's pages, each written once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.report.gallery import PAGES


@pytest.fixture(scope="session")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("gallery")
    return {name: write(folder / name) for name, write in PAGES.items()}
