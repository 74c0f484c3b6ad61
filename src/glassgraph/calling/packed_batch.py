"""Graphs side by side as a ``Batch``: what a model finds that asks for graphs, not for tensors.

PyG makes a ``Batch`` by collating single graphs, and remembers how. Receptive fields are cut for
all instances at once, so what `PackedBatch` knows of its graphs it reads from ``ptr`` and
``edge_index``: ``num_graphs``, ``batch_size``, ``to_data_list()`` hold for what lies in it now,
also after edges were taken out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch_geometric.data import Batch, Data, HeteroData

#: What tells the graphs of a batch apart, and how many they are.
BATCH_NAMES = ("batch", "ptr", "batch_size", "num_graphs")


class PackedBatch(Batch):
    """A ``Batch`` whose node stores carry ``batch`` and ``ptr``; made by `empty_batch`."""

    @property
    def num_graphs(self) -> int:
        """Number of graphs."""
        stores: Any = self.node_stores
        return int(stores[0]["ptr"].numel()) - 1

    def get_example(self, idx: int) -> Any:
        """One graph by itself, its nodes numbered from 0."""
        batch: Any = self
        number = range(self.num_graphs)[int(idx)]
        data = kind_of(batch)().stores_as(batch)
        rows = {
            store._key: slice(*store["ptr"][number : number + 2].tolist())
            for store in batch.node_stores
        }
        for store, own in zip(batch.stores, data.stores, strict=True):
            for key, value in store.items():
                if key not in ("batch", "ptr"):
                    own[key] = self._part(store, key, value, number, rows)
        return data

    def _part(self, store: Any, key: str, value: Any, number: int, rows: dict[Any, slice]) -> Any:
        """What an attribute holds of one graph."""
        name = store._key
        if key == "num_nodes":
            return rows[name].stop - rows[name].start
        if isinstance(name, tuple) or (name in rows and "edge_index" in store):
            source, destination = (rows[e] for e in ((name[0], name[2]) if name else (None, None)))
            ends = store["edge_index"]
            kept = (ends[0] >= source.start) & (ends[0] < source.stop)
            if key == "edge_index":
                return value[:, kept] - ends.new_tensor([[source.start], [destination.start]])
            if store.is_edge_attr(key):
                return take_rows(value, kept.nonzero().view(-1))
        if name in rows and store.is_node_attr(key):
            return value[rows[name]]
        if isinstance(value, Tensor) and value.dim() and value.size(0) == self.num_graphs:
            return value[number : number + 1]
        if isinstance(value, list) and len(value) == self.num_graphs:
            return value[number]
        return value


def kind_of(data: Any) -> type[Any]:
    """The class of single graphs, also of a batch of them."""
    return type(data).__bases__[-1] if isinstance(data, Batch) else type(data)


def empty_batch(kind: type[Data] | type[HeteroData]) -> Any:
    """A `PackedBatch` of graphs of a class, without attributes."""
    return PackedBatch(_base_cls=kind)


def set_owner(store: Any, owner: Tensor, num_graphs: int, followed: Sequence[str] = ()) -> None:
    """Say which graph each node of a store belongs to.

    Args:
        store: of one type of nodes.
        owner: ``[n]`` number of its graph, ascending.
        num_graphs: how many there are.
        followed: attributes of nodes that have such vectors of their own, see `followed_in`.
    """
    pointer = torch.cat([owner.new_zeros(1), torch.bincount(owner, minlength=num_graphs).cumsum(0)])
    for prefix in ("", *(f"{key}_" for key in followed)):
        store[f"{prefix}batch"], store[f"{prefix}ptr"] = owner, pointer


def followed_in(store: Any) -> list[str]:
    """Attributes of nodes that a loader was told to ``follow_batch``: ``x`` if ``x_batch`` is."""
    keys = list(store.keys())
    return [key for key in keys if f"{key}_batch" in keys and store.is_node_attr(key)]


def as_batch(data: Any, device: torch.device, like: Any = None) -> Any:
    """The same attributes in a ``Batch``: of one graph, if nothing says that there are several.

    Args:
        data: a graph, or several in one.
        device: where it lies.
        like: a batch of others, whose followed attributes (see `followed_in`) are followed here.

    A ``batch`` that is not in ascending order has no ``ptr``; such data stay as they are.
    """
    if isinstance(data, Batch):
        return data
    owners = [
        store["batch"]
        if "batch" in store
        else torch.zeros(store.num_nodes, dtype=torch.long, device=device)
        for store in data.node_stores
    ]
    if any(bool((owner.diff() < 0).any()) for owner in owners):
        return data
    num_graphs = max([1, *(int(owner.max()) + 1 for owner in owners if owner.numel())])
    found = empty_batch(type(data)).stores_as(data)
    for store, own in zip(data.stores, found.stores, strict=True):
        for key, value in store.items():
            own[key] = value
    others = found if like is None else like
    for own, owner, other in zip(found.node_stores, owners, others.node_stores, strict=True):
        set_owner(own, owner, num_graphs, followed_in(other))
    return found


def take_rows(value: Any, rows: Tensor) -> Any:
    """Some rows of a tensor, an array or a list."""
    if isinstance(value, Tensor):
        return value.index_select(0, rows)
    if isinstance(value, (list, tuple)):
        return [value[row] for row in rows.tolist()]
    return value[rows.cpu().numpy()]
