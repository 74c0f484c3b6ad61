"""Train a model of a named kind on a built-in data set, where the reference model is not wanted."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glassgraph.errors import CommandError

if TYPE_CHECKING:
    from glassgraph.datasets import ExplanationDataset
    from glassgraph.models import TrainedModel
    from glassgraph.models.cache import Made

#: The layers of the papers' node models (Ying et al. 2019): plain sums, unit length.
_NODE = {"hidden_channels": 20, "body": {"l2_normalize": True}}
_GRAPH = {"hidden_channels": 32, "body": {"concat": True, "pool": ["add", "max"]}}
_TRAINING: dict[str, dict[str, Any]] = {
    "node": {"epochs": 2000, "patience": 1000},
    "graph": {"epochs": 200, "patience": 60, "learning_rate": 0.003},
}


def train_kind(
    kind: str, dataset: ExplanationDataset, seed: int, progress: bool, cache: Path | None = None
) -> TrainedModel:
    """Train a fresh model of one kind, or read it where it was trained before.

    Raises:
        CommandError: if the kind needs what the data lack.
    """
    from glassgraph.models.cache import Asked, cached
    from glassgraph.models.reference import TrainedModel

    architecture, options = _architecture(kind, dataset), _TRAINING[dataset.level]

    def make() -> Made:
        return _train(architecture, dataset, seed, progress, options)

    asked = Asked({**architecture, "training": options}, dataset, seed)
    made, file = (make(), None) if cache is None else cached(cache, asked, make)
    return TrainedModel(
        model=made.model,
        accuracy=made.accuracy,
        required=None,
        reached=True,
        training=made.training,
        seconds=made.seconds,
        file=file,
    )


def _architecture(kind: str, dataset: ExplanationDataset) -> dict[str, object]:
    architecture: dict[str, object] = {
        "kind": kind,
        "in_channels": dataset.num_features,
        "out_channels": dataset.num_classes,
        "level": dataset.level,
        **(_NODE if dataset.level == "node" else _GRAPH),
    }
    if kind == "gcn":
        architecture["normalize"] = dataset.level == "graph"
    if kind == "rgcn":
        if not all("edge_type" in graph for graph in dataset.graphs):
            raise CommandError(f"--model rgcn needs edge types, which {dataset.name} lacks")
        relations = 1 + max(int(graph.edge_type.max()) for graph in dataset.graphs)
        architecture["num_relations"] = relations
    return architecture


def _train(
    architecture: dict[str, object],
    dataset: ExplanationDataset,
    seed: int,
    progress: bool,
    options: dict[str, Any],
) -> Made:
    import torch

    from glassgraph.models import accuracy, build_model, train
    from glassgraph.models.cache import Made

    begin = time.perf_counter()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # noqa: TID251 - inside the forked random state
        model = build_model(architecture)
    training = train(model, dataset, seed=seed, progress=progress, **options)
    return Made(model, accuracy(model, dataset), training, time.perf_counter() - begin)
