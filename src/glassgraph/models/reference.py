"""Trained reference models: one recipe per data set, weights chosen without test labels.

The recipes, and why they are what they are, stand in `models.recipes`. With a folder for trained
models nothing is trained twice, see `models.cache`.

An attempt is good enough with the bar's validation accuracy and a training accuracy halfway between
the bar and 1 (a small validation part alone lets an underfitted model pass); otherwise the next
initialization is tried, three in all, and the best one is taken. Test labels are read only for the
report.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch

from glassgraph.errors import HyperParameterError
from glassgraph.models.cache import Asked, Made, cached
from glassgraph.models.gnn import GNN
from glassgraph.models.recipes import OTHER as _OTHER
from glassgraph.models.recipes import RECIPES as _RECIPES
from glassgraph.models.recipes import Recipe, with_layers
from glassgraph.models.training import Trainable, Training, accuracy, train
from glassgraph.models.weights import build_model

ATTEMPTS = 3


class Classified(Trainable, Protocol):
    """A trainable data set that knows its sizes."""

    @property
    def num_classes(self) -> int:
        """C."""

    @property
    def num_features(self) -> int:
        """F."""


@dataclass(frozen=True)
class TrainedModel:
    """A model, and how good it is.

    Attributes:
        model: In evaluation mode, on the CPU.
        accuracy: Shares of correct classes under "train", "val" and "test".
        required: The test accuracy that the data set asks for; None where there is no bar.
        reached: Whether the test accuracy is at least `required`; true where there is no bar.
        training: How the chosen attempt went.
        seconds: What the training took, all attempts together.
        file: The file that the model was read from; None if it was trained by this call.
    """

    model: GNN
    accuracy: dict[str, float]
    required: float | None
    reached: bool
    training: Training
    seconds: float = 0.0
    file: Path | None = None


_DEFAULTS = {"node": {"epochs": 2000, "patience": 1000}, "graph": {}}


def reference_model(
    dataset: Classified,
    seed: int = 0,
    progress: bool = True,
    *,
    architecture: str | None = None,
    cache: str | Path | None = None,
    epochs: int | None = None,
) -> TrainedModel:
    """Train the reference model of a data set, or read it where it was trained before.

    Args:
        dataset: What `glassgraph.datasets.load_dataset` gives; any other data set with the same
            attributes takes a plain GCN (node level) or GIN (graph level), without a bar.
        seed: Seed of initialization, dropout and shuffling; the caller's random state is not
            touched.
        progress: Show a progress bar.
        architecture: Layers of another kind, `"gcn"`, `"gin"`, `"gat"`, `"sage"` or `"rgcn"`, in
            the place of the recipe's, to ask whether explanations depend on them. The bar is that
            of the data set, and not every kind can reach it.
        cache: Folder of trained models (`models.default_cache()` is that of the commands); None
            keeps and reads none.
        epochs: The most epochs of each attempt, for a model that is not meant to be good.

    Returns:
        The model and its accuracies. A missed bar is reported in `reached`, not raised.

    Raises:
        HyperParameterError: if the split has no train or no validation part, the architecture is
            unknown, or it needs edge types that the data lack.
        OutputError: if `cache` is a file.

    Warns:
        ModelCacheWarning: if a file of the cache is damaged (the model is trained again), or cannot
            be written.
    """
    recipe = _RECIPES.get(dataset.name, _OTHER[dataset.level])
    recipe = with_layers(recipe, dataset.name, architecture)
    options = {**_DEFAULTS[dataset.level], **recipe.training}
    if epochs is not None:
        options["epochs"] = epochs
    description = _architecture(dataset, recipe)

    def make() -> Made:
        return _train(dataset, recipe.required, description, options, seed, progress)

    if cache is None:
        made, file = make(), None
    else:
        whole = {
            **description,
            "training": options,
            "required": recipe.required,
            "attempts": ATTEMPTS,
        }
        made, file = cached(cache, Asked(whole, dataset, seed), make)
    return TrainedModel(
        model=made.model,
        accuracy=made.accuracy,
        required=recipe.required,
        reached=recipe.required is None or made.accuracy["test"] >= recipe.required,
        training=made.training,
        seconds=made.seconds,
        file=file,
    )


def _train(
    dataset: Classified,
    required: float | None,
    architecture: dict[str, object],
    options: dict[str, float],
    seed: int,
    progress: bool,
) -> Made:
    """The best of some attempts."""
    begin = time.perf_counter()
    attempts = []
    for attempt in range(ATTEMPTS):
        attempt_seed = ATTEMPTS * seed + attempt
        model = _initialize(architecture, attempt_seed)
        training = train(model, dataset, seed=attempt_seed, progress=progress, **options)  # type: ignore[arg-type]
        attempts.append((_rank(training, required), model, training))
        if _is_enough(training, required):
            break
    _, model, training = max(attempts, key=lambda entry: entry[0])
    return Made(model, accuracy(model, dataset), training, time.perf_counter() - begin)


def _is_enough(training: Training, required: float | None) -> bool:
    if required is None:
        return True
    return training.val_accuracy >= required and training.train_accuracy >= (1 + required) / 2


def _rank(training: Training, required: float | None) -> tuple[float, ...]:
    enough = _is_enough(training, required)
    return enough, training.val_accuracy, training.train_accuracy, -training.val_loss


def _architecture(dataset: Classified, recipe: Recipe) -> dict[str, object]:
    """What `build_model` takes, with the sizes of the data set."""
    relations: dict[str, object] = {}
    if recipe.architecture["kind"] == "rgcn":
        if not all("edge_type" in graph for graph in dataset.graphs):
            raise HyperParameterError(f"an rgcn needs edge types, which {dataset.name} lacks")
        highest = max(int(graph.edge_type.max()) for graph in dataset.graphs if graph.num_edges)
        relations["num_relations"] = 1 + highest
    return {
        **recipe.architecture,
        **relations,
        "level": dataset.level,
        "in_channels": dataset.num_features,
        "out_channels": dataset.num_classes,
    }


def _initialize(architecture: dict[str, object], seed: int) -> GNN:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # noqa: TID251 - inside the forked random state
        return build_model(architecture)
