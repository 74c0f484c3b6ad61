"""Whole relations shut at the end of a fit.

A solver sweeps one budget over all gates. Messages that are not needed get no gradient, so nothing
tells a gate on them to be among the first to shut, and those of a relation that has most messages
and matters least can be half of what is kept: a thin tail of very many. Here each relation of each
layer (a site, and where edges have types, each type in it) is shut as a whole where that is within
the tolerance,

* with the gates as they are elsewhere, and
* with every other message open.

The second is asked because gates read the unmasked run: what is open in a late layer can tell what
an early one found, so that predictions hold without messages that the model cannot do without.
"""

from __future__ import annotations

import torch

from glassgraph.explainers.perturbation.graphmask_fit.fitting import Fitting
from glassgraph.explainers.perturbation.graphmask_fit.points import Look
from glassgraph.learn import hard_concrete


def shut_relations(fitting: Fitting) -> None:
    """Go on from the best solution, and shut relations that are not needed, the largest first."""
    path, network = fitting.path, fitting.network
    best = path.best()
    if not path.constraint.is_met(best):
        return
    path.restart(network, best)
    look = fitting.look(best.step)
    for relation in _by_number_kept(fitting):
        if _is_needed(fitting, look, relation):
            continue
        network.shut[relation] = True
        point = fitting.measure(look, torch.tensor(best.divergence), shut=relation)
        network.shut[relation] = path.constraint.is_met(point)


@torch.no_grad()
def _by_number_kept(fitting: Fitting) -> list[int]:
    """Relations with kept messages, those with most of them first."""
    network = fitting.network
    number = torch.zeros_like(network.shut, dtype=torch.float64)
    for gated in fitting.validation if number.numel() else ():
        decision = hard_concrete.hard(network(gated))
        relation = gated.relation(network.relations)
        number.index_add_(0, relation.clamp_min(0), decision.double() * (relation >= 0))
    order = number.argsort(descending=True, stable=True)
    return [each for each in order.tolist() if number[each] > 0]


def _is_needed(fitting: Fitting, look: Look, relation: int) -> bool:
    """Whether predictions do not hold where this relation is shut and everything else is open."""
    network = fitting.network
    offset, shut = network.offset.clone(), network.shut.clone()
    network.offset.fill_(torch.inf)
    network.shut.fill_(False)[relation] = True
    point = look.measure()
    network.offset.copy_(offset)
    network.shut.copy_(shut)
    return not fitting.path.constraint.is_met(point)
