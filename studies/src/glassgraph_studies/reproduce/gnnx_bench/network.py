"""GNNX-Bench's network for Mutagenicity: a GCN with batch normalization and a maximum over atoms.

Three layers of width 20, each with batch normalization and a ReLU, the maximum over the atoms, one
linear layer; code at https://github.com/idea-iitd/gnn-x-bench. It is kept in the folder of trained
models as the library's own are (`glassgraph.models.cache`).
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from glassgraph.datasets import ExplanationDataset
from glassgraph.models import GNN, accuracy, build_model, train
from glassgraph.models.cache import Asked, Made, cached

ARCHITECTURE: dict[str, Any] = {
    "kind": "gcn",
    "hidden_channels": 20,
    "level": "graph",
    "body": {
        "num_layers": 3,
        "concat": False,
        "pool": ["max"],
        "activate_last": True,
        "batch_norm": True,
    },
}
#: Chosen on the validation part; see docs/gnnx_bench.md.
TRAINING: dict[str, Any] = {
    "epochs": 120,
    "patience": 120,
    "learning_rate": 0.003,
    "batch_size": 32,
}


@dataclass(frozen=True)
class Network:
    """The trained network.

    Attributes:
        model: in evaluation mode.
        accuracy: shares of correct classes of "train", "val" and "test".
        file: which file it was read from; None if it was trained now.
    """

    model: GNN
    accuracy: dict[str, float]
    file: Path | None


def network(
    dataset: ExplanationDataset,
    seed: int,
    cache: Path | str | None = None,
    epochs: int | None = None,
    *,
    progress: bool = True,
) -> Network:
    """Train the network, or read it where it was trained before.

    Args:
        dataset: Mutagenicity.
        seed: of initialization and shuffling.
        cache: folder of trained models; None keeps and reads none.
        epochs: the most, where it is not meant to be good.
        progress: show a progress bar.
    """
    description = {
        **ARCHITECTURE,
        "in_channels": dataset.num_features,
        "out_channels": dataset.num_classes,
    }
    training = TRAINING if epochs is None else {**TRAINING, "epochs": epochs}

    def make() -> Made:
        begin = time.perf_counter()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)  # noqa: TID251 - inside the forked random state
            model = build_model(description)
        went = train(model, dataset, seed=seed, progress=progress, **training)
        return Made(model, accuracy(model, dataset), went, time.perf_counter() - begin)

    if cache is None:
        made, file = make(), None
    else:
        made, file = cached(
            cache, Asked({**description, "training": training}, dataset, seed), make
        )
    return Network(made.model, made.accuracy, file)
