r"""GraphLIME: which features explain how predictions differ around a node?

The neighbors of the explained node, and itself, are the data: their features and the model's
predictions on the user's graph, one run for all. With Gaussian kernels, for each feature ``k``

.. code-block:: text

    K^k[i, j] = exp(-(x_ik - x_jk)^2 / (2 width^2)),   L[i, j] = exp(-|y_i - y_j|^2 / (2 width^2))

centered and scaled to norm 1 (``Kbar = H K H / |H K H|_F``), the HSIC Lasso

.. code-block:: text

    min_{beta >= 0}   1/2 |Lbar - sum_k beta_k Kbar^k|_F^2 + rho sum_k beta_k

picks features that the predictions depend on, in whatever way, and of those that say the same only
what is needed. ``beta`` is the explanation: numbers for features of the node, nothing about edges.

The data are never perturbed, so this says what predictions go along with here; that the model reads
a feature does not follow.

Features that are constant around the node have ``beta = 0``. Those that are the same up to what
kernels can see (equal, or two values exchanged) share one ``beta`` evenly. Only the products of
kernels with each other are kept, F x F numbers, and least angle regression
(`sklearn.linear_model.lars_path_gram`) needs no more.

The paper leaves the widths open. By default they are those of the public (not the authors') code,
https://github.com/WilliamCCHuang/GraphLIME: ``width^2 = F / 10`` for features, where ``F`` counts
all of them although a kernel is about one, and ``C / 10`` for C outputs. A feature with two values
has the same ``Kbar`` for any width.

Huang, Yamada, Tian, Singh and Chang, "GraphLIME: Local Interpretable Model Explanations for Graph
Neural Networks" (TKDE 2022, https://arxiv.org/abs/2001.06216).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, Literal, get_args

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import Lasso, lars_path_gram
from torch import Tensor, nn

from glassgraph.black_box.boundary import readable_nodes
from glassgraph.black_box.noise import only_features
from glassgraph.core.batch import InstanceBatch
from glassgraph.core.context import own_data, run_on, without_nan
from glassgraph.core.graph import TypedGraph
from glassgraph.core.receptive import receptive_fields
from glassgraph.core.task import Task, as_matrix, probabilities, score
from glassgraph.errors import HyperParameterError, TaskError
from glassgraph.explainers.black_box import BlackBoxExplainer
from glassgraph.explainers.scope import Scope
from glassgraph.explainers.traits import Traits
from glassgraph.results.explanation import Attribution

#: ``"outputs"``: all classes' probabilities; ``"target"``: the explained score alone.
Response = Literal["outputs", "target"]
#: Kernels whose product is closer to 1 are the same.
_SAME = 1e-10
#: Numbers of kernels that are computed at once.
_AT_ONCE = 1 << 22


class ConstantPredictionWarning(UserWarning):
    """Around some nodes all predictions are the same, so there is nothing that features explain."""


class GraphLIME(BlackBoxExplainer):
    """Non-negative weights of the explained node's features.

    They stand in its row of the feature scores; the other rows are 0. For node tasks on graphs with
    one type of nodes.

    Args:
        model: the model, or a function.
        task: a node task.
        rho: how much a feature has to be worth; a feature that is alone gets ``beta`` if its kernel
            has a product above it with that of the predictions.
        hops: how far away the neighbors may be; None for those whose features can change the
            prediction, which are as many hops as the model has layers.
        response: what is explained of predictions: ``"outputs"`` for the probabilities of all
            classes (the values, for a regression), whatever the target; ``"target"`` for the
            explained score.
        feature_width: width of the features' kernels; None for ``sqrt(F / 10)``.
        output_width: width of the predictions' kernel; None for ``sqrt(C / 10)``.
        **shared: see `BlackBoxExplainer`.

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
        is_learned=False,
        is_amortized=False,
        is_black_box=True,
        is_signed=False,
        is_random=False,
        source="Huang et al. 2022, arXiv:2001.06216",
    )
    scope = Scope(levels=("node",), heterogeneous=False, sees_degrees=True)

    def __init__(
        self,
        model: nn.Module | Callable[..., Tensor],
        task: str | Task = "node",
        *,
        rho: float = 0.1,
        hops: int | None = None,
        response: Response = "outputs",
        feature_width: float | None = None,
        output_width: float | None = None,
        **shared: Any,
    ) -> None:
        super().__init__(model, task, **shared)
        if self.task.level != "node":
            raise TaskError(
                "GraphLIME compares a node with its neighbors and explains node tasks; got a "
                f"{self.task.level} task"
            )
        if not rho > 0:
            raise HyperParameterError(f"rho must be positive; got {rho}")
        if hops is not None and hops < 1:
            raise HyperParameterError(f"hops must be at least 1; got {hops}")
        if response not in get_args(Response):
            raise HyperParameterError(f"response must be 'outputs' or 'target'; got {response!r}")
        for name, width in (("feature_width", feature_width), ("output_width", output_width)):
            if width is not None and not width > 0:
                raise HyperParameterError(f"{name} must be positive; got {width}")
        self.rho = float(rho)
        self.hops = hops
        self.response: Response = response
        self.feature_width = feature_width
        self.output_width = output_width
        self._run: tuple[TypedGraph, Tensor] | None = None

    @torch.no_grad()
    def attribute(self, batch: InstanceBatch) -> Attribution:
        """One regression for each instance, on one run of the model for all of them."""
        x = only_features(batch, batch.graph.data.get("x", None))
        output = self._predictions(batch)
        feature = batch.reference.new_zeros(batch.num_nodes, x.size(1))
        constant = 0
        for number, node in enumerate(self._neighbors(batch)):
            response = self._response(batch, number, output[node])
            beta = self._weights(x[node].double(), response.double())
            if beta is None:
                constant += 1
            else:
                feature[batch.fields.seed[number, 0]] = beta.to(feature)
        if constant:
            warnings.warn(
                f"{constant} of {batch.num_instances} nodes have no neighbors, or the same "
                "prediction as all of them: there is nothing to explain by features, and their "
                "scores are 0",
                ConstantPredictionWarning,
                stacklevel=2,
            )
        return Attribution(feature=[feature])

    def _predictions(self, batch: InstanceBatch) -> Tensor:
        """``[N, C]`` the model's output for all nodes of the user's graph."""
        graph = batch.graph
        if self._run is None or self._run[0] is not graph:
            result = run_on(batch.model_call, own_data(graph, batch.task))
            output = without_nan(as_matrix(result, graph.num_nodes, "node"))
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
        num_features = x.size(1)
        varies = (x != x[:1]).any(dim=0).nonzero().view(-1)
        beta = x.new_zeros(num_features)
        scale = y.abs().amax() if y.numel() else y.new_zeros(())
        if not bool(((y - y[:1]).abs() > 1e-6 * scale).any()):
            return None
        width = (y.size(1) / 10) ** 0.5 if self.output_width is None else self.output_width
        of_output = _centered(torch.cdist(y, y), width)
        width = (num_features / 10) ** 0.5 if self.feature_width is None else self.feature_width
        gram, product = _products(x[:, varies], of_output / of_output.norm(), width)
        beta[varies] = _shared(gram, product, self.rho)
        return beta


def _centered(distance: Tensor, width: float) -> Tensor:
    """``H K H`` of Gaussian kernels ``[..., n, n]``."""
    kernel = (-distance.square() / (2 * width**2)).exp()
    kernel = kernel - kernel.mean(dim=-1, keepdim=True)
    return kernel - kernel.mean(dim=-2, keepdim=True)


def _products(x: Tensor, of_output: Tensor, width: float) -> tuple[Tensor, Tensor]:
    """Products of the features' kernels, with each other ``[F, F]`` and the predictions' ``[F]``.

    Rows of the kernels are taken in parts, so that no more than a few million numbers are held.
    """
    num_nodes, num_features = x.shape
    columns = x.t().contiguous()
    means = x.new_empty(num_features, num_nodes)
    gram, product = x.new_zeros(num_features, num_features), x.new_zeros(num_features)
    size = max(1, _AT_ONCE // max(1, num_nodes * num_features))
    rows = torch.arange(num_nodes, device=x.device).split(size)

    def kernel(row: Tensor) -> Tensor:
        distance = columns[:, row, None] - columns[:, None, :]
        return (-distance.square() / (2 * width**2)).exp()

    for row in rows:
        means[:, row] = kernel(row).mean(dim=2)
    total = means.mean(dim=1).view(-1, 1, 1)
    for row in rows:
        part = (kernel(row) - means[:, row, None] - means[:, None, :] + total).flatten(1)
        gram += part @ part.t()
        product += part @ of_output[row].flatten()
    norm = gram.diagonal().sqrt()
    return gram / norm / norm.view(-1, 1), product / norm


def _shared(gram: Tensor, product: Tensor, rho: float) -> Tensor:
    """The weights, where kernels that are the same have equal parts of one weight."""
    if not product.numel():
        return product
    first = (gram > 1 - _SAME).int().argmax(dim=1)  # the first feature with the same kernel
    kept, group, count = first.unique(return_inverse=True, return_counts=True)
    weight = _solve(gram[kept][:, kept].cpu().numpy(), product[kept].cpu().numpy(), rho)
    beta: Tensor = (torch.from_numpy(weight).to(product) / count)[group]
    return beta


def _solve(gram: Any, product: Any, rho: float) -> Any:
    """``beta`` that minimizes ``beta' G beta / 2 - c' beta + rho sum(beta)``, ``beta >= 0``."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        _, _, path = lars_path_gram(
            product, gram.copy(), n_samples=1, alpha_min=rho, method="lasso", positive=True
        )
    found = path[:, -1]
    slope = gram @ found - product + rho
    if slope.min() > -1e-7 and np.abs(slope * found).max() < 1e-7:
        return found
    # Kernels that depend on each other can lead the path astray; coordinate descent does not mind.
    values, vectors = np.linalg.eigh(gram)
    is_there = values > 1e-12 * values.max()
    root, vectors = np.sqrt(values[is_there]), vectors[:, is_there]
    design, response = root[:, None] * vectors.T, vectors.T @ product / root
    lasso = Lasso(rho / len(root), fit_intercept=False, positive=True, tol=1e-10, max_iter=100_000)
    return lasso.fit(design, response).coef_
