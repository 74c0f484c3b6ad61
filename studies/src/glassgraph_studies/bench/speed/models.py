"""The models that the speed of methods is measured on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from glassgraph.datasets import ExplanationDataset
from glassgraph.errors import TaskError
from glassgraph.models import reference_model
from glassgraph.models.gnn import GAT, GCN, GNN, Body
from glassgraph.models.training import accuracy, train

HIDDEN = 20
#: A short training: the speed does not depend on what has been learned.
_SHORT: dict[str, dict[str, Any]] = {
    "node": {"epochs": 200, "patience": 200},
    "graph": {"epochs": 30, "patience": 30},
}


def model_name(method: str) -> str:
    """Which model a method is measured on: ``"reference"``, ``"gat"`` or ``"mean pooling"``."""
    return {"attention": "gat", "cam": "mean pooling"}.get(method, "reference")


def trained_model(
    name: str, dataset: ExplanationDataset, seed: int, *, progress: bool
) -> tuple[GNN, float]:
    """A model and its test accuracy.

    Args:
        name: see `model_name`; a GAT has heads to look at, mean pooling is what CAM asks for.
        dataset: what it is trained on.
        seed: of the initialization and the training.
        progress: show a progress bar.

    Raises:
        TaskError: for pooling where nodes are classified.
    """
    if name == "reference":
        found = reference_model(dataset, seed=seed, progress=progress)
        return found.model, found.accuracy["test"]
    if name == "mean pooling" and dataset.level == "node":
        raise TaskError("cam explains graphs, and here nodes are explained")
    make: Callable[..., GNN] = GAT
    options: dict[str, Any] = {}
    if name == "mean pooling":
        make, options = GCN, {"normalize": False, "body": Body(concat=False, pool=("mean",))}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # noqa: TID251 - inside the forked random state
        model = make(
            dataset.num_features, HIDDEN, dataset.num_classes, level=dataset.level, **options
        )
    train(model, dataset, seed=seed, progress=progress, **_SHORT[dataset.level])
    return model, accuracy(model, dataset)["test"]
