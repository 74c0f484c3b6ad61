"""The infection study in small: searches against the authors' loops, and what counts as found."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch_geometric.data import Data

from glassgraph.datasets import ExplanationDataset
from glassgraph.datasets.infection import infection
from glassgraph.errors import DatasetError, UnknownMethodError
from glassgraph.models import SAGE, Body, TrainedModel, train
from glassgraph.models.training import accuracy
from glassgraph_studies.reproduce.infection import experiment as study
from tests.cli.helpers import run

SIZES = {"num_graphs": 2, "num_nodes": 60, "edge_probability": 0.05, "num_infected": 5}
KEYS = {
    "row", "seed", "found", "found_by_label", "true", "published", "nodes", "nodes_with_one_path",
    "seconds_per_node", "test_accuracy",
}  # fmt: skip


def quickly(dataset: ExplanationDataset, seed: int = 0, progress: bool = True) -> TrainedModel:
    """A small model that has hardly been trained."""
    torch.manual_seed(seed)
    model = SAGE(2, 8, dataset.num_classes, aggr="add", body=Body(num_layers=4, concat=False))
    training = train(model, dataset, epochs=25, learning_rate=0.02, seed=seed, progress=False)
    return TrainedModel(model, accuracy(model, dataset), 0.99, True, training)


@pytest.fixture(scope="module")
def scene() -> study.Scene:
    dataset = infection(1, **SIZES)
    trained = quickly(dataset)
    with torch.no_grad():
        for name, parameter in trained.model.named_parameters():
            if "bias" in name:  # the authors' states hold biases, which no walk carries
                parameter.zero_()
    trained.model.double()
    data = dataset.graphs[0]
    data.x = data.x.double()
    return study.Scene(1, dataset, trained, torch.arange(60, 120))


def literal(model: SAGE, data: Data, node: int, target: tuple[int, int]) -> dict[str, Any]:
    """The authors' search, edge by edge, with the Jacobian of every layer written out."""
    states = [data.x]
    for number, conv in enumerate(model.convs):
        after = conv(states[-1], data.edge_index)
        states.append((after.relu() if number < 3 else after).detach())
    senders: dict[int, list[int]] = {each: [each] for each in range(int(data.num_nodes or 0))}
    for source, end in data.edge_index.t().tolist():
        senders[end].append(source)
    carried: dict[int, Tensor] = {node: model.head.weight[target[0]] - model.head.weight[target[1]]}
    score: dict[int, Tensor] = {}
    for layer in (3, 2, 1, 0):
        below: dict[int, Tensor] = {}
        score = {}
        for receiver, cotangent in carried.items():
            state = states[layer].clone().requires_grad_()
            after = model.convs[layer](state, data.edge_index)[receiver]
            after = after.relu() if layer < 3 else after
            (jacobian,) = torch.autograd.grad(after, state, cotangent)
            for sender in senders[receiver]:
                value = jacobian[sender] @ states[layer][sender]
                if sender not in score or value > score[sender]:
                    score[sender], below[sender] = value, jacobian[sender]
        carried = below
    return {"score": float(max(score.values())), "every": score}


def test_the_longest_path_is_that_of_the_authors_loops(scene: study.Scene) -> None:
    """Several walks may tie, so what they are worth is compared."""
    graph, model = scene.graph, scene.trained.model
    for node in (61, 70, 89, 113):
        label = int(graph.y[node])
        target = (label, label - 1 if label else 1)
        walk = scene._walks(study.TABLE["longest_path"], torch.tensor([node]), target)[node]
        assert walk[-1] == node
        expected = literal(model, graph, node, target)
        assert float(expected["every"][walk[0]]) == pytest.approx(expected["score"], rel=1e-9)
        assert worth(model, graph, walk, target) == pytest.approx(expected["score"], rel=1e-9)


def worth(model: SAGE, data: Data, walk: list[int], target: tuple[int, int]) -> float:
    """Gradients along one walk times the features it starts with."""
    states = [data.x]
    for number, conv in enumerate(model.convs):
        after = conv(states[-1], data.edge_index)
        states.append((after.relu() if number < 3 else after).detach())
    vector = model.head.weight[target[0]] - model.head.weight[target[1]]
    for layer in (3, 2, 1, 0):
        state = states[layer].clone().requires_grad_()
        after = model.convs[layer](state, data.edge_index)[walk[layer + 1]]
        after = after.relu() if layer < 3 else after
        vector = torch.autograd.grad(after, state, vector)[0][walk[layer]]
    return float(vector @ data.x[walk[0]])


def test_the_best_walk_is_worth_at_least_as_much(scene: study.Scene) -> None:
    nodes = scene.nodes[scene.graph.y[scene.nodes] == 3]
    longest, best = (
        scene._walks(study.TABLE[name], nodes, (3, 4)) for name in ("longest_path", "gnn_lrp")
    )
    for node in nodes.tolist():
        values = [
            abs(worth(scene.trained.model, scene.graph, found[node], (3, 4)))
            for found in (longest, best)
        ]
        assert values[0] <= values[1] + 1e-12


@pytest.mark.parametrize("name", list(study.TABLE))
def test_every_row_names_walks_that_messages_can_take(scene: study.Scene, name: str) -> None:
    found = scene._walks(study.TABLE[name], torch.tensor([63, 101]), (2, 3))
    edges = set(map(tuple, scene.graph.edge_index.t().tolist()))
    assert list(found) == [63, 101]
    for node, walk in found.items():
        assert len(walk) == 5
        assert walk[-1] == node
        assert all(a == b or (a, b) in edges for a, b in pairwise(walk))


def test_found_and_true() -> None:
    # 0 -> 1 -> 3 and 0 -> 2 -> 3, but node 1's path is the only one to it; 4 is infected, too.
    graph = Data(
        y=torch.tensor([0, 1, 1, 2, 0]),
        true_path=torch.tensor([[0, -1, -1], [0, 1, -1], [0, 2, -1], [-1, -1, -1], [4, -1, -1]]),
    )
    for node, walk, found, true in (
        (1, [0, 0, 1], True, True),
        (1, [0, 1, 1], True, True),
        (1, [1, 1, 1], False, False),
        (1, [4, 1, 1], True, False),
        (3, [0, 2, 3], True, False),
        (3, [0, 3, 3], False, False),
        (3, [1, 1, 3], False, False),
    ):
        assert study.is_found(graph, node, walk) is found
        assert study.is_true(graph, node, walk) is true
    assert not study.is_true(graph, 1, [0, 1, 0, 1])


def test_explained_nodes_are_asked_for_and_right() -> None:
    dataset = infection(2, **SIZES)
    graph = dataset.graphs[0]
    truth = graph.y.clone()
    wrong = int(dataset.explained[0])
    truth[wrong] += 1

    class Oracle(torch.nn.Module):
        def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
            return torch.nn.functional.one_hot(truth, 8).float()

    trained: Any = TrainedModel(Oracle(), {}, None, True, None)  # type: ignore[arg-type]
    found = study.explained_nodes(dataset, trained).tolist()
    expected = [
        v for v in range(60, 120) if graph.has_unique_source[v] and graph.y[v] > 0 and v != wrong
    ]
    assert found == expected
    assert wrong not in found


def test_rows_and_their_means(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study, "reference_model", quickly)
    seeds = study.run_infection(range(2), ["longest_path", "random"], progress=False, **SIZES)
    rows = [row for _, own in seeds for row in own]
    assert [(row["row"], row["seed"]) for row in rows] == [
        ("longest_path", 0), ("random", 0), ("longest_path", 1), ("random", 1),
    ]  # fmt: skip
    assert all(set(row) == KEYS for row in rows)
    summary = study.summarize(rows)["longest_path"]
    assert summary.found == [rows[0]["found"], rows[2]["found"]]
    assert summary.mean == pytest.approx((rows[0]["found"] + rows[2]["found"]) / 2)
    assert sum(summary.found) > sum(study.summarize(rows)["random"].found)
    ((_, (again,)),) = study.run_infection([1], ["random"], progress=False, **SIZES)
    assert again["found"] == rows[3]["found"]


def test_unknown_rows_and_graphs_with_nothing_to_explain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study, "reference_model", quickly)
    with pytest.raises(UnknownMethodError, match="there is no row 'saliency'"):
        list(study.run_infection([0], ["saliency"]))
    everyone = {**SIZES, "num_infected": 60}
    with pytest.raises(DatasetError, match="no node to explain"):
        list(study.run_infection([0], progress=False, **everyone))


def test_the_command_prints_published_beside_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(study, "reference_model", quickly)
    result = run(
        "reproduce", "infection", "--seeds", 2, "--nodes", 60, "--row", "longest_path",
        "--row", "edge_gradients", "--json", tmp_path / "rows.json",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    rows = json.loads((tmp_path / "rows.json").read_text())
    assert len(rows) == 4
    line = next(line for line in result.stdout.splitlines() if "longest path" in line)
    mean = (rows[0]["found"] + rows[2]["found"]) / 2
    expected = ["longest", "path", "y/y+1", "99.1", f"{mean:.1f}", f"{rows[0]['found']:.1f}"]
    assert line.split()[:6] == expected
    assert "seed 1: test accuracy" in result.stderr
    assert max(map(len, result.stdout.splitlines())) <= 80
