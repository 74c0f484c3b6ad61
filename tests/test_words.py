"""Names as people write them, and the version."""

from __future__ import annotations

import importlib.metadata

import pytest
import torch
from torch_geometric.data import Data, HeteroData
from torch_geometric.nn import GCN, HeteroConv, SAGEConv
from typer.testing import CliRunner

import glassgraph as gg
from glassgraph.cli.app import app
from glassgraph.errors import DatasetError, UnknownMethodError
from glassgraph.explainers.registry import find_method


@pytest.mark.parametrize("name", ["GNNExplainer", "gnn-explainer", "gnnexplainer", "GNN_Explainer"])
def test_a_method_is_known_by_its_class_and_in_any_spelling(name: str) -> None:
    assert find_method(name) is gg.GNNExplainer


def test_every_class_is_a_name() -> None:
    for name, row in gg.methods().iterrows():
        if row["explains"] == "predictions":
            assert find_method(row["class"]).name == name


@pytest.mark.parametrize(("name", "meant"), [("sailency", "saliency"), ("GradCAMM", "grad_cam")])
def test_what_was_meant_is_said(name: str, meant: str) -> None:
    with pytest.raises(UnknownMethodError, match=f"did you mean '{meant}'"):
        find_method(name)


def test_a_data_set_that_was_meant_is_said() -> None:
    with pytest.raises(DatasetError, match="did you mean 'tree-cycles'"):
        gg.datasets.load_dataset("tree-cycle")


def test_the_version_is_one() -> None:
    found = CliRunner().invoke(app, ["--version"])
    assert found.output.split() == ["glassgraph", gg.__version__]
    assert importlib.metadata.version("glassgraph") == gg.__version__


def test_the_type_of_nodes_is_an_argument() -> None:
    data = HeteroData()
    data["a"].x, data["b"].x = torch.rand(4, 3), torch.rand(5, 2)
    data["a", "to", "b"].edge_index = torch.tensor([[0, 1, 2, 3], [0, 1, 2, 4]])
    data["b", "to", "a"].edge_index = torch.tensor([[0, 1, 2, 4], [0, 1, 2, 3]])

    class Typed(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = HeteroConv(
                {
                    ("a", "to", "b"): SAGEConv((3, 2), 2),
                    ("b", "to", "a"): SAGEConv((2, 3), 2),
                }
            )

        def forward(self, x_dict: object, edge_index_dict: object) -> object:
            return self.conv(x_dict, edge_index_dict)

    model = Typed()
    found = gg.explain(model, data, "Saliency", index=[2], node_type="b", progress=False)
    expected = gg.Saliency(model, gg.Task("node", node_type="b"), progress=False).explain(data, [2])
    torch.testing.assert_close(found.local(0).edge_score, expected.local(0).edge_score)


def test_without_types_there_is_no_node_type() -> None:
    data = Data(x=torch.rand(3, 3), edge_index=torch.tensor([[0, 1], [1, 2]]))
    with pytest.raises(gg.errors.TaskError, match="this graph has no types"):
        gg.explain(GCN(3, 4, 1, 2), data, "saliency", node_type="b", progress=False)
