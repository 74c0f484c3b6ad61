"""GraphMask without amortization: free gates and baselines for every prediction by itself.

Each message of each instance has a location of its own, each instance its own baselines and its own
multiplier; all instances of a batch are optimized together, and none depends on the others: Adam is
element-wise, losses are summed, noise is addressed by instance and edge.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from glassgraph.core import random
from glassgraph.core.addresses import edge_address
from glassgraph.core.batch import InstanceBatch
from glassgraph.explainers.divergence import Divergence, divergence
from glassgraph.explainers.perturbation.graphmask_fit.lagrangian import LOCATION_BIAS
from glassgraph.explainers.perturbation.graphmask_fit.settings import SolverSettings
from glassgraph.explainers.perturbation.message_gates.gated_batch import GatedBatch
from glassgraph.inputs import task
from glassgraph.learn import hard_concrete
from glassgraph.learn.multiplier import Multiplier

#: Learning rate of free gates: each has to travel by itself.
FREE_LEARNING_RATE = 0.05
#: How often the hard decisions of all instances are measured.
_MEASUREMENTS = 20


@dataclass(frozen=True)
class FreeMasks:
    """What was learned for the instances of a batch.

    Attributes:
        gated: the batch.
        location: ``[K]`` location of each gate.
        is_met: ``[B]`` whether the constraint is satisfied.
    """

    gated: GatedBatch
    location: Tensor
    is_met: Tensor
    _baselines: dict[str, Tensor]

    @staticmethod
    def learn(
        batch: InstanceBatch, settings: SolverSettings, kind: Divergence, tolerance: float
    ) -> FreeMasks:
        """Optimize the gates of all instances of a batch.

        Args:
            batch: the batch.
            settings: hyper-parameters.
            kind: the divergence.
            tolerance: the bound on each instance's divergence.
        """
        return _Search(batch, settings, kind, tolerance).run()

    def site_baselines(self) -> list[Tensor | None]:
        """The learned baselines, one row per message."""
        return _site_baselines(self.gated, self._baselines)


def _site_baselines(gated: GatedBatch, baselines: dict[str, Tensor]) -> list[Tensor | None]:
    """Each message's own instance's baseline."""
    owner = {site: gated.batch.edge_instance[edge] for site, edge in gated.site_edges()}
    values = {
        site: baselines[group.name].index_select(0, owner[site])
        for group in gated.groups
        for site in group.sites
        if site in owner
    }
    return gated.baselines(values)


class _Search:
    """The optimization of one batch."""

    def __init__(
        self, batch: InstanceBatch, settings: SolverSettings, kind: Divergence, tolerance: float
    ) -> None:
        self.batch, self.settings = batch, settings
        self.kind, self.tolerance = kind, tolerance
        self.gated = gated = GatedBatch.read(batch)
        self.owner = batch.edge_instance[gated.edge]
        self.key = batch.key[self.owner]
        self.address = random.hash64(2, edge_address(batch)[gated.edge], gated.layer)
        self.raw = random.normal(settings.seed, self.key, self.address).to(batch.dtype)
        self.baselines = {
            name: value.requires_grad_() for name, value in gated.mean_messages().items()
        }
        ones = torch.ones_like(self.raw)
        self.number = self.per_instance(ones).clamp_min(1)

    def per_instance(self, value: Tensor) -> Tensor:
        """Sum over the messages of each instance."""
        return value.new_zeros(self.batch.num_instances).index_add(0, self.owner, value)

    def run(self) -> FreeMasks:
        """Gates of the sparsest decision within the tolerance that was seen for each instance."""
        settings, batch = self.settings, self.batch
        learned = [self.raw.requires_grad_(), *self.baselines.values()]
        optimizer = torch.optim.Adam(learned, lr=settings.learning_rate or FREE_LEARNING_RATE)
        rate = settings.multiplier_learning_rate
        multiplier = Multiplier(batch.num_instances, rate, dtype=batch.dtype, device=batch.device)
        best = _Best(self)
        for step in range(settings.steps):
            with torch.enable_grad():
                loss, violation = self._loss(step, multiplier)
                gradients = batch.gradients(loss, learned)
            for each, gradient in zip(learned, gradients, strict=True):
                each.grad = gradient
            optimizer.step()
            if settings.solver == "lagrangian":
                multiplier.ascend(violation)
            if step % max(1, settings.steps // _MEASUREMENTS) == 0 or step == settings.steps - 1:
                with torch.no_grad():
                    best.measure(self._location(step))
        return best.masks()

    def _loss(self, step: int, multiplier: Multiplier) -> tuple[Tensor, Tensor]:
        """Loss ``[B]``, and by how much the divergence exceeds the tolerance, ``[B]``."""
        settings = self.settings
        location = self._location(step)
        noise = random.uniform(settings.seed, self.key, self.address, step).to(self.batch.dtype)
        distance = self.distance(hard_concrete.sample(location, noise))
        violation = distance - self.tolerance
        if settings.solver == "path":
            return distance, violation
        is_gated = self.gated.layer >= self._lowest(step)
        sparsity = self.per_instance(hard_concrete.expected_l0(location) * is_gated)
        loss = settings.sparsity_weight * sparsity / self.number
        return loss + multiplier.value * violation, violation

    def _lowest(self, step: int) -> int:
        """The lowest layer with gates: the Lagrangian adds layers from the top down."""
        num_layers = self.batch.num_layers
        return num_layers - 1 - step * num_layers // self.settings.steps

    def _location(self, step: int) -> Tensor:
        settings, raw = self.settings, self.raw
        if settings.solver == "lagrangian":
            is_gated = self.gated.layer >= self._lowest(step)
            return torch.where(is_gated, raw + LOCATION_BIAS, torch.inf)
        share = step / max(1, settings.steps - 1)
        mean = (self.per_instance(raw) / self.number)[self.owner]
        variance = (self.per_instance((raw - mean).square()) / self.number)[self.owner]
        standard = (raw - mean) / (variance + 1e-12).sqrt()
        return settings.location_scale * standard + settings.sweep * (1 - 2 * share)

    def distance(self, value: Tensor) -> Tensor:
        """Divergence ``[B]`` under gates ``[K]``."""
        batch = self.batch
        baselines = _site_baselines(self.gated, self.baselines)
        output = batch.output(self.gated.gates(value), baselines=baselines)
        return _explained_distance(batch, self.kind, output)


def _explained_distance(batch: InstanceBatch, kind: Divergence, output: Tensor) -> Tensor:
    """Divergence from the model's prediction, or the loss of another answer that is asked for."""
    distance = divergence(batch.task, kind, output, batch.reference, batch.targets)
    if kind != "kl":
        return distance
    asked = batch.targets.chosen == task.predicted_class(batch.task, batch.reference)
    if batch.targets.contrast is None and bool(asked.all()):
        return distance
    if batch.targets.contrast is not None:
        asked = torch.zeros_like(asked)
    if batch.targets.rows is not None:
        asked = batch.targets.rows.all(asked)
    loss = task.loss(batch.task, output, batch.targets, batch.reference)
    return torch.where(asked, distance, loss)


class _Best:
    """For each instance the sparsest decision within the tolerance, else the closest one."""

    def __init__(self, search: _Search) -> None:
        self._search = search
        count = search.batch.num_instances
        self._rank = search.raw.detach().new_full((count,), torch.inf)
        self._location = torch.full_like(search.raw.detach(), torch.inf)
        self._baselines = {name: value.detach().clone() for name, value in search.baselines.items()}
        self._is_met = torch.zeros(count, dtype=torch.bool, device=self._rank.device)

    def measure(self, location: Tensor) -> None:
        """Measure the hard decisions, and keep them where they are better."""
        search = self._search
        decision = hard_concrete.hard(location)
        distance = search.distance(decision)
        is_met = distance <= search.tolerance
        share = search.per_instance(decision) / search.number
        # Within the tolerance the sparser wins; outside, by how far it is out.
        rank = torch.where(is_met, share, 2 + (distance - search.tolerance))
        better = rank < self._rank
        self._rank = torch.where(better, rank, self._rank)
        self._is_met = torch.where(better, is_met, self._is_met)
        self._location = torch.where(better[search.owner], location, self._location)
        for name, value in search.baselines.items():
            kept = torch.where(better.view(-1, 1), value.detach(), self._baselines[name])
            self._baselines[name] = kept

    def masks(self) -> FreeMasks:
        """What was kept."""
        return FreeMasks(self._search.gated, self._location, self._is_met, self._baselines)
