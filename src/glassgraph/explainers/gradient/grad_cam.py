"""Grad-CAM: gradients of the score times hidden node states."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from glassgraph.core.batch import InstanceBatch
from glassgraph.core.reachability import edges_of_nodes
from glassgraph.explainers.base import Explainer
from glassgraph.explainers.constant import clamped
from glassgraph.explainers.scope import Scope
from glassgraph.explainers.settings import setting
from glassgraph.explainers.traits import Traits
from glassgraph.hidden.states import HiddenStates, layer_states, module_states
from glassgraph.inputs import task as tasks
from glassgraph.results.explanation import Attribution


class GradCAM(Explainer):
    """Which nodes speak for the prediction in the hidden states of a layer?

    With ``y`` the explained score, ``H^l [N, D]`` the node states after layer ``l`` and ``u``,
    ``v`` the ends of edge ``e``::

        averaged       alpha_k = 1/N sum_n dy/dH^l[n, k]
                       S[n]    = ReLU(sum_k alpha_k H^l[n, k])
        not averaged   S[n]    = ReLU(sum_k dy/dH^l[n, k] H^l[n, k])
        edge score     S[e]    = (S[u] + S[v]) / 2

    Scores of nodes ``[N]`` and edges ``[E]`` have the unit of the model's output and are not
    negative, unless ``relu=False``.

    **Graph tasks** follow Pope et al.: averaged over the N nodes of each graph, at the last layer.
    For a model with mean pooling and a linear head this is `CAM` divided by N, with sum pooling it
    is `CAM`.

    **Node and link tasks** depend on few nodes, each in its own way, and the gradient of the last
    layer reaches the explained nodes alone. There the default is not averaged, and the mean of the
    scores at all layers (Faber et al., "gradXact"). If averaging is asked for, it runs over the
    nodes whose gradient is not zero: those whose states the prediction depends on. All others
    score 0.

    It is nodes that are scored. To rank edges ask `glassgraph.EdgeGradients`: by robust fidelity
    the order that they get from their ends was better than random scores on no more than half of
    the survey's data sets (``docs/survey.md``).

    A ``layer`` is a number of message-passing steps from 0 on (R-GCN's relations are one step);
    ``"average"`` takes the mean of the scores at all layers that hand states of all nodes on; any
    other word is the dotted name of a submodule, such as ``"relu2"``, that returns one row per node
    (at its last call). Numbered states are taken after the activation, where the next layer, the
    pooling or the links read them.

    Selvaraju et al., "Grad-CAM" (ICCV 2017, https://arxiv.org/abs/1610.02391); on graphs Pope,
    Kolouri, Rostami, Martin and Hoffmann, "Explainability Methods for Graph Convolutional Neural
    Networks" (CVPR 2019, https://doi.org/10.1109/CVPR.2019.01103); without averaging Faber,
    Moghaddam and Wattenhofer, "When Comparing to Ground Truth is Wrong" (KDD 2021,
    https://doi.org/10.1145/3447548.3467283).

    Raises:
        HyperParameterError: from `explain`, if there is no such layer or submodule.
        UnsupportedModelError: from `explain`, if there are no states of all nodes at that place,
            and on heterogeneous graphs.

    Example:
        >>> import torch
        >>> import glassgraph as gg
        >>> from torch_geometric.data import Data
        >>> from torch_geometric.nn import GCN
        >>> data = Data(x=torch.rand(4, 3), edge_index=torch.tensor([[0, 1, 2], [1, 2, 3]]))
        >>> explainer = gg.GradCAM(GCN(3, 8, 2, 2), task="node", layer=0)
        >>> explainer.explain(data, [3])[0].node_score[:2]  # too far away for layer 0
        tensor([0., 0.])
    """

    name = "grad_cam"
    traits = Traits(
        family="gradient",
        scores=("edge", "node"),
        source="Selvaraju et al. 2017, arXiv:1610.02391; Pope et al. 2019; Faber et al. 2021",
    )
    scope = Scope(heterogeneous=False, names_receivers=True)
    test_settings: ClassVar[Mapping[str, Any]] = {"relu": False}

    layer: Literal["average"] | int | str | None = setting(
        "whose states: a layer from 0 on, 'average' over all layers, or the dotted name of a "
        "submodule; by default the last layer in graph tasks, 'average' in others",
        default=None,
    )
    average_gradients: bool | None = setting(
        "whether gradients are averaged over nodes; by default in graph tasks", default=None
    )
    relu: bool = setting(
        "keep what speaks for the prediction alone; False for signed scores", default=True
    )

    def attribute(self, batch: InstanceBatch) -> Attribution:
        """One forward and one backward pass."""
        hidden = self._states(batch)
        score = tasks.score(batch.task, hidden.output, batch.targets)
        maps = [self._map(batch, states, gradient) for states, gradient in hidden.gradients(score)]
        node = torch.stack(maps).mean(dim=0)
        reasons = clamped(batch, node) if self.relu else ()
        return Attribution(edge=edges_of_nodes(batch, node), node=node, reasons=reasons)

    def _states(self, batch: InstanceBatch) -> HiddenStates:
        layer = self.layer
        if layer is None:
            layer = batch.num_layers - 1 if batch.task.level == "graph" else "average"
        if isinstance(layer, int):
            return layer_states(batch, [layer])
        return layer_states(batch) if layer == "average" else module_states(batch, layer)

    def _map(self, batch: InstanceBatch, states: Tensor, gradient: Tensor) -> Tensor:
        """Scores ``[n]`` from the states of one layer ``[n, D]``."""
        averages = self.average_gradients
        if batch.task.level == "graph" if averages is None else averages:
            gradient = _averaged(batch, gradient)
        node = (gradient * states).sum(dim=1).to(batch.dtype)
        return node.relu() if self.relu else node


def _averaged(batch: InstanceBatch, gradient: Tensor) -> Tensor:
    """``alpha [n, D]``: for each node the mean gradient of its instance."""
    counts = torch.ones_like(batch.node_instance)
    if batch.task.level != "graph":
        counts = (gradient != 0).any(dim=1).long()
    size = torch.zeros_like(batch.nodes_per_instance).index_add(0, batch.node_instance, counts)
    total = gradient.new_zeros((batch.num_instances, gradient.size(1)))
    total = total.index_add(0, batch.node_instance, gradient)
    mean = total / size.clamp_min(1).view(-1, 1)
    return mean[batch.node_instance] * counts.view(-1, 1)
