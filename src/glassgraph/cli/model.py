"""Which model is explained: a trained one, a saved one, or one that the user's own file builds."""

from __future__ import annotations

import importlib.util
import itertools
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from glassgraph.errors import CommandError, ModelFileError, WeightsError

if TYPE_CHECKING:
    from torch import nn

    from glassgraph.datasets import ExplanationDataset
    from glassgraph.models import TrainedModel

KINDS = ("gcn", "gin", "gat", "rgcn", "sage")
_SHOWN_KEYS = 4
_numbers = itertools.count()


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
    """

    model: nn.Module
    origin: str
    accuracy: dict[str, float] | None = None
    required: float | None = None
    reached: bool | None = None
    came_about: str | None = None

    def record(self) -> dict[str, object]:
        """For metrics.json."""
        return {
            "class": type(self.model).__name__,
            "origin": self.origin,
            "accuracy": self.accuracy,
            "accuracy_required": self.required,
            "accuracy_reached": self.reached,
        }


def check_choice(choice: str | None, weights: Path | None, has_dataset: bool) -> None:
    """Refuse what cannot become a model, before anything takes time.

    Raises:
        CommandError: if the options do not fit together.
        ModelFileError: if there is no such Python file.
        WeightsError: if there is no such weights file.
    """
    if choice is not None and choice not in KINDS:
        _split(choice)
    if choice is None and weights is None and not has_dataset:
        raise CommandError("--data needs a model: --model FILE.py:factory, or --weights FILE")
    if choice in KINDS and weights is None and not has_dataset:
        raise CommandError(
            f"--model {choice} needs --weights FILE (saved by glassgraph) with --data; training is "
            "for built-in data sets"
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
        model = build_from_file(choice)
        if weights is not None:
            load_weights(model, weights)
        note = None if weights is not None else _as_built(choice)
        return _judged(ChosenModel(model.eval(), "file", came_about=note), dataset)
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


# The user's own file


def build_from_file(choice: str) -> nn.Module:
    """Run ``FILE.py`` and call the function in it that builds a model.

    Raises:
        ModelFileError: if the file or the function is missing, fails, or builds something else.
    """
    from torch import nn

    path, name = _split(choice)
    module = _run_file(path)
    factory = getattr(module, name, None)
    if not callable(factory):
        problem = "has no" if factory is None else "cannot call its"
        raise ModelFileError(f"{path} {problem} {name!r}; a function returning a model is expected")
    try:
        model = factory()
    except Exception as error:
        raise ModelFileError(
            f"{choice} failed: {type(error).__name__}: {error}{_where(error)}"
        ) from error
    if not isinstance(model, nn.Module):
        raise ModelFileError(f"{choice} returned a {type(model).__name__}, not a torch.nn.Module")
    return model


def _where(error: Exception) -> str:
    from glassgraph.calling.user_code import where_raised

    return where_raised(error)


def _split(choice: str) -> tuple[Path, str]:
    file, colon, name = choice.rpartition(":")
    if not colon or not file.endswith(".py") or not name.isidentifier():
        raise CommandError(f"--model takes {', '.join(KINDS)}, or FILE.py:factory; got {choice!r}")
    if not Path(file).is_file():
        raise ModelFileError(f"no Python file at {file}")
    return Path(file).resolve(), name


def _run_file(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"_glassgraph_user_{next(_numbers)}", path)
    if spec is None or spec.loader is None:
        raise ModelFileError(f"{path} is not importable")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses and pickle look their module up
    sys.path.insert(0, str(path.parent))  # for files beside it
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise ModelFileError(
            f"{path} failed: {type(error).__name__}: {error}{_where(error)}"
        ) from error
    finally:
        sys.path.remove(str(path.parent))
    return module


def load_weights(model: nn.Module, path: Path) -> None:
    """Load tensors into a model, all of them and no others.

    Raises:
        WeightsError: if the file is unreadable or does not fit, naming the first misfits.
    """
    tensors = _read_tensors(path)
    own = model.state_dict()
    problems = [f"{key} is missing" for key in own if key not in tensors]
    problems += [f"{key} is not in the model" for key in tensors if key not in own]
    for key in own:
        if key in tensors and tuple(own[key].shape) != tuple(tensors[key].shape):
            sizes = f"{list(tensors[key].shape)} in the file, {list(own[key].shape)} in the model"
            problems.append(f"{key} is {sizes}")
    if problems:
        shown = "; ".join(problems[:_SHOWN_KEYS])
        more = f"; and {len(problems) - _SHOWN_KEYS} more" if len(problems) > _SHOWN_KEYS else ""
        raise WeightsError(f"{path} does not fit {type(model).__name__}: {shown}{more}")
    for value in tensors.values():
        if value.is_floating_point():
            model.to(value.dtype)  # the precision follows the file
            break
    model.load_state_dict(tensors)


def _read_tensors(path: Path) -> dict[str, Any]:
    import pickle

    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise WeightsError(
            f"{path} holds pickled objects, which can run code; save the tensors alone: "
            "torch.save(model.state_dict(), path)"
        ) from error
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, SafetensorError) as error:
        raise WeightsError(f"{path} is no readable weights file: {error}") from error
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        content = content["state_dict"]
    if not isinstance(content, dict) or not all(
        isinstance(value, torch.Tensor) for value in content.values()
    ):
        raise WeightsError(f"{path} holds no state_dict: a dict from names to tensors is expected")
    return content
