"""GraphMask: which messages, at which layer, can be replaced without changing the prediction?

For a message ``m`` along edge ``u -> v`` at layer ``k``, with ``b`` learned for the layer,

    z = g_pi(h_u, h_v, m)                 a gate, read from the unmasked run
    m' = z m + (1 - z) b                  what the layer gets instead

and ``pi, b`` are found once for all predictions of a data set, so that the fewest gates are open:

    min_{pi, b}  sum_k sum_(u,v) 1[z != 0]      such that   D[f(G), f(G_S)] <= beta

Gates are hard concrete (`glassgraph.learn.hard_concrete`); a gate's score is its probability to be
open, and the message is kept where that exceeds 1/2. Because the gates see one message at a time
and are shared by all predictions, they cannot bend to one answer they have been shown (hindsight).

Two solvers (`glassgraph.explainers.perturbation.graph_mask_solvers`):

``"path"``
    a continuation: gates of a batch are standardized, shifted by an offset that sweeps from open to
    shut, and only the divergence is learned. Every stretch of the way is a solution for some budget
    of messages, so one fit gives the whole curve of sparsity against faithfulness.
``"lagrangian"``
    the paper's: ``max_lambda min_{pi,b} L0 + lambda (D - beta)``, layers added from the top down.

An amortized explanation does not depend on the target: it says what the model's output rests on,
whichever class is asked about. ``amortized=False`` learns free gates for every prediction by
itself, as a method to compare with: it explains any answer, also a wrong one (see
`glassgraph.diagnose.hindsight`).

Schlichtkrull, De Cao and Titov, "Interpreting Graph Neural Networks for NLP With Differentiable
Edge Masking" (ICLR 2021, https://arxiv.org/abs/2010.00577).
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

import torch
from torch import Tensor, nn
from typing_extensions import Self

from glassgraph.core.batch import InstanceBatch
from glassgraph.core.divergence import Divergence, resolve_divergence
from glassgraph.core.task import Task
from glassgraph.errors import HyperParameterError
from glassgraph.explainers.amortized import AmortizedExplainer, Lessons
from glassgraph.explainers.gates import Lesson
from glassgraph.explainers.perturbation.graph_mask_free import FreeMasks
from glassgraph.explainers.perturbation.graph_mask_path import (
    Aim,
    MaskNetwork,
    Path,
    Point,
)
from glassgraph.explainers.perturbation.graph_mask_solvers import follow_path, solve_lagrangian
from glassgraph.explainers.traits import Traits
from glassgraph.learn import hard_concrete
from glassgraph.results.explanation import Attribution

if TYPE_CHECKING:
    import pandas as pd

Solver = Literal["path", "lagrangian"]

#: A solution that keeps more than this share of the messages tells nothing.
_ALL = 0.999


class UnmetConstraintWarning(UserWarning):
    """No solution within the tolerance was found; the nearest one is used."""


class CollapsedWarning(UserWarning):
    """Nothing sparser than every message was found: the explanation says nothing."""


class GraphMask(AmortizedExplainer):
    """Learned gates on messages, for all predictions at once.

    Args:
        model: the model.
        task: the task.
        amortized: learn one set of gate networks with `fit`; False learns free gates for each
            prediction when it is explained.
        solver: ``"path"`` or ``"lagrangian"``, see the module.
        tolerance: the bound ``beta`` on the mean divergence over the validation predictions, in the
            divergence's units. None takes 0.03 nats for classes, and for a regression 0.03 of the
            variance of the model's predictions. With ``amortized=False`` it bounds each prediction
            by itself, which has no variance: None is 0.03 there.
        max_changed: the share of validation predictions that may change their class (not used for
            regressions).
        divergence: ``"kl"``, ``"cross_entropy"``, ``"squared_error"`` or a function
            ``(output, reference) -> [B]``, see `glassgraph.core.divergence`; None for KL (classes)
            or the squared error (regression).
        steps: gradient steps in all; the Lagrangian divides them among the layers.
        batch_size: predictions in one step; None for 64 graphs, or all nodes or links that fit into
            the memory budget.
        learning_rate: of Adam, on gates and baselines; None for 3e-3 (path), 1e-3 (Lagrangian).
        hidden_channels: width of the gate networks, None for that of the messages (16 to 256).
        grip: of the path: standard deviation of the gates' locations over a batch.
        sweep: of the path: the offset runs from plus to minus this.
        polish: of the path: share of the steps that polish the best solution.
        multiplier_learning_rate: of the Lagrangian: RMSProp on the multiplier.
        sparsity_weight: of the Lagrangian: weight of the expected share of open gates, summed over
            layers (5 is the authors' for star graphs; with 1 every run of ours ended all open).
        **shared: see `Explainer`.

    Raises:
        HyperParameterError: for values out of range.
    """

    name = "graphmask"
    traits = Traits(
        family="perturbation",
        scores=("edge", "layer edge"),
        is_learned=True,
        is_amortized=True,
        is_black_box=False,
        is_signed=False,
        is_random=True,
        source="Schlichtkrull, De Cao and Titov 2021, arXiv:2010.00577",
    )
    test_settings: ClassVar[Mapping[str, Any]] = {
        "steps": 4,
        "tolerance": 1000000000.0,
        "max_changed": 1.0,
    }

    def __init__(
        self,
        model: nn.Module,
        task: str | Task = "node",
        *,
        amortized: bool = True,
        solver: Solver = "path",
        tolerance: float | None = None,
        max_changed: float = 0.02,
        divergence: Divergence | None = None,
        steps: int = 2000,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        hidden_channels: int | None = None,
        grip: float = 3.0,
        sweep: float = 4.5,
        polish: float = 0.4,
        multiplier_learning_rate: float = 0.01,
        sparsity_weight: float = 5.0,
        **shared: Any,
    ) -> None:
        super().__init__(model, task, **shared)
        if solver not in get_args(Solver):
            raise HyperParameterError(f"solver must be 'path' or 'lagrangian'; got {solver!r}")
        positive = {
            "steps": steps,
            "batch_size": batch_size,
            "learning_rate": learning_rate,
            "hidden_channels": hidden_channels,
            "grip": grip,
            "sweep": sweep,
            "multiplier_learning_rate": multiplier_learning_rate,
        }
        for name, value in positive.items():
            if value is not None and not value > 0:
                raise HyperParameterError(f"{name} must be positive; got {value}")
        if not 0 <= polish < 1:
            raise HyperParameterError(f"polish is a share in [0, 1); got {polish}")
        _check_tolerance(tolerance, max_changed)
        self.amortized = amortized
        self.solver: Solver = solver
        self.tolerance = tolerance
        self.max_changed = max_changed
        self.divergence = divergence
        self.steps = int(steps)
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.hidden_channels = hidden_channels
        self.grip = grip
        self.sweep = sweep
        self.polish = polish
        self.multiplier_learning_rate = multiplier_learning_rate
        self.sparsity_weight = sparsity_weight
        self.kind = resolve_divergence(self.task, divergence)
        self._path: Path | None = None
        self._network: MaskNetwork | None = None
        self._free: tuple[InstanceBatch, FreeMasks] | None = None

    # Fitting

    @property
    def needs_fit(self) -> bool:
        """Whether `fit` comes before `explain`."""
        return self.amortized

    @property
    def is_fitted(self) -> bool:
        """Whether there are gates to explain with."""
        return self._path is not None

    def fit(self, data: Any, index: Any = None, *, validation: Any = None) -> Self:
        """Learn gates and baselines; see `AmortizedExplainer.fit`.

        Warns:
            UnmetConstraintWarning: if nothing within the tolerance was found; the nearest is used.
            CollapsedWarning: if nothing sparser than all messages was found.
        """
        if not self.amortized:
            raise HyperParameterError(
                "with amortized=False gates are learned for each prediction when it is explained; "
                "call explain"
            )
        return super().fit(data, index, validation=validation)

    def _learn(self, train: Lessons, validation: Lessons) -> None:
        assert train.kinds is not None
        tolerance = train.tolerance(self.kind, self.tolerance)
        aim = Aim(self.kind, self.max_changed, tolerance)
        first = train[0].batch
        torch.manual_seed(self.seed)  # noqa: TID251 - inside the protected random state
        network = MaskNetwork(train.kinds, self.hidden_channels).to(first.device, first.dtype)
        network.gates.start_baselines(train)
        path = Path(aim, train.kinds, self.hidden_channels)
        solve = follow_path if self.solver == "path" else solve_lagrangian
        try:
            with self._bar(self.steps, is_fit=True) as bar:
                solve(self, network, train, validation, path, self._rows, bar)
        finally:
            if path.points:
                self._path = path
                self._use(path.choose(aim))

    def _use(self, point: Point) -> None:
        assert self._path is not None
        self._network = self._path.network(point)
        aim = self._path.aim
        if not aim.is_met(point):
            warnings.warn(
                f"no gates were found that keep the divergence within {aim.tolerance:.3g} and "
                f"change at most {aim.max_changed:.1%} of the predictions; the nearest have "
                f"divergence {point.divergence:.3g}, change {point.changed:.1%} and keep "
                f"{point.kept:.1%} of the messages. Raise tolerance or steps, or look at .curve",
                UnmetConstraintWarning,
                stacklevel=5,
            )
        elif point.kept > _ALL:
            warnings.warn(
                "all messages are kept: nothing sparser within the tolerance was found, so the "
                "gates tell nothing apart. Try solver='path', more steps, or a larger tolerance",
                CollapsedWarning,
                stacklevel=5,
            )

    # What was reached

    @property
    def curve(self) -> pd.DataFrame:
        """Sparsity against faithfulness on the validation predictions, sparsest last.

        Columns: ``kept`` (share of messages), ``divergence`` (mean), ``changed`` (share of
        predictions), ``layer_0`` ... (share kept by layer), ``is_met``, ``is_chosen``.
        """
        import pandas as pd

        self._require_fit()
        assert self._path is not None
        return pd.DataFrame(self._path.rows())

    @property
    def outcome(self) -> dict[str, Any]:
        """The chosen solution: ``is_met``, tolerance, divergence, changed and kept shares."""
        self._require_fit()
        assert self._path is not None
        return self._path.outcome()

    def choose(self, tolerance: float | None = None, max_changed: float | None = None) -> Self:
        """Take another point of the curve, without fitting again.

        Args:
            tolerance: new bound on the divergence, None to leave it.
            max_changed: new bound on the share of changed predictions, None to leave it.
        """
        self._require_fit()
        assert self._path is not None
        old = self._path.aim
        tolerance = old.tolerance if tolerance is None else tolerance
        max_changed = old.max_changed if max_changed is None else max_changed
        _check_tolerance(tolerance, max_changed)
        aim = Aim(self.kind, max_changed, tolerance)
        self.tolerance, self.max_changed = tolerance, max_changed
        self._path.aim = aim
        self._use(self._path.choose(aim))
        return self

    def _provenance(self, preparation: Any) -> dict[str, Any]:
        found = super()._provenance(preparation)
        if self.amortized:
            assert self._path is not None
            found["fit"] = {**self.outcome, "curve": self._path.rows()}
        return found

    # Explaining

    @property
    def threshold(self) -> float | None:
        """Messages with a score above 1/2 are kept."""
        return 0.5

    def attribute(self, batch: InstanceBatch) -> Attribution:
        """Probability of each message to be kept; for an edge the highest of its layers."""
        if self.amortized:
            assert self._network is not None
            network = self._network.to(batch.device)
            with torch.no_grad():
                lesson = Lesson.read(batch, network.gates.kinds)
                location = network(lesson)
        else:
            masks = self._free_masks(batch)
            lesson, location = masks.lesson, masks.location
            _tell_unmet(masks.is_met)
        score = lesson.scores(hard_concrete.probability_open(location))
        return Attribution(edge=score.amax(dim=0), layer_edge=score)

    def baselines(self, batch: InstanceBatch) -> Sequence[Tensor | None] | None:
        """The learned baselines."""
        with torch.no_grad():
            if not self.amortized:
                return self._free_masks(batch).shut_values()
            self._require_fit()
            assert self._network is not None
            network = self._network.to(batch.device)
            return network.gates.shut_values(Lesson.read(batch, network.gates.kinds))

    def _free_masks(self, batch: InstanceBatch) -> FreeMasks:
        """Learn the free gates of a batch; the last batch's are remembered."""
        if self._free is None or self._free[0] is not batch:
            self._free = (batch, FreeMasks.learn(batch, self))
        return self._free[1]

    # Files

    def _modules(self) -> dict[str, nn.Module]:
        assert self._path is not None
        return self._path.modules()

    def _about(self) -> dict[str, Any]:
        assert self._path is not None
        return self._path.about()

    def _restore(self, tensors: dict[str, Tensor], about: dict[str, Any]) -> None:
        self._path = Path.restore(tensors, about, self.kind)
        assert self._path.chosen is not None
        self._network = self._path.network(self._path.chosen)


def _tell_unmet(is_met: Tensor) -> None:
    """Say for how many predictions no free gates within the tolerance were found."""
    number = int((~is_met).sum())
    if number:
        warnings.warn(
            f"for {number} of {is_met.numel()} predictions no gates within the tolerance were "
            "found; those nearest to it are given. Raise tolerance or steps",
            UnmetConstraintWarning,
            stacklevel=4,
        )


def _check_tolerance(tolerance: float | None, max_changed: float) -> None:
    if tolerance is not None and not tolerance >= 0:
        raise HyperParameterError(f"tolerance must not be negative; got {tolerance}")
    if not 0 <= max_changed <= 1:
        raise HyperParameterError(f"max_changed is a share in [0, 1]; got {max_changed}")
