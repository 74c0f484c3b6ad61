"""Labels as data sets have them: floating, several for each prediction, one-hot, with gaps."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn import GCNConv, global_mean_pool
from torch_geometric.transforms import RandomLinkSplit

import glassgraph as gg
from glassgraph.errors import GraphError, LabelsMissingError, ModelOutputError, TargetError

NODES, WIDTH = 7, 3
NAN = float("nan")


class Net(nn.Module):
    """Rows of nodes, of graphs or of links, with as many columns as asked for."""

    def __init__(self, columns: int, level: str = "node") -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(3)
            self.one, self.two = GCNConv(WIDTH, 5), GCNConv(5, columns)
        self.level = level
        self.double()

    def forward(
        self,
        x: Tensor,
        edge_index: Tensor,
        batch: Tensor | None = None,
        edge_label_index: Tensor | None = None,
    ) -> Tensor:
        h = self.two(self.one(x, edge_index).tanh(), edge_index)
        if self.level == "graph":
            return global_mean_pool(h, batch)
        if self.level == "edge":
            assert edge_label_index is not None
            return h[edge_label_index[0]] * h[edge_label_index[1]]
        return h


def graph(y: Tensor | None = None, seed: int = 1) -> Data:
    draw = torch.Generator().manual_seed(seed)
    ends = torch.randint(NODES, (2, 19), generator=draw)
    x = torch.randn(NODES, WIDTH, generator=draw).double()
    return Data(x=x, edge_index=ends, y=y)


def binary(level: str = "node") -> gg.Task:
    return gg.Task(level, "binary_classification")  # type: ignore[arg-type]


def explain(model: Net, data: Any, task: Any, index: Any, target: Any = "label") -> Any:
    return gg.Saliency(model, task, progress=False).explain(data, index, target)


def expect_targets(found: Any, expected: list[int], model: Net, data: Any, task: Any) -> None:
    """The targets, and the scores that each has where it is given as a number."""
    assert [each.local.target for each in found] == expected
    for one in found:
        (other,) = explain(model, data, task, [one.local.index], one.local.target)
        torch.testing.assert_close(one.edge_mask, other.edge_mask)
        assert bool(one.edge_mask.any())


# Floating labels of two classes


@pytest.mark.parametrize("shape", [(NODES,), (NODES, 1)])
def test_floating_labels_of_two_classes(shape: tuple[int, ...]) -> None:
    """As a loss on logits takes them."""
    data = graph(torch.tensor([0.0, 1, 0, 1, 1, 0, 1]).view(shape))
    found = explain(Net(1), data, binary(), [1, 2, 4])
    expect_targets(found, [1, 0, 1], Net(1), data, binary())
    assert [each.local.label for each in found] == [1, 0, 1]


def test_links_of_random_link_split() -> None:
    """Its `edge_label` is floating."""
    data = RandomLinkSplit(num_val=0.2, num_test=0.2)(graph())[0]
    assert data.edge_label.is_floating_point()
    links = data.edge_label.numel()
    found = explain(Net(1, "edge"), data, binary("edge"), None)
    assert [each.local.target for each in found] == data.edge_label.int().tolist()
    assert len(found) == links


def test_floating_labels_of_graphs() -> None:
    graphs = [graph(torch.tensor([[float(number % 2)]]), number) for number in range(4)]
    found = explain(Net(1, "graph"), graphs, binary("graph"), [3, 0])
    expect_targets(found, [1, 0], Net(1, "graph"), graphs, binary("graph"))


def test_floating_targets_of_two_classes() -> None:
    data, y = graph(), torch.tensor([0.0, 1, 0, 1, 1, 0, 1])
    index = [1, 2, 4]
    expect_targets(
        explain(Net(1), data, binary(), index, y[index]), [1, 0, 1], Net(1), data, binary()
    )
    for target in (torch.tensor([0.0, NAN, 1]), torch.tensor([0.5, 0, 1])):
        with pytest.raises(TargetError, match="one integer class for each of 3 instances"):
            explain(Net(1), data, binary(), index, target)


@pytest.mark.parametrize("value", [0.5, 2.0, -1.0])
def test_floats_that_are_no_classes(value: float) -> None:
    data = graph(torch.full((NODES,), value))
    with pytest.raises(LabelsMissingError, match=r"data.y.*it is torch.float32 of shape \(7,\)"):
        explain(Net(1), data, binary(), [0])


def test_floats_of_more_than_two_classes() -> None:
    data = graph(torch.zeros(NODES))
    with pytest.raises(LabelsMissingError, match=r"classes are integers, or 0\. and 1\."):
        explain(Net(3), data, "node", [0])


# Several labels for each


@pytest.mark.parametrize("dtype", [torch.float32, torch.long, torch.bool])
def test_several_labels_are_explained_by_column(dtype: torch.dtype) -> None:
    data = graph((torch.arange(NODES * 3).view(NODES, 3) % 2).to(dtype))
    message = "y has 3 labels for each: name the column to explain with target=0..2"
    with pytest.raises(TargetError, match=message):
        explain(Net(3), data, binary(), [1])
    found = explain(Net(3), data, binary(), [1, 4], 2)
    assert [each.local.target for each in found] == [2, 2]
    logits = Net(3)(data.x, data.edge_index)[[1, 4]].detach()
    for one, row in zip(found, logits, strict=True):  # each column is a question of its own
        torch.testing.assert_close(one.local.prediction, row.sigmoid())
    one_column = Net(1)
    one_column.one = Net(3).one
    with torch.no_grad():
        one_column.two.lin.weight.copy_(Net(3).two.lin.weight[2:])
        one_column.two.bias.copy_(Net(3).two.bias[2:])  # type: ignore[union-attr]
    expected = explain(one_column, graph(), binary(), [1, 4], 1)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one.edge_mask, other.edge_mask)


def test_several_labels_of_graphs() -> None:
    graphs = [graph(torch.tensor([[1.0, 0, NAN]]), number) for number in range(3)]
    with pytest.raises(TargetError, match=r"y has 3 labels for each: .* target=0\.\.2"):
        explain(Net(3, "graph"), graphs, binary("graph"), [1])
    assert len(explain(Net(3, "graph"), graphs, binary("graph"), [1], 0)) == 1


# One-hot


@pytest.mark.parametrize("dtype", [torch.float32, torch.long])
def test_one_hot_labels_of_one_class_each(dtype: torch.dtype) -> None:
    classes = torch.arange(NODES) % 3
    data = graph(nn.functional.one_hot(classes).to(dtype))
    found = explain(Net(3), data, "node", [1, 2, 5])
    expect_targets(found, [1, 2, 2], Net(3), data, "node")


@pytest.mark.parametrize("gap", [0.0, NAN])
def test_one_hot_labels_with_gaps(gap: float) -> None:
    y = nn.functional.one_hot(torch.arange(NODES) % 3).float()
    y[5] = gap
    assert [one.local.target for one in explain(Net(3), graph(y), "node", [1, 2])] == [1, 2]
    with pytest.raises(LabelsMissingError, match="node 5 has no label"):
        explain(Net(3), graph(y), "node", [1, 5])


def test_matrices_that_are_not_one_hot() -> None:
    data = graph(torch.ones(NODES, 3))
    with pytest.raises(TargetError, match="y has 3 labels for each"):
        explain(Net(3), data, "node", [1])


# Gaps


@pytest.mark.parametrize("y", [[0.0, NAN, 0, 1, 1, NAN, 1], [0, -1, 0, 1, 1, -100, 1]])
def test_a_missing_label_is_told_where_it_is_asked_for(y: list[float]) -> None:
    """As in ogbg-molpcba (NaN), or -1 of nodes without a label."""
    data = graph(torch.tensor(y))
    expect_targets(explain(Net(1), data, binary(), [3, 2]), [1, 0], Net(1), data, binary())
    with pytest.raises(LabelsMissingError, match=r"node 5 has no label in data.y"):
        explain(Net(1), data, binary(), [3, 5])
    (found,) = explain(Net(1), data, binary(), [5], None)
    assert found.local.label in (None, -1)


def test_missing_labels_of_graphs() -> None:
    graphs = [graph(torch.tensor([[value]]), 1) for value in (1.0, NAN, 0.0)]
    task = binary("graph")
    found = explain(Net(1, "graph"), graphs, task, [2, 0])
    assert [each.local.target for each in found] == [0, 1]
    with pytest.raises(LabelsMissingError, match="graph 1 has no label"):
        explain(Net(1, "graph"), graphs, task, [1])


def test_a_regression_keeps_its_gaps() -> None:
    data = graph(torch.tensor([0.3, NAN, 0, 1, 1, NAN, 1]))
    task = gg.Task("node", "regression")
    assert len(explain(Net(1), data, task, [1], None)) == 1


def test_features_have_no_gaps() -> None:
    data = graph()
    data.x[1, 1] = NAN
    with pytest.raises(GraphError, match="x has 1 values that are NaN"):
        explain(Net(1), data, binary(), [1], None)


def test_gaps_in_labels_that_the_model_reads() -> None:
    """As in label propagation: those whose predictions they reach are refused."""

    class ReadsLabels(Net):
        def forward(self, x: Tensor, edge_index: Tensor, y: Tensor) -> Tensor:  # type: ignore[override]
            return super().forward(x + y.view(-1, 1), edge_index)

    data = graph(torch.tensor([0.0, NAN, 0, 1, 1, 0, 1]))
    out = ReadsLabels(1)(data.x, data.edge_index, data.y)
    for node in range(NODES):
        if bool(out[node].isnan()):
            with pytest.raises(ModelOutputError, match="output is NaN for 1 of 1 instances"):
                explain(ReadsLabels(1), data, binary(), [node], None)
        else:
            (found,) = explain(ReadsLabels(1), data, binary(), [node], None)
            assert bool(torch.isfinite(found.edge_mask).all())
    assert 0 < int(out.isnan().sum()) < NODES
