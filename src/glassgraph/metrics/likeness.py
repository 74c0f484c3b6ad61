r"""How alike are two vectors of scores? Many pairs at once, one for each instance.

With scores ``a`` and ``b`` of the same m entries,

.. code-block:: text

    cosine     a . b / (|a| |b|)
    spearman   Pearson's correlation of the ranks; ties share the mean of their ranks
    jaccard    sum_e min(A_e, B_e) / sum_e max(A_e, B_e),   A and B the k best entries of each
    signs      share of the entries, other than those where both are 0, whose signs are equal

``A_e`` is 1 for the k best and 0 for the others. Entries that are tied at the k-th place share the
places that are left: c of them that fill r places count r / c each. Without ties this is the usual
overlap of two sets, |A and B| / |A or B|; with them it depends on no order.

A measure is NaN where it says nothing: the cosine if a vector is zero, Spearman's correlation if a
vector is constant, the overlap if there are no more than k entries, the signs if both vectors are
zero.

Spearman, "The Proof and Measurement of Association between Two Things" (1904,
https://doi.org/10.2307/1412159).
"""

from __future__ import annotations

import torch
from torch import Tensor


def cosine(a: Tensor, b: Tensor, segment: Tensor, count: int) -> Tensor:
    """Cosine of each segment, ``[count]``.

    Args:
        a: ``[m]``.
        b: ``[m]``.
        segment: ``[m]`` which pair an entry belongs to.
        count: number of pairs.

    Example:
        >>> one, segment = torch.ones(2).double(), torch.zeros(2).long()
        >>> cosine(one, torch.tensor([3.0, -4.0]).double(), segment, 1).tolist()
        [-0.141...]
    """
    a, b = (each / _largest(each, segment, count)[segment] for each in (a, b))
    norms = [_sums(each * each, segment, count).sqrt() for each in (a, b)]
    return (_sums(a * b, segment, count) / (norms[0] * norms[1])).clamp(-1, 1)


def spearman(a: Tensor, b: Tensor, segment: Tensor, count: int) -> Tensor:
    """Spearman's rank correlation of each segment, ``[count]``; arguments as in `cosine`."""
    size = _sums(torch.ones_like(a), segment, count)
    centered = []
    for each in (a, b):
        below, tied = _below_and_tied(each, segment, count)
        centered.append(below + tied / 2 - size[segment] / 2)  # twice these are whole numbers
    one, other = centered
    spread = _sums(one * one, segment, count) * _sums(other * other, segment, count)
    return (_sums(one * other, segment, count) / spread.sqrt()).clamp(-1, 1)


def jaccard(a: Tensor, b: Tensor, segment: Tensor, count: int, top_k: int) -> Tensor:
    """Overlap of the best entries of each segment, ``[count]``; arguments as in `cosine`.

    Args:
        a: see `cosine`.
        b: see `cosine`.
        segment: see `cosine`.
        count: see `cosine`.
        top_k: how many of the best.
    """
    size = _sums(torch.ones_like(a), segment, count)
    chosen = []
    for each in (a, b):
        below, tied = _below_and_tied(each, segment, count)
        above = size[segment] - below - tied
        chosen.append(((top_k - above) / tied).clamp(0, 1))
    both = _sums(torch.minimum(*chosen), segment, count)
    either = _sums(torch.maximum(*chosen), segment, count)
    return torch.where(size > top_k, both / either, float("nan"))


def signs(a: Tensor, b: Tensor, segment: Tensor, count: int) -> Tensor:
    """Agreement of signs of each segment, ``[count]``; arguments as in `cosine`."""
    counts = ((a != 0) | (b != 0)).double()
    equal = (a.sign() == b.sign()).double() * counts
    return _sums(equal, segment, count) / _sums(counts, segment, count)


def _sums(value: Tensor, segment: Tensor, count: int) -> Tensor:
    return value.new_zeros(count).index_add_(0, segment, value)


def _largest(value: Tensor, segment: Tensor, count: int) -> Tensor:
    """Largest magnitude of each segment, so that squares neither overflow nor vanish."""
    return value.new_zeros(count).scatter_reduce_(0, segment, value.abs(), "amax")


def _below_and_tied(value: Tensor, segment: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """For each entry, how many of its segment are smaller, and how many equal (itself included)."""
    order = torch.argsort(value, stable=True)
    order = order[torch.argsort(segment[order], stable=True)]
    value, segment = value[order], segment[order]
    is_new = torch.ones_like(segment, dtype=torch.bool)
    is_new[1:] = (value[1:] != value[:-1]) | (segment[1:] != segment[:-1])
    group = is_new.cumsum(0) - 1
    tied = torch.bincount(group)
    first = tied.cumsum(0) - tied
    size = torch.bincount(segment, minlength=count)
    start = size.cumsum(0) - size
    below = torch.empty_like(value)
    equal = torch.empty_like(value)
    below[order] = (first[group] - start[segment]).to(value.dtype)
    equal[order] = tied[group].to(value.dtype)
    return below, equal
