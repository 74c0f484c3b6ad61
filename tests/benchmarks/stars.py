"""A model whose every prediction is known, and methods that are known to be good, bad or broken.

Each predicted node has 7 senders. The model sums their only feature: two of them carry a 1, which
is what decides, the other five a 0. So the truth are the edges from these two.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch_geometric.data import Data
from torch_geometric.nn import MessagePassing

import glassgraph as gg
from glassgraph.benchmarks import Subject, register_subject, unregister_subject
from glassgraph.explainers.registry import unregister

SENDERS, TRUE, STARS, EXPLAINED = 7, 2, 43, 31


class Sum(MessagePassing):
    """Two logits: how far the sum over the senders exceeds 1, and its opposite."""

    def __init__(self) -> None:
        super().__init__(aggr="sum")

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        excess = 3 * (self.propagate(edge_index, x=x) - 1)
        return torch.cat([excess, -excess], dim=1)


def stars(seed: int = 0) -> Subject:
    """Stars whose true senders lie at random places; the first ones are explained."""
    generator = torch.Generator().manual_seed(seed)
    place = torch.stack([torch.randperm(SENDERS, generator=generator) for _ in range(STARS)])
    is_true = (place < TRUE).view(-1)
    center = torch.arange(STARS).repeat_interleave(SENDERS)
    sender = STARS + torch.arange(STARS * SENDERS)
    data = Data(
        x=torch.cat([torch.zeros(STARS), is_true.float()]).view(-1, 1).double(),
        edge_index=torch.stack([sender, center]),
        edge_motif=torch.where(is_true, center, -1),
        node_motif=torch.cat([torch.arange(STARS), torch.full((STARS * SENDERS,), -1)]),
        ground_truth_edge_mask=is_true,
    )
    return Subject(
        dataset="stars",
        seed=seed,
        model=Sum(),
        data=data,
        task=gg.Task("node"),
        index=list(range(EXPLAINED)),
        fit_index=list(range(EXPLAINED, STARS)),
        accuracy=1.0,
    )


def _carries_one(batch: Any) -> Tensor:
    x = batch.features[0]
    return x[batch.fields.source, 0].detach()


class Truth(gg.Explainer):
    name = "truth"
    traits = gg.Traits(family="baseline", scores=("edge",))

    def attribute(self, batch: Any) -> gg.Attribution:
        return gg.Attribution(edge=_carries_one(batch))


class Inverse(gg.Explainer):
    name = "inverse"
    traits = gg.Traits(family="baseline", scores=("edge",))

    def attribute(self, batch: Any) -> gg.Attribution:
        return gg.Attribution(edge=1 - _carries_one(batch))


class Dial(gg.Explainer):
    """As good as its setting says: 1 is the truth, -1 its inverse."""

    name = "dial"
    traits = gg.Traits(family="baseline", scores=("edge",))
    quality: int = gg.setting("how good", default=-1)

    def attribute(self, batch: Any) -> gg.Attribution:
        return gg.Attribution(edge=self.quality * _carries_one(batch))


class Hangs(gg.Explainer):
    name = "hangs"
    traits = gg.Traits(family="baseline", scores=("edge",))

    def attribute(self, batch: Any) -> gg.Attribution:
        while True:
            time.sleep(1)


class Spins(gg.Explainer):
    name = "spins"
    traits = gg.Traits(family="baseline", scores=("edge",))

    def attribute(self, batch: Any) -> gg.Attribution:
        while True:
            pass


class Crashes(gg.Explainer):
    name = "crashes"
    traits = gg.Traits(family="baseline", scores=("edge",))

    def attribute(self, batch: Any) -> gg.Attribution:
        raise KeyError("no such thing")


class Dies(gg.Explainer):
    name = "dies"
    traits = gg.Traits(family="baseline", scores=("edge",))

    def attribute(self, batch: Any) -> gg.Attribution:
        os.kill(os.getpid(), 9)
        raise AssertionError


class Logged(gg.Explainer):
    """Writes its process into a file; waits for ever while a file is there."""

    name = "logged"
    traits = gg.Traits(family="baseline", scores=("edge",))
    folder: str = gg.setting("where", default=".")

    def attribute(self, batch: Any) -> gg.Attribution:
        with (Path(self.folder) / "log").open("a") as log:
            log.write(f"{os.getpid()}\n")
        while (Path(self.folder) / "wait").exists():
            time.sleep(0.01)
        return gg.Attribution(edge=_carries_one(batch))


METHODS = (Truth, Inverse, Dial, Hangs, Spins, Crashes, Dies, Logged)


@contextmanager
def known(load: Callable[[int], Subject] = stars) -> Iterator[None]:
    """The subject and the methods by their names."""
    register_subject("stars", load)
    for method in METHODS:
        gg.register(method)
    try:
        yield
    finally:
        unregister_subject("stars")
        for method in METHODS:
            unregister(method.name)
