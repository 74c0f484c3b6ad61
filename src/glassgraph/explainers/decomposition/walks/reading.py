"""Walk graphs of a batch under the gamma rule, in pieces that fit into memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from glassgraph.core.batch import InstanceBatch
from glassgraph.errors import HyperParameterError, WalkError
from glassgraph.relevance.module_scope import ModuleScope
from glassgraph.relevance.rules import Rule, Zero
from glassgraph.relevance.signed_rules import Gamma
from glassgraph.relevance.tape import Tape
from glassgraph.relevance.walk_reader import TooLarge, read_walks
from glassgraph.relevance.walks import WalkGraph

#: Memory that a single instance may take, also where the budget is smaller.
_MOST_BYTES = 4 << 30


class GammaSchedule:
    """The gamma rule, with another gamma at each layer.

    Args:
        gamma: one number for all message-passing layers; two, ``(bottom, top)``, between which the
            layers are spread evenly; or one for each layer. What follows the last layer has gamma
            0, or one further number.
        num_layers: L.

    Raises:
        HyperParameterError: for another number of numbers.
    """

    def __init__(self, gamma: float | Sequence[float], num_layers: int) -> None:
        numbers = _gamma_of_each_layer(gamma, num_layers)
        self._rules: list[Rule] = [Gamma(each) if each else Zero() for each in numbers]

    def __call__(self, scope: ModuleScope) -> Rule:
        """The rule in a scope."""
        return self._rules[min(scope.depth, len(self._rules) - 1)]


def _gamma_of_each_layer(gamma: float | Sequence[float], num_layers: int) -> list[float]:
    """Gamma of each layer, and of what follows."""
    if not isinstance(gamma, Sequence):
        return [float(gamma)] * num_layers + [0.0]
    found = [float(each) for each in gamma]
    if len(found) == 2:
        return [*torch.linspace(found[0], found[1], num_layers).tolist(), 0.0]
    if len(found) not in (num_layers, num_layers + 1):
        raise HyperParameterError(
            f"gamma has {len(found)} numbers; the model has {num_layers} message-passing layers"
        )
    return found if len(found) > num_layers else [*found, 0.0]


def read_in_pieces(
    batch: InstanceBatch, gamma: float | Sequence[float], budget: int
) -> Iterator[tuple[InstanceBatch, WalkGraph]]:
    """The walk graphs of a batch, in as few pieces as memory allows, in order.

    Args:
        batch: the instances.
        gamma: see `GammaSchedule`.
        budget: bytes that the matrices of a piece may take; for one instance at least 4 GiB.

    Raises:
        WalkError: if the walks of the model are not defined, or one instance does not fit.
    """
    is_single = batch.num_instances == 1
    allowed = max(budget, _MOST_BYTES) if is_single else budget
    backward = Tape.on(batch, GammaSchedule(gamma, batch.num_layers))
    try:
        yield batch, read_walks(batch, budget=allowed, backward=backward)
        return
    except TooLarge as error:
        if is_single:
            raise WalkError(
                f"the walks of one instance take {error.num_bytes / 2**30:.3g} GiB, more than "
                f"the {allowed / 2**30:.3g} GiB allowed; raise memory_budget, or explain a "
                "narrower model"
            ) from error
    instances = torch.arange(batch.num_instances, device=batch.device)
    for half in instances.tensor_split(2):
        yield from read_in_pieces(batch.take(half), gamma, budget)
