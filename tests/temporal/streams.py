"""Small streams of events and temporal models, and a literal replay of them."""

from __future__ import annotations

import copy

import torch
from torch import Tensor
from torch_geometric.data import TemporalData
from torch_geometric.nn.models.tgn import (
    IdentityMessage,
    LastAggregator,
    LastNeighborLoader,
    MeanAggregator,
    TGNMemory,
    TimeEncoder,
)

from glassgraph.models import LinkPredictor, TemporalAttention
from glassgraph.temporal import TGN

NODES, WIDTH, BATCH = 13, 3, 5


def stream(num_events: int = 47, seed: int = 0, *, ties: bool = False) -> TemporalData:
    """Random events, in order."""
    generator = torch.Generator().manual_seed(seed)
    ends = torch.randint(NODES, (2, num_events), generator=generator)
    gaps = torch.randint(0 if ties else 1, 4, (num_events,), generator=generator)
    msg = torch.randn(num_events, WIDTH, generator=generator, dtype=torch.double)
    return TemporalData(src=ends[0], dst=ends[1], t=gaps.cumsum(0), msg=msg)


def parts(aggregator: str = "last", *, memory: bool = True, hops: int = 1) -> TGN:
    """A model with random weights, in double precision and evaluation mode."""
    torch.manual_seed(1)
    aggregators = {"last": LastAggregator, "mean": MeanAggregator}
    kept = TGNMemory(NODES, WIDTH, 7, 5, IdentityMessage(WIDTH, 7, 5), aggregators[aggregator]())
    time_enc = kept.time_enc if memory else TimeEncoder(5)
    gnn = TemporalAttention(7, 6, WIDTH, time_enc).double()
    predictor = LinkPredictor(6).double()
    if not memory:
        x = torch.randn(NODES, 7, dtype=torch.double)
        return TGN(None, gnn.eval(), predictor, neighbors=3, hops=hops, x=x)
    kept.double().reset_state()  # its message stores follow no cast
    kept.training = False
    for each in kept.children():
        each.eval()
    return TGN(kept, gnn.eval(), predictor, neighbors=3, hops=hops)


class Literal:
    """PyG's example, line by line: a memory and a loader that see a batch after the other."""

    def __init__(self, model: TGN) -> None:
        self.memory = copy.deepcopy(model.memory)
        self.gnn, self.predictor, self.hops = model.gnn, model.link_predictor, model.parts.hops
        self.x = model.parts.x
        self.loader = LastNeighborLoader(NODES, model.parts.neighbors)
        self.reset()

    def reset(self) -> None:
        if self.memory is not None:
            self.memory.reset_state()
        self.loader.reset_state()
        self.seen: list[TemporalData] = []

    def replay(self, events: TemporalData) -> None:
        if self.memory is not None:
            self.memory.update_state(events.src, events.dst, events.t, events.msg)
        self.loader.insert(events.src, events.dst)
        self.seen.append(events)

    def score(self, src: Tensor, dst: Tensor, t: Tensor) -> Tensor:
        node_id = torch.cat([src, dst]).unique()
        for _ in range(self.hops):
            node_id, edge_index, event = self.loader(node_id)
        if self.memory is None:
            state, since = self.x[node_id], t.expand(node_id.numel())
        else:
            state, since = self.memory(node_id)
        past_t = torch.cat([each.t for each in self.seen])[event]
        past_msg = torch.cat([each.msg for each in self.seen])[event]
        z = self.gnn(state, since, edge_index, past_t, past_msg)
        place = {node: at for at, node in enumerate(node_id.tolist())}
        return self.predictor(z[[place[int(src)]]], z[[place[int(dst)]]]).view(1)


def literal_score(
    model: TGN, events: TemporalData, number: int, left_out: set[int], batch_size: int = BATCH
) -> float:
    """The score of an event's link after all earlier events but some."""
    literal = Literal(model)
    past = [at for at in range(number) if events.t[at] < events.t[number]]
    with torch.no_grad():
        for first in range(0, len(past), batch_size):
            batch = [at for at in past[first : first + batch_size] if at not in left_out]
            if batch:
                literal.replay(events[torch.tensor(batch)])
        one = events[torch.tensor([number])]
        return float(literal.score(one.src, one.dst, one.t))
