"""Methods that see a model from outside: data in, predictions out."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, ClassVar

from torch import nn

from glassgraph.black_box.callable_module import as_module
from glassgraph.black_box.probing import prepare_black_box
from glassgraph.calling.protect import protected
from glassgraph.core.own_edges import INSTEAD
from glassgraph.core.prepare import Preparation
from glassgraph.core.sites import find_channels
from glassgraph.core.told import UnseenWarning
from glassgraph.explainers.base import Explainer
from glassgraph.explainers.settings import setting


class BlackBoxExplainer(Explainer):
    """Base class of methods that call a model and do nothing else with it.

    No hook is set, no gradient asked for, no layer looked at. So these methods explain anything
    that can be called: a network behind a server, a compiled one, a model of another library. The
    model may be any function of a graph's attributes (or of the graph) that returns
    predictions.

    How far a prediction looks, and with it what has to be searched, is found by calling the model
    on parts of the graph (`glassgraph.black_box.probing`). A model that normalizes by degrees looks
    one hop farther than it passes messages.

    Raises:
        HyperParameterError: if the model cannot be called, or for values out of range.

    Example:
        >>> import torch
        >>> import glassgraph as gg
        >>> from torch_geometric.data import Data
        >>> from torch_geometric.nn import GCN
        >>> model = GCN(3, 8, 2, 2).eval()
        >>> def service(x, edge_index):  # no module, no gradient
        ...     with torch.no_grad():
        ...         return model(x, edge_index)
        >>> data = Data(x=torch.rand(4, 3), edge_index=torch.tensor([[0, 1, 2], [1, 2, 3]]))
        >>> issubclass(gg.CausalScreening, gg.BlackBoxExplainer)
        True
        >>> gg.CausalScreening(service, task="node").explain(data, index=[2])[0].edge_mask.shape
        torch.Size([3])
    """

    #: On the full graph alone nobody can find out how far a model looks.
    fixed_settings: ClassVar[Mapping[str, Any]] = {"num_hops": 3}

    num_hops: int | None = setting(
        "how far from a node or link its prediction looks; None finds out", default=None, at_least=1
    )

    def _check_model(self, model: Any) -> nn.Module:
        return as_module(model)

    def _preparation_of(self, data: Any) -> Preparation:
        preparation = prepare_black_box(
            self._model_call, self.task, data, self.check, self.num_hops
        )
        graph = preparation.graph
        has_none = graph.has_edge_index and not graph.num_edges
        has_none &= graph.num_nodes > graph.num_graphs  # else there is nothing to be joined
        scores_nodes = "node" in self.traits.scores
        if (
            has_none
            and self._needs_edges
            and not scores_nodes
            and preparation.task.level == "graph"
        ):
            warnings.warn(  # of nodes, how far the model looks tells whether it builds edges
                f"the data have no edges, and {self.name} scores edges: explanations are empty. If "
                f"the model builds its edges itself, {INSTEAD}",
                UnseenWarning,
                stacklevel=2,
            )
        return preparation

    def open(self, data: Any) -> Preparation:
        """Look into the model after all, for experiments that shut its messages.

        Raises:
            NoMessagePassingError: if it has none.
        """
        find_channels(self.model)
        with protected(self.model):
            return Preparation.read(self.model, self._model_call, self.task, data, self.check)
