r"""Erasure search: what is the smallest set of edges that keeps the prediction?

.. code-block:: text

    S* = argmin |S|   over sets S of edges with   d(S) = d(all edges)

where the messages of edges outside ``S`` are multiplied by zero at every layer (degrees and the
self-loops that a layer appends stay), and ``d`` is what the model decides about the explained
class: whether it is the predicted one; with a target ``(a, b)``, whether ``a`` scores above ``b``;
of several labels, whether it is predicted.

With `keep_effect` the explained score ``y`` has to stay as well, up to a share of what all edges
do; a regression, which decides nothing, always asks for that:

.. code-block:: text

    |y(S) - y(all edges)| <= (1 - keep_effect) |y(all edges) - y(no edges)|

Of several smallest sets the best is taken: the one with the highest explained score (where the
score has to stay: with the nearest), then the one with the smallest hash of its endpoints. Parallel
edges that the model cannot tell apart share the mean of their scores. Where the prediction stays
without any edge, ``S*`` is empty and all scores are 0: no edge was needed.

*Exact*, up to `exact_up_to` edges: subsets in order of size, 1 for the edges of ``S*`` and 0 for
the others. At most ``2^n`` passes over an instance, many at a time.

*Greedy*, beyond: edges whose removal leaves the score as it is go first, together, and score 0; if
few enough are left, the search among them is exact. Otherwise the edge goes whose removal leaves
the best set, of those without which the prediction stays, again and again until there is none. The
r-th of R edges that went scores ``r / (R + 1)``, and those that stayed score 1: none of them can be
left out alone, though a smaller set may exist. About ``n^2 / 2`` passes over an instance. With
`share` several edges go in one step, as many as that share of the edges left, or half as many where
the prediction would change, and so on: about ``n / share`` passes.

Li, Monroe and Jurafsky, "Understanding Neural Networks through Representation Erasure" (2016,
https://arxiv.org/abs/1612.08220); on messages, Schlichtkrull, De Cao and Titov, "Interpreting Graph
Neural Networks for NLP With Differentiable Edge Masking" (ICLR 2021,
https://arxiv.org/abs/2010.00577), whose exhaustive search takes the first smallest set it meets and
shows why such a set is no faithful explanation: what is redundant is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from glassgraph.core import random, task
from glassgraph.core.addresses import edge_address
from glassgraph.core.batch import InstanceBatch
from glassgraph.core.copies import rows_at_once
from glassgraph.core.receptive import expand
from glassgraph.core.task import Task
from glassgraph.errors import HyperParameterError
from glassgraph.explainers.base import Explainer
from glassgraph.explainers.perturbation.subsets import Subsets, twin_edges
from glassgraph.explainers.traits import Traits
from glassgraph.results.explanation import Attribution


class ErasureSearch(Explainer):
    """The smallest set of edges that keeps the prediction.

    Args:
        model: the model.
        task: the task.
        exact_up_to: search all subsets of instances with at most so many edges (or pairs of layer
            and edge, if ``layerwise``); at most 20.
        share: share of the edges left that one greedy step removes; at least one edge goes.
        keep_effect: share of the edges' whole effect on the explained score that has to stay, in 0
            to 1; None asks for the decision alone (for 0.9 where the model is a regression).
        layerwise: search for a set of messages, that is of pairs of layer and edge. An edge then
            scores as its best message.
        **shared: see `Explainer`.

    Raises:
        HyperParameterError: if a value is out of range.

    Example:
        >>> import torch
        >>> import glassgraph as gg
        >>> from torch_geometric.data import Data
        >>> from torch_geometric.nn import SimpleConv
        >>> x = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 3.0], [0.0, 1.0]])
        >>> data = Data(x=x, edge_index=torch.tensor([[1, 2, 3], [0, 0, 0]]))
        >>> gg.ErasureSearch(SimpleConv(), task="node").explain(data, [0])[0].edge_mask
        tensor([0., 1., 0.])
    """

    name = "erasure_search"
    traits = Traits(
        family="perturbation",
        scores=("edge", "layer edge"),
        is_learned=False,
        is_amortized=False,
        is_black_box=True,
        is_signed=False,
        is_random=False,
        source="Li, Monroe and Jurafsky 2016, arXiv:1612.08220",
    )
    test_settings: ClassVar[Mapping[str, Any]] = {
        "exact_up_to": 6,
        "keep_effect": 0.8,
        "share": 0.5,
    }

    def __init__(
        self,
        model: nn.Module,
        task: str | Task = "node",
        *,
        exact_up_to: int = 12,
        share: float = 0.0,
        keep_effect: float | None = None,
        layerwise: bool = False,
        **shared: Any,
    ) -> None:
        super().__init__(model, task, **shared)
        if not 0 <= exact_up_to <= 20:
            raise HyperParameterError(f"exact_up_to must lie in 0 to 20; got {exact_up_to}")
        if not 0 <= share < 1:
            raise HyperParameterError(f"share must lie in 0 to 1, without 1; got {share}")
        if keep_effect is not None and not 0 <= keep_effect <= 1:
            raise HyperParameterError(f"keep_effect must lie in 0 to 1; got {keep_effect}")
        self.exact_up_to = exact_up_to
        self.share = share
        self.keep_effect = keep_effect
        self.layerwise = layerwise

    @torch.no_grad()
    def attribute(self, batch: InstanceBatch) -> Attribution:
        """Search many instances side by side, those of similar size together."""
        found = batch.ones(layerwise=True)[: batch.num_layers if self.layerwise else 1].zero_()
        edges = batch.edges_per_instance
        first_edge = edges.cumsum(0) - edges
        order = torch.argsort(edges, stable=True)
        masks = edges * found.size(0) * (edges + batch.nodes_per_instance)
        group = masks[order].cumsum(0) // rows_at_once(batch, self.memory_budget)
        for instances in order.split(
            torch.unique_consecutive(group, return_counts=True)[1].tolist()
        ):
            part = batch if batch.is_whole else batch.take(instances)
            position, _ = expand(torch.cat([first_edge, edges.sum().view(1)]), instances)
            found[:, position] = _Search(part, self).scores()
        return Attribution(edge=found.amax(dim=0), layer_edge=found if self.layerwise else None)


class _Search:
    """The search for B instances with up to I items: edges, or pairs of layer and edge."""

    def __init__(self, batch: InstanceBatch, settings: ErasureSearch) -> None:
        self.batch, self.settings = batch, settings
        self.keep = settings.keep_effect
        if self.keep is None and not batch.task.is_classification:
            self.keep = 0.9
        self.subsets = Subsets(batch, settings.layerwise, settings.memory_budget)
        items = self.subsets.items
        layer = torch.arange(self.subsets.num_layers, device=items.device).view(-1, 1)
        self.hash = self.subsets.pad(random.hash64(2, edge_address(batch), layer))

        everyone = torch.arange(batch.num_instances, device=items.device).repeat_interleave(2)
        ends = torch.stack([items, torch.zeros_like(items)], dim=1).flatten(0, 1)
        output = self.subsets.outputs(everyone, ends)
        score = task.score(batch.task, output, batch.targets.take(everyone))
        self.full, self.empty = score[::2], score[1::2]
        #: [B] how large a change of the score may be rounding.
        self.rounding = torch.finfo(score.dtype).eps ** 0.75 * score.abs().view(-1, 2).amax(dim=1)
        self.decision = self._decision(everyone, output, score)[::2]
        is_free = self._stays(everyone, output, score)[1::2]

        #: [B, I] the items that are left.
        self.open = items & ~is_free.view(-1, 1)
        #: [B] the explained score with these.
        self.now = self.full.clone()
        #: [B, I] when an item was removed, from 1; 0 where that was for free.
        self.rank = torch.zeros_like(self.hash)

    def scores(self) -> Tensor:
        """Scores ``[L, e]`` of items (L = 1 for edges)."""
        self._eliminate()
        self._search_exactly()
        rank = self.rank.to(self.batch.dtype)
        score = rank / (rank.amax(dim=1, keepdim=True) + 1)
        score = self.subsets.unpad(score.masked_fill(self.open, 1))
        alike = twin_edges(self.batch).expand_as(score)
        mean = torch.zeros_like(score).scatter_reduce(1, alike, score, "mean", include_self=False)
        return mean.gather(1, alike)

    def _evaluate(self, instance: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """The explained score under each mask, and whether the prediction stays."""
        output = self.subsets.outputs(instance, mask)
        score = task.score(self.batch.task, output, self.batch.targets.take(instance))
        return score, self._stays(instance, output, score)

    def _stays(self, instance: Tensor, output: Tensor, score: Tensor) -> Tensor:
        stays = torch.ones_like(score, dtype=torch.bool)
        if self.batch.task.is_classification:
            stays &= self._decision(instance, output, score) == self.decision[instance]
        if self.keep is not None:
            loss = (1 - self.keep) * (self.full - self.empty)[instance].abs()
            stays &= (score - self.full[instance]).abs() <= loss + self.rounding[instance]
        return stays

    def _quality(self, instance: Tensor, score: Tensor) -> Tensor:
        """What makes one set better than another of its size."""
        return score if self.keep is None else -(score - self.full[instance]).abs()

    def _decision(self, instance: Tensor, output: Tensor, score: Tensor) -> Tensor:
        """Whether a classifier decides for the explained class."""
        kind, targets = self.batch.task, self.batch.targets.take(instance)
        if targets.contrast is not None:
            return score > 0
        if kind.mode == "binary_classification" and output.size(1) > 1:  # of several labels
            chances = task.probabilities(kind, output)
            return chances.gather(1, targets.chosen.view(-1, 1)).squeeze(1) > 0.5
        return task.predicted_class(kind, output).eq(targets.chosen)

    # Greedy

    def _is_small(self) -> Tensor:
        """Which instances are left to the exact search: few items, and none removed at a cost."""
        return (self.open.sum(dim=1) <= self.settings.exact_up_to) & ~self.rank.any(dim=1)

    def _eliminate(self) -> None:
        """Remove items from the full set, while the prediction stays."""
        num_instances = self.batch.num_instances
        is_active = self.open.any(dim=1) & ~self._is_small()
        while bool(is_active.any()):
            instance, item = (self.open & is_active.view(-1, 1)).nonzero(as_tuple=True)
            mask = self.open[instance]
            mask[torch.arange(item.numel(), device=item.device), item] = False
            score, stays = self._evaluate(instance, mask)
            change = score - self.now[instance]
            is_idle = stays & (change.abs() <= self.rounding[instance])
            has_idle = torch.bincount(instance[is_idle], minlength=num_instances) > 0
            is_active &= has_idle | ~self._is_small()

            chosen = torch.where(has_idle[instance], is_idle, stays) & is_active[instance]
            row = self._best_first(chosen.nonzero().view(-1), instance, item, score)
            instance, item, score = instance[row], item[row], score[row]
            count = torch.bincount(instance, minlength=num_instances)
            is_active &= count > 0
            first = count.cumsum(0) - count
            place = torch.arange(item.numel(), device=item.device) - first[instance]
            share = (self.settings.share * self.open.sum(dim=1)).long().clamp_min(1)
            number = torch.where(has_idle, count, torch.minimum(share, count))
            number = self._as_many_as_fit(is_active, instance, item, place, number, has_idle)

            is_one = number == 1
            self.now[is_one] = score[first[is_one]]
            goes = place < number[instance]
            instance, item, place = instance[goes], item[goes], place[goes]
            self.open[instance, item] = False
            turn = self.rank.amax(dim=1)[instance] + place + 1
            self.rank[instance, item] = turn.masked_fill(has_idle[instance], 0)

    def _best_first(self, row: Tensor, instance: Tensor, item: Tensor, score: Tensor) -> Tensor:
        """Rows by instance, best first; ties, up to rounding, by hash."""
        tiny = torch.finfo(score.dtype).tiny
        row = row[torch.argsort(self.hash[instance[row], item[row]])]
        quality = self._quality(instance[row], score[row])
        level = (quality / self.rounding[instance[row]].clamp_min(tiny)).round()
        row = row[torch.argsort(level, descending=True, stable=True)]
        return row[torch.argsort(instance[row], stable=True)]

    def _as_many_as_fit(
        self,
        is_active: Tensor,
        instance: Tensor,
        item: Tensor,
        place: Tensor,
        number: Tensor,
        has_idle: Tensor,
    ) -> Tensor:
        """Halve the number ``[B]`` of items that go together until the prediction stays."""
        number = number.where(is_active, 0)
        is_open_question = number > 1
        while bool(is_open_question.any()):
            goes = place < number[instance]
            mask = self.open.clone()
            mask[instance[goes], item[goes]] = False
            asked = is_open_question.nonzero().view(-1)
            score, fits = self._evaluate(asked, mask[asked])
            is_same = (score - self.now[asked]).abs() <= self.rounding[asked]
            fits &= is_same | ~has_idle[asked]
            self.now[asked[fits]] = score[fits]
            number[asked[~fits]] //= 2
            is_open_question[asked[fits]] = False
            is_open_question &= number > 1
        return number

    # Exact

    def _search_exactly(self) -> None:
        """Keep the best of the smallest sets that keep the prediction."""
        left = self.open.sum(dim=1)
        left = left.where(self._is_small(), 0)
        for num_items in torch.unique(left[left > 0]).tolist():
            pending = (left == num_items).nonzero().view(-1)
            column = self.open[pending].nonzero()[:, 1].view(-1, num_items)
            for size in range(1, num_items):
                if not pending.numel():
                    break
                is_found = self._search_size(pending, column, size)
                pending, column = pending[~is_found], column[~is_found]

    def _search_size(self, pending: Tensor, column: Tensor, size: int) -> Tensor:
        """Try all sets of one size; which of the instances ``[A]`` have one that will do.

        Args:
            pending: ``[A]`` instances.
            column: ``[A, n]`` their items.
            size: how many of them a set has.
        """
        number = torch.arange(column.size(1), device=column.device)
        members = torch.combinations(number, size)
        at_once = max(1, self.subsets.most_rows // int(self.subsets.rows[pending].sum()))
        found = []
        for some in members.split(at_once):
            kept = column[:, some]  # [A, s, size]
            mask = self.open.new_zeros((*kept.shape[:2], self.open.size(1))).scatter(2, kept, True)
            owner = pending.repeat_interleave(some.size(0))
            score, stays = self._evaluate(owner, mask.flatten(0, 1))
            quality = self._quality(owner, score).where(stays, float("-inf"))
            found.append(quality.view(kept.shape[:2]))
        quality = torch.cat(found, dim=1)
        best = quality.amax(dim=1)
        is_found = best > float("-inf")
        is_tied = quality >= (best - self.rounding[pending]).view(-1, 1)
        key = torch.zeros_like(quality, dtype=torch.long)
        for each in members.unbind(dim=1):
            key += self.hash[pending].gather(1, column[:, each])  # wraps around, whatever the order
        key = key.masked_fill(~is_tied, torch.iinfo(key.dtype).max)
        chosen = column.gather(1, members[key.argmin(dim=1)])
        keep = torch.zeros_like(self.open[pending]).scatter(1, chosen, True)
        self.open[pending] = torch.where(is_found.view(-1, 1), keep, self.open[pending])
        return is_found
