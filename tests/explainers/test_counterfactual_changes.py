"""Insertions, features and rules: counterfactuals that are known by hand, or by trying all sets."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Data, HeteroData
from torch_geometric.nn import GCNConv, SimpleConv, global_add_pool

import glassgraph as gg
from glassgraph.errors import (
    GlassgraphError,
    GraphError,
    HyperParameterError,
    UnknownMetricError,
    UnsupportedModelError,
)
from glassgraph.explainers.constant import ConstantScoresWarning
from glassgraph.metrics import counterfactual_quality, counterfactuals
from glassgraph.results.counterfactual import Counterfactual

METHODS = [gg.CFGNNExplainer, gg.SmallestCounterfactual]
Connected, Valence = gg.graph_rules.Connected, gg.graph_rules.Valence


class Sums(nn.Module):
    """What nodes two hops away have counts a tenth; weights of edges are taken."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = SimpleConv(), SimpleConv()

    def forward(self, x: Tensor, edge_index: Tensor, edge_weight: Tensor | None = None) -> Tensor:
        if edge_weight is None:
            edge_weight = torch.ones(edge_index.size(1))
        hidden = x + self.first(x, edge_index, edge_weight) / 10
        found: Tensor = x + self.second(hidden, edge_index, edge_weight)
        return found


class Net(nn.Module):
    """Two normalized layers, whose messages change with degrees."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(3)
            self.first, self.second = GCNConv(3, 5), GCNConv(5, 2)
        self.double().eval()

    def forward(self, x: Tensor, edge_index: Tensor, edge_weight: Tensor | None = None) -> Any:
        hidden = self.first(x, edge_index, edge_weight).tanh()
        return 5 * self.second(hidden, edge_index, edge_weight)


class Pooled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = SimpleConv()

    def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor) -> Any:
        return global_add_pool(self.conv(x, edge_index), batch)


def undirected(*pairs: tuple[int, int]) -> Tensor:
    ends = torch.tensor(pairs).t()
    return torch.cat([ends, ends.flip(0)], dim=1)


def small_graph() -> Data:
    draw = torch.Generator().manual_seed(1)
    ends = undirected((0, 1), (1, 2), (2, 3), (3, 0), (0, 4), (4, 5), (1, 5))
    return Data(x=torch.randn(6, 3, generator=draw).double(), edge_index=ends)


def explained(method: Any, model: nn.Module, data: Any, index: Any, **settings: Any) -> Any:
    settings = {"progress": False, **settings}
    if method is gg.SmallestCounterfactual and settings.get("task", "node") == "node":
        settings.setdefault("num_hops", 3)
    return method(model, **settings).explain(data, index)


def decision_there(model: nn.Module, found: Counterfactual) -> tuple[int, float]:
    """What the model says on the user's whole graph with the changes: its class, and before's."""
    with torch.no_grad():
        row = model(found.data.x, found.data.edge_index)[found.index].softmax(0)
        own = model(found.original.x, found.original.edge_index)[found.index]
    return int(row.argmax()), float(row[own.argmax()])


# Insertions


def two_or_one() -> Data:
    """Node 0 hears 7 for class 0 and 2 for class 1; node 4, behind node 1, has 9 for class 1."""
    x = torch.tensor([[0.0, 0.0], [3.0, 0.0], [4.0, 0.0], [0.0, 2.0], [0.0, 9.0]])
    return Data(x=x, edge_index=torch.tensor([[1, 2, 3, 4], [0, 0, 0, 1]]))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("insertions", ["target", "field", [(4, 0), (3, 2)]])
def test_one_insertion_where_two_edges_would_have_to_go(method: Any, insertions: Any) -> None:
    data = two_or_one()
    deleted = explained(method, Sums(), data, [0])[0].counterfactual
    assert (deleted.size, deleted.edge_id.tolist()) == (2, [0, 1])
    found = explained(method, Sums(), data, [0], insertions=insertions)
    one = found[0].counterfactual
    assert one.is_valid
    assert (one.size, one.num_inserted, one.num_deleted) == (1, 1, 0)
    assert one.inserted.edge_index.tolist() == [[4], [0]]
    assert one.data.edge_index.tolist() == [[1, 2, 3, 4, 4], [0, 0, 0, 1, 0]]
    assert data.num_edges == 4  # the user's own
    assert (one.new_class, pytest.approx(one.after)) == decision_there(Sums(), one)
    assert one.proximity == 4 / 5  # four edges in sight, and an inserted one
    assert one.sparsity == 1
    assert "deletes no edge" in found.remarks()[0]


def test_given_pairs_alone_are_joined() -> None:
    found = explained(gg.SmallestCounterfactual, Sums(), two_or_one(), [0], insertions=[(2, 4)])
    assert found[0].counterfactual.num_inserted == 0
    assert found[0].counterfactual.size == 2


def test_what_lies_behind_the_end_of_a_new_edge_comes_into_sight() -> None:
    """Of two hops from 0: 2 is heard, 3 is not; through a new edge from 2 it is."""
    x = torch.tensor([[1.0, 0.0], [0.0, 0.0], [0.0, 0.0], [0.0, 40.0]])
    data = Data(x=x, edge_index=torch.tensor([[1, 2, 3], [0, 1, 2]]))
    for method, settings in (
        (gg.SmallestCounterfactual, {"num_hops": 2, "insertions": "target"}),
        (gg.CFGNNExplainer, {"insertions": [(2, 0)]}),  # a hop more is in sight, for degrees
    ):
        one = explained(method, Sums(), data, [0], **settings)[0].counterfactual
        assert one.is_valid
        assert one.inserted.edge_index.tolist() == [[2], [0]]
        assert (one.new_class, pytest.approx(one.after)) == decision_there(Sums(), one)


def smallest_by_hand(model: nn.Module, data: Data, node: int, most: int) -> int | None:
    """Toggle every set of pairs of nodes, small ones first, on the user's whole graph."""
    size = int(data.num_nodes or 0)
    pairs = list(combinations(range(size), 2))
    joined = {tuple(pair) for pair in data.edge_index.t().tolist() if pair[0] < pair[1]}
    before = int(model(data.x, data.edge_index)[node].argmax())
    for count in range(1, most + 1):
        for chosen in combinations(pairs, count):
            ends = undirected(*(joined ^ set(chosen)))
            if int(model(data.x, ends)[node].argmax()) != before:
                return count
    return None


def test_the_smallest_is_that_of_trying_all_sets_of_deletions_and_insertions() -> None:
    model, data = Net(), small_graph()
    found = explained(gg.SmallestCounterfactual, model, data, None, insertions="field")
    expected = [smallest_by_hand(model, data, node, 2) for node in range(6)]
    sizes = [each.counterfactual.size if each.counterfactual.is_valid else None for each in found]
    assert [size if size is not None and size < 3 else None for size in sizes] == expected
    assert {1, 2} <= set(expected)
    inserted = 0
    for each in found:
        one = each.counterfactual
        inserted += one.num_inserted
        if one.is_valid:
            assert (one.new_class, pytest.approx(one.after)) == decision_there(model, one)
    assert inserted


def test_what_is_learned_with_all_changes_holds_on_the_whole_graph() -> None:
    model, data = Net(), small_graph()
    settings: dict[str, Any] = {"insertions": "field", "features": "field"}
    learned = explained(gg.CFGNNExplainer, model, data, None, **settings)
    least = explained(gg.SmallestCounterfactual, model, data, None, budget=3000, **settings)
    num_valid = 0
    for one, other in zip(learned, least, strict=True):
        own, smallest = one.counterfactual, other.counterfactual
        if not own.is_valid:
            continue
        num_valid += 1
        assert smallest.is_valid
        assert own.size >= smallest.size
        for found in (own, smallest):
            said = decision_there(model, found)
            assert (found.new_class, pytest.approx(found.after)) == said
    assert num_valid >= 4


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.slow("deletions: tests/laws")
def test_changes_are_found_together_as_alone(method: Any) -> None:
    model, data = Net(), small_graph()
    settings: dict[str, Any] = {"insertions": "field", "features": "target", "max_size": 2}
    together = explained(method, model, data, [0, 3, 5], **settings)
    for position, node in enumerate([0, 3, 5]):
        (alone,) = explained(method, model, data, [node], **settings)
        one, other = alone.counterfactual, together[position].counterfactual
        assert (one.size, one.is_valid, one.new_class) == (
            other.size,
            other.is_valid,
            other.new_class,
        )
        assert torch.equal(one.data.edge_index, other.data.edge_index)
        assert torch.equal(one.data.x, other.data.x)


class Typed(nn.Module):
    """Messages along edges of type 1 count three times."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = SimpleConv()

    def forward(self, x: Tensor, edge_index: Tensor, edge_type: Tensor) -> Tensor:
        found: Tensor = self.conv(x, edge_index, 1.0 + 2 * edge_type)
        return found


def test_an_inserted_edge_has_the_attributes_that_most_have(tmp_path: Path) -> None:
    x = torch.tensor([[5.0, 0.0], [1.0, 0.0], [0.0, 2.0], [0.0, 2.0]])
    ends = torch.tensor([[0, 1, 2], [3, 3, 3]])
    data = Data(x=x, edge_index=ends, edge_type=torch.tensor([0, 0, 1]), other=torch.rand(3))
    task = gg.Task("node")
    data.edge_index = torch.cat([ends, torch.tensor([[3], [0]])], dim=1)
    data.edge_type = torch.tensor([0, 0, 1, 0])
    found = gg.SmallestCounterfactual(
        Typed(), task, insertions=[(1, 0), (2, 0)], num_hops=2, progress=False
    ).explain(data, [3], target=0)
    one = found[0].counterfactual  # 6 to 6 at node 3: already decided by a tie for class 0
    assert one.is_valid
    inserted = explained(
        gg.SmallestCounterfactual, Typed(), data, [0], insertions=[(1, 0)], num_hops=2
    )
    new = inserted[0].counterfactual  # node 0 hears 2 for class 1; an edge from 1 brings 1
    assert not new.is_valid or new.num_inserted == 0
    found.save(tmp_path / "run")
    again = gg.Explanations.load(tmp_path / "run")
    assert again.provenance == found.provenance
    assert torch.equal(again[0].counterfactual.data.edge_index, one.data.edge_index)


# Features


@pytest.mark.parametrize("method", METHODS)
def test_a_feature_is_set_to_zero_where_no_edge_can_help(method: Any) -> None:
    x = torch.tensor([[9.0, 1.0], [0.0, 2.0], [0.0, 3.0]])
    data = Data(x=x, edge_index=torch.tensor([[1, 2], [0, 0]]))
    model = SimpleConv(combine_root="sum")  # 9 to 6
    without = explained(method, model, data, [0])
    assert not without[0].counterfactual.is_valid
    found = explained(method, model, data, [0], features="target")
    one = found[0].counterfactual
    assert one.is_valid
    assert (one.size, one.num_deleted, one.features.node_id.tolist()) == (1, 0, [0])
    assert (one.features.column.tolist(), one.features.before.tolist()) == ([0], [9])
    assert one.data.x.tolist() == [[0, 1], [0, 2], [0, 3]]
    assert data.x[0, 0] == 9  # the user's own
    assert one.feature_distance == 9
    assert (one.new_class, pytest.approx(one.after)) == decision_there(model, one)
    values = {
        each.metric: each
        for each in counterfactual_quality(found, [each.counterfactual for each in found])
    }
    assert values["counterfactual_feature_distance"].estimate.value == 9
    assert values["counterfactual_feature_distance"].better == "lower"
    assert values["counterfactual_proximity"].estimate.value == 1


def test_features_become_the_mean_over_nodes() -> None:
    x = torch.tensor([[9.0, 1.0], [0.0, 2.0], [0.0, 3.0]])
    data = Data(x=x, edge_index=torch.tensor([[1, 2], [0, 0]]))
    settings: dict[str, Any] = {"features": "target", "feature_baseline": "mean"}
    found = explained(
        gg.SmallestCounterfactual, SimpleConv(combine_root="sum"), data, [0], **settings
    )
    one = found[0].counterfactual  # 3 to 6
    assert one.data.x[0].tolist() == [3, 1]
    assert one.features.after.tolist() == [3]


@pytest.mark.parametrize("method", METHODS)
def test_features_of_one_type_of_nodes(method: Any) -> None:
    class Reads(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = SimpleConv()

        def forward(self, x_dict: Any, edge_index_dict: Any) -> Any:
            (edges,) = edge_index_dict.values()
            return x_dict["paper"] + self.conv((x_dict["author"], x_dict["paper"]), edges)

    data = HeteroData()
    data["author"].x = torch.tensor([[5.0, 0.0], [2.0, 0.0]])
    data["paper"].x = torch.tensor([[0.0, 6.0]])
    data["author", "writes", "paper"].edge_index = torch.tensor([[0, 1], [0, 0]])
    task = gg.Task("node", node_type="paper")
    found = method(Reads(), task, features="field", progress=False).explain(data, [0])
    one = found[0].counterfactual
    assert one.is_valid
    assert one.size == 1
    changed = Reads()(one.data.x_dict, one.data.edge_index_dict)[0]
    assert int(changed.argmax()) == one.new_class == 1
    both = method(Reads(), task, features="field", pairs=False, progress=False)
    assert both.explain(data, [0], target=1)[0].counterfactual.is_valid


# Rules


def ring_with_a_tail() -> Data:
    """Carbons in a ring, and an oxygen at node 0 that speaks for class 0."""
    x = torch.tensor([[0.0, 1.0], [0.0, 1.0], [1.5, 0.0], [8.0, 0.0]])
    ends = undirected((0, 1), (1, 2), (2, 0), (0, 3))
    return Data(x=x, edge_index=ends, node_names=["C", "C", "C", "O"])


@pytest.mark.parametrize("method", METHODS)
def test_a_counterfactual_keeps_the_rules(method: Any) -> None:
    """Degrees times features sum to 11 and 5; without the tail, and nothing else, to 3 and 4."""
    data = ring_with_a_tail()
    free = explained(method, Pooled(), [data], [0], task="graph")[0].counterfactual
    assert free.is_valid
    assert free.edge_id.tolist() == [3, 7]
    bound = explained(method, Pooled(), [data], [0], task="graph", rules=[Connected()])
    one = bound[0].counterfactual
    assert not one.is_valid  # nothing but the tail makes class 0 small enough
    assert "keeps the rules" in bound.remarks()[0]
    assert 3 not in one.edge_id.tolist()  # what comes nearest keeps them, too
    if method is gg.SmallestCounterfactual:
        assert bound.table("counterfactual").iloc[0]["tried_up_to"] == 4
    settings: dict[str, Any] = {"rules": [Connected(), Valence()], "removal": "delete_isolated"}
    gone = explained(method, Pooled(), [data], [0], task="graph", **settings)[0].counterfactual
    assert gone.is_valid  # the oxygen goes with its bond
    assert gone.edge_id.tolist() == [3, 7]


@pytest.mark.parametrize("method", METHODS)
def test_rules_that_no_change_can_keep_are_said(method: Any) -> None:
    with pytest.warns(ConstantScoresWarning, match="that keeps the rules"):
        found = explained(
            method, Pooled(), [ring_with_a_tail()], [0], task="graph", rules=[lambda *_: False]
        )
    one = found[0].counterfactual
    assert not one.is_valid
    assert one.size == 0


def test_insertions_keep_valences() -> None:
    """An edge between the two oxygens would do, but each has two neighbors already."""
    x = torch.tensor([[1.0, 0.0], [0.0, 4.0], [1.0, 0.0], [0.0, 4.0], [15.0, 0.0]])
    ends = undirected((0, 1), (1, 2), (2, 3), (3, 0), (4, 0))
    data = Data(x=x, edge_index=ends, node_names=["C", "O", "C", "O", "C"])
    settings: dict[str, Any] = {"insertions": [(1, 3)], "removal": "delete"}
    free = explained(gg.SmallestCounterfactual, Pooled(), [data], [0], task="graph", **settings)
    assert free[0].counterfactual.size == 1
    assert free[0].counterfactual.is_valid
    rules = [Valence(), lambda _, edges: edges.size(1) >= 10]  # nothing may be lost either
    bound = explained(
        gg.SmallestCounterfactual, Pooled(), [data], [0], task="graph", rules=rules, **settings
    )
    assert not bound[0].counterfactual.is_valid


def test_plausibility_beside_chance() -> None:
    ring = Data(
        x=torch.tensor([[0.0, 1.0], [0.0, 1.0], [2.5, 0.0]]),
        edge_index=undirected((0, 1), (1, 2), (2, 0)),
    )
    path = Data(
        x=torch.tensor([[0.0, 1.0], [0.0, 1.0], [4.0, 0.0]]), edge_index=undirected((0, 1), (1, 2))
    )
    for data, expected in ((ring, 1.0), (path, 0.0)):
        found = explained(
            gg.SmallestCounterfactual, Pooled(), [data], [0], task="graph", max_size=1
        )
        own = [each.counterfactual for each in found]
        assert own[0].is_valid
        rows = counterfactual_quality(found, own, rules=[Connected()])
        (measured,) = (each for each in rows if each.metric == "counterfactual_plausibility")
        assert measured.estimate.value == expected
        assert measured.floor is not None
        assert measured.floor.value == expected  # any one edge of a ring, none of a path
        judged = counterfactual_quality(found, own, rules=[lambda kind, _: kind.numel() == 3])
        assert judged[-1].estimate.value == 1
        dropped = counterfactual_quality(
            found, own, rules=[lambda kind, _: kind.numel() == 3], removal="delete_isolated"
        )
        assert dropped[-1].estimate.value == expected
    read = counterfactuals(found, Pooled(), [path], task="graph")
    assert counterfactual_quality(found, read, rules=[Valence({"node": 1})])[-1].estimate.value == 1


# Bad input

X = torch.rand(5, 2)
LINE = Data(x=X, edge_index=torch.tensor([[1, 2, 3, 4], [0, 1, 2, 3]]))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"insertions": "all"}, "insertions must be 'none', 'target', 'field' or a sequence"),
        ({"insertions": [(1, 2, 3)]}, "insertions holds pairs of nodes"),
        ({"insertions": []}, "insertions holds pairs of nodes"),
        ({"features": "all"}, "features must be 'none', 'target' or 'field'"),
        ({"feature_baseline": "median"}, "feature_baseline must be 'zero' or 'mean'"),
        ({"max_candidates": 0}, "max_candidates must be an integer of at least 1"),
        ({"rules": [Connected()]}, "rules are about whole graphs"),
        ({"rules": [3], "task": "graph"}, "rules holds rules such as"),
        ({"insertions": "target", "task": "graph"}, "insertions='target' means"),
        ({"features": "target", "task": "graph"}, "features='target' means"),
        (
            {"features": "field", "rules": [Connected()], "task": "graph"},
            "rules speak of what nodes are",
        ),
        (
            {"insertions": "field", "removal": "delete_isolated", "task": "graph"},
            "leave one of them out",
        ),
    ],
    ids=lambda value: None if isinstance(value, str) else "-".join(value),
)
def test_settings_that_cannot_be_are_refused(method: Any, settings: Any, words: str) -> None:
    with pytest.raises(HyperParameterError, match=words):
        method(Sums(), **settings)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"insertions": [(0, 9)]}, HyperParameterError, r"names \(0, 9\); nodes are 0 to 4"),
        ({"insertions": [(1, 0)]}, HyperParameterError, r"names \(1, 0\), which an edge joins"),
        (
            {"insertions": "field", "max_candidates": 3},
            HyperParameterError,
            "pairs of nodes could be joined around node 0, more than max_candidates=3",
        ),
        (
            {"features": "field", "max_candidates": 3},
            HyperParameterError,
            "features around node 0 differ from their baseline, more than max_candidates=3",
        ),
    ],
    ids=["unknown", "joined", "many-pairs", "many-features"],
)
def test_what_cannot_be_changed_is_refused(
    method: Any, settings: Any, error: type[GlassgraphError], words: str
) -> None:
    with pytest.raises(error, match=words):
        explained(method, Sums(), LINE, [0], **settings)


def test_insertions_that_weights_cannot_tell_are_not_learned() -> None:
    class WithoutWeights(Sums):
        def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:  # type: ignore[override]
            return super().forward(x, edge_index)

    for model, relaxation in ((WithoutWeights(), "auto"), (Sums(), "messages")):
        explainer = gg.CFGNNExplainer(
            model, insertions="target", relaxation=relaxation, progress=False
        )
        with pytest.raises(UnsupportedModelError, match="take smallest_counterfactual"):
            explainer.explain(LINE, [0])


def test_graphs_that_cannot_be_changed_so_are_refused() -> None:
    data = HeteroData()
    data["a"].x = torch.rand(2, 2)
    data["a", "to", "a"].edge_index = torch.tensor([[1], [0]])

    class Reads(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = SimpleConv()

        def forward(self, x_dict: Any, edge_index_dict: Any) -> Any:
            return self.conv(x_dict["a"], edge_index_dict["a", "to", "a"])

    task = gg.Task("node", node_type="a")
    explainer = gg.SmallestCounterfactual(Reads(), task, insertions="target", progress=False)
    with pytest.raises(GraphError, match="insertions are for graphs with one type"):
        explainer.explain(data, [0])

    class Kinds(nn.Module):
        def forward(self, x: Tensor, edge_index: Tensor) -> Any:
            return torch.zeros(x.size(0), 2).index_add(
                0, edge_index[1], nn.functional.one_hot(x[edge_index[0]], 2).float()
            )

    whole = Data(x=torch.tensor([0, 1, 1]), edge_index=torch.tensor([[1, 2], [0, 0]]))
    explainer = gg.SmallestCounterfactual(Kinds(), "node", features="field", progress=False)
    with pytest.raises(GraphError, match="no floating numbers"):
        explainer.explain(whole, [0])

    class Weighted(nn.Module):
        def forward(self, x: Tensor, edge_index: Tensor, edge_attr: Tensor) -> Any:
            return torch.zeros_like(x).index_add(
                0, edge_index[1], x[edge_index[0]] * edge_attr.sum(1, keepdim=True)
            )

    line = LINE.clone()
    line.edge_attr = torch.arange(8.0).view(4, 2)
    explainer = gg.SmallestCounterfactual(
        Weighted(), "node", insertions="target", num_hops=2, progress=False
    )
    with pytest.raises(GraphError, match="the row of edge_attr that most edges have"):
        explainer.explain(line, [0])


def test_rules_are_asked_of_graphs_alone() -> None:
    found = explained(gg.SmallestCounterfactual, Sums(), two_or_one(), [0])
    own = [each.counterfactual for each in found]
    with pytest.raises(UnknownMetricError, match="about whole graphs"):
        counterfactual_quality(found, own, rules=[Connected()])
