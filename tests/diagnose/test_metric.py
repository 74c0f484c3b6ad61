"""A user's metric, and the explainer's own divergence, in every diagnosis that runs the model."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import glassgraph as gg
from glassgraph.diagnose import drop_retained, hindsight, layer_knockout
from glassgraph.errors import HyperParameterError, MetricError
from glassgraph.explainers.divergence import Divergence
from tests.diagnose.scenes import (
    Chosen,
    Net,
    Relay,
    Votes,
    edges,
    messages,
    random_data,
    star,
    stars,
)


def exact_match(outputs: Tensor, data: Any) -> float:
    """Of node 0 alone: whether it is of class 1."""
    return float(outputs[0].argmax() == 1)


def test_a_metric_by_hand() -> None:
    """The vote of edge 2 decides; the center is of class 1 while it is there."""
    data = star(0, 0, 1, 0, 0)
    explainer = Chosen(Votes(), score=edges(2))
    table = drop_retained(
        explainer, data, [0], threshold=0.5, shares=[0, 1], repeats=3, metric=exact_match
    )
    found = {
        (base, dropped, share): value
        for base, dropped, share, value in table[["base", "dropped", "share", "metric"]].values
    }
    assert found == {
        ("masked", "retained", 0): 0,
        ("masked", "retained", 1): 1,
        ("original", "retained", 0): 0,
        ("original", "retained", 1): 1,
        ("original", "shut", 0): 1,
        ("original", "shut", 1): 1,
    }
    assert (table.metric_std == 0).all()


def test_table_5_of_the_paper() -> None:
    """Accuracy as a metric is the column of that name, in every row; dropping shut ones is free."""
    data = stars(23, 1, 0, 0, 0)
    data.y = torch.ones(data.num_nodes, dtype=torch.long)
    explainer = Chosen(Votes(), score=lambda batch: batch.fields.edge % 4 < 2)

    def accuracy(outputs: Tensor, data: Any, index: Tensor) -> Tensor:
        return (outputs.argmax(dim=1) == data.y[index]).double().mean()

    table = drop_retained(
        explainer, data, data.centers, threshold=0.5, repeats=5, metric=accuracy, seed=2
    )
    assert table.metric.tolist() == pytest.approx(table.accuracy.tolist())
    masked = table.query("base == 'masked'").sort_values("share").metric.tolist()
    assert masked[0] == 0
    assert masked[-1] == 1
    assert masked == sorted(masked)
    assert table.query("dropped == 'shut'").metric.tolist() == [1] * 5
    assert table.query("base == 'masked' and share == 0.5").metric_std.item() > 0


def test_layers_and_a_metric() -> None:
    """0 -> 1 -> 2: either layer is needed."""
    data = star(0, 0)
    data.edge_index = torch.tensor([[1, 0], [0, 2]])
    data.x[1] = 1
    explainer = Chosen(Relay([1, 1]), score=messages((0, 0), (1, 1)))
    table = layer_knockout(explainer, data, [2], metric=exact_match)
    assert table.metric.tolist() == [0, 0]
    assert table.metric_before.tolist() == [1, 1]
    assert "metric" not in layer_knockout(explainer, data, [2]).columns


def test_hindsight_and_a_metric() -> None:
    data = star(0, 0, 1, 0, 0)
    result = hindsight(
        Chosen(Votes(), score=edges(2)), data, [0], threshold=0.5, metric=exact_match
    )
    assert result.table.metric.tolist() == [1, 1]


def test_what_a_metric_is_given() -> None:
    """All rows of all instances in the order of the index, also those without messages."""
    data, seen = random_data(), []
    explainer = gg.Saliency(Net(), memory_budget=1, progress=False)

    def metric(outputs: Tensor, data: Any, *, instance: Tensor, index: Tensor) -> float:
        seen.append((outputs, data, instance, index))
        return 0.0

    order = [9, 2, 5]
    layer_knockout(explainer, data, order, metric=metric)
    with torch.no_grad():
        expected = explainer.model(data.x, data.edge_index)[order]
    assert len(seen) == 3  # the unchanged model, and two layers
    for outputs, given, instance, index in seen:
        assert given is data
        assert outputs.shape == (3, 3)
        assert instance.tolist() == [0, 1, 2]
        assert index.tolist() == order
    torch.testing.assert_close(seen[0][0], expected)


def test_a_metric_of_several_graphs() -> None:
    """The outputs of the explained graphs, and the user's own list."""
    data = random_data("graph")
    explainer = gg.Saliency(Net("graph"), "graph", progress=False)

    def accuracy(outputs: Tensor, graphs: list[Any], index: Tensor) -> float:
        labels = torch.cat([graphs[number].y for number in index.tolist()])
        return float((outputs.argmax(dim=1) == labels).double().mean())

    table = layer_knockout(explainer, data, [2, 0], metric=accuracy)
    assert table.metric.tolist() == table.accuracy.tolist()
    assert table.metric_before.tolist() == table.accuracy_before.tolist()


def test_predictions_without_messages_are_measured_too() -> None:
    """The other columns leave them out: nothing can be shut there."""
    explainer = Chosen(Votes(), score=edges(0))
    table = layer_knockout(explainer, star(1, 0), [2, 0, 1], metric=lambda rows, _: len(rows))
    assert table.metric.tolist() == [3]
    assert table.instances.tolist() == [1]


def test_outputs_beyond_the_memory_budget_are_measured_in_turns() -> None:
    data, tables = random_data(), []
    for budget in (200, 1 << 30):  # outputs of all predictions take 3 * 3 * 8 bytes
        explainer = gg.Saliency(Net(), memory_budget=budget, progress=False)
        tables.append(
            drop_retained(
                explainer,
                data,
                [3, 8, 1],
                top_share=0.4,
                shares=[0, 0.5],
                repeats=1,
                metric=lambda outputs, _: outputs.square().sum(),
            )
        )
    assert tables[0].metric.tolist() == pytest.approx(tables[1].metric.tolist())
    assert tables[0].divergence.tolist() == pytest.approx(tables[1].divergence.tolist())
    assert tables[0].metric.nunique() > 3


def returns(value: Any) -> Any:
    def metric(outputs: Tensor, data: Any) -> Any:
        return value

    return metric


def fails(outputs: Tensor, data: Any) -> float:
    return float(data.labels[0])


NUMBERS = [2, 2.0, True, np.float32(2), np.array([2.0]), torch.tensor(2), torch.tensor([[2.0]])]


@pytest.mark.parametrize("value", NUMBERS, ids=repr)
def test_numbers(value: Any) -> None:
    explainer = Chosen(Votes(), score=edges(0))
    found = layer_knockout(explainer, star(1), [0], metric=returns(value))
    assert found.metric.tolist() == [1.0 if value is True else 2.0]


@pytest.mark.parametrize("diagnosis", [drop_retained, layer_knockout, hindsight])
@pytest.mark.parametrize(
    ("metric", "message"),
    [
        (returns(None), "the metric metric returned None .* expected one number"),
        (returns(torch.tensor([1.0, 2.0])), r"returned a Tensor of shape \(2,\)"),
        (returns(torch.empty(0)), r"returned a Tensor of shape \(0,\)"),
        (returns(float("nan")), "returned nan"),
        (returns(torch.tensor(float("nan"))), "expected one number"),
        (returns("0.5"), "returned a str"),
        (returns({"f1": 0.5}), "returned a dict"),
        (returns(1 + 2j), "returned a complex"),
        (fails, r"the metric fails failed on outputs of shape \(1, 2\).*AttributeError"),
        (lambda: 0.5, "takes 0 positional arguments"),
    ],
)
def test_a_metric_that_returns_no_number(diagnosis: Any, metric: Any, message: str) -> None:
    explainer = Chosen(Votes(), score=edges(0))
    with pytest.raises(MetricError, match=message):
        diagnosis(explainer, star(1, 0), [0], threshold=0.5, metric=metric)


def test_a_metric_that_is_no_function() -> None:
    with pytest.raises(HyperParameterError, match=r"a function of \(outputs, data\); got str"):
        layer_knockout(Chosen(Votes(), score=edges(0)), star(1), [0], metric="f1")  # type: ignore[arg-type]


# The explainer's own divergence


def half_distance(output: Tensor, reference: Tensor) -> Tensor:
    return (output - reference).abs().sum(dim=1) / 2


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (half_distance, 0.5),
        ("squared_error", 1.0),
        ("cross_entropy", float(-torch.tensor([0.5, 0.0]).double().softmax(0)[1].log())),
    ],
)
def test_divergence_as_the_explainer_measures_it(kind: Divergence, expected: float) -> None:
    """Logits (0.5, 1) become (0.5, 0) when the only message is shut."""
    data = star(1.0)
    explainer = gg.GraphMask(Votes().double(), divergence=kind, amortized=False, steps=1)
    explanations = gg.GraphMask(Votes().double(), amortized=False, steps=1).explain(data, [0])
    shut = layer_knockout(explainer, data, explanations=explanations, replacement="zero")
    assert shut.divergence.tolist() == pytest.approx([expected])
    table = drop_retained(
        explainer, data, explanations=explanations, shares=[0], repeats=1, replacement="zero"
    )
    masked = table.query("base == 'masked'").divergence.item()
    assert masked == pytest.approx(expected)


def test_the_information_bottleneck_has_its_own_divergence() -> None:
    explainer = gg.InformationBottleneck(Net(), divergence="squared_error")
    assert explainer.output_divergence == "squared_error"
    assert gg.Saliency(Net()).output_divergence == "kl"
    assert gg.Saliency(Net(), gg.Task("node", "regression")).output_divergence == "squared_error"
