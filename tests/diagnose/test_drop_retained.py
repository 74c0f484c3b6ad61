"""Dropping retained messages: answers by hand, by plain hooks, and by law."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
import torch
from pandas.testing import assert_frame_equal
from torch import Tensor, nn

import glassgraph as gg
from glassgraph.core.told import FallbackWarning
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
    stars,
)

drop_retained = gg.diagnose.drop_retained


def row(table: pd.DataFrame, base: str, dropped: str, share: float) -> Any:
    found = table[(table.base == base) & (table.dropped == dropped) & (table.share == share)]
    assert len(found) == 1
    return found.iloc[0]


def test_the_one_edge_that_matters() -> None:
    """Node 0 is of class 1 because of edge 2 alone; with it goes the prediction."""
    data = star(0, 0, 1, 0, 0)
    explainer = Chosen(Votes(), score=edges(2))
    table = drop_retained(explainer, data, [0], threshold=0.5, repeats=7)
    assert len(table) == 15
    assert (table.instances == 1).all()
    assert (table.repeats == 7).all()
    for base in ("masked", "original"):
        assert row(table, base, "retained", 0).changed == 1
        assert row(table, base, "retained", 0).score_change == -1
        assert row(table, base, "retained", 1).changed == 0
        assert row(table, base, "retained", 1).divergence == 0
        for share in (0.25, 0.5, 0.75):  # one message: the prediction goes if and only if it goes
            one = row(table, base, "retained", share)
            assert one.changed == one.dropped_items
            assert 0 < one.changed < 1
    control = table[table.dropped == "shut"]
    assert (control.changed == 0).all()
    matched = table[(table.base == "original") & (table.dropped == "retained")]
    assert control.dropped_items.tolist() == matched.dropped_items.tolist()
    assert row(table, "masked", "retained", 1).open_share == 1 / 5
    assert row(table, "original", "shut", 1).open_share == 1
    assert row(table, "original", "shut", 0).open_share == 4 / 5


def test_an_explanation_that_misses_the_edge_is_caught() -> None:
    data = star(0, 0, 1, 0, 0)
    table = drop_retained(Chosen(Votes(), score=edges(0)), data, [0], threshold=0.5, repeats=20)
    assert row(table, "masked", "retained", 1).changed == 1
    assert row(table, "original", "retained", 0).changed == 0
    assert row(table, "original", "shut", 0).changed == pytest.approx(1 / 4, abs=0.2)


def test_divergence_by_hand() -> None:
    """Logits (0.5, 1) become (0.5, 0)."""
    table = drop_retained(Chosen(Votes(), score=edges(0)), star(1, 0), [0], threshold=0.5)
    p, q = torch.tensor([[0.5, 1.0], [0.5, 0.0]], dtype=torch.float64).softmax(dim=1)
    expected = float((p * (p / q).log()).sum())
    assert row(table, "masked", "retained", 0).divergence == pytest.approx(expected, rel=1e-12)


def test_the_drawn_share_is_what_was_asked_for() -> None:
    """Of four retained messages one matters: keeping half of them loses it half of the time."""
    data = stars(101, 1, 0, 0, 0, 0, 0, 0)
    explainer = Chosen(Votes(), score=lambda batch: batch.fields.edge % 7 < 4)
    table = drop_retained(explainer, data, data.centers, threshold=0.5, repeats=23)
    for share, dropped in ((0, 4), (0.25, 3), (0.5, 2), (0.75, 1), (1, 0)):
        one = row(table, "masked", "retained", share)
        assert one.dropped_items == dropped
        assert one.changed == pytest.approx(1 - share, abs=0.03)
        assert row(table, "original", "shut", share).dropped_items == min(dropped, 3)
        assert row(table, "original", "retained", share).dropped_items == min(dropped, 3)


def test_rounding_is_right_in_the_mean() -> None:
    """Half of three messages is one and a half."""
    data = stars(101, 1, 1, 1, 0)
    explainer = Chosen(Votes(), score=lambda batch: batch.fields.edge % 4 < 3)
    table = drop_retained(explainer, data, data.centers, threshold=0.5, repeats=23, shares=[0.5])
    one = row(table, "masked", "retained", 0.5)
    assert one.dropped_items == pytest.approx(1.5, abs=0.05)
    assert one.changed == 0  # one of three is left at least
    assert one.changed_std == 0


def test_spread_over_repeats() -> None:
    data = star(1, 1, 0, 0)
    table = drop_retained(
        Chosen(Votes(bias=1.5), score=edges(0, 2)), data, [0], threshold=0.5, repeats=40
    )
    one = row(table, "original", "retained", 0.5)
    p = one.changed  # of one prediction: 0 or 1 in each repeat
    assert 0 < p < 1
    assert one.changed_std == pytest.approx((p * (1 - p)) ** 0.5)


def test_the_spread_is_over_repeats_not_over_predictions() -> None:
    data = stars(11, 1, 0)
    explainer = Chosen(Votes(), score=lambda batch: batch.fields.edge % 2 == 0)
    settings: dict[str, Any] = {"threshold": 0.5, "repeats": 1, "shares": [0.5]}
    one = row(drop_retained(explainer, data, data.centers, **settings), "masked", "retained", 0.5)
    assert 0 < one.changed < 1
    assert one.changed_std == 0


def test_a_method_with_scores_for_each_layer_loses_single_messages() -> None:
    """0 -> 1 -> 2: node 2 needs edge 0 at the first layer and edge 1 at the second."""
    data = line(3)
    explainer = Chosen(Relay([1, 1]), score=messages((0, 0), (1, 1)))
    table = drop_retained(explainer, data, [2], threshold=0.5, repeats=9)
    assert row(table, "masked", "retained", 1).changed == 0
    half = row(table, "masked", "retained", 0.5)
    assert half.dropped_items == 1
    assert half.changed == 1
    assert half.open_share == 1 / 3  # edge 1 at the first layer could reach node 2, too
    control = row(table, "original", "shut", 0)
    assert control.dropped_items == 1  # there is no other shut one
    assert control.changed == 0


def line(number: int) -> Any:
    """0 -> 1 -> ...: only node 0 holds something."""
    data = star(*[0.0] * (number - 1))
    data.x[0] = 1
    data.edge_index = torch.stack([torch.arange(number - 1), torch.arange(1, number)])
    return data


def test_against_plain_hooks_on_the_whole_graph() -> None:
    data, model, index, threshold = random_data(), Net(), [1, 4, 7, 8, 11], 0.02
    explainer = gg.Occlusion(model, "node", layerwise=True, progress=False)
    explanations = explainer.explain(data, index)
    table = drop_retained(
        explainer, data, explanations=explanations, threshold=threshold, shares=[0, 1], repeats=3
    )
    with torch.no_grad():
        before = model(data.x, data.edge_index)[index]
    for share in (0, 1):
        after = []
        for place, node in enumerate(index):
            kept = (explanations[place].layer_edge_mask > threshold).double() * share
            after.append(shut_on_whole_graph(model, data, kept)[node])
        out = torch.stack(after)
        p, q = before.softmax(1), out.softmax(1)
        expected = {
            "changed": (out.argmax(1) != before.argmax(1)).double().mean(),
            "divergence": (p * (p / q).log()).sum(1).mean(),
            "score_change": (out - before).gather(1, before.argmax(1, keepdim=True)).mean(),
            "accuracy": (out.argmax(1) == data.y[index]).double().mean(),
        }
        one = row(table, "masked", "retained", share)
        for name, value in expected.items():
            assert one[name] == pytest.approx(float(value), rel=1e-9, abs=1e-12), name
    assert table.changed.max() > 0


def test_the_best_share_is_retained() -> None:
    data = star(*range(10))
    table = drop_retained(Chosen(Votes(), score=edges(3, 8)), data, [0], top_share=0.2)
    assert row(table, "masked", "retained", 1).open_share == pytest.approx(0.2)
    assert row(table, "masked", "retained", 1).score_change == -(45 - 3 - 8)
    # Ties go to the edge that is listed first; a share is rounded up.
    table = drop_retained(Chosen(Votes(), score=edges()), data, [0], top_share=0.11)
    assert row(table, "masked", "retained", 1).score_change == -(45 - 0 - 1)


def test_a_score_at_the_threshold_is_shut() -> None:
    explainer = Chosen(Votes(), score=lambda batch: torch.tensor([0.5, 0.625, 0.75]))
    table = drop_retained(explainer, star(1, 1, 1), [0], threshold=0.5)
    assert row(table, "masked", "retained", 1).open_share == pytest.approx(2 / 3)


def test_labels_that_are_not_known_do_not_count() -> None:
    data = stars(4, 1, 0)
    data.y = torch.tensor([1, 0, 0, -1, 0, 0, 0, 0, 0, 1, 0, 0])  # of the centers: 1, -1, 0, 1
    table = drop_retained(
        Chosen(Votes(), score=edges(*range(8))), data, data.centers, threshold=0.5, shares=[1, 0]
    )
    assert row(table, "masked", "retained", 1).accuracy == pytest.approx(2 / 3)
    assert row(table, "masked", "retained", 0).accuracy == pytest.approx(1 / 3)


def test_absolute_scores() -> None:
    data = star(1, 2, 4)
    explainer = Chosen(Votes(), score=lambda batch: torch.tensor([-3.0, 1.0, 2.0]))
    for ranking, lost in (("signed", 3), ("absolute", 6)):
        table = drop_retained(explainer, data, [0], top_share=1 / 3, ranking=ranking)
        assert row(table, "masked", "retained", 1).score_change == -lost


def test_own_baselines_replace_shut_messages() -> None:
    """Two messages, one shut: what it becomes adds to the sum."""
    explainer = Chosen(Votes(), score=edges(0), shut=7.0)
    for replacement, expected in (("own", 7.0), ("zero", 0.0)):
        table = drop_retained(
            explainer, star(1, 2), [0], threshold=0.5, replacement=replacement, shares=[1]
        )
        assert row(table, "masked", "retained", 1).score_change == expected - 2


def test_predictions_without_messages_are_left_out() -> None:
    table = drop_retained(Chosen(Votes(), score=edges(0)), star(1, 0), [0, 1, 2], threshold=0.5)
    assert (table.instances == 1).all()
    with pytest.raises(InstanceError, match="nothing to drop"):
        drop_retained(Chosen(Votes(), score=edges(0)), star(1, 0), [1, 2], threshold=0.5)


def test_a_regression_has_no_classes() -> None:
    model = Net(columns=1)
    explainer = gg.Occlusion(model, gg.Task("node", "regression"), progress=False)
    table = drop_retained(explainer, random_data(), [2, 3], threshold=0.0, repeats=2)
    assert table.changed.isna().all()
    assert table.accuracy.isna().all()
    one = row(table, "masked", "retained", 0)
    assert one.divergence > 0
    assert row(table, "original", "retained", 1).divergence < 1e-20


@pytest.mark.parametrize("layerwise", [False, True])
@pytest.mark.parametrize("level", ["node", "graph", "edge"])
@pytest.mark.slow("other diagnostics: test_every_method.py")
def test_batches_do_not_matter(level: str, layerwise: bool) -> None:
    data, tables = random_data(level), []
    for budget in (1, 1 << 30):
        explainer = gg.Occlusion(
            Net(level), level, layerwise=layerwise, memory_budget=budget, progress=False
        )
        tables.append(drop_retained(explainer, data, top_share=0.4, repeats=3))
    assert_frame_equal(*tables, rtol=1e-9)


def test_seeds() -> None:
    data, explainer = random_data(), gg.Saliency(Net(), "node", progress=False)
    first, again, other = (
        drop_retained(explainer, data, top_share=0.4, repeats=2, seed=seed) for seed in (0, 0, 1)
    )
    assert_frame_equal(first, again, check_exact=True)
    assert not first.equals(other)


def test_an_instance_alone_is_dropped_as_among_others() -> None:
    data, explainer = random_data(), gg.Saliency(Net(), "node", progress=False)
    settings: dict[str, Any] = {"top_share": 0.4, "repeats": 3}
    together = drop_retained(explainer, data, [3, 5, 9], **settings)
    alone = [drop_retained(explainer, data, [node], **settings) for node in (3, 5, 9)]
    for name in ("changed", "divergence", "score_change", "dropped_items"):
        mean = sum(table[name] for table in alone) / 3
        assert together[name].to_numpy() == pytest.approx(mean.to_numpy(), rel=1e-9, abs=1e-12)


def test_given_explanations_are_used() -> None:
    data, explainer = random_data(), gg.Saliency(Net(), "node", progress=False)
    explanations = explainer.explain(data, [8, 2, 11], target=1)
    first = drop_retained(explainer, data, [8, 2, 11], 1, top_share=0.3, repeats=2)
    again = drop_retained(explainer, data, explanations=explanations, top_share=0.3, repeats=2)
    assert_frame_equal(first, again)
    part = drop_retained(explainer, data, explanations=explanations[1:2], top_share=0.3, repeats=2)
    assert_frame_equal(part, drop_retained(explainer, data, 2, 1, top_share=0.3, repeats=2))


def test_contrastive_targets_survive() -> None:
    data, model = random_data(), Net()
    explainer = gg.Saliency(model, "node", progress=False)
    table = drop_retained(explainer, data, [2], (0, 1), top_share=0.5, repeats=1, shares=[0])
    with torch.no_grad():
        before = model(data.x, data.edge_index)[2]
        after = shut_on_whole_graph(model, data, torch.zeros(2, 41).double())[2]
    expected = (after[0] - after[1]) - (before[0] - before[1])
    found = row(table, "masked", "retained", 0).score_change
    assert found == pytest.approx(float(expected), rel=1e-9)


def test_a_model_that_cannot_be_cut_runs_on_the_full_graph() -> None:
    data, model = random_data(), Net(mixes=True)
    explainer = gg.Saliency(model, "node", progress=False)
    with pytest.warns(FallbackWarning):
        explanations = explainer.explain(data, [2, 5])
    table = drop_retained(explainer, data, explanations=explanations, top_share=0.5, repeats=2)
    assert row(table, "original", "retained", 1).divergence < 1e-12
    assert row(table, "masked", "retained", 0).divergence > 1e-3


def test_edges_of_other_graphs_stay_open() -> None:
    """A model that mixes the graphs of a batch runs on all of them, one is explained."""
    data, explainer = random_data("graph"), gg.Saliency(Net(mixes=True), "node", progress=False)
    with pytest.warns(FallbackWarning):
        explanations = explainer.explain(data, [2, 9])
    table = drop_retained(explainer, data, explanations=explanations, top_share=0.5, repeats=1)
    assert row(table, "original", "retained", 1).divergence < 1e-12
    first = explainer.explain(data, [0, 1, 2])  # of a graph with eleven edges
    found = gg.diagnose.layer_knockout(explainer, data, explanations=first)
    assert found.messages.tolist() == [11, 11]


def test_dropout_is_off() -> None:
    class Dropping(Net):
        def forward(self, x: Tensor, edge_index: Tensor, **_: Any) -> Tensor:
            return nn.functional.dropout(super().forward(x, edge_index), 0.5, self.training)

    data, tables = random_data(), []
    for model in (Dropping().train(), Dropping().eval()):
        explainer = gg.Saliency(model, "node", progress=False)
        tables.append(drop_retained(explainer, data, top_share=0.3, repeats=1))
    assert_frame_equal(*tables)


def test_model_and_data_stay_as_they_were() -> None:
    data, model = random_data(), Net().train()
    before, state = snapshot(model, data), torch.get_rng_state()
    drop_retained(gg.Saliency(model, "node", progress=False), data, top_share=0.3, repeats=1)
    expect_unchanged(before, snapshot(model, data))
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "threshold=0.5 .* or top_share=0.3"),
        ({"threshold": 0.5, "top_share": 0.5}, "not both"),
        ({"top_share": 1.5}, r"top_share must lie in \[0, 1\]; got 1.5"),
        ({"threshold": float("nan")}, "got NaN"),
        ({"threshold": 0.5, "shares": [0.5, 2]}, "shares must be numbers"),
        ({"threshold": 0.5, "shares": []}, "shares must be numbers"),
        ({"threshold": 0.5, "repeats": 0}, "repeats must be positive"),
        ({"threshold": 0.5, "replacement": "mean"}, "'own' or 'zero'; got 'mean'"),
    ],
)
def test_bad_arguments(settings: dict[str, Any], message: str) -> None:
    explainer = gg.Saliency(Votes(), "node", progress=False)
    with pytest.raises(HyperParameterError, match=message):
        drop_retained(explainer, star(1, 0), [0], **settings)


def test_the_threshold_of_the_explanations() -> None:
    """A method that decides by itself says where."""
    explainer = Chosen(Votes(), score=edges(2))
    explanations = explainer.explain(star(0, 0, 1), [0])
    explanations.provenance["threshold"] = 0.5
    data = explanations.graph.data if explanations.graph else None
    table = drop_retained(explainer, data, explanations=explanations)
    assert row(table, "masked", "retained", 1).open_share == pytest.approx(1 / 3)
