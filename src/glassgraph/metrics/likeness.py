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

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Ranked:
    """Vectors of scores, one for each segment, with what the measures read of them.

    Attributes:
        value: ``[m]`` scores.
        rank: ``[m]`` ranks within the segment, less their mean.
        best: ``[m]`` how far an entry is among the best of its segment, in [0, 1].
    """

    value: Tensor
    rank: Tensor
    best: Tensor

    @staticmethod
    def of(
        value: Tensor, segment: Tensor, count: int, top_k: int, *, is_absolute: bool = False
    ) -> Ranked:
        """Rank some scores.

        Args:
            value: ``[m]`` scores in float64.
            segment: ``[m]`` which vector an entry belongs to.
            count: number of vectors.
            top_k: how many are the best.
            is_absolute: rank by the size of a score.
        """
        below, tied = _below_and_tied(value.abs() if is_absolute else value, segment, count)
        size = _sums(torch.ones_like(value), segment, count)[segment]
        best = ((top_k - (size - below - tied)) / tied).clamp(0, 1)
        return Ranked(value, below + tied / 2 - size / 2, best)


def likeness(a: Ranked, b: Ranked, segment: Tensor, count: int, top_k: int) -> dict[str, Tensor]:
    """All measures of each segment, ``[count]``, by name; see `Ranked.of` for the arguments.

    Example:
        >>> segment = torch.zeros(3, dtype=torch.long)
        >>> one, other = torch.tensor([[3.0, 2, 1], [4.0, -1, 2]]).double()
        >>> vectors = [Ranked.of(each, segment, 1, top_k=1) for each in (one, other)]
        >>> {name: value.item() for name, value in likeness(*vectors, segment, 1, 1).items()}
        {'cosine': 0.699..., 'spearman': 0.5, 'jaccard': 1.0, 'signs': 0.666...}
    """
    size = _sums(torch.ones_like(a.value), segment, count)
    both = _sums(torch.minimum(a.best, b.best), segment, count)
    either = _sums(torch.maximum(a.best, b.best), segment, count)
    counts = ((a.value != 0) | (b.value != 0)).double()
    equal = (a.value.sign() == b.value.sign()).double() * counts
    return {
        "cosine": cosine(a.value, b.value, segment, count),
        "spearman": cosine(a.rank, b.rank, segment, count),
        "jaccard": torch.where(size > top_k, both / either, float("nan")),
        "signs": _sums(equal, segment, count) / _sums(counts, segment, count),
    }


def cosine(a: Tensor, b: Tensor, segment: Tensor, count: int) -> Tensor:
    """Cosine of each segment, ``[count]``, of entries ``[m]``."""
    a, b = (each / _largest(each, segment, count)[segment] for each in (a, b))
    norms = [_sums(each * each, segment, count).sqrt() for each in (a, b)]
    return (_sums(a * b, segment, count) / (norms[0] * norms[1])).clamp(-1, 1)


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
