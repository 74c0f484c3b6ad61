"""Information bottleneck: how much of each message does the prediction need?

Every message ``m`` along edge ``u -> v`` is mixed with noise that looks like messages in general,

    lambda = sigmoid(g_pi(h_u, h_v, m))              a gate, read from the unmasked run
    m' = lambda m + (1 - lambda) eps                 eps ~ N(mu, sigma^2)

with ``mu`` and ``sigma`` the mean and standard deviation, number by number, of all messages of a
layer in the training data. One network ``g_pi`` for each layer learns to let as little information
through as the prediction allows (`glassgraph.explainers.perturbation.information_bottleneck_network`
has the formula for ``I``, in nats):

``constraint="lagrangian"``
    ``max_w min_pi  I + w (D[f(G), f(G')] - tolerance)``
``constraint="weight"``
    ``min_pi  D[f(G), f(G')] + weight I``

``D`` is the mean divergence of the predictions, ``I`` the mean over all numbers of all messages
(layers with more, or wider, messages weigh more: a nat is a nat wherever it passes). The Lagrangian
is the default, as in the GraphMask authors' comparison: a weight that keeps predictions has to be
searched for every model, a tolerance means the same for all of them. While fitting, gates are
measured on the validation predictions, and the best are kept: those with the least information
within the tolerance, or with the least loss for a given weight.

Explaining needs no noise. A message's score is its gate, or the information that passes; there is
no natural threshold between what is kept and what is not, and the paper tunes one on validation
data. An edge's score is the largest gate of its layers, or the sum of their information.

Noise is drawn with the standard deviation of the training messages; the GraphMask authors' code
draws it with their variance, from the validation set, and mixes it with the message twice.

Schlichtkrull, De Cao and Titov, "Interpreting Graph Neural Networks for NLP With Differentiable
Edge Masking" (ICLR 2021, https://arxiv.org/abs/2010.00577), appendix G, after the readout bottleneck
of Schulz, Sixt, Tombari and Landgraf, "Restricting the Flow: Information Bottlenecks for
Attribution" (ICLR 2020, https://arxiv.org/abs/2001.00396).
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from glassgraph.core.batch import InstanceBatch
from glassgraph.core.divergence import Divergence, divergence, resolve_divergence
from glassgraph.core.explanation import Attribution
from glassgraph.core.task import Task
from glassgraph.errors import HyperParameterError
from glassgraph.explainers.amortized import AmortizedExplainer, Lessons
from glassgraph.explainers.base import Traits
from glassgraph.explainers.gates import Kind, Lesson, visits
from glassgraph.explainers.perturbation.graph_mask import UnmetConstraintWarning
from glassgraph.explainers.perturbation.information_bottleneck_network import Bottleneck
from glassgraph.learn.multiplier import Multiplier

Constraint = Literal["lagrangian", "weight"]
Score = Literal["gate", "information"]

#: How often gates are measured on validation predictions, over a whole fit.
LOOKS = 40


@dataclass(frozen=True)
class Measure:
    """What gates do on a set of predictions.

    Attributes:
        divergence: mean over the predictions, with noise.
        information: mean over the numbers of all messages, in nats.
        gate: mean gate.
    """

    divergence: float
    information: float
    gate: float


class InformationBottleneck(AmortizedExplainer):
    """Gates that let as little of the messages' information through as the predictions need.

    Args:
        model: the model.
        task: the task.
        constraint: ``"lagrangian"`` or ``"weight"``, see the module.
        tolerance: of the Lagrangian: bound on the mean divergence. None takes 0.03 nats for classes
            (GraphMask's), and for a regression 0.03 of the variance of the model's predictions.
        weight: of ``"weight"``: weight of the information, per number (Schulz et al.: 10).
        divergence: ``"kl"``, ``"cross_entropy"``, ``"squared_error"`` or a function
            ``(output, reference) -> [B]``, see `glassgraph.core.divergence`; None for KL (classes)
            or the squared error (regression).
        score: ``"gate"`` scores in [0, 1], or ``"information"`` in nats.
        steps: gradient steps.
        batch_size: predictions in one step; None for 64 graphs, or all nodes or links that fit into
            the memory budget.
        learning_rate: of Adam, on the gate networks.
        multiplier_learning_rate: of the Lagrangian: RMSProp on the multiplier.
        hidden_channels: width of the gate networks, None for that of the messages (16 to 256).
        **shared: see `Explainer`.

    Raises:
        HyperParameterError: for values out of range.
    """

    name = "information_bottleneck"
    traits = Traits(
        family="perturbation",
        scores=("edge", "layer edge"),
        is_learned=True,
        is_amortized=True,
        is_black_box=False,
        is_signed=False,
        is_random=True,
        source="Schulz, Sixt, Tombari and Landgraf 2020, arXiv:2001.00396; Schlichtkrull, De Cao "
        "and Titov 2021, arXiv:2010.00577",
    )

    def __init__(
        self,
        model: nn.Module,
        task: str | Task = "node",
        *,
        constraint: Constraint = "lagrangian",
        tolerance: float | None = None,
        weight: float = 10.0,
        divergence: Divergence | None = None,
        score: Score = "gate",
        steps: int = 1000,
        batch_size: int | None = None,
        learning_rate: float = 3e-3,
        multiplier_learning_rate: float = 0.01,
        hidden_channels: int | None = None,
        **shared: Any,
    ) -> None:
        super().__init__(model, task, **shared)
        if constraint not in get_args(Constraint):
            raise HyperParameterError(
                f"constraint must be 'lagrangian' or 'weight'; got {constraint!r}"
            )
        if score not in get_args(Score):
            raise HyperParameterError(f"score must be 'gate' or 'information'; got {score!r}")
        positive = {
            "weight": weight,
            "steps": steps,
            "batch_size": batch_size,
            "learning_rate": learning_rate,
            "multiplier_learning_rate": multiplier_learning_rate,
            "hidden_channels": hidden_channels,
        }
        for name, value in positive.items():
            if value is not None and not value > 0:
                raise HyperParameterError(f"{name} must be positive; got {value}")
        if tolerance is not None and not tolerance >= 0:
            raise HyperParameterError(f"tolerance must not be negative; got {tolerance}")
        self.constraint: Constraint = constraint
        self.tolerance = tolerance
        self.weight = weight
        self.divergence = divergence
        self.score: Score = score
        self.steps = int(steps)
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.multiplier_learning_rate = multiplier_learning_rate
        self.hidden_channels = hidden_channels
        self.kind = resolve_divergence(self.task, divergence)
        self._found: _Found | None = None

    # Fitting

    def _learn(self, train: Lessons, validation: Lessons) -> None:
        assert train.kinds is not None
        first = train[0].batch
        torch.manual_seed(self.seed)  # noqa: TID251 - inside the protected random state
        network = Bottleneck(train.kinds, self.hidden_channels).to(first.device, first.dtype)
        network.read_statistics(train)
        fit = _Fit(self, network, validation, self._own_tolerance(train))
        try:
            with self._bar(self.steps) as bar:
                for step, lesson in enumerate(visits(train, self.steps, self.seed)):
                    fit.step(lesson)
                    bar.update(1)
                    if step % max(1, self.steps // LOOKS) == 0 or step == self.steps - 1:
                        self._rows.append({"step": step, **fit.look()})
        finally:
            if fit.best is not None:
                self._use(fit.best)

    def _own_tolerance(self, train: Lessons) -> float:
        if self.tolerance is not None:
            return self.tolerance
        if self.kind != "squared_error":
            return 0.03
        reference = torch.cat([lesson.batch.reference for lesson in train])
        return 0.03 * float(reference.var(dim=0, unbiased=False).sum())

    def _use(self, found: _Found) -> None:
        self._found = found
        if not found.is_met:
            warnings.warn(
                f"no gates were found that keep the divergence within {found.tolerance:.3g}; the "
                f"nearest have {found.measure.divergence:.3g}. Raise tolerance or steps, or look "
                "at .history",
                UnmetConstraintWarning,
                stacklevel=5,
            )

    @property
    def outcome(self) -> dict[str, Any]:
        """What was reached on the validation predictions.

        ``is_met`` (None without a constraint), ``tolerance``, ``divergence`` (mean), ``information``
        (nats, mean over all numbers of all messages) and ``gate`` (mean).
        """
        found = self._fitted()
        return {
            "is_met": found.is_met if self.constraint == "lagrangian" else None,
            "tolerance": found.tolerance,
            **asdict(found.measure),
        }

    def _fitted(self) -> _Found:
        self._require_fit()
        assert self._found is not None
        return self._found

    def _provenance(self, preparation: Any) -> dict[str, Any]:
        return {**super()._provenance(preparation), "fit": self.outcome}

    # Explaining

    def attribute(self, batch: InstanceBatch) -> Attribution:
        """Gates, or nats that pass; of an edge the largest gate, or all nats of its layers."""
        network = self._fitted().network.to(batch.device)
        with torch.no_grad():
            lesson = Lesson.read(batch, network.gates.kinds)
            location = network(lesson)
            if self.score == "gate":
                gate = lesson.scores(torch.sigmoid(location))
                return Attribution(edge=gate.amax(dim=0), layer_edge=gate)
            # Rounding may leave a shut gate a little below zero.
            nats = lesson.scores(network.information(lesson, location).clamp_min(0))
        return Attribution(edge=nats.sum(dim=0), layer_edge=nats)

    def baselines(self, batch: InstanceBatch) -> Sequence[Tensor | None] | None:
        """The mean messages of the training data."""
        network = self._fitted().network.to(batch.device)
        with torch.no_grad():
            return network.mean_values(Lesson.read(batch, network.gates.kinds))

    # Files

    def _modules(self) -> dict[str, nn.Module]:
        return {} if self._found is None else {"bottleneck": self._found.network}

    def _about(self) -> dict[str, Any]:
        found = self._fitted()
        return {
            "kinds": [asdict(kind) for kind in found.network.gates.kinds],
            "hidden_channels": self.hidden_channels,
            "tolerance": found.tolerance,
            "is_met": found.is_met,
            "measure": asdict(found.measure),
        }

    def _restore(self, tensors: dict[str, Tensor], about: dict[str, Any]) -> None:
        kinds = [
            Kind(**{**each, "sites": tuple(each["sites"]), "widths": tuple(each["widths"])})
            for each in about["kinds"]
        ]
        network = Bottleneck(kinds, about["hidden_channels"])
        state = {name.removeprefix("bottleneck."): value for name, value in tensors.items()}
        for value in state.values():
            network = network.to(value.dtype)
        network.load_state_dict(state)
        self._found = _Found(
            network.requires_grad_(False),
            Measure(**about["measure"]),
            about["tolerance"],
            about["is_met"],
        )


@dataclass(frozen=True)
class _Found:
    """Gates, and what they do on the validation predictions."""

    network: Bottleneck
    measure: Measure
    tolerance: float
    is_met: bool


class _Fit:
    """The optimization, step by step."""

    def __init__(
        self,
        method: InformationBottleneck,
        network: Bottleneck,
        validation: Lessons,
        tolerance: float,
    ) -> None:
        self._method, self._network, self._validation = method, network, validation
        self._tolerance = tolerance
        self._optimizer = torch.optim.Adam(
            network.parameters(), lr=method.learning_rate, fused=True
        )
        reference = validation[0].batch.reference
        self._device = reference.device
        self._generator = torch.Generator(self._device).manual_seed(method.seed)
        self._multiplier = Multiplier(
            1, method.multiplier_learning_rate, dtype=reference.dtype, device=self._device
        )
        self._last: dict[str, float] = {}
        self.best: _Found | None = None

    def step(self, lesson: Lesson) -> None:
        """Learn from a batch.

        Raises:
            FitError: if the loss is not finite.
        """
        with torch.enable_grad():
            distance, information, _ = self._evaluate(lesson, self._generator)
            distance = distance.mean()
            information = information / max(1, self._network.num_numbers(lesson))
            loss = self._loss(distance, information)
            self._network.gates.check_finite(loss, lesson)
            self._optimizer.zero_grad(set_to_none=True)
            if loss.requires_grad:  # not so where a batch has no messages
                loss.backward()
        self._optimizer.step()
        if self._method.constraint == "lagrangian":
            self._multiplier.ascend((distance - self._tolerance).view(1))
        self._last = {
            "loss": float(loss.detach()),
            "train_divergence": float(distance.detach()),
            "train_information": float(information.detach()),
        }

    def _loss(self, distance: Tensor, information: Tensor) -> Tensor:
        if self._method.constraint == "weight":
            return distance + self._method.weight * information
        return information + self._multiplier.value[0] * (distance - self._tolerance)

    def _evaluate(self, lesson: Lesson, generator: torch.Generator) -> tuple[Tensor, ...]:
        """Divergences ``[B]``, nats in all, and gates ``[K]``."""
        network, batch = self._network, lesson.batch
        location = network(lesson)
        gate = torch.sigmoid(location)
        shut = network.noise(lesson, generator)
        output = batch.output(lesson.gates(gate), baselines=shut)
        distance = divergence(batch.task, self._method.kind, output, batch.reference, batch.targets)
        return distance, network.information(lesson, location).sum(), gate

    def look(self) -> dict[str, Any]:
        """Measure on the validation predictions, and keep the gates if they are the best so far."""
        found = self._measure()
        is_met = self._method.constraint == "weight" or found.divergence <= self._tolerance
        if self.best is None or self._rank(found) < self._rank(self.best.measure):
            network = copy.deepcopy(self._network).requires_grad_(False)
            self.best = _Found(network, found, self._tolerance, is_met)
        row = {**self._last, **asdict(found), "is_met": is_met}
        if self._method.constraint == "lagrangian":
            row["multiplier"] = float(self._multiplier.value[0])
        return row

    @torch.no_grad()
    def _measure(self) -> Measure:
        # The same noise at every look: gates are compared, not draws.
        generator = torch.Generator(self._device).manual_seed(self._method.seed)
        distances, gates, nats, number = [], [], 0.0, 0
        for lesson in self._validation:
            distance, information, gate = self._evaluate(lesson, generator)
            distances.append(distance)
            gates.append(gate)
            nats += float(information)
            number += self._network.num_numbers(lesson)
        gate = torch.cat(gates)
        return Measure(
            divergence=float(torch.cat(distances).mean()),
            information=nats / max(1, number),
            gate=float(gate.mean()) if gate.numel() else 0.0,
        )

    def _rank(self, found: Measure) -> tuple[float, float]:
        """Least first."""
        if self._method.constraint == "weight":
            return 0.0, found.divergence + self._method.weight * found.information
        return max(0.0, found.divergence - self._tolerance), found.information
