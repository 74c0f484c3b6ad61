"""What is explained in a benchmark: a model, its data, and two parts that never overlap.

*Explained* are a data set's default instances, those of its test part first. *Learned from* is the
train part without them. A `Subject` in which both share a prediction is refused: a method that was
fitted on what it explains has seen the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from glassgraph.calling.call import Call
from glassgraph.datasets import DATASETS, ExplanationDataset, load_dataset
from glassgraph.datasets.cards import CARDS
from glassgraph.datasets.load import GENERATED
from glassgraph.datasets.locate import Files
from glassgraph.errors import DatasetError, LeakError, SuiteError
from glassgraph.inputs.task import Task
from glassgraph.models import reference_model

if TYPE_CHECKING:
    from glassgraph.benchmarks.specs import DatasetSpec

#: How many shared predictions an error names.
_SHOWN = 5


@dataclass(frozen=True)
class Subject:
    """A model on data, and which of its predictions are what.

    Attributes:
        dataset: name of the data.
        seed: of the data and of the model.
        model: the explained model.
        data: the graph(s).
        task: what is predicted.
        index: the explained predictions, as `Explainer.explain` takes them; None for all.
        fit_index: those that learned methods learn from; None where there are none.
        call: how to call the model.
        accuracy: of the model on its test part; None if unknown.
        hindsight: whether learned methods may be fitted on what they explain.
        another_model: a model trained from another seed, or of another kind of layers (``"gin"``);
            None if nobody knows how.

    Raises:
        LeakError: if lists of numbers share one. (Other forms of an index are compared once the
            data are read, see `check_disjoint`.)
    """

    dataset: str
    seed: int
    model: nn.Module | Callable[..., Any]
    data: Any
    task: Task
    index: Any = None
    fit_index: Any = None
    call: Call | None = None
    accuracy: float | None = None
    hindsight: bool = False
    another_model: Callable[[int, str | None], nn.Module] | None = None

    def __post_init__(self) -> None:
        if self.hindsight or self.fit_index is None:
            return
        if _are_numbers(self.index) and _are_numbers(self.fit_index):
            refuse_shared(set(self.index) & set(self.fit_index), self.dataset)


def _are_numbers(index: Any) -> bool:
    """Whether an index is a plain list of numbers; other forms are read with the data."""
    return isinstance(index, range) or (
        isinstance(index, list) and all(type(each) is int for each in index)
    )


def check_disjoint(subject: Subject, explained: Tensor, learned: Tensor) -> None:
    """Refuse a fit on what is explained, whatever form the indices had.

    Args:
        subject: whose they are.
        explained: ``[B]`` numbers of the explained predictions.
        learned: ``[F]`` numbers of those that are learned from.

    Raises:
        LeakError: if they share one.
    """
    if not subject.hindsight:
        refuse_shared(set(explained.tolist()) & set(learned.tolist()), subject.dataset)


def refuse_shared(shared: set[int], where: str) -> None:
    """Refuse predictions that are explained and learned from.

    Raises:
        LeakError: naming some of them.
    """
    if not shared:
        return
    some = ", ".join(map(str, sorted(shared)[:_SHOWN]))
    more = "" if len(shared) <= _SHOWN else f" and {len(shared) - _SHOWN} more"
    raise LeakError(
        f"{where}: {some}{more} are explained and learned from: a method would have seen what it "
        "explains; fit on others"
    )


# Data sets by name

#: ``load(seed) -> Subject`` of data sets that were registered by hand.
_registered: dict[str, Callable[[int], Subject]] = {}


def register_subject(name: str, load: Callable[[int], Subject]) -> None:
    """Make a model and data of your own known by name to suites, for this process.

    Args:
        name: stands in a suite's ``datasets``.
        load: from a seed to a `Subject`.

    Raises:
        SuiteError: if a data set of the library has the name.
    """
    if name in DATASETS:
        raise SuiteError(f"there is a data set {name!r} already; choose another name")
    _registered[name] = load


def unregister_subject(name: str) -> None:
    """Forget what was registered by hand."""
    _registered.pop(name, None)


def subject_names() -> tuple[str, ...]:
    """All data sets that a suite may name."""
    return (*DATASETS, *_registered)


def load_registered(spec: DatasetSpec, seed: int) -> Subject | None:
    """What was registered by hand under a name; None for a data set of the library."""
    if spec.name not in _registered:
        return None
    return trimmed(_registered[spec.name](seed), spec, seed)


def subject_of(
    dataset: ExplanationDataset,
    spec: DatasetSpec,
    seed: int,
    cache: Path,
    avoid: Tensor | None = None,
) -> Subject:
    """A data set with its reference model.

    Args:
        dataset: the data.
        spec: how many predictions are explained and learned from.
        seed: of the model.
        cache: folder of trained models.
        avoid: predictions that are neither explained nor learned from.
    """
    model, accuracy = reference(dataset, seed, cache)
    index, fit_index = parts(dataset, spec, seed, avoid)
    data: Any = dataset.graphs[0]
    if dataset.level == "graph":  # the others would only be read, again for each method
        data = [dataset.graphs[i] for i in (*index, *fit_index)]
        index, fit_index = list(range(len(index))), list(range(len(index), len(data)))
    return Subject(
        dataset=spec.name,
        seed=seed,
        model=model,
        data=data,
        task=Task.of(dataset.level),
        index=index,
        fit_index=fit_index,
        accuracy=accuracy,
        another_model=lambda other, kind: reference(dataset, other, cache, kind)[0],
    )


def check_available(spec: DatasetSpec, root: Path | None) -> None:
    """Find out that files are missing before anything takes time.

    Raises:
        DatasetError: naming them and where they come from.
    """
    card = next((card for card in CARDS if card.name == spec.name), None)
    if card is not None and not card.is_generated:
        files = Files(card.files, card.folder, card.origin)
        try:
            files.find(spec.name, root if spec.root is None else spec.root)
        except DatasetError:
            load_data(spec, 0, root)  # some lie in several folders; if not, it says what is missing


def explained_under(spec: DatasetSpec, seeds: Sequence[int], root: Path | None) -> Tensor | None:
    """The graphs that are explained under some seeds; None where each seed has other graphs."""
    if spec.name in _registered or _is_generated(spec.name):
        return None
    found = {i for seed in seeds for i in parts(load_data(spec, seed, root), spec, seed)[0]}
    return torch.tensor(sorted(found))


def _is_generated(name: str) -> bool:
    return name in GENERATED


def load_data(spec: DatasetSpec, seed: int, root: Path | None) -> ExplanationDataset:
    """The data alone.

    Raises:
        DatasetError: if files are missing.
        SuiteError: for an option that the loader does not take.
    """
    options: dict[str, Any] = dict(spec.options)
    folder: str | Path | None = root if spec.root is None else spec.root
    if _is_generated(spec.name):
        folder = None
    try:
        return load_dataset(spec.name, root=folder, seed=seed, **options)
    except TypeError as error:
        raise SuiteError(f"{spec.name}: options: {error}") from error


def trimmed(subject: Subject, spec: DatasetSpec, seed: int) -> Subject:
    """A registered subject with as many predictions as the suite asks for."""
    index, learned = subject.index, subject.fit_index
    if isinstance(index, list):
        index = spread(torch.tensor(index), spec.instances).tolist()
    if isinstance(learned, list):
        learned = drawn(torch.tensor(learned), spec.fit_instances, seed).tolist()
    return replace(subject, dataset=spec.name, seed=seed, index=index, fit_index=learned)


def parts(
    dataset: ExplanationDataset, spec: DatasetSpec, seed: int, avoid: Tensor | None = None
) -> tuple[list[int], list[int]]:
    """Which predictions are explained, and which are learned from.

    Args:
        dataset: the data.
        spec: how many.
        seed: of the draw of the second.
        avoid: predictions that are neither.

    Returns:
        Two lists of numbers without a common one.
    """
    candidates = dataset.explained
    if avoid is not None:
        candidates = candidates[~torch.isin(candidates, avoid)]
    is_test = torch.isin(candidates, dataset.split["test"])
    test, others = candidates[is_test], candidates[~is_test]
    explained = spread(test, spec.instances)
    explained = torch.cat([explained, spread(others, spec.instances - len(explained))])
    train = dataset.split["train"]
    left_out = explained if avoid is None else torch.cat([explained, avoid])
    learned = drawn(train[~torch.isin(train, left_out)], spec.fit_instances, seed)
    return explained.tolist(), learned.tolist()


def spread(numbers: Tensor, count: int) -> Tensor:
    """``count`` of some numbers, evenly spread over them; all where there are fewer."""
    if count >= len(numbers):
        return numbers
    return numbers[torch.arange(count) * len(numbers) // max(count, 1)]


def drawn(numbers: Tensor, count: int, seed: int) -> Tensor:
    """``count`` of some numbers, drawn at random, in their order."""
    if count >= len(numbers):
        return numbers
    chosen = np.random.default_rng([seed, *b"fit"]).permutation(len(numbers))[:count]
    return numbers[torch.from_numpy(np.sort(chosen))]


def reference(
    dataset: ExplanationDataset, seed: int, cache: Path, kind: str | None = None
) -> tuple[nn.Module, float]:
    """The reference model and its test accuracy, from the folder of trained ones if it is there."""
    found = reference_model(dataset, seed=seed, progress=False, architecture=kind, cache=cache)
    return found.model, found.accuracy["test"]
