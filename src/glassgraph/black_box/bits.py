"""Sets of small numbers as the bits of integers, and as rows of a mask."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor


def members(some: int) -> Iterator[int]:
    """The members of a set, ascending."""
    while some:
        lowest = some & -some
        yield lowest.bit_length() - 1
        some ^= lowest


def union(sets: Sequence[int], some: int) -> int:
    """Union of those of the sets whose numbers are members of another."""
    found = 0
    for number in members(some):
        found |= sets[number]
    return found


def within(neighbors: Sequence[int], hops: int) -> list[int]:
    """For each number those within some hops, itself included."""
    found = [1 << number for number in range(len(neighbors))]
    for _ in range(hops):
        found = [own | union(neighbors, own) for own in found]
    return found


def to_masks(sets: Sequence[int], width: int) -> Tensor:
    """Sets of numbers below ``width`` as rows ``[K, width]``."""
    num_bytes = max(1, -(-width // 8))
    data = bytearray(b"".join(each.to_bytes(num_bytes, "little") for each in sets))
    if not data:
        return torch.zeros((0, width), dtype=torch.bool)
    found = torch.frombuffer(data, dtype=torch.uint8).view(len(sets), num_bytes, 1)
    bits = (found >> torch.arange(8, dtype=torch.uint8)) & 1
    return bits.flatten(1)[:, :width].bool()


def to_sets(mask: Tensor) -> list[int]:
    """Rows ``[K, w]`` as sets."""
    found = [0] * mask.size(0)
    for row, number in mask.nonzero().tolist():
        found[row] |= 1 << number
    return found
