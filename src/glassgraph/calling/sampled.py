"""Batches of a neighbor sampler: the seed nodes come first, then their neighbors, hop by hop.

Such data say how many nodes are seeds (``batch_size``) and how many nodes and edges each hop has
(``num_sampled_nodes``, ``num_sampled_edges``). Models use that to return rows of the seeds alone
and to leave out, layer by layer, what cannot reach them (``trim_to_layer``). Receptive fields have
other nodes in another order: of those every node is a seed, so that all rows are returned and
nothing is left out.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor

_SEEDS, _NODES, _EDGES = "batch_size", "num_sampled_nodes", "num_sampled_edges"
#: Attributes that speak of the order of nodes and edges.
SAMPLE_KEYS = frozenset({_SEEDS, _NODES, _EDGES})


def num_seeds(store: Any) -> int | None:
    """How many of the nodes in a store (the first ones) are seeds; None where it does not say."""
    value = store.get(_SEEDS, None)
    is_number = isinstance(value, int) and not isinstance(value, bool)
    if not is_number or "batch" in store or not 0 < value <= int(store.num_nodes or 0):
        return None
    return int(value)


def is_sampled(data: Any) -> bool:
    """Whether ``batch_size`` of these data is a number of seeds, and not of graphs."""
    return any(num_seeds(store) is not None for store in data.node_stores)


def set_nodes(store: Any, own: Any, num_nodes: int, num_seeds: int, *, is_whole: bool) -> None:
    """Say of a part's nodes what the user's own store says of its nodes.

    Args:
        store: the part.
        own: the user's store.
        num_nodes: nodes of the part.
        num_seeds: how many of them, or of its links, are seeds.
        is_whole: whether it has all nodes, in the user's order.
    """
    if _SEEDS in own and "batch" not in own:
        store[_SEEDS] = own[_SEEDS] if is_whole else num_seeds
    if _NODES in own:
        store[_NODES] = own[_NODES] if is_whole else _in_first_hop(own[_NODES], num_nodes)


def set_edges(store: Any, own: Any, edge: Tensor, *, is_whole: bool) -> None:
    """Say of a part's edges ``[e]`` (numbers in the user's store) what that says of its edges."""
    if _EDGES not in own:
        return
    hops = [int(count) for count in own[_EDGES]]
    if is_whole:
        last = torch.tensor(hops, device=edge.device).cumsum(0)
        hop = torch.searchsorted(last, edge, right=True)
        store[_EDGES] = torch.bincount(hop, minlength=len(hops))[: len(hops)].tolist()
    else:
        store[_EDGES] = _in_first_hop(hops, edge.numel())


def thin_edges(store: Any, kept: Tensor) -> None:
    """Keep the numbers of edges of each hop right where only some edges of a store are kept."""
    set_edges(store, dict(store), kept, is_whole=True)


def seed_everything(data: Any) -> Any:
    """A copy of the user's data of which all nodes are seeds, so that no layer leaves any out."""
    data = copy.copy(data)
    for store in data.node_stores:
        count = int(store.num_nodes or 0)
        set_nodes(store, dict(store), count, count, is_whole=False)
    for store in data.edge_stores:
        if "edge_index" in store:
            set_edges(store, dict(store), store["edge_index"][0], is_whole=False)
    return data


def _in_first_hop(hops: Any, count: int) -> list[int]:
    """As many hops, all but the first of them empty."""
    return [count, *[0] * (len(hops) - 1)]
