"""Sparse products are dense ones, in value and in derivative."""

from __future__ import annotations

import torch

from glassgraph.learn.sparse_product import Pattern, Sparse, sparse_product

ROW = torch.tensor([4, 0, 2, 4, 4, 0])
COLUMN = torch.tensor([1, 6, 1, 0, 1, 2])  # (4, 1) comes twice


def test_products_are_dense_products() -> None:
    torch.manual_seed(0)
    value = torch.randn(6).double().requires_grad_()
    dense = torch.randn(7, 3).double().requires_grad_()
    pattern = Pattern.of(ROW, COLUMN, 5, 7)
    matrix = torch.zeros(5, 7).double().index_put((ROW, COLUMN), value, accumulate=True)
    found = sparse_product(pattern, value, dense)
    torch.testing.assert_close(found, matrix @ dense)
    weight = torch.randn(5, 3).double()
    expected = torch.autograd.grad((weight * (matrix @ dense)).sum(), [value, dense])
    got = torch.autograd.grad((weight * found).sum(), [value, dense])
    for one, other in zip(got, expected, strict=True):
        torch.testing.assert_close(one, other)
    fixed = Sparse.of(pattern, value.detach()) @ dense
    torch.testing.assert_close(fixed, found)
    (of_dense,) = torch.autograd.grad((weight * fixed).sum(), [dense])
    torch.testing.assert_close(of_dense, expected[1])


def test_gradients_by_differences() -> None:
    pattern = Pattern.of(ROW, COLUMN, 5, 7)
    value = torch.rand(6).double().requires_grad_()
    dense = torch.rand(7, 2).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda v, d: sparse_product(pattern, v, d), (value, dense))
