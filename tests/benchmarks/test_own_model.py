"""`gg.benchmark` on a model of one's own, and what its verdict says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from torch_geometric.data import HeteroData
from torch_geometric.nn import HeteroConv, SAGEConv

import glassgraph as gg
from glassgraph.benchmarks import read_rows
from glassgraph.benchmarks.verdict import verdict
from glassgraph.errors import ExistingResultError, LeakError, SuiteError, UnknownMethodError
from tests.benchmarks.stars import EXPLAINED, Truth, known, stars


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    with known():
        yield


def benchmark(methods: Any, metrics: Any = ("fidelity_plus", "auc"), **more: Any) -> Any:
    subject = stars()
    chosen = {"index": range(EXPLAINED), "top_k": 2, **more}
    return gg.benchmark(subject.model, subject.data, methods, metrics, **chosen)


def test_names_and_classes_are_measured_and_the_verdict_says_what_they_are() -> None:
    found = benchmark([Truth, "inverse", "saliency", "random"])
    frame = found.frame().set_index(["method", "metric"])
    assert frame.loc[("truth", "auc"), "value"] == 1.0
    assert frame.loc[("inverse", "auc"), "value"] == 0.0
    said = found.verdict()
    assert "truth is above random" in said or "truth and saliency" in said
    assert "inverse is worse than random here" in said
    assert "BenchmarkResult(4 methods: truth, inverse, saliency, random" in repr(found)
    assert "<table" in found._repr_html_()


def test_rows_are_saved_in_the_layout_of_the_command(tmp_path: Path) -> None:
    found = benchmark(["truth", "inverse"])
    found.save(tmp_path)
    pd.testing.assert_frame_equal(
        read_rows(tmp_path).sort_values("method", ignore_index=True),
        found.frame().sort_values("method", ignore_index=True),
    )
    with pytest.raises(ExistingResultError):
        found.save(tmp_path)


def test_a_time_limit_ends_a_method_and_keeps_the_others() -> None:
    found = benchmark(["truth", "hangs", "inverse"], time_limit=0.8)
    frame = found.frame()
    assert frame[frame["method"] == "hangs"]["status"].tolist() == ["timeout"]
    assert found.agreement[("truth", "inverse")] == pytest.approx(-1.0)
    assert (
        "hangs has no numbers (timeout: the time limit of 0.8 s, and 4 s on the clock)"
        in found.verdict()
    )


def test_fitting_on_what_is_explained_is_refused() -> None:
    with pytest.raises(LeakError, match="give fit_index"):
        benchmark(["pg_explainer"])
    with pytest.raises(LeakError, match="30 are explained and learned from"):
        benchmark(["pg_explainer"], fit_index=[30, 31])
    mask = torch.zeros(stars().data.num_nodes, dtype=torch.bool)
    mask[[5, 35]] = True
    with pytest.raises(LeakError, match="5 are explained and learned from"):
        benchmark(["pg_explainer"], fit_index=mask)


@pytest.mark.filterwarnings("ignore:no gates were found:UserWarning")
def test_hindsight_is_said_in_rows_and_verdict() -> None:
    settings = {"information_bottleneck": {"steps": 2}}
    found = benchmark(["information_bottleneck"], settings=settings, hindsight=True)
    assert found.frame()["reason"].str.contains("hindsight").all()
    assert "information_bottleneck was fitted on what it explains (hindsight)" in found.verdict()
    others = range(EXPLAINED, 43)
    honest = benchmark(["information_bottleneck"], settings=settings, fit_index=others)
    assert not honest.frame()["reason"].str.contains("hindsight").any()


def test_all_methods_without_a_fit_index_say_why_some_are_missing() -> None:
    with pytest.raises(SuiteError, match="'fidelity_plus'"):
        benchmark("all", ["fidelity_plos"])
    with pytest.raises(UnknownMethodError, match="'saliency'"):
        benchmark(["salincy"])
    with pytest.raises(SuiteError, match="'epochs'"):
        benchmark(["gnn_explainer"], settings={"gnn_explainer": {"epochz": 1}})


KINDS = (("a", "to", "b"), ("b", "back", "a"), ("b", "of", "b"))


class Typed(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(2)
        edges = {kind: SAGEConv((3, 3), 2) for kind in KINDS}
        self.conv = HeteroConv(edges)

    def forward(self, x_dict: Any, edge_index_dict: Any) -> Any:
        return self.conv(x_dict, edge_index_dict)["b"]


def test_typed_graphs_are_measured() -> None:
    generator = torch.Generator().manual_seed(4)
    data = HeteroData()
    data["a"].x = torch.randn(7, 3, generator=generator)
    data["b"].x = torch.randn(11, 3, generator=generator)
    for kind in KINDS:
        sizes = [data[end].num_nodes for end in (kind[0], kind[2])]
        ends = [torch.randint(0, size, (23,), generator=generator) for size in sizes]
        data[kind].edge_index = torch.stack(ends)
    task = gg.Task("node", node_type="b")
    methods = ["random", "saliency", "graph_lime", "attention"]
    found = gg.benchmark(Typed(), data, methods, ["fidelity", "auc"], task=task).frame()
    status = found.groupby(["method", "metric"])["status"].first()
    assert status["saliency", "fidelity_plus"] == "measured"
    assert status["saliency", "auc"] == "no_truth"
    assert status["attention", ""] == "not_applicable"


# The verdict's rules, on numbers of our choosing


def row(method: str, value: float, low: float, high: float, **more: Any) -> dict[str, Any]:
    return {
        "method": method,
        "metric": "robust_fidelity_delta",
        "level": "0.7",
        "better": "higher",
        "value": value,
        "low": low,
        "high": high,
        "n": 20,
        "floor": 0.01,
        "floor_low": -0.02,
        "floor_high": 0.04,
        "ceiling": None,
        "status": "measured",
        "reason": "",
        **more,
    }


def test_not_above_random_is_said_with_both_numbers() -> None:
    frame = pd.DataFrame([row("gnn_explainer", 0.02, -0.01, 0.05)])
    assert verdict(frame, {}) == (
        "gnn_explainer is not above random here (robust fidelity delta .02 [-.01, .05], random "
        ".01 [-.02, .04])."
    )


def test_the_best_is_named_only_where_intervals_part() -> None:
    apart = pd.DataFrame([row("a", 0.5, 0.4, 0.6), row("b", 0.2, 0.1, 0.3)])
    assert "a has the best value (.50 [.40, .60]), and its interval lies apart" in verdict(
        apart, {}
    )
    tied = pd.DataFrame([row("a", 0.5, 0.4, 0.6), row("b", 0.4, 0.3, 0.5)])
    assert "b cannot be told from it" in verdict(tied, {})


def test_agreement_and_stability_are_joined() -> None:
    stable = {"metric": "stability_seeds_rank", "level": ""}
    rows = [
        row("a", 0.5, 0.4, 0.6),
        row("b", 0.5, 0.4, 0.6),
        row("a", 0.95, 0.9, 1.0, **stable),
        row("b", 0.9, 0.85, 0.95, **stable),
        row("c", 0.03, -0.05, 0.1, **stable),
    ]
    said = verdict(pd.DataFrame(rows), {("a", "b"): 0.9})
    assert "a and b agree (rank correlation .90) and are stable." in said
    assert "c is not stable" in said


def test_where_less_is_better_the_rules_turn() -> None:
    low = {"metric": "unfaithfulness", "better": "lower", "floor": 0.5}
    interval = {"floor_low": 0.4, "floor_high": 0.6}
    rows = [row("a", 0.1, 0.05, 0.2, **low, **interval), row("b", 0.9, 0.8, 1.0, **low, **interval)]
    said = verdict(pd.DataFrame(rows), {})
    assert "a is above random" in said
    assert "b is worse than random" in said


def test_few_predictions_are_said_to_be_few() -> None:
    said = verdict(pd.DataFrame([row("a", 0.5, 0.4, 0.6, n=4)]), {})
    assert "All this rests on 4 predictions" in said


def test_nothing_measured() -> None:
    frame = pd.DataFrame([row("a", 0, 0, 0, status="failed", metric="", reason="it broke")])
    assert verdict(frame, {}) == "a has no numbers (failed: it broke)."
