"""Shutting one layer at a time: answers by hand and by plain hooks."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from pandas.testing import assert_frame_equal
from torch import Tensor

import glassgraph as gg
from glassgraph.core.batch import InstanceBatch
from glassgraph.errors import HyperParameterError, InstanceError
from glassgraph.testing.compare import expect_unchanged, snapshot
from tests.diagnose.scenes import (
    Chosen,
    Net,
    Relay,
    Votes,
    edges,
    messages,
    random_data,
    shut_on_whole_graph,
    star,
)

layer_knockout = gg.diagnose.layer_knockout


def test_a_layer_without_weight_changes_nothing() -> None:
    """The second of three layers hands its input on."""
    data = star(1, 1, -1)
    data.x[0] = 3
    model = Relay([0.5, 0.0, 0.5])
    table = layer_knockout(Chosen(model, score=edges(0)), data, [0])
    assert table.layer.tolist() == [0, 1, 2]
    assert table.score_change.tolist() == [-0.25, 0, -0.25]
    assert table.changed.tolist() == [0, 0, 0]
    assert (table.divergence > 0).tolist() == [True, False, True]
    assert table.messages.tolist() == [3, 3, 3]


def test_every_layer_of_a_chain_is_needed() -> None:
    data = star(0, 0)
    data.edge_index = torch.tensor([[1, 0], [0, 2]])
    data.x[1] = 1
    explainer = Chosen(Relay([1, 1]), score=messages((0, 0), (1, 1)))
    table = layer_knockout(explainer, data, [2], threshold=0.5)
    assert table.changed.tolist() == [1, 1]
    assert table.kept_share.tolist() == [0.5, 0.5]
    assert table.attribution_share.tolist() == [0.5, 0.5]
    assert table.message_share.tolist() == [2 / 3, 1 / 3]


def test_against_plain_hooks_on_the_whole_graph() -> None:
    data, model, index = random_data(), Net(), [1, 4, 7, 8, 11]
    table = layer_knockout(gg.Saliency(model, "node", progress=False), data, index)
    with torch.no_grad():
        before = model(data.x, data.edge_index)[index]
    for layer in (0, 1):
        gates = torch.ones(2, 41).double()
        gates[layer] = 0
        after = shut_on_whole_graph(model, data, gates)[index]
        p, q = before.softmax(1), after.softmax(1)
        one = table.iloc[layer]
        changed = (after.argmax(1) != before.argmax(1)).double().mean()
        assert one.changed == pytest.approx(float(changed))
        assert one.divergence == pytest.approx(float((p * (p / q).log()).sum(1).mean()), rel=1e-9)
        right = [(each.argmax(1) == data.y[index]).double().mean() for each in (before, after)]
        assert one.accuracy_before == pytest.approx(float(right[0]))
        assert one.accuracy == pytest.approx(float(right[1]))


def test_shares_by_hand() -> None:
    """Attribution is averaged over predictions, messages are counted over all of them."""
    data = star(1, 1, 1)  # node 0 receives three messages at either layer
    data.edge_index = torch.tensor([[1, 2, 3, 1], [0, 0, 0, 2]])  # and node 2 receives one

    def score(batch: InstanceBatch) -> Tensor:
        by_edge = torch.tensor([[4.0, -2.0, 0.0, 30.0], [2.0, 0.0, 0.0, 10.0]])
        return by_edge[:, batch.fields.edge]

    explainer = Chosen(Relay([0.5, 0.5]), score=score)
    table = layer_knockout(explainer, data, [0, 2], threshold=1)
    # Node 0 also hears edge 3 at layer 0, over node 2: (4 + 2 + 30) / 38; node 2: 30 / 40.
    assert table.attribution_share.tolist() == pytest.approx(
        [(36 / 38 + 30 / 40) / 2, (2 / 38 + 10 / 40) / 2]
    )
    assert table.messages.tolist() == [(4 + 1) / 2, (3 + 1) / 2]
    assert table.message_share.tolist() == pytest.approx([5 / 9, 4 / 9])
    assert table.kept_share.tolist() == pytest.approx([3 / 5, 2 / 5])


def test_one_score_for_each_edge_says_nothing_of_layers() -> None:
    data = random_data()
    explainer = Chosen(Net(), score=lambda batch: batch.ones())
    table = layer_knockout(explainer, data, [2], threshold=0.5)
    assert table.attribution_share.tolist() == pytest.approx(table.message_share.tolist())
    assert table.kept_share.tolist() == pytest.approx(table.message_share.tolist())


def test_without_decisions_there_is_no_kept_share() -> None:
    table = layer_knockout(gg.Saliency(Net(), "node", progress=False), random_data(), [2])
    assert table.kept_share.isna().all()
    assert table.attribution_share.sum() == pytest.approx(1)


def test_no_attribution_at_all() -> None:
    table = layer_knockout(Chosen(Votes(), score=edges()), star(1, 0), [0], threshold=0.5)
    assert math.isnan(table.attribution_share[0])
    assert math.isnan(table.kept_share[0])
    assert table.changed.tolist() == [1]


def test_own_baselines_replace_a_layer() -> None:
    explainer = Chosen(Votes(), score=edges(0), shut=2.0)
    found = {
        word: layer_knockout(explainer, star(1, 1), [0], replacement=word).score_change[0]
        for word in ("own", "zero")
    }
    assert found == {"own": 2, "zero": -2}


@pytest.mark.parametrize("level", ["node", "graph", "edge"])
def test_batches_do_not_matter(level: str) -> None:
    data = random_data(level)
    tables = [
        layer_knockout(
            gg.EdgeGradients(Net(level), level, memory_budget=budget, progress=False),
            data,
            top_share=0.3,
        )
        for budget in (1, 1 << 30)
    ]
    assert_frame_equal(*tables, rtol=1e-9)


def test_model_and_data_stay_as_they_were() -> None:
    data, model = random_data(), Net().train()
    before, state = snapshot(model, data), torch.get_rng_state()
    layer_knockout(gg.Saliency(model, "node", progress=False), data)
    expect_unchanged(before, snapshot(model, data))
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize(
    "settings", [{"threshold": 0.5, "top_share": 0.5}, {"replacement": "mean"}, {"top_share": -1}]
)
def test_bad_arguments(settings: dict[str, Any]) -> None:
    with pytest.raises(HyperParameterError):
        layer_knockout(Chosen(Votes(), score=edges(0)), star(1), [0], **settings)


def test_nothing_to_shut() -> None:
    with pytest.raises(InstanceError, match="no layer to shut"):
        layer_knockout(Chosen(Votes(), score=edges(0)), star(1), [1])
