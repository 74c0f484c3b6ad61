"""ZORRO: held against the search written out, and asked things whose answer is known."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from pandas.testing import assert_frame_equal
from torch import Tensor
from torch_geometric.data import Data, HeteroData
from torch_geometric.nn import GCN, GCNConv, SimpleConv

import glassgraph as gg
from glassgraph.black_box.boundary import readable_nodes
from glassgraph.black_box.noise import FeatureNoise
from glassgraph.calling.protect import protected
from glassgraph.errors import HyperParameterError, UnsupportedModelError
from glassgraph.explainers.perturbation.search.answers import Answers
from glassgraph.explainers.perturbation.zorro import UnreachedWarning, Zorro
from glassgraph.inputs.task import stays
from glassgraph.testing.cases import CASES, Case
from glassgraph_studies.reference.zorro import Kept, LiteralZorro
from tests.explainers.opaque import Opaque
from tests.laws import literal

SAMPLES = 13
SEARCHES: list[dict[str, Any]] = [
    {"tau": 0.85},
    {"tau": 0.99, "depth": 3, "greediness": 2},
    {"tau": 0.95, "depth": 2, "greediness": None},
]


def zorro(case: Case, **settings: Any) -> Zorro:
    return Zorro(case.model(), case.task(), progress=False, **{"samples": SAMPLES, **settings})


def written_out(case: Case, explainer: Zorro, place: int) -> list[Kept]:
    """All explanations of one of the case's instances, with nodes as the user numbers them."""
    model, data = case.model(), case.data()
    one, row = literal.one_graph(case, data, place)
    preparation = explainer.prepare(data)
    with protected(model), torch.no_grad():
        instances = preparation.instances(case.index)
        ((_, batch),) = preparation.batches(instances, case.target, 1 << 30)
        mine = (batch.node_instance == place).nonzero().view(-1)
        start = int(batch.graph.by_graph[0].pointer[case.index[place]] if row in (0, None) else 0)
        ids = batch.fields.node[mine] - (start if case.level == "graph" else 0)
        rows = slice(None) if row is None else slice(row, row + 1)
        reference = literal.predict_one(model, case, one)[rows]
        targets = batch.targets.take(torch.tensor([place]))

        def says_same(x: Tensor) -> bool:
            everywhere = one.x.clone()
            everywhere[ids] = x
            output = literal.predict_one(model, case, one, everywhere)[rows]
            return bool(stays(case.task(), output, targets, reference, 0.1))

        search = LiteralZorro(
            says_same,
            one.x[ids],
            FeatureNoise(batch, 0).draw(place, mine, SAMPLES),
            readable_nodes(batch)[mine].nonzero().view(-1).tolist(),
            explainer.tau,
            explainer.greediness,
        )
        return [(ids[nodes].tolist(), features) for nodes, features in search.find(explainer.depth)]


def masks(found: gg.Explanations, place: int) -> list[Kept]:
    """The same, as the tables tell it."""
    every, members = found.table("explanations"), found.table("members")
    mine = members[members.position == place]
    return [
        (
            [node for node in mine[mine["rank"] == rank].node if node >= 0],
            [feature for feature in mine[mine["rank"] == rank].feature if feature >= 0],
        )
        for rank in every[every.position == place]["rank"]
    ]


@pytest.mark.parametrize(
    ("case", "settings"),
    [(case, SEARCHES[number % 3]) for number, case in enumerate(CASES)],
    ids=str,
)
def test_masks_are_those_of_the_search_written_out(case: Case, settings: dict[str, Any]) -> None:
    explainer = zorro(case, **settings)
    found = explainer.explain(case.data(), case.index, case.target)
    for place in range(1):
        assert masks(found, place) == written_out(case, explainer, place)


@pytest.mark.slow("the masks: test_masks_are_those_of_the_search_written_out")
def test_answers_that_still_hold_are_not_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of rare words: a step that changes two samples leaves what was said of the others."""
    torch.manual_seed(3)
    x = (torch.rand(30, 40) < 0.08).double()
    data = Data(x=x, edge_index=torch.randint(30, (2, 70)))
    model = GCN(40, 8, 2, 6).double().eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(4)  # so that words decide
    num_asked: list[int] = []
    evaluate = Zorro._evaluate

    def counted(self: Zorro, batch: Any, altered: Any, asks: Any) -> Any:
        num_asked[-1] += sum(ask.size for ask in asks)
        return evaluate(self, batch, altered, asks)

    def forgetful(self: Answers, node: Tensor, feature: Tensor) -> tuple[Tensor, Tensor]:
        nothing = torch.zeros_like(self._said[self._row(node, feature)], dtype=torch.bool)
        return nothing, nothing

    monkeypatch.setattr(Zorro, "_evaluate", counted)
    found = []
    for look_up in (Answers.look_up, forgetful):
        monkeypatch.setattr(Answers, "look_up", look_up)
        num_asked.append(0)
        explainer = Zorro(model, "node", tau=1.0, samples=40, depth=2, progress=False)
        found.append(explainer.explain(data, [2, 7]).table("members"))
    assert_frame_equal(*found)
    assert found[0].feature.ge(0).sum() > 10  # steps enough for answers to be used again
    assert num_asked[0] < 0.9 * num_asked[1]


@pytest.mark.parametrize("case", CASES[::5], ids=str)
def test_the_model_is_only_called(case: Case) -> None:
    model = Opaque(case.model(), lambda model, data: literal.predict_one(model, case, data))
    explainer = Zorro(model, case.task(), samples=SAMPLES, progress=False)
    for one, other in zip(
        explainer.explain(case.data(), case.index, case.target),
        zorro(case).explain(case.data(), case.index, case.target),
        strict=True,
    ):
        assert torch.equal(one.node_mask, other.node_mask)
        assert torch.equal(one.edge_mask, other.edge_mask)


def star() -> Data:
    """Node 0 hears of four others; class 1 needs feature 1 of node 2, which no other node has."""
    x = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 9.0], [0.0, 1.0], [1.0, 0.0]])
    return Data(x=x, edge_index=torch.tensor([[1, 2, 3, 4], [0, 0, 0, 0]]))


def test_what_decides_is_found_and_the_tables_tell_how() -> None:
    found = Zorro(SimpleConv(), samples=200, tau=1.0, progress=False).explain(star(), [0])
    local = found.local(0)
    assert local.feature_score is not None
    assert local.feature_score.nonzero().tolist() == [[2, 1]]
    assert found[0].node_score.tolist() == [0, 0, 1, 0, 0]
    assert found[0].edge_mask.tolist() == [0, 0.5, 0, 0]
    members = found.table("members")
    assert members.fidelity.tolist()[-1] == 1.0
    assert sorted(zip(members.node, members.feature, strict=True)) == [(-1, 1), (2, -1)]
    (row,) = found.table("explanations").to_dict("records")
    assert (row["num_nodes"], row["num_features"], row["fidelity"]) == (1, 1, 1.0)


def test_where_noise_alone_is_enough_the_explanation_is_empty() -> None:
    data = star()
    data.x = torch.ones(5, 2)  # all alike: noise is what was there anyhow
    found = Zorro(SimpleConv(), tau=1.0, progress=False).explain(data, [0])
    assert not found[0].node_mask.any()
    assert found.table("explanations").fidelity.tolist() == [1.0]
    assert not len(found.table("members"))


def test_a_target_that_is_not_predicted_is_explained_as_such() -> None:
    """Class 0 is not predicted; noise that leaves it so says the same."""
    of_zero, of_one = (
        Zorro(SimpleConv(), samples=50, progress=False).explain(star(), [0], target)
        for target in (0, 1)
    )
    assert torch.equal(of_zero[0].node_mask, of_one[0].node_mask)  # two classes: one is the other


def test_a_search_that_is_cut_short_gives_its_best_and_says_so() -> None:
    case = Case("gin", "node")
    whole = zorro(case, tau=1.0, samples=60).explain(case.data(), case.index)
    assert whole.table("explanations").fidelity.min() == 1.0
    with pytest.warns(UnreachedWarning, match=r"of 3 searches ended at max_size=2.*tau=1\.0"):
        short = zorro(case, tau=1.0, samples=60, max_size=2).explain(case.data(), case.index)
    steps = whole.table("members")
    for place, row in enumerate(short.table("explanations").to_dict("records")):
        first = steps[steps.position == place].fidelity[:2]
        assert row["num_nodes"] + row["num_features"] <= 2
        assert row["fidelity"] == max([row["fidelity"], *first])


def test_a_lower_tau_is_the_beginning_of_a_higher_one() -> None:
    case = Case("gcn", "node")
    low, high = (zorro(case, tau=tau).explain(case.data(), case.index) for tau in (0.8, 1.0))
    for place in range(3):
        one, other = (found.table("members").query(f"position == {place}") for found in (low, high))
        reached = other.fidelity >= 0.8
        count = 0 if not len(one) else int(reached.to_numpy().argmax()) + 1
        assert one.node.tolist() == other.node.tolist()[:count]
        assert one.feature.tolist() == other.feature.tolist()[:count]


def test_degrees_count_at_the_rim_and_features_do_not() -> None:
    """A path of GCN layers looks two hops, and a third for degrees."""
    torch.manual_seed(0)
    layers = [GCNConv(3, 4), GCNConv(4, 2)]
    data = Data(x=torch.randn(6, 3), edge_index=torch.tensor([[1, 2, 3, 4, 5], [0, 1, 2, 3, 4]]))

    def model(x: Tensor, edge_index: Tensor) -> Tensor:
        return layers[1](layers[0](x, edge_index).tanh(), edge_index)

    explainer = Zorro(model, progress=False)
    preparation = explainer.prepare(data)
    assert preparation.wiring.num_hops == 3
    ((_, batch),) = preparation.batches(preparation.instances([0]), None, 1 << 30)
    assert batch.fields.node.tolist() == [0, 1, 2, 3]
    assert readable_nodes(batch).tolist() == [True, True, True, False]


@pytest.mark.parametrize(
    "settings",
    [{"tau": 1.01}, {"tau": 0}, {"tau": float("nan")}, {"samples": 0}, {"greediness": 0},
     {"depth": 0}, {"max_size": 1}, {"tolerance": -0.1}, {"tolerance": float("nan")}],
    ids=str,
)  # fmt: skip
def test_values_out_of_range_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(HyperParameterError, match=next(iter(settings))):
        Zorro(SimpleConv(), **settings)


def test_nodes_without_features_are_refused() -> None:
    data = star()
    data.num_nodes, data.x = 5, None
    with pytest.raises(UnsupportedModelError, match="features"):
        Zorro(lambda edge_index: torch.ones(5, 2), progress=False).explain(data, [0])


def test_nodes_of_several_types_are_refused() -> None:
    data = HeteroData()
    data["a"].x, data["b"].x = torch.randn(3, 2), torch.randn(2, 2)
    data["a"].y = torch.zeros(3).long()
    data["b", "to", "a"].edge_index = torch.tensor([[0, 1], [0, 2]])

    def model(x_dict: dict[str, Tensor], edge_index_dict: Any) -> Tensor:
        return x_dict["a"] + 0 * next(iter(edge_index_dict.values())).sum()

    with pytest.raises(UnsupportedModelError, match="one type of nodes"):
        Zorro(model, progress=False).explain(data, [0])
