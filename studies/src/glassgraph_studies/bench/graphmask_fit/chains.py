"""Graphs like those of a question answered over several documents, and a network that reads them.

A graph holds chains of four mentions. The first mention of one of them is the query's subject; the
answer is what its last mention is about. Three relations lead along a chain, one for each step, and
each edge has an inverse, which is a relation of its own. All other edges join mentions at random,
as the complement relation of Entity-GCN does: as many of them as the graphs of `twowiki_chains`
have.

The network is Entity-GCN's: relational layers that share their weights, each with a gate on what it
adds, and a maximum over mentions (De Cao, Aziz and Titov, "Question Answering by Reasoning Across
Documents with Graph Convolutional Networks", NAACL 2019, https://arxiv.org/abs/1808.09920).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch_geometric.data import Batch, Data
from torch_geometric.nn import MessagePassing, global_max_pool

#: Steps of a chain.
STEPS = 3
#: Relations, to each of which there is an inverse.
DOCUMENT, MATCH, COMPLEMENT = range(3)
RELATIONS = 6
ANSWERS = 5
#: Numbers that describe a mention: whether it is the subject, what it is about, and noise.
FEATURES = 1 + ANSWERS + 10


def draw_chains(
    number: int, seed: int, chains: int = 4, extra: int = 1, edges: int = 294
) -> list[Data]:
    """So many graphs of ``4 chains + extra`` mentions and about ``edges`` edges."""
    generator = torch.Generator().manual_seed(seed)
    return [_draw(generator, chains, extra, edges) for _ in range(number)]


def _draw(generator: torch.Generator, chains: int, extra: int, edges: int) -> Data:
    mentions = (STEPS + 1) * chains + extra
    node = torch.randperm(mentions, generator=generator)[: (STEPS + 1) * chains]
    chain = node.view(chains, STEPS + 1)
    step = torch.tensor([DOCUMENT, MATCH, DOCUMENT]).repeat(chains, 1)
    forth = torch.stack([chain[:, :-1].flatten(), chain[:, 1:].flatten()])
    noise = max(0, edges // 2 - forth.size(1))
    other = torch.randint(mentions, (2, noise), generator=generator)
    edge_index = torch.cat([forth, other], dim=1)
    edge_type = torch.cat([step.flatten(), torch.full((noise,), COMPLEMENT)])
    x = 0.1 * torch.randn(mentions, FEATURES, generator=generator)
    x[:, : 1 + ANSWERS] = 0
    answer = torch.randperm(ANSWERS, generator=generator)[:chains]
    x[chain[0, 0], 0] = 1.0
    x[chain[:, -1], 1 + answer] = 1.0
    return Data(
        x=x,
        edge_index=torch.cat([edge_index, edge_index.flip(0)], dim=1),
        edge_type=torch.cat([edge_type, edge_type + COMPLEMENT + 1]),
        y=answer[:1],
    )


class Relation(MessagePassing):
    """Messages of one relation: what is sent, divided by how much arrives."""

    def __init__(self) -> None:
        super().__init__(aggr="add")

    def forward(self, sent: Tensor, edge_index: Tensor, share: Tensor) -> Tensor:
        """Sums ``[N, D]`` of ``sent [N, D]`` with weights ``share [E]``."""
        total: Tensor = self.propagate(edge_index, x=sent, share=share)
        return total

    def message(self, x_j: Tensor, share: Tensor) -> Tensor:
        """A message."""
        return share.view(-1, 1) * x_j


class ChainReader(nn.Module):
    """The network: three shared layers, gates on what they add, a maximum over mentions."""

    def __init__(self, channels: int = 96, layers: int = STEPS) -> None:
        super().__init__()
        self.layers = layers
        self.embed = nn.Linear(FEATURES, channels)
        self.own = nn.Linear(channels, channels)
        self.relations = nn.ModuleList(nn.Linear(channels, channels) for _ in range(RELATIONS))
        self.sums = nn.ModuleList(Relation() for _ in range(RELATIONS))
        self.gate = nn.Linear(2 * channels, channels)
        self.head = nn.Linear(channels, ANSWERS)

    def forward(
        self, x: Tensor, edge_index: Tensor, edge_type: Tensor, batch: Tensor | None = None
    ) -> Tensor:
        """Logits ``[B, ANSWERS]``."""
        share = self._share(x.size(0), edge_index[1], edge_type)
        own = [(edge_type == number).nonzero().view(-1) for number in range(RELATIONS)]
        h = self.embed(x).tanh()
        for _ in range(self.layers):
            update = self.own(h)
            for relation, sum_up, edge in zip(self.relations, self.sums, own, strict=True):
                update = update + sum_up(relation(h), edge_index[:, edge], share[edge])
            gate = torch.sigmoid(self.gate(torch.cat([update, h], dim=1)))
            h = gate * update.tanh() + (1 - gate) * h
        logits: Tensor = self.head(global_max_pool(h, batch))
        return logits

    @staticmethod
    def _share(num_nodes: int, receiver: Tensor, edge_type: Tensor) -> Tensor:
        """One over the number of a relation's messages that arrive, ``[E]``."""
        kind = receiver * RELATIONS + edge_type
        return 1.0 / torch.bincount(kind, minlength=num_nodes * RELATIONS)[kind]


def train_reader(
    graphs: list[Data], channels: int = 96, epochs: int = 3, seed: int = 0
) -> tuple[ChainReader, float]:
    """A network that has learned to read the chains, and its accuracy on the graphs."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # noqa: TID251 - layers draw globally; put back behind them
        model = ChainReader(channels)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(epochs):
        for part in torch.randperm(len(graphs), generator=generator).split(32):
            batch = Batch.from_data_list([graphs[number] for number in part.tolist()])
            logits = model(batch.x, batch.edge_index, batch.edge_type, batch.batch)
            optimizer.zero_grad()
            nn.functional.cross_entropy(logits, batch.y).backward()
            optimizer.step()
    everything = Batch.from_data_list(graphs)
    with torch.no_grad():
        logits = model(everything.x, everything.edge_index, everything.edge_type, everything.batch)
    return model.eval(), float((logits.argmax(dim=1) == everything.y).double().mean())
