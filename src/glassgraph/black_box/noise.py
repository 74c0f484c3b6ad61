"""Noise in the place of node features: values that other nodes have.

The entry of node ``v`` and feature ``f`` becomes ``X[r, f]``, with a row ``r`` of the user's
graph(s) drawn for each entry on its own: every feature keeps its distribution over the nodes, and
nothing that features or nodes have in common is left. The draw depends on the seed, the instance,
the sample, the node and the feature alone.
"""

from __future__ import annotations

import torch
from torch import Tensor

from glassgraph.core import random
from glassgraph.core.addresses import node_address
from glassgraph.core.batch import InstanceBatch
from glassgraph.errors import UnsupportedModelError
from glassgraph.inputs.node_features import all_features

#: Keeps these numbers apart from others at the same addresses.
_STREAM = 0x4E4F495345
_POSITIVE = (1 << 63) - 1
#: Numbers that are drawn at once, a cache's worth.
_AT_ONCE = 1 << 16


class FeatureNoise:
    """Draws features for the nodes of instances.

    Args:
        batch: the instances.
        seed: the seed.

    Raises:
        UnsupportedModelError: if the nodes have types, or no features.
    """

    def __init__(self, batch: InstanceBatch, seed: int) -> None:
        self._batch, self._seed = batch, seed
        only_features(batch)
        (values,) = all_features(batch.graph, batch.graph.data, batch.feature_names)
        assert values is not None
        self._values = values
        self._address = node_address(batch)

    def draw(self, instance: int, node: Tensor, num_samples: int) -> Tensor:
        """Features ``[S, n, F]`` of some nodes ``[n]`` (rows of the batch) of an instance."""
        (num_rows, width), key = self._values.shape, self._batch.key[instance]
        address = self._address[node].view(1, -1, 1)
        feature = torch.arange(width, device=node.device)
        # A part at a time, since hashing is a dozen walks over its numbers.
        at_once = max(1, _AT_ONCE // max(1, node.numel() * width))
        found = self._values.new_empty(num_samples, node.numel(), width)
        for sample in torch.arange(num_samples, device=node.device).split(at_once):
            number = random.hash64(
                self._seed, _STREAM, key, sample.view(-1, 1, 1), address, feature
            )
            row = (number & _POSITIVE) % num_rows
            found[sample] = self._values.take(row * width + feature)
        return found


def only_features(batch: InstanceBatch) -> Tensor:
    """Features ``[n, F]`` of the nodes of a batch without types, floating or not.

    Raises:
        UnsupportedModelError: if there are types, or no features.
    """
    if batch.graph.is_heterogeneous:
        raise UnsupportedModelError(
            "masks of nodes and features are for graphs with one type of nodes; this graph has "
            f"{', '.join(map(str, batch.graph.node_types))}"
        )
    (x,) = batch.all_features
    if x is None:
        raise UnsupportedModelError(
            "there are no node features to be masked: the graph has neither x nor pos nor z that "
            "the model reads"
        )
    return x
