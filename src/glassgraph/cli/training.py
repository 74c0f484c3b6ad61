"""Train a model of a named kind on a built-in data set, where the reference model is not wanted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from glassgraph.errors import CommandError

if TYPE_CHECKING:
    from glassgraph.datasets import ExplanationDataset
    from glassgraph.models import GNN

#: The layers of the papers' node models (Ying et al. 2019): plain sums, unit length.
_NODE = {"hidden_channels": 20, "body": {"l2_normalize": True}}
_GRAPH = {"hidden_channels": 32, "body": {"concat": True, "pool": ["add", "max"]}}
_TRAINING: dict[str, dict[str, Any]] = {
    "node": {"epochs": 2000, "patience": 1000},
    "graph": {"epochs": 200, "patience": 60, "learning_rate": 0.003},
}


def train_kind(
    kind: str, dataset: ExplanationDataset, seed: int, progress: bool
) -> tuple[GNN, dict[str, float]]:
    """Train a fresh model of one kind.

    Returns:
        The model and its accuracy in each part of the split.

    Raises:
        CommandError: if the kind needs what the data lack.
    """
    import torch

    from glassgraph.models import accuracy, build_model, train

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
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # noqa: TID251 - inside the forked random state
        model = build_model(architecture)
    train(model, dataset, seed=seed, progress=progress, **_TRAINING[dataset.level])
    return model, accuracy(model, dataset)
