"""What a set-up is: a model of two layers, a graph, and what is known of both by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
import torch_geometric.nn as pyg
from torch import Tensor, nn

from tests.coverage import literal
from tests.coverage.literal import Carries
from tests.coverage.models import WIDTH, Style, Two, graph, plain


@dataclass(frozen=True)
class SetUp:
    """One model and one graph.

    Attributes:
        name: as the table shows it.
        build: makes the n-th layer (0 or 1).
        takes: attributes of the data that a layer is given, by name.
        options: further options of the graph (see `tests.coverage.models.graph`).
        style: how a layer is called.
        carries: the user edge behind each message row, spelled out.
        layers: message-passing steps of the whole model.
        sites: message calls of the whole model.
        whole: why predictions need the full graph; empty where receptive fields do.
        counts: why it depends on edges beside the messages along them; empty where it does not.
        model: keyword arguments of `tests.coverage.models.Two`, made anew for each model.
        level: "node" or "graph".
        rounding: error that the layer's own arithmetic allows.
        is_bitwise: whether equal numbers at another place in memory give equal bits.
        defect: what the library gets wrong here, to be mended; empty where all is well.
        fails: names of the checks that the defect breaks; all of them if empty.
    """

    name: str
    build: Callable[[int], nn.Module]
    takes: tuple[str, ...] = ()
    options: frozenset[str] = frozenset()
    style: Style = plain
    carries: Carries = literal.by_endpoints
    layers: int = 2
    sites: int = 2
    whole: str = ""
    counts: str = ""
    model: Callable[[], dict[str, Any]] = field(default=dict)
    level: str = "node"
    rounding: float = 1e-10
    is_bitwise: bool = True
    defect: str = ""
    fails: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.name

    @property
    def is_broken(self) -> bool:
        """Whether a defect leaves nothing to rely on."""
        return bool(self.defect) and not self.fails

    @property
    def names(self) -> tuple[str, ...]:
        """The model's arguments beside ``x`` and ``edge_index``."""
        needs_batch = {"batch", "graphs"} & self.options
        return (*self.takes, "batch") if needs_batch and "batch" not in self.takes else self.takes

    def make_data(self) -> Any:
        return graph(frozenset(self.takes) | self.options)

    def make_model(self) -> Two:
        """The model, in a mix of training and evaluation mode, with a frozen parameter."""
        torch.manual_seed(7)
        first, second = self.build(0), self.build(1)
        model = Two(first, second, self.takes, self.style, **self.model()).double()
        for module in model.modules():
            if isinstance(module, nn.BatchNorm1d) and module.running_mean is not None:
                torch.nn.init.uniform_(module.running_mean)
        model.train()
        model.decode.eval()
        model.encode.bias.requires_grad_(False)
        return model


W = WIDTH


def mlp(size_in: int, size_out: int = WIDTH) -> nn.Module:
    return nn.Sequential(nn.Linear(size_in, size_out), nn.Tanh())


def row(name: str, build: Any, takes: str = "", options: str = "", **rest: Any) -> SetUp:
    """A set-up whose layers are made by ``build``: a layer class, or a function."""
    if isinstance(build, type):
        kind = build

        def make(_: int) -> nn.Module:
            return kind(WIDTH, WIDTH)
    elif build.__code__.co_argcount == 0:

        def make(_: int) -> nn.Module:
            return build()
    else:
        make = build
    return SetUp(name, make, tuple(takes.split()), frozenset(options.split()), **rest)


def pna(**options: Any) -> nn.Module:
    statistics, scalers = ["mean", "max", "std"], ["identity", "amplification"]
    return pyg.PNAConv(W, W, statistics, scalers, torch.tensor([1, 5, 9, 4, 2]), **options)


def gps(inner: nn.Module) -> nn.Module:
    return pyg.GPSConv(W, inner, heads=2, attn_type="multihead")


def used_twice(kind: Any) -> Callable[[int], nn.Module]:
    kept: list[nn.Module] = []

    def build(n: int) -> nn.Module:
        if n == 0:
            kept[:] = [kind(W, W)]
        return kept[0]

    return build


class NodeNorm(nn.Module):
    """LayerNorm over each node alone, in the form that the model calls."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(W)

    def forward(self, x: Tensor, batch: Tensor | None) -> Tensor:
        out: Tensor = self.norm(x)
        return out
