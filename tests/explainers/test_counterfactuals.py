"""Counterfactuals: deletions whose answers are known, by hand or by trying all of them."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Data, HeteroData
from torch_geometric.nn import GCNConv, SimpleConv, global_add_pool

import glassgraph as gg
from glassgraph.errors import HyperParameterError, TaskError, UnknownMetricError
from glassgraph.metrics import counterfactual_quality, counterfactuals

METHODS = [gg.CFGNNExplainer, gg.SmallestCounterfactual]
NODES = 11


class Net(nn.Module):
    """Two normalized layers, whose messages change with degrees; weights of edges are taken."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.first, self.second = GCNConv(3, 7), GCNConv(7, 2)
        self.double().eval()

    def forward(self, x: Tensor, edge_index: Tensor, edge_weight: Tensor | None = None) -> Any:
        hidden = self.first(x, edge_index, edge_weight).tanh()
        return 5 * self.second(hidden, edge_index, edge_weight)


class WithoutWeights(nn.Module):
    """The same, which takes no weights."""

    def __init__(self, net: Net) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor, edge_index: Tensor) -> Any:
        return self.net(x, edge_index)


class Pooled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = SimpleConv()

    def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor) -> Any:
        return global_add_pool(self.conv(x, edge_index), batch)


def graph(*, undirected: bool = True) -> Data:
    draw = torch.Generator().manual_seed(5)
    pairs = torch.combinations(torch.arange(NODES))
    ends = pairs[torch.randperm(len(pairs), generator=draw)[:16]].t()
    if undirected:
        ends = torch.cat([ends, ends.flip(0)], dim=1)
    return Data(x=torch.randn(NODES, 3, generator=draw).double(), edge_index=ends)


def smallest_by_hand(model: nn.Module, data: Data, node: int, *, pairs: bool) -> int | None:
    """Delete every set of edges, small ones first, from the user's whole graph."""
    ends = data.edge_index
    key = ends.min(dim=0).values * NODES + ends.max(dim=0).values if pairs else None
    units = torch.unique(key) if key is not None else torch.arange(ends.size(1))
    label = torch.arange(ends.size(1)) if key is None else key
    before = int(model(data.x, ends)[node].argmax())
    for size in range(1, 3):
        for chosen in combinations(units.tolist(), size):
            kept = ~torch.isin(label, torch.tensor(chosen))
            if int(model(data.x, ends[:, kept])[node].argmax()) != before:
                return size
    return None


def star(others: list[tuple[float, float]]) -> Data:
    """Node 0 hears what the others have: sums for two classes."""
    x = torch.tensor([(0.0, 0.0), *others])
    ends = torch.stack([torch.arange(1, len(x)), torch.zeros(len(x) - 1, dtype=torch.long)])
    return Data(x=x, edge_index=ends)


@pytest.mark.parametrize("method", METHODS)
def test_two_edges_that_have_to_go_together(method: Any) -> None:
    data = star(
        [(3, 0), (4, 0), (0, 2), (1, 1)]
    )  # 8 to 3: without 4 it is 4 to 3, without 3 5 to 3
    found = method(SimpleConv(), "node", progress=False).explain(data, [0])
    assert found[0].edge_mask.tolist() == [1, 1, 0, 0]
    row = found.table("counterfactual").iloc[0]
    assert (row["size"], row["valid"], row["new_class"]) == (2, True, 1)
    assert row["before"] == pytest.approx(float(torch.tensor([8.0, 3.0]).softmax(0)[0]))
    assert row["after"] == pytest.approx(float(torch.tensor([1.0, 3.0]).softmax(0)[0]))
    assert row["distance"] == pytest.approx(7)  # log-odds from 5 to -2
    one = found[0].counterfactual
    assert one.is_valid
    assert one.new_class == 1
    assert one.edge_id.tolist() == [0, 1]
    assert one.data.edge_index.tolist() == [[3, 4], [0, 0]]
    assert one.sparsity == 0.5
    assert data.edge_index.size(1) == 4  # the user's own stays whole


@pytest.mark.parametrize("pairs", [True, False])
@pytest.mark.slow(
    "with insertions: test_the_smallest_is_that_of_trying_all_sets_of_deletions_and_insertions"
)
def test_the_smallest_is_that_of_trying_all_deletions(pairs: bool) -> None:
    model, data = Net(), graph()
    nodes = list(range(0, NODES, 2))
    explainer = gg.SmallestCounterfactual(model, pairs=pairs, progress=False)
    found = explainer.explain(data, nodes)
    table = found.table("counterfactual")
    expected = [smallest_by_hand(model, data, node, pairs=pairs) for node in nodes]
    sizes = [
        size if valid else None
        for size, valid in zip(table["size"].tolist(), table["valid"].tolist(), strict=True)
    ]
    capped = [size if size is None or size < 3 else None for size in sizes]
    assert capped == expected
    assert any(size == 1 for size in expected)
    assert any(size != 1 for size in expected)


@pytest.mark.parametrize("model", [Net(), WithoutWeights(Net())], ids=["weights", "messages"])
def test_what_is_learned_is_valid_and_never_smaller_than_the_smallest(model: nn.Module) -> None:
    data, nodes = graph(), list(range(NODES))
    learned = gg.CFGNNExplainer(model, progress=False).explain(data, nodes)
    least = gg.SmallestCounterfactual(model, progress=False).explain(data, nodes)
    assert sum(each.counterfactual.is_valid for each in learned) >= 3
    for node, one, other in zip(nodes, learned, least, strict=True):
        if not one.counterfactual.is_valid:
            continue
        assert other.counterfactual.is_valid
        assert one.counterfactual.size >= other.counterfactual.size
        changed = one.counterfactual.data
        after = int(model(changed.x, changed.edge_index)[node].argmax())
        assert after == one.counterfactual.new_class
        assert after != int(model(data.x, data.edge_index)[node].argmax())
        assert changed.num_edges == data.num_edges - 2 * one.counterfactual.size


@pytest.mark.slow("the sets: test_what_is_learned_is_valid_and_never_smaller_than_the_smallest")
def test_gradients_of_weights_are_used_where_they_are_right() -> None:
    data, nodes = graph(), list(range(NODES))
    weights, messages, auto, none = (
        gg.CFGNNExplainer(model, relaxation=relaxation, progress=False)
        .explain(data, nodes)
        .table("counterfactual")
        for model, relaxation in (
            (Net(), "edge_weight"),
            (Net(), "messages"),
            (Net(), "auto"),
            (WithoutWeights(Net()), "auto"),
        )
    )
    assert auto.equals(weights)
    assert none["size"].tolist() == messages["size"].tolist()


@pytest.mark.parametrize("method", METHODS)
def test_a_class_that_no_deletion_changes_is_said(method: Any) -> None:
    data = star([(1, 0), (2, 0), (3, 0)])
    data.x[0] = torch.tensor([9.0, 0.0])
    model = SimpleConv(combine_root="sum")
    found = method(model, "node", progress=False).explain(data, [0])
    assert not found.table("counterfactual")["valid"].any()
    assert "changes the decision" in found.remarks()[0]
    assert not found[0].counterfactual.is_valid
    assert found[0].counterfactual.new_class == 0
    assert found[0].edge_mask.tolist() == [1, 1, 1]  # comes nearest


def test_the_end_of_the_budget_is_said() -> None:
    data = star([(3, 0), (3, 0), (3, 0), (3, 0), (0, 2)])  # four have to go
    quick = gg.SmallestCounterfactual(SimpleConv(), budget=25, progress=False).explain(data, [0])
    row = quick.table("counterfactual").iloc[0]
    assert row["valid"]
    assert row["size"] == 4
    assert row["tried_up_to"] == 1
    assert "a smaller counterfactual may exist" in quick.remarks()[0]
    whole = gg.SmallestCounterfactual(SimpleConv(), progress=False).explain(data, [0])
    assert whole.table("counterfactual").iloc[0]["tried_up_to"] == 3
    assert not whole.remarks()


def test_a_budget_for_nothing_is_not_taken_for_a_finding() -> None:
    data = star([(3, 0), (3, 0), (0, 2)])
    explainer = gg.SmallestCounterfactual(SimpleConv(), budget=2, progress=False)
    with pytest.warns(UserWarning, match="budget ended"):
        found = explainer.explain(data, [0])
    assert "raise budget" in found.remarks()[0]


@pytest.mark.parametrize("method", METHODS)
def test_max_size_is_kept(method: Any) -> None:
    data = star([(3, 0), (3, 0), (3, 0), (0, 2)])
    found = method(SimpleConv(), max_size=2, progress=False).explain(data, [0])
    assert not found[0].counterfactual.is_valid
    assert found[0].counterfactual.size <= 2


@pytest.mark.parametrize("method", METHODS)
def test_a_class_that_is_not_predicted_becomes_so(method: Any) -> None:
    data = star([(3, 0), (0, 2), (1, 1)])
    found = method(SimpleConv(), progress=False).explain(data, [0], target=1)
    assert found[0].edge_mask.tolist() == [1, 0, 0]
    assert found[0].counterfactual.new_class == 1


@pytest.mark.parametrize("method", METHODS)
def test_a_regression_loses_half_of_what_edges_do(method: Any) -> None:
    x = torch.tensor([[0.0], [4.0], [3.0], [2.0], [-1.0]])
    ends = torch.tensor([[1, 2, 3, 4], [0, 0, 0, 0]])
    task = gg.Task("node", mode="regression")
    found = method(SimpleConv(), task, progress=False).explain(Data(x=x, edge_index=ends), [0])
    one = found[0].counterfactual  # 8 in all: 4 have to go
    assert one.edge_id.tolist() == [0]
    assert one.new_class is None
    assert (one.before, one.after) == (8, 4)


@pytest.mark.parametrize("method", METHODS)
def test_graphs_and_nodes_that_go_with_their_edges(method: Any) -> None:
    x = torch.tensor([[3.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    ends = torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]])
    for removal in ("delete", "delete_isolated"):
        explainer = method(Pooled(), "graph", removal=removal, progress=False)
        found = explainer.explain([Data(x=x, edge_index=ends)], [0])
        one = found[0].counterfactual
        assert one.is_valid
        assert one.size == 1
        assert one.edge_id.tolist() == [0, 1]


@pytest.mark.parametrize("method", METHODS)
def test_isolated_nodes_go_from_graphs_alone(method: Any) -> None:
    with pytest.raises(HyperParameterError, match="is for predictions about graphs"):
        method(Net(), "node", removal="delete_isolated")


@pytest.mark.parametrize("value", [0, -1])
def test_sizes_are_positive(value: int) -> None:
    for method in METHODS:
        with pytest.raises(HyperParameterError, match="max_size"):
            method(Net(), max_size=value)


class Typed(nn.Module):
    """Papers hear authors who write them, and papers that cite them."""

    def __init__(self) -> None:
        super().__init__()
        self.writes, self.cites = SimpleConv(), SimpleConv()

    def forward(self, x_dict: Any, edge_index_dict: Any) -> Any:
        heard = self.writes((x_dict["author"], x_dict["paper"]), edge_index_dict[WRITES])
        return heard + self.cites(x_dict["paper"], edge_index_dict[CITES])


WRITES, CITES = ("author", "writes", "paper"), ("paper", "cites", "paper")


@pytest.mark.parametrize("method", METHODS)
def test_edges_of_one_type_go(method: Any) -> None:
    data = HeteroData()
    data["author"].x = torch.tensor([[3.0, 0.0], [0.0, 1.0]])
    data["paper"].x = torch.tensor([[0.0, 0.0], [0.0, 1.0]])
    data[WRITES].edge_index = torch.tensor([[1, 0], [0, 0]])
    data[CITES].edge_index = torch.tensor([[1], [0]])
    task = gg.Task("node", node_type="paper")
    found = method(Typed(), task, progress=False).explain(data, [0])
    one = found[0].counterfactual
    assert one.is_valid
    assert one.size == 1
    assert one.data[WRITES].edge_index.tolist() == [[1], [0]]
    assert one.data[CITES].num_edges == 1
    assert data[WRITES].num_edges == 2  # the user's own
    (read,) = counterfactuals(found, Typed(), data, task=task)
    assert read.data[WRITES].edge_index.tolist() == [[1], [0]]


# Read out of scores


def test_best_edges_are_deleted_until_the_class_changes() -> None:
    data = star([(3, 0), (4, 0), (0, 2), (1, 1)])
    found = gg.Occlusion(SimpleConv(), progress=False).explain(data, [0])
    (one,) = counterfactuals(found, SimpleConv(), data)
    assert one.is_valid
    assert one.size == 2
    assert one.edge_id.tolist() == [0, 1]
    assert one.new_class == 1
    assert one.before == pytest.approx(float(torch.tensor([8.0, 3.0]).softmax(0)[0]))
    assert one.data.edge_index.tolist() == [[3, 4], [0, 0]]


def test_reading_stops_at_edges_that_speak_against() -> None:
    data = star([(1, 0), (0, 2)])
    data.x[0] = torch.tensor([9.0, 0.0])
    model = SimpleConv(combine_root="sum")
    found = gg.Occlusion(model, gg.Task("node"), progress=False).explain(data, [0], target=(0, 1))
    (one,) = counterfactuals(found, model, data)
    assert not one.is_valid
    assert one.edge_id.tolist() == [0]


def test_a_long_way_is_read_in_portions() -> None:
    data = star([*[(1.0, 0.0)] * 37, (0, 3)])  # 37 to 3: at 3 to 3 the first wins, at 2 to 3 not
    found = gg.Occlusion(SimpleConv(), progress=False).explain(data, [0])
    (one,) = counterfactuals(found, SimpleConv(), data)
    assert one.is_valid
    assert one.size == 35
    (short,) = counterfactuals(found, SimpleConv(), data, max_size=34)
    assert not short.is_valid
    assert short.size == 34


def test_what_a_method_found_is_what_is_read() -> None:
    model, data = Net(), graph()
    found = gg.SmallestCounterfactual(model, progress=False).explain(data)
    for one, other in zip(found, counterfactuals(found, model, data), strict=True):
        assert one.counterfactual.is_valid == other.is_valid
        assert one.counterfactual.size == other.size
        assert one.counterfactual.new_class == other.new_class
        assert torch.equal(one.counterfactual.data.edge_index, other.data.edge_index)


def test_quality_against_hand_counts() -> None:
    data = star([(3, 0), (4, 0), (0, 2), (1, 1)])
    data.edge_label = torch.tensor([1, 0, 0, 0])
    found = gg.Occlusion(SimpleConv(), progress=False).explain(data, [0, 1])
    read = counterfactuals(found, SimpleConv(), data)
    values = {each.metric: each.estimate.value for each in counterfactual_quality(found, read)}
    assert values["counterfactual_validity"] == 0.5  # node 1 hears nobody
    assert values["counterfactual_size"] == 2
    assert values["counterfactual_sparsity"] == 0.5
    with pytest.raises(UnknownMetricError, match="1 counterfactuals for 2 explanations"):
        counterfactual_quality(found, read[:1])


def test_bad_questions_are_refused() -> None:
    data = star([(3, 0), (0, 2)])
    found = gg.Occlusion(SimpleConv(), progress=False).explain(data, [0])
    with pytest.raises(UnknownMetricError, match="removal must be 'delete'"):
        counterfactuals(found, SimpleConv(), data, removal="shut")
    with pytest.raises(HyperParameterError, match="max_size must be at least 1"):
        counterfactuals(found, SimpleConv(), data, max_size=0)
    task = gg.Task("node", mode="regression")
    found = gg.Occlusion(SimpleConv(), task, progress=False).explain(data, [0], target=0)
    with pytest.raises(TaskError, match="a regression has none"):
        counterfactuals(found, SimpleConv(), data)


def test_a_saved_counterfactual_is_the_same(tmp_path: Any) -> None:
    data = star([(3, 0), (4, 0), (0, 2), (1, 1)])
    found = gg.SmallestCounterfactual(SimpleConv(), progress=False).explain(data, [0])
    found.save(tmp_path / "found")
    one = gg.Explanations.load(tmp_path / "found")[0].counterfactual
    assert one.edge_id.tolist() == [0, 1]
    assert one.is_valid
    assert one.new_class == 1
    assert one.data.edge_index.tolist() == [[3, 4], [0, 0]]
