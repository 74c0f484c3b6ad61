"""All methods by name, with the survey's traits."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from torch import nn

from glassgraph.core.task import Call, Target, Task
from glassgraph.errors import HyperParameterError, UnknownMethodError
from glassgraph.explainers.amortized import AmortizedExplainer, HindsightWarning
from glassgraph.explainers.base import Explainer, hyper_parameter_names
from glassgraph.explainers.decomposition.excitation_backprop import ExcitationBackprop
from glassgraph.explainers.decomposition.gnn_lrp import GNNLRP
from glassgraph.explainers.decomposition.lrp import LRP
from glassgraph.explainers.generation.model_explainer import ModelExplainer
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
from glassgraph.explainers.surrogate.graph_lime import GraphLIME
from glassgraph.explainers.surrogate.pgm_explainer import PGMExplainer
from glassgraph.explainers.surrogate.relex import RelEx
from glassgraph.results.explanation import Explanations

if TYPE_CHECKING:
    import pandas as pd

METHODS: dict[str, type[Explainer]] = {
    method.name: method
    for method in (
        Random,
        Attention,
        Saliency,
        GuidedBackprop,
        EdgeGradients,
        PositiveGradients,
        IntegratedGradients,
        CAM,
        GradCAM,
        Occlusion,
        ErasureSearch,
        CausalScreening,
        SubgraphX,
        GNNExplainer,
        GraphMask,
        InformationBottleneck,
        PGExplainer,
        LRP,
        GNNLRP,
        ExcitationBackprop,
        PGMExplainer,
        RelEx,
        Zorro,
        GraphLIME,
    )
}

#: Methods that explain a model, not its predictions: they take no data.
MODEL_METHODS: dict[str, type[ModelExplainer]] = {XGNN.name: XGNN}


def find_method(name: str) -> type[Explainer]:
    """The class of a method that explains predictions.

    Raises:
        UnknownMethodError: if there is none of that name.
    """
    if name in MODEL_METHODS:
        own = MODEL_METHODS[name].__name__
        raise UnknownMethodError(
            f"{name} explains a model, not predictions on data; write gg.{own}(model, "
            f"node_types=..., max_nodes=...).fit(target_class=...).explain(n=10)"
        )
    if name not in METHODS:
        raise UnknownMethodError(f"there is no method {name!r}; there are {', '.join(METHODS)}")
    return METHODS[name]


def methods() -> pd.DataFrame:
    """Every method with its traits, one row each."""
    import pandas as pd

    rows = []
    described = [(name, method.__name__, method.traits) for name, method in METHODS.items()]
    described += [(name, method.__name__, method.traits) for name, method in MODEL_METHODS.items()]
    for name, class_name, traits in described:
        rows.append(
            {
                "method": name,
                "class": class_name,
                "family": traits.family,
                "explains": "model" if name in MODEL_METHODS else "predictions",
                "scores": ", ".join(traits.scores),
                "learned": traits.is_learned,
                "amortized": traits.is_amortized,
                "black box": traits.is_black_box,
                "signed": traits.is_signed,
                "random": traits.is_random,
                "source": traits.source,
            }
        )
    return pd.DataFrame(rows).set_index("method")


def make_explainer(
    name: str, model: nn.Module, task: str | Task, **hyper_parameters: Any
) -> Explainer:
    """Build a method by name.

    Raises:
        UnknownMethodError: if there is none of that name.
        HyperParameterError: if it has no such hyper-parameter.
    """
    method = find_method(name)
    known = set(hyper_parameter_names(method))
    unknown = sorted(set(hyper_parameters) - known)
    if unknown:
        raise HyperParameterError(
            f"{name} has no hyper-parameter {', '.join(map(repr, unknown))}; it takes "
            f"{', '.join(sorted(known))}"
        )
    return method(model, task, **hyper_parameters)


def explain(
    model: nn.Module,
    data: Any,
    method: str,
    task: str | Task = "node",
    index: Any = None,
    target: Target = None,
    seed: int = 0,
    call: Call | None = None,
    **hyper_parameters: Any,
) -> Explanations:
    """Explain predictions with a method given by name.

    An amortized method is fitted on the predictions it explains, and a `HindsightWarning` says so.

    Args:
        model: a trained model.
        data: the graph(s).
        method: registry name, see `methods`.
        task: ``"node"``, ``"graph"``, ``"edge"`` or a `Task`.
        index: what to explain; everything if None.
        target: the explained class, see `Explainer.explain`.
        seed: seed of everything random.
        call: how to call the model.
        **hyper_parameters: the method's own, and those of `Explainer`.

    Returns:
        One explanation for each instance.

    Raises:
        GlassgraphError: see `glassgraph.errors`.
    """
    explainer = make_explainer(method, model, task, seed=seed, call=call, **hyper_parameters)
    if explainer.needs_fit:
        warnings.warn(
            f"{method} is fitted on the very predictions it explains (hindsight); for an explainer "
            "that has not seen them, fit it on others: see its fit()",
            HindsightWarning,
            stacklevel=2,
        )
        assert isinstance(explainer, AmortizedExplainer)
        explainer.fit(data, index=index)
    return explainer.explain(data, index=index, target=target)
