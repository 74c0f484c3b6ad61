"""The regularization path: GraphMask's gates swept from open to shut.

Left to a learner, the uniform part of the problem (a push on all gates at once, from the penalty or
from an overconfident model) saturates the gates before the selective part is learned, and
everything ends open or shut. The sweep takes the uniform part away: over the messages of a batch
the raw scores are standardized,

    location = location_scale (g - mean g) / std g + offset(t),     offset from +sweep to -sweep

and the loss is the divergence alone. The offset is a budget; dividing by the standard deviation
keeps the scorer from buying more by scaling up. Neither all-open nor all-shut is a fixed point.
The last steps polish: from the sparsest solution that is nearly within the tolerance the offset
stands still while learning rate and noise fall to zero.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from glassgraph.explainers.perturbation.graphmask_fit.fitting import Fitting
from glassgraph.explainers.perturbation.graphmask_fit.mask_network import MaskNetwork
from glassgraph.explainers.perturbation.message_gates.gated_batch import GatedBatch

LEARNING_RATE = 3e-3

#: A solution is worth polishing if its divergence is at most this many tolerances.
_NEARLY = 3.0
#: Where decisions fail at the present offset, they are also tried with these added to it.
_AHEAD = (0.0, 0.75, 1.5, 3.0)
#: Added to the variance of the scores, which are all alike where all messages are.
_TINY = 1e-12
#: What a new batch adds to the running mean and standard deviation.
_MOMENTUM = 0.1


def follow_path(fitting: Fitting) -> None:
    """Sweep the offset from open to shut and learn to stay faithful on the way; then polish."""
    settings, network = fitting.settings, fitting.network
    network.location_scale.fill_(settings.location_scale)
    rate = settings.learning_rate or LEARNING_RATE
    optimizer = fitting.optimizer(rate)
    polishing = int(settings.polish * settings.steps)
    sweeping = max(1, settings.steps - polishing)
    scale = 1.0
    for step, gated in fitting.batches():
        if step < sweeping:
            network.offset.fill_(settings.sweep * (1 - 2 * step / max(1, sweeping - 1)))
        else:
            if step == sweeping:
                fitting.path.restart(network, fitting.path.nearly(_NEARLY))
                optimizer = fitting.optimizer(rate)
            scale = (settings.steps - step) / polishing
            optimizer.param_groups[0]["lr"] = rate * scale
        loss, raw = _learn(fitting, optimizer, gated, scale)
        _follow_scores(network, raw, _MOMENTUM if step else 1.0)
        fitting.bar.update(1)
        if fitting.is_measured(step):
            _measure_ahead(fitting, step, loss)


def _learn(
    fitting: Fitting, optimizer: torch.optim.Optimizer, gated: GatedBatch, scale: float
) -> tuple[Tensor, Tensor]:
    """A step at the present offset: its loss, and the raw scores."""
    network = fitting.network
    with torch.enable_grad():
        raw = network.gates(gated)
        standard = F.layer_norm(raw, raw.shape, eps=_TINY)
        location = torch.add(network.offset, standard, alpha=fitting.settings.location_scale)
        loss = fitting.divergence(gated, gated.open_unseen(location), scale)
        fitting.backward(optimizer, loss, gated)
    optimizer.step()
    return loss, raw.detach()


def _follow_scores(network: MaskNetwork, raw: Tensor, weight: float) -> None:
    """Running mean and standard deviation of the raw scores."""
    variance, mean = torch.var_mean(raw, correction=0)
    network.mean.lerp_(mean, weight)
    network.std.lerp_((variance + _TINY).sqrt(), weight)


def _measure_ahead(fitting: Fitting, step: int, loss: Tensor) -> None:
    """Measure here and, until decisions satisfy the constraint, at higher offsets.

    What is far from satisfying it is no candidate, and measured on validation predictions alone.
    """
    network, look = fitting.network, fitting.look(step)
    enough = fitting.path.constraint.times(_NEARLY)
    offset = float(network.offset)
    for ahead in _AHEAD:
        network.offset.fill_(offset + ahead)
        point = fitting.measure(look, loss, enough, offset=offset + ahead)
        if fitting.path.constraint.is_met(point):
            break
    network.offset.fill_(offset)
