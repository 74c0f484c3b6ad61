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

from glassgraph import errors
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
from glassgraph.explainers.gradient.saliency import Saliency
from glassgraph.explainers.perturbation.gnn_explainer import GNNExplainer
from glassgraph.explainers.perturbation.occlusion import Occlusion
from glassgraph.explainers.perturbation.random import Random
from glassgraph.explainers.registry import explain, methods

__version__ = "0.1.0"

__all__ = [
    "Attribution",
    "EdgeGradients",
    "Explainer",
    "Explanation",
    "Explanations",
    "GNNExplainer",
    "HeteroExplanation",
    "LocalExplanation",
    "MessageTap",
    "Occlusion",
    "Random",
    "Saliency",
    "Task",
    "__version__",
    "errors",
    "explain",
    "methods",
]
