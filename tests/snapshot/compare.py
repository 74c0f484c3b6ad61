"""Where two records differ: to the bit in anything that is counted or named, to 1e-12 in scores."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tests.snapshot.record import Record

#: How far a number may be off, as a share of it where it is larger than 1: an order of summation.
TOLERANCE = 1e-12


def differences(name: str, expected: Record, found: Record) -> list[str]:
    """One line for each path that is lost, new or different: method, case, field, by how much."""
    lines = [f"{name}: {path}: gone" for path in expected if path not in found]
    lines += [f"{name}: {path}: not in the snapshot" for path in found if path not in expected]
    for path, value in expected.items():
        if path in found and (difference := _difference(value, found[path])):
            lines.append(f"{name}: {path}: {difference}")
    return lines


def _difference(expected: Any, found: Any) -> str | None:
    if not (isinstance(expected, Tensor) and isinstance(found, Tensor)):
        is_same = type(expected) is type(found) and expected == found
        return None if is_same else f"expected {expected!r}, got {found!r}"
    about = [(value.dtype, tuple(value.shape)) for value in (expected, found)]
    if about[0] != about[1]:
        return f"expected {about[0]}, got {about[1]}"
    if torch.equal(expected, found):
        return None
    if not expected.is_floating_point():
        return f"{int((expected != found).sum())} of {expected.numel()} entries differ"
    return _by_how_much(expected, found)


def _by_how_much(expected: Tensor, found: Tensor) -> str | None:
    """The largest difference, if it is more than a rounding; numbers that are none must agree."""
    finite = expected.isfinite() & found.isfinite()
    odd = ~finite & ~((expected == found) | (expected.isnan() & found.isnan()))
    if odd.any():
        return f"{int(odd.sum())} entries are finite in one alone"
    off = (expected - found).abs()[finite] / expected.abs()[finite].clamp_min(1)
    largest = float(off.max()) if off.numel() else 0.0
    return f"largest difference {largest:.3g}" if largest > TOLERANCE else None
