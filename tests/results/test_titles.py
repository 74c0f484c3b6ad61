"""What an explanation is called, and what of it is explained."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Batch, Data, HeteroData
from torch_geometric.nn import GCN, GCNConv

import glassgraph as gg
from glassgraph.results.titles import target_name, title
from tests.results.known import known

EDGES = torch.tensor([[0, 1, 2], [1, 2, 3]])


def graph(**more: Any) -> Data:
    return Data(x=torch.rand(4, 3), edge_index=EDGES, **more)


def saliency(model: Any, data: Any, task: Any = "node", **more: Any) -> gg.Explanations:
    return gg.explain(model, data, "saliency", task=task, progress=False, **more)


class Dot(nn.Module):
    """Scores links by the product of node states."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = GCNConv(3, 2)

    def forward(self, x: Tensor, edge_index: Tensor, edge_label_index: Tensor) -> Tensor:
        state = self.conv(x, edge_index)
        return (state[edge_label_index[0]] * state[edge_label_index[1]]).sum(-1, keepdim=True)


def test_a_node_is_its_name_or_its_number() -> None:
    found = saliency(GCN(3, 4, 2, 2), graph(), index=[1, 3], node_names={3: "Ada"})
    assert [found.local(i).title for i in range(2)] == ["node 1", "Ada"]


def test_a_link_reads_from_one_end_to_the_other() -> None:
    data = graph(edge_label_index=torch.tensor([[0, 3], [3, 0]]))
    task = gg.Task("edge", mode="binary_classification")
    assert saliency(Dot(), data, task).local(1).title == "node 3 → node 0"
    named = saliency(Dot(), data, task, node_names=["a", "b", "", "d"])
    assert [named.local(i).title for i in range(2)] == ["a → d", "d → a"]
    assert named[1:].local(0).title == "d → a"


def test_types_stand_before_numbers() -> None:
    data = HeteroData(author={"x": torch.rand(2, 3)}, paper={"x": torch.rand(3, 3)})
    data["author", "writes", "paper"].edge_index = torch.tensor([[0, 1], [0, 2]])
    found = known(data, [[1, 0]], level="edge", threshold=0.5)
    part = found.parts[0]
    flat = type(part)(**{**vars(part), "seed": torch.tensor([[0, 4]])})
    found.parts[0] = flat
    assert found.local(0).title == "author 0 → paper 2"
    assert found.named(node_names={"paper": ["", "", "On"]}).local(0).title == "author 0 → On"


def test_graphs_and_nodes_of_several_graphs() -> None:
    graphs = [graph(), graph()]
    found = known(graphs, [[1, 0, 0], [0, 0, 1]])
    assert [found.local(i).title for i in range(2)] == ["graph 0", "graph 1"]
    named = found.named(graph_names=["CCO", ""])
    assert [named.local(i).title for i in range(2)] == ["CCO", "graph 1"]
    nodes = saliency(GCN(3, 4, 2, 2), Batch.from_data_list(graphs), index=[1, 6])
    assert [nodes.local(i).title for i in range(2)] == ["node 1 of graph 0", "node 2 of graph 1"]


@pytest.mark.parametrize("attribute", ["graph_names", "graph_name", "name", "smiles"])
@pytest.mark.parametrize("given", [list, Batch.from_data_list])
def test_graphs_have_names_of_their_own(attribute: str, given: Any) -> None:
    data = [graph(**{attribute: "CCO"}), graph(**{attribute: "c1ccccc1"})]
    found = known(given(data), [[1, 0, 0], [0, 0, 1]])
    assert found.local(1).title == "c1ccccc1"
    assert found.to_frame().graph_name.tolist() == ["CCO"] * 3 + ["c1ccccc1"] * 3


@pytest.mark.parametrize(
    ("outputs", "target", "names", "expected"),
    [
        (1, None, None, "value"),
        (1, None, ["mass"], "mass"),
        (2, 1, None, "output 1"),
        (2, 1, ["mass", "charge"], "charge"),
    ],
)
def test_a_regression_has_values(
    outputs: int, target: int | None, names: list[str] | None, expected: str
) -> None:
    task = gg.Task("node", mode="regression")
    found = saliency(GCN(3, 4, 1, outputs), graph(), task, target=target or 0, class_names=names)
    assert found.local(0).target_name == expected
    assert found.plot(0).get_title() == f"node 0, {expected}"


def test_targets_in_words() -> None:
    assert target_name(2, None, 3, is_value=False) == "class 2"
    assert target_name(2, ["a", "b", ""], 3, is_value=False) == "class 2"
    assert target_name((0, 1), ["a", "b"], 2, is_value=False) == "a rather than b"
    assert target_name((0, 1), ["a", ""], 2, is_value=False) == "a rather than class 1"
    assert target_name(None, ["a"], 1, is_value=True) is None
    assert title("node", 2, ["x"], "G", None) == "x"


def test_a_typed_graph_has_no_two_nodes_alike_in_a_plot() -> None:
    data = HeteroData({kind: {"x": torch.rand(1, 3)} for kind in "abc"})
    data["a", "to", "b"].edge_index = torch.tensor([[0], [0]])
    data["b", "to", "c"].edge_index = torch.tensor([[0], [0]])
    found = known(data, [[1, 1]], threshold=0.5)
    assert {"a 0", "b 0", "c 0"} <= {text.get_text() for text in found.plot(0).texts}
    named = found.named(node_names={"a": ["Ada"], "b": ["Bob"]})
    assert {"Ada", "Bob", "c 0"} <= {text.get_text() for text in named.plot(0).texts}
