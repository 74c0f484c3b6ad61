"""The motif study on a small budget: halves, areas, evidence, rows and table."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.nn import global_add_pool

import glassgraph as gg
from glassgraph.datasets import ExplanationDataset, load_dataset
from glassgraph.errors import DatasetError, UnknownMethodError
from glassgraph.models import GCN, TrainedModel, train
from glassgraph.models.training import accuracy
from glassgraph_studies import planted
from glassgraph_studies.reference.gnn_explainer import PYG
from glassgraph_studies.reproduce.motif_settings import judged
from glassgraph_studies.reproduce.motifs import attention, settings
from glassgraph_studies.reproduce.motifs import experiment as study
from glassgraph_studies.reproduce.motifs.areas import motif_areas, motif_evidence
from glassgraph_studies.reproduce.motifs.attention import LikenessConv
from tests.cli.helpers import run

KEYS = {
    "dataset", "data_seed", "network", "method", "seed", "target", "settings", "auc", "auc_own",
    "auc_by_class", "is_inverted", "published", "aim", "fitted", "explained", "fit_seconds",
    "explain_seconds", "test_accuracy", "evidence",
}  # fmt: skip


def quickly(dataset: ExplanationDataset, seed: int = 0, progress: bool = True) -> TrainedModel:
    """A small model that has hardly been trained."""
    torch.manual_seed(seed)
    model = GCN(dataset.num_features, 5, dataset.num_classes, dataset.level, normalize=False)
    training = train(model, dataset, epochs=20, seed=seed, progress=False)
    return TrainedModel(model, accuracy(model, dataset), None, True, training)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study, "reference_model", quickly)


def test_halves_do_not_meet_and_are_fixed() -> None:
    index = torch.arange(3, 64)
    fitted, explained = study.halves(index, 0)
    assert torch.equal(torch.cat([fitted, explained]).sort().values, index)
    assert (len(fitted), len(explained)) == (30, 31)
    assert torch.equal(fitted, study.halves(index, 0)[0])
    assert not torch.equal(fitted, study.halves(index, 1)[0])
    assert planted.evenly(index, 3).tolist() == [3, 33, 63]
    assert planted.evenly(index, 100) is index


@pytest.mark.usefixtures("quick")
def test_amortized_methods_never_see_what_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Tensor] = {}

    class Spy(gg.PGExplainer):
        def fit(self, data: Any, index: Any = None, *, validation: Any = None) -> Spy:
            assert validation is None
            seen["fit"] = index
            return super().fit(data, index)

        def explain(self, data: Any, index: Any = None, *rest: Any, **more: Any) -> Any:
            assert not rest
            assert not more  # predicted classes
            seen["explain"] = index
            return super().explain(data, index)

    def make(name: str, model: nn.Module, task: str, **settings: Any) -> gg.Explainer:
        assert name == "pg_explainer"
        return Spy(model, task, **{**settings, "epochs": 1})

    monkeypatch.setattr(study, "make_explainer", make)
    scene = study.Scene.make("tree-cycles", 3, progress=False)
    row = scene.measure("pg_explainer", 0)
    fitted, explained = study.halves(scene.dataset.explained, 3)
    assert torch.equal(seen["fit"], fitted)
    assert torch.equal(seen["explain"], explained)
    assert set(row) == KEYS
    assert (row["fitted"], row["explained"]) == (30, 30)
    assert (row["published"], row["aim"]) == (0.987, 0.98)
    assert row["is_inverted"] == (row["auc"] < 0.5)


def few_graphs(name: str, **_: Any) -> ExplanationDataset:
    """Twenty graphs of each kind, all to be explained."""
    whole = load_dataset(name, seed=0)
    numbers = [*range(20), *range(500, 520)]
    parts = torch.arange(40).split([20, 10, 10])
    split = dict(zip(("train", "val", "test"), parts, strict=True))
    graphs = [whole.graphs[number] for number in numbers]
    return replace(whole, graphs=graphs, explained=torch.arange(40), split=split)


class WrongWayRound(nn.Module):
    """Counts the edges, of which a house has one more, and calls graphs with more class 0."""

    def __init__(self) -> None:
        super().__init__()
        from torch_geometric.nn import SimpleConv

        self.conv = SimpleConv(aggr="sum")

    def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor) -> Tensor:
        count = global_add_pool(self.conv(torch.ones_like(x[:, :1]), edge_index), batch) - 51
        return torch.cat([count, -count], dim=1)


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    def make(_: ExplanationDataset, **__: Any) -> TrainedModel:
        model: Any = WrongWayRound()
        training: Any = None
        return TrainedModel(model, {"test": 0.0}, None, True, training)

    monkeypatch.setattr(study, "reference_model", make)
    monkeypatch.setattr(study, "load_dataset", few_graphs)


@pytest.mark.slow("rows of all classes: test_rows_and_table")
@pytest.mark.usefixtures("known")
def test_one_predicted_class_alone() -> None:
    both = study.Scene.make("ba-2motifs", 0, progress=False)
    chosen = 1 - torch.cat([graph.y for graph in both.dataset.graphs])
    index = both.dataset.explained
    assert torch.equal(study.predicted(both.trained.model, both.dataset, index), chosen)
    for target in (0, 1):
        scene = study.Scene.make("ba-2motifs", 0, None, target, progress=False)
        for name in ("fitted", "explained"):
            half = getattr(both, name)
            assert torch.equal(getattr(scene, name), half[chosen[half] == target])
        (evidence,) = scene.evidence
        assert (evidence["target"], evidence["count"]) == (target, len(scene.explained))
        row = scene.measure("pg_explainer", 0, published_settings=True)
        assert (row["target"], row["settings"], row["aim"]) == (target, "published", None)
        assert (row["fitted"], row["explained"]) == (len(scene.fitted), len(scene.explained))
        assert row["auc_by_class"][target] == row["auc"]
        assert row["auc_by_class"][1 - target] is None
        assert scene.measure("saliency", 0, published_settings=True)["settings"] == "chosen"
    with pytest.raises(DatasetError, match="predicts class 2 nowhere"):
        study.Scene.make("ba-2motifs", 0, None, 2, progress=False)


@pytest.mark.usefixtures("known")
def test_settings_and_class_reach_the_study(tmp_path: Path) -> None:
    result = run(
        "reproduce", "motifs", "--dataset", "ba-2motifs", "--method", "pg_explainer",
        "--seeds", 1, "--target", 1, "--published-settings", "--quiet",
        "--json", tmp_path / "rows.json",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    (row,) = json.loads((tmp_path / "rows.json").read_text())
    assert (row["target"], row["settings"]) == (1, "published")
    assert "class 1 alone" in result.stdout
    with pytest.raises(DatasetError, match="tree-cycles is a single graph"):
        list(study.run_motifs(["tree-cycles"], ["saliency"], target=0))


class OneLocal(list[Any]):
    """Explanations of one prediction."""

    def local(self, position: int) -> Any:
        return self[position]


def test_areas_by_hand() -> None:
    """Edges 0-1 (own motif), 1-2 (another motif) and 2-3 (none), in both directions."""
    ends = torch.tensor([[0, 1, 1, 2, 2, 3], [1, 0, 2, 1, 3, 2]])
    planted = torch.tensor([True, True, True, True, False, False])
    own = torch.tensor([True, True, False, False, False, False])

    def areas(score: list[float]) -> tuple[float, float]:
        local = SimpleNamespace(
            edge_index=ends,
            edge_id=torch.arange(6),
            edge_truth=own,
            edge_score=torch.tensor(score),
            graph=0,
            index=0,
        )
        dataset: Any = SimpleNamespace(
            name="by hand", level="node", graphs=[SimpleNamespace(ground_truth_edge_mask=planted)]
        )
        explanations: Any = OneLocal([local])
        return motif_areas(explanations, dataset)

    assert areas([3, 3, 2, 2, 1, 1]) == (1.0, 1.0)
    assert areas([2, 2, 3, 3, 1, 1]) == (1.0, 0.5)
    assert areas([0, 5, 2, 2, 4, 0]) == (0.75, 1.0)  # means 2.5, 2, 2: half of a tie
    assert areas([1, 1, 2, 2, 3, 3]) == (0.0, 0.0)


class OnlyMotifs(nn.Module):
    """Adds up what arrives: class 1 for three and more."""

    def __init__(self) -> None:
        super().__init__()
        from torch_geometric.nn import SimpleConv

        self.conv = SimpleConv(aggr="sum")

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        total = self.conv(x[:, :1], edge_index) - 1.5
        return torch.cat([-total, total], dim=1)


def test_evidence_by_hand() -> None:
    dataset = load_dataset("tree-cycles", seed=0)
    graph = dataset.graphs[0]
    index = dataset.explained[:7]
    (found,) = motif_evidence(OnlyMotifs(), dataset, index)

    def mean(kept: Tensor) -> float:
        heard = torch.bincount(graph.edge_index[1][kept], minlength=graph.num_nodes) - 1.5
        every = torch.bincount(graph.edge_index[1], minlength=graph.num_nodes) - 1.5
        sign = every.sign()
        return float(torch.sigmoid(2 * sign * heard)[index].mean())

    mask = graph.ground_truth_edge_mask
    expected = {"p_whole": mean(mask | ~mask), "p_motif": mean(mask), "p_rest": mean(~mask)}
    assert (found.pop("target"), found.pop("count")) == (None, 7)
    assert found == pytest.approx(expected, rel=1e-5)


@pytest.mark.usefixtures("quick")
@pytest.mark.filterwarnings("always:cam is left out")
def test_rows_and_table(tmp_path: Path) -> None:
    result = run(
        "reproduce", "motifs", "--dataset", "tree-cycles", "--method", "cam",
        "--method", "pg_explainer", "--method", "grad_cam", "--method", "occlusion",
        "--seeds", 2, "--instances", 4, "--quiet", "--json", tmp_path / "rows.json",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    rows = json.loads((tmp_path / "rows.json").read_text())
    order = [(row["method"], row["seed"]) for row in rows]
    assert order == [("pg_explainer", 0), ("pg_explainer", 1), ("grad_cam", 0), ("occlusion", 0)]
    assert all(row["explained"] == 4 for row in rows)
    assert [row["fitted"] for row in rows] == [30, 30, 0, 0]
    assert "cam is left out on tree-cycles" in result.stderr
    summary = study.summarize(rows)["tree-cycles", "pg_explainer"]
    assert summary.aucs == [rows[0]["auc"], rows[1]["auc"]]
    line = next(line for line in result.stdout.splitlines() if "pg_explainer" in line)
    assert f"{summary.mean:.3f}±{summary.std:.3f}" in line
    assert "0.987" in line
    for row in rows:
        mark = "*" if row["auc"] < 0.5 else " "
        assert f" {row['auc']:.3f}{mark}" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80


@pytest.mark.usefixtures("quick")
def test_several_models_have_an_interval_over_models(tmp_path: Path) -> None:
    result = run(
        "reproduce", "motifs", "--dataset", "tree-cycles", "--method", "edge_gradients",
        "--method", "random", "--models", 2, "--seeds", 2, "--instances", 4, "--quiet",
        "--data-seed", 5, "--json", tmp_path / "rows.json",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    rows = json.loads((tmp_path / "rows.json").read_text())
    order = [(row["data_seed"], row["method"], row["seed"]) for row in rows]
    assert order == [
        (5, "edge_gradients", 0), (5, "random", 0), (5, "random", 1),
        (6, "edge_gradients", 0), (6, "random", 0), (6, "random", 1),
    ]  # fmt: skip
    assert rows[0]["published"] == 0.905
    summary = study.summarize(rows)["tree-cycles", "random"]
    models = [sum(row["auc_own"] for row in rows[at : at + 2]) / 2 for at in (1, 4)]
    assert summary.interval == pytest.approx((min(models), max(models)))  # of two, either or both
    assert study.summarize(rows[:3])["tree-cycles", "random"].interval is None
    low, high = study.summarize(rows)["tree-cycles", "edge_gradients"].interval or (0, 0)
    assert f"{low:.3f} to {high:.3f}" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_a_gradient_counts_by_its_size() -> None:
    assert settings.RANKINGS == {"edge_gradients": "absolute"}
    ends = torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]])
    local = SimpleNamespace(
        edge_index=ends, edge_id=torch.arange(4), edge_truth=torch.tensor([1, 1, 0, 0]).bool(),
        edge_score=torch.tensor([-3.0, -3.0, 1.0, 1.0]), graph=0, index=0, layer_edge_score=None,
    )  # fmt: skip
    graph = SimpleNamespace(ground_truth_edge_mask=local.edge_truth)
    dataset: Any = SimpleNamespace(name="by hand", level="node", graphs=[graph])
    explanations: Any = OneLocal([local])
    assert motif_areas(explanations, dataset) == (0.0, 0.0)
    assert motif_areas(explanations, dataset, ranking="absolute") == (1.0, 1.0)


def test_likeness_is_the_weight_of_a_message() -> None:
    """Two nodes hear each other, the third one hears both: sums of weights times values."""
    torch.manual_seed(1)
    conv = LikenessConv(3, 2)
    x = torch.rand(3, 3)
    ends = torch.tensor([[0, 1, 0, 1], [1, 0, 2, 2]])
    key, value = x @ conv.key.weight.t(), x @ conv.value.weight.t()
    expected = torch.stack(
        [
            (key[0] @ key[1]) * value[1],
            (key[0] @ key[1]) * value[0],
            (key[0] @ key[2]) * value[0] + (key[1] @ key[2]) * value[1],
        ]
    )
    torch.testing.assert_close(conv(x, ends), expected + conv.bias)


def test_attention_has_a_network_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention, "EPOCHS", 4)
    rows = list(
        study.run_motifs(
            ["tree-cycles"], ["attention"], network="attention", instances=4, progress=False
        )
    )
    assert [(row["network"], row["published"]) for row in rows] == [("attention", 0.824)]
    assert 0 <= rows[0]["auc"] <= 1
    with pytest.raises(DatasetError, match="attention is for data sets of nodes; ba-2motifs"):
        list(study.run_motifs(["ba-2motifs"], ["attention"], network="attention"))


def test_what_does_not_exist_is_told_before_anything_is_trained() -> None:
    with pytest.raises(UnknownMethodError, match="no method 'magic'"):
        list(study.run_motifs(["tree-cycles"], ["magic"]))
    with pytest.raises(DatasetError, match="'infection' has no motifs"):
        list(study.run_motifs(["infection"], ["saliency"]))
    with pytest.raises(DatasetError, match="the folder of Mutagenicity_A"):
        list(study.run_motifs(["mutagenicity"], ["saliency"]))


def test_files_are_found_in_the_folder_or_below(tmp_path: Path) -> None:
    own = tmp_path / "some_name"
    own.mkdir()
    (own / "MUTAG_A.txt").touch()
    assert planted.find_files("mutag", tmp_path) == own
    assert planted.find_files("mutag", own) == own
    with pytest.raises(DatasetError, match="Mutagenicity_A"):
        planted.find_files("mutagenicity", tmp_path)


@pytest.mark.usefixtures("quick")
def test_a_method_that_does_not_apply_is_left_out() -> None:
    with pytest.warns(planted.LeftOutWarning, match="attention is left out on tree-cycles"):
        rows = list(study.run_motifs(["tree-cycles"], ["attention"], progress=False))
    assert rows == []


@pytest.mark.usefixtures("quick")
def test_settings_are_judged_on_other_seeds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(judged.SPACE, "epochs", (2,))
    monkeypatch.setitem(judged.NAMED, "gnn_explainer", {})
    result = run(
        "reproduce", "motif-settings", "--dataset", "tree-cycles", "--data-seed", 5, "--draws", 1,
        "--instances", 3, "--quiet", "--json", tmp_path / "rows.json",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    rows = json.loads((tmp_path / "rows.json").read_text())
    assert {row["data_seed"] for row in rows} == {5}
    assert [row["name"] for row in rows][-4:] == ["0", "saliency", "occlusion", "random"]
    by_delta = sorted(rows, key=lambda row: row["robust_delta"])
    assert f" {by_delta[-1]['name']} " in result.stdout
    from glassgraph_studies.reproduce.motif_settings.experiment import run_search

    with pytest.raises(DatasetError, match="'infection' has no motifs"):
        list(run_search(["infection"]))
    with pytest.raises(UnknownMethodError, match="of 'pg_explain' to judge; did you mean 'pg_exp"):
        list(run_search(method="pg_explain"))


def test_settings_come_in_order_of_the_way_from_random_to_the_best() -> None:
    from glassgraph_studies.reproduce.motif_settings.experiment import (
        best_of_each,
        drawn_settings,
        ranked,
    )

    deltas = {"a": {"one": 0.1, "two": 0.3, "random": -0.1}, "b": {"one": 4, "two": 3, "random": 2}}
    rows = [
        {
            "dataset": dataset, "data_seed": 7, "name": name, "robust_delta": delta, "seconds": 1.0,
            "method": "random" if name == "random" else "gnn_explainer", "settings": {},
            "auc": 1 - delta / 10,
        }
        for dataset, found in deltas.items() for name, delta in found.items()
    ]  # fmt: skip
    first, second, last = ranked(rows)
    assert {first["name"], second["name"]} == {"one", "two"}
    for row in (first, second):  # half of the way on one set, all of it on the other
        assert (row["share"], row["least"]) == pytest.approx((0.75, 0.5))
    assert (last["name"], last["share"]) == ("random", 0.0)
    best = {(row["dataset"], row["by"]): row["name"] for row in best_of_each(rows)}
    assert best == {
        ("a", "robust_delta"): "two", ("a", "auc"): "one",
        ("b", "robust_delta"): "one", ("b", "auc"): "two",
    }  # fmt: skip
    assert drawn_settings(3) == drawn_settings(5)[:3]


def test_settings_of_pyg_are_those_of_the_method() -> None:
    assert gg.GNNExplainer.pyg_settings == PYG
    assert judged.NAMED["gnn_explainer"]["authors"] == gg.GNNExplainer.authors_settings


def test_every_setting_that_is_judged_is_known() -> None:
    for method, named in judged.NAMED.items():
        for chosen in named.values():
            gg.explainers.registry.make_explainer(method, GCN(3, 4, 2, "node"), "node", **chosen)


@pytest.mark.slow("halves do not meet: test_halves_do_not_meet_and_are_fixed")
def test_a_method_that_learns_is_fitted_on_the_other_half(monkeypatch: pytest.MonkeyPatch) -> None:
    from glassgraph_studies.reproduce.motif_settings import experiment

    scene = study.Scene.make("tree-cycles", 0, progress=False)
    seen: dict[str, Any] = {}

    class Spy(gg.PGExplainer):
        def fit(self, data: Any, index: Any = None, *, validation: Any = None) -> Spy:
            seen["fit"] = index
            return super().fit(data, index)

    monkeypatch.setattr(
        experiment, "make_explainer", lambda _, model, level, **more: Spy(model, level, **more)
    )
    row = experiment.judge(scene, "pg_explainer", {"epochs": 1}, 2)
    assert torch.equal(seen["fit"], scene.fitted)
    assert row["settings"] == {"epochs": 1}


def test_every_setting_is_known() -> None:
    for method, datasets in [*settings.SETTINGS.items(), *settings.PUBLISHED_SETTINGS.items()]:
        assert set(datasets) <= set(planted.DATASETS)
        for name, chosen in datasets.items():
            level = "node" if name in planted.GENERATED[:4] else "graph"
            model = GCN(3, 4, 2, level)
            gg.explainers.registry.make_explainer(method, model, level, **chosen)
    published = settings.PUBLISHED["pg_explainer"]
    assert set(settings.AIMS) == set(published) == set(planted.DATASETS[:6])
