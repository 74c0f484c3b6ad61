"""Masks on nodes and features, and the inputs that a search among masks asks about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate

import torch
from torch import Tensor

from glassgraph.black_box.altered_rows import Alterations


@dataclass(frozen=True)
class Scene:
    """An instance and its noise.

    Attributes:
        instance: its number in the batch.
        first: its first node's row in the batch.
        x: ``[n, F]`` its features.
        noise: ``[S, n, F]`` samples of them.
        candidates: ``[n]`` nodes whose features can matter.
    """

    instance: int
    first: int
    x: Tensor
    noise: Tensor
    candidates: Tensor
    differs: Tensor = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Remember where noise is not what was there anyhow."""
        object.__setattr__(self, "differs", self.noise != self.x)


@dataclass(frozen=True)
class Mask:
    """What is kept: some features ``[F]`` of some nodes ``[n]``."""

    nodes: Tensor
    features: Tensor

    def with_entry(self, node: int, feature: int) -> Mask:
        """One node or feature more; the other one is -1."""
        nodes, features = self.nodes.clone(), self.features.clone()
        if node >= 0:
            nodes[node] = True
        else:
            features[feature] = True
        return Mask(nodes, features)

    def without(self, found: Found) -> tuple[Mask, Mask]:
        """What is left without the nodes of an explanation, and without its features."""
        return (
            Mask(self.nodes & ~found.nodes, self.features),
            Mask(self.nodes, self.features & ~found.features),
        )

    def or_all_of(self, possible: Mask) -> Mask:
        """The same, with everything that is possible on a side that is empty."""
        return Mask(
            self.nodes if bool(self.nodes.any()) else possible.nodes,
            self.features if bool(self.features.any()) else possible.features,
        )

    def entries(self) -> list[tuple[Tensor, Tensor]]:
        """Its nodes and its features, each as two columns: node and feature, -1 for none."""
        node, feature = self.nodes.nonzero().view(-1), self.features.nonzero().view(-1)
        return [(node, torch.full_like(node, -1)), (torch.full_like(feature, -1), feature)]

    def is_equal(self, other: Mask) -> bool:
        """Whether another one keeps the same."""
        return torch.equal(self.nodes, other.nodes) and torch.equal(self.features, other.features)

    @property
    def size(self) -> int:
        """Number of nodes and features."""
        return int(self.nodes.sum() + self.features.sum())


@dataclass(frozen=True)
class Found:
    """An explanation.

    Attributes:
        nodes: ``[n]`` which nodes are kept.
        features: ``[F]`` which features.
        fidelity: RDT-fidelity, on the search's own samples.
        steps: what joined one after the other, as (node, feature, fidelity reached), -1 for the
            one of the two that did not.
    """

    nodes: Tensor
    features: Tensor
    fidelity: float
    steps: list[tuple[int, int, float]]


@dataclass(frozen=True)
class Ask:
    """Inputs to evaluate: a mask with one more node or feature, on samples.

    Attributes:
        scene: the instance.
        mask: what is kept anyhow.
        across: the features that one more node keeps, and the nodes at which one more feature is
            kept; those of the mask where it has any.
        node: ``[k]`` one more node, -1 for none.
        feature: ``[k]`` one more feature, -1 for none.
        sample: ``[k]`` which noise.
    """

    scene: Scene
    mask: Mask
    across: Mask
    node: Tensor
    feature: Tensor
    sample: Tensor

    @property
    def size(self) -> int:
        """Number k of inputs."""
        return self.sample.numel()

    def fill(self, sample: Tensor, found: Tensor) -> None:
        """Write features ``[k, n, F]`` under the mask alone."""
        torch.index_select(self.scene.noise, 0, sample, out=found)
        rows, columns = self.mask.nodes.nonzero(), self.mask.features.nonzero().view(-1)
        found[:, rows, columns] = self.scene.x[rows, columns]

    def changes(self) -> tuple[Tensor, Tensor]:
        """Which of the inputs ``[p]``, ascending, change which nodes ``[p]``."""
        is_changed = self.across.nodes & (self.feature >= 0).view(-1, 1)
        is_changed &= self.scene.differs[
            self.sample.view(-1, 1), torch.arange(len(self.scene.x)), self.feature.view(-1, 1)
        ]
        at = (self.node >= 0).nonzero().view(-1)
        is_changed[at, self.node[at]] = True
        which, node = is_changed.nonzero(as_tuple=True)
        return which, node

    def alter(self, rows: Tensor, at: Tensor, which: Tensor, node: Tensor) -> None:
        """Change rows ``at [p]``, which `fill` wrote, as inputs change nodes."""
        x, feature = self.scene.x, self.feature[which]
        place = (feature < 0).nonzero()
        columns = self.across.features.nonzero().view(-1)
        rows[at[place], columns] = x[node[place], columns]
        place = (feature >= 0).nonzero().view(-1)
        rows[at[place], feature[place]] = x[node[place], feature[place]]


def alterations(asks: Sequence[Ask]) -> Alterations:
    """What several searches ask for, side by side; the inputs of each are ascending by sample."""
    inputs = _Inputs(asks)
    return Alterations(
        torch.cat(inputs.instances),
        inputs.fill,
        _joined(inputs.bases, [sample.numel() for sample in inputs.samples]),
        _joined([which for which, _ in inputs.changes], [ask.size for ask in asks]),
        torch.cat(
            [node + ask.scene.first for ask, (_, node) in zip(asks, inputs.changes, strict=True)]
        ),
        inputs.alter,
    )


class _Inputs:
    """The inputs of several searches, one after the other.

    Args:
        asks: what the searches ask for.

    Attributes:
        changes: for each search, which of its inputs change which nodes.
        samples: its samples, once each.
        bases: which of these each of its inputs is made of.
        instances: the instance of each sample.
    """

    def __init__(self, asks: Sequence[Ask]) -> None:
        self._asks = asks
        self.changes = [ask.changes() for ask in asks]
        self.samples: list[Tensor] = []
        self.bases: list[Tensor] = []
        for ask in asks:
            sample, base = torch.unique_consecutive(ask.sample, return_inverse=True)
            self.samples.append(sample)
            self.bases.append(base)
        self.instances = [
            torch.full_like(sample, ask.scene.instance)
            for ask, sample in zip(asks, self.samples, strict=True)
        ]

    def fill(self, first: int, last: int, rows: Tensor) -> None:
        """Write the features of a range of the samples, under the masks alone."""
        start = 0
        for n, low, high in _overlaps([len(each) for each in self.samples], first, last):
            num_nodes, width = self._asks[n].scene.x.shape
            stop = start + (high - low) * num_nodes
            part = rows[start:stop].view(high - low, num_nodes, width)
            self._asks[n].fill(self.samples[n][low:high], part)
            start = stop

    def alter(self, rows: Tensor, at: Tensor, first: int, last: int) -> None:
        """Change the rows of a range of the changes."""
        start = 0
        for n, low, high in _overlaps([len(each) for each, _ in self.changes], first, last):
            which, node = self.changes[n]
            stop = start + high - low
            self._asks[n].alter(rows, at[start:stop], which[low:high], node[low:high])
            start = stop


def _joined(parts: Sequence[Tensor], sizes: Sequence[int]) -> Tensor:
    """Numbers within several lists of some sizes, as numbers within one list of all."""
    starts = accumulate(sizes[:-1], initial=0)
    return torch.cat([part + start for part, start in zip(parts, starts, strict=True)])


def _overlaps(sizes: Sequence[int], first: int, last: int) -> list[tuple[int, int, int]]:
    """Which parts of a list of parts a range covers, and from where to where in each."""
    found, start = [], 0
    for number, size in enumerate(sizes):
        low, high = max(first - start, 0), min(last - start, size)
        if low < high:
            found.append((number, low, high))
        start += size
    return found
