"""The networks that CF-GNNExplainer's authors trained, and the graphs they are asked about."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn import GCNConv

from glassgraph.errors import DatasetError
from glassgraph_studies.reference.cf_gnn_explainer import DenseGCN, Settings

#: Files of graphs of the same generator, where the authors' own could not be had.
_OTHERS = {"tree-cycles": "syn3_Tree-Cycles.npz", "tree-grid": "syn4_Tree-Grid.npz"}
_NAMES = {"ba-shapes": "BA-Shapes", "tree-cycles": "Tree-Cycles", "tree-grid": "Tree-Grid"}
#: Of the nodes of a graph without a split, one in so many is explained.
_EVERY = 5
#: Fidelity, size, sparsity and accuracy, as the authors' README has them.
PUBLISHED = {
    "ba-shapes": (0.39, 2.39, 0.99, 0.96),
    "tree-cycles": (0.21, 2.09, 0.90, 0.94),
    "tree-grid": (0.07, 1.47, 0.94, 0.96),
}
DATASETS = tuple(PUBLISHED)


class ThreeLayerGCN(nn.Module):
    """Three graph convolutions, whose states are read together."""

    def __init__(self, weights: dict[str, Tensor]) -> None:
        super().__init__()
        names = ("gc1", "gc2", "gc3")
        shapes = [weights[f"{name}.weight"].shape for name in names]
        self.convs = nn.ModuleList(GCNConv(*shape) for shape in shapes)
        self.last = nn.Linear(sum(shape[1] for shape in shapes), weights["lin.bias"].numel())
        own = {"last.weight": weights["lin.weight"], "last.bias": weights["lin.bias"]}
        for number, name in enumerate(names):
            own[f"convs.{number}.lin.weight"] = weights[f"{name}.weight"].t()
            own[f"convs.{number}.bias"] = weights[f"{name}.bias"]
        self.load_state_dict(own)

    def forward(self, x: Tensor, edge_index: Tensor, edge_weight: Tensor | None = None) -> Tensor:
        """Log-probabilities ``[N, C]``."""
        found = []
        for number, conv in enumerate(self.convs):
            x = conv(x, edge_index, edge_weight)
            x = x.relu() if number < len(self.convs) - 1 else x
            found.append(x)
        output: Tensor = self.last(torch.cat(found, dim=1))
        return output.log_softmax(dim=1)


@dataclass(frozen=True)
class Subject:
    """A network, its graph and the nodes that are explained.

    Attributes:
        name: of the data set.
        model: the network.
        dense: the same on dense matrices.
        data: the graph.
        index: nodes.
        settings: of the literal loop.
    """

    name: str
    model: ThreeLayerGCN
    dense: DenseGCN
    data: Data
    index: Tensor
    settings: Settings


def read_subject(root: Path | str, name: str, nodes: int | None = None) -> Subject:
    """Read one of them.

    Args:
        root: folder of ``cf_gnnexplainer`` and ``synthetic_reference``.
        name: one of `DATASETS`.
        nodes: how many nodes, spread over those that are explained; None for all.

    Raises:
        DatasetError: for an unknown name, or if a file is missing.
    """
    if name not in _NAMES:
        raise DatasetError(f"there is no network for {name!r}; there are {', '.join(_NAMES)}")
    root = Path(root)
    own = root / "cf_gnnexplainer"
    graph = own / "syn1_BA-Shapes_theirs.npz"
    if name in _OTHERS:
        graph = root / "synthetic_reference" / _OTHERS[name]
    weights = own / f"gcn_3layer_{_NAMES[name]}.safetensors"
    for path in (weights, graph):
        if not path.is_file():
            raise DatasetError(f"{path} is missing; --root is the folder that holds {path.parent}")
    loaded = load_file(weights)
    with np.load(graph) as arrays:
        edges, num_nodes = torch.from_numpy(arrays["edges"]).long().t(), int(arrays["num_nodes"])
        index = torch.arange(0, num_nodes, _EVERY)
        if "test_index" in arrays:
            index = torch.from_numpy(arrays["test_index"]).sort().values
    edges = edges[:, edges[0] != edges[1]]
    if nodes is not None and nodes < index.numel():
        index = index[torch.linspace(0, index.numel() - 1, nodes).long()]
    model = ThreeLayerGCN(loaded).eval()
    x = torch.ones(num_nodes, loaded["gc1.weight"].size(0))
    layers = tuple((loaded[f"gc{n}.weight"], loaded[f"gc{n}.bias"]) for n in (1, 2, 3))
    dense = DenseGCN(layers, (loaded["lin.weight"], loaded["lin.bias"]))
    settings = Settings(rate=0.01, momentum=0.9) if name == "ba-shapes" else Settings()
    data = Data(x=x, edge_index=torch.cat([edges, edges.flip(0)], dim=1))
    return Subject(name, model, dense, data, index, settings)
