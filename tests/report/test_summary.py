"""Summary plots: what is drawn is the table, in the order of its magnitudes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import matplotlib
import numpy as np
import pytest
import torch
from torch_geometric.data import Data

import glassgraph as gg
from glassgraph.errors import ExplanationFileError, HyperParameterError, UnknownMetricError
from glassgraph.report import ReportError
from tests.results.known import known
from tests.results.test_importance import featured, heterogeneous, with_nodes


@pytest.fixture(autouse=True)
def plt() -> Iterator[Any]:
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    yield plt
    plt.close("all")


def drawn(axes: Any) -> list[tuple[str, float]]:
    """Label and length of each bar, from top to bottom."""
    labels = [text.get_text() for text in axes.get_yticklabels()]
    found = [
        (round(bar.get_y() + bar.get_height() / 2), bar.get_width())
        for container in axes.containers
        if hasattr(container, "patches")
        for bar in container.patches
    ]
    return [(labels[row], length) for row, length in sorted(found)]


def test_bars_of_features_are_the_table_the_largest_on_top() -> None:
    axes = gg.plot_importance(featured())
    assert drawn(axes) == [
        ("feature 1", pytest.approx(8 / 6)),
        ("feature 0", pytest.approx(7 / 6)),
    ]
    assert axes.get_ylim()[0] > axes.get_ylim()[1]
    assert axes.get_xlabel() == "mean |score| of a feature of a node, 95% intervals"
    assert axes.get_title() == "known, 2 predictions"


def test_intervals_are_those_of_the_table() -> None:
    axes = gg.plot_importance(featured(), per="prediction")
    (line,) = (line for line in axes.collections if len(line.get_segments()) == 2)
    assert [[x for x, _ in ends] for ends in line.get_segments()] == [
        pytest.approx([1.0, 4.0]),
        pytest.approx([2.0, 6.0]),
    ]


def test_signed_means_go_to_both_sides() -> None:
    axes = gg.plot_importance(featured(), per="prediction", ranking="signed")
    assert drawn(axes) == [
        ("feature 1", pytest.approx(-4.0)),
        ("feature 0", pytest.approx(2.5)),
    ]
    assert axes.get_xlabel().startswith("mean score of a feature in a prediction")


def test_what_is_left_out_is_counted() -> None:
    axes = gg.plot_importance(featured(), max_display=1)
    assert [label for label, _ in drawn(axes)] == ["feature 1"]
    assert axes.get_title().endswith(", 1 more not shown")


def test_layers_stand_in_their_order() -> None:
    data = Data(x=torch.rand(3, 2), edge_index=torch.tensor([[0, 1], [1, 2]]))
    found = known(data, [[[1.0, -2.0], [0.0, 4.0]], [[0.0, 0.0], [-1.0, 1.0]]])
    axes = gg.plot_importance(found, "layer")
    assert drawn(axes) == [("layer 0", 0.75), ("layer 1", 1.5)]
    assert "of a message" in axes.get_xlabel()


def test_types_classes_and_right_against_wrong_are_said_in_words() -> None:
    axes = gg.plot_importance(heterogeneous(), "edge_type")
    assert drawn(axes) == [("b → on → b", 4.0), ("a → to → b", 1.5)]
    axes = gg.plot_importance(heterogeneous(), "node_type")
    assert "of a node" in axes.get_xlabel()
    assert sorted(drawn(axes)) == [("a", 2.0), ("b", 2.0)]
    labeled = featured(labels=[1, 0])
    assert drawn(gg.plot_importance(labeled, "correct")) == [("wrong", 4.0), ("right", 1.5)]
    named = labeled.named(class_names=["no", "yes"])
    assert drawn(gg.plot_importance(named, "target")) == [("yes", 2.75)]
    assert drawn(gg.plot_importance(labeled, "target")) == [("class 1", 2.75)]


def test_two_columns_are_bars_side_by_side_with_a_legend() -> None:
    axes = gg.plot_importance(featured(labels=[1, 0]), ["feature", "correct"])
    legend = axes.get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["right", "wrong"]
    lengths = {
        container.get_label(): [bar.get_width() for bar in container.patches]
        for container in axes.containers
        if hasattr(container, "patches")
    }
    assert lengths == {
        "right": [pytest.approx(4 / 3), pytest.approx(2 / 3)],
        "wrong": [pytest.approx(1.0), pytest.approx(2.0)],
    }
    assert [text.get_text() for text in axes.get_yticklabels()] == ["feature 1", "feature 0"]


def swarms(axes: Any) -> list[Any]:
    return [each for each in axes.collections if len(each.get_offsets()) > 1]


def test_a_swarm_has_a_point_for_each_node_at_its_score() -> None:
    axes = gg.plot_beeswarm(featured())
    assert [text.get_text() for text in axes.get_yticklabels()] == ["feature 1", "feature 0"]
    upper, lower = swarms(axes)
    assert sorted(upper.get_offsets()[:, 0]) == [-6, -2, 0, 0, 0, 0]
    assert sorted(lower.get_offsets()[:, 0]) == [-1, 0, 0, 1, 2, 3]
    assert (np.abs(upper.get_offsets()[:, 1] - 0) < 0.5).all()
    assert (np.abs(lower.get_offsets()[:, 1] - 1) < 0.5).all()
    assert axes.get_ylim()[0] > axes.get_ylim()[1]


def test_equal_scores_lie_side_by_side() -> None:
    upper = swarms(gg.plot_beeswarm(featured()))[0].get_offsets()
    zeros = upper[upper[:, 0] == 0]
    assert len({round(float(y), 6) for y in zeros[:, 1]}) == len(zeros)


def test_the_color_is_the_value_from_blue_to_red() -> None:
    points = swarms(gg.plot_beeswarm(featured()))[1]
    frame = featured().features_frame()
    value = frame[frame["feature"] == "feature 0"]["value"].to_numpy()
    red = points.get_facecolors()[:, 0] - points.get_facecolors()[:, 2]
    assert (red[value == 50] > 0.3).all()
    assert (red[value == 10] < -0.3).all()
    assert (np.abs(red[value == 30]) < 0.1).all()


def test_a_value_that_does_not_vary_has_one_color() -> None:
    data = Data(x=torch.ones(3, 1), edge_index=torch.tensor([[0, 1], [1, 2]]))
    found = with_nodes(known(data, [[1.0, 2.0]]), feature_score=torch.tensor([[1.0], [2.0], [0.0]]))
    colors = swarms(gg.plot_beeswarm(found))[0].get_facecolors()
    assert len({tuple(color) for color in colors.round(4)}) == 1


def test_predictions_can_be_the_points() -> None:
    axes = gg.plot_beeswarm(featured(), per="prediction", max_display=1)
    assert axes.get_xlabel() == "score of a feature in a prediction"
    (only,) = swarms(axes)
    assert sorted(only.get_offsets()[:, 0]) == [-6, -2]


def test_of_very_many_points_a_sample_is_drawn_and_said() -> None:
    data = Data(x=torch.rand(2500, 1), edge_index=torch.tensor([[0], [1]]))
    found = with_nodes(known(data, [[1.0]]), feature_score=torch.rand(2500, 1))
    first, second = (gg.plot_beeswarm(found) for _ in range(2))
    assert "2,000 points drawn of each feature" in first.get_title()
    (points,), (again,) = swarms(first), swarms(second)
    assert len(points.get_offsets()) == 2000
    assert points.get_offsets()[:, 0].tolist() == again.get_offsets()[:, 0].tolist()


def test_they_draw_into_given_axes_or_at_a_size(plt: Any) -> None:
    for draw in (gg.plot_importance, gg.plot_beeswarm):
        axes = plt.subplots()[1]
        assert draw(featured(), ax=axes) is axes
        assert draw(featured(), figsize=(3, 2)).figure.get_size_inches().tolist() == [3, 2]
        with pytest.raises(ReportError, match="figsize"):
            draw(featured(), ax=axes, figsize=(3, 2))
        with pytest.raises(HyperParameterError, match="max_display"):
            draw(featured(), max_display=0)


def plain() -> gg.Explanations:
    data = Data(x=torch.rand(2, 2), edge_index=torch.tensor([[0], [1]]))
    return known(data, [[1.0]])


@pytest.mark.parametrize(
    ("by", "error", "message"),
    [
        ("feature", UnknownMetricError, "no scores of features"),
        ("node_type", UnknownMetricError, "no scores of nodes"),
        ("edge_type", HyperParameterError, "no column 'edge_type'"),
        ("layer", HyperParameterError, "one score for all layers"),
        ("correct", HyperParameterError, "a label"),
        ([], ReportError, "one or two columns"),
        (["target", "index", "graph"], ReportError, "one or two columns"),
    ],
)
def test_where_there_is_nothing_of_the_kind_an_error_says_so(
    by: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        gg.plot_importance(plain(), by)


def test_a_swarm_needs_scores_of_features_and_the_data(tmp_path: Any) -> None:
    with pytest.raises(UnknownMetricError, match="no scores of features"):
        gg.plot_beeswarm(plain())
    stored = gg.Explanations.load(featured().save(tmp_path / "e", include_graph=False))
    with pytest.raises(ExplanationFileError, match="values of features"):
        gg.plot_beeswarm(stored)
