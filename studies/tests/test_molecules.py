"""The molecules study: networks as in the paper, bonds as nodes, atoms' ROC-AUC."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch_geometric.data import Batch, Data

import glassgraph as gg
from glassgraph.datasets import load_dataset
from glassgraph.metrics import node_truth_accuracy
from glassgraph_studies.reproduce.molecules import experiment as study
from glassgraph_studies.reproduce.molecules.bonds import (
    BondsAsNodes,
    scores_of_atoms,
    with_bonds_as_nodes,
)
from glassgraph_studies.reproduce.molecules.network import MoleculeNetwork
from glassgraph_studies.reproduce.molecules.study import summarize, verdicts
from tests.cli.helpers import run
from tests.datasets.benzene_file import write

SMALL: dict[str, int] = {"node_size": 7, "edge_size": 3, "global_size": 5, "num_layers": 2}


def small(block: Any, **sizes: int) -> MoleculeNetwork:
    torch.manual_seed(0)
    return MoleculeNetwork(block, **{**SMALL, **sizes}).eval()


def molecules(number: int = 3) -> list[Data]:
    """Random ones, with every bond in both directions."""
    draw, found = torch.Generator().manual_seed(1), []
    for size in range(4, 4 + number):
        ends = torch.stack([torch.arange(size - 1), torch.arange(1, size)])
        kinds = torch.randint(5, (size - 1,), generator=draw)
        found.append(
            Data(
                x=torch.eye(14)[torch.randint(14, (size,), generator=draw)],
                edge_index=torch.cat([ends, ends.flip(0)], dim=1),
                edge_attr=torch.eye(5)[kinds.repeat(2)],
                y=torch.tensor([1]),
            )
        )
    return found


def by_hand(network: MoleculeNetwork, block: str, graph: Data) -> tuple[Tensor, Tensor]:
    """The formulas of the paper's code in loops: the logit, and what CAM says of each atom."""
    h = [network.encode_node(x) for x in graph.x]
    e = [network.encode_edge(bond) for bond in graph.edge_attr]
    pairs = graph.edge_index.t().tolist()
    for layer in network.blocks:
        if block == "mpnn":
            e = [
                layer.edge(torch.cat([e[b], h[u], h[v]]))  # type: ignore[operator]
                for b, (u, v) in enumerate(pairs)
            ]
        new = []
        for node in range(len(h)):
            bonds = sum(e[b] for b, (_, v) in enumerate(pairs) if v == node)
            heard = [bonds]
            if block == "gcn":
                heard.append(sum(h[u] for u, v in pairs if v == node))
            new.append(layer.node(torch.cat([h[node], *heard])))  # type: ignore[operator]
        h = new
    weight = network.head.weight[0]
    atoms = torch.stack([weight @ network.read_node(each).softmax(0) for each in h])
    bonds = torch.stack([weight @ network.read_edge(each).softmax(0) for each in e])
    received = torch.zeros(len(h)).index_add(0, graph.edge_index[1], bonds)
    return atoms.sum() + bonds.sum(), atoms + received


@pytest.mark.parametrize("block", ["gcn", "mpnn"])
def test_networks_and_cam_are_those_of_the_paper(block: Any) -> None:
    network, graphs = small(block), molecules()
    batch = Batch.from_data_list(graphs)
    logits = network(batch.x, batch.edge_index, batch.edge_attr, batch.batch)
    explanations = gg.CAM(network, task="graph", relu=False, progress=False).explain(
        graphs, target=1
    )
    for number, graph in enumerate(graphs):
        logit, atoms = by_hand(network, block, graph)
        torch.testing.assert_close(logits[number], torch.stack([torch.tensor(0.0), logit]))
        score = explanations.local(number).node_score
        assert score is not None
        torch.testing.assert_close(score, atoms.detach())


@pytest.mark.parametrize("block", ["gcn", "mpnn"])
def test_gradient_times_input_of_atoms_and_bonds_is_that_of_the_network(block: Any) -> None:
    network, graphs = small(block), molecules()
    row = study.METHODS["gradient_x_input"]
    for score, graph in zip(study.scores_of(network, graphs, row, 0), graphs, strict=True):
        x, e = graph.x.requires_grad_(), graph.edge_attr.requires_grad_()
        logit = network(x, graph.edge_index, e)[0, 1]
        atoms, bonds = ((g * v).sum(1) for g, v in
                        zip(torch.autograd.grad(logit, [x, e]), (x, e), strict=True))  # fmt: skip
        expected = atoms.index_add(0, graph.edge_index[1], bonds).detach()
        torch.testing.assert_close(score.float(), expected, rtol=1e-4, atol=1e-6)
        x.requires_grad_(False), e.requires_grad_(False)


def test_integrated_gradients_sum_to_the_change_from_the_null_molecule() -> None:
    network, graphs = small("gcn", num_layers=1), molecules()
    row = study.METHODS["integrated_gradients"]
    null = torch.eye(14)[[13]], torch.eye(5)[[4]]
    for score, graph in zip(study.scores_of(network, graphs, row, 0), graphs, strict=True):
        start = [each.expand(n, -1) for each, n in
                 zip(null, (graph.num_nodes, graph.num_edges), strict=True)]  # fmt: skip
        end = network(graph.x, graph.edge_index, graph.edge_attr)[0, 1]
        change = end - network(start[0], graph.edge_index, start[1])[0, 1]
        torch.testing.assert_close(score.sum().float(), change.detach(), rtol=1e-3, atol=1e-3)


def test_bonds_as_nodes_change_nothing() -> None:
    graphs = molecules()
    lifted = [with_bonds_as_nodes(graph) for graph in graphs]
    batch, other = Batch.from_data_list(graphs), Batch.from_data_list(lifted)
    for block in ("gcn", "mpnn"):
        network = small(block)
        expected = network(batch.x, batch.edge_index, batch.edge_attr, batch.batch)
        found = BondsAsNodes(network)(other.x, other.edge_index, other.is_bond, other.batch)
        torch.testing.assert_close(found, expected)
    score = torch.arange(float(graphs[0].num_nodes + graphs[0].num_edges))
    # Bonds 0-1, 1-2, 2-3 and back: atom 0 receives 1-0, the fourth.
    assert scores_of_atoms(score, graphs[0]).tolist() == [0 + 7, 1 + 4 + 8, 2 + 5 + 9, 3 + 6]


def test_the_area_is_that_of_the_metric(tmp_path: Path) -> None:
    dataset = load_dataset("benzene", write(tmp_path, copies=2))
    graphs = [dataset.graphs[number] for number in dataset.explained.tolist()]
    explanations = gg.Random(small("gcn"), task="graph", progress=False).explain(graphs)
    scores = [explanations.local(i).node_score for i in range(len(graphs))]
    if scores[0] is None:
        scores = study.scores_of(small("gcn"), graphs, study.METHODS["random"], 0)
    expected = node_truth_accuracy(explanations).instance_auc
    found = [study.best_auc(g, s) for g, s in zip(graphs, scores, strict=True) if s is not None]
    assert found == pytest.approx(expected.tolist())


def test_the_command_prints_networks_medians_and_bars(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(study.TRAINING, "learning_rate", 0.02)
    quick = study.Row(
        "integrated_gradients",
        {**study.METHODS["integrated_gradients"].settings, "steps": 3},
        scores_bonds=True,
    )
    monkeypatch.setitem(study.METHODS, "integrated_gradients", quick)
    result = run(
        "reproduce", "molecules", "--root", write(tmp_path, copies=4), "--dataset", "benzene",
        "--seeds", 2, "--epochs", 4, "--network", "gcn", "--method", "cam",
        "--method", "integrated_gradients", "--method", "random",
        "--json", tmp_path / "rows.json",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    rows = json.loads((tmp_path / "rows.json").read_text())
    assert [(row["seed"], row["method"]) for row in rows] == [
        (seed, method) for seed in range(2) for method in ("cam", "integrated_gradients", "random")
    ]
    for row in rows:
        assert 0 <= row["low"] <= row["auc"] <= row["high"] <= 1
        assert (row["molecules"], row["network"]) == (8, "gcn")
    assert "benzene, gcn, seed 1: test accuracy" in result.stderr
    assert "asked for 0.97" in result.output


def test_medians_and_bars_by_hand() -> None:
    common = {"dataset": "logic8", "network": "gcn", "method": "cam", "molecules": 9}
    rows = [
        {
            **common,
            "seed": seed,
            "auc": auc,
            "low": auc - 0.1,
            "high": 1.0,
            "auc_where_right": right,
        }
        for seed, (auc, right) in enumerate([(0.8, None), (0.95, 0.9), (0.9, 1.0)])
    ]
    (row,) = summarize(rows)
    assert (row["median"], row["low"], row["published"]) == (0.9, pytest.approx(0.8), 0.91)
    assert row["where_right"] == pytest.approx(0.95)
    assert list(verdicts(rows)) == ["logic8, gcn, cam: 0.900, asked for 0.91: missed"]
    assert list(verdicts([{**rows[1], "network": "mpnn"}])) == []


def test_an_unknown_data_set_or_row_is_one_line(tmp_path: Path) -> None:
    for option in ("dataset", "network", "method"):
        result = run("reproduce", "molecules", "--root", tmp_path, f"--{option}", "logic9")
        assert result.exit_code == 2
        assert f"--{option} must be one of" in result.stderr
