r"""Tests of independence between many pairs of variables at once.

A variable has up to four values; ``R`` samples of a pair fill a table ``O[x, y]`` of counts. With
``E[x, y] = O[x, .] O[., y] / R``, what independence would put there,

.. code-block:: text

    chi2 = sum over x, y of (O - E)^2 / E        dof = (rows used - 1) (columns used - 1)
    p    = P(a chi-square variable with dof degrees of freedom exceeds chi2)

Given other variables, samples are split into the strata in which those are equal, and both ``chi2``
and ``dof`` are summed over strata (Pearson's test, without Yates' correction). Where nothing varies
``dof`` is 0 and ``p`` is 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

#: Values of a variable.
VALUES = 4
#: Counts that are held at once.
_COUNTS_AT_ONCE = 1 << 23
#: Smallest p that is told from 0: that of a surprise of 300.
_LEAST_P = 1e-300


@dataclass(frozen=True)
class Tests:
    """Results of K tests.

    Attributes:
        statistic: ``[K]`` chi2.
        dof: ``[K]`` degrees of freedom.
        p: ``[K]`` how likely the statistic, or a larger one, is under independence.
    """

    statistic: Tensor
    dof: Tensor
    p: Tensor

    @staticmethod
    def joined(parts: Sequence[Tests]) -> Tests:
        """The results of some tests after those of others."""
        return Tests(
            torch.cat([each.statistic for each in parts]),
            torch.cat([each.dof for each in parts]),
            torch.cat([each.p for each in parts]),
        )

    @property
    def surprise(self) -> Tensor:
        """``[K]`` ``-log10 p``, up to 300."""
        return -self.p.clamp_min(_LEAST_P).log10()


def independence_tests(one: Tensor, other: Tensor, stratum: Tensor | None = None) -> Tests:
    """Test K pairs of variables.

    Args:
        one: ``[K, R]`` values from 0 to 3.
        other: ``[K, R]`` the same.
        stratum: ``[K, R]`` numbers from 0, equal where the given variables are equal.
    """
    num_strata = 1 if stratum is None or not stratum.numel() else int(stratum.max()) + 1
    at_once = max(1, _COUNTS_AT_ONCE // max(VALUES**2 * num_strata, one.size(1), 1))
    found = []
    for first in range(0, max(1, one.size(0)), at_once):
        part = slice(first, first + at_once)
        code = VALUES * one[part].long() + other[part].long()
        if stratum is not None:
            code += VALUES**2 * stratum[part]
        found.append(_statistics(code, num_strata))
    statistic, dof = (torch.cat(each) for each in zip(*found, strict=True))
    tail = torch.special.gammaincc(dof.clamp_min(1) / 2, statistic / 2)
    return Tests(statistic, dof, torch.where(dof > 0, tail, 1.0))


def _statistics(code: Tensor, num_strata: int) -> tuple[Tensor, Tensor]:
    """chi2 and degrees of freedom of K pairs, from their codes ``[K, R]``."""
    cells = VALUES**2 * num_strata
    row = torch.arange(code.size(0), device=code.device).view(-1, 1)
    counted = torch.bincount((row * cells + code).flatten(), minlength=code.size(0) * cells)
    count = counted.view(-1, num_strata, VALUES, VALUES).double()
    rows, columns = count.sum(dim=3), count.sum(dim=2)
    total = rows.sum(dim=2).clamp_min(1).view(-1, num_strata, 1, 1)
    expected = rows.unsqueeze(3) * columns.unsqueeze(2) / total
    misfit = (count - expected).square() / expected.where(expected > 0, 1.0)
    used = [((each > 0).sum(dim=2) - 1).clamp_min(0) for each in (rows, columns)]
    return misfit.sum(dim=(1, 2, 3)), (used[0] * used[1]).sum(dim=1).double()
