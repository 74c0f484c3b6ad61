"""What all tests share: one browser, and the marks of the quick tests before ``-m`` chooses."""

from __future__ import annotations

import pytest

from tests.browser import browser  # noqa: F401  (a second fixture would start a second loop)
from tests.quick import quick


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in quick(items):
        item.add_marker("quick")
