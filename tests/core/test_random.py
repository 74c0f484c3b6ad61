"""Counter-based random numbers against Python integers, and their distribution."""

from __future__ import annotations

import math

import pytest
import torch

from glassgraph.core import random

MASK = (1 << 64) - 1


def finalize(value: int) -> int:
    """SplitMix64's finalizer on unsigned Python integers."""
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & MASK
    return value ^ (value >> 31)


def reference(seed: int, *parts: int) -> int:
    """`hash64` on unsigned Python integers."""
    state = finalize((seed + 0x9E3779B97F4A7C15) & MASK)
    for part in parts:
        state = finalize((state * 3 + 0x9E3779B97F4A7C15 + part) & MASK)
    return finalize((state + 0x9E3779B97F4A7C15) & MASK)


def test_the_finalizer_is_splitmix64() -> None:
    """The first outputs of the published generator for seed 1234567 (its reference test vector)."""
    state, found = 1234567, []
    for _ in range(3):
        state = (state + 0x9E3779B97F4A7C15) & MASK
        found.append(finalize(state))
    assert found == [6457827717110365317, 3203168211198807973, 9817491932198370423]


@pytest.mark.parametrize(
    "address", [(0,), (1, 2), (7, 3, 5), (-1, 10, 20, 30), (0, -1), (2**62, 2**62, 97)]
)
def test_hash_equals_python_integers(address: tuple[int, ...]) -> None:
    seed, *parts = address
    found = random.hash64(seed, *(torch.tensor(part) for part in parts))
    assert int(found) & MASK == reference(*address)
    assert int(random.hash64(seed, *parts)) & MASK == reference(*address)


def test_known_values() -> None:
    assert int(random.hash64(0)) == -6411193824288604561
    assert int(random.hash64(1, 2)) == 6720803221101953613
    first = reference(5, 11) >> 11
    assert random.uniform(5, torch.tensor(11)).item() == (first + 0.5) / 2**53


def test_normal_is_box_muller() -> None:
    one, two = ((reference(5, 11, k) >> 11) + 0.5 for k in (1, 2))
    expected = math.sqrt(-2 * math.log(one / 2**53)) * math.cos(2 * math.pi * two / 2**53)
    assert random.normal(5, torch.tensor(11)).item() == pytest.approx(expected, abs=1e-12)


def test_parts_broadcast() -> None:
    rows, columns = torch.arange(3).view(-1, 1), torch.arange(5)
    table = random.hash64(2, rows, columns)
    assert table.shape == (3, 5)
    assert table[2, 4] == random.hash64(2, torch.tensor(2), torch.tensor(4))


def test_every_part_of_the_address_matters() -> None:
    item = torch.arange(1009)
    streams = [random.hash64(seed, item, part) for seed in (0, 1) for part in (0, 1, -1)]
    streams.append(random.hash64(0, torch.zeros_like(item), item + 2))
    together = torch.cat(streams)
    assert together.unique().numel() == together.numel()


def test_neighboring_seeds_are_not_one_stream_shifted() -> None:
    """Seed 1 of instance 4 once drew the numbers of seed 0 of instance 7."""
    item = torch.arange(1009)
    one, other = random.uniform(0, item), random.uniform(1, item)
    assert not torch.isin(one, other).any()
    centered = (one - 0.5) * (other - 0.5)
    assert abs(float(centered.mean()) * 12) < 5 / math.sqrt(1009)


def test_uniform_numbers_are_uniform() -> None:
    """Chi-square over 97 cells, and the correlation of neighbors, with generous bounds."""
    count = 97 * 1013
    value = random.uniform(3, torch.arange(count))
    assert float(value.min()) > 0
    assert float(value.max()) < 1
    cells = torch.bincount((value * 97).long(), minlength=97).double()
    chi_square = float(((cells - 1013) ** 2 / 1013).sum())
    assert 45 < chi_square < 165  # 96 degrees of freedom: 99.99 % lie within
    centered = value - 0.5
    assert abs(float((centered[1:] * centered[:-1]).mean()) * 12) < 5 / math.sqrt(count)


def test_normal_numbers_are_normal() -> None:
    value = random.normal(4, torch.arange(100_003))
    assert torch.isfinite(value).all()
    assert abs(float(value.mean())) < 0.02
    assert abs(float(value.var()) - 1) < 0.03
    assert abs(float((value.abs() < 1).double().mean()) - 0.6827) < 0.01
    assert abs(float((value**4).mean()) - 3) < 0.15
