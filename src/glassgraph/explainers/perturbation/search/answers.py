"""What the model said of candidates in earlier steps of a search, as far as it still holds.

A node or feature that joins the mask changes few samples where features are sparse: most words of
a paper are absent, in noise too. On all others a candidate makes the same input as before.
"""

from __future__ import annotations

import torch
from torch import Tensor

from glassgraph.explainers.perturbation.search.masked_inputs import Mask, Scene

_UNKNOWN = -1


class Answers:
    """For each node and feature, of which samples the model says the same if it joins the mask.

    Args:
        scene: the instance.
    """

    def __init__(self, scene: Scene) -> None:
        self._differs = scene.differs
        num_samples, self._num_nodes, num_features = scene.differs.shape
        size = self._num_nodes + num_features, num_samples
        self._said = torch.full(size, _UNKNOWN, dtype=torch.int8, device=scene.x.device)

    def look_up(self, node: Tensor, feature: Tensor) -> tuple[Tensor, Tensor]:
        """Which samples ``[c, S]`` of candidates are known, and of which the model says the same.

        Args:
            node: ``[c]`` the node that a candidate is, -1 if it is a feature.
            feature: ``[c]`` the feature that a candidate is, -1 if it is a node.
        """
        said = self._said[self._row(node, feature)]
        return said != _UNKNOWN, said == 1

    def keep(self, node: Tensor, feature: Tensor, sample: Tensor, said: Tensor) -> None:
        """The model has said it of candidates ``[k]`` on some samples ``[k]``."""
        self._said[self._row(node, feature), sample] = said.to(torch.int8)

    def forget(self, before: Mask, mask: Mask) -> None:
        """Drop what no longer holds, once a mask has grown.

        Args:
            before: the mask.
            mask: the same with one node or feature more.
        """
        if not (before.nodes.any() and before.features.any()):
            self._said.fill_(_UNKNOWN)  # what joins keeps other entries from now on
            return
        joined = (mask.features & ~before.features).nonzero().view(-1)
        if joined.numel():
            new = self._differs[:, :, joined].any(dim=2)  # [S, n]
            changed, others = new[:, mask.nodes], self._said[: self._num_nodes]
        else:
            joined = (mask.nodes & ~before.nodes).nonzero().view(-1)
            new = self._differs[:, joined].any(dim=1)  # [S, F]
            changed, others = new[:, mask.features], self._said[self._num_nodes :]
        others.masked_fill_(new.t(), _UNKNOWN)  # what they keep has grown
        self._said[:, changed.any(dim=1)] = _UNKNOWN

    def _row(self, node: Tensor, feature: Tensor) -> Tensor:
        return torch.where(node >= 0, node, self._num_nodes + feature)
