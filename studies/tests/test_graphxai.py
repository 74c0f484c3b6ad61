"""GraphXAI's table: the code's way by hand, the definitions by hand, and the command."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch_geometric.data import Data

from glassgraph_studies.reference import graphxai as literal
from glassgraph_studies.reproduce.graphxai import experiment as study
from glassgraph_studies.reproduce.graphxai.network import PlainGIN
from tests.cli.helpers import run
from tests.datasets.benzene_file import write


class Weights(torch.nn.Module):
    """Two logits: 0, and the sum of the first feature over the atoms times a number."""

    def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor) -> Tensor:
        total = torch.zeros(int(batch.max()) + 1).index_add(0, batch, x[:, 0])
        return torch.stack([torch.zeros_like(total), total], dim=1)


def graph(truth: list[list[int]], label: int) -> Data:
    """Four atoms of weights 3, 1, 0 and -2."""
    return Data(
        x=torch.tensor([[3.0], [1.0], [0.0], [-2.0]]),
        edge_index=torch.tensor([[0, 1, 2], [1, 2, 3]]),
        y=torch.tensor([label]),
        node_truth=torch.tensor(truth, dtype=torch.bool).t(),
    )


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def divergence(of: float, from_: float) -> float:
    return of * math.log(of / from_) + (1 - of) * math.log((1 - of) / (1 - from_))


def test_the_codes_way_by_hand() -> None:
    score = torch.tensor([1.0, 0.5, 0.11, 0.09])  # the last is below a tenth
    truth = torch.tensor([[1, 0], [0, 1], [0, 1], [0, 0]], dtype=torch.bool)
    assert literal.gea(score, truth) == pytest.approx(2 / 3)  # {1, 2} among {0, 1, 2}
    assert literal.gea(score, truth[:, :1]) == pytest.approx(1 / 3)
    assert literal.gea(score, torch.zeros(4, 1, dtype=torch.bool)) == 0
    one = graph([[1, 0, 0, 0]], 1)
    found = literal.gef(score, one.x, lambda x: torch.stack([torch.tensor(0.0), x.sum()]))
    # The best atom goes: the sum falls from 2 to -1.
    expected = 1 - math.exp(-divergence(of=sigmoid(-1), from_=sigmoid(2)))
    assert found == pytest.approx(expected, rel=1e-5)


def test_the_definitions_by_hand() -> None:
    graphs = [graph([[1, 0, 0, 0]], 1), graph([[0, 0, 0, 0]], 0)]
    scores = [torch.tensor([4.0, 1.0, 2.0, 3.0]), torch.tensor([0.0, 0.0, 0.0, 1.0])]
    found = study.measure(Weights(), graphs, scores)  # type: ignore[arg-type]
    assert found["gea"].value == 1  # of the molecule with a ring: its atom is the best quarter
    assert found["gea"].n == 1
    assert found["gea_rings"].value == pytest.approx(1 / 4)  # all four are above a tenth
    assert found["gea_code"].value == pytest.approx((1 / 4 + 0) / 2)
    kept = [1 - math.exp(-divergence(of=sigmoid(2), from_=sigmoid(x))) for x in (3, -2)]
    assert found["gef"].value == pytest.approx(sum(kept) / 2, rel=1e-5)


def test_random_scores_are_those_of_the_code() -> None:
    uniform = torch.linspace(0, 0.9999, 10001)
    score = literal.random_scores(uniform)
    assert float((score == 0).double().mean()) == pytest.approx(0.5, abs=0.001)
    rest = score[uniform > 0.5]
    assert float(rest.mean()) == pytest.approx(0, abs=0.01)
    assert float(rest.std()) == pytest.approx(1, abs=0.01)


def test_the_network_is_a_plain_one() -> None:
    torch.manual_seed(0)
    network, one = PlainGIN(1, 3, 2), graph([[1, 0, 0, 0]], 1)
    h = one.x
    for conv in network.convs:
        heard = h.clone().index_add(0, one.edge_index[1], h[one.edge_index[0]])
        h = conv.nn(heard).relu()  # type: ignore[union-attr, operator]
    expected = network.head(h.mean(dim=0, keepdim=True))
    torch.testing.assert_close(network(one.x, one.edge_index), expected)


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(study.TRAINING, "learning_rate", 0.05)
    monkeypatch.setitem(
        study.METHODS, "subgraphx", study.Row("subgraphx", {"rollouts": 2, "samples": 2})
    )
    monkeypatch.setitem(
        study.METHODS, "gnn_explainer",
        study.Row("gnn_explainer", {"feature_mask": "none", "epochs": 3}),
    )  # fmt: skip
    result = run(
        "reproduce", "graphxai", "--root", write(tmp_path, copies=4), "--seeds", 1,
        "--epochs", 8, "--molecules", 9, "--few", 2, "--json", tmp_path / "rows.json",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    rows = json.loads((tmp_path / "rows.json").read_text())
    assert [row["method"] for row in rows] == list(study.METHODS)
    assert rows[0]["molecules"] == 2
    for row in rows:
        assert 0 <= row["gea_code"] <= 1
        assert 0 <= row["gef"] <= 1
    assert "seed 0: test accuracy" in result.stderr
    assert "0.371" in result.stdout
