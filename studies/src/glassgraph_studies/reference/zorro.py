"""ZORRO written out: one mask, one sample and one run of the model after the other.

The search of Funke, Khosla, Rathee and Anand, "Zorro: Valid, Sparse, and Stable Explanations in
Graph Neural Networks" (TKDE 2022, https://arxiv.org/abs/2105.08621), as it stands in the paper and
in the authors' code, on one prediction. `glassgraph reproduce zorro` says how long it would take,
and ours has to find the same masks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

#: ``says_same(x)``: whether the model says of features ``[n, F]`` what it says of the unchanged.
SaysSame = Callable[[Tensor], bool]
#: Nodes and features that are kept.
Kept = tuple[list[int], list[int]]


@dataclass
class LiteralZorro:
    """The search for one prediction.

    Attributes:
        says_same: asks the model.
        x: ``[n, F]`` the unchanged features.
        noise: ``[S, n, F]`` samples of noise.
        nodes: nodes that may be kept.
        tau: the fidelity to reach.
        greediness: entries of each list that are tried.
        most: largest number of nodes and features together.
        calls: how often the model was called.
    """

    says_same: SaysSame
    x: Tensor
    noise: Tensor
    nodes: Sequence[int]
    tau: float
    greediness: int | None = 10
    most: int | None = None
    calls: int = field(default=0)

    def fidelity(self, nodes: Sequence[int], features: Sequence[int]) -> float:
        """RDT-fidelity of a mask."""
        rows, columns = (torch.zeros(size) for size in self.x.shape)
        rows[list(nodes)] = 1
        columns[list(features)] = 1
        mask = torch.outer(rows, columns)
        same = 0
        for sample in self.noise:
            self.calls += 1
            same += self.says_same(torch.where(mask > 0, self.x, sample))
        return same / len(self.noise)

    def find(self, depth: int = 1) -> list[Kept]:
        """All explanations, the first first."""
        found: list[Kept] = []
        waiting = [(list(self.nodes), list(range(self.x.size(1))), depth)]
        met = []
        while waiting:
            nodes, features, levels = waiting.pop(0)
            if (nodes, features) in met:
                continue
            met.append((nodes, features))
            if found and self.fidelity(nodes, features) < self.tau:
                continue
            kept = self.greedy(nodes, features)
            found.append(kept)
            if levels > 1 and (kept[0] or kept[1]):
                rest = [node for node in nodes if node not in kept[0]]
                waiting.append((rest, features, levels - 1))
                rest = [feature for feature in features if feature not in kept[1]]
                waiting.append((nodes, rest, levels - 1))
        return found

    def greedy(self, nodes: list[int], features: list[int]) -> Kept:
        """The search among some nodes and features."""
        kept: Kept = ([], [])
        reached = self.fidelity([], [])
        best: Kept = ([], [])
        best_fidelity = reached
        if reached >= self.tau:
            return kept
        of_node = {node: self.fidelity([node], features) for node in nodes}
        of_feature = {feature: self.fidelity(nodes, [feature]) for feature in features}
        node_list = sorted(nodes, key=lambda node: -of_node[node])
        feature_list = sorted(features, key=lambda feature: -of_feature[feature])
        while reached < self.tau and (self.most is None or len(kept[0]) + len(kept[1]) < self.most):
            if not kept[0] and not kept[1]:
                first_node, first_feature = node_list[0], feature_list[0]
                if of_node[first_node] > of_feature[first_feature]:
                    kept[0].append(first_node)
                else:
                    kept[1].append(first_feature)
                continue
            tried: list[tuple[float, str, int]] = []
            if kept[0]:
                for feature in self._next(features, feature_list, kept[1]):
                    value = self.fidelity(kept[0], [*kept[1], feature])
                    tried.append((value, "feature", feature))
            if kept[1]:
                for node in self._next(nodes, node_list, kept[0]):
                    tried.append((self.fidelity([*kept[0], node], kept[1]), "node", node))
            if not tried:
                break
            reached, kind, number = max(tried, key=lambda each: each[0])  # the first of equals
            (kept[1] if kind == "feature" else kept[0]).append(number)
            if reached > best_fidelity:
                best, best_fidelity = (list(kept[0]), list(kept[1])), reached
        return best

    def _next(self, all_of_them: list[int], ranked: list[int], kept: list[int]) -> list[int]:
        order = all_of_them if self.greediness is None else ranked
        return [each for each in order if each not in kept][: self.greediness]
