"""The speed study on a small budget: its rows, its accuracy, and what it leaves out."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch_geometric.data import Data

import glassgraph as gg
from glassgraph.datasets import load_dataset
from glassgraph.models.gnn import GAT, GCN, GNN, Body
from glassgraph.results.explanation import LocalExplanation
from glassgraph_studies import timing
from glassgraph_studies.bench.speed import experiment as speed
from glassgraph_studies.bench.speed import models as speed_models
from glassgraph_studies.bench.speed.experiment import pooled_auc, run_speed_bench
from glassgraph_studies.bench.speed.models import trained_model
from glassgraph_studies.bench.speed.study import tables
from glassgraph_studies.planted import LeftOutWarning
from glassgraph_studies.reference import peers as speed_peers
from glassgraph_studies.reference.passes import LITERAL, Scores
from glassgraph_studies.reference.peers import PEERS
from glassgraph_studies.reference.searches import SEARCHES, SETTINGS

COLUMNS = {
    "clock", "dataset", "method", "peer", "model", "instances", "ours_s_per_instance",
    "peer_s_per_instance", "ratio", "ours_auc", "peer_auc", "max_difference", "repeats", "threads",
    "saliency_auc", "device", "prepare_s", "test_accuracy",
}  # fmt: skip
WALK_COLUMNS = {"num_walks", "literal_walks_timed", "plain_s_per_instance"}


def local(ends: list[tuple[int, int]], truth: list[bool]) -> LocalExplanation:
    empty = torch.zeros(0)
    return LocalExplanation(
        index=0, graph=0, target=0, prediction=empty, label=None, seeds=empty, node_id=empty,
        node_type=None, edge_id=torch.arange(len(ends)), edge_type=None,
        edge_index=torch.tensor(ends).t(), edge_score=None, layer_edge_score=None,
        node_score=None, feature_score=None, edge_truth=torch.tensor(truth),
    )  # fmt: skip


def test_directions_of_an_edge_are_averaged() -> None:
    # Pairs {0, 1}: mean 2, true; {1, 2}: 1.5, false; {2, 3}: 3, false. One of two is beaten.
    one = local([(0, 1), (1, 0), (1, 2), (2, 3)], [True, True, False, False])
    assert pooled_auc([one], [torch.tensor([1.0, 3.0, 1.5, 3.0])]) == 0.5


def test_scores_count_by_magnitude_and_instances_are_pooled() -> None:
    one, two = local([(0, 1)], [True]), local([(0, 1)], [False])
    assert pooled_auc([one, two], [torch.tensor([-2.0]), torch.tensor([1.0])]) == 1.0
    assert pooled_auc([one, two], [torch.tensor([0.5]), torch.tensor([1.0])]) == 0.0


def test_without_ground_truth_there_is_no_area() -> None:
    assert pooled_auc([local([(0, 1)], [True])], [torch.tensor([1.0])]) is None


@pytest.fixture
def untrained(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any weights will do where the time is not looked at."""

    def models(name: str, dataset: Any, seed: int, *, progress: bool) -> tuple[GNN, float]:
        sizes = dataset.num_features, 8, dataset.num_classes
        if name == "gat":
            return GAT(*sizes, level=dataset.level).eval(), 0.5
        body = Body(concat=False, pool=("mean",))
        model = GCN(*sizes, level=dataset.level, normalize=False, body=body)
        return model.eval(), 0.5

    monkeypatch.setattr(speed, "trained_model", models)


def check(rows: list[dict[str, Any]], methods: list[str]) -> None:
    assert [row["method"] for row in rows] == methods
    for row in rows:
        assert set(row) == COLUMNS | (WALK_COLUMNS if row["method"] == "gnn_lrp" else set())
        assert row["peer"] == PEERS[row["method"]]
        assert row["ratio"] == pytest.approx(
            row["peer_s_per_instance"] / row["ours_s_per_instance"]
        )


def test_rows_beside_pyg(untrained: None) -> None:
    methods = ["saliency", "edge_gradients", "attention"]
    rows = list(run_speed_bench(["tree-cycles"], methods, instances=5, repeats=1, progress=False))
    check(rows, methods)
    assert {row["instances"] for row in rows} == {5}
    assert rows[0]["saliency_auc"] == rows[0]["ours_auc"]
    assert rows[0]["max_difference"] is None  # ours are squares
    assert rows[1]["max_difference"] < 1e-5  # the same gradient on the same edges
    assert rows[2]["max_difference"] == 0.0
    assert rows[2]["model"] == "gat"


@pytest.mark.parametrize("dataset", ["tree-cycles", "ba-2motifs"])
@pytest.mark.slow("the literal versions: test_literal.py")
def test_rows_beside_literal_versions(
    untrained: None, dataset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speed_peers, "_TIMED_WALKS", 5)
    for name, value in {"rollouts": 1, "expand_atoms": 2, "samples": 2}.items():
        monkeypatch.setitem(SETTINGS["subgraphx"], name, value)
    methods = [name for name, peer in PEERS.items() if peer == "literal" and name != "relex"]
    if dataset == "tree-cycles":
        methods.remove("cam")
    rows = list(run_speed_bench([dataset], methods, 2, repeats=1, progress=False))
    check(rows, methods)
    for row in rows:
        assert row["max_difference"] < 1e-5, row
        if row["peer_auc"] is not None:
            assert row["method"] in ("cam", "grad_cam", *SEARCHES)
            assert row["peer_auc"] == pytest.approx(row["ours_auc"], abs=1e-3)
    assert rows[-1]["method"] == "gnn_lrp"
    assert 0 < rows[-1]["literal_walks_timed"] <= rows[-1]["num_walks"]


@pytest.mark.slow("other literal versions: test_rows_beside_literal_versions")
def test_a_row_beside_surrogates_trained_one_by_one(untrained: None) -> None:
    rows = list(run_speed_bench(["tree-cycles"], ["relex"], 2, repeats=1, progress=False))
    check(rows, ["relex"])
    assert rows[0]["max_difference"] < 1e-2  # hundreds of steps in single precision
    assert rows[0]["peer_auc"] == pytest.approx(rows[0]["ours_auc"], abs=1e-2)


def test_a_row_beside_pyg_and_the_loop(untrained: None) -> None:
    method = "pgm_explainer"
    (row,) = run_speed_bench(["tree-cycles"], [method], 2, repeats=1, progress=False)
    assert row["peer"] == "pyg"
    assert row["literal_s_per_instance"] > 0
    assert row["max_difference"] is None  # each draws samples of its own


def test_scores_that_differ_are_told(untrained: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def one_off(model: GNN, graph: Data, node: int | None) -> Scores:
        scores = LITERAL["lrp"](model, graph, node).node
        assert scores is not None
        scores[0] += scores.abs().max()  # one that no receptive field need have
        return Scores(node=scores)

    monkeypatch.setattr(speed_peers, "LITERAL", {"lrp": one_off})
    (row,) = run_speed_bench(["tree-cycles"], ["lrp"], 3, repeats=1, progress=False)
    assert row["max_difference"] > 0.4


def test_a_method_that_cannot_explain_a_data_set_is_left_out() -> None:
    with pytest.warns(LeftOutWarning, match="cam is left out on tree-cycles"):
        assert list(run_speed_bench(["tree-cycles"], ["cam"], progress=False)) == []


@pytest.mark.slow("rows of other models: test_rows_beside_pyg")
def test_models_of_attention_and_cam_are_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(speed_models._SHORT, "graph", {"epochs": 1, "patience": 1})
    dataset = load_dataset("ba-2motifs")
    for name, kind in (("gat", GAT), ("mean pooling", GCN)):
        model, accuracy = trained_model(name, dataset, 0, progress=False)
        assert isinstance(model, kind)
        assert not model.training
        assert 0 <= accuracy <= 1


def test_a_method_that_is_fitted_needs_a_peer() -> None:
    with pytest.raises(gg.errors.UnknownMethodError, match="graphmask has no peer and learns"):
        list(run_speed_bench(["tree-cycles"], ["graphmask"]))


def test_a_method_that_nobody_knows() -> None:
    with pytest.raises(gg.errors.UnknownMethodError, match="no method 'salincy'; did you mean"):
        list(run_speed_bench(["tree-cycles"], ["salincy"]))


@pytest.mark.slow("rows beside peers: test_rows_beside_pyg")
def test_a_method_of_ones_own_is_measured_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    class Ones(gg.Explainer):
        name = "ones"
        traits = gg.Traits(family="baseline", scores=("edge",))

        def attribute(self, batch: Any) -> gg.Attribution:
            return gg.Attribution(edge=batch.ones())

    monkeypatch.setitem(speed_models._SHORT, "node", {"epochs": 1, "patience": 1})
    gg.register(Ones)
    (row,) = run_speed_bench(["tree-cycles"], ["ones"], instances=3, repeats=1, progress=False)
    assert row["peer"] == "none"
    assert row["ratio"] is None
    assert row["peer_s_per_instance"] is None
    assert row["ours_s_per_instance"] > 0
    assert row["ours_auc"] == 0.5  # all scores are one
    (table,) = tables([{**row, "repeats": 1, "threads": 1}])
    assert "without a peer" in table.title


def test_the_clock_is_the_processors_inside_the_block_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(timing, "CLOCKS", {"wall": lambda: 1.0, "processor": lambda: 2.0})
    with timing.clock("processor"):
        assert timing.now() == 2.0
    assert timing.now() == 1.0
