"""Jobs without processes of their own, for tests of what is explained."""

from __future__ import annotations

import importlib

import pytest

from tests.engine.in_process import InProcess


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """The driver explains itself."""
    module = importlib.import_module("glassgraph.engine.explain_all")
    monkeypatch.setattr(module, "LocalWorkers", InProcess)
