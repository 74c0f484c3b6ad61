"""The matplotlib figure: what is drawn where, read back from the axes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import matplotlib
import networkx as nx
import pytest
import torch
from matplotlib.colors import to_hex
from matplotlib.patches import FancyArrowPatch, PathPatch

from glassgraph.report import ReportError, plot_explanation
from glassgraph.report.walk_figure import NEGATIVE, POSITIVE
from tests.report.fakes import Run, local_of, star, two_methods, walked

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


def bars(axes: Any) -> list[Any]:
    """The color bars of a figure: axes that a plot added."""
    return [each for each in axes.figure.axes if each is not axes]


def legend_of(axes: Any) -> dict[str, Any]:
    found = axes.get_legend()
    return {} if found is None else {each.get_label(): each for each in found.legend_handles}


def test_the_color_bar_has_the_colors_of_the_edges_and_ends_at_the_largest() -> None:
    axes = plot_explanation(star())
    (bar,) = bars(axes)
    assert bar.get_ylabel() == "edge score"
    assert bar.get_ylim() == (0.0, 1.0)
    mappable = bar.collections[-1]
    strongest, weakest = lines(axes)[-1], lines(axes)[0]
    ends = mappable.to_rgba([1.0, 0.123456789])
    assert strongest.get_edgecolor() == pytest.approx(ends[0], abs=0.01)
    assert weakest.get_edgecolor() == pytest.approx(ends[1], abs=0.01)


def test_a_signed_color_bar_is_even_and_what_is_negative_is_dashed() -> None:
    axes = plot_explanation(star(edge_score=torch.tensor([-0.5, 0.0, 0.0, 0.0, 2.0])))
    assert bars(axes)[0].get_ylim() == (-2.0, 2.0)
    negative, positive = lines(axes)
    assert negative.get_linestyle() not in ("-", "solid")
    assert positive.get_linestyle() in ("-", "solid")
    assert "negative edge score" in legend_of(axes)


def test_scores_of_edges_and_nodes_have_a_bar_each() -> None:
    axes = plot_explanation(star(node_score=torch.tensor([-1.0, 0.0, 0.5, 3.0])))
    assert {bar.get_ylabel(): bar.get_ylim() for bar in bars(axes)} == {
        "node score": (-3.0, 3.0),
        "edge score": (0.0, 1.0),
    }


def test_an_explanation_of_features_alone_colors_nodes_by_their_sum() -> None:
    features = torch.tensor([[1.0, 2.0], [0.0, 0.0], [1.0, float("nan")], [0.0, 0.5]])
    axes = plot_explanation(star(edge_score=None, feature_score=features))
    (bar,) = bars(axes)
    assert bar.get_ylabel() == "node score, sum over features"
    assert bar.get_ylim() == (0.0, 3.0)


@pytest.mark.parametrize(
    "changes",
    [
        {"edge_score": None},
        {"edge_score": torch.zeros(5)},
        {"walks": torch.tensor([[0, 1, 0]]), "walk_scores": torch.tensor([1.0])},
    ],
)
def test_where_no_color_is_a_score_there_is_no_bar(changes: dict[str, object]) -> None:
    assert bars(plot_explanation(star(**changes))) == []


def test_bar_and_legend_can_be_left_out() -> None:
    axes = plot_explanation(two_methods()[0].local(0), colorbar=False, legend=False)
    assert (bars(axes), axes.get_legend()) == ([], None)


def test_the_legend_says_what_else_is_drawn() -> None:
    axes = plot_explanation(two_methods()[0].local(0), top_k=2)
    assert list(legend_of(axes)) == ["explained node", "ground truth", "not among the top 2"]
    plain = plot_explanation(star(seeds=torch.empty(0, dtype=torch.long)))
    assert list(legend_of(plain)) == ["edge score 0"]
    link = plot_explanation(star(seeds=torch.tensor([10, 12])))
    assert "explained link" in legend_of(link)
    assert {"walk for it", "walk against it"} <= set(legend_of(plot_explanation(walked())))


def test_node_types_have_in_the_legend_the_colors_and_shapes_that_are_drawn() -> None:
    typed = star(node_type=["paper", "author", "paper", "venue"])
    axes = plot_explanation(typed)
    drawn = {each.get_gid(): each for each in axes.collections}
    legend = legend_of(axes)
    fills = set()
    for kind in ("author", "paper", "venue"):
        fill = to_hex(drawn[f"nodes-{kind}"].get_facecolors()[0])
        assert to_hex(legend[kind].get_markerfacecolor()) == fill
        fills.add(fill)
    assert len(fills) == 3
    assert len({legend[kind].get_marker() for kind in ("author", "paper", "venue")}) == 3
    assert [len(drawn[f"nodes-{kind}"].get_offsets()) for kind in ("paper", "venue")] == [2, 1]


def test_nodes_of_several_types_are_told_apart_by_their_labels() -> None:
    typed = star(node_type=["a", "b", "c", "d"], node_id=torch.zeros(4, dtype=torch.long))
    texts = [text.get_text() for text in plot_explanation(typed).texts]
    assert sorted(texts) == ["a 0", "b 0", "c 0", "d 0"]


def test_a_type_keeps_its_color_where_others_are_missing() -> None:
    class Typed(Run):
        node_types = ("author", "paper", "venue")

    few = star(node_type=["venue"] * 4)
    found = plot_explanation(few, run=Typed("m", [few])).collections[0].get_facecolors()
    every = star(node_type=["author", "paper", "venue", "venue"])
    drawn = {each.get_gid(): each for each in plot_explanation(every).collections}
    assert to_hex(found[0]) == to_hex(drawn["nodes-venue"].get_facecolors()[0])


def test_the_explained_node_of_a_type_is_known_by_the_task() -> None:
    typed = star(node_type=["a", "b", "b", "b"], node_id=torch.tensor([1, 0, 1, 2]), index=1)
    run = Run("m", [typed], {"task": {"node_type": "b"}})
    axes = plot_explanation(typed, run=run)
    widths = {each.get_gid(): list(each.get_linewidths()) for each in axes.collections}
    assert widths == {"nodes-a": [0.8], "nodes-b": [0.8, 2.8, 0.8]}


def test_a_regression_explains_a_value_and_no_class() -> None:
    run = Run("m", [star()], {"task": {"mode": "regression"}})
    assert plot_explanation(star(), run=run).get_title() == "node 10, value"
    assert plot_explanation(star(target=2), run=run).get_title() == "node 10, value 2"


def test_opposite_and_parallel_edges_and_loops_are_lines_of_their_own() -> None:
    ends = torch.tensor([[0, 0, 1, 2, 2], [1, 1, 0, 2, 2]])
    axes = plot_explanation(star(edge_index=ends, edge_score=torch.arange(1.0, 6.0)))
    axes.figure.canvas.draw()
    ways = [patch.get_path().vertices.round(4).tolist() for patch in lines(axes)]
    assert len(ways) == 5
    assert all(way not in ways[:at] for at, way in enumerate(ways))


def test_a_star_is_not_drawn_as_a_line() -> None:
    axes = plot_explanation(local_of(nx.star_graph(3), 10, [10]))
    at = axes.collections[-1].get_offsets()
    gaps = [math.dist(at[a], at[b]) for a in range(4) for b in range(a)]
    assert min(gaps) > 0.4 * max(gaps)


def test_no_node_or_arrow_lies_outside_the_axes(plt: Any) -> None:
    """Arrows whose curves were measured before the axes had their limits made room for nothing."""
    axes = plot_explanation(star())
    for name in "xy":
        values = axes.collections[-1].get_offsets()[:, "xy".index(name)]
        low, high = getattr(axes, f"get_{name}lim")()
        assert low < values.min()
        assert values.max() < high
        assert values.max() - values.min() > 0.6 * (high - low)


@pytest.mark.parametrize("figsize", [(3.0, 2.0), [5, 4]])
def test_a_new_figure_has_the_size_asked_for(figsize: Any) -> None:
    for local in (star(), star(node_names=["a", "b", "c", "d"])):
        layout = "organic" if local.node_names is None else "sentence"
        axes = plot_explanation(local, figsize=figsize, layout=layout)
        assert axes.figure.get_size_inches().tolist() == list(figsize)


@pytest.mark.parametrize("figsize", [3, "ab", (1,), (0, 2), (float("inf"), 1), (float("nan"), 1)])
def test_a_size_that_is_none_is_refused(figsize: Any) -> None:
    with pytest.raises(ReportError, match="figsize must be"):
        plot_explanation(star(), figsize=figsize)


def test_a_size_beside_axes_is_refused(plt: Any) -> None:
    with pytest.raises(ReportError, match="with ax leave it out"):
        plot_explanation(star(), ax=plt.subplots()[1], figsize=(3, 3))
    with pytest.raises(ReportError, match="top_k must be"):
        plot_explanation(star(), top_k=-1)


def test_a_sentence_has_a_color_bar_as_well() -> None:
    words = star(node_names=["a", "b", "c", "d"])
    axes = plot_explanation(words, layout="sentence")
    assert bars(axes)[0].get_xlim() == (0.0, 1.0)
    assert bars(plot_explanation(words, layout="sentence", colorbar=False)) == []
