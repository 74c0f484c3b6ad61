"""Nodes at the boundary of a field, whose features nobody reads.

A model that normalizes by degrees looks one hop farther than its messages run: the edges that end
there count, and the features there do not. A method that changes features alone can leave such
nodes out of its search, and let all of an instance stand in one row.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from glassgraph.calling.call import attempted
from glassgraph.core.batch import InstanceBatch
from glassgraph.core.context import rows_agree
from glassgraph.core.reachability import hops_away


@torch.no_grad()
def readable_nodes(batch: InstanceBatch) -> Tensor:
    """``[n]`` which nodes' features can change the prediction, as far as the outside shows.

    Left out are nodes out of reach, and those at the limit of reach if the output stays the same to
    the last bit whatever stands there, with other features elsewhere, too. (Of integers nobody can
    say "whatever"; and where a second call gives other bits, a rounding is nothing.)
    """
    distance = hops_away(batch)
    limit = batch.wiring.num_hops
    at_limit = distance == limit
    if not bool(at_limit.any()) or any(map(_is_discrete, batch.all_features)):
        return distance <= limit
    is_silent = torch.ones(batch.num_instances, dtype=torch.bool, device=batch.device)
    for features in _disturbed(batch):
        before = _output(batch, features)
        changed = [
            x if x is None else torch.where(at_limit[position].view(-1, 1), 1000 * x + 1, x)
            for x, position in zip(features, batch.packed.node_position, strict=True)
        ]
        is_silent &= _is_same(batch, features, _output(batch, changed), before)
    return (distance <= limit) & ~(at_limit & is_silent[batch.node_instance])


def _is_same(
    batch: InstanceBatch, features: list[Tensor | None], found: Tensor, before: Tensor
) -> Tensor:
    """``[B]`` whether an output is that of features, to the bit where calls repeat themselves.

    Sums over messages have no order on a GPU, and round otherwise each time.
    """
    rounding = torch.zeros_like(before[:, :1])
    if before.device.type != "cpu" and not torch.equal(_output(batch, features), before):
        rounding = torch.finfo(before.dtype).eps ** 0.75 * before.abs().amax(dim=1, keepdim=True)
    is_same: Tensor = ((found == before) | ((found - before).abs() <= rounding)).all(dim=1)
    return is_same


@torch.no_grad()
def with_one_boundary_node(
    batch: InstanceBatch, is_readable: Tensor
) -> tuple[InstanceBatch, Tensor]:
    """The batch with all nodes that nobody reads in one row of each instance.

    Args:
        batch: the instances.
        is_readable: ``[n]`` see `readable_nodes`.

    Returns:
        The smaller batch and its nodes' rows in the given one; the batch itself if a prediction
        would change.
    """
    fields, everything = batch.fields, torch.arange(batch.num_nodes, device=batch.device)
    first = torch.full((batch.num_instances,), batch.num_nodes, device=batch.device)
    hidden = (~is_readable).nonzero().view(-1)
    if batch.is_whole or not hidden.numel():
        return batch, everything
    first.scatter_reduce_(0, fields.node_instance[hidden], hidden, "amin")
    stands_for = torch.where(is_readable, everything, first[fields.node_instance])
    kept = (stands_for == everything).nonzero().view(-1)
    place = torch.empty_like(everything)
    place[kept] = torch.arange(kept.numel(), device=batch.device)
    place = place[stands_for]
    smaller = batch.with_fields(
        replace(
            fields,
            node_instance=fields.node_instance[kept],
            node=fields.node[kept],
            distance=fields.distance[kept],
            source=place[fields.source],
            destination=place[fields.destination],
            seed=place[fields.seed],
        ),
        torch.arange(batch.num_instances, device=batch.device),
    )
    for features in _disturbed(batch):
        fewer = [x if x is None else x[kept] for x in features]
        outputs = _output(smaller, fewer), _output(batch, features)
        if not bool(rows_agree(*outputs, batch.model_call).all()):
            return batch, everything
    return smaller, kept


def _is_discrete(x: Tensor | None) -> bool:
    return x is not None and not x.is_floating_point()


def _output(batch: InstanceBatch, features: list[Tensor | None]) -> Tensor:
    """The model's output; NaN, which is like nothing, if it fails with features of our making."""
    found = attempted(lambda: batch.output(features=features))
    return torch.full_like(batch.reference, float("nan")) if found is None else found


def _disturbed(batch: InstanceBatch) -> Iterator[list[Tensor | None]]:
    """The features as they are, and in two other forms."""
    for shift, factor in ((0, 1.0), (1, -0.7), (3, 1.3)):
        rolled = [x if x is None else x.roll(shift, dims=0) for x in batch.all_features]
        yield [x if x is None or not x.is_floating_point() else factor * x for x in rolled]
