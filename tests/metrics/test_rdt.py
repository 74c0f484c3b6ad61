"""RDT-fidelity and entropies of masks, where the numbers can be written by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch_geometric.data import Data

import glassgraph as gg
from glassgraph.black_box.noise import FeatureNoise
from glassgraph.errors import UnknownMetricError
from glassgraph.explainers.perturbation.zorro import Zorro
from glassgraph.metrics import mask_entropy, rdt_fidelity
from glassgraph.testing.cases import CASES, Case


@pytest.mark.parametrize("case", CASES[::2], ids=str)
def test_the_seed_of_the_search_gives_the_fidelity_of_the_search(case: Case) -> None:
    model, data = case.model(), case.data()
    explainer = Zorro(model, case.task(), samples=29, seed=3, progress=False)
    found = explainer.explain(data, case.index, case.target)
    own, other = (rdt_fidelity(found, model, data, samples=29, seed=seed) for seed in (3, None))
    assert own.fidelity.tolist() == found.table("explanations").fidelity.tolist()
    assert (own.seed, other.seed) == (3, 4)
    assert other.mean is not None
    assert other.mean >= 0.5


def star() -> Data:
    """Node 0 hears of three others."""
    x = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 3.0], [0.0, 1.0]])
    return Data(x=x, edge_index=torch.tensor([[1, 2, 3], [0, 0, 0]]))


def summing(x: Tensor, edge_index: Tensor) -> Tensor:
    return torch.zeros_like(x).index_add(0, edge_index[1], x[edge_index[0]])


def scored(**columns: Any) -> gg.Explanations:
    """An explanation of node 0 with scores of our own."""
    explanations = gg.Random(_Net(), progress=False).explain(star(), [0])
    part = explanations.parts[0]
    for name in ("edge_score", "node_score", "feature_score"):
        object.__setattr__(part, name, columns.get(name))
    return explanations


class _Net(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        from torch_geometric.nn import SimpleConv

        self.conv = SimpleConv()

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        return self.conv(x, edge_index)


def test_a_soft_mask_lies_between_the_features_and_the_noise() -> None:
    """With m of the three the model hears ``3 m`` of feature 1 from node 2, and 1 of feature 0."""
    for value, says in ((0.0, 0.0), (0.3, 0.0), (0.4, 1.0), (1.0, 1.0)):
        mask = torch.zeros(4, 2)
        mask[1, 0], mask[2, 1] = 1.0, value
        found = rdt_fidelity(scored(feature_score=mask), summing, star(), noise="zero")
        assert found.fidelity.tolist() == [says], value
        assert found.samples == 1


def test_nodes_and_edges_stand_for_all_features() -> None:
    nodes = scored(node_score=torch.tensor([0.0, 0.0, -2.0, 0.0]))  # taken by size, 1 at most
    assert rdt_fidelity(nodes, summing, star(), noise="zero").fidelity.tolist() == [1.0]
    edges = scored(edge_score=torch.tensor([0.5, 0.0, 0.0]))
    assert rdt_fidelity(edges, summing, star(), noise="zero").fidelity.tolist() == [0.0]


def test_noise_is_drawn_entry_by_entry_from_the_same_feature() -> None:
    explainer = Zorro(summing, progress=False)
    preparation = explainer.prepare(star())
    ((_, batch),) = preparation.batches(preparation.instances([0]), None, 1 << 30)
    drawn = FeatureNoise(batch, 5).draw(0, torch.arange(4), 4000)
    assert drawn.shape == (4000, 4, 2)
    # Feature 0 is 1 at one of four nodes; feature 1 is 3 at one and 1 at another.
    assert set(drawn[..., 0].unique().tolist()) == {0.0, 1.0}
    assert (drawn[..., 0] == 1).double().mean() == pytest.approx(1 / 4, abs=0.02)
    assert (drawn[..., 1] == 3).double().mean() == pytest.approx(1 / 4, abs=0.02)
    # Entries are independent: of nodes, of features, of samples.
    together = ((drawn[:, 0, 0] == 1) & (drawn[:, 1, 0] == 1)).double().mean()
    assert together == pytest.approx(1 / 16, abs=0.02)
    together = ((drawn[:, 2, 0] == 1) & (drawn[:, 2, 1] == 3)).double().mean()
    assert together == pytest.approx(1 / 16, abs=0.02)
    again = FeatureNoise(batch, 5).draw(0, torch.tensor([2]), 7)
    assert torch.equal(again[:, 0], drawn[:7, 2])
    assert not torch.equal(FeatureNoise(batch, 6).draw(0, torch.arange(4), 4000), drawn)


def test_entropy_is_that_of_equal_shares() -> None:
    mask = torch.zeros(4, 2)
    mask[:3, 1] = 0.5
    found = mask_entropy(scored(node_score=torch.tensor([1.0, -1.0, 0.0, 2.0]), feature_score=mask))
    assert found.mean_nodes == pytest.approx(1.5 * math.log(2))  # shares 1/4, 1/4, 1/2
    assert found.mean_features == 0.0
    empty = mask_entropy(scored(node_score=torch.zeros(4)))
    assert (empty.mean_nodes, empty.features, empty.mean_features) == (0.0, None, None)


@pytest.mark.parametrize(
    "settings", [{"noise": "zeros"}, {"samples": 0}, {"tolerance": -1.0}], ids=str
)
def test_unknown_settings_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(UnknownMetricError, match=next(iter(settings))):
        rdt_fidelity(scored(node_score=torch.ones(4)), summing, star(), **settings)
