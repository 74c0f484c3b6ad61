"""What all tests share: one browser, and marks of quick and slow tests before ``-m`` chooses."""

from __future__ import annotations

import pytest

from tests.browser import browser  # noqa: F401  (a second fixture would start a second loop)
from tests.quick import quick
from tests.turns import waiting


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in waiting(items):
        item.add_marker(pytest.mark.slow("other values of the same: tests/turns.py"))
    for item in quick(items):
        item.add_marker("quick")
