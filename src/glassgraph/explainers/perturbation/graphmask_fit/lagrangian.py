"""The Lagrangian: the GraphMask paper's saddle point.

    max_lambda min_{pi,b}  w sum_k mean_k P(z != 0) + lambda (D - beta)

Adam on gates and baselines, RMSProp ascent on ``lambda``, which grows while the constraint is
violated and shrinks while it is slack. The last layer is gated first; the layers below follow one
at a time, and until then have no gates at all (in the authors' code they are gated at random from
the start).
"""

from __future__ import annotations

import torch
from torch import Tensor

from glassgraph.explainers.perturbation.graphmask_fit.fitting import Fitting
from glassgraph.explainers.perturbation.message_gates.gated_batch import GatedBatch
from glassgraph.learn import hard_concrete
from glassgraph.learn.multiplier import Multiplier

#: Where gates start: mostly open (the paper's location bias).
LOCATION_BIAS = 2.0
LEARNING_RATE = 1e-3


def solve_lagrangian(fitting: Fitting) -> None:
    """The saddle point, layer by layer from the top."""
    settings, network = fitting.settings, fitting.network
    network.offset.fill_(LOCATION_BIAS)
    optimizer = fitting.optimizer(settings.learning_rate or LEARNING_RATE)
    mean = network.mean
    multiplier = Multiplier(
        1, settings.multiplier_learning_rate, dtype=mean.dtype, device=mean.device
    )
    num_layers = fitting.train[0].batch.num_layers
    for step, gated in fitting.batches():
        lowest = num_layers - 1 - step * num_layers // settings.steps
        network.lowest.fill_(lowest)
        with torch.enable_grad():
            location = network(gated)
            sparsity = _expected_share(location, gated, lowest)
            distance = fitting.divergence(gated, location)
            violation = distance - fitting.path.constraint.tolerance
            loss = settings.sparsity_weight * sparsity + multiplier.value[0] * violation
            fitting.backward(optimizer, loss, gated)
        optimizer.step()
        multiplier.ascend(violation.view(1))
        fitting.bar.update(1)
        if fitting.is_measured(step):
            value = float(multiplier.value[0])
            fitting.measure(fitting.look(step), distance, multiplier=value, lowest_layer=lowest)


def _expected_share(location: Tensor, gated: GatedBatch, lowest: int) -> Tensor:
    """Expected share of open gates of each gated layer, summed."""
    expected = hard_concrete.expected_l0(location)
    zeros = expected.new_zeros(gated.batch.num_layers)
    opened = zeros.index_add(0, gated.layer, expected)
    number = zeros.index_add(0, gated.layer, torch.ones_like(expected))
    return (opened / number.clamp_min(1))[lowest:].sum()
