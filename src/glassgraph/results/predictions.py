"""What a model predicts with some of its messages shut."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from glassgraph.brief import brief_repr


@dataclass(frozen=True)
class Predictions:
    """What does the model predict if only these messages are open?

    Rows stand in the order of the explanations: where an instance has one row, as nodes, links and
    pooled graphs do, row ``i`` is that of ``explanations[i]``; where it has several, ``instance``
    says whose each is. All tensors lie where the data do, without gradients.

    Attributes:
        outputs: ``[R, C]`` the model's outputs with the other messages shut, in its own units.
        reference: ``[R, C]`` its outputs with every message open.
        instance: ``[R]`` which explanation a row belongs to.
        num_open: ``[B]`` how many messages of an instance were open, of those that can reach it.
        num_messages: ``[B]`` how many can reach it: pairs of a layer and an edge.

    Example:
        >>> import torch
        >>> import glassgraph as gg
        >>> from torch_geometric.data import Data
        >>> from torch_geometric.nn import SimpleConv
        >>> x = torch.tensor([[0.0], [1.0], [3.0], [-1.0]])
        >>> data = Data(x=x, edge_index=torch.tensor([[1, 2, 3], [0, 0, 0]]))
        >>> explainer = gg.Occlusion(SimpleConv(), gg.Task("node", mode="regression"))
        >>> explanations = explainer.explain(data, [0])
        >>> found = explainer.predict(data, explanations, threshold=0.0)  # what scores above zero
        >>> found.outputs, found.reference  # SimpleConv adds what neighbors have
        (tensor([[4.]]), tensor([[3.]]))
        >>> found.num_open, found.num_messages
        (tensor([2]), tensor([3]))
    """

    outputs: Tensor
    reference: Tensor
    instance: Tensor
    num_open: Tensor
    num_messages: Tensor

    __repr__ = brief_repr
