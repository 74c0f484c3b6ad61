r"""Tests of independence between many pairs of variables at once, and Markov blankets.

A variable has up to four values; ``R`` samples of a pair fill a table ``O[x, y]`` of counts. With
``E[x, y] = O[x, .] O[., y] / R``, what independence would put there,

.. code-block:: text

    chi2 = sum over x, y of (O - E)^2 / E        dof = (rows used - 1) (columns used - 1)
    p    = P(a chi-square variable with dof degrees of freedom exceeds chi2)

Given other variables, samples are split into the strata in which those are equal, and both ``chi2``
and ``dof`` are summed over strata (Pearson's test, without Yates' correction). Where nothing varies
``dof`` is 0 and ``p`` is 1.

*Grow-Shrink* (Margaritis and Thrun, "Bayesian Network Induction via Local Neighborhoods", NeurIPS
1999) finds the Markov blanket of a variable: grow, while there is one, by the first variable that
is dependent given the blanket so far; then take out, while there is one, a variable that is
independent given the rest.
"""

from __future__ import annotations

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


def markov_blankets(
    code: Tensor, owner: Tensor, target: Tensor, rank: Tensor, significance: float
) -> Tensor:
    """Which of the candidates ``[c]`` are in the Markov blanket of their owner's target.

    Args:
        code: ``[c, R]`` values of the candidates.
        owner: ``[c]`` whose candidates they are.
        target: ``[B, R]`` values of each owner's target.
        rank: ``[c]`` order in which candidates are asked, from 0, in each owner.
        significance: p from which on variables count as independent.
    """
    is_in = torch.zeros_like(owner, dtype=torch.bool)
    growing = torch.ones(target.size(0), dtype=torch.bool, device=owner.device)
    while bool(growing.any()):
        asked = (~is_in & growing[owner]).nonzero().view(-1)
        stratum = _strata(code, owner, rank, is_in, target)
        p = independence_tests(code[asked], target[owner[asked]], stratum[owner[asked]]).p
        chosen = _first(asked[p < significance], owner, rank, target.size(0))
        growing = chosen >= 0
        is_in[chosen[growing]] = True
    return _shrunk(is_in, code, owner, target, rank, significance)


def _shrunk(
    is_in: Tensor, code: Tensor, owner: Tensor, target: Tensor, rank: Tensor, significance: float
) -> Tensor:
    """Ask the members in turn, the last in rank first, until all of them are needed."""
    is_in = is_in.clone()
    shrinking = torch.ones(target.size(0), dtype=torch.bool, device=owner.device)
    while bool(shrinking.any()):
        shrinking = torch.zeros_like(shrinking)
        waiting = is_in.clone()
        while bool(waiting.any()):
            asked = _first(waiting.nonzero().view(-1), owner, -rank, target.size(0))
            asked = asked[asked >= 0]
            waiting[asked] = False
            without = is_in.clone()
            without[asked] = False
            stratum = _strata(code, owner, rank, without, target)[owner[asked]]
            p = independence_tests(code[asked], target[owner[asked]], stratum).p
            gone = asked[p >= significance]
            is_in[gone] = False
            shrinking[owner[gone]] = True
    return is_in


def _first(candidate: Tensor, owner: Tensor, rank: Tensor, num_owners: int) -> Tensor:
    """``[B]`` the candidate of lowest rank of each owner, -1 for none."""
    order = rank[candidate].argsort(descending=True, stable=True)
    found = torch.full((num_owners,), -1, dtype=torch.long, device=owner.device)
    for_owner = owner[candidate[order]]
    last = torch.full_like(found, -1).scatter_reduce(
        0, for_owner, torch.arange(order.numel(), device=owner.device), "amax"
    )
    has = last >= 0
    found[has] = candidate[order][last[has]]
    return found


def _strata(code: Tensor, owner: Tensor, rank: Tensor, is_in: Tensor, target: Tensor) -> Tensor:
    """``[B, R]`` numbers from 0 in each row, equal where all members of a set are equal."""
    stratum = torch.zeros_like(target, dtype=torch.long)
    members = is_in.nonzero().view(-1)
    while members.numel():
        first = _first(members, owner, rank, target.size(0))
        chosen = first[first >= 0]
        stratum[owner[chosen]] = _compact(VALUES * stratum[owner[chosen]] + code[chosen].long())
        taken = torch.zeros_like(is_in)
        taken[chosen] = True
        members = members[~taken[members]]
    return stratum


def _compact(label: Tensor) -> Tensor:
    """Labels ``[K, R]`` replaced by numbers from 0 in each row."""
    ordered, order = label.sort(dim=1)
    is_new = torch.zeros_like(label)
    is_new[:, 1:] = (ordered[:, 1:] != ordered[:, :-1]).long()
    return torch.empty_like(label).scatter(1, order, is_new.cumsum(dim=1))
