"""Accuracy of a classifier of graphs by stratified cross-validation, and how the epoch is chosen.

On a data set of 188 graphs the choice of the epoch is worth several points, so it is part of the
result. Three protocols, by what the weights of an epoch are chosen with:

``validation``
    the fold behind the test fold, which is not trained on. Nothing of the test fold is used.
``training``
    the training folds themselves (nine of ten); the last word has the loss. Nothing of the test
    fold is used.
``test``
    the test fold itself. This is optimistic, and no estimate of accuracy on other graphs; it is
    here as published numbers are often taken like this, or with one epoch for all folds that is
    best on the average of the test folds (Xu et al., "How Powerful are Graph Neural Networks?",
    ICLR 2019).
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch_geometric.data import Data

from glassgraph.datasets import ExplanationDataset
from glassgraph.datasets.base import generator, graph_labels
from glassgraph.errors import HyperParameterError
from glassgraph.models import accuracy, train

Protocol = Literal["validation", "training", "test"]
PROTOCOLS: tuple[Protocol, ...] = ("validation", "training", "test")


@dataclass(frozen=True)
class _Fold:
    """What the trainer needs of a data set."""

    name: str
    level: Literal["node", "graph"]
    graphs: list[Data]
    split: dict[str, Tensor]


def folds(labels: Tensor, number: int, seed: int) -> list[Tensor]:
    """Cut items into folds of equal size that hold each class in the same share, up to one item.

    Args:
        labels: the class of each item `[N]`.
        number: of folds.
        seed: of the order.

    Raises:
        HyperParameterError: if there are fewer than three folds, or items for them.
    """
    if not 3 <= number <= len(labels):
        raise HyperParameterError(
            f"folds must be at least 3 and at most {len(labels)}, the number of graphs; got "
            f"{number}"
        )
    rng = generator(seed, "folds")
    order = torch.from_numpy(rng.permutation(len(labels)))
    by_class = order[labels[order].argsort(stable=True)]
    return [by_class[first::number].sort().values for first in range(number)]


def split_of(parts: list[Tensor], test: int, protocol: Protocol) -> dict[str, Tensor]:
    """What is trained on, what chooses the epoch ("val"), and what is reported ("test").

    Raises:
        HyperParameterError: if there is no such protocol.
    """
    if protocol not in PROTOCOLS:
        raise HyperParameterError(f"there is no protocol {protocol!r}; there are {PROTOCOLS}")
    held_out = {test}
    if protocol == "validation":
        held_out.add((test + 1) % len(parts))
    learned = torch.cat([part for number, part in enumerate(parts) if number not in held_out])
    chooses = {
        "validation": parts[(test + 1) % len(parts)],
        "training": learned,
        "test": parts[test],
    }
    return {"train": learned, "val": chooses[protocol], "test": parts[test]}


def cross_validate(
    dataset: ExplanationDataset,
    make: Callable[[int], nn.Module],
    training: Mapping[str, Any],
    *,
    number: int = 10,
    seed: int = 0,
    protocol: Protocol = "validation",
    progress: bool = False,
) -> list[float]:
    """The accuracy on each fold of a model trained on the others.

    Args:
        dataset: graphs with classes.
        make: a fresh model for a seed.
        training: arguments of `glassgraph.models.train`.
        number: of folds.
        seed: of the folds, the models and their training.
        protocol: see the module.
        progress: show progress bars.

    Raises:
        HyperParameterError: if there is no such protocol, or the folds are too few or too many.
    """
    parts = folds(graph_labels(dataset.graphs), number, seed)
    found = []
    for test in range(number):
        split = split_of(parts, test, protocol)
        fold = _Fold(f"fold {test + 1} of {number}", dataset.level, dataset.graphs, split)
        model = make(number * seed + test)
        train(model, fold, seed=number * seed + test, progress=progress, **training)
        found.append(accuracy(model, fold)["test"])
    return found


def summary(runs: list[list[float]]) -> dict[str, float]:
    """Of the accuracies on the folds of several runs, each with folds of its own.

    Returns:
        ``mean`` over all, ``std`` over the folds of a run (averaged over the runs), and the mean of
        the least accurate run, ``least``.
    """
    means = [statistics.fmean(run) for run in runs]
    return {
        "mean": statistics.fmean(means),
        "std": statistics.fmean(statistics.pstdev(run) for run in runs),
        "least": min(means),
    }
