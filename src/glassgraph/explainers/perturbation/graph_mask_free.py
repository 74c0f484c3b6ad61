"""GraphMask without amortization: free gates and baselines for every prediction by itself.

Each message of each instance has a location of its own, each instance its own baselines and its own
multiplier; all instances of a batch are optimized together, and none depends on the others: Adam is
element-wise, losses are summed, noise is addressed by instance and edge.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from glassgraph.core import random, task
from glassgraph.core.addresses import edge_address
from glassgraph.core.batch import InstanceBatch
from glassgraph.core.divergence import Divergence, divergence
from glassgraph.explainers.amortized import DEFAULT_TOLERANCE
from glassgraph.explainers.gates import Lesson
from glassgraph.explainers.perturbation.graph_mask_solvers import LOCATION_BIAS
from glassgraph.learn import hard_concrete
from glassgraph.learn.multiplier import Multiplier

if TYPE_CHECKING:
    from glassgraph.explainers.perturbation.graph_mask import GraphMask

#: Learning rate of free gates: each has to travel by itself.
FREE_LEARNING_RATE = 0.05
#: How often the hard decisions of all instances are measured.
_LOOKS = 20


@dataclass
class FreeMasks:
    """What was learned for the instances of a batch.

    Attributes:
        lesson: the batch.
        location: ``[K]`` location of each message's gate.
        is_met: ``[B]`` whether the constraint is satisfied.
    """

    lesson: Lesson
    location: Tensor
    is_met: Tensor
    _baselines: dict[str, Tensor]

    @staticmethod
    def learn(batch: InstanceBatch, method: GraphMask) -> FreeMasks:
        """Optimize the gates of all instances of a batch."""
        return _Search(batch, method).run()

    def shut_values(self) -> list[Tensor | None]:
        """The learned baselines, one row per message."""
        return _spread(self.lesson, self._baselines)


def _spread(lesson: Lesson, baselines: dict[str, Tensor]) -> list[Tensor | None]:
    """Each message's own instance's baseline."""
    owner = {site: lesson.batch.edge_instance[edge] for site, edge in lesson.rows()}
    values = {
        site: baselines[kind.name].index_select(0, owner[site])
        for kind in lesson.kinds
        for site in kind.sites
        if site in owner
    }
    return lesson.site_values(values)


class _Search:
    """The optimization of one batch."""

    def __init__(self, batch: InstanceBatch, method: GraphMask) -> None:
        self.batch, self.method = batch, method
        self.lesson = Lesson.read(batch)
        edge = self.lesson.where % max(1, batch.num_edges)
        self.owner = batch.edge_instance[edge]
        self.key = batch.key[self.owner]
        self.address = random.hash64(2, edge_address(batch)[edge], self.lesson.layer)
        self.raw = random.normal(method.seed, self.key, self.address).to(batch.dtype)
        self.baselines = {
            name: value.requires_grad_() for name, value in self.lesson.mean_messages().items()
        }
        ones = torch.ones_like(self.raw)
        self.number = self._sum(ones).clamp_min(1)

    def _sum(self, value: Tensor) -> Tensor:
        """Sum over the messages of each instance."""
        return value.new_zeros(self.batch.num_instances).index_add(0, self.owner, value)

    def run(self) -> FreeMasks:
        """Gates of the sparsest decision within the tolerance that was seen for each instance."""
        method, batch = self.method, self.batch
        raw = self.raw.requires_grad_()
        rate = method.learning_rate or FREE_LEARNING_RATE
        learned = [raw, *self.baselines.values()]
        optimizer = torch.optim.Adam(learned, lr=rate)
        multiplier = Multiplier(
            batch.num_instances,
            method.multiplier_learning_rate,
            dtype=batch.dtype,
            device=batch.device,
        )
        best = _Best(self)
        for step in range(method.steps):
            lowest = self._lowest(step)
            with torch.enable_grad():
                location = self._location(raw, step, lowest)
                noise = random.uniform(method.seed, self.key, self.address, step)
                noise = noise.to(batch.dtype)
                distance = self.distance(hard_concrete.sample(location, noise))
                loss = distance
                if method.solver == "lagrangian":
                    violation = distance - self.tolerance
                    sparsity = self._sum(
                        hard_concrete.expected_l0(location) * (self.lesson.layer >= lowest)
                    )
                    loss = method.sparsity_weight * sparsity / self.number
                    loss = loss + multiplier.value * violation
                gradients = batch.gradients(loss, learned)
            for each, gradient in zip(learned, gradients, strict=True):
                each.grad = gradient
            optimizer.step()
            if method.solver == "lagrangian":
                multiplier.ascend(violation)
            if step % max(1, method.steps // _LOOKS) == 0 or step == method.steps - 1:
                with torch.no_grad():
                    best.look(self._location(raw, step, lowest))
        return best.masks()

    @property
    def tolerance(self) -> float:
        """The bound on each instance's divergence."""
        wanted = self.method.tolerance
        return DEFAULT_TOLERANCE if wanted is None else wanted

    def _lowest(self, step: int) -> int:
        """The lowest layer with gates: the Lagrangian adds layers from the top down."""
        if self.method.solver == "path":
            return 0
        num_layers = self.batch.num_layers
        return num_layers - 1 - step * num_layers // self.method.steps

    def _location(self, raw: Tensor, step: int, lowest: int) -> Tensor:
        method = self.method
        if method.solver == "lagrangian":
            location = raw + LOCATION_BIAS
            return torch.where(self.lesson.layer >= lowest, location, torch.inf)
        share = step / max(1, method.steps - 1)
        mean = (self._sum(raw) / self.number)[self.owner]
        variance = (self._sum((raw - mean).square()) / self.number)[self.owner]
        standard = (raw - mean) / (variance + 1e-12).sqrt()
        return method.grip * standard + method.sweep * (1 - 2 * share)

    def distance(self, value: Tensor) -> Tensor:
        """Divergence ``[B]`` under gates ``[K]``."""
        batch = self.batch
        shut = _spread(self.lesson, self.baselines)
        output = batch.output(self.lesson.gates(value), baselines=shut)
        return _explained_distance(batch, self.method.kind, output)


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

    def look(self, location: Tensor) -> None:
        """Measure the hard decisions, and keep them where they are better."""
        search = self._search
        decision = hard_concrete.hard(location)
        distance = search.distance(decision)
        is_met = distance <= search.tolerance
        share = search._sum(decision) / search.number
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
        return FreeMasks(self._search.lesson, self._location, self._is_met, self._baselines)
