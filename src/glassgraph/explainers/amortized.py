"""Methods that learn once over many predictions, then explain unseen ones with a forward pass.

`AmortizedExplainer.fit` turns data, a data set or a loader into training batches, holds some
predictions back for validation where the method chooses on them, and hands both to the method. What
was learned is saved as one safetensors file whose header says, in JSON, for which model it is; a
file is refused by any other model.
"""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic

from torch import Tensor, nn
from torch.utils.data import DataLoader
from typing_extensions import Self

from glassgraph.calling.call import Call
from glassgraph.calling.protect import fingerprint, protected
from glassgraph.core.batch import InstanceBatch
from glassgraph.core.prepare import Preparation
from glassgraph.errors import (
    ExplainerFileError,
    FitError,
    HyperParameterError,
    InstanceError,
    Interrupted,
    NotFittedError,
)
from glassgraph.explainers.base import Explainer
from glassgraph.explainers.fitted_file import check_given, read_fitted, restoring, write_fitted
from glassgraph.explainers.settings import setting
from glassgraph.explainers.shared_batches import shared_batches
from glassgraph.explainers.training_batches import (
    Kept,
    TrainingBatches,
    fit_target,
    hold_back,
    shuffle,
)
from glassgraph.inputs.instances import Instances
from glassgraph.inputs.task import Task
from glassgraph.results.explanation import Explanations

if TYPE_CHECKING:
    import pandas as pd

#: Graphs of a graph task in one step, unless the user says otherwise.
GRAPHS_AT_ONCE = 64


class HindsightWarning(UserWarning):
    """An amortized method was fitted on what it explains, or on too little to amortize."""


class AmortizedExplainer(Explainer, Generic[Kept]):
    """Base class of methods with a fitting step; generic over what they keep of a batch.

    A method implements `is_fitted`, `_reader`, `_learn`, `_modules` and `_restore`. It learns from
    batches on the union of the receptive fields, unless it says otherwise in `_cut`.

    Example:
        >>> import torch
        >>> import glassgraph as gg
        >>> from torch_geometric.data import Data
        >>> from torch_geometric.nn import GCN
        >>> data = Data(x=torch.rand(5, 3), edge_index=torch.tensor([[0, 1, 2, 3], [1, 2, 3, 4]]))
        >>> explainer = gg.PGExplainer(GCN(3, 8, 2, 2), task="node", epochs=2, progress=False)
        >>> isinstance(explainer, gg.AmortizedExplainer), explainer.is_fitted
        (True, False)
        >>> explainer.fit(data, index=[1, 2, 3]).explain(data, index=[4])[0].edge_mask.shape
        torch.Size([4])
    """

    #: Whether predictions are held back, where the user names none, to choose among solutions.
    holds_back: ClassVar[bool] = True
    #: Whether it learns by gradients of the prediction with respect to messages.
    follows_gradients: ClassVar[bool] = True
    #: Names that older files have for hyper-parameters and learned numbers, and today's.
    renamed: ClassVar[Mapping[str, str]] = {}

    batch_size: int | None = setting(
        "predictions in one step of fitting; None for 64 graphs, or all nodes or links that fit",
        default=None,
        at_least=1,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self._rows: list[dict[str, Any]] = []

    def fit(self, data: Any, index: Any = None, *, validation: Any = None) -> Self:
        """Learn from predictions of the model; no labels are read.

        Args:
            data: as `explain` takes it, or a ``DataLoader`` (of graphs, or of neighborhoods whose
                first ``batch_size`` nodes are the predicted ones); each of its batches is a step.
            index: the predictions to learn from; everything if None. Not with a loader.
            validation: further predictions, to choose among what was learned: an index into the
                same data, or a second loader. If None, a quarter of the predictions is held back,
                or 50 of them where that is more (at most 40 %). A method that does not choose
                learns from all of them, and shows the loss on ``validation`` in its `history`.

        Returns:
            The explainer itself.

        Raises:
            GlassgraphError: see `glassgraph.errors`.
            FitError: if the loss is not finite; what was reached before is kept.
            NoGradientError: if the prediction has no gradient with respect to messages.
            Interrupted: on Ctrl-C; what was reached by then is kept.
        """
        if not self.needs_fit:
            raise HyperParameterError(
                f"{self.name}: with these settings it learns about each prediction when that is "
                "explained; call explain"
            )
        self._rows = []
        try:
            with protected(self.model):
                train, held_back = self._training_batches(data, index, validation)
                self._warn_of_hindsight(train)
                if self.follows_gradients:  # else there is an error, instead of nothing learned
                    train[0].batch.gate_gradients(train[0].batch.ones())
                self._learn(train, held_back)
        except KeyboardInterrupt as interrupt:
            if isinstance(interrupt, Interrupted):
                raise
            done = "the explainer works with what it had learned" if self.is_fitted else "too early"
            raise Interrupted(f"interrupted while fitting {self.name}: {done}") from interrupt
        return self

    @property
    @abstractmethod
    def is_fitted(self) -> bool:
        """Whether there is anything to explain with."""

    @property
    def needs_fit(self) -> bool:
        """Whether it learns with `fit` before it explains."""
        return True

    def explain(self, *args: Any, **kwargs: Any) -> Explanations:
        """Explain predictions; see `Explainer.explain`.

        Raises:
            NotFittedError: before `fit`.
        """
        if self.needs_fit:
            self._require_fit()
        return super().explain(*args, **kwargs)

    def learned(self) -> Mapping[str, Tensor]:
        """All learned numbers; nothing where each prediction is learned about by itself."""
        return self._tensors() if self.needs_fit and self.is_fitted else {}

    @property
    def history(self) -> pd.DataFrame:
        """What happened while fitting, one row for each time it was measured."""
        import pandas as pd

        return pd.DataFrame(self._rows)

    # What a method implements

    @abstractmethod
    def _reader(self) -> Callable[[InstanceBatch], Kept]:
        """What reads from a batch whatever is kept of it; a new one for each fit."""

    @abstractmethod
    def _learn(self, train: TrainingBatches[Kept], validation: TrainingBatches[Kept]) -> None:
        """Learn from batches; whatever is good enough to keep is in place when this is left."""

    @abstractmethod
    def _modules(self) -> dict[str, nn.Module]:
        """What was learned, by name."""

    @abstractmethod
    def _restore(self, tensors: dict[str, Tensor], about: dict[str, Any]) -> None:
        """Take over what another explainer had learned."""

    def _about(self) -> dict[str, Any]:
        """What `_restore` needs to know besides tensors, JSON-able."""
        return {}

    def _cut(
        self, preparation: Preparation, instances: Instances, size: int | None, budget: int | None
    ) -> Iterator[tuple[Tensor, InstanceBatch]]:
        """Batches of predictions, with the positions that each is about.

        Args:
            preparation: model and graph.
            instances: the predictions.
            size: predictions in one batch, None for as many as fit.
            budget: bytes that a batch may take, None for all predictions in one.
        """
        return shared_batches(preparation, instances, fit_target(preparation), budget, size)

    # What is learned from

    def _training_batches(
        self, data: Any, index: Any, validation: Any
    ) -> tuple[TrainingBatches[Kept], TrainingBatches[Kept]]:
        """Batches to learn from, and to validate on."""
        train = TrainingBatches(self.memory_budget, self._cut, self._reader())
        if not isinstance(data, DataLoader):
            return self._read_data(train, data, index, validation)
        if index is not None:
            raise InstanceError("a loader says itself what to learn from; give no index")
        self._read_loader(train, data)
        if validation is not None:
            held_back = train.emptied()
            self._read_loader(held_back, validation)
            return train, held_back
        if not self.holds_back:
            return train, train.emptied()
        return train.split() if len(train) > 1 else (train, train)

    def _read_data(
        self, train: TrainingBatches[Kept], data: Any, index: Any, validation: Any
    ) -> tuple[TrainingBatches[Kept], TrainingBatches[Kept]]:
        preparation = self.prepare(data)
        instances = preparation.instances(index)
        if not len(instances):
            raise InstanceError("there is nothing to learn from: the index is empty")
        chosen, held = self._hold_back(preparation, instances, validation)
        size = self.batch_size
        if size is None and preparation.task.level == "graph":
            size = GRAPHS_AT_ONCE
        train.add(preparation, chosen, size)
        if not len(train):
            raise FitError(
                "there is nothing to learn: no message reaches any of the predictions (no edges, "
                "or none near them)"
            )
        held_back = train.emptied()
        held_back.add(preparation, held, None)
        return train, held_back if len(held_back) or not self.holds_back else train

    def _hold_back(
        self, preparation: Preparation, instances: Instances, validation: Any
    ) -> tuple[Instances, Instances]:
        """Predictions to learn from, in random order, and to validate on."""
        order, device = shuffle(instances, self.seed), instances.index.device
        if validation is not None:
            held = preparation.instances(validation)
            if not len(held):
                raise InstanceError("there is nothing to validate on: the index is empty")
            return instances.take(order.to(device)), held
        chosen, held_at = hold_back(order) if self.holds_back else (order, order[:0])
        held = instances.take(held_at.sort().values.to(device))
        return instances.take(chosen.to(device)), held

    def _read_loader(self, batches: TrainingBatches[Kept], loader: Any) -> None:
        if not isinstance(loader, DataLoader):
            raise InstanceError(
                f"with a loader to learn from, validation is a loader too; got "
                f"{type(loader).__name__}"
            )
        for data in loader:
            with protected(self.model):
                preparation = self._preparation_of(data)
            self._require_edges(preparation)
            preparation.told.own_edges(preparation.wiring)
            index = None
            if preparation.task.level == "node" and "input_id" in data:
                index = list(range(int(data.batch_size)))
            batches.add(preparation, preparation.instances(index), None)
        if not len(batches):
            raise InstanceError("the loader yields nothing: there is nothing to learn from")

    def _warn_of_hindsight(self, train: TrainingBatches[Kept]) -> None:
        if train.num_predictions == 1:
            warnings.warn(
                f"{self.name} is fitted on a single prediction: what it learns knows the answer it "
                "will explain (hindsight), so nothing is amortized; fit on many, or read the "
                "result as you would a method that optimizes each prediction by itself",
                HindsightWarning,
                stacklevel=3,
            )

    def _require_fit(self) -> None:
        if not self.is_fitted:
            raise NotFittedError(
                f"{self.name} learns over a data set before it explains: call "
                ".fit(data, index=...) on predictions other than those to explain, or load a file"
            )

    # Files

    def save(self, path: str | Path) -> Path:
        """Write what was learned, and for which model, into one safetensors file.

        Raises:
            NotFittedError: before `fit`.
            OutputError: if the file cannot be written.
        """
        self._require_fit()
        about = {
            "task": vars(self.task),
            "hyper_parameters": {
                name: value
                for name, value in self.hyper_parameters.items()
                if isinstance(value, (int, float, str, bool, list, tuple, type(None)))
            },
            "seed": self.seed,
            "history": self._rows,
            "about": self._about(),
        }
        return write_fitted(Path(path), self.name, self.model, self._tensors(), about)

    @classmethod
    def load(
        cls, path: str | Path, model: nn.Module, *, call: Call | None = None, **shared: Any
    ) -> Self:
        """Read what `save` wrote.

        Args:
            path: the file.
            model: the very model it was fitted for.
            call: how to call the model, if that needs saying.
            **shared: arguments that do not change what was learned (``memory_budget``, ``check``,
                ``progress``), and functions that no file can hold (``divergence``).

        Raises:
            DamagedFileError: if the file is damaged.
            ExplainerFileError: if it is of another method or format, or of another model (other
                weights, another number of layers).
        """
        tensors, header = read_fitted(Path(path), cls.name, model, cls.renamed)
        check_given(cls, shared)
        with restoring(Path(path)):
            settings = {**header["hyper_parameters"], "seed": header["seed"], **shared}
            explainer = cls(model, Task(**header["task"]), call=call, **settings)
            explainer._rows = header["history"]
            explainer._restore(tensors, header["about"])
        return explainer

    def adopt(self, other: Self) -> Self:
        """Take over what another explainer of the same model has learned.

        Raises:
            ExplainerFileError: if it explains another model.
        """
        other._require_fit()
        if fingerprint(self.model) != fingerprint(other.model):
            raise ExplainerFileError("the other explainer was fitted for another model; fit again")
        self._rows = list(other._rows)
        self._restore(other._tensors(), other._about())
        return self

    def _tensors(self) -> dict[str, Tensor]:
        """All learned numbers."""
        return {
            f"{name}.{key}": value.detach().cpu().contiguous()
            for name, module in self._modules().items()
            for key, value in module.state_dict().items()
        }
