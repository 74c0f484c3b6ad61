"""The star-graph study on a small budget: its arithmetic, its thresholds, its rows and figure."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch_geometric.data import Data

import glassgraph as gg
from glassgraph_studies.reproduce.star_graphs import experiment as star_graphs
from glassgraph_studies.reproduce.star_graphs import figure as star_figure
from glassgraph_studies.reproduce.star_graphs.experiment import TABLE, Scene

KEYS = {
    "kept", "is_met",
    "method", "seed", "precision", "recall", "f1", "fit_seconds", "published_f1",
    "explain_seconds", "threshold", "test_graphs", "test_accuracy",
}  # fmt: skip
SIZES = (131, 29, 23)
QUICK = ["erasure_search", "integrated_gradients"]


@pytest.fixture(scope="module")
def scene() -> Scene:
    return Scene.make(0, SIZES, progress=False)


def test_micro_average_against_hand_counts() -> None:
    # Two graphs of three and four edges: TP 2, FP 1, FN 2.
    kept = torch.tensor([1, 0, 1, 0, 1, 0, 0]).bool()
    truth = torch.tensor([1, 1, 0, 0, 1, 1, 0]).bool()
    precision, recall, f1 = star_graphs.micro_average(kept, truth)
    assert precision == pytest.approx(100 * 2 / 3)
    assert recall == pytest.approx(50)
    assert f1 == pytest.approx(100 * 4 / 7)
    nothing = torch.zeros(7, dtype=torch.bool)
    assert star_graphs.micro_average(nothing, truth) == (0.0, 0.0, 0.0)
    assert star_graphs.micro_average(nothing, nothing) == (0.0, 0.0, 0.0)


def test_the_threshold_with_the_best_f1_is_taken_the_lowest_of_equals() -> None:
    truth = torch.tensor([True, True, False, False])
    assert star_graphs.best_threshold(torch.tensor([0.85, 0.47, 0.42, 0.05]), truth) == 0.1
    assert star_graphs.best_threshold(torch.tensor([0.85, 0.65, 0.55, 0.05]), truth) == 0.6
    assert star_graphs.best_threshold(torch.tensor([0.95, 0.25, 0.65, 0.05]), truth) == 0.1


def test_scores_lose_their_sign_and_scale_graph_by_graph() -> None:
    graphs = [Data(edge_index=torch.zeros(2, size, dtype=torch.long)) for size in (3, 2, 2)]
    score = torch.tensor([-4.0, 1.0, 2.0, 0.5, -0.25, 0.0, 0.0])
    expected = torch.tensor([1.0, 0.25, 0.5, 1.0, 0.5, 0.0, 0.0])
    assert torch.equal(star_graphs.unsigned(score, graphs), expected)


def test_scores_stand_in_the_order_of_the_edges(scene: Scene) -> None:
    graphs = scene.graphs("test")
    explainer = gg.EdgeGradients(scene.trained.model, star_graphs.TASK, progress=False)
    literal = torch.cat([each.edge_mask for each in explainer.explain(graphs)])
    assert torch.equal(star_graphs.edge_scores(explainer.explain(graphs)), literal)
    small = gg.EdgeGradients(
        scene.trained.model, star_graphs.TASK, progress=False, memory_budget=1 << 16
    )
    explanations = small.explain(graphs)
    assert len(explanations.parts) > 1
    torch.testing.assert_close(star_graphs.edge_scores(explanations), literal)


def test_thresholds_never_see_test_graphs(scene: Scene, monkeypatch: Any) -> None:
    row = scene.run("integrated_gradients", progress=False).row
    seen: list[torch.Tensor] = []

    def spy(score: torch.Tensor, truth: torch.Tensor) -> float:
        seen.append(truth)
        return 0.4

    monkeypatch.setattr(star_graphs, "best_threshold", spy)
    changed = scene.run("integrated_gradients", progress=False)
    assert len(seen) == 1
    assert torch.equal(seen[0], scene.truth("val"))
    assert changed.row["threshold"] == 0.4
    assert row["threshold"] in star_graphs.THRESHOLDS


def test_rows_of_one_seed(scene: Scene) -> None:
    ((_, seen),) = star_graphs.run_star_graphs([0], QUICK, SIZES, progress=False)
    rows = [outcome.row for outcome in seen]
    assert [row["method"] for row in rows] == QUICK
    truth = scene.truth("test")
    for row, outcome in zip(rows, seen, strict=True):
        assert set(row) == KEYS
        assert row["test_graphs"] == SIZES[2]
        assert row["published_f1"] == TABLE[row["method"]].published[2]
        measured = (row["precision"], row["recall"], row["f1"])
        assert measured == star_graphs.micro_average(outcome.kept, truth)


@pytest.mark.slow("rows of all methods of one seed: test_rows_of_one_seed")
def test_graph_mask_finds_the_edges_that_decide() -> None:
    row = Scene.make(0, (1500, 120, 120), progress=False).run("graphmask_amortized").row
    assert row["is_met"] is True
    assert row["f1"] > 95  # of a network that 1500 graphs have taught


def test_published_numbers_are_those_of_the_paper() -> None:
    assert {name: entry.published[2] for name, entry in TABLE.items()} == {
        "erasure_search": 28.6,
        "integrated_gradients": 90.8,
        "information_bottleneck": 52.6,
        "gnn_explainer": 28.7,
        "graphmask_non_amortized": 41.2,
        "graphmask_amortized": 99.4,
    }


def test_an_unknown_row_is_refused() -> None:
    with pytest.raises(gg.errors.UnknownMethodError, match="there is no row 'saliency'"):
        list(star_graphs.run_star_graphs([0], ["saliency"], SIZES))


def test_spread_over_seeds() -> None:
    rows = [
        {"method": "a", "precision": 1.0, "recall": 2.0, "f1": f1} for f1 in (90.0, 94.0, 98.0)
    ] + [{"method": "b", "precision": 1.0, "recall": 2.0, "f1": 7.0}]
    found = star_graphs.summarize(rows)
    assert found["a"]["f1"] == star_graphs.Spread(mean=94.0, std=4.0, least=90.0)
    assert found["b"]["f1"] == star_graphs.Spread(mean=7.0, std=0.0, least=7.0)


def test_the_figure_shows_what_is_kept(scene: Scene, tmp_path: Path) -> None:
    outcome = scene.run("integrated_gradients", progress=False)
    position = star_figure.example(scene)
    graph = scene.graphs("test")[position]
    kept = star_figure.kept_edges(scene, [outcome], position)
    start = sum(each.num_edges for each in scene.graphs("test")[:position])
    assert list(kept) == ["Integrated gradients"]
    assert torch.equal(kept["Integrated gradients"], outcome.kept[start : start + graph.num_edges])
    figure = star_figure.draw_star(graph, kept)
    panels = [ax for ax in figure.axes if ax.lines]
    assert [len(ax.lines) for ax in panels] == [graph.num_edges] * 2
    strong = [line.get_linewidth() > 2 for line in panels[1].lines]
    assert strong == kept["Integrated gradients"].tolist()
    color = [star_figure.COLORS[c] for c in graph.edge_type.tolist()]
    assert [line.get_color() for line in panels[1].lines] == color
    star_figure.save_figure(scene, [outcome], tmp_path / "new" / "star.svg")
    assert "<svg" in (tmp_path / "new" / "star.svg").read_text()


def test_a_figure_that_cannot_be_written_is_named(scene: Scene, tmp_path: Path) -> None:
    with pytest.raises(gg.errors.OutputError, match="cannot write"):
        star_figure.save_figure(scene, [], tmp_path)
