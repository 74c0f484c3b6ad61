"""The matplotlib figure: what is drawn where, read back from the axes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import matplotlib
import pytest
import torch
from matplotlib.colors import to_hex
from matplotlib.patches import FancyArrowPatch

from glassgraph.report import plot_explanation
from tests.report.fakes import star, two_methods

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
    ],
)
def test_every_kind_of_explanation_can_be_drawn(changes: dict[str, object]) -> None:
    axes = plot_explanation(star(**changes))
    axes.figure.canvas.draw()


def test_an_isolated_node_is_drawn() -> None:
    axes = plot_explanation(two_methods()[0].local(2))
    assert lines(axes) == []
    axes.figure.canvas.draw()
