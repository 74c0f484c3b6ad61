"""The XGNN study in small, with classifiers that know the answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import networkx as nx
import pytest
import torch
from torch import Tensor, nn
from torch_geometric.nn import global_add_pool

from glassgraph.datasets import ExplanationDataset
from glassgraph.datasets.is_acyclic import is_acyclic
from glassgraph.errors import DatasetError, HyperParameterError
from glassgraph.models import TrainedModel
from glassgraph_studies.reproduce.xgnn import bars as xgnn_bars
from glassgraph_studies.reproduce.xgnn import experiment as study
from glassgraph_studies.reproduce.xgnn import graphs as xgnn_graphs
from tests.cli.helpers import run


class Counts(nn.Module):
    """Nodes minus edges, 1 for trees: exact for connected graphs whose features are degrees."""

    def __init__(self, sign: float = 1.0) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(20.0 * sign))

    def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor) -> Tensor:
        surplus = self.scale * (global_add_pool(1 - x[:, 0] / 2, batch) - 0.5)
        return torch.stack([-surplus, surplus], dim=1)


class Nitro(nn.Module):
    """The more nitrogen and oxygen, the surer is class 1; carbon alone is class 0."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([-3.0, 9.0, 9.0, -9.0, -9.0, -9.0, -9.0]))

    def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor) -> Tensor:
        total = global_add_pool(x @ self.weight, batch)
        return torch.stack([-total, total], dim=1)


def known(*_: Any, **__: Any) -> TrainedModel:
    model: Any = Counts()
    training: Any = None
    return TrainedModel(model, {"train": 1.0, "val": 1.0, "test": 1.0}, None, True, training)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    load = study.load_dataset

    def few(name: str, root: Path | None = None, seed: int = 0) -> ExplanationDataset:
        return is_acyclic(seed, 22, (3, 9)) if name == "is-acyclic" else load(name, root, seed)

    monkeypatch.setattr(study, "load_dataset", few)
    monkeypatch.setattr(study, "reference_model", known)
    monkeypatch.setattr(study, "mutag_model", lambda seed: Nitro())
    monkeypatch.setitem(study.MUTAG_TRAINING, "epochs", 1)
    monkeypatch.setitem(study.MUTAG_TRAINING, "learning_rate", 1e-6)
    monkeypatch.setattr(study, "_EPISODES", 3)
    monkeypatch.setattr(study, "_ROLLOUTS", 2)


def molecule(atoms: str, bonds: list[tuple[int, int]]) -> nx.Graph[int]:
    graph: nx.Graph[int] = nx.Graph(bonds)
    graph.add_nodes_from((i, {"type": atom}) for i, atom in enumerate(atoms.split()))
    return graph


def test_motifs_cycles_and_valences_by_hand() -> None:
    ring = [(0, 1), (1, 2), (2, 0)]
    assert xgnn_graphs.motifs(molecule("C C C", ring)) == ["carbon ring"]
    assert xgnn_graphs.motifs(molecule("C N C", ring)) == []  # a ring, not of carbon alone
    assert xgnn_graphs.motifs(molecule("C N O O", [(0, 1), (1, 2), (1, 3)])) == ["NO2"]
    assert xgnn_graphs.motifs(molecule("C N O O C", [(0, 1), (1, 2), (1, 3), (3, 4)])) == []
    nitrobenzene = molecule(
        "C C C C C C N O O", [*((i, (i + 1) % 6) for i in range(6)), (0, 6), (6, 7), (6, 8)]
    )
    assert xgnn_graphs.motifs(nitrobenzene) == ["carbon ring", "NO2"]
    assert xgnn_graphs.has_cycle(nitrobenzene)
    assert not xgnn_graphs.has_cycle(nx.path_graph(7))
    assert xgnn_graphs.has_cycle(nx.disjoint_union(nx.path_graph(4), nx.cycle_graph(3)))
    assert xgnn_graphs.is_valid(nitrobenzene, is_molecule=True)
    two_neighbors = molecule("C F C", [(0, 1), (1, 2)])  # fluorine
    assert not xgnn_graphs.is_valid(two_neighbors, is_molecule=True)
    assert xgnn_graphs.is_valid(two_neighbors, is_molecule=False)
    assert not xgnn_graphs.is_valid(nx.empty_graph(2), is_molecule=False)


def test_every_small_graph_is_asked_about() -> None:
    graphs = xgnn_graphs.small_graphs()
    assert len(graphs) == 2 + 6 + 21 + 112 + 853  # connected graphs of 3 to 7 nodes (OEIS A001349)
    assert sum(int(graph.y) for graph in graphs) == 1 + 2 + 3 + 6 + 11  # trees (A000055)
    right, wrong = (
        xgnn_graphs.small_accuracy(Counts(), 5),
        xgnn_graphs.small_accuracy(Counts(-1.0), 5),
    )
    sizes = {3, 4, 5}
    assert right == {name: dict.fromkeys(sizes, 1.0) for name in ("cyclic", "acyclic")}
    assert wrong == {name: dict.fromkeys(sizes, 0.0) for name in ("cyclic", "acyclic")}


@pytest.mark.usefixtures("quick")
def test_graphs_of_a_class_have_what_the_class_is_about() -> None:
    outcomes = list(
        study.run_xgnn(["is-acyclic"], [2], max_nodes=[4], iterations=2, progress=False)
    )
    classifier, cyclic, acyclic, speed = (outcome.row for outcome in outcomes)
    assert [row["kind"] for row in (classifier, cyclic, speed)] == [
        "classifier", "generator", "speed",
    ]  # fmt: skip
    assert classifier["small"]["cyclic"][7] == 1
    assert (cyclic["name"], acyclic["name"]) == ("cyclic", "acyclic")
    assert (cyclic["with_cycle"], acyclic["with_cycle"]) == (1, 0)
    for outcome in outcomes[1:3]:
        row, generated = outcome.row, outcome.generated
        assert generated is not None
        assert row["probability"] == pytest.approx(float(generated.probability.mean()))
        assert row["probability"] > 0.99
        assert row["valid"] == 1
        assert (row["seed"], row["max_nodes"], row["graphs"]) == (2, 4, study.NUMBER)
        assert outcome.matched is not None
        assert row["matched_probability"] > 0.99  # nodes and edges decide
    assert speed["times"] == pytest.approx(speed["one_at_a_time_seconds"] / speed["seconds"])
    assert speed["rollouts"] == 6


def test_bars_by_hand() -> None:
    row: dict[str, Any] = {
        "dataset": "mutag", "seed": 1, "name": "mutagenic", "target": 1, "max_nodes": 7,
        "probability": 0.95, "random_probability": 0.475, "fit_seconds": 60.0, "valid": 1.0,
        "best_motifs": ["NO2"], "with_cycle": 0.3,
    }  # fmt: skip
    assert xgnn_bars.missed_bars(row) == []
    for change, words in (
        ({"probability": 0.949}, "probability 0.949"),
        ({"random_probability": 0.476}, "random graphs reach 0.476"),
        ({"fit_seconds": 61.0}, "fit in 61 s"),
        ({"valid": 0.9}, "90% valid"),
        ({"best_motifs": []}, "no known motif"),
    ):
        found = xgnn_bars.missed_bars({**row, **change})
        assert words in found[0]
        assert found[0].startswith("mutag, seed 1, mutagenic, at most 7 nodes: ")
    assert xgnn_bars.missed_bars({**row, "probability": 0.1, "max_nodes": 6}) == []
    toy = {
        **row,
        "dataset": "is-acyclic",
        "max_nodes": 3,
        "random_probability": 1.0,
        "best_motifs": [],
    }
    assert xgnn_bars.missed_bars({**toy, "target": 1, "with_cycle": 0.0}) == []
    assert xgnn_bars.missed_bars({**toy, "target": 0, "with_cycle": 1.0}) == []
    for target, share in ((1, 0.1), (0, 0.9)):
        (line,) = xgnn_bars.missed_bars({**toy, "target": target, "with_cycle": share})
        assert f"{share:.0%} with a cycle" in line


def test_the_classifier_of_molecules_has_its_own_random_numbers() -> None:
    state = torch.get_rng_state()
    first, again, other = (study.mutag_model(seed).head.weight for seed in (6, 6, 7))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert first.shape == (2, 3 * 3 * 20)  # three layers, each pooled in three ways


def test_means_over_seeds() -> None:
    row = {
        "kind": "generator", "dataset": "mutag", "name": "mutagenic", "max_nodes": 7,
        "probability": 1.0, "random_probability": 0.5, "matched_probability": 0.25,
        "with_cycle": 1.0, "valid": 1.0, "fit_seconds": 3.0, "best_motifs": ["NO2"],
    }  # fmt: skip
    other = {**row, "probability": 0.5, "best_motifs": [], "fit_seconds": 5.0}
    (found,) = xgnn_bars.summarize([row, {"kind": "speed"}, other])
    assert (found["probability"], found["least"], found["seeds"]) == (0.75, 0.5, 2)
    assert (found["best_with_motif"], found["fit_seconds"]) == (0.5, 4.0)


@pytest.mark.slow("rows by hand stand above; commands: test_runner.py")
@pytest.mark.usefixtures("quick")
def test_the_command_prints_draws_and_writes(tmp_path: Path) -> None:
    result = run(
        "reproduce", "xgnn", "--dataset", "is-acyclic", "--seeds", 1, "--max-nodes", 3,
        "--max-nodes", 4, "--iterations", 1, "--json", tmp_path / "rows.json",
        "--figure", tmp_path / "best.png", "--html", tmp_path / "pages",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    rows = json.loads((tmp_path / "rows.json").read_text())
    assert [row["kind"] for row in rows] == ["classifier", *["generator"] * 4, "speed"]
    lines = [line.split() for line in result.stdout.splitlines()]
    own = next(line for line in lines if line[:2] == ["cyclic", "4"])
    assert own[2] == f"{rows[2]['probability']:.3f}"
    assert own[6:9] == ["100", "100", "-"]
    assert next(line for line in lines if line[:2] == ["is-acyclic", "test"])[-1] == "1.000"
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert (tmp_path / "best.png").stat().st_size > 5000
    pages = sorted(page.name for page in (tmp_path / "pages").glob("*.html"))
    assert pages == [
        f"is-acyclic-{name}-{size}.html" for name in ("acyclic", "cyclic") for size in (3, 4)
    ]
    assert "is-acyclic, seed 0, cyclic, at most 4 nodes: " in result.stderr


@pytest.mark.slow("rows by hand stand above; commands: test_runner.py")
@pytest.mark.usefixtures("quick")
def test_molecules_and_cross_validation(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, int]] = []

    def folds(dataset: ExplanationDataset, make: Any, training: Any, **more: Any) -> list[float]:
        assert len(dataset.graphs) == 188
        assert make is study.mutag_model
        assert training is study.MUTAG_TRAINING
        seen.append((more["protocol"], more["seed"]))
        return [0.75, 1.0] if more["protocol"] == "test" else [0.5, 1.0]

    monkeypatch.setattr(study, "cross_validate", folds)
    result = run(
        "reproduce", "xgnn", "--dataset", "mutag", "--root", shared / "data", "--seeds", 1,
        "--max-nodes", 4, "--iterations", 1, "--fold-seeds", 2, "--quiet",
        "--json", tmp_path / "rows.json",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert seen == [(name, seed) for name in study.PROTOCOLS for seed in (0, 1)]
    rows = json.loads((tmp_path / "rows.json").read_text())
    (molecules,) = [row for row in rows if row["kind"] == "generator"]
    assert molecules["valid"] == 1
    assert molecules["best"].startswith("C1 ")  # growing begins with carbon, which it has to keep
    assert "missed: mutag: accuracy 0.750 by cross-validation (validation)" in result.stderr
    assert "(test)" not in result.stderr  # the optimistic protocol meets no bar
    assert max(map(len, result.stdout.splitlines())) <= 80
    line = next(line for line in result.stdout.splitlines() if "2, by test" in line)
    assert line.split()[-5:] == ["0.963", "0.875", "0.125", "0.875", "-"]


@pytest.mark.usefixtures("quick")
def test_the_reference_model_of_molecules(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def reference(dataset: ExplanationDataset, **_: Any) -> TrainedModel:
        assert dataset.name == "mutag"
        model, training = cast(Any, Nitro()), cast(Any, None)
        return TrainedModel(model, {"val": 0.5, "test": 0.25}, None, True, training)

    monkeypatch.setattr(study, "reference_model", reference)
    monkeypatch.setattr(study, "mutag_model", None)
    outcomes = list(study.run_xgnn(
        ["mutag"], [0], root=shared / "data", max_nodes=[3], iterations=1, reference=True,
        progress=False,
    ))  # fmt: skip
    assert [outcome.row["kind"] for outcome in outcomes] == ["classifier", "generator", "speed"]
    assert outcomes[0].row["accuracy"]["test"] == 0.25


def test_common_atoms_keep_their_columns() -> None:
    scene = study.Scene("mutag", 0, cast(Any, None), Nitro(), {}, common_atoms=True)
    xgnn = scene.explainer(3, iterations=1)
    xgnn.fit(1)
    drawn = xgnn.random(20)
    total = {"C": -3.0, "N": 9.0, "O": 9.0, "Cl": -9.0}
    seen = set()
    for position, graph in enumerate(drawn):
        kinds = [kind for _, kind in drawn.to_networkx(position).nodes(data="type")]
        seen |= set(kinds)
        logit = torch.tensor(2 * sum(total[kind] for kind in kinds))
        assert float(graph.probabilities[1]) == pytest.approx(float(logit.sigmoid()), abs=1e-6)
    assert seen == set(study.COMMON_ATOMS)


def test_what_does_not_exist_is_told_before_anything_is_trained(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no problem 'cora'"):
        list(study.run_xgnn(["cora"]))
    with pytest.raises(DatasetError, match="mutag is read from files"):
        list(study.run_xgnn(["is-acyclic", "mutag"]))
    with pytest.raises(HyperParameterError, match="has the classes 0 and 1; got 2"):
        list(study.run_xgnn(targets=[2]))
    with pytest.raises(HyperParameterError, match="max_nodes must be at least 3, got 2"):
        list(study.run_xgnn(max_nodes=[2]))
    with pytest.raises(HyperParameterError, match="about mutag, not is-acyclic"):
        list(study.run_xgnn(["is-acyclic"], common_atoms=True))
    result = run("reproduce", "xgnn", "--dataset", "mutag", "--root", tmp_path / "none", "--quiet")
    assert result.exit_code == 2
    assert "root must be the folder of MUTAG_A.txt" in result.stderr
    result = run("reproduce", "xgnn", "--dataset", "enzymes", "--quiet")
    assert result.exit_code == 2
    assert "no problem 'enzymes'" in result.stderr
    result = run("reproduce", "xgnn", "--figure", tmp_path / "figure.doc", "--quiet")
    assert result.exit_code == 2
    assert "must end in .pdf, .png, .svg" in result.stderr
