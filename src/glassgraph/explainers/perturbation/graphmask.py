"""GraphMask."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn
from typing_extensions import Self

from glassgraph.core.batch import InstanceBatch
from glassgraph.explainers.amortized import AmortizedExplainer
from glassgraph.explainers.constant import saturated
from glassgraph.explainers.divergence import Divergence, resolve_divergence
from glassgraph.explainers.perturbation.graphmask_fit.fitting import Fitting
from glassgraph.explainers.perturbation.graphmask_fit.free_masks import FreeMasks
from glassgraph.explainers.perturbation.graphmask_fit.lagrangian import solve_lagrangian
from glassgraph.explainers.perturbation.graphmask_fit.mask_network import MaskNetwork
from glassgraph.explainers.perturbation.graphmask_fit.points import Constraint, Point
from glassgraph.explainers.perturbation.graphmask_fit.pruning import shut_relations
from glassgraph.explainers.perturbation.graphmask_fit.regularization_path import RegularizationPath
from glassgraph.explainers.perturbation.graphmask_fit.settings import Solver, SolverSettings
from glassgraph.explainers.perturbation.graphmask_fit.sweep import follow_path
from glassgraph.explainers.perturbation.message_gates.gated_batch import GatedBatch, GateReader
from glassgraph.explainers.perturbation.message_gates.relations import (
    warn_of_unseen,
    with_learned,
)
from glassgraph.explainers.perturbation.message_gates.tolerance import (
    DEFAULT_TOLERANCE,
    UnmetConstraintWarning,
    resolve_tolerance,
)
from glassgraph.explainers.settings import check_value, setting, settings_of
from glassgraph.explainers.training_batches import TrainingBatches
from glassgraph.explainers.traits import Traits
from glassgraph.learn import hard_concrete
from glassgraph.results.explanation import Attribution

if TYPE_CHECKING:
    import pandas as pd

#: A solution that keeps more than this share of the messages tells nothing.
_ALL = 0.999


class CollapsedWarning(UserWarning):
    """Nothing sparser than every message was found: the explanation says nothing."""


class GraphMask(AmortizedExplainer[GatedBatch]):
    """Which messages, at which layer, can be replaced without changing the prediction?

    For a message ``m`` along edge ``u -> v`` at layer ``k``, with ``h`` the hidden states at its
    ends and ``b`` a vector learned for the layer::

        z  = g_pi(h_u, h_v, m)                a gate, read from the unmasked run
        m' = z m + (1 - z) b                  what the layer gets instead

    and ``pi, b`` are found once for all predictions of a data set, so that the fewest gates are
    open while the divergence ``D`` between predictions on the whole graph ``G`` and with gates
    ``G_S`` stays within ``beta`` (``tolerance``)::

        min_{pi, b}  sum_k sum_(u,v) 1[z != 0]      such that   D[f(G), f(G_S)] <= beta

    A message's score is the probability of its hard concrete gate to be open, in [0, 1], by layer
    and edge ``[L, E]``; an edge's ``[E]`` is the highest of its layers. Scores above 1/2 are kept.
    Because gates see one message at a time and are shared by all predictions, they cannot bend to
    one answer they have been shown (hindsight). They do not depend on the target: they say what the
    model's output rests on, whichever class is asked about.

    ``solver="path"`` is a continuation: gates of a batch are standardized, shifted by an offset
    that sweeps from open to shut, and only the divergence is learned. Every piece of the way is a
    solution for some budget of messages, so one fit gives the whole `curve` of sparsity against
    faithfulness, and `choose` takes another point of it. ``solver="lagrangian"`` is the paper's:
    ``max_lambda min_{pi, b} L0 + lambda (D - beta)``, layers added from the top down. Of the
    authors' code it differs in that layers without their turn have no gates, where the code gates
    them at random from the start. A ``sparsity_weight`` of 5 is theirs for star graphs; with 1
    every run of ours ended all open.

    ``amortized=False`` learns free gates for every prediction by itself, as a method to compare
    with: it explains any answer, also a wrong one (see `glassgraph.diagnose.hindsight`).

    It decides what can go, and does not rank what stays: by robust fidelity its order of edges was
    better than random scores on few of the survey's data sets (``docs/survey.md``).

    The divergence is a name (see `glassgraph.explainers.divergence`) or a function
    ``(output, reference) -> [B]``. Its bound is 0.03 nats for classes unless a ``tolerance`` is
    given, and for a regression 0.03 of the variance of the model's predictions; without
    amortization, where a prediction has no variance, 0.03.

    Schlichtkrull, De Cao and Titov, "Interpreting Graph Neural Networks for NLP With Differentiable
    Edge Masking" (ICLR 2021, https://arxiv.org/abs/2010.00577).

    Raises:
        HyperParameterError: for values out of range.

    Warns:
        UnmetConstraintWarning: if nothing within the tolerance was found; the nearest is used.
        CollapsedWarning: if nothing sparser than all messages was found.
        UnseenRelationWarning: if relations are explained that no message of the fit had: their
            gates stay open.

    Example:
        >>> import torch
        >>> import glassgraph as gg
        >>> from torch_geometric.data import Data
        >>> from torch_geometric.nn import GCN
        >>> data = Data(x=torch.rand(31, 3), edge_index=torch.randint(31, (2, 97)))
        >>> explainer = gg.GraphMask(GCN(3, 8, 2, 2), "node", steps=10, tolerance=9, max_changed=1)
        >>> explanation = explainer.fit(data, index=range(23)).explain(data, index=[29])[0]
        >>> explanation.layer_edge_mask.shape, explanation.edge_mask.shape  # [L, E] and [E]
        (torch.Size([2, 97]), torch.Size([97]))
        >>> explainer.outcome["is_met"], len(explainer.curve) > 0
        (True, True)
    """

    name = "graphmask"
    traits = Traits(
        family="perturbation",
        scores=("edge", "layer edge"),
        is_learned=True,
        is_amortized=True,
        is_random=True,
        source="Schlichtkrull, De Cao and Titov 2021, arXiv:2010.00577",
    )
    test_settings: ClassVar[Mapping[str, Any]] = {
        "steps": 4,
        "tolerance": 1000000000.0,
        "max_changed": 1.0,
    }
    evidence_settings: ClassVar[Mapping[str, Any]] = {
        "steps": 300,
        "tolerance": None,
        "max_changed": 0.0,
    }
    renamed: ClassVar[Mapping[str, str]] = {"grip": "location_scale", "kinds": "groups"}

    amortized: bool = setting(
        "learn one set of gate networks with fit; False learns free gates for each prediction when "
        "it is explained",
        default=True,
    )
    solver: Solver = setting("how the constrained problem is solved", default="path")
    tolerance: float | None = setting(
        "bound on the mean divergence over the validation predictions (on that of each with "
        "amortized=False), in its units; None for 0.03, of a regression 0.03 of the outputs' "
        "variance",
        default=None,
        at_least=0,
    )
    max_changed: float = setting(
        "share of validation predictions that may change their class (not used for regressions)",
        default=0.02,
        at_least=0,
        at_most=1,
    )
    divergence: Divergence | None = setting(
        "how far outputs are apart; None for 'kl' (classes) or 'squared_error' (regression)",
        default=None,
    )
    steps: int = setting(
        "gradient steps in all; the Lagrangian divides them among the layers",
        default=2000,
        at_least=1,
    )
    learning_rate: float | None = setting(
        "of Adam, on gates and baselines; None for 0.003 (path), 0.001 (Lagrangian), 0.05 (free)",
        default=None,
        above=0,
    )
    hidden_channels: int | None = setting(
        "width of the gate networks, None for that of the messages (16 to 256)",
        default=None,
        at_least=1,
    )
    location_scale: float = setting(
        "of the path: standard deviation of the gates' locations over a batch", default=3.0, above=0
    )
    sweep: float = setting(
        "of the path: the offset runs from plus to minus this", default=4.5, above=0
    )
    polish: float = setting(
        "of the path: share of the steps that polish the best solution",
        default=0.4,
        at_least=0,
        below=1,
    )
    prune: bool = setting(
        "at the end, shut whole relations of single layers that predictions hold without, as far "
        "as the constraint allows (not with amortized=False)",
        default=False,
    )
    multiplier_learning_rate: float = setting(
        "of the Lagrangian: RMSProp on the multiplier", default=0.01, above=0
    )
    sparsity_weight: float = setting(
        "of the Lagrangian: weight of the expected share of open gates, summed over layers",
        default=5.0,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self._divergence = resolve_divergence(self.task, self.divergence)
        self._path: RegularizationPath | None = None
        self._network: MaskNetwork | None = None
        self._free: tuple[InstanceBatch, FreeMasks] | None = None

    # Fitting

    @property
    def needs_fit(self) -> bool:
        """Whether `fit` comes before `explain`."""
        return self.amortized

    @property
    def output_divergence(self) -> Divergence:
        """The divergence that the gates are bound to."""
        return self._divergence

    @property
    def is_fitted(self) -> bool:
        """Whether there are gates to explain with."""
        return self._path is not None

    def _reader(self) -> Callable[[InstanceBatch], GatedBatch]:
        return GateReader()

    def _learn(
        self, train: TrainingBatches[GatedBatch], validation: TrainingBatches[GatedBatch]
    ) -> None:
        tolerance = resolve_tolerance(train, self._divergence, self.tolerance)
        constraint = Constraint(self._divergence, self.max_changed, tolerance)
        first = train[0]
        torch.manual_seed(self.seed)  # noqa: TID251 - inside the protected random state
        groups = with_learned(first.groups, (gated.relations() for gated in train))
        network = MaskNetwork(groups, self.hidden_channels)
        network = network.to(first.batch.device, first.batch.dtype)
        network.gates.start_baselines(train)
        path = RegularizationPath(constraint, groups, self.hidden_channels)
        solve = follow_path if self.solver == "path" else solve_lagrangian
        try:
            with self._bar(self.steps, is_fit=True) as bar:
                fitting = Fitting(
                    self._solver_settings(), network, train, validation, path, self._rows, bar
                )
                solve(fitting)
                if self.prune:
                    shut_relations(fitting)
        finally:
            if path.points:
                self._path = path
                self._use(path.choose(constraint), stacklevel=4)

    def _solver_settings(self) -> SolverSettings:
        return SolverSettings(
            seed=self.seed,
            solver=self.solver,
            steps=self.steps,
            learning_rate=self.learning_rate,
            location_scale=self.location_scale,
            sweep=self.sweep,
            polish=self.polish,
            multiplier_learning_rate=self.multiplier_learning_rate,
            sparsity_weight=self.sparsity_weight,
        )

    def _use(self, point: Point, stacklevel: int) -> None:
        path = self._fitted_path()
        self._network = path.network(point)
        asked = path.constraint
        if not asked.is_met(point):
            warnings.warn(
                f"no gates were found that keep the divergence within {asked.tolerance:.3g} and "
                f"change at most {asked.max_changed:.1%} of the predictions; the nearest have "
                f"divergence {point.divergence:.3g}, change {point.changed:.1%} and keep "
                f"{point.kept:.1%} of the messages. Raise tolerance or steps, or look at .curve",
                UnmetConstraintWarning,
                stacklevel=stacklevel,
            )
        elif point.kept > _ALL:
            warnings.warn(
                "all messages are kept: nothing sparser within the tolerance was found, so the "
                "gates tell nothing apart. Try solver='path', more steps, or a larger tolerance",
                CollapsedWarning,
                stacklevel=stacklevel,
            )

    # What was reached

    @property
    def curve(self) -> pd.DataFrame:
        """Sparsity against faithfulness on the validation predictions, sparsest last.

        Columns: ``kept`` (share of messages), ``divergence`` (mean), ``changed`` (share of
        predictions), ``layer_0`` ... (share kept by layer), ``is_met``, ``is_chosen``.
        """
        import pandas as pd

        return pd.DataFrame(self._fitted_path().rows())

    @property
    def outcome(self) -> dict[str, Any]:
        """The chosen solution: ``is_met``, tolerance, divergence, changed and kept shares."""
        return self._fitted_path().outcome()

    def choose(self, tolerance: float | None = None, max_changed: float | None = None) -> Self:
        """Take another point of the curve, without fitting again.

        Args:
            tolerance: new bound on the divergence, None to leave it.
            max_changed: new bound on the share of changed predictions, None to leave it.
        """
        path = self._fitted_path()
        wanted = {
            "tolerance": path.constraint.tolerance if tolerance is None else tolerance,
            "max_changed": path.constraint.max_changed if max_changed is None else max_changed,
        }
        for each in settings_of(type(self)):
            if each.name in wanted:
                check_value(type(self), each, wanted[each.name])
        self.tolerance, self.max_changed = wanted["tolerance"], wanted["max_changed"]
        self._use(path.choose(Constraint(self._divergence, **wanted)), stacklevel=3)
        return self

    def _fitted_path(self) -> RegularizationPath:
        self._require_fit()
        assert self._path is not None
        return self._path

    def _fitted_network(self, batch: InstanceBatch) -> MaskNetwork:
        self._require_fit()
        assert self._network is not None
        return self._network.to(batch.device)

    def _provenance(self, preparation: Any) -> dict[str, Any]:
        found = super()._provenance(preparation)
        if self.amortized:
            found["fit"] = {**self.outcome, "curve": self._fitted_path().rows()}
        return found

    # Explaining

    @property
    def threshold(self) -> float | None:
        """Messages with a score above 1/2 are kept."""
        return 0.5

    def attribute(self, batch: InstanceBatch) -> Attribution:
        """Probability of each message to be kept; for an edge the highest of its layers."""
        if self.amortized:
            network = self._fitted_network(batch)
            with torch.no_grad():
                gated = GatedBatch.read(batch, network.gates.groups)
                location = network(gated)
            warn_of_unseen(gated.relations(unseen=True), stacklevel=4)
        else:
            masks = self._free_masks(batch)
            gated, location = masks.gated, masks.location
            _warn_of_unmet(masks.is_met)
        score = gated.scores(hard_concrete.probability_open(location))
        edge = score.amax(dim=0)
        return Attribution(edge=edge, layer_edge=score, reasons=saturated(batch, edge))

    def baselines(self, batch: InstanceBatch) -> Sequence[Tensor | None] | None:
        """The learned baselines."""
        with torch.no_grad():
            if not self.amortized:
                return self._free_masks(batch).site_baselines()
            gates = self._fitted_network(batch).gates
            return gates.site_baselines(GatedBatch.read(batch, gates.groups))

    def _free_masks(self, batch: InstanceBatch) -> FreeMasks:
        """Learn the free gates of a batch; the last batch's are remembered."""
        if self._free is None or self._free[0] is not batch:
            tolerance = DEFAULT_TOLERANCE if self.tolerance is None else self.tolerance
            batch.gate_gradients(batch.ones())  # raises where there is none
            masks = FreeMasks.learn(batch, self._solver_settings(), self._divergence, tolerance)
            self._free = batch, masks
        return self._free[1]

    # Files

    def _modules(self) -> dict[str, nn.Module]:
        return self._fitted_path().modules()

    def _about(self) -> dict[str, Any]:
        return self._fitted_path().about()

    def _restore(self, tensors: dict[str, Tensor], about: dict[str, Any]) -> None:
        self._path = RegularizationPath.restore(tensors, about, self._divergence)
        assert self._path.chosen is not None
        self._path.modules()  # every solution can be built, not the chosen one alone
        self._network = self._path.network(self._path.chosen)


def _warn_of_unmet(is_met: Tensor) -> None:
    """Say for how many predictions no free gates within the tolerance were found."""
    number = int((~is_met).sum())
    if number:
        warnings.warn(
            f"for {number} of {is_met.numel()} predictions no gates within the tolerance were "
            "found; those nearest to it are given. Raise tolerance or steps",
            UnmetConstraintWarning,
            stacklevel=5,
        )
