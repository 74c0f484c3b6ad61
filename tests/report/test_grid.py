"""Grids: the same node in the same place, the same score in the same color."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import matplotlib
import numpy as np
import pytest
import torch

import glassgraph as gg
from glassgraph.errors import InstanceError
from glassgraph.report import ReportError
from tests.report.fakes import Run, star, two_methods, walked
from tests.report.test_figures import lines


@pytest.fixture(autouse=True)
def plt() -> Iterator[Any]:
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    yield plt
    plt.close("all")


def panels(figure: Any, count: int) -> tuple[list[Any], list[Any]]:
    """The panels, and what stands beside them."""
    return figure.axes[:count], figure.axes[count:]


def two_scales() -> dict[str, Run]:
    """The second method's scores are a tenth of the first's, and its graph lacks an edge."""
    first = [star(), star(index=11, edge_score=torch.tensor([0.0, 0.0, 2.0, 1.0, 0.5]))]
    second = [replace(each, edge_score=each.edge_score / 10) for each in first]
    return {"large": Run("a", first), "small": Run("a", second)}


def test_rows_are_instances_and_columns_methods() -> None:
    figure = gg.plot_grid(two_methods(), instances=[1, 0])
    found, beside = panels(figure, 4)
    assert [axes.get_title() for axes in found] == ["plain", "layered", "", ""]
    said = [[text.get_text() for text in axes.texts if "\n" in text.get_text()] for axes in found]
    assert said == [["node 20\nclass 0"], [], ["node 10\nclass 0"], []]
    assert {axes.get_ylabel() for axes in beside} == {"edge score", "node score"}


def test_a_row_has_one_layout() -> None:
    found, _ = panels(gg.plot_grid(two_methods(), instances=[0, 1]), 4)
    at = [axes.collections[-1].get_offsets() for axes in found]
    np.testing.assert_allclose(at[0], at[1])
    np.testing.assert_allclose(at[2], at[3])


def test_a_node_stands_in_its_place_also_where_a_method_lists_it_elsewhere() -> None:
    one = star()
    order = [3, 1, 0, 2]  # node 13 first
    other = replace(
        one,
        node_id=one.node_id[order],
        edge_index=torch.tensor([order.index(n) for n in one.edge_index.flatten()]).view(2, -1),
    )
    found, _ = panels(gg.plot_grid({"a": Run("a", [one]), "b": Run("b", [other])}), 2)
    first, second = (axes.collections[-1].get_offsets() for axes in found)
    np.testing.assert_allclose(second, first[order])


def test_the_same_score_has_the_same_color_and_width_everywhere() -> None:
    found, (bar,) = panels(gg.plot_grid(two_scales(), instances=[0, 1]), 4)
    assert bar.get_ylim() == (0.0, 2.0)
    strongest = [lines(axes)[-1] for axes in found]  # 1, 0.1, 2, 0.2
    scale = bar.collections[-1]
    for patch, score in zip(strongest, (1.0, 0.1, 2.0, 0.2), strict=True):
        assert patch.get_edgecolor() == pytest.approx(scale.to_rgba([score])[0], abs=0.01)
        assert patch.get_linewidth() == pytest.approx(1.2 + 3.8 * score / 2)


def test_scores_of_other_units_can_be_divided_by_the_largest_of_their_method() -> None:
    figure = gg.plot_grid(two_scales(), instances=[0, 1], normalize=True)
    found, (bar,) = panels(figure, 4)
    assert (bar.get_ylabel(), bar.get_ylim()) == ("edge score / largest of its method", (0.0, 1.0))
    widths = [lines(axes)[-1].get_linewidth() for axes in found]
    assert widths == pytest.approx([3.1, 3.1, 5.0, 5.0])
    only, (_,) = panels(gg.plot_grid(two_scales(), instances=[0], normalize=True), 2)
    assert lines(only[1])[-1].get_linewidth() == pytest.approx(5.0)  # largest of those drawn


def test_one_set_is_a_column_and_the_first_four_are_drawn() -> None:
    run = Run("a", [star(index=n) for n in range(6)])
    found, _ = panels(gg.plot_grid(run), 4)
    assert [axes.get_title() for axes in found] == ["a", "", "", ""]
    texts = [text.get_text() for axes in found for text in axes.texts]
    assert [text for text in texts if text.startswith("node ")][-1] == "node 3\nclass 0"
    assert len(panels(gg.plot_grid(run, instances=[-1]), 1)[0]) == 1


def test_a_method_twice_has_two_names() -> None:
    runs = [*two_methods(), two_methods()[0]]
    found, _ = panels(gg.plot_grid(runs, instances=[0]), 3)
    assert [axes.get_title() for axes in found] == ["plain", "layered", "plain #2"]


def test_the_legend_stands_once_below_all() -> None:
    figure = gg.plot_grid(two_methods(), instances=[0, 1], top_k=2)
    (legend,) = figure.legends
    assert {text.get_text() for text in legend.get_texts()} == {
        "explained node", "ground truth", "not among the top 2", "negative edge score"
    }  # fmt: skip
    assert all(axes.get_legend() is None for axes in figure.axes)
    bare = gg.plot_grid(two_methods(), instances=[0], colorbar=False, legend=False)
    assert (len(bare.axes), bare.legends) == (2, [])


def test_types_have_the_same_colors_in_all_panels() -> None:
    rows = [star(node_type=["b", "c", "b", "c"]), star(node_type=["a", "b", "b", "b"])]
    found, _ = panels(gg.plot_grid(Run("m", rows)), 2)
    fills = [
        {each.get_gid(): tuple(each.get_facecolors()[0]) for each in axes.collections}
        for axes in found
    ]
    assert fills[0]["nodes-b"] == fills[1]["nodes-b"]
    assert len({*fills[0].values(), *fills[1].values()}) == 3


def test_walks_of_a_grid_have_no_scale_of_edges() -> None:
    _, beside = panels(gg.plot_grid(Run("m", [walked()])), 1)
    assert [axes.get_ylabel() for axes in beside] == ["node score"]


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        (([],), ReportError, "nothing to draw"),
        (({"a": star()},), ReportError, "got Local as 'a'"),
        (([star()],), ReportError, "got Local"),
        ((two_methods(), [3]), InstanceError, "there are 3"),
        ((two_methods(), ["a"]), InstanceError, "'a'"),
        ((two_methods(), 0), ReportError, "positions"),
        ((two_methods(), []), ReportError, "positions"),
        ((Run("m", []),), ReportError, "of 0 explanations"),
        (([Run("a", [star()]), Run("b", [star(index=11)])],), ReportError, "same instances"),
    ],
)
def test_what_cannot_be_drawn_is_named(given: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        gg.plot_grid(*given)


@pytest.mark.parametrize("more", [{"figsize": (1, 0)}, {"top_k": 1.5}])
def test_a_look_that_is_none_is_named(more: Any) -> None:
    with pytest.raises(ReportError, match=next(iter(more))):
        gg.plot_grid(two_methods(), **more)
