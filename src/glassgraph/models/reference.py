"""Trained reference models: one recipe per data set, weights chosen without test labels.

An explanation can only be held against the planted motif where the model has learned the motif, so
each such data set has a bar of test accuracy: 0.95, 0.90 for ba-community, 0.99 for star-graphs and
infection, 0.978 (as published) for is-acyclic, 0.95 for benzene.

- ba-shapes, tree-cycles, tree-grid: the papers' node model, three layers of 20 channels that sum
  over the neighbors, L2-normalized and concatenated (Ying et al., "GNNExplainer", 2019).
- ba-community: a GIN of the same shape. The papers' layer leaves out the node itself, and with
  features that tell the classes apart it stayed between 0.84 and 0.94; a GIN reaches 0.95 and more.
- ba-2motifs, mutag: the published graph model, the same layer, not normalized, with the mean and
  the maximum over the nodes. mutag has no bar: about 0.8 is usual, with 20 test graphs.
- infection: four GraphSAGE layers of 20 channels with sums, as in He et al., "Explaining GNN
  Explanations with Edge Gradients", 2025. They train 100 epochs of four graphs, one step each; here
  the graphs are one, so there are as many steps of all. Gradients are clipped.
- star-graphs: one R-GCN layer that sums instead of averaging, since the label compares two counts,
  and a sum over the nodes. Colors weighted by the question are enough; no more layers are needed.
- benzene: three R-GCN layers with sums, averaged over the atoms and read out linearly. A GIN, which
  does not see the kinds of bonds, stayed around 0.9 on validation molecules.
- is-acyclic: a GIN that sums over the nodes. Whether a graph has a cycle is a sum, and the paper's
  GCN with a mean over the nodes stayed between 0.92 and 1 on validation graphs. Gradients are
  clipped, as sums over many nodes are large at first.
- mutagenicity: a GIN with sum and maximum; no bar.

An attempt is good enough with the bar's validation accuracy and a training accuracy halfway between
the bar and 1 (a small validation part alone lets an underfitted model pass); otherwise the next
initialization is tried, three in all, and the best one is taken. Test labels are read only for the
report.
"""

from dataclasses import dataclass, field
from typing import Protocol

import torch

from glassgraph.models.gnn import GNN
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
    """

    model: GNN
    accuracy: dict[str, float]
    required: float | None
    reached: bool
    training: Training


@dataclass(frozen=True)
class _Recipe:
    architecture: dict[str, object]
    required: float | None = None
    training: dict[str, float] = field(default_factory=dict)


_PAPER = {
    "kind": "gcn",
    "hidden_channels": 20,
    "normalize": False,
    "body": {"l2_normalize": True},
}
_PUBLISHED_GRAPH = {
    "kind": "gcn",
    "hidden_channels": 20,
    "normalize": False,
    "body": {"concat": False, "pool": ("mean", "max")},
}
_GRAPH = {
    "kind": "gin",
    "hidden_channels": 32,
    "body": {"concat": True, "pool": ("add", "max")},
}
_RECIPES = {
    "ba-shapes": _Recipe(_PAPER, 0.95),
    "tree-cycles": _Recipe(_PAPER, 0.95),
    "tree-grid": _Recipe(_PAPER, 0.95),
    "ba-community": _Recipe(
        {
            "kind": "gin",
            "hidden_channels": 20,
            "body": {"l2_normalize": True, "dropout": 0.1},
        },
        0.90,
        {"epochs": 600, "learning_rate": 0.005, "weight_decay": 0.001},
    ),
    "ba-2motifs": _Recipe(_PUBLISHED_GRAPH, 0.95, {"epochs": 100, "patience": 30}),
    "star-graphs": _Recipe(
        {
            "kind": "rgcn",
            "hidden_channels": 32,
            "aggr": "add",
            "body": {"num_layers": 1, "pool": ("add",)},
        },
        0.99,
        {"epochs": 15, "patience": 5, "batch_size": 256},
    ),
    "infection": _Recipe(
        {
            "kind": "sage",
            "hidden_channels": 20,
            "aggr": "add",
            "body": {"num_layers": 4, "concat": False},
        },
        0.99,
        {"epochs": 400, "learning_rate": 0.005, "weight_decay": 0.0003, "clip": 2.0},
    ),
    "benzene": _Recipe(
        {
            "kind": "rgcn",
            "hidden_channels": 32,
            "aggr": "add",
            "body": {"num_layers": 3, "concat": False, "pool": ("mean",), "activate_last": True},
        },
        0.95,
        {"epochs": 15, "patience": 5, "learning_rate": 0.005},
    ),
    "is-acyclic": _Recipe(
        {"kind": "gin", "hidden_channels": 32, "body": {"pool": ("add",)}},
        0.978,
        {
            "epochs": 150,
            "patience": 150,
            "learning_rate": 0.005,
            "batch_size": 32,
            "clip": 1.0,
        },
    ),
    "mutag": _Recipe(
        _PUBLISHED_GRAPH, None, {"epochs": 300, "patience": 100, "learning_rate": 0.003}
    ),
    "mutagenicity": _Recipe(_GRAPH, None, {"epochs": 30, "patience": 10, "batch_size": 128}),
}
_OTHER = {
    "node": _Recipe({"kind": "gcn", "hidden_channels": 32}, None, {"weight_decay": 0.0005}),
    "graph": _Recipe(_GRAPH, None, {"epochs": 100, "patience": 30}),
}
_DEFAULTS = {"node": {"epochs": 2000, "patience": 1000}, "graph": {}}


def reference_model(dataset: Classified, seed: int = 0, progress: bool = True) -> TrainedModel:
    """Train the reference model of a data set.

    Args:
        dataset: What `glassgraph.datasets.load_dataset` gives; any other data set with the same
            attributes takes a plain GCN (node level) or GIN (graph level), without a bar.
        seed: Seed of initialization, dropout and shuffling; the caller's random state is not
            touched.
        progress: Show a progress bar.

    Returns:
        The model and its accuracies. A missed bar is reported in `reached`, not raised.

    Raises:
        HyperParameterError: if the split has no train or no validation part.
    """
    recipe = _RECIPES.get(dataset.name, _OTHER[dataset.level])
    attempts = []
    for attempt in range(ATTEMPTS):
        attempt_seed = ATTEMPTS * seed + attempt
        model = _initialize(dataset, recipe, attempt_seed)
        options = {**_DEFAULTS[dataset.level], **recipe.training}
        training = train(model, dataset, seed=attempt_seed, progress=progress, **options)  # type: ignore[arg-type]
        attempts.append((_rank(training, recipe.required), model, training))
        if _is_enough(training, recipe.required):
            break
    _, model, training = max(attempts, key=lambda entry: entry[0])
    shares = accuracy(model, dataset)
    return TrainedModel(
        model=model,
        accuracy=shares,
        required=recipe.required,
        reached=recipe.required is None or shares["test"] >= recipe.required,
        training=training,
    )


def _is_enough(training: Training, required: float | None) -> bool:
    if required is None:
        return True
    return training.val_accuracy >= required and training.train_accuracy >= (1 + required) / 2


def _rank(training: Training, required: float | None) -> tuple[float, ...]:
    enough = _is_enough(training, required)
    return enough, training.val_accuracy, training.train_accuracy, -training.val_loss


def _initialize(dataset: Classified, recipe: _Recipe, seed: int) -> GNN:
    relations: dict[str, object] = {}
    if recipe.architecture["kind"] == "rgcn":
        highest = max(int(graph.edge_type.max()) for graph in dataset.graphs if graph.num_edges)
        relations["num_relations"] = 1 + highest
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # noqa: TID251 - inside the forked random state
        return build_model(
            {
                **recipe.architecture,
                **relations,
                "level": dataset.level,
                "in_channels": dataset.num_features,
                "out_channels": dataset.num_classes,
            }
        )
