"""Glassgraph explains the predictions of graph neural networks.

Example:
    >>> import torch
    >>> import glassgraph as gg
    >>> from torch_geometric.data import Data
    >>> from torch_geometric.nn import GCN
    >>> data = Data(x=torch.rand(4, 3), edge_index=torch.tensor([[0, 1, 2], [1, 2, 3]]))
    >>> explanations = gg.Saliency(GCN(3, 8, 2, 2), task="node").explain(data, index=[2])
    >>> explanations[0].edge_mask.shape
    torch.Size([3])
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from glassgraph import errors
from glassgraph._version import __version__

if TYPE_CHECKING:
    from glassgraph import diagnose
    from glassgraph.core.adjacency import AdjacencyTap
    from glassgraph.core.explanation import (
        Attribution,
        Explanation,
        Explanations,
        HeteroExplanation,
        LocalExplanation,
    )
    from glassgraph.core.sites import MessageTap
    from glassgraph.core.task import Task
    from glassgraph.explainers.base import Explainer
    from glassgraph.explainers.gradient.edge_gradients import EdgeGradients
    from glassgraph.explainers.gradient.integrated_gradients import IntegratedGradients
    from glassgraph.explainers.gradient.saliency import Saliency
    from glassgraph.explainers.perturbation.erasure_search import ErasureSearch
    from glassgraph.explainers.perturbation.gnn_explainer import GNNExplainer
    from glassgraph.explainers.perturbation.graph_mask import GraphMask
    from glassgraph.explainers.perturbation.information_bottleneck import InformationBottleneck
    from glassgraph.explainers.perturbation.occlusion import Occlusion
    from glassgraph.explainers.perturbation.random import Random
    from glassgraph.explainers.registry import explain, methods

#: Where each public name lives. Looked up on first use, so that importing the package, and the
#: command line's help, do not wait for torch.
_HOMES = {
    "AdjacencyTap": "glassgraph.core.adjacency",
    "Attribution": "glassgraph.core.explanation",
    "EdgeGradients": "glassgraph.explainers.gradient.edge_gradients",
    "ErasureSearch": "glassgraph.explainers.perturbation.erasure_search",
    "Explainer": "glassgraph.explainers.base",
    "Explanation": "glassgraph.core.explanation",
    "Explanations": "glassgraph.core.explanation",
    "GNNExplainer": "glassgraph.explainers.perturbation.gnn_explainer",
    "GraphMask": "glassgraph.explainers.perturbation.graph_mask",
    "HeteroExplanation": "glassgraph.core.explanation",
    "InformationBottleneck": "glassgraph.explainers.perturbation.information_bottleneck",
    "IntegratedGradients": "glassgraph.explainers.gradient.integrated_gradients",
    "LocalExplanation": "glassgraph.core.explanation",
    "MessageTap": "glassgraph.core.sites",
    "Occlusion": "glassgraph.explainers.perturbation.occlusion",
    "Random": "glassgraph.explainers.perturbation.random",
    "Saliency": "glassgraph.explainers.gradient.saliency",
    "Task": "glassgraph.core.task",
    "explain": "glassgraph.explainers.registry",
    "methods": "glassgraph.explainers.registry",
}

__all__ = [
    "AdjacencyTap",
    "Attribution",
    "EdgeGradients",
    "ErasureSearch",
    "Explainer",
    "Explanation",
    "Explanations",
    "GNNExplainer",
    "GraphMask",
    "HeteroExplanation",
    "InformationBottleneck",
    "IntegratedGradients",
    "LocalExplanation",
    "MessageTap",
    "Occlusion",
    "Random",
    "Saliency",
    "Task",
    "__version__",
    "diagnose",
    "errors",
    "explain",
    "methods",
]


def __getattr__(name: str) -> Any:
    if name == "diagnose":  # a room, not a name in one
        return import_module("glassgraph.diagnose")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
