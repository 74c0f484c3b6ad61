"""Random changes of node features, by address: the same for a node in whatever batch it comes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor

from glassgraph.black_box.variants import Copies, Variants
from glassgraph.core import random
from glassgraph.core.addresses import node_address
from glassgraph.core.batch import InstanceBatch
from glassgraph.inputs.node_features import all_features

#: What the features of a perturbed node become: 0 or 1, multiplied by U(0, 2), the mean, 0, the
#: largest, anything between the smallest and the largest.
PerturbationMode = Literal["randint", "scale", "mean", "zero", "max", "uniform"]
_COIN, _VALUE = 1, 2
_BITS, _POSITIVE = 63, (1 << 63) - 1


class Perturbation:
    """Samples in which some nodes of each instance have other features.

    Args:
        batch: the instances.
        mode: what features become.
        probability: how likely a node is perturbed in a sample.
        num_samples: number R of samples.
        seed: of all random numbers.
        stream: different numbers draw different samples.
        may_change: ``[n]`` which nodes are perturbed at all; those with features if None.
        is_shared: draw the same for a node in all instances that it is part of; then features are
            those of the user's whole graph, where a mode asks for their mean or their range.
    """

    def __init__(
        self,
        batch: InstanceBatch,
        mode: PerturbationMode,
        probability: float,
        num_samples: int,
        seed: int,
        stream: int = 0,
        may_change: Tensor | None = None,
        *,
        is_shared: bool = False,
    ) -> None:
        self.batch, self.mode, self._is_shared = batch, mode, is_shared
        key = 0 if is_shared else batch.key[batch.node_instance]
        self._address = random.hash64(seed, key, node_address(batch), stream).view(-1, 1)
        sample = torch.arange(num_samples, device=batch.device)
        flags = random.uniform(_COIN, self._address, sample) < probability
        flags &= has_features(batch).view(-1, 1)
        #: ``[n, R]`` whether a node is perturbed in a sample.
        self.is_perturbed = flags if may_change is None else flags & may_change.view(-1, 1)
        self._levels = [self._level(kind, at) for kind, at in enumerate(_rows(batch))]

    def outputs(self, variants: Variants, *, everywhere: bool = False) -> Iterator[Tensor]:
        """What the model says of the samples, in order, some of them in each entry.

        Args:
            variants: evaluates the batch.
            everywhere: of all nodes of the explained type.

        Yields:
            Entries ``[r, B, C]``, or ``[r, n_t, C]``.
        """
        num_instances, num_samples = self.batch.num_instances, self.is_perturbed.size(1)
        rows = max(1, self.batch.num_nodes + self.batch.num_edges)
        at_once = max(1, variants.most_rows // rows)
        owner = torch.arange(num_instances, device=self.batch.device)
        for first in range(0, num_samples, at_once):
            count = min(at_once, num_samples - first)

            def fill(copies: Copies, first: int = first) -> list[Tensor | None]:
                return self._features(copies, first)

            output = variants.with_features(owner.repeat(count), fill, everywhere=everywhere)
            yield output.view(count, -1, output.size(1))

    def _features(self, copies: Copies, first: int) -> list[Tensor | None]:
        found: list[Tensor | None] = []
        rows = _rows(self.batch)
        for kind, x in enumerate(self.batch.all_features):
            if x is None:
                found.append(None)
                continue
            row = copies.node[kind]
            node = rows[kind][row]
            sample = first + copies.variant[kind] // self.batch.num_instances
            changed = self.is_perturbed[node, sample].nonzero().view(-1)
            features = x[row]
            features[changed] = self._changed(kind, x, row[changed], node[changed], sample[changed])
            found.append(features)
        return found

    def _changed(self, kind: int, x: Tensor, row: Tensor, node: Tensor, sample: Tensor) -> Tensor:
        """Features ``[r, F]`` of perturbed nodes; integers become those of another node."""
        if not x.is_floating_point():
            known = self._known(kind)
            number = random.hash64(_VALUE, self._address[node].view(-1), sample)
            return known[(number & _POSITIVE) % known.size(0)]
        if self.mode == "zero":
            return torch.zeros_like(x[row])
        levels = self._levels[kind]
        if levels is not None and self.mode in ("mean", "max"):
            return levels[0][row]
        address = self._address[node], sample.view(-1, 1)
        if self.mode == "randint":
            return self._bits(address, x.size(1)).to(x.dtype)
        feature = torch.arange(x.size(1), device=x.device)
        share = random.uniform(_VALUE, *address, feature).to(x.dtype)
        if self.mode == "scale":
            return 2 * share * x[row]
        assert levels is not None
        return levels[0][row] + share * (levels[1] - levels[0])[row]

    def _bits(self, address: tuple[Tensor, Tensor], width: int) -> Tensor:
        """Random bits ``[r, F]``, many from one number."""
        words = torch.arange(-(-width // _BITS), device=self.batch.device)
        word = random.hash64(_VALUE, *address, words).unsqueeze(2)
        bits = (word >> torch.arange(_BITS, device=self.batch.device)) & 1
        return bits.flatten(1)[:, :width]

    def _known(self, kind: int) -> Tensor:
        """``[N_t, F]`` the features of all of the user's nodes of a type."""
        graph = self.batch.graph
        found = all_features(graph, graph.data, self.batch.feature_names)[kind]
        assert found is not None
        return found

    def _level(self, kind: int, at: Tensor) -> tuple[Tensor, ...] | None:
        """Per feature what the nodes of an instance have, one row per node; by mode.

        ``"mean"``: the mean; ``"max"``: the largest; ``"uniform"``: the smallest and the largest.
        """
        reduced = {"mean": ("mean",), "max": ("amax",), "uniform": ("amin", "amax")}
        x = self.batch.features[kind]
        if x is None or self.mode not in reduced:
            return None
        owner = self.batch.node_instance[at]
        known, group = x, owner
        if self._is_shared:
            known = self._known(kind).to(x)
            group = owner.new_zeros(known.size(0))
        found = []
        for reduce in reduced[self.mode]:
            level = x.new_zeros((self.batch.num_instances, x.size(1)))
            index = group.view(-1, 1).expand_as(known)
            level = level.scatter_reduce(0, index, known, reduce, include_self=False)
            found.append(level[owner])
        return tuple(found)


def has_features(batch: InstanceBatch) -> Tensor:
    """``[n]`` which nodes have features that can be perturbed."""
    found = torch.zeros(batch.num_nodes, dtype=torch.bool, device=batch.device)
    for x, at in zip(batch.all_features, _rows(batch), strict=True):
        found[at] = x is not None
    return found


def _rows(batch: InstanceBatch) -> list[Tensor]:
    """For each node type ``[n_t]`` the flat nodes of a batch."""
    return list(batch.packed.node_position)
