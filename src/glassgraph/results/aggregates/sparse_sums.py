"""Sums as sparse matrices; scipy is loaded with the first of them."""

from __future__ import annotations

from typing import Any


def sparse_sums(entries: Any, shape: tuple[int, int] | None = None) -> Any:
    """A matrix in compressed rows, in which entries for the same place add up.

    Args:
        entries: ``(values, (row, column))``, or a dense matrix.
        shape: of the matrix; None for that of the dense one.
    """
    from scipy.sparse import coo_array

    return coo_array(entries, shape=shape).tocsr()
