"""What is kept on the paths between two sets of nodes, and whether what is kept comes in pairs.

Paths run along the edges of an instance's field. A step counts as kept if the message of an edge
between its two nodes is kept at any layer, or at a given one. Of the paths of each length the
tables tell how many have 0, 1, 2, ... kept steps.

Schlichtkrull, De Cao and Titov, "Interpreting Graph Neural Networks for NLP With Differentiable
Edge Masking" (ICLR 2021, https://arxiv.org/abs/2010.00577), Table 3 and section 5.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from glassgraph.errors import HyperParameterError
from glassgraph.results.aggregates.aggregate import Bootstrap
from glassgraph.results.aggregates.messages import Messages, ScoredSet
from glassgraph.results.aggregates.node_sets import NodeSet, find_nodes
from glassgraph.results.aggregates.sparse_sums import sparse_sums
from glassgraph.results.records import explained_nodes

if TYPE_CHECKING:
    import pandas as pd

#: Paths of a given length that are looked at in one instance, at most.
MOST_PATHS = 1_000_000
#: Steps of a path and how many of them are kept: how many paths.
_Counts = dict[tuple[int, int], float]


def paths_table(
    explanations: ScoredSet,
    messages: Messages,
    source: NodeSet,
    target: NodeSet,
    *,
    length: int | None,
    layer: int | None,
    directed: bool,
    bootstrap: Bootstrap,
) -> pd.DataFrame:
    """One row for each length and number of kept steps; see `Explanations.kept_on_paths`."""
    import pandas as pd

    if length is not None and (
        isinstance(length, bool) or not isinstance(length, int) or length < 1
    ):
        raise HyperParameterError(f"length must be a positive number of edges; got {length!r}")
    kept = _kept_of_edges(messages, layer)
    starts = find_nodes(explanations, source, "source")
    if target is None and explanations.level != "graph":
        target = _explained
    ends = find_nodes(explanations, target, "target")
    found: list[_Counts] = []
    unconnected = 0
    for number in range(messages.num_instances):
        local = explanations.local(number)
        first, last = torch.searchsorted(
            messages.instance, torch.tensor([number, number + 1])
        ).tolist()
        is_kept = torch.zeros(local.edge_id.numel(), dtype=torch.bool)
        is_kept[messages.place[first:last]] = kept[first:last]
        steps = _Steps(local.edge_index, is_kept, local.node_id.numel(), directed)
        counts, lost = steps.count(starts[number], ends[number], length)
        found.append(counts)
        unconnected += lost
    table = pd.DataFrame(_cells(found, bootstrap))
    table.attrs["unconnected"] = unconnected
    return table


def inverse_table(messages: Messages, bootstrap: Bootstrap) -> pd.DataFrame:
    """One row for each layer; see `Explanations.inverse_pairs`."""
    import pandas as pd

    nodes = torch.cat([messages.source, messages.destination])
    owner = messages.instance.repeat(2)
    width = int(nodes.max()) + 1 if nodes.numel() else 1
    ends = torch.unique(owner * width + nodes, return_inverse=True)[1].view(2, -1)
    size = int(ends.max()) + 1 if ends.numel() else 1
    key, inverse = ends[0] * size + ends[1], ends[1] * size + ends[0]
    rows = []
    for layer, (kept, reaches) in enumerate(zip(messages.decided(), messages.reaches, strict=True)):
        own = kept & (ends[0] != ends[1])

        def summed(chosen: Tensor) -> Any:
            of = messages.instance[chosen].numpy()
            values = (np.ones(len(of)), (of, np.zeros_like(of)))
            return sparse_sums(values, shape=(messages.num_instances, 1))

        whole = summed(own)
        both = bootstrap.ratio(summed(own & torch.isin(inverse, key[own])), whole)
        known = bootstrap.ratio(summed(own & torch.isin(inverse, key[reaches])), whole)
        rows.append(
            {
                **({"layer": layer} if messages.is_layerwise else {}),
                "count": int(own.sum()),
                "has_inverse": known[0][0],
                "inverse_kept": both[0][0],
                "inverse_kept_low": both[1][0],
                "inverse_kept_high": both[2][0],
                "instances": int((whole > 0).sum()),
            }
        )
    return pd.DataFrame(rows)


def _explained(local: Any) -> Tensor:
    found = torch.zeros(len(local.node_id), dtype=torch.bool)
    found[explained_nodes(local)] = True
    return found


def _kept_of_edges(messages: Messages, layer: int | None) -> Tensor:
    """``[n]`` whether an edge is kept at a layer, or at any."""
    kept = messages.decided()
    if layer is None:
        return kept.any(dim=0)
    if isinstance(layer, bool) or not isinstance(layer, int) or not 0 <= layer < len(kept):
        raise HyperParameterError(
            f"layer must be a number from 0 to {len(kept) - 1}, or None for any; got {layer!r}"
        )
    return kept[layer]


class _Steps:
    """Steps between the nodes of an instance.

    Args:
        ends: ``[2, e]``.
        is_kept: ``[e]``.
        num_nodes: number n of nodes.
        directed: whether steps go along edges alone; else both ways, kept if either edge is.
    """

    def __init__(self, ends: Tensor, is_kept: Tensor, num_nodes: int, directed: bool) -> None:
        if not directed:
            ends, is_kept = torch.cat([ends, ends.flip(0)], dim=1), is_kept.repeat(2)
        key = ends[0] * num_nodes + ends[1]
        pair, place = torch.unique(key, return_inverse=True)
        kept = torch.zeros(pair.numel(), dtype=torch.bool)
        kept[place[is_kept]] = True
        self.tail, self.head = (
            (pair // max(1, num_nodes)).numpy(),
            (pair % max(1, num_nodes)).numpy(),
        )
        self.kept = kept.numpy().astype(np.int64)
        self.num_nodes = num_nodes

    def count(self, starts: Tensor, ends: Tensor, length: int | None) -> tuple[_Counts, int]:
        """Paths by their steps and kept steps, and how many pairs of nodes no path joins."""
        found: _Counts = {}
        unconnected = 0
        is_end = ends.numpy()
        for start in starts.nonzero().view(-1).tolist():
            goals = is_end.copy()
            goals[start] = False
            if length is None:
                lost = self._shortest(start, goals, found)
            else:
                lost = self._of_length(start, goals, length, found)
            unconnected += lost
        return found, unconnected

    def _shortest(self, start: int, goals: Any, found: _Counts) -> int:
        """All shortest paths: how many lead to each node with how many kept steps, hop by hop."""
        ways = np.zeros((self.num_nodes, 1))
        ways[start] = 1
        is_seen = np.zeros(self.num_nodes, dtype=bool)
        is_seen[start] = True
        hops, left = 0, goals.copy()
        while left.any() and ways.any():
            hops += 1
            step = ways[self.tail].any(axis=1) & ~is_seen[self.head]
            after = np.zeros((self.num_nodes, hops + 1))
            for kept in (0, 1):
                own = step & (self.kept == kept)
                np.add.at(after[:, kept : kept + hops], self.head[own], ways[self.tail[own]])
            ways = after
            arrived = ways.any(axis=1)
            is_seen |= arrived
            for kept, number in enumerate(ways[left & arrived].sum(axis=0)):
                if number:
                    found[hops, kept] = found.get((hops, kept), 0) + float(number)
            left &= ~arrived
        return int(left.sum())

    def _of_length(self, start: int, goals: Any, length: int, found: _Counts) -> int:
        """All paths of a length that visit no node twice."""
        reached = set()
        for number, (end, kept) in enumerate(self._walk(start, length)):
            if number >= MOST_PATHS:
                raise HyperParameterError(
                    f"there are more than {MOST_PATHS} paths of length {length} from one node; ask "
                    "for shorter ones, or for shortest paths (length=None)"
                )
            if goals[end]:
                reached.add(end)
                found[length, kept] = found.get((length, kept), 0) + 1
        return int(goals.sum()) - len(reached)

    def _walk(self, start: int, length: int) -> Iterator[tuple[int, int]]:
        """Last node and kept steps of each path."""
        bounds = np.searchsorted(self.tail, np.arange(self.num_nodes + 1))
        stack: list[tuple[tuple[int, ...], int]] = [((start,), 0)]
        while stack:
            path, kept = stack.pop()
            if len(path) > length:
                yield path[-1], kept
                continue
            for step in range(bounds[path[-1]], bounds[path[-1] + 1]):
                node = int(self.head[step])
                if node not in path:
                    stack.append(((*path, node), kept + int(self.kept[step])))


def _cells(found: list[_Counts], bootstrap: Bootstrap) -> dict[str, Any]:
    """One cell for each length and number of kept steps, also where no path falls into it."""
    lengths = sorted({length for counts in found for length, _ in counts})
    cells = [(length, kept) for length in lengths for kept in range(length + 1)]
    size = (len(found), len(cells))
    part, whole = np.zeros(size), np.zeros(size)
    for number, counts in enumerate(found):
        for place, (length, kept) in enumerate(cells):
            part[number, place] = counts.get((length, kept), 0)
            whole[number, place] = sum(counts.get((length, k), 0) for k in range(length + 1))
    share, low, high = bootstrap.ratio(sparse_sums(part), sparse_sums(whole))
    return {
        "length": [length for length, _ in cells],
        "kept": [kept for _, kept in cells],
        "count": part.sum(axis=0).astype(np.int64),
        "paths": whole.sum(axis=0).astype(np.int64),
        "share": share,
        "share_low": low,
        "share_high": high,
        "instances": (whole > 0).sum(axis=0),
    }
