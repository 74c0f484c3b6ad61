"""Markov blankets of many variables at once.

*Grow-Shrink* (Margaritis and Thrun, "Bayesian Network Induction via Local Neighborhoods", NeurIPS
1999) finds the Markov blanket of a variable: grow, while there is one, by the first variable that
is dependent given the blanket so far; then take out, while there is one, a variable that is
independent given the rest.
"""

from __future__ import annotations

import torch
from torch import Tensor

from glassgraph.explainers.surrogate.graphical_model.independence import (
    VALUES,
    independence_tests,
)


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
