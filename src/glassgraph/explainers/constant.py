"""Answers that tell nothing apart: whose they are, and why.

A method that finds nothing says so by scores that are all the same, and such an answer looks like
any other. So a method hands over the `Reason` together with its scores; what it cannot know is
found here, where every score is 0. A reason becomes the remark of the explanations it holds for
(`LocalExplanation.remark`), and is told once for each call of ``explain``.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from glassgraph.core.batch import InstanceBatch
from glassgraph.core.sites import OpaqueWiring
from glassgraph.explainers.traits import Traits
from glassgraph.results.records import Attribution, Part, Reason

#: Mask values this near to 0 or 1 are shut or open.
_NEAR = 0.01


class ConstantScoresWarning(UserWarning):
    """Explanations whose scores tell nothing apart; the message counts them by their reason."""


def remarks(
    traits: Traits, batch: InstanceBatch, found: Attribution
) -> tuple[tuple[str, ...], Counter[str]]:
    """Why the scores of each instance tell nothing apart.

    Instances with a single edge and a single node leave nothing to tell apart.

    Args:
        traits: of the method.
        batch: the instances.
        found: what the method says of them.

    Returns:
        A remark for each instance, empty where there is none; how many instances have each of those
        that the method has not told itself.
    """
    has_choice = _entries(batch, found) > 1
    said, untold = [""] * batch.num_instances, Counter[str]()
    for reason in (*found.reasons, *_reasons_of_zeros(traits, batch, found, has_choice)):
        rows = (reason.holds & has_choice).nonzero().view(-1).tolist()
        for row in rows:
            if not said[row]:
                said[row] = reason.words
                untold[reason.words] += not reason.is_told
    return tuple(said) if any(said) else (), +untold


def tell(method: str, untold: Counter[str], parts: Iterable[Part]) -> None:
    """Warn of explanations that tell nothing apart, once, if there are any."""
    if not untold:
        return
    total = sum(part.position.numel() for part in parts)
    causes = "; ".join(f"{words} ({count})" for words, count in untold.most_common())
    warnings.warn(
        f"{method}: the scores of {untold.total()} of {total} explanations tell nothing apart: "
        f"{causes}",
        ConstantScoresWarning,
        stacklevel=3,
    )


def saturated(batch: InstanceBatch, gate: Tensor) -> tuple[Reason, ...]:
    """Reasons for methods whose masks may end all shut, or all open.

    Args:
        batch: the instances.
        gate: ``[e]`` mask values between 0 and 1; 0 for edges that have no gate.
    """
    low = lowest(batch, gate.where(gate > 0, torch.inf))
    high = -lowest(batch, -gate)
    is_gated = low.isfinite()
    return (
        Reason(
            f"all gates are shut (below {_NEAR}): every edge costs more than it does",
            is_gated & (high < _NEAR),
        ),
        Reason(
            f"all gates are open (above {1 - _NEAR}): no edge is given up",
            is_gated & (low > 1 - _NEAR),
        ),
    )


def clamped(batch: InstanceBatch, node: Tensor) -> tuple[Reason, ...]:
    """A reason for methods that keep nothing below zero.

    Args:
        batch: the instances.
        node: ``[n]`` scores after that.
    """
    has_any = torch.zeros(batch.num_instances, dtype=torch.bool, device=batch.device)
    has_any[batch.node_instance[node != 0]] = True
    return (Reason("no node speaks for the class; relu=False shows what speaks against", ~has_any),)


def lowest(batch: InstanceBatch, score: Tensor) -> Tensor:
    """``[B]`` the lowest of the scores ``[e]`` of each instance's edges; infinite without edges."""
    found = score.new_full((batch.num_instances,), torch.inf)
    return found.scatter_reduce(0, batch.edge_instance, score.detach(), "amin")


def _entries(batch: InstanceBatch, found: Attribution) -> Tensor:
    """``[B]`` how many edges, or nodes if these score, an instance has."""
    entries = batch.edges_per_instance
    if found.node is None and found.feature is None:
        return entries
    return torch.maximum(entries, batch.nodes_per_instance)


def _reasons_of_zeros(
    traits: Traits, batch: InstanceBatch, found: Attribution, has_choice: Tensor
) -> Sequence[Reason]:
    """What can be said where every score is 0, of methods that look at the model."""
    if traits.family == "baseline" or found.walk is not None:
        return ()
    is_zero = has_choice & ~_has_score(batch, found)
    if not bool(is_zero.any()):
        return ()
    everything = Reason("every score is 0", is_zero)
    if isinstance(batch.wiring, OpaqueWiring):
        return (everything,)
    return (_nothing_moves(batch, is_zero), everything)


def _nothing_moves(batch: InstanceBatch, is_asked: Tensor) -> Reason:
    """Which of some instances keep their score with all messages shut."""
    with torch.no_grad():
        without, score = batch.score(0 * batch.ones()), batch.score()
    rounding = torch.finfo(score.dtype).eps ** 0.75 * score.abs().clamp_min(1)
    stays = (without - score).abs() <= rounding
    return Reason("the explained score stays with all messages shut", stays & is_asked)


def _has_score(batch: InstanceBatch, found: Attribution) -> Tensor:
    """``[B]`` whether any score of an instance is not 0."""
    has_any = torch.zeros(batch.num_instances, dtype=torch.bool, device=batch.device)
    if found.edge is not None:
        has_any[batch.edge_instance[found.edge != 0]] = True
    if found.layer_edge is not None:
        has_any[batch.edge_instance[(found.layer_edge != 0).any(dim=0)]] = True
    if found.node is not None:
        has_any[batch.node_instance[found.node != 0]] = True
    for rows, values in zip(batch.packed.node_position, found.feature or (), strict=False):
        if values is not None:
            has_any[batch.node_instance[rows[(values != 0).any(dim=1)]]] = True
    return has_any
