"""What a suite says of one data set, and of one method."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class DatasetSpec:
    """One data set of a suite.

    Attributes:
        name: as `glassgraph.datasets.load_dataset` knows it.
        instances: explained predictions.
        fit_instances: predictions that learned methods learn from.
        root: folder of its files.
        options: further arguments of the loader.
    """

    name: str
    instances: int = 20
    fit_instances: int = 200
    root: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class MethodSpec:
    """One method of a suite.

    Attributes:
        name: registry name.
        settings: other than its defaults.
        candidates: further settings, that a search chooses among.
    """

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    candidates: tuple[Mapping[str, Any], ...] = ()
