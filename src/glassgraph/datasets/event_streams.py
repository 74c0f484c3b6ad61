"""A stream of events with planted causes: a tip that counts makes its receiver visit a shop.

At every time one of ``num_guides`` guides gives one of ``num_people`` people a tip about a shop;
its message names the shop and says whether the tip counts. A tip that counts makes the receiver
visit that shop after a delay; no other visit happens. So every visit has exactly one cause, the
tip, and many events at the same nodes that look like one: tips about other shops, tips about this
one that do not count, and earlier visits.

Messages ``[3 * num_shops]``: one-hot, the shop within the kind of event (a tip that does not count,
one that does, a visit). The first nodes are people, then come shops, then guides.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import one_hot
from torch_geometric.data import TemporalData

from glassgraph.brief import brief_repr
from glassgraph.datasets.base import Split, generator
from glassgraph.errors import DatasetError

#: Shares of the stream for training and validation; the rest is for test.
_TRAIN, _VAL = 0.7, 0.15


@dataclass(frozen=True)
class EventStream:
    """Events, and what caused them.

    Attributes:
        events: ``src``, ``dst``, ``t``, ``msg`` in the order of time.
        num_nodes: number N of nodes.
        cause: ``[E]`` the event that caused each; -1 where nothing did.
        destinations: ``[D]`` nodes that a caused link may go to, for links that did not happen.
        split: numbers of the caused events under "train", "val" and "test", one after the other in
            time.
    """

    events: TemporalData
    num_nodes: int
    cause: Tensor
    destinations: Tensor
    split: Split

    __repr__ = brief_repr


def event_stream(
    seed: int = 0,
    *,
    num_tips: int = 8000,
    num_people: int = 30,
    num_guides: int = 10,
    num_shops: int = 8,
    share: float = 0.12,
    delay: tuple[int, int] = (30, 50),
) -> EventStream:
    """Tips and visits; what they are stands on top of the module.

    Args:
        seed: of everything random.
        num_tips: how many tips are given, one at each time.
        num_people: how many people there are.
        num_guides: how many guides.
        num_shops: how many shops.
        share: of tips that count.
        delay: the shortest and the longest time between a tip and the visit.

    Raises:
        DatasetError: if a number is out of range, or there are too few visits for a split.

    Example:
        >>> stream = event_stream(num_tips=200)
        >>> visit = int(stream.split["test"][0])
        >>> tip = int(stream.cause[visit])
        >>> bool(stream.events.dst[tip] == stream.events.src[visit])
        True
    """
    if min(num_tips, num_people, num_guides) < 1 or num_shops < 2:
        raise DatasetError(
            "num_tips, num_people and num_guides must be >= 1, num_shops >= 2; got "
            f"{num_tips}, {num_people}, {num_guides} and {num_shops}"
        )
    if not 0 < share <= 1 or not 1 <= delay[0] <= delay[1]:
        raise DatasetError(
            f"share must lie in (0, 1] and delay be a range from 1 up; got {share} and {delay}"
        )
    rng = generator(seed, "events")
    receiver = rng.integers(num_people, size=num_tips)
    guide = num_people + num_shops + rng.integers(num_guides, size=num_tips)
    shop = rng.integers(num_shops, size=num_tips)
    counts = rng.random(num_tips) < share
    time = torch.arange(num_tips)
    wait = torch.from_numpy(rng.integers(delay[0], delay[1] + 1, size=num_tips))
    tip = torch.from_numpy(counts).nonzero().view(-1)
    visitor, place = torch.from_numpy(receiver)[tip], torch.from_numpy(shop)
    src = torch.cat([torch.from_numpy(guide), visitor])
    dst = torch.cat([torch.from_numpy(receiver), num_people + place[tip]])
    t = torch.cat([time, time[tip] + wait[tip]])
    is_visit = torch.arange(t.numel()) >= num_tips
    kind = is_visit.long() * 2
    kind[tip] = 1
    msg = one_hot(kind * num_shops + torch.cat([place, place[tip]]), 3 * num_shops).float()
    cause = torch.cat([torch.full((num_tips,), -1), tip])
    order = torch.argsort(t, stable=True)
    number = torch.empty_like(order)
    number[order] = torch.arange(order.numel())
    order = order[t[order] < num_tips]  # visits after the last tip would be told by that
    cause = torch.where(cause[order] >= 0, number[cause[order]], -1)
    events = TemporalData(src=src[order], dst=dst[order], t=t[order], msg=msg[order])
    visits = (cause >= 0).nonzero().view(-1)
    ends = [int(share_ * visits.numel()) for share_ in (_TRAIN, _TRAIN + _VAL)]
    train, val, test = visits.tensor_split(ends)
    if not min(train.numel(), val.numel(), test.numel()):
        raise DatasetError(f"{visits.numel()} visits are too few for a split; take more tips")
    shops = num_people + torch.arange(num_shops)
    split = {"train": train, "val": val, "test": test}
    return EventStream(events, num_people + num_shops + num_guides, cause, shops, split)
