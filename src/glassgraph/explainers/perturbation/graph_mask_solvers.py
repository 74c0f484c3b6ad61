"""Two ways to solve GraphMask's constrained problem; see `glassgraph.explainers.GraphMask`.

**The path.** Left to a learner, the uniform part of the problem (a push on all gates at once, from
the penalty or from an overconfident model) saturates the gates before the selective part is
learned, and everything ends open or shut. The path takes the uniform part away: over the messages
of a batch the raw scores are standardized,

    location = grip (g - mean g) / std g + offset(t),        offset from +sweep to -sweep

and the loss is the divergence alone. The offset is a budget; dividing by the standard deviation
keeps the scorer from buying more by scaling up. Neither all-open nor all-shut is a fixed point.
The last steps polish: from the sparsest solution that is nearly within the tolerance the offset
stands still while learning rate and noise fall to zero.

**The Lagrangian.** ``max_lambda min_{pi,b} w sum_k mean_k P(z != 0) + lambda (D - beta)``: Adam on
gates and baselines, RMSProp ascent on ``lambda``, which grows while the constraint is violated and
shrinks while it is slack. The last layer is gated first; the layers below follow one at a time, and
until then have no gates at all (in the authors' code they are gated at random from the start).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from glassgraph.core.divergence import divergence
from glassgraph.explainers.amortized import Lessons
from glassgraph.explainers.gates import Lesson, visits
from glassgraph.explainers.perturbation.graph_mask_path import MaskNetwork, Path, measure
from glassgraph.learn import hard_concrete
from glassgraph.learn.multiplier import Multiplier

if TYPE_CHECKING:
    from glassgraph.explainers.perturbation.graph_mask import GraphMask

#: How often solutions are measured, over a whole fit.
LOOKS = 60
#: A solution is worth polishing if its divergence is at most this many tolerances.
_NEARLY = 3.0
#: Where decisions fail at the present offset, they are also tried with these added to it.
_AHEAD = (0.0, 0.75, 1.5, 3.0)
#: Added to the variance of the scores, which are all alike where all messages are.
_TINY = 1e-12
#: What a new batch adds to the running mean and standard deviation.
_MOMENTUM = 0.1
#: Where gates of the Lagrangian start: mostly open (the paper's location bias).
LOCATION_BIAS = 2.0

PATH_LEARNING_RATE = 3e-3
LAGRANGIAN_LEARNING_RATE = 1e-3


def follow_path(
    method: GraphMask,
    network: MaskNetwork,
    train: Lessons,
    validation: Lessons,
    path: Path,
    rows: list[dict[str, Any]],
    bar: Any,
) -> None:
    """Sweep the offset from open to shut and learn to stay faithful on the way; then polish."""
    network.grip.fill_(method.grip)
    rate = method.learning_rate or PATH_LEARNING_RATE
    optimizer = torch.optim.Adam(network.gates.parameters(), lr=rate, fused=True)
    polishing = int(method.polish * method.steps)
    sweeping = max(1, method.steps - polishing)
    noise = _Noise(method.seed, network.mean.device)
    sets = [validation, _sample(train, validation.num_predictions)]
    scale = 1.0
    for step, lesson in enumerate(visits(train, method.steps, method.seed)):
        if step < sweeping:
            network.offset.fill_(method.sweep * (1 - 2 * step / max(1, sweeping - 1)))
        else:
            if step == sweeping:
                path.restart(network, path.nearly(_NEARLY))
                optimizer = torch.optim.Adam(network.gates.parameters(), lr=rate, fused=True)
            scale = (method.steps - step) / polishing
            optimizer.param_groups[0]["lr"] = rate * scale
        with torch.enable_grad():
            raw = network.gates(lesson)
            standard = F.layer_norm(raw, raw.shape, eps=_TINY)
            location = torch.add(network.offset, standard, alpha=method.grip)
            loss = _distance(network, lesson, location, noise, path, scale).mean()
            network.gates.check_finite(loss, lesson)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
        optimizer.step()
        weight = _MOMENTUM if step else 1.0
        variance, mean = torch.var_mean(raw.detach(), correction=0)
        network.mean.lerp_(mean, weight)
        network.std.lerp_((variance + _TINY).sqrt(), weight)
        bar.update(1)
        if _looks(step, method.steps):
            offset = float(network.offset)
            for ahead in _AHEAD:
                network.offset.fill_(offset + ahead)
                point = measure(network, sets, path.aim.kind, step)
                path.add(network, point)
                rows.append(_row(point, loss, offset=offset + ahead))
                if path.aim.is_met(point):
                    break
            network.offset.fill_(offset)


def _sample(train: Lessons, size: int) -> list[Lesson]:
    """Training lessons with ``size`` predictions or more; small validation sets mislead alone."""
    found: list[Lesson] = []
    for lesson in train:
        found.append(lesson)
        size -= lesson.batch.num_predictions
        if size <= 0:
            break
    return found


def _looks(step: int, steps: int) -> bool:
    """Whether to measure after this step."""
    return step % max(1, steps // LOOKS) == 0 or step == steps - 1


def solve_lagrangian(
    method: GraphMask,
    network: MaskNetwork,
    train: Lessons,
    validation: Lessons,
    path: Path,
    rows: list[dict[str, Any]],
    bar: Any,
) -> None:
    """The paper's saddle point, layer by layer from the top."""
    network.offset.fill_(LOCATION_BIAS)
    rate = method.learning_rate or LAGRANGIAN_LEARNING_RATE
    optimizer = torch.optim.Adam(network.gates.parameters(), lr=rate, fused=True)
    multiplier = Multiplier(
        1,
        method.multiplier_learning_rate,
        dtype=network.mean.dtype,
        device=network.mean.device,
    )
    num_layers = train[0].batch.num_layers
    noise = _Noise(method.seed, network.mean.device)
    sets = [validation, _sample(train, validation.num_predictions)]
    for step, lesson in enumerate(visits(train, method.steps, method.seed)):
        network.lowest.fill_(num_layers - 1 - step * num_layers // method.steps)
        with torch.enable_grad():
            location = network(lesson)
            sparsity = _expected_share(location, lesson, int(network.lowest))
            distance = _distance(network, lesson, location, noise, path).mean()
            violation = distance - path.aim.tolerance
            loss = method.sparsity_weight * sparsity + multiplier.value[0] * violation
            network.gates.check_finite(loss, lesson)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
        optimizer.step()
        multiplier.ascend(violation.view(1))
        bar.update(1)
        if _looks(step, method.steps):
            point = measure(network, sets, path.aim.kind, step)
            path.add(network, point)
            value = float(multiplier.value[0])
            rows.append(_row(point, distance, multiplier=value, lowest_layer=int(network.lowest)))


class _Noise:
    """Uniform numbers, the same for the same seed whatever the user draws in between."""

    def __init__(self, seed: int, device: torch.device) -> None:
        self._generator = torch.Generator(device).manual_seed(seed)

    def like(self, value: Tensor) -> Tensor:
        """One for each entry, in (0, 1)."""
        return torch.rand(
            value.shape, generator=self._generator, dtype=value.dtype, device=value.device
        )


def _distance(
    network: MaskNetwork,
    lesson: Lesson,
    location: Tensor,
    noise: _Noise,
    path: Path,
    scale: float = 1.0,
) -> Tensor:
    """Divergence ``[B]`` under sampled gates; ``scale`` shrinks the noise."""
    batch = lesson.batch
    gates = hard_concrete.sample(location, noise.like(location), scale)
    output = network.outputs(lesson, gates)
    return divergence(batch.task, path.aim.kind, output, batch.reference, batch.targets)


def _expected_share(location: Tensor, lesson: Lesson, lowest: int) -> Tensor:
    """Expected share of open gates of each gated layer, summed."""
    expected = hard_concrete.expected_l0(location)
    zeros = expected.new_zeros(lesson.batch.num_layers)
    opened = zeros.index_add(0, lesson.layer, expected)
    number = zeros.index_add(0, lesson.layer, torch.ones_like(expected))
    return (opened / number.clamp_min(1))[lowest:].sum()


def _row(point: Any, loss: Tensor, **more: Any) -> dict[str, Any]:
    return {
        "step": point.step,
        **more,
        "train_divergence": float(loss.detach()),
        "divergence": point.divergence,
        "changed": point.changed,
        "kept": point.kept,
        **{f"layer_{at}": share for at, share in enumerate(point.kept_by_layer)},
    }
