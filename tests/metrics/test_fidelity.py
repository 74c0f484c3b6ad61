"""Fidelity against numbers by hand, and against a loop of plain model calls."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Data, HeteroData
from torch_geometric.nn import GCNConv, SAGEConv
from torch_geometric.nn.conv.gcn_conv import gcn_norm

import glassgraph as gg
from glassgraph.errors import ExplanationFileError, TaskError, UnknownMetricError
from glassgraph.metrics import fidelity
from tests.metrics.scenes import (
    CLASSES,
    FEATURES,
    NODES,
    Sum,
    TwoLayers,
    random_graph,
    uniform,
    with_scores,
)

SPARSITY = (0.3, 0.5, 0.9)


# By hand


class Votes(nn.Module):
    """Node v's logits: the sum of its senders' votes ``[a, b]``."""

    def __init__(self) -> None:
        super().__init__()
        self.sum = Sum()

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        return self.sum(x, edge_index)


def votes() -> Data:
    """Node 0 hears 3 for class 0 from node 1, 1 for class 0 from node 2, 2 for class 1 from 3."""
    x = torch.tensor([[0.0, 0.0], [3.0, 0.0], [1.0, 0.0], [0.0, 2.0]]).double()
    edge_index = torch.tensor([[1, 2, 3, 0], [0, 0, 0, 1]])
    return Data(x=x, edge_index=edge_index, y=torch.tensor([1, 0, 0, 0]))


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def own_votes(local: gg.LocalExplanation) -> Tensor:
    """The right scores for node 0: 3, 1 and -2."""
    return torch.tensor([3.0, 1.0, -2.0])[local.edge_id]


@pytest.mark.parametrize("removal", ["shut", "delete"])
def test_probability_drop_by_hand(removal: Any) -> None:
    """Logits 4 and 2; without the best edge 1 and 2; with it alone 3 and 0."""
    explained = with_scores(Votes(), votes(), [0], own_votes)
    found = fidelity(explained, Votes(), votes(), removal=removal, top_k=[1, 2, 0])
    assert found.levels == ("top1", "top2", "top0")
    whole = sigmoid(4 - 2)
    expected_plus = [whole - sigmoid(1 - 2), whole - sigmoid(0 - 2), 0.0]
    expected_minus = [whole - sigmoid(3), whole - sigmoid(4), whole - 0.5]
    assert found.plus_prob[:, 0].tolist() == pytest.approx(expected_plus, abs=1e-12)
    assert found.minus_prob[:, 0].tolist() == pytest.approx(expected_minus, abs=1e-12)
    # Class 0 is lost without the best edge, never with it; with no edge the tie goes to class 0.
    assert found.plus_acc[:, 0].tolist() == [1, 1, 0]
    assert found.minus_acc[:, 0].tolist() == [0, 0, 0]
    assert found.sparsity[:, 0].tolist() == pytest.approx([2 / 3, 1 / 3, 1.0])
    assert found.minus_prob[0, 0] < 0, "surer on S alone: the drop is signed"


def test_the_label_is_what_the_explanations_are_about() -> None:
    """Class 1 (the label, not predicted): removing the best edge for class 0 makes it right."""
    explained = with_scores(Votes(), votes(), [0], own_votes, target="label")
    found = fidelity(explained, Votes(), votes(), top_k=1)
    assert float(found.plus_prob) == pytest.approx(sigmoid(-2) - sigmoid(1), abs=1e-12)
    assert float(found.plus_acc) == -1
    assert float(found.minus_acc) == 0


def test_contrast_is_a_difference_of_probabilities() -> None:
    explained = with_scores(Votes(), votes(), [0], own_votes, target=(0, 1))
    found = fidelity(explained, Votes(), votes(), top_k=1)

    def f(margin: float) -> float:
        return sigmoid(margin) - sigmoid(-margin)

    assert float(found.plus_prob) == pytest.approx(f(2) - f(-1), abs=1e-12)
    assert float(found.minus_prob) == pytest.approx(f(2) - f(3), abs=1e-12)
    assert float(found.plus_acc) == 1
    assert float(found.minus_acc) == 0


class Difference(Votes):
    """One column: votes for class 0 less votes for class 1."""

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        total = super().forward(x, edge_index)
        return total[:, :1] - total[:, 1:]


def test_regression_drops_in_its_own_units_and_has_no_accuracy() -> None:
    task = gg.Task("node", mode="regression")
    explained = with_scores(Difference(), votes(), [0], own_votes, task=task)
    found = fidelity(explained, Difference(), votes(), top_k=1)
    assert float(found.plus_prob) == 2 - (-1)
    assert float(found.minus_prob) == 2 - 3
    assert bool(found.plus_acc.isnan().all())
    assert found.means()[0]["fidelity_plus_acc"] is None


def test_binary_with_one_column() -> None:
    task = gg.Task("node", mode="binary_classification")
    explained = with_scores(Difference(), votes(), [0], own_votes, task=task)
    found = fidelity(explained, Difference(), votes(), top_k=1, task="node")
    assert float(found.plus_prob) == pytest.approx(sigmoid(2) - sigmoid(-1), abs=1e-12)
    assert float(found.plus_acc) == 1


def test_multi_label_reads_the_explained_column_alone() -> None:
    """Column 1 hears 2 votes; argmax (column 0) says nothing about it."""
    task = gg.Task("node", mode="binary_classification")
    explained = with_scores(
        Votes(), votes(), [0], lambda local: -own_votes(local), task=task, target=1
    )
    found = fidelity(explained, Votes(), votes(), top_k=1)
    assert float(found.plus_prob) == pytest.approx(sigmoid(2) - 0.5, abs=1e-12)
    assert float(found.plus_acc) == 1
    assert float(found.minus_acc) == 0


def test_absolute_ranking_takes_the_strongest_whatever_its_sign() -> None:
    def opposing(local: gg.LocalExplanation) -> Tensor:
        return torch.tensor([1.0, 0.5, -2.0])[local.edge_id]

    explained = with_scores(Votes(), votes(), [0], opposing)
    signed = fidelity(explained, Votes(), votes(), top_k=1)
    absolute = fidelity(explained, Votes(), votes(), top_k=1, ranking="absolute")
    assert float(signed.plus_prob) == pytest.approx(sigmoid(2) - sigmoid(-1), abs=1e-12)
    assert float(absolute.plus_prob) == pytest.approx(sigmoid(2) - sigmoid(4), abs=1e-12)


def test_ties_go_to_the_edge_listed_first() -> None:
    explained = with_scores(Votes(), votes(), [0], lambda local: torch.ones(3))
    found = fidelity(explained, Votes(), votes(), top_k=1)
    assert float(found.plus_prob) == pytest.approx(sigmoid(2) - sigmoid(-1), abs=1e-12)


def test_instances_without_edges_are_left_out_and_counted() -> None:
    explained = with_scores(Votes(), votes(), [2, 0, 3], own_votes)
    found = fidelity(explained, Votes(), votes(), top_k=1)
    assert found.num_without_edges == 2
    assert found.index.tolist() == [0]
    nothing = fidelity(explained[:1], Votes(), votes())
    assert nothing.means()[0]["fidelity_plus"] is None


# Against a loop of plain calls


def order(local: gg.LocalExplanation) -> Tensor:
    """Edge ids, best first; ties by id."""
    pairs = sorted(zip((-local.edge_score).tolist(), local.edge_id.tolist(), strict=True))
    return torch.tensor([edge for _, edge in pairs], dtype=torch.long)


def masks(local: gg.LocalExplanation, sparsity: float, num_edges: int) -> tuple[Tensor, Tensor]:
    """Edges of the user's graph that are there without S, and with S alone."""
    best = order(local)
    best = best[: best.numel() - math.floor(sparsity * best.numel() + 1e-9)]
    alone = torch.zeros(num_edges, dtype=torch.bool)
    alone[best] = True
    return ~alone, alone


def loop_delete(explained: gg.Explanations, model: nn.Module, data: Data) -> tuple[Tensor, Tensor]:
    """Fid+ and Fid- ``[K, B]`` by removing columns of edge_index."""
    plus, minus = torch.empty(2, len(SPARSITY), len(explained)).double()
    for i in range(len(explained)):
        local = explained.local(i)
        before = model(data.x, data.edge_index)[local.index].softmax(-1)[local.target]
        for k, sparsity in enumerate(SPARSITY):
            without, alone = masks(local, sparsity, data.edge_index.size(1))
            for mask, found in ((without, plus), (alone, minus)):
                after = model(data.x, data.edge_index[:, mask])[local.index].softmax(-1)
                found[k, i] = (before - after[local.target]).detach()
    return plus, minus


@pytest.mark.parametrize("kind", ["gcn", "gin", "gat"])
def test_delete_equals_a_loop_over_reduced_graphs(kind: str) -> None:
    data, model = random_graph(), TwoLayers(kind)
    explained = with_scores(model, data, [0, 4, 5, 11], uniform())
    found = fidelity(explained, model, data, removal="delete", sparsity=SPARSITY)
    plus, minus = loop_delete(explained, model, data)
    assert torch.allclose(found.plus_prob, plus, atol=1e-10)
    assert torch.allclose(found.minus_prob, minus, atol=1e-10)
    assert float(plus.abs().max()) > 0.01, "the loop removes something"


def shut_gcn(model: TwoLayers, data: Data, present: Tensor) -> Tensor:
    """A GCN whose weights come from the whole graph, then are set to zero where an edge is shut."""
    edge_index, weight = gcn_norm(data.edge_index, num_nodes=NODES, dtype=torch.double)
    gate = torch.cat([present, torch.ones(NODES, dtype=torch.bool)])
    weight = weight * gate

    def layer(conv: GCNConv, x: Tensor) -> Tensor:
        sent = weight.view(-1, 1) * conv.lin(x)[edge_index[0]]
        return torch.zeros(NODES, sent.size(1)).double().index_add(0, edge_index[1], sent) + (
            conv.bias
        )

    return layer(model.conv2, layer(model.conv1, data.x).tanh())


@torch.no_grad()
def test_shut_equals_a_literal_gcn_with_weights_of_the_whole_graph() -> None:
    data, model = random_graph(), TwoLayers("gcn")
    explained = with_scores(model, data, [0, 4, 5, 11], uniform())
    found = fidelity(explained, model, data, removal="shut", sparsity=SPARSITY)
    for i in range(len(explained)):
        local = explained.local(i)
        before = model(data.x, data.edge_index)[local.index].softmax(-1)[local.target]
        for k, sparsity in enumerate(SPARSITY):
            without, alone = masks(local, sparsity, data.edge_index.size(1))
            for mask, got in ((without, found.plus_prob), (alone, found.minus_prob)):
                after = shut_gcn(model, data, mask)[local.index].softmax(-1)[local.target]
                assert float(got[k, i]) == pytest.approx(float(before - after), abs=1e-10)


def test_the_two_removals_agree_on_sums_and_differ_where_degrees_count() -> None:
    data = random_graph()
    for kind, agree in (("gin", True), ("gcn", False), ("gat", False)):
        model = TwoLayers(kind)
        explained = with_scores(model, data, [0, 4, 5], uniform())
        one = fidelity(explained, model, data, removal="shut", sparsity=SPARSITY)
        other = fidelity(explained, model, data, removal="delete", sparsity=SPARSITY)
        assert torch.allclose(one.plus_prob, other.plus_prob, atol=1e-10) is agree


@pytest.mark.parametrize("removal", ["shut", "delete"])
@torch.no_grad()
def test_graph_tasks_over_a_list(removal: Any) -> None:
    graphs = [random_graph(seed, 5 + 2 * seed, 11 + seed) for seed in range(1, 5)]
    for graph in graphs:
        graph.y = None
    model = TwoLayers("gin", "graph")
    explained = with_scores(model, graphs, [3, 1, 2], uniform(), task="graph")
    found = fidelity(explained, model, graphs, removal=removal, sparsity=SPARSITY)
    for i, number in enumerate((3, 1, 2)):
        local, data = explained.local(i), graphs[number]
        batch = torch.zeros(data.num_nodes, dtype=torch.long)
        before = model(data.x, data.edge_index, batch).softmax(-1)[0, local.target]
        for k, sparsity in enumerate(SPARSITY):
            without, alone = masks(local, sparsity, data.edge_index.size(1))
            for mask, got in ((without, found.plus_prob), (alone, found.minus_prob)):
                after = model(data.x, data.edge_index[:, mask], batch).softmax(-1)
                expected = float(before - after[0, local.target])
                assert float(got[k, i]) == pytest.approx(expected, abs=1e-10)


class Links(nn.Module):
    """Scores a link by the product of its ends' embeddings; one logit."""

    def __init__(self) -> None:
        super().__init__()
        self.body = TwoLayers("gcn")

    def forward(self, x: Tensor, edge_index: Tensor, edge_label_index: Tensor) -> Tensor:
        h = self.body(x, edge_index)
        return (h[edge_label_index[0]] * h[edge_label_index[1]]).sum(-1)


@pytest.mark.parametrize("removal", ["shut", "delete"])
@torch.no_grad()
def test_link_tasks(removal: Any) -> None:
    data, model = random_graph(), Links()
    data.edge_label_index = torch.tensor([[0, 3, 7], [9, 2, 1]])
    task = gg.Task("edge", mode="binary_classification")
    explained = with_scores(model, data, [2, 0], uniform(), task=task)
    found = fidelity(explained, model, data, removal=removal, sparsity=SPARSITY)
    if removal == "shut":
        assert bool((found.plus_prob != 0).any())
        return
    for i, link in enumerate((2, 0)):
        local = explained.local(i)
        pair = data.edge_label_index[:, [link]]
        for k, sparsity in enumerate(SPARSITY):
            without, _ = masks(local, sparsity, data.edge_index.size(1))
            sign = 1 if local.target == 1 else -1
            before = (sign * model(data.x, data.edge_index, pair)).sigmoid()
            after = (sign * model(data.x, data.edge_index[:, without], pair)).sigmoid()
            assert float(found.plus_prob[k, i]) == pytest.approx(float(before - after), abs=1e-10)


class TwoRelations(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.convs = nn.ModuleList(SAGEConv((2, 3), CLASSES, aggr="sum").double() for _ in "ab")

    def forward(self, x_dict: Any, edge_index_dict: Any) -> Tensor:
        pair = (x_dict["author"], x_dict["paper"])
        return sum(
            conv(pair, edges)
            for conv, edges in zip(self.convs, edge_index_dict.values(), strict=True)
        )


@pytest.mark.parametrize("removal", ["shut", "delete"])
@torch.no_grad()
def test_heterogeneous_edges_are_found_by_their_type(removal: Any) -> None:
    data = HeteroData()
    data["author"].x, data["paper"].x = torch.randn(5, 2).double(), torch.randn(3, 3).double()
    data["author", "writes", "paper"].edge_index = torch.tensor([[0, 1, 2, 4], [0, 0, 1, 0]])
    data["author", "reads", "paper"].edge_index = torch.tensor([[3, 2, 0], [0, 0, 2]])
    data["paper"].y = torch.tensor([0, 1, 2])
    model = TwoRelations()

    def reads_first(local: gg.LocalExplanation) -> Tensor:
        return torch.tensor([float("reads" in name) for name in local.edge_type or []])

    explained = with_scores(model, data, [0], reads_first)
    found = fidelity(explained, model, data, top_k=2, removal=removal)
    target = explained.local(0).target
    edges = dict(data.edge_index_dict)
    before = model(data.x_dict, edges)[0].softmax(-1)[target]
    edges["author", "reads", "paper"] = torch.tensor([[0], [2]])
    after = model(data.x_dict, edges)[0].softmax(-1)[target]
    assert float(found.plus_prob) == pytest.approx(float(before - after), abs=1e-10)
    assert abs(float(found.plus_prob)) > 1e-6


class WithGlobalMean(TwoLayers):
    """Every node sees the mean of the whole graph: no receptive field can hold that."""

    def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor | None = None) -> Tensor:
        h = self.conv1(x, edge_index).tanh()
        return self.conv2(h, edge_index) + 0.3 * h.mean(dim=0)[:CLASSES]


@pytest.mark.filterwarnings("ignore::glassgraph.core.told.FallbackWarning")
def test_a_model_that_cannot_be_cut_runs_on_the_full_graph() -> None:
    data, model = random_graph(), WithGlobalMean("gcn")
    explained = with_scores(model, data, [0, 4], uniform())
    found = fidelity(explained, model, data, removal="delete", sparsity=SPARSITY)
    plus, minus = loop_delete(explained, model, data)
    assert torch.allclose(found.plus_prob, plus, atol=1e-10)
    assert torch.allclose(found.minus_prob, minus, atol=1e-10)
    shut = fidelity(explained, model, data, removal="shut", sparsity=SPARSITY)
    assert bool((shut.plus_prob != 0).any())


class WeighsByFarDegrees(TwoLayers):
    """Edge weights that depend on the graph two hops away: the rim of any cut gets them wrong."""

    def __init__(self) -> None:
        super().__init__("gcn")
        self.conv1.normalize = self.conv2.normalize = False

    def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor | None = None) -> Tensor:
        weight = torch.ones(x.size(0)).double()
        for _ in range(3):
            weight = torch.ones_like(weight).index_add(0, edge_index[1], weight[edge_index[0]])
        weight = 1 / weight[edge_index[0]]
        return self.conv2(self.conv1(x, edge_index, weight).tanh(), edge_index, weight)


def test_delete_does_not_trust_a_cut_that_predicts_something_else() -> None:
    """A long chain into a node: the core restores the weights of the cut, `delete` must not cut."""
    generator = torch.Generator().manual_seed(4)
    chain = torch.arange(NODES - 1)
    extra = torch.stack([torch.tensor([10, 11, 12, 9]), torch.tensor([5, 5, 7, 3])])
    edge_index = torch.cat([torch.stack([chain + 1, chain]), extra], dim=1)
    x = torch.randn(NODES, FEATURES, generator=generator).double()
    data, model = Data(x=x, edge_index=edge_index), WeighsByFarDegrees()
    explained = with_scores(model, data, [0, 1, 4], uniform())
    found = fidelity(explained, model, data, removal="delete", sparsity=SPARSITY)
    plus, minus = loop_delete(explained, model, data)
    assert torch.allclose(found.plus_prob, plus, atol=1e-10)
    assert torch.allclose(found.minus_prob, minus, atol=1e-10)


@pytest.mark.parametrize("removal", ["shut", "delete"])
def test_many_instances_share_a_few_passes(removal: Any) -> None:
    """GCN's degrees at the rim are right one hop further out, so nothing runs alone."""
    data, model = random_graph(nodes=61, edges=181), TwoLayers("gcn")
    explained = with_scores(model, data, list(range(59)), uniform())
    calls = []
    handle = model.register_forward_hook(lambda *_: calls.append(1))
    fidelity(explained, model, data, removal=removal, sparsity=SPARSITY)
    handle.remove()
    assert len(calls) < 59


# Laws


@pytest.mark.parametrize("removal", ["shut", "delete"])
@pytest.mark.parametrize("kind", ["gcn", "gin"])
def test_batching_changes_nothing(kind: str, removal: Any) -> None:
    data, model = random_graph(), TwoLayers(kind)
    explained = with_scores(model, data, list(range(NODES)), uniform())
    many = fidelity(explained, model, data, removal=removal, sparsity=SPARSITY)
    tight = fidelity(
        explained, model, data, removal=removal, sparsity=SPARSITY, memory_budget=20_000
    )
    assert torch.allclose(many.plus_prob, tight.plus_prob, atol=1e-12)
    for i in range(len(explained)):
        alone = fidelity(explained[i : i + 1], model, data, removal=removal, sparsity=SPARSITY)
        assert torch.allclose(alone.minus_prob[:, 0], many.minus_prob[:, i], atol=1e-12)


@pytest.mark.parametrize("removal", ["shut", "delete"])
def test_everything_and_nothing(removal: Any) -> None:
    """S = all edges: Fid- is 0. S = no edges: Fid+ is 0, and Fid- is the other's Fid+."""
    data, model = random_graph(), TwoLayers("gin")
    explained = with_scores(model, data, [0, 4, 5], uniform())
    found = fidelity(explained, model, data, removal=removal, sparsity=[0.0, 1.0])
    assert torch.equal(found.minus_prob[0], torch.zeros(3).double())
    assert torch.equal(found.plus_prob[1], torch.zeros(3).double())
    assert torch.allclose(found.plus_prob[0], found.minus_prob[1])
    assert bool((found.plus_prob[0] != 0).all())


def test_right_scores_beat_random_and_reversed_ones() -> None:
    """With additive votes the margin of each vote is the best ranking there is, everywhere."""
    data, model = random_graph(), Votes()
    data.x = data.x[:, :2]

    def margin(local: gg.LocalExplanation) -> Tensor:
        vote = data.x[local.node_id[local.edge_index[0]]]
        return (vote[:, 0] - vote[:, 1]) * (1 if local.target == 0 else -1)

    def measured(score: Any) -> Any:
        explained = with_scores(model, data, list(range(NODES)), score)
        return fidelity(explained, model, data, sparsity=0.7)

    true, reverse = measured(margin), measured(lambda local: -margin(local))
    for seed in range(5):
        random = measured(uniform(seed))
        assert bool((true.plus_prob >= random.plus_prob - 1e-12).all())
        assert bool((true.minus_prob <= random.minus_prob + 1e-12).all())
        assert bool((reverse.plus_prob <= random.plus_prob + 1e-12).all())
        assert bool((reverse.minus_prob >= random.minus_prob - 1e-12).all())
        assert float(true.plus_prob.mean()) > float(random.plus_prob.mean()) + 0.05
        assert float(random.plus_prob.mean()) > float(reverse.plus_prob.mean()) + 0.05


def test_the_model_stays_as_it_was() -> None:
    data, model = random_graph(), TwoLayers("gcn").train()
    explained = with_scores(model, data, [0], uniform())
    state = {name: value.clone() for name, value in model.state_dict().items()}
    before = model(data.x, data.edge_index)
    for removal in ("shut", "delete"):
        fidelity(explained, model, data, removal=removal)  # type: ignore[arg-type]
    assert model.training
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert torch.equal(model(data.x, data.edge_index), before)


def test_a_call_of_the_users_own() -> None:
    data, model = random_graph(), TwoLayers("gcn")

    def call(model: nn.Module, data: Data) -> Tensor:
        return model(data.x, data.edge_index) * 2

    explained = with_scores(model, data, [4], uniform(), call=call)
    twice = fidelity(explained, model, data, call=call, removal="delete")
    once = fidelity(explained, model, data, removal="delete")
    assert not torch.allclose(twice.plus_prob, once.plus_prob)


def test_what_layers_and_nodes_say_about_edges() -> None:
    """Layer edges count by their best layer, nodes by the mean of an edge's ends."""
    from dataclasses import replace

    from glassgraph.metrics import edge_scores

    explained = with_scores(Votes(), votes(), [0], own_votes).local(0)
    layers = torch.tensor([[0.5, 0.0, -3.0], [0.25, 0.75, -2.0]])
    local = replace(explained, edge_score=None, layer_edge_score=layers)
    assert edge_scores(local).tolist() == [0.5, 0.75, -2.0]
    assert edge_scores(local, "absolute").tolist() == [0.5, 0.75, 2.0]
    local = replace(explained, edge_score=None, node_score=torch.tensor([1.0, 3.0, 5.0, 8.0]))
    assert edge_scores(local).tolist() == [2.0, 3.0, 4.5]
    feature = torch.tensor([[1.0, 0.0], [1.0, 2.0], [5.0, float("nan")], [4.0, 4.0]])
    assert edge_scores(replace(local, node_score=None, feature_score=feature)).tolist() == [
        2.0,
        3.0,
        4.5,
    ]
    with pytest.raises(UnknownMetricError, match="no scores"):
        edge_scores(replace(local, node_score=None))


# Mistakes


def test_mistakes_are_named() -> None:
    data, model = random_graph(), TwoLayers("gcn")
    explained = with_scores(model, data, [4], uniform())
    with pytest.raises(UnknownMetricError, match="'shut' or 'delete'; got 'cut'"):
        fidelity(explained, model, data, removal="cut")  # type: ignore[arg-type]
    with pytest.raises(UnknownMetricError, match="'signed' or 'absolute'; got 'size'"):
        fidelity(explained, model, data, ranking="size")  # type: ignore[arg-type]
    for wrong in (1.5, -0.1, float("nan"), ()):
        with pytest.raises(UnknownMetricError, match=r"\[0, 1\]"):
            fidelity(explained, model, data, sparsity=wrong)
    for wrong_k in (-1, [], True):
        with pytest.raises(UnknownMetricError, match="top_k"):
            fidelity(explained, model, data, top_k=wrong_k)
    with pytest.raises(TaskError, match="node predictions; got a graph task"):
        fidelity(explained, model, data, task="graph")
    with pytest.raises(ExplanationFileError, match="41 edges, these have 23"):
        fidelity(explained, model, random_graph(edges=23))
    broken = with_scores(model, data, [4], lambda local: torch.full_like(local.edge_id, 1) / 0.0)
    with pytest.raises(UnknownMetricError, match="NaN or infinite"):
        fidelity(broken, model, data)


def test_a_share_that_floating_point_misses_is_not_rounded_up() -> None:
    from glassgraph.metrics.scores import Level

    count = torch.tensor([100, 10, 1, 0, 7])
    assert Level(sparsity=0.29).num_kept(count).tolist() == [71, 8, 1, 0, 5]
    assert Level(sparsity=0.9).num_kept(count).tolist() == [10, 1, 1, 0, 1]
    assert Level(sparsity=0.7).num_kept(torch.tensor([10])).tolist() == [3]
    assert Level(top_k=3).num_kept(count).tolist() == [3, 3, 1, 0, 3]


def test_sizes_are_distinct() -> None:
    """A mixed-up axis cannot pass."""
    assert len({NODES, FEATURES, CLASSES, 41, 7}) == 5
