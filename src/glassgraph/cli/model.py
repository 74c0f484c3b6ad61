"""Which model is explained: a trained one, a saved one, or one that the user's own file builds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from glassgraph.errors import CommandError, ModelFileError, WeightsError

if TYPE_CHECKING:
    from torch import nn

    from glassgraph.calling.model_file import ModelFile
    from glassgraph.datasets import ExplanationDataset
    from glassgraph.models import TrainedModel

KINDS = ("gcn", "gin", "gat", "rgcn", "sage")


@dataclass(frozen=True)
class ChosenModel:
    """The model, and how good it is where that is known.

    Attributes:
        model: the model.
        origin: ``"trained"``, ``"weights"`` or ``"file"``.
        accuracy: shares of correct classes in each part of the data set's split.
        required: test accuracy that the data set asks for.
        reached: whether it was reached; None where nothing is asked for.
        came_about: whether it was trained, read from the folder of trained models, or taken with
            the weights that its file gives it, in words.
        file: what it was built from, of one that the user's own file builds.
    """

    model: nn.Module
    origin: str
    accuracy: dict[str, float] | None = None
    required: float | None = None
    reached: bool | None = None
    came_about: str | None = None
    file: ModelFile | None = None

    def record(self) -> dict[str, object]:
        """For metrics.json."""
        return {
            "class": type(self.model).__name__,
            "origin": self.origin,
            "accuracy": self.accuracy,
            "accuracy_required": self.required,
            "accuracy_reached": self.reached,
        }


def check_choice(choice: str | None, weights: Path | None, source: str) -> None:
    """Refuse what cannot become a model, before anything takes time.

    Args:
        choice: what ``--model`` says.
        weights: what ``--weights`` says.
        source: the option that says where graphs come from.

    Raises:
        CommandError: if the options do not fit together.
        ModelFileError: if there is no such Python file.
        WeightsError: if there is no such weights file.
    """
    if choice is not None and choice not in KINDS:
        split_choice(choice)
    has_dataset = source == "--dataset"
    if choice is None and weights is None and not has_dataset:
        raise CommandError(f"{source} needs a model: --model FILE.py:factory, or --weights FILE")
    if choice in KINDS and weights is None and not has_dataset:
        raise CommandError(
            f"--model {choice} needs --weights FILE (saved by glassgraph) with {source}; training "
            "is for built-in data sets"
        )
    if weights is not None and not weights.is_file():
        raise WeightsError(f"no weights file at {weights}")


def choose_model(
    choice: str | None,
    weights: Path | None,
    dataset: ExplanationDataset | None,
    *,
    seed: int,
    progress: bool,
    cache: Path | None = None,
) -> ChosenModel:
    """Build, load or train the model; or read it where it was trained before.

    Raises:
        ModelFileError: if the user's file does not build a module.
        WeightsError: if weights do not fit.
        CommandError: if the kind and the weights or the data disagree.
    """
    from glassgraph.models import load_model

    if choice is not None and choice not in KINDS:
        from glassgraph.calling.model_file import ModelFile

        file = ModelFile(*split_choice(choice), weights)
        note = None if weights is not None else _as_built(choice)
        return _judged(ChosenModel(file.load(), "file", came_about=note, file=file), dataset)
    if weights is not None:
        saved = load_model(weights)
        if choice not in (None, saved.kind):
            raise CommandError(f"--model {choice}: {weights} holds a {saved.kind}")
        return _judged(ChosenModel(saved, "weights"), dataset)
    if dataset is None:
        raise CommandError("there is nothing to train on")
    return _trained(choice, dataset, seed, progress, cache)


def _judged(chosen: ChosenModel, dataset: ExplanationDataset | None) -> ChosenModel:
    """With its accuracy, where it is one of our own models on one of our own data sets."""
    from glassgraph.models import GNN, accuracy

    if dataset is None or not isinstance(chosen.model, GNN):
        return chosen
    expected = (dataset.num_features, dataset.num_classes, dataset.level)
    got = tuple(chosen.model.architecture[k] for k in ("in_channels", "out_channels", "level"))
    if got != expected:
        raise WeightsError(
            f"the model takes {got[0]} features, {got[1]} classes at the {got[2]} level; "
            f"{dataset.name} has {expected[0]}, {expected[1]} and {expected[2]}"
        )
    return replace(chosen, accuracy=accuracy(chosen.model, dataset))


def _trained(
    kind: str | None, dataset: ExplanationDataset, seed: int, progress: bool, cache: Path | None
) -> ChosenModel:
    from glassgraph.cli.training import train_kind
    from glassgraph.models import reference_model

    if kind is not None:
        trained = train_kind(kind, dataset, seed, progress, cache)
    else:
        trained = reference_model(dataset, seed=seed, progress=progress, cache=cache)
    reached = None if trained.required is None else trained.reached
    return ChosenModel(
        trained.model,
        "trained",
        trained.accuracy,
        trained.required,
        reached,
        _came_about(trained, cache),
    )


def _as_built(choice: str) -> str:
    """Weights that nobody trained explain nothing, and look like any others."""
    return (
        f"model: as {choice.rpartition(':')[2]}() builds it, with the weights it has then; if that "
        "function loads none they are random: give --weights FILE"
    )


def _came_about(trained: TrainedModel, cache: Path | None) -> str:
    if trained.file is not None:
        return f"model: read from {trained.file} (trained in {trained.seconds:.1f} s)"
    kept = "not kept" if cache is None else f"for another time see {cache}"
    return f"model: trained in {trained.seconds:.1f} s, {kept}"


def split_choice(choice: str, kinds: Sequence[str] = KINDS) -> tuple[Path, str]:
    """File and function of ``FILE.py:factory``.

    Args:
        choice: what ``--model`` says.
        kinds: words that it may be instead, for the error.

    Raises:
        CommandError: if it has another form.
        ModelFileError: if there is no such file.
    """
    file, colon, name = choice.rpartition(":")
    if not colon or not file.endswith(".py") or not name.isidentifier():
        others = f"{', '.join(kinds)}, or " if kinds else ""
        raise CommandError(f"--model takes {others}FILE.py:factory; got {choice!r}")
    if not Path(file).is_file():
        raise ModelFileError(f"no Python file at {file}")
    return Path(file), name
