"""A small trainer: Adam on the cross-entropy, and the weights of the best validation epoch.

Node level: one full-batch step per epoch. Graph level: shuffled mini-batches. All randomness
(shuffling, dropout) comes from `seed` inside a forked random state.

The best epoch has the highest validation accuracy, then the highest training accuracy, then the
lowest validation loss. The middle rule matters: with 70 validation nodes many epochs tie, and among
those the loss alone may pick one that fits the training nodes badly (tree-grid: 0.93 test accuracy
instead of 0.98). Test labels are never read for it.
"""

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from inspect import signature
from typing import Literal, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch_geometric.data import Batch, Data

from glassgraph.errors import HyperParameterError
from glassgraph.progress import progress_bar

Step = tuple[Data, Tensor]
"""A graph, and the rows of the model's output on it that count."""

Penalty = Callable[[nn.Module, Data], Tensor]
"""A scalar of the model on the graph of a step."""

EVALUATION_BATCH = 1024


class Trainable(Protocol):
    """What the trainer needs of a data set; `glassgraph.datasets.ExplanationDataset` has it."""

    @property
    def name(self) -> str:
        """A name for the progress bar."""

    @property
    def level(self) -> Literal["node", "graph"]:
        """Whether `split` holds node ids or graph ids."""

    @property
    def graphs(self) -> Sequence[Data]:
        """The graphs; one at node level."""

    @property
    def split(self) -> dict[str, Tensor]:
        """Ids under "train", "val" and "test"."""


@dataclass(frozen=True)
class Training:
    """How a training went.

    Attributes:
        epochs: Epochs that ran, the stopped ones included.
        best_epoch: The epoch (from 1) whose weights the model has now.
        val_accuracy: Validation accuracy of these weights, in [0, 1].
        train_accuracy: Training accuracy of these weights, in [0, 1].
        val_loss: Validation cross-entropy of these weights, in nats, and the penalty if any.
    """

    epochs: int
    best_epoch: int
    val_accuracy: float
    train_accuracy: float
    val_loss: float


def train(
    model: nn.Module,
    dataset: Trainable,
    *,
    epochs: int = 1000,
    learning_rate: float = 0.01,
    weight_decay: float = 0.0,
    batch_size: int = 64,
    patience: int = 300,
    clip: float | None = None,
    penalty: Penalty | None = None,
    seed: int = 0,
    progress: bool = True,
) -> Training:
    """Train a classifier in place and leave it in evaluation mode with its best validation weights.

    Args:
        model: A module whose `forward` takes attributes of the graphs by name and returns logits.
        dataset: Graphs with class numbers `y`, and a split.
        epochs: The most epochs to run.
        learning_rate: Adam's learning rate.
        weight_decay: Adam's L2 penalty.
        batch_size: Graphs per step at graph level; a node-level step takes the whole graph.
        patience: Stop after this many epochs without a better validation result.
        clip: Longest gradient of a step, all parameters together; None for no limit.
        penalty: Added to the cross-entropy of a step, `penalty(model, graph)`; None for nothing.
        seed: Seed of shuffling and dropout; the caller's random state is not touched.
        progress: Show a progress bar.

    Returns:
        What was reached, and when.

    Raises:
        HyperParameterError: if a number is not positive, or a part of the split is empty.
    """
    if min(epochs, patience, batch_size) < 1:
        raise HyperParameterError(
            "epochs, patience and batch_size must be positive, got "
            f"{epochs}, {patience} and {batch_size}"
        )
    if clip is not None and clip <= 0:
        raise HyperParameterError(f"clip must be positive, got {clip}")
    if not len(dataset.split["train"]) or not len(dataset.split["val"]):
        raise HyperParameterError(f"{dataset.name}: training needs a train and a validation part")
    optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate, weight_decay=weight_decay)
    device = next(model.parameters()).device
    best, best_epoch, best_weights = (-1.0, 0.0, 0.0), 0, copy.deepcopy(model.state_dict())
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)  # noqa: TID251 - inside the forked random state
        val_steps = list(_steps(model, dataset, "val", EVALUATION_BATCH))
        train_steps = list(_steps(model, dataset, "train", EVALUATION_BATCH))
        bar = progress_bar(range(1, epochs + 1), desc=f"train {dataset.name}", disable=not progress)
        for epoch in bar:
            model.train()
            for graph, rows in _steps(model, dataset, "train", batch_size, shuffle=True):
                optimizer.zero_grad()
                loss = functional.cross_entropy(*_outputs(model, graph, rows))
                (loss if penalty is None else loss + penalty(model, graph)).backward()
                if clip is not None:
                    nn.utils.clip_grad_norm_(model.parameters(), clip)
                optimizer.step()
            val_accuracy, val_loss = _evaluate(model, val_steps)
            if penalty is not None:
                with torch.no_grad():
                    found = [float(penalty(model, graph)) for graph, _ in val_steps]
                val_loss += sum(found) / len(found)
            if val_accuracy >= best[0]:
                score = (val_accuracy, _evaluate(model, train_steps)[0], -val_loss)
                if score > best:
                    best, best_epoch = score, epoch
                    best_weights = copy.deepcopy(model.state_dict())
                    bar.set_postfix(val=f"{val_accuracy:.3f}", refresh=False)
            if epoch - best_epoch >= patience:
                break
        bar.close()
    model.load_state_dict(best_weights)
    model.eval()
    return Training(
        epochs=epoch,
        best_epoch=best_epoch,
        val_accuracy=best[0],
        train_accuracy=best[1],
        val_loss=-best[2],
    )


def accuracy(model: nn.Module, dataset: Trainable) -> dict[str, float]:
    """The share of correct classes in each part of the split, in evaluation mode.

    Args:
        model: The classifier; every submodule is in the same mode afterwards.
        dataset: Graphs with class numbers `y`, and a split.

    Returns:
        Values in [0, 1] under "train", "val" and "test"; NaN for an empty part.
    """
    modes = {module: module.training for module in model.modules()}
    try:
        return {
            part: _evaluate(model, list(_steps(model, dataset, part, EVALUATION_BATCH)))[0]
            for part in dataset.split
        }
    finally:
        for module, mode in modes.items():
            module.training = mode


def _steps(
    model: nn.Module, dataset: Trainable, part: str, batch_size: int, shuffle: bool = False
) -> Iterator[Step]:
    """One pass over a part of the split, on the model's device."""
    device = next(model.parameters()).device
    ids = dataset.split[part]
    if dataset.level == "node":
        yield _slim(dataset.graphs[0], _wanted(model)).to(device), ids.to(device)
        return
    order = ids[torch.randperm(len(ids))] if shuffle else ids
    wanted = _wanted(model)
    for chunk in order.split(batch_size):
        batch = Batch.from_data_list([_slim(dataset.graphs[i], wanted) for i in chunk.tolist()])
        yield batch.to(device), torch.arange(len(chunk), device=device)


def _wanted(model: nn.Module) -> set[str]:
    """Attributes that the model and the loss read."""
    return {*signature(model.forward).parameters, "y"} - {"num_nodes"}


def _slim(graph: Data, wanted: set[str]) -> Data:
    """Just what is wanted, so that batching copies nothing else."""
    return Data(num_nodes=graph.num_nodes, **{k: graph[k] for k in wanted if k in graph})


def _outputs(model: nn.Module, graph: Data, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Logits and labels `[B, C]`, `[B]` of the rows that count."""
    arguments = {k: graph[k] for k in signature(model.forward).parameters if k in graph}
    return model(**arguments)[rows], graph.y[rows]


def _evaluate(model: nn.Module, steps: Sequence[Step]) -> tuple[float, float]:
    """Accuracy and mean cross-entropy over all rows that count."""
    model.eval()
    correct = total = loss = 0.0
    with torch.no_grad():
        for graph, rows in steps:
            logits, labels = _outputs(model, graph, rows)
            correct += float((logits.argmax(dim=-1) == labels).sum())
            loss += float(functional.cross_entropy(logits, labels, reduction="sum"))
            total += len(labels)
    return (correct / total, loss / total) if total else (float("nan"), float("nan"))
