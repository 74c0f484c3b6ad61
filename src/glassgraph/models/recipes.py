"""How the reference model of each data set is built and trained, and the bar it has to reach.

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
- negative-evidence: one GIN layer, as the label compares two counts of neighbors.
- logic7, logic8: the network of benzene. Nine in ten molecules of logic7 have label 0, so that 0.91
  is what a constant reaches; the bar is 0.95. For logic8 a constant reaches 0.82, the network some
  0.94 in twenty epochs, and the bar is 0.92.
- reddit-binary: a GIN (Xu et al., ICLR 2019, with constant features) with the mean and the maximum
  over the nodes, of three layers and for twelve epochs, for speed; no bar.
- sst: three GCN layers, as the survey's for Graph-SST2, here on constituency trees with words of 50
  numbers; no bar.
- cora, citeseer: two GCN layers (Kipf and Welling, ICLR 2017) of 64 channels, and strong weight
  decay in the place of normalized features; no bar.

Any of them is also trained with layers of another kind: the same width, depth and readout, the same
training. Where a label counts neighbors, or nothing but edges tells nodes apart (`COUNTING`), these
layers sum, so far as they can; elsewhere they average as published.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from glassgraph.errors import HyperParameterError
from glassgraph.models.gnn import MODELS


@dataclass(frozen=True)
class Recipe:
    """How a model is built and trained.

    Attributes:
        architecture: What `build_model` takes, but for the sizes that the data set decides.
        required: The test accuracy that is asked for; None for no bar.
        training: What `train` takes.
    """

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
_MOLECULE = {
    "kind": "rgcn",
    "hidden_channels": 32,
    "aggr": "add",
    "body": {"concat": False, "pool": ("mean",), "activate_last": True},
}
_CITATIONS = {
    "kind": "gcn",
    "hidden_channels": 64,
    "body": {"num_layers": 2, "concat": False, "dropout": 0.7},
}
_CITATION_TRAINING = {"epochs": 150, "patience": 100, "weight_decay": 0.01}
RECIPES = {
    "ba-shapes": Recipe(_PAPER, 0.95),
    "tree-cycles": Recipe(_PAPER, 0.95),
    "tree-grid": Recipe(_PAPER, 0.95),
    "ba-community": Recipe(
        {
            "kind": "gin",
            "hidden_channels": 20,
            "body": {"l2_normalize": True, "dropout": 0.1},
        },
        0.90,
        {"epochs": 600, "learning_rate": 0.005, "weight_decay": 0.001},
    ),
    "ba-2motifs": Recipe(_PUBLISHED_GRAPH, 0.95, {"epochs": 100, "patience": 30}),
    "star-graphs": Recipe(
        {
            "kind": "rgcn",
            "hidden_channels": 32,
            "aggr": "add",
            "body": {"num_layers": 1, "pool": ("add",)},
        },
        0.99,
        {"epochs": 15, "patience": 5, "batch_size": 256},
    ),
    "infection": Recipe(
        {
            "kind": "sage",
            "hidden_channels": 20,
            "aggr": "add",
            "body": {"num_layers": 4, "concat": False},
        },
        0.99,
        {"epochs": 400, "learning_rate": 0.005, "weight_decay": 0.0003, "clip": 2.0},
    ),
    "benzene": Recipe(
        {
            "kind": "rgcn",
            "hidden_channels": 32,
            "aggr": "add",
            "body": {"num_layers": 3, "concat": False, "pool": ("mean",), "activate_last": True},
        },
        0.95,
        {"epochs": 15, "patience": 5, "learning_rate": 0.005},
    ),
    "is-acyclic": Recipe(
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
    "mutag": Recipe(
        _PUBLISHED_GRAPH, None, {"epochs": 300, "patience": 100, "learning_rate": 0.003}
    ),
    "negative-evidence": Recipe(
        {"kind": "gin", "hidden_channels": 32, "body": {"num_layers": 1, "concat": False}},
        0.99,
        {"epochs": 300, "patience": 300},
    ),
    "logic7": Recipe(_MOLECULE, 0.95, {"epochs": 60, "patience": 30, "learning_rate": 0.01}),
    "logic8": Recipe(_MOLECULE, 0.92, {"epochs": 20, "patience": 15, "learning_rate": 0.01}),
    "reddit-binary": Recipe(
        {"kind": "gin", "hidden_channels": 32, "body": {"pool": ("mean", "max")}},
        None,
        {
            "epochs": 12,
            "patience": 12,
            "learning_rate": 0.005,
            "batch_size": 32,
            "clip": 1.0,
        },
    ),
    "sst": Recipe(
        {
            "kind": "gcn",
            "hidden_channels": 64,
            "body": {"concat": False, "pool": ("mean", "max"), "dropout": 0.3},
        },
        None,
        {"epochs": 20, "patience": 20, "learning_rate": 0.003, "weight_decay": 0.0001},
    ),
    "cora": Recipe(_CITATIONS, None, _CITATION_TRAINING),
    "citeseer": Recipe(_CITATIONS, None, _CITATION_TRAINING),
    "mutagenicity": Recipe(_GRAPH, None, {"epochs": 30, "patience": 10, "batch_size": 128}),
}
OTHER = {
    "node": Recipe({"kind": "gcn", "hidden_channels": 32}, None, {"weight_decay": 0.0005}),
    "graph": Recipe(_GRAPH, None, {"epochs": 100, "patience": 30}),
}
#: Data sets whose labels are counts, or whose nodes look alike.
COUNTING = {
    "ba-shapes",
    "ba-2motifs",
    "tree-cycles",
    "tree-grid",
    "star-graphs",
    "infection",
    "negative-evidence",
    "is-acyclic",
    "reddit-binary",
}
#: Options that not every kind of layer takes.
_OF_KIND = ("normalize", "aggr", "heads", "num_bases", "num_relations")


def with_layers(recipe: Recipe, name: str, kind: str | None) -> Recipe:
    """The recipe with layers of another kind, if asked.

    Args:
        recipe: Of a data set.
        name: Of the data set.
        kind: `"gcn"`, `"gin"`, `"gat"`, `"rgcn"` or `"sage"`; None for that of the recipe.

    Raises:
        HyperParameterError: if the kind is unknown.
    """
    if kind is None or kind == recipe.architecture["kind"]:
        return recipe
    if kind not in MODELS:
        raise HyperParameterError(f"architecture must be one of {sorted(MODELS)}, got {kind!r}")
    shared = {key: each for key, each in recipe.architecture.items() if key not in _OF_KIND}
    sums = name in COUNTING
    own: dict[str, dict[str, object]] = {
        "gcn": {"normalize": not sums},
        "sage": {"aggr": "add" if sums else "mean"},
        "rgcn": {"aggr": "add" if sums else "mean"},
        "gat": {"heads": 4},
    }
    return replace(recipe, architecture={**shared, "kind": kind, **own.get(kind, {})})
