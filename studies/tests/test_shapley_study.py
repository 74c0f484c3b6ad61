"""GNNShap's protocol in small: computation graphs and fidelities by hand, and rows of each kind."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Data

from glassgraph.errors import HyperParameterError
from glassgraph_studies.reproduce.shapley import experiment as study
from glassgraph_studies.reproduce.shapley.fidelity import computation, fidelities, side_by_side
from glassgraph_studies.reproduce.shapley.study import tables, verdicts
from studies.tests.citations import citations


class Counts(nn.Module):
    """A class for and one against what arrives over edges."""

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        heard = torch.zeros_like(x).index_add(0, edge_index[1], x[edge_index[0]])
        return torch.cat([heard, -heard], dim=1)


def test_a_computation_graph_has_the_edges_that_are_heard() -> None:
    edge_index = torch.tensor([[1, 2, 3, 4, 0, 5], [0, 1, 2, 1, 5, 0]])
    graph = Data(x=torch.arange(6.0).view(-1, 1), edge_index=edge_index)
    found = computation(graph, 0, 2)
    assert found.x[found.edge_index].squeeze(-1).tolist() == [
        [1.0, 2.0, 4.0, 0.0, 5.0],
        [0.0, 1.0, 1.0, 5.0, 0.0],
    ]
    assert found.x[found.root].item() == 0.0
    data, roots = side_by_side([found, computation(graph, 3, 2)])
    assert roots == [0, 5]
    assert (data.num_nodes, data.num_edges) == (6, 5)


def test_fidelities_by_hand() -> None:
    """Three edges into node 0 with 1, 2 and 4; the best goes for fid+, the worst for fid-."""
    x = torch.tensor([[0.0], [1.0], [2.0], [4.0]]).double()
    graph = Data(x=x, edge_index=torch.tensor([[1, 2, 3], [0, 0, 0]]))
    score = torch.tensor([0.1, -0.2, 0.4])
    plus, minus = fidelities(Counts(), computation(graph, 0, 1), score, top=1, share=0.3)
    full, best, worst = torch.tensor([14.0, 6.0, 14.0]).double().sigmoid().tolist()
    assert plus == pytest.approx(full - best)
    assert minus == pytest.approx(full - worst)  # 30 % of three edges is none, rounded down
    _, minus = fidelities(Counts(), computation(graph, 0, 1), score, top=1, share=0.4)
    assert minus == pytest.approx(full - torch.tensor(12.0).double().sigmoid().item())
    gone, _ = fidelities(Counts(), computation(graph, 0, 1), score, top=5, share=0.3)
    assert gone == pytest.approx(full - 0.5)


def test_rows_of_each_kind(tmp_path: Path) -> None:
    rows = list(study.run_shapley(
        tmp_path, nodes=4, samples=300, loop=5, progress=False, dataset=citations(),
        rows=["shapley_edges", "saliency", "gnn_explainer", "random"],
    ))  # fmt: skip
    kinds = [row["kind"] for row in rows]
    assert kinds[:5] == ["method"] * 4 + ["loop"]
    assert set(kinds[5:]) <= {"exact"}
    ours, *_, floor = rows[:4]
    assert ours["fid_plus"] >= floor["fid_plus"]
    assert ours["fid_minus"] <= floor["fid_minus"]
    assert rows[4]["evaluated"] <= rows[4]["coalitions"]
    for row in rows[5:]:
        assert 0 <= row["error"] <= row["largest"]
        assert 0 <= row["within"] <= 1
    json.dumps(rows)
    assert [len(table.rows) for table in tables(rows)] == [4, 1, len(rows) - 5]
    assert all(line.startswith("missed: ") for line in verdicts(rows))
    with pytest.raises(HyperParameterError, match="no row 'lime'"):
        list(study.run_shapley(tmp_path, rows=["lime"], progress=False, dataset=citations()))
