"""Nodes and edges that look the same, and those that do not."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from glassgraph.black_box.attribute_hash import attribute_hash

ROWS = torch.tensor([4, 9, 2, 7])


@pytest.mark.parametrize(
    "value",
    [
        torch.tensor([[0.0, 1.0], [1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]),
        torch.tensor([[0.0, 1.0], [1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]).double(),
        torch.tensor([[0.0, 1.0], [1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]).to_sparse(),
        torch.tensor([1.0, 2.0, 1.0, 2.0]).half(),
        torch.tensor([1, 2, 1, 2]),
        torch.tensor([True, False, True, False]),
        torch.tensor([1 + 1j, 1 - 1j, 1 + 1j, 1 - 1j]),
        torch.tensor([2.0**-40, 2.0**60, 2.0**-40, 2.0**60]),
    ],
    ids=lambda value: str(value.dtype),
)
def test_equal_rows_look_the_same(value: Tensor) -> None:
    found = attribute_hash({"x": value}, ROWS)
    assert found[0] == found[2]
    assert found[1] == found[3]
    assert found[0] != found[1]


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"edge_index": torch.arange(4)},
        {"x": torch.tensor([0.3, 0.1, 0.2])},
        {"name": "x"},
        {"t": torch.tensor(0.4)},
    ],
    ids=str,
)
def test_what_does_not_count(attributes: dict[str, Any]) -> None:
    assert attribute_hash(attributes, ROWS).unique().numel() == 1
    assert torch.equal(attribute_hash(attributes, ROWS), attribute_hash({}, ROWS))


def test_every_attribute_and_the_type_count() -> None:
    x, y = torch.ones(4, 2), torch.arange(4)
    assert attribute_hash({"x": x, "y": y}, ROWS).unique().numel() == 4
    assert attribute_hash({"x": x, "y": torch.ones(4, 0)}, ROWS).unique().numel() == 1
    assert not torch.equal(attribute_hash({"x": x}, ROWS), attribute_hash({"x": x}, ROWS, kind=1))
    order = torch.tensor([3, 1, 0, 2])
    assert torch.equal(
        attribute_hash({"y": y, "x": x}, ROWS)[order], attribute_hash({"x": x, "y": y[order]}, ROWS)
    )


def test_columns_are_told_apart() -> None:
    x = torch.tensor([[1.0, 2.0], [2.0, 1.0], [1.5, 1.5], [0.0, 3.0]])
    assert attribute_hash({"x": x}, ROWS).unique().numel() == 4
