"""Sparse products are dense ones, in value and in derivative."""

from __future__ import annotations

import torch

from glassgraph.learn.sparse_product import Pattern, Sparse

ROW = torch.tensor([4, 0, 2, 4, 4, 0])
COLUMN = torch.tensor([1, 6, 1, 0, 1, 2])  # (4, 1) comes twice


def test_products_are_dense_products() -> None:
    torch.manual_seed(0)
    value = torch.randn(6).double()
    dense = torch.randn(7, 3).double().requires_grad_()
    matrix = torch.zeros(5, 7).double().index_put((ROW, COLUMN), value, accumulate=True)
    sparse = Sparse.of(Pattern.of(ROW, COLUMN, 5, 7), value)
    found = sparse @ dense
    torch.testing.assert_close(found, matrix @ dense)
    torch.testing.assert_close(sparse @ dense.detach(), matrix @ dense)
    weight = torch.randn(5, 3).double()
    (of_dense,) = torch.autograd.grad((weight * found).sum(), [dense])
    torch.testing.assert_close(of_dense, matrix.T @ weight)
    torch.testing.assert_close(sparse.transposed_product(weight), matrix.T @ weight)


def test_gradients_by_differences() -> None:
    sparse = Sparse.of(Pattern.of(ROW, COLUMN, 5, 7), torch.rand(6).double())
    dense = torch.rand(7, 2).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda d: sparse @ d, (dense,))
