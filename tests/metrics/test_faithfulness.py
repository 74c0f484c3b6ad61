"""GEF by hand, and characterization from fidelities."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Data, HeteroData
from torch_geometric.nn import HeteroConv, SAGEConv

import glassgraph as gg
from glassgraph.errors import UnknownMetricError
from glassgraph.metrics import (
    characterization,
    characterization_score,
    fidelity,
    gef,
    soft_fidelity,
    unfaithfulness,
)
from glassgraph.metrics.masked import Masks, masked_answers
from glassgraph.results.aggregates.aggregate import Bootstrap
from tests.diagnose.scenes import Net, Votes, random_data, star
from tests.metrics.scenes import Sum, TwoLayers, random_graph, uniform, with_scores


def two(bias: float, votes: float) -> Tensor:
    return torch.tensor([bias, votes], dtype=torch.float64).softmax(0)


def divergence(y: Tensor, z: Tensor) -> float:
    return float(1 - torch.exp(-(y * (y / z).log()).sum()))


@pytest.mark.parametrize("over", ["edge", "node"])
def test_the_best_quarter_by_hand(over: Any) -> None:
    data = star(3.0, 1.0, -1.0, 0.5)
    run = with_scores(Votes(), data, [0], lambda local: torch.tensor([4.0, 3, 2, 1]))
    found = gef(run, Votes(), data, over=over, keep=0.25)[0]
    # Nodes count the scores of their edges: the center all of them, so that it comes first.
    kept = 3.0
    if over == "node":  # two of five are kept: the center, and node 1
        found = gef(run, Votes(), data, over=over, keep=0.4)[0]
    y, z = two(0.5, 3.5), two(0.5, kept)
    assert found.estimate.value == pytest.approx(divergence(y, z), abs=1e-6)
    other = gef(
        run, Votes(), data, over=over, keep=0.25 if over == "edge" else 0.4, direction="code"
    )[0]
    assert other.estimate.value == pytest.approx(divergence(z, y), abs=1e-6)
    assert found.better == "lower"


def test_columns_of_features_are_kept_by_their_sums() -> None:
    data = random_graph()
    model = TwoLayers("gcn")
    run = gg.Saliency(model, progress=False).explain(data, [3])
    local = run.local(0)
    assert local.feature_score is not None
    best = int(local.feature_score.sum(dim=0).argmax())
    changed = torch.zeros_like(data.x)
    changed[:, best] = data.x[:, best]
    y, z = (model(x, data.edge_index)[3].softmax(0).detach() for x in (data.x, changed))
    found = gef(run, model, data, over="feature", keep=0.2)[0]
    assert found.estimate.value == pytest.approx(divergence(y, z), abs=1e-6)
    assert found.level == "feature0.2"


def test_all_that_is_kept_is_faithful_and_random_is_the_floor() -> None:
    data, model = random_graph(), TwoLayers("gin")
    run = gg.Random(model, progress=False).explain(data)
    found = gef(run, model, data, keep=1.0)[0]
    assert found.estimate.value == pytest.approx(0, abs=1e-6)
    for over in ("node", "edge"):
        halves = [
            gef(
                gg.Random(model, seed=seed, progress=False).explain(data),
                model,
                data,
                keep=0.5,
                over=over,
                seed=seed,
            )[0]
            for seed in range(6)
        ]
        value = sum(each.estimate.value for each in halves) / 6
        floor = sum(each.floor.value for each in halves if each.floor is not None) / 6
        assert value == pytest.approx(floor, abs=0.04)


class Typed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(5)
        kinds = [("a", "to", "b"), ("b", "to", "a")]
        self.convs = nn.ModuleList(
            [HeteroConv({kind: SAGEConv((5, 5), 5) for kind in kinds}) for _ in range(2)]
        )
        self.double()

    def forward(self, x_dict: Any, edge_index_dict: Any) -> Any:
        for conv in self.convs:
            x_dict = conv(x_dict, edge_index_dict)
        return x_dict["a"]


@pytest.mark.parametrize("over", ["edge", "node"])
def test_graphs_with_types(over: Any) -> None:
    generator = torch.Generator().manual_seed(3)
    data = HeteroData()
    for name, size in (("a", 7), ("b", 11)):
        data[name].x = torch.randn(size, 5, generator=generator).double()
    for source, target, n, m in (("a", "b", 7, 11), ("b", "a", 11, 7)):
        ends = [torch.randint(size, (23,), generator=generator) for size in (n, m)]
        data[source, "to", target].edge_index = torch.stack(ends)
    model = Typed().eval()
    run = gg.Random(model, gg.Task("node", node_type="a"), progress=False).explain(data)
    assert gef(run, model, data, over=over, keep=1.0)[0].estimate.value == pytest.approx(
        0, abs=1e-9
    )
    nothing = model({k: x * 0 for k, x in data.x_dict.items()}, data.edge_index_dict).softmax(1)
    full = model(data.x_dict, data.edge_index_dict).softmax(1)
    if over == "node":  # every mask times 0 leaves nothing of the features
        masks = [[Masks(feature=torch.zeros(run.local(i).node_id.numel(), 1)) for i in range(7)]]
        found = masked_answers(run, model, data, masks, task=None, call=None, memory_budget=1 << 20)
        assert torch.allclose(torch.cat([each.after[0] for each in found]).softmax(1), nothing)
        assert torch.allclose(torch.cat([each.before for each in found]).softmax(1), full)


def test_characterization_is_of_the_mean_fidelities() -> None:
    data, model = random_graph(), TwoLayers("gcn")
    run = with_scores(model, data, None, uniform())
    bootstrap = Bootstrap(samples=50)
    settings: dict[str, Any] = {"sparsity": (0.3, 0.7), "removal": "delete"}
    found = characterization(run, model, data, bootstrap=bootstrap, **settings)
    plain = fidelity(run, model, data, **settings)
    expected = characterization_score(
        plain.plus_prob.mean(dim=1), plain.minus_prob.mean(dim=1).clamp_min(0)
    )
    assert [each.estimate.value for each in found] == pytest.approx(expected.tolist())
    assert [each.level for each in found] == ["0.3", "0.7"]
    assert all(each.estimate.low <= each.estimate.value <= each.estimate.high for each in found)


def test_bad_input_is_named() -> None:
    data, model = random_graph(), TwoLayers("gcn")
    run = with_scores(model, data, [0], uniform())
    for words, settings in (
        ("over must be one of", {"over": "walk"}),
        ("keep must lie", {"keep": 0.0}),
        ("direction must be one of", {"direction": "back"}),
        ("no scores of features", {"over": "feature"}),
    ):
        with pytest.raises(UnknownMetricError, match=words):
            gef(run, model, data, **settings)  # type: ignore[arg-type]
    with pytest.raises(UnknownMetricError, match="no scores of features"):
        unfaithfulness(run, model, data, top_k=2)
    saliency = gg.Saliency(model, progress=False).explain(data, [0])
    with pytest.raises(UnknownMetricError, match="1 to 5, the number of features"):
        unfaithfulness(saliency, model, data, top_k=9)
    numbers = Data(x=torch.rand(3, 1).double(), edge_index=torch.tensor([[1, 2], [0, 0]]))
    task = gg.Task("node", mode="regression")
    value = gg.Random(Sum(), task).explain(numbers, [0])
    for metric in (gef, unfaithfulness, soft_fidelity):
        with pytest.raises(UnknownMetricError, match="a regression has none"):
            metric(value, Sum(), numbers)
    with pytest.raises(UnknownMetricError, match="a regression has no accuracy"):
        characterization(value, Sum(), numbers, of="acc")


def test_one_edge_and_constant_scores() -> None:
    data = star(2.0)
    run = with_scores(Votes(), data, [0], lambda local: torch.ones(1))
    found = gef(run, Votes(), data, over="edge")[0]
    assert found.estimate.value == pytest.approx(0)
    assert math.isnan(found.estimate.low)
    assert unfaithfulness(run, Votes(), data)[0].estimate.value == pytest.approx(0)


@pytest.mark.parametrize("level", ["graph", "edge"])
def test_tasks_of_graphs_and_links_and_of_nothing(level: str) -> None:
    data, model = random_data(level), Net(level)
    run = gg.Saliency(model, level, progress=False).explain(data)
    for metric in (gef, unfaithfulness, soft_fidelity):
        for found in metric(run, model, data):
            assert found.estimate.n == 3
            assert 0 <= found.estimate.value <= 1
        assert metric(run[:0], model, data)[0].estimate.n == 0
