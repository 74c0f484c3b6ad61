"""Which nodes and edges look the same to a model that does not go by their order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from glassgraph.core import random
from glassgraph.core.batch import InstanceBatch
from glassgraph.inputs.links import edge_attributes, link_keys

#: Integers as wide as numbers of so many bytes.
_AS_INTEGERS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
#: Numbers that are hashed at once.
_NUMBERS_AT_ONCE = 1 << 20
_NOT_ATTRIBUTES = frozenset({"edge_index", "batch", "ptr"})
#: What a node has besides what it looks like to most models.
LABELS = frozenset({"y", "train_mask", "val_mask", "test_mask"})


def node_hashes(batch: InstanceBatch, but: frozenset[str] = frozenset()) -> Tensor:
    """``[n]`` a hash of each node's type and attributes; equal for nodes that look the same.

    Args:
        batch: the instances.
        but: attributes that do not count.
    """
    graph = batch.graph
    stores = graph.node_stores(batch.packed.data)
    names = [
        {key for key in own.keys() if own.is_node_attr(key)} - link_keys(own) - but  # noqa: SIM118
        for own in graph.node_stores(graph.data)
    ]
    return _by_type(stores, names, batch.packed.node_position, batch.num_nodes)


def edge_hashes(batch: InstanceBatch) -> Tensor:
    """``[e]`` a hash of each edge's type and attributes; equal for edges that look the same."""
    graph, data = batch.graph, batch.packed.data
    stores, owns = [data], [graph.data]
    if graph.is_heterogeneous:
        stores, owns = ([each[name] for name in graph.edge_types] for each in (data, graph.data))
    names = [set(edge_attributes(own)) for own in owns]
    positions = [view.position for view in batch.packed.views]
    return _by_type(stores, names, positions, batch.num_edges)


def attribute_hash(attributes: Mapping[str, Any], rows: Tensor, kind: int = 0) -> Tensor:
    """A hash ``[r]`` of the attributes of some nodes or edges of one type.

    Args:
        attributes: tensors by name. All that have a row for each of them count, whatever they are:
            to take equals for different does no harm.
        rows: ``[r]`` any integers, one for each.
        kind: number of the type.
    """
    found = random.hash64(4, torch.full_like(rows, kind))
    for name in sorted(attributes.keys() - _NOT_ATTRIBUTES - link_keys(attributes)):
        value = attributes[name]
        if isinstance(value, Tensor) and value.dim() and value.size(0) == rows.numel():
            found = random.hash64(4, found, _hash_rows(value))
    return found


def _by_type(
    stores: list[Any], names: list[set[str]], positions: list[Tensor], num_rows: int
) -> Tensor:
    """Hashes of all types.

    In packed data, what has as many rows as there are nodes or edges may have them by chance; so
    names come from the user's data.
    """
    found = positions[0].new_empty(num_rows)
    for kind, (store, own, position) in enumerate(zip(stores, names, positions, strict=True)):
        attributes = {name: value for name, value in store.items() if name in own}
        found[position] = attribute_hash(attributes, position, kind)
    return found


def _hash_rows(value: Tensor) -> Tensor:
    """``[r]`` a hash of each row."""
    if value.layout != torch.strided:
        value = value.to_dense()
    if value.is_complex():
        value = torch.view_as_real(value)
    value = value.reshape(value.size(0), value[:1].numel())
    column = torch.arange(value.size(1), device=value.device)
    parts = value.split(max(1, _NUMBERS_AT_ONCE // max(1, value.size(1))))
    return torch.cat([_hash_part(each.contiguous(), column) for each in parts])


def _hash_part(value: Tensor, column: Tensor) -> Tensor:
    bits = value.view(_AS_INTEGERS[value.element_size()]).long()
    return random.hash64(5, bits, column).sum(dim=1)  # wraps around
