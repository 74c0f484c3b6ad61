"""GraphLIME: a sparse, kernelized regression on the neighbors of a node."""

from __future__ import annotations

import warnings
from typing import Literal

import torch
from torch import Tensor

from glassgraph.black_box.boundary import readable_nodes
from glassgraph.black_box.noise import only_features
from glassgraph.core.batch import InstanceBatch
from glassgraph.core.context import every_row, own_data, run_on, without_nan
from glassgraph.errors import TaskError, UnsupportedModelError
from glassgraph.explainers.black_box import BlackBoxExplainer
from glassgraph.explainers.scope import Scope
from glassgraph.explainers.settings import setting
from glassgraph.explainers.surrogate._hsic_lasso import hsic_lasso
from glassgraph.explainers.traits import Traits
from glassgraph.inputs.graph import TypedGraph
from glassgraph.inputs.node_features import float_features, why_no_floats
from glassgraph.inputs.receptive import receptive_fields
from glassgraph.inputs.task import probabilities, score
from glassgraph.results.records import Attribution, Reason

#: ``"outputs"``: all classes' probabilities; ``"target"``: the explained score alone.
Response = Literal["outputs", "target"]


class ConstantPredictionWarning(UserWarning):
    """Around some nodes all predictions are the same, so there is nothing that features explain."""


class GraphLIME(BlackBoxExplainer):
    r"""Which features explain how predictions differ around a node?

    The explained node and its neighbors ``i``, ``j`` are the data: their features ``x`` and the
    model's predictions ``y`` on the user's graph, one run for all. With Gaussian kernels of widths
    ``s`` and ``t``, for each feature ``k`` ::

        K^k[i, j] = exp(-(x_ik - x_jk)^2 / (2 s^2)),     L[i, j] = exp(-|y_i - y_j|^2 / (2 t^2))

    centered by ``H = I - 1/n`` and scaled to norm 1, ``Kbar = H K H / |H K H|_F``, the HSIC Lasso::

        min_{beta >= 0}   1/2 |Lbar - sum_k beta_k Kbar^k|_F^2 + rho sum_k beta_k

    picks features that the predictions depend on, in whatever way, and of those that say the same
    only what is needed. ``beta [F]``, without unit, is the row of the explained node in the feature
    scores ``[N, F]``; the other rows are 0, and edges get no scores. A feature that stands alone
    gets a weight if its kernel has a product above ``rho`` with that of the predictions. Features
    that are constant around the node have ``beta = 0``; those that are the same up to what kernels
    can see (equal, or two values exchanged) share one weight evenly. For node tasks on graphs with
    one type of nodes.

    The data are never perturbed, so this says what predictions go along with here; that the model
    reads a feature does not follow.

    It is no ranking of edges: asked for one, robust fidelity found it no better than random scores
    on most of the survey's data sets (``docs/survey.md``).

    The paper leaves the widths open. By default they are those of the public (not the authors')
    code, https://github.com/WilliamCCHuang/GraphLIME: ``s^2 = F / 10`` for features, where ``F``
    counts all of them although a kernel is about one, and ``t^2 = C / 10`` for C outputs. A feature
    with two values has the same ``Kbar`` for any width.

    Huang, Yamada, Tian, Singh and Chang, "GraphLIME: Local Interpretable Model Explanations for
    Graph Neural Networks" (TKDE 2022, https://arxiv.org/abs/2001.06216).

    Raises:
        TaskError: if the task is not about nodes.
        HyperParameterError: if a value is out of range.
        UnsupportedModelError: from `explain`, if nodes have types or no floating-point features.

    Warns:
        ConstantPredictionWarning: of nodes without neighbors, or with the same prediction as all of
            them; their scores are 0.

    Example:
        >>> import torch
        >>> import glassgraph as gg
        >>> from torch_geometric.data import Data
        >>> x = torch.tensor([[0.0, 1.0], [1.0, 1.0], [0.0, 0.0], [1.0, 0.0]])
        >>> data = Data(x=x, edge_index=torch.tensor([[1, 2, 3], [0, 0, 0]]))
        >>> def model(x, edge_index):  # looks at feature 0 alone
        ...     return torch.stack([x[:, 0], 1 - x[:, 0]], dim=1)
        >>> gg.GraphLIME(model, hops=1).explain(data, [0])[0].node_mask[0]
        tensor([0.9000, 0.0000])
    """

    name = "graph_lime"
    traits = Traits(
        family="surrogate",
        scores=("feature",),
        is_black_box=True,
        source="Huang et al. 2022, arXiv:2001.06216",
    )
    scope = Scope(levels=("node",), heterogeneous=False, sees_degrees=True)

    rho: float = setting("how much a feature has to be worth", default=0.1, above=0)
    hops: int | None = setting(
        "how far away the neighbors may be; None for those whose features can change the "
        "prediction, which are as many hops as the model has layers",
        default=None,
        at_least=1,
    )
    response: Response = setting(
        "what is explained of predictions: 'outputs' for the probabilities of all classes (the "
        "values, for a regression), whatever the target; 'target' for the explained score",
        default="outputs",
    )
    feature_width: float | None = setting(
        "width of the features' kernels; None for sqrt(F / 10)", default=None, above=0
    )
    output_width: float | None = setting(
        "width of the predictions' kernel; None for sqrt(C / 10)", default=None, above=0
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.task.level != "node":
            raise TaskError(
                "GraphLIME compares a node with its neighbors and explains node tasks; got a "
                f"{self.task.level} task"
            )
        self._run: tuple[TypedGraph, Tensor] | None = None

    @torch.no_grad()
    def attribute(self, batch: InstanceBatch) -> Attribution:
        """One regression for each instance, on one run of the model for all of them."""
        only_features(batch)
        (x,) = float_features(batch.graph, batch.graph.data, batch.feature_names)
        if x is None:
            raise UnsupportedModelError(
                "what GraphLIME regresses on must be floating-point, and "
                f"{why_no_floats(batch.graph, batch.feature_names)}; zorro and pgm_explainer "
                "replace whole rows"
            )
        output = self._predictions(batch)
        feature = batch.reference.new_zeros(batch.num_nodes, x.size(1))
        is_constant = torch.zeros(batch.num_instances, dtype=torch.bool, device=batch.device)
        for number, node in enumerate(self._neighbors(batch)):
            response = self._response(batch, number, output[node])
            beta = self._weights(x[node].double(), response.double())
            if beta is None:
                is_constant[number] = True
            else:
                feature[batch.fields.seed[number, 0]] = beta.to(feature)
        if constant := int(is_constant.sum()):
            warnings.warn(
                f"{constant} of {batch.num_instances} nodes have no neighbors, or the same "
                "prediction as all of them: there is nothing to explain by features, and their "
                "scores are 0",
                ConstantPredictionWarning,
                stacklevel=2,
            )
        is_empty = (feature[batch.fields.seed[:, 0]] == 0).all(dim=1)
        reasons = (
            Reason("neighbors have the same prediction, or none", is_constant, is_told=True),
            Reason(f"no feature is worth rho={self.rho:g}; a lower rho keeps more", is_empty),
        )
        return Attribution(feature=[feature], reasons=reasons)

    def _predictions(self, batch: InstanceBatch) -> Tensor:
        """``[N, C]`` the model's output for all nodes of the user's graph."""
        graph = batch.graph
        if self._run is None or self._run[0] is not graph:
            call, data = batch.model_call, own_data(graph, batch.task, batch.model_call)
            rows = every_row(call, data, graph.num_nodes, batch.task, run_on)
            output = without_nan(rows)
            self._run = (graph, output)
        return self._run[1]

    def _neighbors(self, batch: InstanceBatch) -> list[Tensor]:
        """For each instance its node and the neighbors, among all nodes of the graph."""
        fields = batch.fields
        if self.hops is None:
            is_near = readable_nodes(batch)
            is_near[fields.seed[:, 0]] = True
            owner, node = fields.node_instance[is_near], fields.node[is_near]
        else:
            both = batch.wiring.needs_both_directions
            near = receptive_fields(batch.graph, fields.node[fields.seed], self.hops, both)
            owner, node = near.node_instance, near.node
        return list(node.split(torch.bincount(owner, minlength=batch.num_instances).tolist()))

    def _response(self, batch: InstanceBatch, number: int, output: Tensor) -> Tensor:
        """``[n, R]`` what is explained of the neighbors' predictions."""
        if self.response == "outputs":
            return probabilities(batch.task, output)
        targets = batch.targets.take(torch.full((len(output),), number, device=output.device))
        return score(batch.task, output, targets).view(-1, 1)

    def _weights(self, x: Tensor, y: Tensor) -> Tensor | None:
        """``beta [F]``, None where the predictions do not differ."""
        widths = [
            (own.size(1) / 10) ** 0.5 if width is None else width
            for own, width in ((x, self.feature_width), (y, self.output_width))
        ]
        return hsic_lasso(x, y, self.rho, *widths)
