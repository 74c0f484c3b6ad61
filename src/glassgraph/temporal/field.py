"""Which past events can change the score of a link: its temporal receptive field.

A model with memory takes its events batch by batch. At each it reads the memories of both ends and
writes them; at a link it reads the memories of the two nodes and of their latest neighbors. So one
goes back through the batches with the set of nodes whose memory counts: an event at one of them
counts, and before it so does the memory of its other end. Nothing is left out that could count
when up to ``removals`` events are missing: then older neighbors move up.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch_geometric.data import TemporalData

from glassgraph.temporal.events import Link


@dataclass(frozen=True)
class Reads:
    """What a model reads.

    Attributes:
        num_nodes: number of nodes it knows.
        batch_size: events in a batch.
        neighbors: how many latest events of a node its layers see.
        hops: how often they go on to neighbors.
        has_memory: whether it keeps a memory that events update.
        rereads: whether an update may read messages of earlier batches again.
    """

    num_nodes: int
    batch_size: int
    neighbors: int
    hops: int
    has_memory: bool
    rereads: bool


@dataclass(frozen=True)
class Field:
    """The part of a stream before a link that can change its score.

    Attributes:
        start: the first event that is replayed; the first of a batch.
        event_id: ``[n]`` numbers of the events from there on that count, ascending.
        node_id: ``[m]`` nodes whose state counts at any time from there on, ascending.
    """

    start: int
    event_id: Tensor
    node_id: Tensor


def field_of(
    events: TemporalData, link: Link, reads: Reads, removals: int, latest: int | None, first: int
) -> Field:
    """The temporal receptive field of a link.

    Args:
        events: the stream.
        link: what is explained.
        reads: what the model reads.
        removals: how many events may be missing at once.
        latest: go back no further than to this many events that count; None for all of them.
        first: nor further back than to the batch of this event.
    """
    past = torch.stack([events.src, events.dst])[:, : link.num_past]
    counts, nodes = _seen_by_layers(past, link, reads, removals)
    begin = link.num_past
    while begin > first and (latest is None or int(counts[begin:].sum()) < latest):
        end, begin = begin, (begin - 1) // reads.batch_size * reads.batch_size
        if reads.has_memory:
            nodes = _before(past, counts, nodes, begin, end, reads)
    node_id = nodes.clone()
    event_id = counts[begin:].nonzero().view(-1) + begin
    node_id[past[:, event_id]] = True
    return Field(begin, event_id, node_id.nonzero().view(-1))


def _seen_by_layers(past: Tensor, link: Link, reads: Reads, removals: int) -> tuple[Tensor, Tensor]:
    """Events that layers may see ``[num_past]``, and the nodes whose state they read ``[N]``."""
    counts = past.new_zeros(past.size(1), dtype=torch.bool)
    nodes = past.new_zeros(reads.num_nodes, dtype=torch.bool)
    frontier = {link.src, link.dst}
    nodes[list(frontier)] = True
    for _ in range(reads.hops):
        seen = [
            (past == node).any(0).nonzero().view(-1)[-(reads.neighbors + removals) :]
            for node in sorted(frontier)
        ]
        latest = torch.cat(seen)
        counts[latest] = True
        ends = past[:, latest].unique()
        frontier = set(ends[~nodes[ends]].tolist())
        nodes[ends] = True
    return counts, nodes


def _before(
    past: Tensor, counts: Tensor, nodes: Tensor, begin: int, end: int, reads: Reads
) -> Tensor:
    """The nodes whose memory counts before a batch; marks its events that do in ``counts``."""
    ends = past[:, begin:end]
    touches = nodes[ends].any(0)
    counts[begin:end] |= touches
    before = nodes.clone()
    if reads.rereads:
        updated = torch.zeros_like(nodes)
        updated[ends[:, touches]] = True
        earlier = past[:, :begin]
        before[earlier[:, (nodes & updated)[earlier].any(0)]] = True
    before[ends[:, touches]] = True
    return before
