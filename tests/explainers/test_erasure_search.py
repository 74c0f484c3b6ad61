"""Erasure search against all subsets, tried one by one, and against a plain greedy loop."""

from __future__ import annotations

import itertools
import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn import GATConv, GATv2Conv, GCNConv, MessagePassing, SimpleConv

import glassgraph as gg
from glassgraph.core.told import FallbackWarning
from glassgraph.explainers.perturbation.search import edge_subsets
from glassgraph.testing.cases import CASES, Case
from glassgraph.testing.networks import FEATURES
from tests.laws import literal
from tests.laws.cases import explained

each_case = pytest.mark.parametrize("case", CASES, ids=str)


class Question:
    """One prediction, and what the plain model says about it under gates ``[2, E]``."""

    def __init__(self, case: Case, model: nn.Module, data: Data, row: Any, keep: float | None):
        self.case, self.model, self.data, self.row = case, model, data, row
        ones = torch.ones(2, data.num_edges).double()
        plain, shut = self.output(ones), self.output(0 * ones)
        self.chosen = literal.target(case, plain, data, row)
        self.keep = 0.9 if keep is None and case.mode == "regression" else keep
        self.full, self.empty = self.score(plain), self.score(shut)
        self.decided = self.decision(plain)

    def output(self, gates: Tensor) -> Tensor:
        with torch.no_grad():
            return literal.gated(self.model, self.case, self.data, gates)

    def score(self, output: Tensor) -> float:
        return float(literal.score(self.case, output, self.row, self.chosen))

    def decision(self, output: Tensor) -> bool | list[bool]:
        """Whether the explained class is the predicted one, of several rows for each."""
        if self.row is None:
            return [int(own.argmax()) == a for own, (a, _) in zip(output, self.chosen, strict=True)]
        a, b = self.chosen
        if b is not None:
            return self.score(output) > 0
        if self.case.mode == "regression":
            return True
        if self.case.columns == 1:
            bound = {"raw": 0.0, "probs": 0.5, "log_probs": -0.6931471805599453}
            return int(output[self.row, 0] > bound[self.case.return_type]) == a
        return int(output[self.row].argmax()) == a

    def better(self, score: float) -> float:
        """What makes one set better than another: a high score, or one that has not changed."""
        return score if self.keep is None else -abs(score - self.full)

    def ask(self, gates: Tensor) -> tuple[float, bool]:
        """The explained score, and whether the prediction stays."""
        output = self.output(gates)
        score = self.score(output)
        stays = self.decision(output) == self.decided
        if self.keep is not None:
            most = (1 - self.keep) * abs(self.full - self.empty) + 1e-12
            stays = stays and abs(score - self.full) <= most
        return score, stays


def small(case: Case, num_edges: int = 7) -> Any:
    """Few edges: parallel ones, self-loops, and one that reaches nothing."""
    torch.manual_seed(3)
    ends = [[1, 2, 1, 3, 0, 2, 0, 4, 3, 2, 1, 4, 1], [0, 0, 0, 1, 0, 1, 4, 3, 2, 3, 0, 1, 1]]
    data = Data(x=torch.randn(5, FEATURES).double(), edge_index=torch.tensor(ends)[:, :num_edges])
    if case.kind == "gcn":
        data.edge_weight = torch.rand(num_edges).double() + 0.5
    elif case.kind == "gat":
        data.edge_attr = torch.randn(num_edges, 3).double()
    elif case.kind == "rgcn":
        data.edge_type = torch.arange(num_edges) % 3
    data.y = torch.zeros(1 if case.level == "graph" else 5).long()
    if case.level == "edge":
        data.edge_label_index, data.edge_label = torch.tensor([[0], [1]]), torch.tensor([0])
    return [data] if case.level == "graph" else data


def search(model: nn.Module, case: Case, data: Any, **settings: Any) -> gg.Explanation:
    explainer = gg.ErasureSearch(model, case.task(), progress=False, **settings)
    return explainer.explain(data, [0], case.target)[0]


def brute_force(question: Question, slots: list[tuple[Any, int]]) -> Tensor:
    """Mean of the smallest sets with the highest score, as gates ``[2, E]``."""
    for size in range(len(slots) + 1):
        found: list[tuple[float, Tensor]] = []
        for subset in itertools.combinations(slots, size):
            gates = torch.zeros(2, question.data.num_edges).double()
            for layer, edge in subset:
                gates[layer, edge] = 1
            score, stays = question.ask(gates)
            if stays:
                found.append((question.better(score), gates))
        if found:
            best = max(score for score, _ in found)
            return torch.stack([gates for score, gates in found if score > best - 1e-9]).mean(0)
    raise AssertionError("the full set keeps the prediction")


@pytest.mark.parametrize("keep", [None, 0.7])
@each_case
def test_the_optimum_is_that_of_all_subsets(case: Case, keep: float | None) -> None:
    """Sets of equal size and score differ by edges that the model cannot tell apart alone."""
    model, data = case.model(), small(case)
    one = data[0] if case.level == "graph" else data
    explanation = search(model, case, data, keep_effect=keep)
    row = 0 if case.rows is None else None
    question = Question(case, model, one, row, keep)
    expected = brute_force(question, [(slice(None), edge) for edge in range(7)])
    torch.testing.assert_close(explanation.edge_mask, expected[0])


@pytest.mark.parametrize("case", [CASES[2], CASES[4], CASES[11]], ids=str)
def test_the_optimum_among_messages(case: Case) -> None:
    model, data = case.model(), small(case)
    one = data[0] if case.level == "graph" else data
    keep = torch.arange(7) < 4
    for name in ("edge_index", "edge_weight", "edge_type"):
        if name in one:
            one[name] = one[name][..., keep]
    explanation = search(model, case, data, layerwise=True, keep_effect=0.75)
    question = Question(case, model, one, 0, 0.75)
    expected = brute_force(question, list(itertools.product((0, 1), range(4))))
    assert expected.any()
    torch.testing.assert_close(explanation.layer_edge_mask, expected)
    torch.testing.assert_close(explanation.edge_mask, expected.amax(dim=0))


def greedy(question: Question) -> tuple[Tensor, Tensor]:
    """Plain backward elimination: scores ``[E]``, and the gates of what is left."""
    num_edges = question.data.num_edges
    gates = torch.ones(2, num_edges).double()
    score, order = torch.zeros(num_edges).double(), []
    if question.ask(0 * gates)[1]:
        return score, 0 * gates
    while True:
        now, best, idle = question.ask(gates)[0], None, None
        for edge in gates[0].nonzero().view(-1).tolist():
            fewer = gates.clone()
            fewer[:, edge] = 0
            value, stays = question.ask(fewer)
            if not stays:
                continue
            if abs(value - now) < 1e-11 and idle is None:
                idle = edge
            if best is None or question.better(value) > best[0] + 1e-10:
                best = (question.better(value), edge)
        if best is None:
            break
        gates[:, best[1] if idle is None else idle] = 0
        if idle is None:
            order.append(best[1])
    for turn, edge in enumerate(order):
        score[edge] = (turn + 1) / (len(order) + 1)
    score[gates[0] > 0] = 1
    return score, gates


def share_alike(case: Case, data: Data, score: Tensor) -> Tensor:
    """Parallel edges with equal attributes get their mean."""
    kind = {"gcn": "edge_weight", "gat": "edge_attr", "rgcn": "edge_type", "gin": None}[case.kind]
    rows: dict[Any, list[int]] = {}
    for edge in range(data.num_edges):
        extra = str(data[kind][edge].tolist()) if kind else ""
        rows.setdefault((*data.edge_index[:, edge].tolist(), extra), []).append(edge)
    shared = score.clone()
    for edges in rows.values():
        shared[edges] = score[edges].mean()
    return shared


@each_case
def test_greedy_elimination_is_the_plain_loop(case: Case) -> None:
    model, data = case.model(), small(case, num_edges=13)
    one = data[0] if case.level == "graph" else data
    explanation = search(model, case, data, exact_up_to=0, keep_effect=0.5)
    row = 0 if case.rows is None else None
    score, _ = greedy(Question(case, model, one, row, 0.5))
    assert score.any()
    torch.testing.assert_close(explanation.edge_mask, share_alike(case, one, score))


@pytest.mark.parametrize("share", [0.0, 0.3])
@pytest.mark.parametrize("case", CASES[3:7], ids=str)
def test_what_is_kept_keeps_the_prediction_and_nothing_of_it_can_go(
    case: Case, share: float
) -> None:
    """Whatever the share; the graphs have no edges that share their score."""
    model, data = case.model(), case.data()
    for one in data if case.level == "graph" else [data]:
        one.edge_index[:, [5, 7, 9]] = torch.tensor([[0, 1, 2], [3, 4, 0]])
    explainer = gg.ErasureSearch(
        model, case.task(), exact_up_to=0, share=share, keep_effect=0.8, progress=False
    )
    for position, explanation in enumerate(explained(explainer, case, data)):
        one, row = literal.one_graph(case, data, position)
        question = Question(case, model, one, row, 0.8)
        gates = (explanation.edge_mask == 1).double().repeat(2, 1)
        assert question.ask(gates)[1]
        for edge in gates[0].nonzero().view(-1).tolist():
            fewer = gates.clone()
            fewer[:, edge] = 0
            assert not question.ask(fewer)[1]


def test_where_few_edges_matter_the_search_among_them_is_exact() -> None:
    """Beyond the limit idle edges go first; what is left is small enough."""
    case = CASES[2]
    model, data = case.model(), small(case)
    hanging = torch.tensor([[0, 1, 2, 3, 4, 4], [4, 4, 4, 4, 4, 4]])
    more = replace_edges(data, torch.cat([data.edge_index, hanging], dim=1))
    call = {"call": lambda model, graph: whole(model, graph, more)}
    with pytest.warns(FallbackWarning):
        found = search(model, case, more, exact_up_to=6, keep_effect=0.7, **call)
    plain = search(model, case, data, keep_effect=0.7)
    torch.testing.assert_close(found.edge_mask[:7], plain.edge_mask)
    assert not found.edge_mask[7:].any()


def replace_edges(data: Data, edge_index: Tensor) -> Data:
    other = data.clone()
    other.edge_index = edge_index
    return other


def whole(model: nn.Module, graph: Data, users: Data) -> Tensor:
    """Refuses anything but the user's own graph."""
    if graph.num_edges != users.num_edges:
        raise RuntimeError("cut")
    return model(graph.x, graph.edge_index)


# By hand


def star(values: list[list[float]]) -> Data:
    """Node 0 hears every other node once."""
    x = torch.tensor([[0.0] * len(values[0]), *values]).double()
    sender = torch.arange(1, len(values) + 1)
    return Data(x=x, edge_index=torch.stack([sender, torch.zeros_like(sender)]))


def kept(data: Data, **settings: Any) -> list[float]:
    model = settings.pop("model", None) or SimpleConv()
    target = settings.pop("target", None)
    explainer = gg.ErasureSearch(model, progress=False, **settings)
    return explainer.explain(data, [0], target)[0].edge_mask.tolist()


def test_redundant_evidence_is_left_out() -> None:
    """Three messages for class 1, any of which will do: only the strongest is kept."""
    data = star([[0, 2.0], [0, 5.0], [0, 3.0], [1, 0]])
    assert kept(data) == [0, 1, 0, 0]


def test_two_messages_are_needed_to_outweigh_a_bias() -> None:
    class Biased(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = SimpleConv()

        def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
            return self.conv(x, edge_index) + torch.tensor([[4.0, 0.0]])

    data = star([[0, 2.0], [0, 1.0], [0, 3.0], [0, 1.5]])
    assert kept(data, model=Biased()) == [1, 0, 1, 0]
    # Greedy: 1, then 1.5 go (6.5 and 5 are left, above 4); then neither can.
    assert kept(data, model=Biased(), exact_up_to=0) == [1, 1 / 3, 1, 2 / 3]


def test_no_edge_was_needed() -> None:
    """Without messages all classes score 0, and class 0 is predicted."""
    data = star([[3, 1.0], [2, 0.0]])
    assert kept(data) == [0, 0]
    assert kept(data, keep_effect=0.5) == [1, 0]
    assert kept(data, keep_effect=1.0) == [1, 1]
    assert kept(data, keep_effect=1.0, exact_up_to=0) == [1, 1]


def test_a_class_that_is_not_predicted_has_to_stay_unpredicted() -> None:
    data = star([[0, 0, 5.0], [0, 1.0, 0]])
    assert kept(data, target=1) == [0, 0]
    # Why 1 rather than 0? Only the second message speaks about that.
    assert kept(data, target=(1, 0)) == [0, 1]


def test_regressions_keep_nine_tenths_of_the_effect() -> None:
    data = star([[1.0], [60.0], [9.0], [31.0]])
    assert kept(data, mode="regression") == [0, 1, 0, 1]
    assert kept(data, mode="regression", keep_effect=0.95) == [0, 1, 1, 1]
    assert kept(data, mode="regression", keep_effect=0.5) == [0, 1, 0, 0]


def test_one_of_several_labels() -> None:
    data = star([[2.0, -1.0], [1.0, 3.0], [0.5, 0.5]])
    assert kept(data, mode="binary_classification", target=0) == [1, 0, 0]
    assert kept(data, mode="binary_classification", target=1) == [0, 1, 0]


@pytest.mark.parametrize("exact_up_to", [0, 12])
def test_edges_that_cannot_be_told_apart_share_their_score(exact_up_to: int) -> None:
    """One of two equal parallel edges is enough; a third one of another sender is idle."""
    data = star([[0, 2.0], [0, 0]])
    data.edge_index = torch.tensor([[1, 2, 1], [0, 0, 0]])
    shared = {12: [0.5, 0, 0.5], 0: [0.75, 0, 0.75]}  # greedy: 1 of 2 stays, the other scores 1/2
    assert kept(data, exact_up_to=exact_up_to) == shared[exact_up_to]


def test_ties_do_not_go_by_the_order_of_edges() -> None:
    data = star([[0, 2.0], [0, 2.0], [0, 2.0]])
    first = kept(data)
    assert sorted(first) == [0, 0, 1]
    order = torch.tensor([2, 0, 1])
    data.edge_index = data.edge_index[:, order]
    assert kept(data) == [first[place] for place in order.tolist()]


class Sizes(MessagePassing):
    """Messages go by the size of a weight, whatever its sign."""

    def forward(self, x: Tensor, edge_index: Tensor, edge_weight: Tensor) -> Tensor:
        return self.propagate(edge_index, x=x, edge_weight=edge_weight)

    def message(self, x_j: Tensor, edge_weight: Tensor) -> Tensor:
        return x_j * edge_weight.abs().view(-1, 1)


@pytest.mark.parametrize("exact_up_to", [0, 12])
def test_ties_of_parallel_edges_go_by_attributes_and_not_by_their_order(exact_up_to: int) -> None:
    """Two edges that can be told apart have the same effect, and each of them would do."""
    data = star([[0, 2.0]])
    data.edge_index = torch.tensor([[1, 1], [0, 0]])
    data.edge_weight = torch.tensor([1.0, -1.0]).double()
    first = kept(data, model=Sizes(), exact_up_to=exact_up_to)
    assert first.count(1) == 1
    data.edge_weight = -data.edge_weight
    assert kept(data, model=Sizes(), exact_up_to=exact_up_to) == first[::-1]


def test_attributes_that_a_model_does_not_read_tell_no_edges_apart() -> None:
    data = star([[0, 2.0]])
    data.edge_index, data.edge_attr = torch.tensor([[1, 1], [0, 0]]), torch.tensor([[5.0], [7.0]])
    assert kept(data) == [0.5, 0.5]


@pytest.mark.parametrize("layerwise", [False, True])
@pytest.mark.parametrize("exact_up_to", [0, 12])
@pytest.mark.parametrize("layer", [GATConv, GATv2Conv])
def test_loops_that_share_a_message_share_their_score(
    layer: Any, exact_up_to: int, layerwise: bool
) -> None:
    """The layer puts a loop of its own in their place, with the mean features of other edges."""
    torch.manual_seed(4)
    net = layer(FEATURES, 3, edge_dim=2).double()
    data = Data(
        x=torch.randn(3, FEATURES).double(),
        edge_index=torch.tensor([[0, 1, 0, 2, 0], [0, 0, 0, 0, 0]]),
        edge_attr=torch.randn(5, 2).double(),
    )
    explainer = gg.ErasureSearch(
        net,
        gg.Task("node", mode="regression"),
        exact_up_to=exact_up_to,
        keep_effect=0.8,
        layerwise=layerwise,
        progress=False,
    )
    found = explainer.explain(data, [0], target=1)[0].edge_mask
    assert found[0] > 0
    torch.testing.assert_close(found[[0, 2]], found[[2, 4]])
    order = torch.tensor([4, 3, 2, 0, 1])
    data.edge_index, data.edge_attr = data.edge_index[:, order], data.edge_attr[order]
    torch.testing.assert_close(explainer.explain(data, [0], target=1)[0].edge_mask, found[order])


# Many masks at once


@pytest.mark.parametrize("most_rows", [1, 37, 500, 1 << 20])
@pytest.mark.parametrize("layerwise", [False, True])
def test_how_masks_are_packed_is_irrelevant(
    most_rows: int, layerwise: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = CASES[0]
    model, data = case.model(), case.data()
    settings: dict[str, Any] = {"keep_effect": 0.6, "exact_up_to": 9, "layerwise": layerwise}
    explainer = gg.ErasureSearch(model, case.task(), progress=False, **settings)
    index = [4, 22, 17, 9, 3]
    expected = [each.edge_mask for each in explainer.explain(data, index)]
    monkeypatch.setattr(edge_subsets, "rows_at_once", lambda batch, budget: most_rows)
    for got, known in zip(explainer.explain(data, index), expected, strict=True):
        torch.testing.assert_close(got.edge_mask, known)


class Centered(nn.Module):
    """Takes the mean over everything it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = GCNConv(FEATURES, 3)

    def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor) -> Tensor:
        h = self.conv(x, edge_index).tanh()
        h = (h - h.mean(dim=0)).square()
        return h.new_zeros(int(batch.max()) + 1, 3).index_add(0, batch, h)


def test_copies_are_not_mixed_up_by_a_model_that_mixes_what_lies_side_by_side() -> None:
    model, graphs = Centered().double(), Case("gin", "graph").data()[1:2]
    masks = [
        gg.ErasureSearch(
            model, "graph", exact_up_to=0, keep_effect=0.7, memory_budget=budget, progress=False
        )
        .explain(graphs, [0])[0]
        .edge_mask
        for budget in (1, 1 << 30)
    ]
    assert masks[0].any()
    torch.testing.assert_close(masks[0], masks[1])


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"exact_up_to": -1}, "exact_up_to must be an integer from 0 to 20; got -1"),
        ({"exact_up_to": 21}, "got 21"),
        ({"share": 1.0}, "share must be a number of at least 0 and below 1; got 1.0"),
        ({"share": -0.1}, "got -0.1"),
        ({"keep_effect": 1.5}, "keep_effect must be a number from 0 to 1 or None; got 1.5"),
        ({"keep_effect": float("nan")}, "got nan"),
    ],
)
def test_bad_hyper_parameters(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(gg.errors.HyperParameterError, match=words):
        gg.ErasureSearch(SimpleConv(), **settings)


@pytest.mark.parametrize("exact_up_to", [0, 12])
@pytest.mark.parametrize(
    ("weights", "senders", "has_rivals"),
    [
        ([2.0, 2.0, 2.0], [1, 2, 3], True),
        ([2.0, 3.0, 5.0], [1, 2, 3], False),
        ([2.0], [1, 1], False),  # twins share their score, so neither is chosen
    ],
)
def test_a_choice_among_equals_is_called_arbitrary(
    weights: list[float], senders: list[int], has_rivals: bool, exact_up_to: int
) -> None:
    data = star([[0, weight] for weight in weights])
    data.edge_index = torch.tensor([senders, [0] * len(senders)])
    explainer = gg.ErasureSearch(SimpleConv(), task="node", exact_up_to=exact_up_to, progress=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (found,) = explainer.explain(data, [0])
    assert ("arbitrary" in (found.local.remark or "")) == has_rivals
