"""Which nodes or features are worth most to a mask, as exactly as has to be known?

What a candidate (a node or a feature that may join the mask) is worth is the difference of two
counts: samples that it brings to the right decision, and samples that it loses. Only samples whose
input it changes can be either. They are evaluated in portions, those that can be gained first, and
what is not evaluated yet counts as gained. A candidate whose bound so far is below the exact worth
of others cannot be among the best, and is not evaluated any further.

A sample that anything is asked about is run once as it is, besides: on a large instance that takes
more than what is asked, so there a portion is all that could be asked.
"""

from __future__ import annotations

from collections.abc import Generator

import torch
from torch import Tensor

from glassgraph.explainers.perturbation.search.answers import Answers
from glassgraph.explainers.perturbation.search.masked_inputs import Ask, Mask, Scene

#: Samples of a candidate that are evaluated at once, and candidates that are looked at together.
_PORTION, _TOGETHER = 25, 128
#: Nodes that differ between an input and its sample, roughly.
_CHANGED_NODES = 4


class Contest:
    """A comparison of some candidates.

    Args:
        scene: the instance.
        mask: what is kept already.
        across: see `Ask`.
        node: ``[c]`` the node that a candidate is, -1 if it is a feature.
        feature: ``[c]`` the feature that a candidate is, -1 if it is a node.
        says: ``[S]`` of which samples the model says the same under the mask.
        answers: what is known of candidates from before; None for nothing.
    """

    def __init__(
        self,
        scene: Scene,
        mask: Mask,
        across: Mask,
        node: Tensor,
        feature: Tensor,
        says: Tensor,
        answers: Answers | None = None,
    ) -> None:
        self._scene, self._mask, self._across, self._answers = scene, mask, across, answers
        self._entries = torch.stack([node, feature])
        self._sample = torch.argsort(says.int(), stable=True)  # those that can be gained first
        self._is_said = says[self._sample].expand(node.numel(), -1).clone()
        differs, changed = scene.differs[self._sample], torch.zeros_like(self._is_said)
        at = (node >= 0).nonzero().view(-1)
        changed[at] = differs[:, node[at]][:, :, across.features].any(dim=2).t()
        at = (feature >= 0).nonzero().view(-1)
        changed[at] = differs[:, across.nodes].any(dim=1)[:, feature[at]].t()
        if answers is not None:
            known, said = answers.look_up(node, feature)
            known, said = known[:, self._sample] & changed, said[:, self._sample]
            self._is_said = torch.where(known, said, self._is_said)
            changed &= ~known
        self._is_open = changed
        #: How many candidates take as long as a sample does.
        self._as_a_sample = len(scene.x) // _CHANGED_NODES

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
            looked_at = order[: max(number, min(_TOGETHER, order.numel() // 4), self._as_a_sample)]
            is_open = self._is_open[looked_at]
            portion = _PORTION if looked_at.numel() > self._as_a_sample else is_open.size(1)
            row, column = (is_open & (is_open.cumsum(dim=1) <= portion)).nonzero(as_tuple=True)
            by_sample = torch.argsort(column, stable=True)
            row, column = looked_at[row[by_sample]], column[by_sample]
            node, feature = self._entries[:, row]
            sample = self._sample[column]
            said = yield Ask(self._scene, self._mask, self._across, node, feature, sample)
            if self._answers is not None:
                self._answers.keep(node, feature, sample, said)
            self._is_said[row, column], self._is_open[row, column] = said, False

    def first(self, number: int | None, mask: Mask) -> Generator[Ask, Tensor, Tensor]:
        """The best candidates ``[2, k]`` that are not in a mask; all, as listed, if None."""
        node, feature = self._entries
        is_in = torch.where(node >= 0, mask.nodes[node], mask.features[feature])
        if number is None:
            return self._entries[:, ~is_in]
        best = yield from self.top(number + int(is_in.sum()))
        return self._entries[:, best[~is_in[best]][:number]]
