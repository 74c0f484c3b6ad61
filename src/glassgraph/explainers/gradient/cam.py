"""Class activation mapping (CAM), and whether a model has the form that it needs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from glassgraph.core.batch import InstanceBatch
from glassgraph.core.reachability import edges_of_nodes
from glassgraph.errors import TaskError, UnsupportedModelError
from glassgraph.explainers.base import Explainer
from glassgraph.explainers.constant import clamped
from glassgraph.explainers.scope import Scope
from glassgraph.explainers.settings import KW_ONLY, Converted, setting
from glassgraph.explainers.traits import Traits
from glassgraph.hidden.readout import Pooling, find_pooling, is_close
from glassgraph.inputs import task as tasks
from glassgraph.inputs.task import Task
from glassgraph.results.explanation import Attribution

_INSTEAD = "; grad_cam explains any model"


class CAM(Explainer, kw_only=False):
    """Which nodes speak for the class, to a model that pools them and ends in one linear map?

    A graph classifier whose last node states ``H [N, D]`` are pooled by their mean (or their sum,
    without ``1/N``) and read by one linear head hears each node for itself, and the head's weights
    ``w`` tell what it says::

        the model    e_k  = 1/N sum_n H[n, k]
                     y^c  = sum_k w_k^c e_k + b^c
        node score   S[n] = ReLU(sum_k w_k^c H[n, k])
        edge score   S[e] = (S[u] + S[v]) / 2   for an edge e from u to v

    The explained score takes the place of ``y^c``: a pair of classes (a, b) has the weights
    ``w^a - w^b``. Scores of nodes ``[N]`` and edges ``[E]`` have the unit of a logit; before the
    ReLU (``relu=False``) those of nodes sum to ``N (y^c - b^c)`` with mean pooling, to
    ``y^c - b^c`` with sum pooling.

    ``H`` and ``e`` are found by what they are, not by names: ``e`` is the mean or the sum of ``H``,
    ``w`` its gradient, and two further runs, with other numbers in the place of ``e`` and other
    messages, must give what the linear head says they give. Any affine map is a linear head here,
    also one of several layers without a nonlinearity between them. The model has to return logits.

    Zhou, Khosla, Lapedriza, Oliva and Torralba, "Learning Deep Features for Discriminative
    Localization" (CVPR 2016, https://arxiv.org/abs/1512.04150); on graphs Pope, Kolouri, Rostami,
    Martin and Hoffmann, "Explainability Methods for Graph Convolutional Neural Networks" (CVPR
    2019, https://doi.org/10.1109/CVPR.2019.01103).

    Raises:
        TaskError: for node and link tasks.
        UnsupportedModelError: from `explain`, if the model is built in another way.

    Example:
        >>> import torch
        >>> import glassgraph as gg
        >>> from torch_geometric.data import Data
        >>> from torch_geometric.nn import GCNConv, global_mean_pool
        >>> class Net(torch.nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.conv, self.head = GCNConv(3, 8), torch.nn.Linear(8, 2)
        ...
        ...     def forward(self, x, edge_index, batch):
        ...         return self.head(global_mean_pool(self.conv(x, edge_index).relu(), batch))
        >>> data = Data(x=torch.rand(4, 3), edge_index=torch.tensor([[0, 1, 2], [1, 2, 3]]))
        >>> explanation = gg.CAM(Net(), task="graph").explain([data])[0]
        >>> explanation.node_score.shape, bool((explanation.node_score >= 0).all())
        (torch.Size([4]), True)
    """

    name = "cam"
    traits = Traits(
        family="gradient",
        scores=("edge", "node"),
        source="Zhou et al. 2016, arXiv:1512.04150; Pope et al. 2019",
    )
    scope = Scope(
        levels=("graph",),
        return_types=("raw",),
        many_rows=False,
        heterogeneous=False,
        names_receivers=True,
    )
    test_settings: ClassVar[Mapping[str, Any]] = {"relu": False}

    task: Converted[str | Task, Task] = Converted(Task.of, "graph")
    _: KW_ONLY
    relu: bool = setting(
        "keep what speaks for the class alone; False for signed scores", default=True
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.task.level != "graph":
            raise TaskError(
                f"CAM explains graph tasks, whose models pool nodes; got a {self.task.level} task"
                + _INSTEAD
            )

    def attribute(self, batch: InstanceBatch) -> Attribution:
        """One run with gradients, and two that check the form of the model."""
        pooling = find_pooling(batch)
        if pooling is None:
            raise UnsupportedModelError(
                "CAM needs a model that pools its nodes by mean or sum; no result computed after "
                "its last layer is the mean or the sum of its node states over each graph"
                + _INSTEAD
            )
        score = tasks.score(batch.task, pooling.output, batch.targets)
        (weight,) = batch.gradients(score, [pooling.pooled], gates_first=False)
        _check_head(batch, pooling, score.detach(), weight)
        states = pooling.states.detach().flatten(1)
        per_graph = weight.reshape(batch.num_instances, states.size(1))
        node = (per_graph[batch.node_instance] * states).sum(dim=1).to(batch.dtype)
        if self.relu:
            node = node.relu()
        reasons = clamped(batch, node) if self.relu else ()
        return Attribution(edge=edges_of_nodes(batch, node), node=node, reasons=reasons)


def _check_head(batch: InstanceBatch, pooling: Pooling, score: Tensor, weight: Tensor) -> None:
    """Refuse models whose score is not an affine function of what is pooled, and of nothing else.

    Numbers far away from those of the model switch every ReLU of a nonlinear head, once to either
    side; halved messages change every path to the output that leaves the pooling out.
    """
    pooled = pooling.pooled.detach()
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(pooled.shape, generator=generator, dtype=torch.float64)
    far = (1 + pooled.abs().amax()) * noise.to(pooled)
    for there, gates in ((far, batch.ones()), (-far, batch.ones() / 2)):
        output = pooling.output_at(there, gates)
        found = tasks.score(batch.task, output, batch.targets)
        terms = (weight * (there - pooled)).reshape(batch.num_instances, -1)
        scale = terms.abs().sum(dim=1) + score.abs()
        if not is_close(found, score + terms.sum(dim=1), scale):
            ending = ""
            if batch.task.return_type != "raw":
                ending = (
                    f" (it returns {batch.task.return_type}: a softmax or sigmoid is not linear; "
                    "explain a model that returns logits)"
                )
            raise UnsupportedModelError(
                f"CAM needs one linear head on the pooled states; this model pools by "
                f"{pooling.kind}, but its output is no linear function of what is pooled, or "
                f"depends on something else as well{ending}" + _INSTEAD
            )
