"""The matplotlib figure: what is drawn where, read back from the axes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import matplotlib
import pytest
import torch
from matplotlib.colors import to_hex
from matplotlib.patches import FancyArrowPatch, PathPatch

from glassgraph.report import plot_explanation
from glassgraph.report.walk_figure import NEGATIVE, POSITIVE
from tests.report.fakes import star, two_methods, walked

CONTEXT, TRUTH = "#c3c9d4", "#0fa28e"


@pytest.fixture(autouse=True)
def plt(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    def shown(*_: object, **__: object) -> None:
        raise AssertionError("a plot must not open a window")

    monkeypatch.setattr(plt, "show", shown)
    yield plt
    plt.close("all")


def curves(axes: Any) -> list[PathPatch]:
    """The drawn walks, the strongest last."""
    return [patch for patch in axes.patches if isinstance(patch, PathPatch)]


def lines(axes: Any, color: str | None = None) -> list[FancyArrowPatch]:
    patches = [patch for patch in axes.patches if isinstance(patch, FancyArrowPatch)]
    if color is not None:
        return [patch for patch in patches if to_hex(patch.get_edgecolor()) == color]
    return [p for p in patches if to_hex(p.get_edgecolor()) not in (CONTEXT, TRUTH)]


def test_every_edge_with_a_score_is_colored_and_the_strongest_is_thickest() -> None:
    axes = plot_explanation(star())
    assert len(lines(axes)) == 4
    assert len(lines(axes, CONTEXT)) == 1
    assert max(patch.get_linewidth() for patch in lines(axes)) == pytest.approx(5.0)
    assert axes.get_title() == "node 10, class 0"


def test_top_k_colors_k_edges() -> None:
    for k in (0, 2, 3):
        axes = plot_explanation(star(), top_k=k)
        assert (len(lines(axes)), len(lines(axes, CONTEXT))) == (k, 5 - k)


def test_negative_scores_are_blue_and_positive_ones_red() -> None:
    axes = plot_explanation(star(edge_score=torch.tensor([-1.0, 0.0, 0.0, 0.0, 1.0])))
    red = sorted(patch.get_edgecolor()[0] - patch.get_edgecolor()[2] for patch in lines(axes))
    assert red[0] < -0.3
    assert red[1] > 0.3


def test_truth_is_dashed_and_the_target_has_a_thick_border() -> None:
    axes = plot_explanation(two_methods()[0].local(0))
    truth = lines(axes, TRUTH)
    assert len(truth) == 3
    assert all(patch.get_linestyle() not in ("-", "solid") for patch in truth)
    nodes = axes.collections[-1]
    assert list(nodes.get_linewidths()) == [2.8, 0.8, 0.8, 0.8]


def test_walks_are_curves_over_plain_edges() -> None:
    axes = plot_explanation(walked())
    assert len(lines(axes, CONTEXT)) == 5
    weak, negative, strong = curves(axes)
    assert [to_hex(patch.get_edgecolor()) for patch in (weak, negative, strong)] == [
        POSITIVE, NEGATIVE, POSITIVE
    ]  # fmt: skip
    assert weak.get_linewidth() < negative.get_linewidth() < strong.get_linewidth()
    assert weak.get_alpha() < negative.get_alpha() < strong.get_alpha()


def test_a_curve_visits_the_nodes_of_its_walk_and_loops_where_one_repeats() -> None:
    axes = plot_explanation(walked())
    at = axes.collections[-1].get_offsets()
    there_and_back, _, staying = (patch.get_path() for patch in curves(axes))
    bend, cubic = there_and_back.CURVE3, there_and_back.CURVE4
    assert list(there_and_back.codes) == [there_and_back.MOVETO, bend, bend, bend, bend]
    assert there_and_back.vertices[::2] == pytest.approx(at[[1, 0, 1]])
    # The way there and the way back are two arcs.
    assert abs(there_and_back.vertices[1] - there_and_back.vertices[3]).max() > 0.05
    assert list(staying.codes) == [staying.MOVETO, bend, bend, cubic, cubic, cubic]
    assert staying.vertices[[0, 2, 5]] == pytest.approx(at[[2, 3, 3]])
    assert abs(staying.vertices[3] - staying.vertices[4]).max() > 0.05


def test_top_k_leaves_k_walks_and_no_more_than_twenty_are_drawn_unasked() -> None:
    many = walked(walks=torch.tensor([[2, 0, 1]] * 30), walk_scores=torch.ones(30))
    for k, drawn in ((0, 0), (2, 2), (25, 25), (None, 20)):
        axes = plot_explanation(many, top_k=k)
        assert len(curves(axes)) == drawn
        assert len(lines(axes, CONTEXT)) == 5


def test_walks_without_a_score_are_left_out_and_no_walks_change_nothing() -> None:
    empty = {"walks": torch.empty(0, 3, dtype=torch.long), "walk_scores": torch.empty(0)}
    axes = plot_explanation(walked(walk_scores=torch.tensor([float("nan"), 0.0, 1.0])))
    assert len(curves(axes)) == 1
    axes = plot_explanation(walked(**empty))
    assert (curves(axes), len(lines(axes))) == ([], 4)


def test_it_draws_into_given_axes(plt: Any) -> None:
    _, axes = plt.subplots()
    assert plot_explanation(star(), ax=axes) is axes


@pytest.mark.parametrize(
    "changes",
    [
        {"edge_score": None},
        {"edge_score": torch.zeros(5)},
        {"edge_score": torch.tensor([float("nan"), 1.0, 0.0, 0.0, float("inf")])},
        {"edge_score": None, "node_score": torch.tensor([-1.0, 0.0, float("nan"), 2.0])},
        {"edge_score": None, "layer_edge_score": torch.rand(2, 5)},
        {"target": (1, 0), "seeds": torch.tensor([10, 12])},
        {"seeds": torch.empty(0, dtype=torch.long)},
        {"node_type": ["a", "b", "a", "b"]},
        {"walks": torch.tensor([[0, 0, 0]]), "walk_scores": torch.tensor([-1.0])},
    ],
)
def test_every_kind_of_explanation_can_be_drawn(changes: dict[str, object]) -> None:
    axes = plot_explanation(star(**changes))
    axes.figure.canvas.draw()


def test_an_isolated_node_is_drawn() -> None:
    axes = plot_explanation(two_methods()[0].local(2))
    assert lines(axes) == []
    axes.figure.canvas.draw()
