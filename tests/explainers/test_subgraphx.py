"""SubgraphX: against a search that evaluates one set of nodes at a time, with the same draws."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn import SimpleConv, global_add_pool

import glassgraph as gg
from glassgraph.black_box.bits import members, to_masks, to_sets, union, within
from glassgraph.errors import HyperParameterError, UnsupportedModelError
from glassgraph.explainers.perturbation.search.subgraph_tree import Rules, Tree
from glassgraph.models.gnn import GCN, Body
from glassgraph.testing.cases import CASES, Case, graph
from glassgraph.testing.compare import expect_same, scores
from glassgraph_studies.reference import searches as literal_searches
from glassgraph_studies.reference.searches import TreeSearch, draw_orders
from tests.explainers.opaque import Opaque
from tests.laws import literal

TINY: dict[str, Any] = {"rollouts": 3, "expand_atoms": 4, "samples": 3}


def search(model: Any, case: Case, data: Any, index: Any = None, **settings: Any) -> Any:
    explainer = gg.SubgraphX(model, case.task(), progress=False, **{**TINY, **settings})
    index = case.index if index is None else index
    return explainer.explain(data, index=index, target=case.target)


def chance(case: Case, output: Tensor, row: Any, chosen: Any) -> float:
    """The value of a prediction, spelled out for every mode; the mean over several rows."""
    if row is None:
        return sum(chance(case, output, *each) for each in enumerate(chosen)) / len(chosen)
    if case.mode == "regression":
        return float(output[row, chosen[0]])
    one = literal.log_probability(case, output, row, chosen[0]).exp()
    if chosen[1] is None:
        return float(one)
    return float(one - literal.log_probability(case, output, row, chosen[1]).exp())


def literal_rewards(
    case: Case, data: Any, explanation: Any, building: str, **settings: int
) -> dict[frozenset[int], float]:
    """Rewards of all subgraphs that the literal search meets; nodes by the user's numbers."""
    model, number = case.model(), explanation.local.index
    one, row = literal.one_graph(case, data, case.index.index(number))
    local = explanation.local
    with torch.no_grad():
        chosen = literal.target(case, literal.predict_one(model, case, one), one, row)

    def value(nodes: set[int]) -> float:
        is_left = torch.tensor([node in nodes for node in range(one.num_nodes)])
        changed = one.clone()
        if building == "zero_filling":
            is_gone = torch.tensor([int(node) not in nodes for node in local.node_id])
            changed.x[local.node_id[is_gone]] = 0
        else:
            changed = one.edge_subgraph(is_left[one.edge_index].all(dim=0))
        with torch.no_grad():
            return chance(case, literal.predict_one(model, case, changed), row, chosen)

    nodes = set(local.node_id.tolist())
    ends = local.node_id[local.edge_index].t().tolist()
    fixed = set(local.node_id[torch.isin(local.node_id, local.seeds)].tolist())
    draws = draw_orders(0, number, nodes, TINY["samples"])
    tree = TreeSearch(nodes, ends, fixed, value, draws, 1e-12, **settings)
    return tree.run(TINY["rollouts"], TINY["expand_atoms"], 10.0 if case.level == "graph" else 5.0)


def listed(explanation: Any) -> list[tuple[frozenset[int], float]]:
    """The subgraphs of the table, in their order."""
    table, found = explanation.local.tables["subgraphs"], []
    for rank in table["rank"].unique().tolist():
        own = table["rank"] == rank
        nodes = explanation.local.node_id[table["node"][own]].tolist()
        assert set(table["size"][own].tolist()) == {len(nodes)}
        assert table["reward"][own].unique().numel() == 1
        found.append((frozenset(nodes), table["reward"][own][0].item()))
    return found


@pytest.mark.parametrize("building", ["zero_filling", "split"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_search_is_the_literal_one(case: Case, building: str) -> None:
    data = case.data()
    found = search(case.model(), case, data, subgraph_building=building, keep=1000)
    for explanation in found:
        expected = literal_rewards(case, data, explanation, building)
        smallest = min(map(len, expected))
        fitting = {n: r for n, r in expected.items() if len(n) <= max(5, smallest)}
        mine = listed(explanation)
        assert {nodes for nodes, _ in mine} == set(fitting)
        for nodes, reward in mine:
            assert reward == pytest.approx(fitting[nodes], abs=1e-9)
        assert [reward for _, reward in mine] == sorted((r for _, r in mine), reverse=True)
        check_scores(explanation, mine[0][0])


def check_scores(explanation: Any, nodes: frozenset[int]) -> None:
    """1 for the nodes of the subgraph and the edges among them, 0 for the others."""
    local = explanation.local
    is_in = torch.tensor([node in nodes for node in local.node_id.tolist()])
    assert torch.equal(local.node_score, is_in.to(local.node_score))
    assert torch.equal(local.edge_score, is_in[local.edge_index].all(dim=0).to(local.edge_score))


def test_several_nodes_go_at_once_where_there_are_many() -> None:
    case = Case("gin", "graph")
    data = [graph(75, 160)]
    data[0].y = torch.zeros(1).long()
    found = search(case.model(), case, data, [0], keep=1000, rollouts=2)[0]
    case = Case("gin", "graph", target=found.local.target)
    literal_case = type("One", (Case,), {"index": [0]})("gin", "graph", target=found.local.target)
    model, local = case.model(), found.local
    draws = draw_orders(0, 0, set(range(75)), TINY["samples"])

    def value(nodes: set[int]) -> float:
        changed = data[0].clone()
        changed.x[[node for node in range(75) if node not in nodes]] = 0
        with torch.no_grad():
            output = literal.predict_one(model, literal_case, changed)
        return chance(literal_case, output, 0, (local.target, None))

    ends = data[0].edge_index.t().tolist()
    tree = TreeSearch(set(range(75)), ends, set(), value, draws, 1e-12)
    expected = tree.run(2, TINY["expand_atoms"], 10.0)
    assert dict(listed(found)).keys() == {n for n in expected if len(n) <= 5}


def test_by_hand() -> None:
    """Three messages are summed; with node 2 the logits differ by 6, with 1 by -2, with 3 by 2."""
    x = torch.tensor([[0.0], [-1.0], [3.0], [1.0]]).double()
    data = Data(x=x, edge_index=torch.tensor([[1, 2, 3], [0, 0, 0]]))

    def model(x: Tensor, edge_index: Tensor) -> Tensor:
        s = SimpleConv(aggr="sum")(x, edge_index)
        return torch.cat([-s, s], dim=1)

    explainer = gg.SubgraphX(model, max_nodes=2, samples=4000, progress=False)
    found = explainer.explain(data, [0], target=1)[0]
    assert found.node_mask.view(-1).tolist() == [1, 0, 1, 0]
    assert found.edge_mask.tolist() == [0, 1, 0]
    rewards = dict(listed(found))
    p = torch.tensor([0.0, -2.0, 6.0, 2.0]).double()

    def v(*nodes: int) -> Tensor:
        return p[list(nodes)].sum().sigmoid()

    # {0, 2} against 1 and 3: first, second in two ways, last.
    exact = (v(2) - v()) / 3 + (v(1, 2) - v(1) + v(2, 3) - v(3)) / 6 + (v(1, 2, 3) - v(1, 3)) / 3
    assert rewards[frozenset({0, 2})] == pytest.approx(exact.item(), abs=0.02)


def tree_of(ends: list[tuple[int, int]], fixed: int = 0, **settings: Any) -> Tree:
    neighbors = [0] * (1 + max(map(max, ends)))
    for one, other in ends:
        neighbors[one] |= 1 << other
        neighbors[other] |= 1 << one
    rules = {"rollouts": 9, "smallest": 1, "breadth": 14, "depth": 30, "explore": 1.0}
    rules |= {"high_to_low": False, **settings}
    return Tree(neighbors, (1 << len(neighbors)) - 1, fixed, Rules(**rules))


def children(tree: Tree) -> list[list[int]]:
    steps = tree.search()
    for each in next(steps):
        each.reward = 0.0
    return [list(members(each.nodes)) for each in next(steps)]


def test_children_are_connected_and_of_low_degree_first() -> None:
    path = [(0, 1), (1, 2), (2, 3), (3, 4)]
    assert children(tree_of(path)) == [[1, 2, 3, 4], [0, 1, 2, 3], [2, 3, 4], [0, 1], [0, 1, 2]]
    assert children(tree_of(path, breadth=2)) == [[1, 2, 3, 4], [0, 1, 2, 3]]
    assert children(tree_of(path, high_to_low=True))[0] == [2, 3, 4]
    assert children(tree_of(path, fixed=0b10)) == [[1, 2, 3, 4], [0, 1, 2, 3], [0, 1], [0, 1, 2]]
    assert children(tree_of(path, depth=2)) == [[1, 2, 3], [3, 4], [0, 1, 2]]


def test_visits_and_prospects() -> None:
    """The first walk follows rewards; the bonus is off, so they all go the same way."""
    tree = tree_of([(0, 1), (1, 2)], smallest=2, rollouts=3, explore=0.0)
    rewards = {0b111: 0.0, 0b110: 0.5, 0b011: 0.9, 0b010: 0.0}
    steps = tree.search()
    for some in steps:
        for each in some:
            each.reward = rewards.get(each.nodes, -1.0)
    assert tree.seen[0b011].visits == 3
    assert tree.seen[0b011].total == pytest.approx(2.7)
    assert tree.ranked(2)[0].nodes == 0b011
    tired = tree_of([(0, 1), (1, 2)], smallest=2)
    next(tired.search())
    tired.is_tired = True
    assert list(tired.search()) == [[tired.root]]


def test_shares_of_nested_subgraphs() -> None:
    tree = tree_of([(0, 1), (1, 2)], smallest=1)
    rewards = {0b111: 3.0, 0b110: 2.0, 0b011: 1.0, 0b010: 1.0}
    for some in tree.search():
        for each in some:
            each.reward = rewards.get(each.nodes, -1.0)
    weights = torch.tensor([1.0, 2.0, 3.0]).double().div(3).softmax(dim=0).tolist()
    expected = dict(zip([0b010, 0b110, 0b111], weights, strict=True))
    assert tree.shares() == pytest.approx(expected)
    for each in tree.seen.values():
        each.reward = 0.0
    tree.seen[0b110].reward = -1.0
    ((nodes, share),) = tree.shares().items()
    assert (nodes.bit_count(), share) == (1, pytest.approx(1))


def test_graded_scores_are_nested() -> None:
    case = Case("gin", "node")
    for explanation in search(case.model(), case, case.data(), graded=True):
        local = explanation.local
        seed = local.node_id == local.seeds
        assert local.node_score[seed] == pytest.approx(1)
        assert float(local.node_score.max()) <= 1 + 1e-12
        ends = local.node_score[local.edge_index].amin(dim=0)
        assert bool((local.edge_score <= ends + 1e-12).all())


class Counting(nn.Module):
    """Counts the graphs that go through a model."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model, self.graphs = model, 0

    def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor) -> Tensor:
        self.graphs += int(batch.max()) + 1
        return self.model(x, edge_index, batch=batch)


def test_no_set_is_evaluated_twice() -> None:
    """Six nodes have 64 sets, whatever the number of samples."""
    case, data = Case("gin", "graph"), graph(6, 14)
    data.y = torch.zeros(1).long()
    counting = Counting(case.model())
    explainer = gg.SubgraphX(counting, "graph", min_atoms=1, samples=200, progress=False)
    explainer.prepare([data])
    before = counting.graphs
    explainer.explain([data])
    assert 20 < counting.graphs - before < 64 + 10  # and what preparing takes


def test_effort_ends_the_search() -> None:
    case, data = Case("gin", "graph"), [graph(15, 40)]
    data[0].y = torch.zeros(1).long()
    few, many = (
        listed(search(case.model(), case, data, [0], effort=effort, rollouts=20, keep=1000)[0])
        for effort in (1e-9, None)
    )
    assert 0 < len(few) < len(many)


@pytest.mark.parametrize("case", CASES[::5], ids=str)
def test_a_black_box_will_do(case: Case) -> None:
    data = case.data()
    opaque = Opaque(case.model(), lambda model, data: literal.predict(model, case, data))
    seen, plain = (search(model, case, data) for model in (opaque, case.model()))
    for one, other in zip(seen, plain, strict=True):
        expect_same(scores(one), scores(other))


@pytest.mark.parametrize("level", ["node", "graph"])
def test_the_study_measures_the_same_method(level: str) -> None:
    data = graph(14, 30)
    data.edge_index = torch.unique(
        data.edge_index[:, data.edge_index[0] != data.edge_index[1]], dim=1
    )
    body = Body(concat=True, l2_normalize=True, pool=("add",))
    torch.manual_seed(1)
    model = GCN(5, 8, 3, level=level, body=body, normalize=False).double().eval()
    case = Case("gcn", level)
    given, index, node = ([data], [0], None) if level == "graph" else (data, [4], 4)
    found = search(model, case, given, index, **literal_searches.SETTINGS["subgraphx"])[0]
    theirs = literal_searches.subgraphx(model, data, node, index[0])
    torch.testing.assert_close(found.edge_mask, theirs.edge)
    torch.testing.assert_close(found.node_mask.view(-1), theirs.node)


@pytest.mark.parametrize(
    "name",
    [
        "max_nodes",
        "rollouts",
        "min_atoms",
        "expand_atoms",
        "local_radius",
        "samples",
        "depth",
        "keep",
    ],
)
def test_less_than_one_is_refused(name: str) -> None:
    with pytest.raises(
        HyperParameterError, match=rf"{name} must be an integer of at least 1; got 0"
    ):
        gg.SubgraphX(Case("gin", "node").model(), **{name: 0})


def test_what_else_is_refused() -> None:
    model = Case("gin", "node").model()
    for name in ("c_puct", "effort"):
        with pytest.raises(
            HyperParameterError, match=f"{name} must be a number above 0 or None; got 0"
        ):
            gg.SubgraphX(model, **{name: 0})
    with pytest.raises(HyperParameterError, match="'zero_filling' or 'split'; got 'cut'"):
        gg.SubgraphX(model, subgraph_building="cut")


def test_features_that_cannot_be_zero() -> None:
    table = nn.Embedding(3, 2)

    def model(x: Tensor, edge_index: Tensor) -> Tensor:
        return SimpleConv()(table(x), edge_index)

    data = Data(x=torch.tensor([0, 1, 2]), edge_index=torch.tensor([[1, 2], [0, 0]]))
    with pytest.raises(UnsupportedModelError, match=r"no floating features.*'split'"):
        gg.SubgraphX(model, progress=False).explain(data, [0])
    found = gg.SubgraphX(model, subgraph_building="split", max_nodes=2, progress=False)
    assert found.explain(data, [0])[0].edge_mask.sum() == 1


def test_one_node_and_no_edges() -> None:
    def model(x: Tensor, edge_index: Tensor, batch: Tensor) -> Tensor:
        return global_add_pool(x, batch)

    data = [
        Data(x=torch.tensor([[1.0, -1.0]]), edge_index=torch.zeros(2, 0).long()),
        Data(x=torch.eye(3, 2) * 3, edge_index=torch.zeros(2, 0).long()),
    ]
    found = gg.SubgraphX(model, "graph", max_nodes=1, progress=False).explain(data, target=0)
    assert found[0].node_mask.view(-1).tolist() == [1]
    assert found[1].node_mask.view(-1).tolist() == [1, 0, 0]


def test_sets_as_bits() -> None:
    mask = torch.rand(5, 21) < 0.4
    sets = to_sets(mask)
    assert torch.equal(to_masks(sets, 21), mask)
    assert [list(members(each)) for each in sets] == [
        row.nonzero().view(-1).tolist() for row in mask
    ]
    assert to_masks([], 4).shape == (0, 4)
    assert union([0b1, 0b110, 0b1000], 0b101) == 0b1001
    assert within([0b010, 0b101, 0b010], 1) == [0b011, 0b111, 0b110]
    assert within([0b010, 0b101, 0b010], 0) == [0b001, 0b010, 0b100]
