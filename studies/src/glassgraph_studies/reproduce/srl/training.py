"""How a role labeler is trained, and how well it does.

Batches hold sentences of similar length, about `TOKENS` tokens each; the rate of Adam rises for the
first part of the steps and falls to nothing (one cycle), which is chosen on the validation part, as
everything is.

    precision = roles found that are right / roles found        recall = the same / roles there are

over all tokens of all predicates, where "no role" is no role, and F1 = 2 P R / (P + R). Senses of
predicates are not predicted and do not count.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor
from torch_geometric.data import Data

from glassgraph.progress import progress_bar
from glassgraph_studies.reproduce.srl.models import RoleLabeler, Sizes
from glassgraph_studies.reproduce.srl.settings import TOKENS, Schedule

#: What the labeler is called with.
NODE_INPUTS = ("x", "word", "tag", "is_predicate", "lemma")


@dataclass(frozen=True)
class Trained:
    """A labeler and how it came about.

    Attributes:
        model: in evaluation mode.
        seconds: of training, on the clock.
        cpu_seconds: of all threads; fewer than those on the clock where others run beside it.
        history: F1 on the validation part after each epoch, in percent.
    """

    model: RoleLabeler
    seconds: float
    cpu_seconds: float
    history: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Counts:
    """Roles that are right, found, and there."""

    right: int = 0
    found: int = 0
    there: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.right + other.right, self.found + other.found, self.there + other.there)

    @staticmethod
    def of(predicted: Tensor, role: Tensor) -> Counts:
        """Of predicted roles ``[N]`` and true ones; 0 is no role, -1 one that cannot be found."""
        right = (predicted == role) & (role > 0)
        return Counts(int(right.sum()), int((predicted != 0).sum()), int((role != 0).sum()))

    @property
    def f1(self) -> float:
        """In percent; 0 where there is nothing."""
        return 200.0 * self.right / max(self.found + self.there, 1)


def role_f1(outputs: Tensor, data: Data) -> float:
    """F1 in percent of role scores ``[N, roles]``, held against ``data.y``."""
    return Counts.of(outputs.argmax(dim=1), data.y).f1


def pack(graphs: Sequence[Data]) -> dict[str, Tensor]:
    """Graphs side by side, as the labeler takes them."""
    sizes = torch.tensor([len(graph.word) for graph in graphs])
    first = (sizes.cumsum(0) - sizes).tolist()
    found = {name: torch.cat([graph[name] for graph in graphs]) for name in NODE_INPUTS}
    edges = [graph.edge_index + offset for graph, offset in zip(graphs, first, strict=True)]
    return {
        **found,
        "edge_index": torch.cat(edges, dim=1),
        "edge_type": torch.cat([graph.edge_type for graph in graphs]),
        "batch": torch.repeat_interleave(sizes),
    }


def roles_of(graphs: Sequence[Data]) -> Tensor:
    """The true roles ``[N]`` of graphs side by side."""
    return torch.cat([graph.y for graph in graphs])


def batches(
    graphs: Sequence[Data], tokens: int = TOKENS, generator: torch.Generator | None = None
) -> Iterator[list[int]]:
    """Which graphs go together: of similar length, with about so many tokens.

    With a generator batches are drawn anew, and come in random order.
    """
    size = torch.tensor([float(len(graph.word)) for graph in graphs])
    noise = (
        torch.zeros_like(size) if generator is None else torch.rand(size.shape, generator=generator)
    )
    order = (size + noise).argsort(stable=True)
    group = ((size[order].cumsum(0) - 1) / tokens).long()
    found = [part.tolist() for part in order.split(torch.bincount(group).tolist()) if len(part)]
    places = (
        range(len(found))
        if generator is None
        else torch.randperm(len(found), generator=generator).tolist()
    )
    for place in places:
        yield found[place]


@torch.no_grad()
def count_roles(model: RoleLabeler, graphs: Sequence[Data], tokens: int = TOKENS) -> Counts:
    """How many roles a labeler finds."""
    counts = Counts()
    for chosen in batches(graphs, tokens):
        here = [graphs[number] for number in chosen]
        counts = counts + Counts.of(model(**pack(here)).argmax(dim=1), roles_of(here))
    return counts


def train_labeler(
    sizes: Sizes,
    train: Sequence[Data],
    validation: Sequence[Data],
    schedule: Schedule,
    seed: int = 0,
    *,
    progress: bool = True,
) -> Trained:
    """Train a labeler."""
    start, cpu_start = time.perf_counter(), time.process_time()
    generator = torch.Generator().manual_seed(seed)
    history = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # noqa: TID251 - initial weights and dropout, inside the fork
        model = RoleLabeler(sizes)
        optimizer = torch.optim.Adam(model.parameters(), lr=schedule.learning_rate)
        per_epoch = sum(1 for _ in batches(train, schedule.tokens))
        rate = torch.optim.lr_scheduler.OneCycleLR(
            optimizer,
            schedule.learning_rate,
            total_steps=schedule.epochs * per_epoch,
            pct_start=schedule.warm_up,
        )
        with progress_bar(
            total=schedule.epochs * per_epoch, desc="train", unit="batch", disable=not progress
        ) as bar:
            for _ in range(schedule.epochs):
                model.train()
                for chosen in batches(train, schedule.tokens, generator):
                    _step(model, optimizer, [train[number] for number in chosen])
                    rate.step()
                    bar.update()
                model.eval()
                history.append(count_roles(model, validation).f1)
                bar.set_postfix(f1=f"{history[-1]:.2f}")
    return Trained(
        model.eval(), time.perf_counter() - start, time.process_time() - cpu_start, history
    )


def _step(model: RoleLabeler, optimizer: torch.optim.Optimizer, graphs: Sequence[Data]) -> None:
    loss = F.cross_entropy(model(**pack(graphs)), roles_of(graphs), ignore_index=-1)
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
    optimizer.step()
