# Every public name and where it lives: read by `__init__.py`, by type checkers and by editors.

from . import data as data
from . import datasets as datasets
from . import diagnose as diagnose
from . import errors as errors
from . import graph_rules as graph_rules
from . import messages as messages
from . import metrics as metrics
from . import rules as rules
from . import temporal as temporal
from . import testing as testing
from ._version import __version__ as __version__
from .benchmarks.own_model import benchmark as benchmark
from .benchmarks.result import BenchmarkResult as BenchmarkResult
from .calling.model_file import ModelFile as ModelFile
from .core.adjacency import AdjacencyTap as AdjacencyTap
from .core.sites import MessageTap as MessageTap
from .diagnose.stability import stability as stability
from .engine.explain_all import explain_all as explain_all
from .explainers.amortized import AmortizedExplainer as AmortizedExplainer
from .explainers.base import Explainer as Explainer
from .explainers.black_box import BlackBoxExplainer as BlackBoxExplainer
from .explainers.decomposition.excitation_backprop import ExcitationBackprop as ExcitationBackprop
from .explainers.decomposition.gnn_lrp import GNNLRP as GNNLRP
from .explainers.decomposition.lrp import LRP as LRP
from .explainers.generation.gnn_interpreter import GNNInterpreter as GNNInterpreter
from .explainers.generation.xgnn import XGNN as XGNN
from .explainers.gradient.cam import CAM as CAM
from .explainers.gradient.edge_gradients import EdgeGradients as EdgeGradients
from .explainers.gradient.grad_cam import GradCAM as GradCAM
from .explainers.gradient.guided_backprop import GuidedBackprop as GuidedBackprop
from .explainers.gradient.integrated_gradients import IntegratedGradients as IntegratedGradients
from .explainers.gradient.positive_gradients import PositiveGradients as PositiveGradients
from .explainers.gradient.saliency import Saliency as Saliency
from .explainers.perturbation.attention import Attention as Attention
from .explainers.perturbation.causal_screening import CausalScreening as CausalScreening
from .explainers.perturbation.cf2 import CF2 as CF2
from .explainers.perturbation.cf_gnn_explainer import CFGNNExplainer as CFGNNExplainer
from .explainers.perturbation.erasure_search import ErasureSearch as ErasureSearch
from .explainers.perturbation.gnn_explainer import GNNExplainer as GNNExplainer
from .explainers.perturbation.graphmask import GraphMask as GraphMask
from .explainers.perturbation.information_bottleneck import (
    InformationBottleneck as InformationBottleneck,
)
from .explainers.perturbation.occlusion import Occlusion as Occlusion
from .explainers.perturbation.page_link import PaGELink as PaGELink
from .explainers.perturbation.pg_explainer import PGExplainer as PGExplainer
from .explainers.perturbation.random import Random as Random
from .explainers.perturbation.rc_explainer import RCExplainer as RCExplainer
from .explainers.perturbation.shapley_edges import ShapleyEdges as ShapleyEdges
from .explainers.perturbation.shapley_nodes import ShapleyNodes as ShapleyNodes
from .explainers.perturbation.smallest_counterfactual import (
    SmallestCounterfactual as SmallestCounterfactual,
)
from .explainers.perturbation.subgraphx import SubgraphX as SubgraphX
from .explainers.perturbation.zorro import Zorro as Zorro
from .explainers.pyg_algorithm import from_pyg as from_pyg
from .explainers.registry import explain as explain
from .explainers.registry import methods as methods
from .explainers.registry import register as register
from .explainers.scope import Scope as Scope
from .explainers.settings import setting as setting
from .explainers.surrogate.graph_lime import GraphLIME as GraphLIME
from .explainers.surrogate.pgm_explainer import PGMExplainer as PGMExplainer
from .explainers.surrogate.relex import RelEx as RelEx
from .explainers.traits import Traits as Traits
from .inputs.task import Task as Task
from .metrics.compare import Comparison as Comparison
from .metrics.compare import compare as compare
from .metrics.similarity import Similarity as Similarity
from .metrics.similarity import compare_all as compare_all
from .pyg.algorithm import as_pyg as as_pyg
from .report.grid import plot_grid as plot_grid
from .report.save import save_figure as save_figure
from .report.summary import plot_beeswarm as plot_beeswarm
from .report.summary import plot_importance as plot_importance
from .results.counterfactual import Counterfactual as Counterfactual
from .results.explanation import Attribution as Attribution
from .results.explanation import Explanation as Explanation
from .results.explanation import Explanations as Explanations
from .results.explanation import HeteroExplanation as HeteroExplanation
from .results.explanation import LocalExplanation as LocalExplanation
from .results.model_explanation import ModelExplanation as ModelExplanation
from .results.predictions import Predictions as Predictions
