"""ZORRO's greedy search on one instance, as a generator: it asks for evaluations and is told.

A search asks what the model says of some masks, each with some samples of noise, and goes on when
it is told. So any number of searches can be evaluated side by side (see `zorro`).

What a candidate (a node or a feature that may join the mask) is worth is the difference of two
counts: samples that it brings to the right decision, and samples that it loses. Only samples whose
input it changes can be either. They are evaluated in portions, those that can be gained first, and
what is not evaluated yet counts as gained. A candidate whose bound so far is below the exact worth
of others cannot be among the best, and is not evaluated any further.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from glassgraph.black_box.altered_rows import Alterations

#: Samples of a candidate that are evaluated at once, and candidates that are looked at together.
_PORTION, _TOGETHER = 25, 128


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

    def bases(self, sample: Tensor) -> Tensor:
        """Features ``[k, n, F]`` under the mask alone."""
        found = self.scene.noise[sample]
        rows, columns = self.mask.nodes.nonzero(), self.mask.features.nonzero().view(-1)
        found[:, rows, columns] = self.scene.x[rows, columns]
        return found

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

    def alter(self, rows: Tensor, which: Tensor, node: Tensor) -> None:
        """Change rows ``[p, F]`` of `bases` as inputs change nodes."""
        x, feature = self.scene.x, self.feature[which]
        at = (feature < 0).nonzero()
        columns = self.across.features.nonzero().view(-1)
        rows[at, columns] = x[node[at], columns]
        at = (feature >= 0).nonzero().view(-1)
        rows[at, feature[at]] = x[node[at], feature[at]]


def alterations(asks: Sequence[Ask]) -> Alterations:
    """What several searches ask for, side by side; the inputs of each are ascending by sample."""
    samples, bases, variants, rows, instances = [], [], [], [], []
    num_bases = num_variants = 0
    changes = [ask.changes() for ask in asks]
    for ask, (which, node) in zip(asks, changes, strict=True):
        sample, base = torch.unique_consecutive(ask.sample, return_inverse=True)
        samples.append(sample)
        instances.append(torch.full_like(sample, ask.scene.instance))
        bases.append(base + num_bases)
        variants.append(which + num_variants)
        rows.append(node + ask.scene.first)
        num_bases, num_variants = num_bases + sample.numel(), num_variants + ask.size

    def fill(first: int, last: int) -> Tensor:
        parts = _overlaps([len(each) for each in samples], first, last)
        found = [asks[n].bases(samples[n][low:high]).flatten(0, 1) for n, low, high in parts]
        return found[0] if len(found) == 1 else torch.cat(found)

    def alter(changed: Tensor, first: int, last: int) -> None:
        start = 0
        for n, low, high in _overlaps([len(each) for each, _ in changes], first, last):
            which, node = changes[n]
            part = changed[start : start + high - low]
            asks[n].alter(part, which[low:high], node[low:high])
            start += high - low

    return Alterations(
        torch.cat(instances),
        fill,
        torch.cat(bases),
        torch.cat(variants),
        torch.cat(rows),
        alter,
    )


def _overlaps(sizes: Sequence[int], first: int, last: int) -> list[tuple[int, int, int]]:
    """Which parts of a list of parts a range covers, and from where to where in each."""
    found, start = [], 0
    for number, size in enumerate(sizes):
        low, high = max(first - start, 0), min(last - start, size)
        if low < high:
            found.append((number, low, high))
        start += size
    return found


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


#: Asks, is told of each input whether the model says the same, and returns instance and findings.
Search = Generator[Ask, Tensor, tuple[int, list[Found]]]


def search(
    scene: Scene, tau: float, greediness: int | None, depth: int, max_size: int | None
) -> Search:
    """Find the explanations of an instance, the best-placed first; see `zorro.Zorro`.

    The first is always there, empty where noise alone reaches `tau`.
    """
    everything = Mask(scene.candidates, torch.ones_like(scene.x[0], dtype=torch.bool))
    found: list[Found] = []
    waiting, met = [(everything, depth)], list[Mask]()
    while waiting:
        possible, levels = waiting.pop(0)
        if any(possible.is_equal(other) for other in met):
            continue
        met.append(possible)
        if found and (yield from _says(scene, possible)).double().mean() < tau:
            continue
        explanation = yield from _find(scene, possible, tau, greediness, max_size)
        found.append(explanation)
        if levels > 1 and explanation.steps:
            for less in possible.without(explanation):
                waiting.append((less, levels - 1))
    return scene.instance, found


def _find(
    scene: Scene, possible: Mask, tau: float, greediness: int | None, max_size: int | None
) -> Generator[Ask, Tensor, Found]:
    """The greedy search among some nodes and features."""
    mask = Mask(torch.zeros_like(possible.nodes), torch.zeros_like(possible.features))
    says = yield from _says(scene, mask)
    nodes, features = (
        _Contest(scene, mask, possible, node, feature, says) for node, feature in possible.entries()
    )
    best = Found(mask.nodes, mask.features, float(says.double().mean()), [])
    steps: list[tuple[int, int, float]] = []
    while best.fidelity < tau and (max_size is None or mask.size < max_size):
        has_nodes, has_features = bool(mask.nodes.any()), bool(mask.features.any())
        tried = 1 if not steps else greediness
        contenders = []
        if has_nodes or not has_features:
            contenders.append((yield from features.first(tried, mask)))
        if has_features or not has_nodes:
            contenders.append((yield from nodes.first(tried, mask)))
        node, feature = torch.cat(contenders, dim=1)
        if not node.numel():
            break
        across = Mask(
            mask.nodes if has_nodes else possible.nodes,
            mask.features if has_features else possible.features,
        )
        contest = _Contest(scene, mask, across, node, feature, says)
        winner = int((yield from contest.top(1)))
        entry = int(node[winner]), int(feature[winner])
        mask = mask.with_entry(*entry)
        says = contest.says(winner) if steps else says  # a single entry keeps nothing
        steps.append((*entry, float(says.double().mean())))
        if steps[-1][2] > best.fidelity:
            best = Found(mask.nodes, mask.features, steps[-1][2], list(steps))
    return best


def _says(scene: Scene, mask: Mask) -> Generator[Ask, Tensor, Tensor]:
    """Of which samples ``[S]`` the model says the same under a mask."""
    everywhere = torch.arange(scene.noise.size(0), device=scene.x.device)
    none = torch.full_like(everywhere, -1)
    return (yield Ask(scene, mask, mask, none, none, everywhere))


class _Contest:
    """Which of some candidates are worth most, as exactly as has to be known.

    Args:
        scene: the instance.
        mask: what is kept already.
        across: see `Ask`.
        node: ``[c]`` the node that a candidate is, -1 if it is a feature.
        feature: ``[c]`` the feature that a candidate is, -1 if it is a node.
        says: ``[S]`` of which samples the model says the same under the mask.
    """

    def __init__(
        self, scene: Scene, mask: Mask, across: Mask, node: Tensor, feature: Tensor, says: Tensor
    ) -> None:
        self._scene, self._mask, self._across = scene, mask, across
        self._entries = torch.stack([node, feature])
        self._sample = torch.argsort(says.int(), stable=True)  # those that can be gained first
        self._is_said = says[self._sample].expand(node.numel(), -1).clone()
        differs, changed = scene.differs[self._sample], torch.zeros_like(self._is_said)
        at = (node >= 0).nonzero().view(-1)
        changed[at] = differs[:, node[at]][:, :, across.features].any(dim=2).t()
        at = (feature >= 0).nonzero().view(-1)
        changed[at] = differs[:, across.nodes].any(dim=1)[:, feature[at]].t()
        self._is_open = changed

    def says(self, candidate: int) -> Tensor:
        """Of which samples ``[S]`` the model says the same with one of the best candidates."""
        found = torch.empty_like(self._is_said[candidate])
        found[self._sample] = self._is_said[candidate]
        return found

    def top(self, number: int) -> Generator[Ask, Tensor, Tensor]:
        """The best candidates, the best first; of equals the one that is listed first."""
        while True:
            most = (self._is_said | self._is_open).sum(dim=1)
            order = torch.argsort(most, descending=True, stable=True)
            if not bool(self._is_open[order[:number]].any()):
                return order[:number]
            looked_at = order[: max(number, min(_TOGETHER, order.numel() // 4))]
            is_open = self._is_open[looked_at]
            row, column = (is_open & (is_open.cumsum(dim=1) <= _PORTION)).nonzero(as_tuple=True)
            by_sample = torch.argsort(column, stable=True)
            row, column = looked_at[row[by_sample]], column[by_sample]
            node, feature = self._entries[:, row]
            sample = self._sample[column]
            self._is_said[row, column] = yield Ask(
                self._scene, self._mask, self._across, node, feature, sample
            )
            self._is_open[row, column] = False

    def first(self, number: int | None, mask: Mask) -> Generator[Ask, Tensor, Tensor]:
        """The best candidates ``[2, k]`` that are not in a mask; all, as listed, if None."""
        node, feature = self._entries
        is_in = torch.where(node >= 0, mask.nodes[node], mask.features[feature])
        if number is None:
            return self._entries[:, ~is_in]
        best = yield from self.top(number + int(is_in.sum()))
        return self._entries[:, best[~is_in[best]][:number]]
