"""The study of sufficiency and necessity on few molecules."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch_geometric.data import Data

from glassgraph.datasets import ExplanationDataset, load_dataset
from glassgraph_studies.reproduce.gnnx_bench import experiment, network
from glassgraph_studies.reproduce.gnnx_bench import study as command
from tests.cli.helpers import run


def few(name: str, root: Any, seed: int) -> ExplanationDataset:
    """Twenty-four rings with and without a chord, in the place of Mutagenicity."""
    whole = load_dataset("ba-2motifs", seed=0)
    graphs = [_ring(number) for number in range(24)]
    number = torch.arange(24)
    part = {"train": number[:12], "val": number[12:16], "test": number[16:]}
    return replace(whole, name=name, graphs=graphs, split=part, explained=part["test"])


def _ring(number: int) -> Data:
    size, label = 7 + number % 3, number % 2
    ends = torch.stack([torch.arange(size), (torch.arange(size) + 1) % size])
    if label:
        ends = torch.cat([ends, torch.tensor([[0], [3]])], dim=1)
    x = torch.nn.functional.one_hot(torch.arange(size) % 10, 10).float()
    return Data(x=x, edge_index=torch.cat([ends, ends.flip(0)], dim=1), y=torch.tensor([label]))


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(experiment, "load_dataset", few)


def test_floor_and_ceiling_stand_beside_every_row(tmp_path: Path) -> None:
    options: list[Any] = ["reproduce", "gnnx-bench", "--root", tmp_path, "--epochs", 3]
    options += ["--molecules", 5, "--stable", 3, "--cache", tmp_path / "models"]
    for method in ("random", "occlusion", "causal_screening_isolated"):
        options += ["--method", method]
    result = run(*options, "--json", tmp_path / "rows.json")
    assert result.exit_code == 0, result.output
    rows: list[dict[str, Any]] = json.loads((tmp_path / "rows.json").read_text())
    own = [row for row in rows if row["metric"] in ("sufficiency", "necessity")]
    assert len(own) == 3 * 2 * 5
    assert all(row["floor"] is not None for row in own if row["level"] == "top5")
    assert {row["level"] for row in own} == {"top5", "top10", "top15", "top20", "top25"}
    assert [row["method"] for row in rows if row["metric"] == "stability_seeds_overlap"] == [
        "random"
    ]
    assert "chance (floor)" in result.stdout
    assert "0.643 / 0.868" not in result.stdout  # stands beside a method that was measured
    assert "0.680 / 0.865" in result.stdout
    assert "best one-pass method top5: occlusion" in result.output
    assert len(list((tmp_path / "models").iterdir())) == 1


def test_the_network_is_the_papers_and_comes_back_from_its_file(tmp_path: Path) -> None:
    dataset = few("mutagenicity", None, 0)
    first, second = (
        network.network(dataset, 0, tmp_path, epochs=2, progress=False) for _ in range(2)
    )
    assert first.file is None
    assert second.file is not None
    assert first.accuracy == second.accuracy
    graph = dataset.graphs[0]
    assert torch.equal(
        first.model(graph.x, graph.edge_index), second.model(graph.x, graph.edge_index)
    )
    names = [type(module).__name__ for module in first.model.modules()]
    assert [names.count(each) for each in ("GCNConv", "BatchNorm1d", "ReLU")] == [3, 3, 3]


def test_options_name_the_methods_of_the_table() -> None:
    (option,) = [each for each in command.GNNX_BENCH.options if each.name == "method"]
    assert tuple(option.choices) == tuple(experiment.METHODS)
