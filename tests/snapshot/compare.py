"""Where two records differ: to the bit in anything that is counted or named, to 1e-12 in scores.

Another kind of processor rounds otherwise, and methods that learn start from weights that torch
draws in single precision. So a machine on which `arithmetic` comes out different is held to
`ELSEWHERE` only.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tests.snapshot.record import Record

#: How far a number may be off, as a share of it where it is larger than 1: an order of summation.
TOLERANCE = 1e-12
#: The same on machines that compute otherwise than the one that wrote the snapshot.
ELSEWHERE = 1e-5


def arithmetic() -> Record:
    """What a processor makes of drawing, multiplying, solving and the functions of networks."""
    generator = torch.Generator().manual_seed(1)
    found: Record = {}
    for dtype in (torch.float32, torch.float64):
        drawn = torch.randn(31, 31, dtype=dtype, generator=generator)
        product = drawn @ drawn.t()
        found |= {
            f"{dtype}/drawn": drawn,
            f"{dtype}/uniform": torch.empty(31, 31, dtype=dtype).uniform_(
                -1, 1, generator=generator
            ),
            f"{dtype}/product": product,
            f"{dtype}/solution": torch.linalg.solve(product, drawn[0]),
            f"{dtype}/functions": drawn.tanh().exp().softmax(-1).log(),
            f"{dtype}/sum": drawn.sum(0),
        }
    return found


def differences(
    name: str, expected: Record, found: Record, tolerance: float = TOLERANCE
) -> list[str]:
    """One line for each path that is lost, new or different: method, case, field, by how much."""
    lines = [f"{name}: {path}: gone" for path in expected if path not in found]
    lines += [f"{name}: {path}: not in the snapshot" for path in found if path not in expected]
    for path, value in expected.items():
        if path in found and (difference := _difference(value, found[path], tolerance)):
            lines.append(f"{name}: {path}: {difference}")
    return lines


def _difference(expected: Any, found: Any, tolerance: float) -> str | None:
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
    return _by_how_much(expected, found, tolerance)


def _by_how_much(expected: Tensor, found: Tensor, tolerance: float) -> str | None:
    """The largest difference, if it is more than a rounding; numbers that are none must agree."""
    finite = expected.isfinite() & found.isfinite()
    odd = ~finite & ~((expected == found) | (expected.isnan() & found.isnan()))
    if odd.any():
        return f"{int(odd.sum())} entries are finite in one alone"
    off = (expected - found).abs()[finite] / expected.abs()[finite].clamp_min(1)
    largest = float(off.max()) if off.numel() else 0.0
    return f"largest difference {largest:.3g}" if largest > tolerance else None
