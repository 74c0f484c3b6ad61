"""Products of a sparse matrix and dense rows, with derivatives by the rows.

``out[i] = sum over entries k in row i of value[k] * dense[column[k]]``. No message is written out:
forward and backward are one fused pass each, over the entries by row and by column.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Pattern:
    """Where the K entries of a sparse matrix stand.

    Attributes:
        row: ``[K]`` row of each entry.
        column: ``[K]`` its column.
        by_row: ``[K]`` the entries in the order of rows.
        by_column: ``[K]`` the entries in the order of columns.
        columns: ``[K]`` `column` in the order of rows.
        rows: ``[K]`` `row` in the order of columns.
        row_start: ``[N + 1]`` where each row begins in `columns`.
        column_start: ``[N' + 1]`` where each column begins in `rows`.
    """

    row: Tensor
    column: Tensor
    by_row: Tensor
    by_column: Tensor
    columns: Tensor
    rows: Tensor
    row_start: Tensor
    column_start: Tensor

    @staticmethod
    def of(row: Tensor, column: Tensor, num_rows: int, num_columns: int) -> Pattern:
        """The pattern of entries that come in any order."""
        by_row, by_column = row.argsort(stable=True), column.argsort(stable=True)
        return Pattern(
            row,
            column,
            by_row,
            by_column,
            column[by_row],
            row[by_column],
            _starts(row, num_rows),
            _starts(column, num_columns),
        )


@dataclass(frozen=True)
class Sparse:
    """A sparse matrix.

    Attributes:
        pattern: where the entries stand.
        by_row: ``[K]`` their values in the order of rows.
        by_column: ``[K]`` their values in the order of columns.
    """

    pattern: Pattern
    by_row: Tensor
    by_column: Tensor

    @staticmethod
    def of(pattern: Pattern, value: Tensor) -> Sparse:
        """A pattern filled with values ``[K]``."""
        return Sparse(pattern, value[pattern.by_row], value[pattern.by_column])

    def __matmul__(self, dense: Tensor) -> Tensor:
        """The product ``[N, H]`` with dense rows ``[N', H]``; differentiable by these."""
        if not (dense.requires_grad and torch.is_grad_enabled()):
            return self._product(dense)
        found: Tensor = _Product.apply(self, dense)  # type: ignore[no-untyped-call]
        return found

    def transposed_product(self, dense: Tensor) -> Tensor:
        """The product ``[N', H]`` of the transposed matrix with dense rows ``[N, H]``."""
        pattern = self.pattern
        return _sum(pattern.rows, pattern.column_start, self.by_column, dense)

    def _product(self, dense: Tensor) -> Tensor:
        pattern = self.pattern
        return _sum(pattern.columns, pattern.row_start, self.by_row, dense)


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, matrix: Sparse, dense: Tensor) -> Tensor:
        ctx.matrix = matrix
        return matrix._product(dense)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, Tensor]:
        return None, ctx.matrix.transposed_product(gradient.contiguous())


def _starts(index: Tensor, size: int) -> Tensor:
    count = torch.bincount(index, minlength=size)
    return torch.cat([count.new_zeros(1), count.cumsum(0)])


def _sum(item: Tensor, start: Tensor, value: Tensor, dense: Tensor) -> Tensor:
    return F.embedding_bag(
        item, dense, start, mode="sum", per_sample_weights=value, include_last_offset=True
    )
