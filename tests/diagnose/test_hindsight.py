"""Hindsight: a method that follows the answer is caught, one that reads the model is not."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import glassgraph as gg
from glassgraph.core.batch import InstanceBatch
from glassgraph.errors import HyperParameterError, InstanceError, TargetError, TaskError
from glassgraph.testing.compare import expect_unchanged, snapshot
from tests.diagnose.scenes import Chosen, Net, Votes, edges, random_data, star, stars, votes_of

hindsight = gg.diagnose.hindsight


def follows_the_answer(batch: InstanceBatch) -> Tensor:
    """Keeps what speaks for the asked class, whichever it is."""
    sign = (2 * batch.targets.chosen - 1)[batch.edge_instance]
    return (votes_of(batch) * sign > 0).double()


def reads_the_model(batch: InstanceBatch) -> Tensor:
    """Keeps what has a vote at all."""
    return (votes_of(batch) != 0).double()


def test_a_method_that_follows_the_answer_is_caught() -> None:
    data = stars(7, 1, 1, 1, -1)
    explainer = Chosen(Votes(bias=0), score=follows_the_answer)
    result = hindsight(explainer, data, data.centers, threshold=0.5)
    assert result.method == "chosen"
    assert result.bias == 1
    assert result.similarity == 0
    own, opposite = result.table.to_dict("records")
    assert own == {
        "asked": "own",
        "instances": 7,
        "kept_share": 3 / 4,
        "reached": 1,
        "reached_at_random": 1,  # any three of 1, 1, 1, -1 are more than zero
        "raised": 1,  # 3 instead of 2
        "score_change": 1,
    }
    assert opposite["reached"] == 1
    assert opposite["raised"] == 0  # class 0 has the constant logit 0
    assert opposite["kept_share"] == 1 / 4
    assert [len(result.own), len(result.opposite)] == [7, 7]


def test_a_method_that_reads_the_model_is_not() -> None:
    data = stars(7, 1, 1, 1, -1, 0)
    explainer = Chosen(Votes(bias=0), score=reads_the_model)
    result = hindsight(explainer, data, data.centers, threshold=0.5)
    assert result.bias == 0
    assert result.similarity == 1
    assert result.table.reached.tolist() == [1, 0]
    assert result.table.kept_share.tolist() == pytest.approx([4 / 5, 4 / 5])


def test_similarity_by_hand() -> None:
    """Edges 0, 1, 2 for one class, 2, 3 for the other: one in common of four."""

    def score(batch: InstanceBatch) -> Tensor:
        kept = torch.tensor([[0.0, 0, 1, 1, 0], [1, 1, 1, 0, 0]])
        return kept[batch.targets.chosen[batch.edge_instance], batch.fields.edge]

    result = hindsight(Chosen(Votes(), score=score), star(1, 1, 1, 1, 1), [0], threshold=0.5)
    assert result.similarity == 1 / 4


def test_two_empty_explanations_are_the_same() -> None:
    result = hindsight(Chosen(Votes(), score=edges()), star(1, 1), [0], threshold=0.5)
    assert result.similarity == 1
    # The model without any message answers class 0, which nobody's hindsight made it do.
    assert result.table.reached.tolist() == [0, 1]
    assert result.table.reached_at_random.tolist() == [0, 1]
    assert result.bias == 0


def test_a_small_mask_that_yields_the_opposite_is_no_hindsight() -> None:
    """Class 1 needs both votes; random single messages yield class 0, whatever is asked."""
    data = stars(11, 1, 1)
    explainer = gg.Random(Votes(bias=1.5), "node", progress=False)
    result = hindsight(explainer, data, data.centers, top_share=0.5)
    assert result.table.reached.tolist() == [0, 1]
    assert result.similarity == 1
    assert result.bias == 0


def test_random_messages_are_random() -> None:
    """One of four messages votes for class 1."""
    data = stars(401, 1, 0, 0, 0)
    explainer = Chosen(Votes(), score=reads_the_model)
    result = hindsight(explainer, data, data.centers, threshold=0.5)
    assert result.table.reached.tolist() == [1, 0]
    assert result.table.reached_at_random.tolist() == pytest.approx([1 / 4, 3 / 4], abs=0.06)


def test_both_answers_must_be_reached_for_the_same_prediction() -> None:
    """Explained well: the own answer of the first star, the opposite one of the second."""
    data = stars(2, 1, 1, -1)

    def score(batch: InstanceBatch) -> Tensor:
        is_second = batch.fields.edge >= 3
        return torch.where(is_second, votes_of(batch) < 0, votes_of(batch) > 0)

    result = hindsight(Chosen(Votes(), score=score), data, data.centers, threshold=0.5)
    assert result.table.reached.tolist() == [1 / 2, 1 / 2]
    assert result.bias == 0


def test_the_opposite_is_the_runner_up() -> None:
    data, model = random_data(), Net()
    result = hindsight(gg.Saliency(model, "node", progress=False), data, top_share=0.3)
    with torch.no_grad():
        order = model(data.x, data.edge_index).argsort(dim=1, descending=True)
    asked = [result.opposite.local(i).target for i in range(len(result.opposite))]
    assert asked == order[:, 1].tolist()
    assert [result.own.local(i).target for i in range(13)] == order[:, 0].tolist()


def test_a_given_answer_and_opposite() -> None:
    data, explainer = random_data(), gg.Saliency(Net(), "node", progress=False)
    result = hindsight(explainer, data, [4, 2], target=2, opposite=0, top_share=0.3)
    assert [result.own.local(i).target for i in range(2)] == [2, 2]
    assert [result.opposite.local(i).target for i in range(2)] == [0, 0]
    several = torch.tensor([0, 1])
    result = hindsight(explainer, data, [4, 2], target=2, opposite=several, top_share=0.3)
    assert [result.opposite.local(i).target for i in range(2)] == [0, 1]


def test_one_column_has_an_opposite() -> None:
    """A logit stands for two classes."""
    task = gg.Task("node", "binary_classification")
    explainer = gg.EdgeGradients(Net(columns=1), task, progress=False)
    result = hindsight(explainer, random_data(), top_share=0.5)
    own = torch.tensor([result.own.local(i).target for i in range(13)])
    opposite = torch.tensor([result.opposite.local(i).target for i in range(13)])
    assert torch.equal(own + opposite, torch.ones(13).long())


@pytest.mark.parametrize("level", ["node", "graph", "edge"])
def test_batches_do_not_matter(level: str) -> None:
    data, found = random_data(level), []
    for budget in (1, 1 << 30):
        explainer = gg.EdgeGradients(Net(level), level, memory_budget=budget, progress=False)
        found.append(hindsight(explainer, data, top_share=0.3))
    one, other = found
    assert one.similarity == pytest.approx(other.similarity)
    for name in one.table.columns[1:]:
        assert one.table[name].tolist() == pytest.approx(other.table[name].tolist()), name


def test_own_baselines_replace_shut_messages() -> None:
    """A shut message speaks for class 1 with all its might."""
    explainer = Chosen(Votes(), score=follows_the_answer, shut=9.0)
    data = star(1, -1, 1)
    assert hindsight(explainer, data, [0], threshold=0.5).bias == 0
    assert hindsight(explainer, data, [0], threshold=0.5, replacement="zero").bias == 1


def test_model_and_data_stay_as_they_were() -> None:
    data, model = random_data(), Net().train()
    before, state = snapshot(model, data), torch.get_rng_state()
    hindsight(gg.Saliency(model, "node", progress=False), data, top_share=0.3)
    expect_unchanged(before, snapshot(model, data))
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize(
    ("mode", "columns", "message"),
    [
        ("regression", 1, "no opposite answer"),
        ("binary_classification", 3, "multi-label"),
        ("binary_classification", 2, "multi-label"),
        ("multiclass_classification", 1, "a single class"),
    ],
)
def test_where_no_answer_is_the_opposite_one(mode: Any, columns: int, message: str) -> None:
    explainer = gg.Saliency(Net(columns=columns), gg.Task("node", mode), progress=False)
    with pytest.raises(TaskError, match=message):
        hindsight(explainer, random_data(), [2], target=0, top_share=0.3)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"target": (0, 1)}, TargetError, "got the pair"),
        ({"target": 1, "opposite": 1}, TargetError, "equals the explained one in 1 of 1"),
        ({"opposite": torch.tensor([0, 1])}, TargetError, "for each of 1 predictions"),
        ({"target": 1, "opposite": 7}, TargetError, "out of range"),
        ({"threshold": None}, HyperParameterError, "threshold=0.5"),
        ({"index": [1]}, InstanceError, "nothing to explain"),
        ({"index": []}, InstanceError, "no explanations"),
    ],
)
def test_bad_arguments(settings: dict[str, Any], error: type[Exception], message: str) -> None:
    settings = {"index": [0], "threshold": 0.5, **settings}
    with pytest.raises(error, match=message):
        hindsight(gg.Saliency(Votes(), "node", progress=False), star(1, 0), **settings)
