"""Methods that learn once over many predictions, then explain unseen ones with a forward pass.

`AmortizedExplainer.fit` turns data, a data set or a loader into lessons (batches with what gates
read on them, or what else the method wants to keep of a batch), holds some predictions back for
validation where the method chooses on them, and hands both to the method. What was learned is saved
as one safetensors file whose header says, in JSON, for which model it is; a file is refused by any
other model.
"""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from typing_extensions import Self

from glassgraph.core.divergence import Divergence
from glassgraph.core.instances import Instances
from glassgraph.core.prepare import Preparation
from glassgraph.core.protect import fingerprint, protected
from glassgraph.core.shared import shared_batches
from glassgraph.core.task import Call, Target, Task
from glassgraph.errors import (
    ExplainerFileError,
    FitError,
    InstanceError,
    Interrupted,
    NotFittedError,
)
from glassgraph.explainers.base import Explainer
from glassgraph.explainers.fitted_file import read_fitted, write_fitted
from glassgraph.explainers.gates import Kind, Lesson
from glassgraph.explainers.settings import setting
from glassgraph.results.explanation import Explanations

if TYPE_CHECKING:
    import pandas as pd

#: Share of the predictions that `fit` holds back where no validation set is given; of a small set
#: more, up to the second share, until there are so many: a handful passes a solution by luck.
_HELD_BACK, _MOST_HELD_BACK, _FEW = 0.25, 0.4, 50
#: Bound on the divergence where the user gives none.
DEFAULT_TOLERANCE = 0.03
#: Graphs of a graph task in one step, unless the user says otherwise.
GRAPHS_AT_ONCE = 64


class HindsightWarning(UserWarning):
    """An amortized method was fitted on what it explains, or on too little to amortize."""


#: ``make(preparation, instances, kinds, size, is_one)`` yields positions and the lesson on them.
Make = Callable[
    [Preparation, Instances, "Sequence[Kind] | None", "int | None", bool],
    Iterator[tuple[Tensor, Any]],
]


@dataclass
class Lessons(Sequence[Any]):
    """Batches to learn from; those beyond the memory budget are made anew at each visit.

    What they hold is the method's: a `Lesson` for gates that read messages. All have ``batch``,
    ``kinds``, ``num_messages`` and ``num_bytes``.
    """

    budget: int
    make: Make
    kinds: Sequence[Kind] | None = None
    _made: list[Any] = field(default_factory=list)
    _source: list[tuple[Preparation, Instances]] = field(default_factory=list)
    _spent: int = 0

    def add(self, preparation: Preparation, instances: Instances, lesson: Any) -> None:
        """Take in a lesson on some instances."""
        self._spent += 2 * lesson.num_bytes
        self._source.append((preparation, instances))
        self._made.append(lesson if self._spent <= self.budget or not self._made else None)

    def __len__(self) -> int:
        return len(self._made)

    def __getitem__(self, number: Any) -> Any:
        lesson = self._made[number]
        if lesson is not None:
            return lesson
        preparation, instances = self._source[number]
        position, lesson = next(self.make(preparation, instances, self.kinds, None, True))
        if len(position) != len(instances):
            raise FitError(
                f"a lesson on {len(instances)} predictions came back with {len(position)}: the "
                "model gives other outputs than before; a larger memory_budget keeps all lessons"
            )
        return lesson

    def __iter__(self) -> Iterator[Any]:
        return (self[number] for number in range(len(self)))

    @property
    def num_predictions(self) -> int:
        """Predictions in all lessons."""
        return sum(len(instances) for _, instances in self._source)

    def tolerance(self, kind: Divergence, wanted: float | None) -> float:
        """The bound on the mean divergence: the user's, 0.03, or 0.03 of the outputs' variance."""
        if wanted is not None:
            return wanted
        if kind != "squared_error":
            return DEFAULT_TOLERANCE
        reference = torch.cat([lesson.batch.reference for lesson in self])
        return DEFAULT_TOLERANCE * float(reference.var(dim=0, unbiased=False).sum())


class AmortizedExplainer(Explainer):
    """Base class of methods with a fitting step.

    A method implements `is_fitted`, `_learn`, `_modules` and `_restore`. What it learns from is a
    `Lesson` on the union of the receptive fields, unless it says otherwise in `_lessons`.
    """

    #: Whether predictions are held back, where the user names none, to choose among solutions.
    holds_back: ClassVar[bool] = True

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
            Interrupted: on Ctrl-C; what was reached by then is kept.
        """
        self._rows = []
        try:
            with protected(self.model):
                self._read_and_learn(data, index, validation)
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

    @property
    def history(self) -> pd.DataFrame:
        """What happened while fitting, one row for each time it was looked at."""
        import pandas as pd

        return pd.DataFrame(self._rows)

    @abstractmethod
    def _learn(self, train: Lessons, validation: Lessons) -> None:
        """Learn from lessons; whatever is good enough to keep is in place when this is left."""

    @abstractmethod
    def _modules(self) -> dict[str, nn.Module]:
        """What was learned, by name."""

    @abstractmethod
    def _restore(self, tensors: dict[str, Tensor], about: dict[str, Any]) -> None:
        """Take over what another explainer had learned."""

    def _about(self) -> dict[str, Any]:
        """What `_restore` needs to know besides tensors, JSON-able."""
        return {}

    def _tensors(self) -> dict[str, Tensor]:
        """All learned numbers."""
        return {
            f"{name}.{key}": value.detach().cpu().contiguous()
            for name, module in self._modules().items()
            for key, value in module.state_dict().items()
        }

    def _require_fit(self) -> None:
        if not self.is_fitted:
            raise NotFittedError(
                f"{self.name} learns over a data set before it explains: call "
                ".fit(data, index=...) on predictions other than those to explain, or load a file"
            )

    # Lessons

    def _read_and_learn(self, data: Any, index: Any, validation: Any) -> None:
        if isinstance(data, DataLoader):
            if index is not None:
                raise InstanceError("a loader says itself what to learn from; give no index")
            train = self._read_loader(data)
            held_back = self._read_loader(validation) if validation is not None else train
            if validation is None and not self.holds_back:
                held_back = Lessons(self.memory_budget, self._lessons, train.kinds)
            elif validation is None and len(train) > 1:
                train, held_back = _split_lessons(train)
        else:
            train, held_back = self._read_data(data, index, validation)
        if train.num_predictions == 1:
            warnings.warn(
                f"{self.name} is fitted on a single prediction: what it learns knows the answer it "
                "will explain (hindsight), so nothing is amortized; fit on many, or read the "
                "result as you would a method that optimizes each prediction by itself",
                HindsightWarning,
                stacklevel=4,
            )
        self._learn(train, held_back)

    def _read_data(self, data: Any, index: Any, validation: Any) -> tuple[Lessons, Lessons]:
        preparation = self.prepare(data)
        instances = preparation.instances(index)
        if not len(instances):
            raise InstanceError("there is nothing to learn from: the index is empty")
        generator = torch.Generator().manual_seed(self.seed)
        order = torch.randperm(len(instances), generator=generator)
        few = min(_FEW, _MOST_HELD_BACK * len(instances))
        num_held = int(max(_HELD_BACK * len(instances), few)) if self.holds_back else 0
        device = instances.index.device
        if validation is not None:
            train, held = order, preparation.instances(validation)
            if not len(held):
                raise InstanceError("there is nothing to validate on: the index is empty")
        else:
            train, held_at = order[num_held:], order[: num_held or None]
            if not self.holds_back:
                held_at = order[:0]
            held = instances.take(held_at.sort().values.to(device))
        chosen = instances.take(train.to(device))
        size = self.batch_size
        if size is None and preparation.task.level == "graph":
            size = GRAPHS_AT_ONCE
        lessons = Lessons(self.memory_budget, self._lessons)
        self._add_lessons(lessons, preparation, chosen, size)
        if not len(lessons):
            raise FitError(
                "there is nothing to learn: no message reaches any of the predictions (no edges, "
                "or none near them)"
            )
        held_back = Lessons(self.memory_budget, self._lessons, lessons.kinds)
        self._add_lessons(held_back, preparation, held, None)
        return lessons, held_back if len(held_back) or not self.holds_back else lessons

    def _read_loader(self, loader: Any) -> Lessons:
        if not isinstance(loader, DataLoader):
            raise InstanceError(
                f"with a loader to learn from, validation is a loader too; got "
                f"{type(loader).__name__}"
            )
        lessons = Lessons(self.memory_budget, self._lessons)
        for data in loader:
            with protected(self.model):
                preparation = Preparation.read(
                    self.model, self._model_call, self.task, data, self.check
                )
            index = None
            if preparation.task.level == "node" and "input_id" in data:
                index = list(range(int(data.batch_size)))
            self._add_lessons(lessons, preparation, preparation.instances(index), None)
        if not len(lessons):
            raise InstanceError("the loader yields nothing: there is nothing to learn from")
        return lessons

    def _add_lessons(
        self, lessons: Lessons, preparation: Preparation, instances: Instances, size: int | None
    ) -> Lessons:
        for position, lesson in self._lessons(preparation, instances, lessons.kinds, size):
            lessons.kinds = lesson.kinds
            if lesson.num_messages:
                lessons.add(preparation, instances.take(position), lesson)
        return lessons

    def _lessons(
        self,
        preparation: Preparation,
        instances: Instances,
        kinds: Sequence[Kind] | None,
        size: int | None,
        is_one: bool = False,
    ) -> Iterator[tuple[Tensor, Any]]:
        """Lessons on some predictions, with the positions that each is about.

        Args:
            preparation: model and graph.
            instances: the predictions.
            kinds: kinds of messages that earlier lessons had, None for the first.
            size: predictions in one lesson, None for as many as fit into the memory budget.
            is_one: they are those of an earlier lesson and fit: all of them at once.
        """
        budget = None if is_one else self.memory_budget
        batches = shared_batches(preparation, instances, fit_target(preparation), budget, size)
        found = kinds
        for position, batch in batches:
            lesson = Lesson.read(batch, found)
            found = lesson.kinds
            yield position, lesson

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
            ExplainerFileError: if the file is damaged, of another method or format, or of another
                model (other weights, another number of layers).
        """
        tensors, header = read_fitted(Path(path), cls.name, model)
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


def fit_target(preparation: Preparation) -> Target:
    """Fitting looks at whole outputs; a regression with several wants one named all the same."""
    return None if preparation.task.is_classification else 0


def _split_lessons(lessons: Lessons) -> tuple[Lessons, Lessons]:
    """A loader's last batches, a quarter of them, for validation."""
    first = len(lessons) - max(1, int(_HELD_BACK * len(lessons)))
    parts = []
    for span in (slice(None, first), slice(first, None)):
        part = Lessons(lessons.budget, lessons.make, lessons.kinds)
        part._made, part._source = lessons._made[span], lessons._source[span]
        parts.append(part)
    return parts[0], parts[1]
