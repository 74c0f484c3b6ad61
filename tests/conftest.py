"""Marks the quick tests, before ``-m`` chooses among them."""

from __future__ import annotations

import pytest

from tests.quick import quick


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in quick(items):
        item.add_marker("quick")
