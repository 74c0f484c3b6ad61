"""The k most relevant walks from number to number: EMP-neu.

Between two numbers a walk's relevance is a plain product, so the best walks through a number are
made of the best beginnings to it and the best ends from it, and dynamic programming is exact. The
sign counts: of the products of either sign the k largest are kept.

Xiong, Schnake, Gastegger, Montavon, Müller and Nakajima, "Relevant Walk Search for Explaining Graph
Neural Networks" (ICML 2023, https://proceedings.mlr.press/v202/xiong23b.html).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from glassgraph.relevance.walks import Step, WalkGraph
from glassgraph.results.paths import best_of_each

#: Numbers that one piece of work may hold at once.
_CHUNK = 1 << 24


@dataclass(frozen=True)
class NeuronWalks:
    """Walks from number to number, ascending by instance, the largest score first.

    Attributes:
        instance: ``[W]``.
        node: ``[W, L + 1]`` nodes of the batch.
        column: ``[W, L]`` which column of the walk graph at each position but the last.
        score: ``[W]``.
    """

    instance: Tensor
    node: Tensor
    column: Tensor
    score: Tensor


@dataclass(frozen=True)
class _Table:
    """The best ends of walks from each column of each node.

    Attributes:
        size: ``[n, V, 2, k]`` absolute products, of positive and negative ones; 0 for none.
        node, slot: the next node, and the place in its flattened table.
    """

    size: Tensor
    node: Tensor
    slot: Tensor


def best_neuron_walks(walks: WalkGraph, k: int) -> NeuronWalks:
    """The k walks of largest absolute relevance of each instance, less those of relevance 0.

    The features of a node count as one number, with the sum of what they put into a column.

    Args:
        walks: the walk graph.
        k: how many.
    """
    ends = walks.start.new_zeros((walks.num_nodes, 1, 2, k))
    ends[:, 0, 0, 0] = walks.is_end.to(ends.dtype)
    nothing = torch.zeros(ends.shape, dtype=torch.long, device=ends.device)
    tables = [_Table(ends, nothing, nothing)]
    for position in reversed(range(walks.num_layers)):
        tables.insert(0, _previous(walks, position, tables[0], k))
    size, slot = _signed(walks.start.unsqueeze(2), tables[0].size)  # [n, V, 2, 2k]
    sign = size.new_tensor([1.0, -1.0]).view(1, 1, 2, 1)
    score = (size * sign).reshape(walks.num_nodes, -1)
    where = score.ne(0).nonzero()
    node, value = where[:, 0], score[where[:, 0], where[:, 1]]
    kept = best_of_each(walks.node_instance[node], value.abs(), k)
    node, value = node[kept], value[kept]
    per_column = 4 * k
    column = where[kept, 1] // per_column
    place = column * 2 * k + slot.reshape(walks.num_nodes, -1)[node, where[kept, 1]]
    return _follow(walks, tables, node, value, place, k)


def _signed(factor: Tensor, size: Tensor) -> tuple[Tensor, Tensor]:
    """Products of either sign, ``[..., 2, 2k]``, and which of the ``2k`` each is made of.

    Args:
        factor: broadcastable to ``[..., k]``.
        size: ``[..., 2, k]``.
    """
    up, down = factor.clamp(min=0), (-factor).clamp(min=0)
    positive, negative = size[..., 0, :], size[..., 1, :]
    products = torch.stack(
        [
            torch.cat([up * positive, down * negative], dim=-1),
            torch.cat([down * positive, up * negative], dim=-1),
        ],
        dim=-2,
    )
    slot = torch.arange(products.size(-1), device=factor.device).expand_as(products)
    return products, slot


def _previous(walks: WalkGraph, position: int, after: _Table, k: int) -> _Table:
    """The table of a position, given that of the next one."""
    layer, width = walks.layers[position], walks.widths[position]
    found = _Candidates(width, k)
    for step in layer.steps:
        columns = torch.arange(width, device=walks.start.device)[step.columns]
        for rows in _pieces(step, k):
            receiver = step.receiver[rows]
            size, slot = _best_products(step.block[rows], after.size[receiver], k)
            found.add(step.sender[rows], columns, size, receiver, slot)
    if layer.can_stay:
        here = torch.arange(walks.num_nodes, device=walks.start.device)
        size = after.size[:, layer.stay[1]]
        within = torch.arange(2 * k, device=here.device).view(1, 1, 2, k)
        slot = layer.stay[1].view(1, -1, 1, 1) * 2 * k + within
        found.add(here, layer.stay[0], size, here, slot.expand_as(size))
    return found.table(walks.num_nodes)


class _Candidates:
    """Ends of walks from the columns of one position, of which the k best are kept.

    Args:
        width: number V of columns.
        k: how many ends of either sign are kept for each column of each node.
    """

    def __init__(self, width: int, k: int) -> None:
        self._width, self._k = width, k
        self._key: list[Tensor] = []  # node, column and sign that an end belongs to
        self._ends: list[tuple[Tensor, Tensor, Tensor]] = []

    def add(self, sender: Tensor, columns: Tensor, size: Tensor, to: Tensor, slot: Tensor) -> None:
        """Add the ends that go on from each sender to ``to``.

        Args:
            sender: ``[m]``.
            columns: ``[D]`` columns of the sender.
            size: ``[m, D, 2, k]`` absolute products, of positive and negative ones; 0 for none.
            to: ``[m]`` the next node.
            slot: as ``size``; the place in its flattened table.
        """
        sign = torch.arange(2, device=size.device)
        key = ((sender.view(-1, 1) * self._width + columns).unsqueeze(-1) * 2 + sign).unsqueeze(-1)
        is_any = size > 0
        self._key.append(key.expand_as(size)[is_any])
        node = to.view(-1, 1, 1, 1).expand_as(size)
        self._ends.append((size[is_any], node[is_any], slot[is_any]))

    def table(self, num_nodes: int) -> _Table:
        """The best of what was added."""
        key = torch.cat(self._key)
        size, node, slot = (torch.cat(each) for each in zip(*self._ends, strict=True))
        kept = best_of_each(key, size, self._k)
        key = key[kept]
        rank = torch.arange(key.numel(), device=key.device) - torch.searchsorted(key, key)
        place = key * self._k + rank
        shape = (num_nodes, self._width, 2, self._k)

        def filled(value: Tensor) -> Tensor:
            return value.new_zeros(shape).view(-1).index_copy(0, place, value[kept]).view(shape)

        return _Table(filled(size), filled(node), filled(slot))


def _pieces(step: Step, k: int) -> list[Tensor]:
    """Messages in groups whose products fit into memory."""
    rows = torch.arange(step.sender.numel(), device=step.sender.device)
    numbers = step.block.size(1) * step.block.size(2) * 4 * k
    return list(rows.split(max(1, _CHUNK // max(1, numbers))))


def _best_products(block: Tensor, size: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k largest products of either sign for each message and column, ``[m, D, 2, k]``.

    Args:
        block: ``[m, D, V]``.
        size: ``[m, V, 2, k]`` of the receivers.
        k: how many.

    Returns:
        The products, and the place of what they end with in the receiver's flattened table.
    """
    products, slot = _signed(block.unsqueeze(-1), size.unsqueeze(1))  # [m, D, V, 2, 2k]
    column = torch.arange(block.size(2), device=block.device).view(1, 1, -1, 1, 1)
    place = (column * 2 * k + slot).transpose(2, 3).flatten(3)
    best = products.transpose(2, 3).flatten(3).topk(min(k, products.size(2) * 2 * k), dim=-1)
    return best.values, place.gather(-1, best.indices)


def _follow(
    walks: WalkGraph, tables: list[_Table], node: Tensor, score: Tensor, place: Tensor, k: int
) -> NeuronWalks:
    """Read walks out of the tables."""
    instance = walks.node_instance[node]
    nodes, columns = [node], []
    for table in tables[:-1]:
        columns.append(place // (2 * k))
        row = node * (table.size[0].numel()) + place
        node, place = table.node.view(-1)[row], table.slot.view(-1)[row]
        nodes.append(node)
    return NeuronWalks(instance, torch.stack(nodes, dim=1), torch.stack(columns, dim=1), score)
