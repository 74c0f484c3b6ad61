"""The HSIC Lasso: which features do responses depend on, in whatever way?

Only the products of kernels with each other are kept, F x F numbers; least angle regression
(`sklearn.linear_model.lars_path_gram`) needs no more. Features whose kernels are the same (equal
features, or two values exchanged) share one weight evenly.

Yamada, Jitkrittum, Sigal, Xing and Sugiyama, "High-Dimensional Feature Selection by Feature-Wise
Kernelized Lasso" (Neural Computation 2014, https://arxiv.org/abs/1202.0515).
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import Lasso, lars_path_gram
from torch import Tensor

#: Kernels whose product is closer to 1 are the same.
_SAME = 1e-10
#: Numbers of kernels that are computed at once.
_AT_ONCE = 1 << 22


def hsic_lasso(x: Tensor, y: Tensor, rho: float, x_width: float, y_width: float) -> Tensor | None:
    """Weights ``[F]`` of features ``x [n, F]``, for responses ``y [n, R]``.

    Features that are constant weigh nothing.

    Args:
        x: the features.
        y: the responses.
        rho: weight of the sum of the weights.
        x_width: width of the features' kernels.
        y_width: width of the responses' kernel.

    Returns:
        None where the responses do not differ.
    """
    scale = y.abs().amax() if y.numel() else y.new_zeros(())
    if not bool(((y - y[:1]).abs() > 1e-6 * scale).any()):
        return None
    varies = (x != x[:1]).any(dim=0).nonzero().view(-1)
    of_output = _centered(torch.cdist(y, y), y_width)
    gram, product = _products(x[:, varies], of_output / of_output.norm(), x_width)
    beta = x.new_zeros(x.size(1))
    beta[varies] = _shared(gram, product, rho)
    return beta


def _centered(distance: Tensor, width: float) -> Tensor:
    """``H K H`` of Gaussian kernels ``[..., n, n]``."""
    kernel = (-distance.square() / (2 * width**2)).exp()
    kernel = kernel - kernel.mean(dim=-1, keepdim=True)
    return kernel - kernel.mean(dim=-2, keepdim=True)


def _products(x: Tensor, of_output: Tensor, width: float) -> tuple[Tensor, Tensor]:
    """Products of the features' kernels, with each other ``[F, F]`` and the predictions' ``[F]``.

    Rows of the kernels are taken in parts, so that no more than a few million numbers are held.
    """
    num_nodes, num_features = x.shape
    columns = x.t().contiguous()
    means = x.new_empty(num_features, num_nodes)
    gram, product = x.new_zeros(num_features, num_features), x.new_zeros(num_features)
    size = max(1, _AT_ONCE // max(1, num_nodes * num_features))
    rows = torch.arange(num_nodes, device=x.device).split(size)

    def kernel(row: Tensor) -> Tensor:
        distance = columns[:, row, None] - columns[:, None, :]
        return (-distance.square() / (2 * width**2)).exp()

    for row in rows:
        means[:, row] = kernel(row).mean(dim=2)
    total = means.mean(dim=1).view(-1, 1, 1)
    for row in rows:
        part = (kernel(row) - means[:, row, None] - means[:, None, :] + total).flatten(1)
        gram += part @ part.t()
        product += part @ of_output[row].flatten()
    norm = gram.diagonal().sqrt()
    return gram / norm / norm.view(-1, 1), product / norm


def _shared(gram: Tensor, product: Tensor, rho: float) -> Tensor:
    """The weights, where kernels that are the same have equal parts of one weight."""
    if not product.numel():
        return product
    first = (gram > 1 - _SAME).int().argmax(dim=1)  # the first feature with the same kernel
    kept, group, count = first.unique(return_inverse=True, return_counts=True)
    weight = solve(gram[kept][:, kept].cpu().numpy(), product[kept].cpu().numpy(), rho)
    beta: Tensor = (torch.from_numpy(weight).to(product) / count)[group]
    return beta


def solve(gram: Any, product: Any, rho: float) -> Any:
    """``beta`` that minimizes ``beta' G beta / 2 - c' beta + rho sum(beta)``, ``beta >= 0``."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        _, _, path = lars_path_gram(
            product, gram.copy(), n_samples=1, alpha_min=rho, method="lasso", positive=True
        )
    found = path[:, -1]
    slope = gram @ found - product + rho
    if slope.min() > -1e-7 and np.abs(slope * found).max() < 1e-7:
        return found
    # Kernels that depend on each other can lead the path astray; coordinate descent does not mind.
    values, vectors = np.linalg.eigh(gram)
    is_there = values > 1e-12 * values.max()
    root, vectors = np.sqrt(values[is_there]), vectors[:, is_there]
    design, response = root[:, None] * vectors.T, vectors.T @ product / root
    lasso = Lasso(rho / len(root), fit_intercept=False, positive=True, tol=1e-10, max_iter=100_000)
    return lasso.fit(design, response).coef_
