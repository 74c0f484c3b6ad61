"""A tiny file of graphs with its truth, a model file beside it, and a runner."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from click.testing import Result
from torch import nn
from torch_geometric.data import Data
from typer.testing import CliRunner

import glassgraph as gg
from glassgraph.cli import app
from glassgraph.datasets import save_graphs

MODEL = """
import torch
from torch import nn
from torch_geometric.nn import GCNConv

from sizes import HIDDEN  # a file beside this one


class Net(nn.Module):
    def __init__(self, classes=3):
        super().__init__()
        self.conv1 = GCNConv(5, HIDDEN)
        self.conv2 = GCNConv(HIDDEN, classes)

    def forward(self, x, edge_index):
        return self.conv2(self.conv1(x, edge_index).relu(), edge_index)


def make():
    torch.manual_seed(1)
    return Net()


def fail():
    raise KeyError("no such thing")


def wrong():
    return {"weights": 1}


number = 7
"""


def run(*words: object) -> Result:
    """Call the command line; errors of the program itself are raised."""
    result = CliRunner().invoke(app, [str(word) for word in words])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def write_case(folder: Path) -> dict[str, Any]:
    """Options of a run on a graph of 13 nodes and 41 edges."""
    generator = torch.Generator().manual_seed(3)
    key = torch.randperm(13 * 13, generator=generator)
    key = key[key // 13 != key % 13][:41]
    motif = torch.where(torch.arange(41) < 11, 0, -1)
    data = Data(
        x=torch.randn(13, 5, generator=generator),
        edge_index=torch.stack([key // 13, key % 13]),
        y=torch.randint(0, 3, (13,), generator=generator),
        edge_motif=motif,
        node_motif=torch.zeros(13, dtype=torch.long),
        ground_truth_edge_mask=motif >= 0,
    )
    (folder / "net.py").write_text(MODEL, encoding="utf-8")
    (folder / "sizes.py").write_text("HIDDEN = 7\n", encoding="utf-8")
    return {
        "--data": save_graphs(data, folder / "graph.pt"),
        "--model": f"{folder / 'net.py'}:make",
        "--task": "node",
        "--index": "0,4:6,11",
        "--method": "random,saliency",
        "--out": folder / "out",
    }


def explain(options: dict[str, Any], *more: object, **changes: Any) -> Result:
    """Run ``explain`` with some options replaced (None leaves one out)."""
    chosen = {**options, **{f"--{name}": value for name, value in changes.items()}}
    words = [word for name, value in chosen.items() if value is not None for word in (name, value)]
    return run("explain", *words, *more)


def build(options: dict[str, Any]) -> nn.Module:
    """The model of some options."""
    file, _, factory = str(options["--model"]).rpartition(":")
    return gg.ModelFile(Path(file), factory).load()
