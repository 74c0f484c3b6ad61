"""Information bottleneck: how much of each message does the prediction need?

Every message ``m`` along edge ``u -> v`` is mixed with noise that looks like messages in general,

    lambda = sigmoid(g_pi(h_u, h_v, m))              a gate, read from the unmasked run
    m' = lambda m + (1 - lambda) eps                 eps ~ N(mu, sigma^2)

with ``mu`` and ``sigma`` the mean and standard deviation, number by number, of all messages of a
layer in the training data. One network ``g_pi`` for each layer learns to let as little information
through as the prediction allows (the formula for ``I``, in nats, is in
`glassgraph.explainers.perturbation.information_bottleneck_network`):

``constraint="lagrangian"``
    ``max_w min_pi  I + w (D[f(G), f(G')] - tolerance)``
``constraint="weight"``
    ``min_pi  D[f(G), f(G')] + weight I``

``D`` is the mean divergence of the predictions, ``I`` the mean over all numbers of all messages
(layers with more, or wider, messages weigh more: a nat is a nat wherever it passes). The Lagrangian
is the default, as in the GraphMask authors' code: a weight that keeps predictions has to be found
for every model, a tolerance means the same for all. (Schulz et al. use a weight of 10 for images;
on the GraphMask paper's star graphs nothing is left of the predictions with it, and of 10, 1 and
0.1 only the last keeps their divergence within 0.03 nats.) While fitting, gates are measured on the
validation predictions, and the best are kept: those with the least information within the
tolerance, or with the least loss for a given weight.

Explaining needs no noise. A message's score is its gate, or the information that passes; there is
no natural threshold between what is kept and what is not, and the paper tunes one on validation
data. An edge's score is the largest gate of its layers, or the sum of their information.

Noise is drawn with the standard deviation of the training messages; the GraphMask authors' code
draws it with their variance, from the validation set, and mixes it with the message twice.

Schlichtkrull, De Cao and Titov, "Interpreting Graph Neural Networks for NLP With Differentiable
Edge Masking" (ICLR 2021, https://arxiv.org/abs/2010.00577), appendix G, after the readout
bottleneck of Schulz, Sixt, Tombari and Landgraf, "Restricting the Flow: Information Bottlenecks for
Attribution" (ICLR 2020, https://arxiv.org/abs/2001.00396).
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, ClassVar, Literal, get_args

import torch
from torch import Tensor, nn

from glassgraph.core.batch import InstanceBatch
from glassgraph.core.divergence import Divergence, resolve_divergence
from glassgraph.core.task import Task
from glassgraph.errors import HyperParameterError
from glassgraph.explainers.amortized import AmortizedExplainer, Lessons
from glassgraph.explainers.gates import Kind, Lesson, visits
from glassgraph.explainers.perturbation.graph_mask import UnmetConstraintWarning
from glassgraph.explainers.perturbation.information_bottleneck_fit import (
    LOOKS,
    Fit,
    Found,
    Measure,
)
from glassgraph.explainers.perturbation.information_bottleneck_network import Bottleneck
from glassgraph.explainers.traits import Traits
from glassgraph.results.explanation import Attribution

Constraint = Literal["lagrangian", "weight"]
Score = Literal["gate", "information"]


class InformationBottleneck(AmortizedExplainer):
    """Gates that let as little of the messages' information through as the predictions need.

    Args:
        model: the model.
        task: the task.
        constraint: ``"lagrangian"`` or ``"weight"``, see the module.
        tolerance: of the Lagrangian: bound on the mean divergence. None takes 0.03 nats for classes
            (GraphMask's), and for a regression 0.03 of the variance of the model's predictions.
        weight: of ``"weight"``: weight of the information, see the module.
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
    test_settings: ClassVar[Mapping[str, Any]] = {"steps": 4, "tolerance": 1000000000.0}

    def __init__(
        self,
        model: nn.Module,
        task: str | Task = "node",
        *,
        constraint: Constraint = "lagrangian",
        tolerance: float | None = None,
        weight: float = 0.1,
        divergence: Divergence | None = None,
        score: Score = "gate",
        steps: int = 1000,
        batch_size: int | None = None,
        learning_rate: float = 1e-3,
        multiplier_learning_rate: float = 0.05,
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
        self._found: Found | None = None

    # Fitting

    @property
    def is_fitted(self) -> bool:
        """Whether there are gates to explain with."""
        return self._found is not None

    def _learn(self, train: Lessons, validation: Lessons) -> None:
        assert train.kinds is not None
        first = train[0].batch
        torch.manual_seed(self.seed)  # noqa: TID251 - inside the protected random state
        network = Bottleneck(train.kinds, self.hidden_channels).to(first.device, first.dtype)
        network.read_statistics(train)
        tolerance = None
        if self.constraint == "lagrangian":
            tolerance = train.tolerance(self.kind, self.tolerance)
        fit = Fit(self, network, validation, tolerance)
        try:
            with self._bar(self.steps, is_fit=True) as bar:
                for step, lesson in enumerate(visits(train, self.steps, self.seed)):
                    fit.step(lesson)
                    bar.update(1)
                    if step % max(1, self.steps // LOOKS) == 0 or step == self.steps - 1:
                        self._rows.append({"step": step, **fit.look()})
        finally:
            if fit.best is not None:
                self._use(fit.best)

    def _use(self, found: Found) -> None:
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

        ``is_met`` and ``tolerance`` (None for a given weight), and means over the predictions, over
        all numbers of all messages, and over all messages: ``divergence``, ``information`` (nats)
        and ``gate``.
        """
        found = self._fitted()
        return {
            "is_met": None if found.tolerance is None else found.is_met,
            "tolerance": found.tolerance,
            **asdict(found.measure),
        }

    def _fitted(self) -> Found:
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
        return {"bottleneck": self._fitted().network}

    def _about(self) -> dict[str, Any]:
        found = self._fitted()
        return {
            "kinds": [asdict(kind) for kind in found.network.gates.kinds],
            "hidden_channels": self.hidden_channels,
            "tolerance": found.tolerance,
            "measure": asdict(found.measure),
        }

    def _restore(self, tensors: dict[str, Tensor], about: dict[str, Any]) -> None:
        kinds = [
            Kind(**{**each, "sites": tuple(each["sites"]), "widths": tuple(each["widths"])})
            for each in about["kinds"]
        ]
        with torch.device("meta"):  # draws no random numbers
            network = Bottleneck(kinds, about["hidden_channels"])
        state = {name.removeprefix("bottleneck."): value for name, value in tensors.items()}
        network.load_state_dict(state, assign=True)
        measure = Measure(**about["measure"])
        self._found = Found(network.requires_grad_(False), measure, about["tolerance"])
