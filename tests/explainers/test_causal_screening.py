"""Causal screening: every step against all candidates evaluated one by one."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn import GCNConv, SimpleConv, global_add_pool

import glassgraph as gg
from glassgraph.errors import HyperParameterError
from glassgraph.models.gnn import GCN, Body
from glassgraph.testing.cases import CASES, Case, graph
from glassgraph.testing.compare import expect_same, scores
from glassgraph_studies.reference import searches as literal_searches
from tests.explainers.opaque import Opaque
from tests.laws import literal

each_case = pytest.mark.parametrize("case", CASES, ids=str)


def screen(model: Any, case: Case, data: Any, index: Any = None, **settings: Any) -> Any:
    explainer = gg.CausalScreening(model, case.task(), progress=False, **settings)
    index = case.index if index is None else index
    return explainer.explain(data, index=index, target=case.target)


def likelihood(
    model: nn.Module, case: Case, data: Data, row: Any, chosen: Any, full: Tensor, edges: list[int]
) -> float:
    """What the prediction says with some edges alone, spelled out for every mode."""
    kept = torch.zeros(data.num_edges, dtype=torch.bool)
    kept[edges] = True
    with torch.no_grad():
        output = literal.predict_one(model, case, data.edge_subgraph(kept))
    if row is None:
        rows = [says(case, output, each, own, full) for each, own in enumerate(chosen)]
        return sum(rows) / len(rows)
    return says(case, output, row, chosen, full)


def says(case: Case, output: Tensor, row: int, chosen: Any, full: Tensor) -> float:
    """The likelihood of one row."""
    if case.mode == "regression":
        return -float((output[row, chosen[0]] - full[row, chosen[0]]) ** 2)
    one = literal.log_probability(case, output, row, chosen[0])
    if chosen[1] is None:
        return float(one)
    other = literal.log_probability(case, output, row, chosen[1])
    return float(torch.log(1 / (1 + torch.exp(other - one))))


def visible(data: Data, seeds: list[int] | None, selected: list[int], hops: int) -> list[int]:
    """Edges that can be added, by a loop over hops."""
    near = set(range(data.num_nodes)) if seeds is None else set(seeds)
    for _ in range(hops - 1):
        near |= {int(data.edge_index[0, e]) for e in selected if int(data.edge_index[1, e]) in near}
    everything = range(data.num_edges)
    return [e for e in everything if e not in selected and int(data.edge_index[1, e]) in near]


def replay(case: Case, data: Any, found: Any, pairs: bool = False) -> None:
    """At every step no candidate does better than the edge that was selected."""
    model = case.model()
    hops = 3 if case.kind == "gcn" else 2
    for position, explanation in enumerate(found):
        one, row = literal.one_graph(case, data, position)
        seeds = {"node": [row], "graph": None}.get(case.level)
        if case.level == "edge":
            seeds = one.edge_label_index[:, row].tolist()
        with torch.no_grad():
            full = literal.predict_one(model, case, one)
        chosen = literal.target(case, full, one, row)
        steps, local = explanation.local.tables["steps"], explanation.local
        ends = local.node_id[torch.stack([steps["source"], steps["destination"]])].t().tolist()
        selected: list[int] = []
        before = likelihood(model, case, one, row, chosen, full, [])
        for turn, pair in enumerate(ends):
            values = {}
            for edge in visible(one, seeds, selected, hops):
                both = [edge]
                if pairs:
                    both += _partner(one, edge, selected)
                values[edge] = likelihood(model, case, one, row, chosen, full, selected + both)
            names = [pair, pair[::-1]] if pairs else [pair]
            here = [e for e in values if one.edge_index[:, e].tolist() in names]
            best = max(values.values())
            edge = max(here, key=lambda e: values[e])
            assert values[edge] == pytest.approx(best, abs=1e-9)
            assert steps["value"][turn].item() == pytest.approx(best, abs=1e-9)
            assert steps["effect"][turn].item() == pytest.approx(best - before, abs=1e-9)
            selected += [edge] + (_partner(one, edge, selected) if pairs else [])
            before = best


def _partner(data: Data, edge: int, selected: list[int]) -> list[int]:
    back = data.edge_index[:, edge].flip(0)
    same = (data.edge_index == back.view(2, 1)).all(dim=0).nonzero().view(-1).tolist()
    return [e for e in same if e != edge and e not in selected]


@each_case
def test_every_step_is_the_best(case: Case) -> None:
    data = case.data()
    found = screen(case.model(), case, data, budget=7)
    for each in found:
        assert each.local.tables["steps"]["effect"].numel() == min(7, each.local.edge_id.numel())
    replay(case, data, found)


@pytest.mark.parametrize("level", ["node", "graph"])
def test_every_step_with_pairs_is_the_best(level: str) -> None:
    case = Case("gin", level)
    data = [undirected(9, 11), undirected(6, 7), undirected(8, 12)]
    given: Any = data if level == "graph" else undirected(23, 34)
    found = screen(case.model(), case, given, budget=6, pairs=True)
    replay(case, given, found, pairs=True)
    num_both = 0
    for explanation in found:
        local = explanation.local
        ends = map(tuple, local.edge_index.t().tolist())
        mask = dict(zip(ends, local.edge_score.tolist(), strict=True))
        both = [(e, s) for e, s in mask.items() if e[::-1] in mask]
        assert all(mask[e[::-1]] == s for e, s in both)
        num_both += len([s for _, s in both if s])
    assert num_both >= 4


def undirected(num_nodes: int, num_edges: int) -> Data:
    torch.manual_seed(num_edges)
    ends = torch.combinations(torch.arange(num_nodes))
    ends = ends[torch.randperm(ends.size(0))[:num_edges]].t()
    x = torch.randn(num_nodes, 5).double()
    return Data(x=x, edge_index=torch.cat([ends, ends.flip(0)], 1), y=torch.zeros(1).long())


def test_the_order_by_hand() -> None:
    """A sum over three edges: 3 first, then what harms least."""
    x = torch.tensor([[0.0], [3.0], [-2.0], [-1.0]])
    data = Data(x=x, edge_index=torch.tensor([[2, 1, 3], [0, 0, 0]]))

    def model(x: Tensor, edge_index: Tensor) -> Tensor:
        s = SimpleConv(aggr="sum")(x, edge_index)
        return torch.cat([-s, s], dim=1)

    explainer = gg.CausalScreening(model, "node", progress=False)
    found = explainer.explain(data, [0], target=1)[0]
    torch.testing.assert_close(found.edge_mask, torch.tensor([1 / 3, 1.0, 2 / 3]))
    expected = torch.tensor([6.0, 4.0, 0.0]).sigmoid().log()
    torch.testing.assert_close(found.local.tables["steps"]["value"], expected)
    short = gg.CausalScreening(model, "node", budget=1, progress=False).explain(data, [0], target=1)
    assert short[0].edge_mask.tolist() == [0.0, 1.0, 0.0]


def test_greed_is_kept_where_effects_are_not_submodular() -> None:
    """Either edge alone does nothing, both together all: the second effect is the larger one."""
    x = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.1, 0.0]])
    data = Data(x=x, edge_index=torch.tensor([[1, 2, 3], [0, 0, 0]]))

    def model(x: Tensor, edge_index: Tensor) -> Tensor:
        s = SimpleConv(aggr="sum")(x, edge_index)
        product = 4 * s[:, :1] * s[:, 1:] + 0.01 * s[:, 1:]
        return torch.cat([-product, product], dim=1)

    explainer = gg.CausalScreening(model, "node", progress=False)
    found = explainer.explain(data, [0], target=1)[0]
    assert found.edge_mask.argsort(descending=True).tolist() == [1, 0, 2]
    effect = found.local.tables["steps"]["effect"]
    assert effect[1] > 10 * effect[0] > 0


class Counting(nn.Module):
    """Counts the graphs that go through a model."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model, self.edges = model, 0

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        self.edges += edge_index.size(1)
        return self.model(x, edge_index)


def test_what_looks_the_same_is_evaluated_once() -> None:
    """A star of 40 alike leaves costs no more than 40 steps; the order is as without."""
    x = torch.ones(41, 3).double()
    data = Data(x=x, edge_index=torch.stack([torch.arange(1, 41), torch.zeros(40).long()]))
    torch.manual_seed(0)
    counting = Counting(GCNConv(3, 2).double())
    explainer = gg.CausalScreening(counting, "node", num_hops=1, progress=False)
    explainer.prepare(data)
    found = explainer.explain(data, [0])[0].edge_mask
    assert counting.edges < 41 * 40 / 2 + 500
    assert found.unique().numel() == 40


@pytest.mark.parametrize("level", ["node", "graph"])
def test_alike_nodes_give_alike_graphs(level: str) -> None:
    """Two kinds of nodes only: candidates share evaluations, and each step is still the best."""
    case = Case("gin", level)
    data = case.data()
    for each in data if isinstance(data, list) else [data]:
        each.x = each.x[each.x[:, 0].sign().long().clamp_min(0)]
    found = screen(case.model(), case, data, budget=8)
    replay(case, data, found)


def test_a_draw_of_candidates_is_their_own() -> None:
    case = Case("gin", "graph")
    model, data = case.model(), case.data()
    full = screen(model, case, data)
    wide = screen(model, case, data, candidates=1000)
    narrow = screen(model, case, data, candidates=3)
    alone = [screen(model, case, data, [number], candidates=3)[0] for number in case.index]
    other = screen(model, case, data, candidates=3, seed=1)
    for one, same in zip(wide, full, strict=True):
        assert torch.equal(one.edge_mask, same.edge_mask)
    for one, same, else_ in zip(narrow, alone, other, strict=True):
        assert torch.equal(one.edge_mask, same.edge_mask)
        assert not torch.equal(one.edge_mask, else_.edge_mask)


def test_candidates_that_are_drawn_first_decide() -> None:
    """With one candidate a step the order is the draw, whatever the model says."""
    case = Case("gin", "graph")
    one, other = (screen(case.model(seed), case, case.data(), candidates=1) for seed in (0, 1))
    for first, second in zip(one, other, strict=True):
        assert torch.equal(first.edge_mask, second.edge_mask)
        assert first.edge_mask.min() > 0


@pytest.mark.parametrize("case", CASES[::5], ids=str)
def test_a_black_box_will_do(case: Case) -> None:
    data = case.data()
    opaque = Opaque(case.model(), lambda model, data: literal.predict(model, case, data))
    for one, other in zip(
        screen(opaque, case, data, budget=9),
        screen(case.model(), case, data, budget=9),
        strict=True,
    ):
        expect_same(scores(one), scores(other))


@pytest.mark.parametrize("level", ["node", "graph"])
@pytest.mark.parametrize("is_constant", [False, True])
def test_the_study_measures_the_same_method(level: str, is_constant: bool) -> None:
    data = graph(12, 25)
    data.edge_index = torch.unique(data.edge_index, dim=1)
    if is_constant:
        data.x = torch.ones_like(data.x)
    body = Body(concat=True, l2_normalize=True, pool=("add",))
    torch.manual_seed(1)
    model = GCN(5, 8, 3, level=level, body=body, normalize=False).double().eval()
    case = Case("gcn", level)
    given, index = ([data], [0]) if level == "graph" else (data, [4])
    found = screen(model, case, given, index, **literal_searches.SETTINGS["causal_screening"])[0]
    theirs = literal_searches.causal_screening(model, data, None if level == "graph" else 4).edge
    torch.testing.assert_close(found.edge_mask, theirs)


@pytest.mark.parametrize("name", ["budget", "candidates"])
def test_less_than_one_is_refused(name: str) -> None:
    with pytest.raises(
        HyperParameterError, match=rf"{name} must be an integer of at least 1 or None; got 0"
    ):
        gg.CausalScreening(Case("gin", "node").model(), **{name: 0})


def test_no_edges_no_scores() -> None:
    def model(x: Tensor, edge_index: Tensor, batch: Tensor) -> Tensor:
        return global_add_pool(x, batch)

    data = [Data(x=torch.randn(1, 2), edge_index=torch.zeros(2, 0).long()), undirected(5, 4)]
    data[1].x = data[1].x[:, :2].float()
    found = gg.CausalScreening(model, "graph", progress=False).explain(data)
    assert found[0].edge_mask.numel() == 0
    assert found[0].local.tables["steps"]["effect"].numel() == 0
    assert found[1].local.tables["steps"]["effect"].abs().max() == 0
