"""What the edge gradients study explains: data, a trained network, and some of its predictions.

``negative-evidence`` and ``negative-evidence-3``
    nodes whose label compares colored neighbors (`glassgraph.datasets.negative_evidence`), and one
    layer of sums. All nodes that are asked about are explained, in He et al. as here.
``infection``
    distances from infected nodes on undirected graphs, and four layers of GraphSAGE with sums, as
    in the authors' script: 100 epochs with a step for each of the four graphs; the last weights are
    explained. Explained are nodes of the test graph that have a neighbor.
``infection-pyg``
    the same, drawn by PyG in the order of the authors' script from the global seed: with seed 0 on
    the CPU it is their own graph and, but for rounding, their own network. Explained is every node.
``cora``, ``citeseer``
    papers, and networks of 1 to 5 layers. The authors take split 0 of Geom-GCN (48/32/20 %); here
    a split of these sizes is drawn, by class. Explained are test nodes that have a neighbor.
``mutag``
    molecules, split 60/20/20 as by the authors; explained are test molecules of class 1.
``sentiment``
    sentences of the Stanford Sentiment Treebank as trees of phrases
    (`glassgraph.datasets.sentiment_trees`), positive or negative, with 50 numbers for a word; the
    authors have dependency trees with 768. Explained are sentences of the test part.

Instances are drawn by the seed, which is also that of the data, the network and the methods.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from glassgraph.datasets import ExplanationDataset, from_pyg
from glassgraph.datasets.base import graph_labels, stratified_split
from glassgraph.datasets.infection import infection
from glassgraph.datasets.molecules import mutag
from glassgraph.datasets.negative_evidence import negative_evidence
from glassgraph.datasets.planetoid import planetoid
from glassgraph.datasets.sentiment_trees import sentiment_trees
from glassgraph.errors import DatasetError
from glassgraph_studies.reference.gnn_explainer import PYG
from glassgraph_studies.reproduce.edge_gradients.infection import (
    infection_network,
    infection_of_pyg,
)
from glassgraph_studies.reproduce.edge_gradients.models import (
    RECIPES,
    Kind,
    Network,
    Recipe,
    layered_network,
    negative_evidence_network,
)

GENERATED = ("negative-evidence", "negative-evidence-3", "infection", "infection-pyg")
#: Where the files of the others lie in the folder that is given.
FROM_FILES = {
    "cora": "planetoid",
    "citeseer": "planetoid",
    "mutag": "mutag_tud",
    "sentiment": "sst_trees",
}
_VECTORS = "glove_small/glove-50d-5k.json"
DATASETS = (*GENERATED, *FROM_FILES)
#: The networks of each data set; generated graphs have their own.
KINDS: Mapping[str, tuple[Kind, ...]] = {
    "cora": ("gcn", "gat", "gin", "sgc"),
    "citeseer": ("gcn", "gat", "gin", "sgc"),
    "mutag": ("gcn", "gat", "gin"),
    "sentiment": ("gcn", "gat", "gin"),
}
#: Instances that are explained where nothing else is said; None for all.
INSTANCES: Mapping[str, int | None] = {
    "negative-evidence": None,
    "negative-evidence-3": None,
    "infection": 200,
    "infection-pyg": None,
    "cora": 20,
    "citeseer": 20,
    "mutag": 20,
    "sentiment": 40,
}
#: GNNExplainer on negative evidence, as published; elsewhere PyG's defaults.
_SATURATED = {"edge_entropy": 0.0, "edge_size": 0.001, "learning_rate": 0.5}


@dataclass(frozen=True)
class Scene:
    """A network and the predictions to explain.

    Attributes:
        dataset: name of the data.
        model: name of the network.
        layers: L.
        seed: of everything.
        data: what an explainer is given.
        index: ``[B]`` the instances.
        task: ``"node"`` or ``"graph"``.
        network: the network, and how good it is.
        shared: arguments of every explainer.
        gnn_explainer: settings that differ from PyG's defaults.
        epsilon: above which a gradient counts as positive.
    """

    dataset: str
    model: str
    layers: int
    seed: int
    data: Any
    index: Tensor
    task: str
    network: Network
    shared: Mapping[str, Any] = field(default_factory=dict)
    gnn_explainer: Mapping[str, Any] = field(default_factory=dict)
    epsilon: float = 0.0

    @property
    def is_linear(self) -> bool:
        """Whether the network is linear in its messages."""
        return self.model == "sgc"


def make_scenes(
    dataset: str,
    kinds: Sequence[str] | None,
    layers: Sequence[int],
    seed: int,
    root: Path | str | None,
    instances: int | None,
    recipe: Recipe | None = None,
    *,
    progress: bool,
    **sizes: Any,
) -> Iterator[Scene]:
    """Load or draw the data once, then train each network.

    Args:
        dataset: of `DATASETS`.
        kinds: networks of papers, molecules and sentences; None for all.
        layers: their numbers of layers.
        seed: see the module.
        root: the folder above those of `FROM_FILES`.
        instances: the most to explain; None for `INSTANCES`.
        recipe: of networks with layers; None for the data set's own.
        progress: show progress bars.
        **sizes: arguments of a generated data set.

    Raises:
        DatasetError: if files are missing, or nothing is left to explain.
    """
    most = INSTANCES[dataset] if instances is None else instances
    if dataset in GENERATED:
        yield _generated(dataset, seed, most, sizes, progress=progress)
        return
    data = _from_files(dataset, seed, root)
    index = _some(data.explained, most, seed, dataset)
    for kind in (each for each in KINDS[dataset] if kinds is None or each in kinds):
        for number in layers:
            network = layered_network(
                data, recipe or RECIPES[dataset], kind, number, seed, progress=progress
            )
            yield _scene(dataset, kind, number, seed, data, index, network)


def _scene(
    name: str,
    model: str,
    layers: int,
    seed: int,
    data: ExplanationDataset,
    index: Tensor,
    network: Network,
    num_nodes: int | None = None,
    **more: Any,
) -> Scene:
    """A scene; a linear network in float64.

    Args:
        name: of the data.
        model: name of the network.
        layers: L.
        seed: the seed.
        data: the data.
        index: the instances.
        network: the network.
        num_nodes: nodes of the graph that PyG would see, all of it by default.
        **more: other fields.
    """
    shared: dict[str, Any] = {"seed": seed, "progress": False}
    settings: dict[str, Any] = {
        **PYG,
        "feature_mask": "none",
        **more.pop("gnn_explainer", {}),
    }
    if data.level == "node":
        graph = data.graphs[0]
        # PyG's masks start closer together the larger the whole graph.
        settings["init_scale"] = math.sqrt(2.0 / (num_nodes or int(graph.num_nodes or 0)))
        if model == "sgc":
            network.model.double()
            graph = graph.clone()
            graph.x = graph.x.double()
        given: Any = graph
    else:
        given = data.graphs
    if (data.level == "graph" or name == "negative-evidence") and data.num_classes == 2:
        shared["mode"] = "binary_classification"
    return Scene(
        name,
        model,
        layers,
        seed,
        given,
        index,
        data.level,
        network,
        shared,
        settings,
        **more,
    )


def _generated(
    name: str, seed: int, most: int | None, sizes: Mapping[str, Any], *, progress: bool
) -> Scene:
    if name == "infection":
        data = infection(seed, **{"directed": False, **sizes})
        graph = data.graphs[0]
        num_nodes = int((graph.node_graph == 0).sum())
        index = _some(_with_neighbors(data), most, seed, name)
        network = infection_network(data, seed)
        return _scene(name, "sage", 4, seed, data, index, network, num_nodes)
    if name == "infection-pyg":
        graph, network = infection_of_pyg(seed, **sizes)
        data = from_pyg([graph], "node", name=name)
        index = _some(torch.arange(len(graph.y)), most, seed, name)
        return _scene(name, "sage", 4, seed, data, index, network)
    data = negative_evidence(seed, **{"num_colors": 3 if name.endswith("-3") else 2, **sizes})
    return _scene(
        name,
        "sage",
        1,
        seed,
        data,
        _some(data.explained, most, seed, name),
        negative_evidence_network(data, seed, progress=progress),
        int((data.graphs[0].node_graph == 0).sum()),
        gnn_explainer=_SATURATED,
        epsilon=0.001,
    )


def _from_files(name: str, seed: int, root: Path | str | None) -> ExplanationDataset:
    if root is None or not (Path(root) / FROM_FILES[name]).is_dir():
        raise DatasetError(
            f"{name} is read from files: root must be a folder that holds {FROM_FILES[name]}; "
            f"got {root}"
        )
    folder = Path(root) / FROM_FILES[name]
    if name == "sentiment":
        data = sentiment_trees(folder, Path(root) / _VECTORS)
        has_edge = [i for i in data.explained.tolist() if data.graphs[i].num_edges]
        return replace(data, explained=torch.tensor(has_edge))
    if name == "mutag":
        data = mutag(folder, seed)
        labels = graph_labels(data.graphs)
        split = stratified_split(labels, seed, (0.6, 0.2))
        return replace(data, split=split, explained=split["test"][labels[split["test"]] == 1])
    data = planetoid(name, folder)
    data = replace(data, split=stratified_split(data.graphs[0].y, seed, (0.48, 0.32)))
    return replace(data, explained=_with_neighbors(data))


def _with_neighbors(data: ExplanationDataset) -> Tensor:
    """Nodes of the test part that an edge leads to."""
    test = data.split["test"]
    return test[torch.isin(test, data.graphs[0].edge_index[1])]


def _some(index: Tensor, most: int | None, seed: int, name: str) -> Tensor:
    """So many at most, drawn by the seed, in order."""
    if not len(index):
        raise DatasetError(f"{name}: there is nothing to explain")
    if most is None or len(index) <= most:
        return index
    order = torch.randperm(len(index), generator=torch.Generator().manual_seed(seed))
    return index[order[:most]].sort().values
