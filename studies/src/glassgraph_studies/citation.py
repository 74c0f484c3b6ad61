"""Citation graphs, and the networks that papers explain on them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn import GAT, GCN

from glassgraph.datasets import ExplanationDataset
from glassgraph.datasets.planetoid import planetoid
from glassgraph.errors import DatasetError
from glassgraph.models.training import accuracy, train

#: Channels of the hidden layer.
HIDDEN = 16
#: Initializations of a GAT that are tried.
_ATTEMPTS = 3


@dataclass(frozen=True)
class Citations:
    """A graph and a trained network.

    Attributes:
        dataset: the graph, with its split.
        model: the network, in evaluation mode.
        test_accuracy: in [0, 1].
    """

    dataset: ExplanationDataset
    model: nn.Module
    test_accuracy: float

    @property
    def graph(self) -> Data:
        """The graph."""
        return self.dataset.graphs[0]

    def some_tests(self, number: int) -> Tensor:
        """Nodes of the test part, evenly spread."""
        test = self.dataset.split["test"]
        count = min(number, len(test))
        return test[torch.linspace(0, len(test) - 1, count).round().long()]


def gcn(dataset: ExplanationDataset, seed: int, *, progress: bool) -> Citations:
    """The GCN of Kipf and Welling: two layers, 200 epochs, dropout and weight decay as published.

    The weights are those of the best epoch on the validation part.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # noqa: TID251 - inside the forked random state
        model = GCN(dataset.num_features, HIDDEN, 2, dataset.num_classes, dropout=0.5)
    train(model, dataset, epochs=200, weight_decay=5e-4, seed=seed, progress=progress)
    return Citations(dataset, model, accuracy(model, dataset)["test"])


def gat(dataset: ExplanationDataset, seed: int, epochs: int, *, progress: bool) -> Citations:
    """A GAT of two layers, 16 channels in 8 heads, at a learning rate of 0.005.

    Of three initializations the one with the best validation accuracy is taken.
    """
    best: tuple[float, nn.Module] | None = None
    for attempt in range(_ATTEMPTS):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed + attempt)  # noqa: TID251 - inside the forked random state
            model = GAT(dataset.num_features, HIDDEN, 2, dataset.num_classes, heads=8, dropout=0.6)
        training = train(
            model,
            dataset,
            epochs=epochs,
            learning_rate=0.005,
            weight_decay=5e-4,
            seed=seed + attempt,
            progress=progress,
        )
        if best is None or training.val_accuracy > best[0]:
            best = training.val_accuracy, model
    assert best is not None
    return Citations(dataset, best[1], accuracy(best[1], dataset)["test"])


def load(root: Path | str) -> ExplanationDataset:
    """Cora.

    Raises:
        DatasetError: if the files are not there.
    """
    if not Path(root).is_dir():
        raise DatasetError(f"no folder at {root}; name the one of ind.cora.x and its kind")
    return planetoid("cora", root)
