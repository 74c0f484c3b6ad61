"""Features that may be set to their baseline: which, and inputs in which some are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from glassgraph.black_box.variants import Copies
from glassgraph.core import random
from glassgraph.core.addresses import within_graph
from glassgraph.core.batch import InstanceBatch
from glassgraph.core.reachability import visible_nodes
from glassgraph.errors import GraphError, HyperParameterError
from glassgraph.explainers.perturbation.counterfactuals.kinds import Allowed
from glassgraph.inputs.node_features import float_features, why_no_floats


@dataclass(frozen=True)
class FeatureResets:
    """Entries of features that may become those of a baseline, ascending by instance.

    Attributes:
        instance: ``[f]`` whose they are.
        node: ``[f]`` of which node of the batch.
        column: ``[f]`` of which of its features.
        before: ``[f]`` their values.
        after: ``[f]`` those of the baseline.
        count: ``[B]`` how many an instance has.
    """

    instance: Tensor
    node: Tensor
    column: Tensor
    before: Tensor
    after: Tensor
    count: Tensor

    @classmethod
    def of(cls, batch: InstanceBatch, allowed: Allowed) -> FeatureResets:
        """Those of an instance that differ from the baseline.

        Raises:
            GraphError: if there are no floating features.
            HyperParameterError: if there are more than allowed.
        """
        if allowed.features == "none":
            none = batch.node_instance[:0]
            zero = torch.zeros_like(batch.nodes_per_instance)
            return cls(none, none, none, batch.reference.new_empty(0), none.double(), zero)
        if all(x is None for x in batch.features):
            why = why_no_floats(batch.graph, batch.feature_names)
            raise GraphError(f"features={allowed.features!r}: {why}")
        may_change = visible_nodes(batch)
        if allowed.features == "target":
            is_seed = torch.zeros_like(may_change)
            is_seed[batch.fields.seed.flatten()] = True
            may_change &= is_seed
        baselines = _baselines(batch, allowed.baseline)
        found = []
        places = zip(batch.features, baselines, batch.packed.node_position, strict=True)
        for x, base, own in places:
            if x is None:
                continue
            row, column = ((x != base) & may_change[own].view(-1, 1)).nonzero(as_tuple=True)
            after = base.expand_as(x)[row, column]
            found.append((own[row], column, x[row, column].double(), after.double()))
        node, column, before, after = (torch.cat(each) for each in zip(*found, strict=True))
        order = torch.argsort(node, stable=True)
        node = node[order]
        instance = batch.node_instance[node]
        count = torch.bincount(instance, minlength=batch.num_instances)
        _refuse_many(batch, count, allowed)
        return cls(instance, node, column[order], before[order], after[order], count)

    @property
    def rank(self) -> Tensor:
        """``[f]`` which of its instance's each is."""
        first = self.count.cumsum(0) - self.count
        return torch.arange(self.instance.numel(), device=self.count.device) - first[self.instance]

    def hash(self, batch: InstanceBatch) -> Tensor:
        """``[f]`` by which ties are decided."""
        node = within_graph(batch.graph, batch.fields.node[self.node])
        return random.hash64(3, node, self.column)

    def filled(
        self, batch: InstanceBatch, variant: Tensor, entry: Tensor, copies: Copies
    ) -> Sequence[Tensor | None]:
        """Features of copies in which some entries are reset.

        Args:
            batch: the instances.
            variant: ``[p]`` ascending, which variant resets an entry.
            entry: ``[p]`` which one.
            copies: the variants of one pass.
        """
        number = copies.number
        low, high = int(number[0]), int(number[-1])
        start, stop = torch.searchsorted(variant, variant.new_tensor([low, high + 1])).tolist()
        variant, entry = variant[start:stop], entry[start:stop]
        packed = copies.batch
        features = [None if x is None else x.clone() for x in packed.features]
        size = max(1, batch.num_nodes)
        key = number[packed.node_instance] * size + copies.position
        order = torch.argsort(key)
        wanted = variant * size + self.node[entry]
        place = torch.searchsorted(key[order], wanted).clamp_max(key.numel() - 1)
        is_there = key[order][place] == wanted  # nodes out of reach are left out
        node, entry = order[place[is_there]], entry[is_there]
        self._reset(features, packed, node, entry)
        return features

    def reset(self, batch: InstanceBatch, share: Tensor) -> list[Tensor | None]:
        """Features of the instances, each entry a share ``[f]`` of the way to its baseline."""
        features = [None if x is None else x.clone() for x in batch.features]
        for kind, own in enumerate(batch.packed.node_position):
            x = features[kind]
            place, at = _within(own, self.node, batch.num_nodes)
            if x is None or not at.numel():
                continue
            step = (share * (self.after - self.before).to(share.dtype))[at]
            features[kind] = x.index_put((place, self.column[at]), step.to(x.dtype), True)
        return features

    def _reset(
        self, features: list[Tensor | None], packed: InstanceBatch, node: Tensor, entry: Tensor
    ) -> None:
        for x, own in zip(features, packed.packed.node_position, strict=True):
            if x is None:
                continue
            place, at = _within(own, node, packed.num_nodes)
            x[place, self.column[entry[at]]] = self.after[entry[at]].to(x.dtype)


def _within(own: Tensor, node: Tensor, num_nodes: int) -> tuple[Tensor, Tensor]:
    """Rows of those of some nodes that stand among ``own``, and which these are."""
    place = node.new_full((num_nodes,), -1)
    place[own] = torch.arange(own.numel(), device=own.device)
    at = (place[node] >= 0).nonzero().view(-1)
    return place[node[at]], at


def _baselines(batch: InstanceBatch, baseline: str) -> list[Tensor]:
    """For each node type ``[1, F_t]``, or zero."""
    if baseline == "zero":
        return [torch.zeros(1, 1, device=batch.device)] * len(batch.features)
    if batch.graph.must_stay_cut:
        raise GraphError(
            "feature_baseline='mean' needs a graph in memory; this one is read from disk field by "
            "field. Take feature_baseline='zero'"
        )
    whole = float_features(batch.graph, batch.graph.data, batch.feature_names)
    zero = torch.zeros(1, 1, device=batch.device)
    return [zero if x is None else x.mean(dim=0, keepdim=True) for x in whole]


def _refuse_many(batch: InstanceBatch, count: Tensor, allowed: Allowed) -> None:
    if bool((count > allowed.most).any()):
        number = int(count.argmax())
        raise HyperParameterError(
            f"features={allowed.features!r}: {int(count[number]):,} features around "
            f"{batch.task.level} {int(batch.key[number])} differ from their baseline, more than "
            f"max_candidates={allowed.most:,}. Take features='target' where a node or link is "
            "explained, or raise max_candidates"
        )
