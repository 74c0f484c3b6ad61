"""The study of relevant subgraphs, made small."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Data

from glassgraph.models.negative_gin import negative_gin
from glassgraph_studies.reproduce.subgraphs import experiment as subgraphs
from tests.cli.helpers import run


def test_the_network_has_no_positive_bias_and_its_own_random_state() -> None:
    state = torch.get_rng_state()
    one, two = (negative_gin(10, 2, seed) for seed in (3, 3))
    assert torch.equal(torch.get_rng_state(), state)
    layers = [module for module in one.modules() if isinstance(module, nn.Linear)]
    assert len(layers) == 7
    assert all(bool((layer.bias <= 0).all()) for layer in layers)
    x, edge_index = torch.ones(3, 10), torch.tensor([[0, 1], [1, 2]])
    assert torch.equal(one(x, edge_index), two(x, edge_index))


class CountsMotifNodes(nn.Module):
    """Class 0 leads by the number of nodes with feature 1, less 1; class 1 always leads by 2."""

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        lead = x.sum() - 1 if x.size(1) == 1 else torch.tensor(-2.0)
        return torch.stack([lead, torch.zeros(())]).unsqueeze(0)


def test_evidence_by_hand() -> None:
    edges = torch.tensor([[0, 1, 2], [1, 2, 3]])
    motif = torch.tensor([-1, 0, 0, 0])
    first = Data(x=(motif >= 0).float().unsqueeze(1), edge_index=edges, y=torch.tensor([0]))
    second = Data(x=torch.zeros(4, 2), edge_index=edges, y=torch.tensor([1]))
    first.node_motif = second.node_motif = motif
    dataset: Any = SimpleNamespace(graphs=[first, second], num_classes=2)
    network: Any = CountsMotifNodes()
    evidence = subgraphs.motif_evidence(dataset, network, torch.tensor([0, 1]))
    assert evidence == pytest.approx([150.0, 0.0])  # from a lead of 2 to -1; no change
    assert subgraphs.rests_on_motif({"evidence": evidence}) == [True, False]


class AddsUpNodes:
    """A method whose relevance of a set is the sum over its nodes of the features."""

    def __init__(self, network: nn.Module, task: str, **settings: Any) -> None:
        pass

    def node_order(
        self, graphs: list[Data], index: list[int], target: Any, *, alpha: float
    ) -> list[tuple[Tensor, Tensor]]:
        """Node 0 joins first, then 1, and so on."""
        steps = [torch.arange(graphs[number].num_nodes or 0) for number in index]
        return [(step, step) for step in steps]

    def subgraph_relevance(self, graph: Data, sets: Tensor, *, target: Any, alpha: float) -> Tensor:
        """By hand."""
        assert graph.x is not None
        return sets.float() @ graph.x[:, 0]


def test_misses_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Found first are the nodes 0 and 1; of two misses one has more relevance than the motif."""
    motifs = [[0, 1, -1, -1, -1], [0, -1, 1, -1, -1], [-1, -1, -1, 0, 1]]
    relevance = [[0.0, 0.0, 9.0, 9.0, 9.0], [1.0, 3.0, 2.0, 0.0, 0.0], [1.0, 3.0, 2.0, 7.0, 0.0]]
    graphs = [
        Data(x=torch.tensor(x)[:, None], y=torch.tensor([0]), node_motif=torch.tensor(motif))
        for motif, x in zip(motifs, relevance, strict=True)
    ]
    dataset: Any = SimpleNamespace(graphs=graphs, num_classes=1)
    monkeypatch.setattr(subgraphs, "GNNLRP", AddsUpNodes)
    network: Any = nn.Identity()
    found = subgraphs.motif_auc(dataset, network, torch.arange(3), 0.0, is_contrast=False)
    assert (found["missed"], found["more_relevant"]) == (2, 1)
    assert found["auc"] == pytest.approx(100 * (1 + 5 / 6 + 0) / 3)


def test_summary_by_hand() -> None:
    shared = {"training": "plain", "question": "logit", "alpha": 0.05, "published": 99.62}
    rows = [
        {**shared, "auc": 70.0, "auc_by_class": [40.0, 100.0], "evidence": [0.0, 120.0]},
        {**shared, "auc": 95.0, "auc_by_class": [92.0, 98.0], "evidence": [60.0, 90.0]},
    ]
    for row, missed, more in zip(rows, (7, 3), (5, 3), strict=True):
        row |= {"missed": missed, "more_relevant": more}
    (found,) = subgraphs.summarize(rows)
    assert found["mean"] == pytest.approx(82.5)
    assert found["supported"] == pytest.approx((100 + 92 + 98) / 3)
    assert found["by_class"] == [[40.0, 100.0], [92.0, 98.0]]
    assert (found["missed"], found["more_relevant"]) == (10, 8)


@pytest.mark.slow("evidence and summary by hand stand above; commands: test_runner.py")
def test_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subgraphs, "ATTEMPTS", 1)
    words = ["reproduce", "subgraphs", "--seeds", "1", "--graphs", "2", "--epochs", "1", "--quiet"]
    result = run(*words)
    assert result.exit_code == 0
    assert "99.6" in result.stdout


def test_the_invariance_command() -> None:
    result = run("reproduce", "invariance")
    assert result.exit_code == 0
    assert "LRP-gamma" in result.stdout
    assert "differ" in result.stdout
