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
    from glassgraph import relevance as rules
    from glassgraph.core.adjacency import AdjacencyTap
    from glassgraph.core.sites import MessageTap
    from glassgraph.core.task import Task
    from glassgraph.explainers.base import Explainer
    from glassgraph.explainers.decomposition.excitation_backprop import ExcitationBackprop
    from glassgraph.explainers.decomposition.gnn_lrp import GNNLRP
    from glassgraph.explainers.decomposition.lrp import LRP
    from glassgraph.explainers.generation import graph_rules
    from glassgraph.explainers.generation.xgnn import XGNN
    from glassgraph.explainers.gradient.cam import CAM
    from glassgraph.explainers.gradient.edge_gradients import EdgeGradients
    from glassgraph.explainers.gradient.grad_cam import GradCAM
    from glassgraph.explainers.gradient.guided_backprop import GuidedBackprop
    from glassgraph.explainers.gradient.integrated_gradients import IntegratedGradients
    from glassgraph.explainers.gradient.positive_gradients import PositiveGradients
    from glassgraph.explainers.gradient.saliency import Saliency
    from glassgraph.explainers.perturbation.attention import Attention
    from glassgraph.explainers.perturbation.causal_screening import CausalScreening
    from glassgraph.explainers.perturbation.erasure_search import ErasureSearch
    from glassgraph.explainers.perturbation.gnn_explainer import GNNExplainer
    from glassgraph.explainers.perturbation.graphmask import GraphMask
    from glassgraph.explainers.perturbation.information_bottleneck import InformationBottleneck
    from glassgraph.explainers.perturbation.occlusion import Occlusion
    from glassgraph.explainers.perturbation.pg_explainer import PGExplainer
    from glassgraph.explainers.perturbation.random import Random
    from glassgraph.explainers.perturbation.subgraphx import SubgraphX
    from glassgraph.explainers.perturbation.zorro import Zorro
    from glassgraph.explainers.registry import explain, methods
    from glassgraph.explainers.settings import setting
    from glassgraph.explainers.surrogate.graph_lime import GraphLIME
    from glassgraph.explainers.surrogate.pgm_explainer import PGMExplainer
    from glassgraph.explainers.surrogate.relex import RelEx
    from glassgraph.explainers.traits import Traits
    from glassgraph.metrics.compare import Comparison, compare
    from glassgraph.metrics.similarity import Similarity, compare_all
    from glassgraph.results.explanation import (
        Attribution,
        Explanation,
        Explanations,
        HeteroExplanation,
        LocalExplanation,
    )
    from glassgraph.results.model_explanation import ModelExplanation

#: Where each public name lives. Looked up on first use, so that importing the package, and the
#: command line's help, do not wait for torch.
_HOMES = {
    "AdjacencyTap": "glassgraph.core.adjacency",
    "Attention": "glassgraph.explainers.perturbation.attention",
    "Attribution": "glassgraph.results.explanation",
    "CAM": "glassgraph.explainers.gradient.cam",
    "CausalScreening": "glassgraph.explainers.perturbation.causal_screening",
    "Comparison": "glassgraph.metrics.compare",
    "EdgeGradients": "glassgraph.explainers.gradient.edge_gradients",
    "ErasureSearch": "glassgraph.explainers.perturbation.erasure_search",
    "ExcitationBackprop": "glassgraph.explainers.decomposition.excitation_backprop",
    "Explainer": "glassgraph.explainers.base",
    "Explanation": "glassgraph.results.explanation",
    "Explanations": "glassgraph.results.explanation",
    "GNNExplainer": "glassgraph.explainers.perturbation.gnn_explainer",
    "GNNLRP": "glassgraph.explainers.decomposition.gnn_lrp",
    "GradCAM": "glassgraph.explainers.gradient.grad_cam",
    "GraphLIME": "glassgraph.explainers.surrogate.graph_lime",
    "GraphMask": "glassgraph.explainers.perturbation.graphmask",
    "GuidedBackprop": "glassgraph.explainers.gradient.guided_backprop",
    "HeteroExplanation": "glassgraph.results.explanation",
    "InformationBottleneck": "glassgraph.explainers.perturbation.information_bottleneck",
    "IntegratedGradients": "glassgraph.explainers.gradient.integrated_gradients",
    "LRP": "glassgraph.explainers.decomposition.lrp",
    "LocalExplanation": "glassgraph.results.explanation",
    "MessageTap": "glassgraph.core.sites",
    "ModelExplanation": "glassgraph.results.model_explanation",
    "Occlusion": "glassgraph.explainers.perturbation.occlusion",
    "PGExplainer": "glassgraph.explainers.perturbation.pg_explainer",
    "PGMExplainer": "glassgraph.explainers.surrogate.pgm_explainer",
    "PositiveGradients": "glassgraph.explainers.gradient.positive_gradients",
    "Random": "glassgraph.explainers.perturbation.random",
    "RelEx": "glassgraph.explainers.surrogate.relex",
    "Saliency": "glassgraph.explainers.gradient.saliency",
    "Similarity": "glassgraph.metrics.similarity",
    "SubgraphX": "glassgraph.explainers.perturbation.subgraphx",
    "Task": "glassgraph.core.task",
    "Traits": "glassgraph.explainers.traits",
    "XGNN": "glassgraph.explainers.generation.xgnn",
    "Zorro": "glassgraph.explainers.perturbation.zorro",
    "compare": "glassgraph.metrics.compare",
    "compare_all": "glassgraph.metrics.similarity",
    "explain": "glassgraph.explainers.registry",
    "methods": "glassgraph.explainers.registry",
    "setting": "glassgraph.explainers.settings",
}

#: Rooms that are looked into by name: ``gg.rules.Gamma``.
_ROOMS = {
    "diagnose": "glassgraph.diagnose",
    "graph_rules": "glassgraph.explainers.generation.graph_rules",
    "rules": "glassgraph.relevance",
}

__all__ = [
    "CAM",
    "GNNLRP",
    "LRP",
    "XGNN",
    "AdjacencyTap",
    "Attention",
    "Attribution",
    "CausalScreening",
    "Comparison",
    "EdgeGradients",
    "ErasureSearch",
    "ExcitationBackprop",
    "Explainer",
    "Explanation",
    "Explanations",
    "GNNExplainer",
    "GradCAM",
    "GraphLIME",
    "GraphMask",
    "GuidedBackprop",
    "HeteroExplanation",
    "InformationBottleneck",
    "IntegratedGradients",
    "LocalExplanation",
    "MessageTap",
    "ModelExplanation",
    "Occlusion",
    "PGExplainer",
    "PGMExplainer",
    "PositiveGradients",
    "Random",
    "RelEx",
    "Saliency",
    "Similarity",
    "SubgraphX",
    "Task",
    "Traits",
    "Zorro",
    "__version__",
    "compare",
    "compare_all",
    "diagnose",
    "errors",
    "explain",
    "graph_rules",
    "methods",
    "rules",
    "setting",
]


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return import_module(_ROOMS[name])
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
