"""From one traced run to the wiring of a model.

Tracing the model once on a small piece of the user's graph, with a probe on every site's messages,
shows which sites feed which. From that follow, for every site,

* its *layer*: the length of the longest chain of sites before it (the sites of one step, such as
  R-GCN's relations, share a layer);
* its *height*: the length of the longest chain after it. A message at a site can reach the
  explained node only if its destination lies within ``height`` hops of it;
* which of its arguments hold one row per message, and which of those depend on the graph alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor

from glassgraph.core.edges import match_rows
from glassgraph.core.own_edges import EdgeUse
from glassgraph.core.sites import Channel, Record, Site, Wiring, message_parameters
from glassgraph.errors import NoMessagePassingError
from glassgraph.inputs.pack import Candidates


def build_wiring(
    channels: Sequence[Channel],
    records: Sequence[Record],
    candidates: Sequence[Candidates],
    uses: Sequence[EdgeUse | None],
    derived: Sequence[bool],
    detached: Sequence[bool],
) -> Wiring:
    """Derive the wiring from a traced run.

    Args:
        channels: the channels of the model.
        records: what each site was given, with ``feeds_from`` and ``varying`` filled in.
        candidates: for each site the user edges that may appear there.
        uses: how sites use the user's edges that do not send along them alone.
        derived: for each site whether its rows are not the user's edges.
        detached: for each site whether its messages count without a gradient.

    Raises:
        NoMessagePassingError: if no site was reached.
    """
    if not records:
        names = ", ".join(channel.name for channel in channels)
        raise NoMessagePassingError(
            f"no message was seen from {names} while the model ran on the data; is the layer "
            "used, and is the graph passed as edge_index?"
        )
    places = _layers(records), _heights(records)
    sites = zip(records, candidates, *places, uses, derived, detached, strict=True)
    return Wiring(
        tuple(channels),
        tuple(_site(channels[each[0].channel], *each) for each in sites),
    )


def _layers(records: Sequence[Record]) -> list[int]:
    """The longest chain before each site."""
    found: list[int] = []
    for record in records:
        found.append(1 + max((found[earlier] for earlier in record.feeds_from), default=-1))
    return found


def _heights(records: Sequence[Record]) -> list[int]:
    """The longest chain after each site."""
    found = [0] * len(records)
    for position in reversed(range(len(records))):
        for earlier in records[position].feeds_from:
            found[earlier] = max(found[earlier], found[position] + 1)
    return found


def _site(
    channel: Channel,
    record: Record,
    candidates: Candidates,
    layer: int,
    height: int,
    use: EdgeUse | None,
    is_derived: bool,
    is_detached: bool,
) -> Site:
    match = match_rows(record.edge_index, candidates, record.is_flipped)
    # On more nodes than the graph has, messages may be the user's all the same: a virtual node.
    is_derived &= use is None or not use.follows
    is_mapped = not is_derived and (not match.is_empty or record.edge_index.size(1) == 0)
    if use is not None and not is_derived:
        is_mapped = use.follows
    edge_arguments, can_trim = _edge_arguments(channel, record)
    return Site(
        name=channel.name + (f"#{record.call + 1}" if record.call else ""),
        channel=record.channel,
        call=record.call,
        layer=layer,
        height=height,
        is_flipped=match.is_flipped,
        is_mapped=is_mapped,
        is_derived=is_derived,
        is_detached=is_detached,
        edge_arguments=edge_arguments,
        constant_arguments=edge_arguments - record.varying,
        can_trim=can_trim and is_mapped,
        width=_message_width(channel, record),
        builds_edges=use is not None and not use.follows,
        num_added=0 if use is None else use.num_added,
        reverses=use is not None and use.reverses,
    )


def _message_width(channel: Channel, record: Record) -> int:
    if channel.is_adjacency:
        return int(record.arguments["values"].size(1))
    return max(1, math.prod(record.message) // max(1, record.edge_index.size(1)))


def _edge_arguments(channel: Channel, record: Record) -> tuple[frozenset[str], bool]:
    """The arguments with one row per message, and whether all others may stay as they are."""
    if channel.is_tap:
        return frozenset(), False
    if channel.is_adjacency:
        return frozenset({"weight"}), False
    num_rows = record.edge_index.size(1)
    names, can_trim = set(), True
    for name in message_parameters(channel.module):
        value = record.arguments.get(name)
        if not isinstance(value, Tensor):
            continue
        if value.dim() > 0 and value.size(0) == num_rows:
            names.add(name)
        elif value.numel() > 1:
            can_trim = False  # neither one row per message nor a scalar: it cannot be cut
    return frozenset(names), can_trim
