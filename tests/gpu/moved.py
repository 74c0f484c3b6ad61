"""Cases of the tests on another device, and in single precision."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from tests.snapshot import record
from tests.snapshot.scenes import CASES, Case


def moved(value: Any, device: torch.device, dtype: torch.dtype | None = None) -> Any:
    """A model, a function around one, or data, elsewhere; ``dtype`` changes what has fractions."""
    if isinstance(value, list):
        return [moved(each, device, dtype) for each in value]
    if isinstance(value, nn.Module):
        return value.to(device) if dtype is None else value.to(device, dtype)
    if inspect.isfunction(value):  # a model that is only called: what it closes over
        for inner in inspect.getclosurevars(value).nonlocals.values():
            moved(inner, device, dtype)
        return value

    def move(tensor: torch.Tensor) -> torch.Tensor:
        is_changed = dtype is not None and tensor.is_floating_point()
        return tensor.to(device, dtype) if is_changed else tensor.to(device)

    return value.apply(move)


def case_on(case: Case, device: torch.device, dtype: torch.dtype | None = None) -> Case:
    """A case of the snapshot, elsewhere."""
    return replace(
        case,
        model=lambda: moved(case.model(), device, dtype),
        data=lambda: moved(case.data(), device, dtype),
    )


@contextmanager
def snapshot_on(device: torch.device, dtype: torch.dtype | None = None) -> Iterator[None]:
    """`record.record` on a device."""
    before = dict(CASES)
    for title, case in before.items():
        CASES[title] = case_on(case, device, dtype)
    try:
        yield
    finally:
        CASES.update(before)


def recorded(name: str, device: torch.device, dtype: torch.dtype | None = None) -> dict[str, Any]:
    """What a method says on all cases, brought back to the processor."""
    with snapshot_on(device, dtype):
        found = record.record(name)
    return {
        path: value.cpu() if isinstance(value, torch.Tensor) else value
        for path, value in found.items()
    }
