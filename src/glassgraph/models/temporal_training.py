"""Training of a TGN on the caused links of a stream.

As in PyG's ``examples/tgn.py``: the stream goes by in batches, links of a batch are scored by what
came before it, each beside a link to another destination, and then the memory and the neighbors
see the batch. Adam on the binary cross-entropy; the epoch of the highest validation AUC is taken.
"""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch_geometric.data import TemporalData
from torch_geometric.nn.models.tgn import (
    IdentityMessage,
    LastAggregator,
    LastNeighborLoader,
    TGNMemory,
)

from glassgraph.errors import HyperParameterError
from glassgraph.models.temporal import LinkPredictor, TemporalAttention
from glassgraph.progress import progress_bar

#: Size of encoded times: few beside the messages, of which they say nothing.
_TIME = 4


@dataclass(frozen=True)
class TrainedTGN:
    """The parts of a trained TGN, and how good it is.

    Attributes:
        memory: In evaluation mode; its state is blank.
        gnn: The network on the latest neighbors.
        link_predictor: Gives logits.
        neighbors: How many latest events of a node the network sees.
        batch_size: Events in a batch.
        auc: Of caused links beside as many to other destinations, under "val" and "test".
        seconds: Wall time of the training.
    """

    memory: TGNMemory
    gnn: TemporalAttention
    link_predictor: LinkPredictor
    neighbors: int
    batch_size: int
    auc: dict[str, float]
    seconds: float


def train_tgn(
    events: TemporalData,
    num_nodes: int,
    destinations: Tensor,
    split: dict[str, Tensor],
    seed: int = 0,
    *,
    epochs: int = 12,
    batch_size: int = 20,
    channels: int = 32,
    neighbors: int = 6,
    learning_rate: float = 0.005,
    progress: bool = True,
) -> TrainedTGN:
    """Train a TGN to tell links that happened from links to other destinations.

    Args:
        events: The stream.
        num_nodes: N, the number of nodes.
        destinations: Nodes ``[D]`` that links may go to.
        split: Numbers of the events whose links are learned, under "train", "val" and "test".
        seed: Of initialization and of the other destinations; the caller's random state is not
            touched.
        epochs: Passes over the stream.
        batch_size: Events in a batch.
        channels: Size of memory and embeddings.
        neighbors: Latest events of a node that the network sees.
        learning_rate: Adam's learning rate.
        progress: Show a progress bar.

    Raises:
        HyperParameterError: if a number is not positive.
    """
    if min(epochs, batch_size, channels, neighbors) < 1 or learning_rate <= 0:
        raise HyperParameterError(
            "epochs, batch_size, channels, neighbors and learning_rate must be positive, got "
            f"{epochs}, {batch_size}, {channels}, {neighbors} and {learning_rate}"
        )
    started = time.perf_counter()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # noqa: TID251 - inside fork_rng
        run = _Run(events, num_nodes, destinations, split, batch_size, channels, neighbors)
        optimizer = torch.optim.Adam(run.parameters(), lr=learning_rate)
        best, kept = -1.0, copy.deepcopy(run.state())
        for _ in progress_bar(range(epochs), "train", disable=not progress, delay=1.0):
            run.go("train", optimizer)
            with torch.no_grad():
                auc = _auc(*run.go("val", None))
            if auc > best:
                best, kept = auc, copy.deepcopy(run.state())
        run.restore(kept)
        with torch.no_grad():
            auc_test = _auc(*run.go("test", None))
    run.memory.reset_state()
    seconds = time.perf_counter() - started
    return TrainedTGN(
        run.memory,
        run.gnn,
        run.predictor,
        neighbors,
        batch_size,
        {"val": best, "test": auc_test},
        seconds,
    )


class _Run:
    """The parts of a TGN, and passes over the stream."""

    def __init__(
        self,
        events: TemporalData,
        num_nodes: int,
        destinations: Tensor,
        split: dict[str, Tensor],
        batch_size: int,
        channels: int,
        neighbors: int,
    ) -> None:
        width = events.msg.size(1)
        message = IdentityMessage(width, channels, _TIME)
        self.memory = TGNMemory(num_nodes, width, channels, _TIME, message, LastAggregator())
        self.gnn = TemporalAttention(channels, channels, width, self.memory.time_enc)
        self.predictor = LinkPredictor(channels)
        self.loader = LastNeighborLoader(num_nodes, neighbors)
        self.events, self.destinations, self.batch_size = events, destinations, batch_size
        self.part = torch.full((events.src.numel(),), -1)
        for number, name in enumerate(("train", "val", "test")):
            self.part[split[name]] = number
        self.modules = nn.ModuleList([self.memory, self.gnn, self.predictor])

    def parameters(self) -> list[nn.Parameter]:
        return list(self.modules.parameters())

    def state(self) -> dict[str, Tensor]:
        return {name: value.detach() for name, value in self.modules.named_parameters()}

    def restore(self, state: dict[str, Tensor]) -> None:
        self.modules.load_state_dict(state, strict=False)

    def go(self, part: str, optimizer: torch.optim.Optimizer | None) -> tuple[Tensor, Tensor]:
        """Pass over the stream up to the end of a part, whose links are scored on the way.

        Returns:
            Scores of links that happened, and of those to other destinations.
        """
        number = ("train", "val", "test").index(part)
        self.memory.reset_state()
        self.loader.reset_state()
        for each in self.modules:
            each.train(optimizer is not None)
        self.memory.reset_state()
        found: list[tuple[Tensor, Tensor]] = []
        last = int((self.part == number).nonzero()[-1]) + 1
        for first in range(0, last, self.batch_size):
            batch = self.events[first : first + self.batch_size]
            asked = (self.part[first : first + self.batch_size] == number).nonzero().view(-1)
            if asked.numel():
                scores = self._scores(batch, asked)
                found.append((scores[0].detach(), scores[1].detach()))
                if optimizer is not None:
                    self._step(scores, optimizer)
            self.memory.update_state(batch.src, batch.dst, batch.t, batch.msg)
            self.loader.insert(batch.src, batch.dst)
            self.memory.detach()
        happened, others = zip(*found, strict=True)
        return torch.cat(happened), torch.cat(others)

    def _scores(self, batch: TemporalData, asked: Tensor) -> tuple[Tensor, Tensor]:
        """Scores ``[L]`` of links that happened, and ``[L, D - 1]`` of those to others."""
        src, count = batch.src[asked], self.destinations.numel()
        roots = torch.cat([src, self.destinations]).unique()
        node_id, edge_index, event = self.loader(roots)
        z, last_update = self.memory(node_id)
        z = self.gnn(z, last_update, edge_index, self.events.t[event], self.events.msg[event])
        source = z[torch.searchsorted(node_id, src)].repeat_interleave(count, 0)
        destination = z[torch.searchsorted(node_id, self.destinations)].repeat(src.numel(), 1)
        scores = self.predictor(source, destination).view(-1, count)
        is_it = self.destinations == batch.dst[asked].view(-1, 1)
        return scores[is_it], scores[~is_it].view(-1, count - 1)

    def _step(self, scores: tuple[Tensor, Tensor], optimizer: torch.optim.Optimizer) -> None:
        optimizer.zero_grad()
        every = torch.cat([scores[0].view(-1, 1), scores[1]], dim=1)
        loss = cross_entropy(every, torch.zeros(every.size(0), dtype=torch.long))
        loss.backward()
        optimizer.step()


def _auc(happened: Tensor, others: Tensor) -> float:
    """The share of pairs in which the link that happened has the higher score; ties count half."""
    difference = happened.view(-1, 1, 1) - others
    return float(((difference > 0).double() + 0.5 * (difference == 0).double()).mean())
