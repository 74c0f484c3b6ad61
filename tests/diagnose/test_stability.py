"""Stability: what stays, what is rejected, and what the user is told."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Batch, Data, HeteroData
from torch_geometric.nn import GCN, HeteroConv, SAGEConv

import glassgraph as gg
from glassgraph.diagnose.perturbed import added_edges
from glassgraph.errors import HyperParameterError, UnsupportedModelError
from glassgraph.metrics import agreement
from tests.diagnose.scenes import Chosen, Net, Votes, random_data, star
from tests.metrics.scenes import Sum

BOTH = ("edges", "noise")


def by_name(found: list[Any]) -> dict[str, Any]:
    return {f"{each.metric}@{each.level}": each for each in found}


@pytest.mark.parametrize("under", BOTH)
@pytest.mark.parametrize("level", ["node", "graph", "edge"])
def test_scores_that_follow_the_edge_alone_are_stable(level: str, under: str) -> None:
    def score(batch: Any) -> Tensor:
        ends = batch.fields.node[torch.stack([batch.fields.source, batch.fields.destination])]
        if batch.graph.node_graph is not None:  # the same, wherever the graph stands
            number = torch.arange(batch.graph.num_nodes)
            first = torch.zeros_like(number).scatter_reduce(
                0, batch.graph.node_graph, number, "amin", include_self=False
            )
            ends = ends - first[batch.graph.node_graph[ends]]
        return ((ends[0] * 31 + ends[1] * 7) % 101).double()

    explainer = Chosen(Net(level), level, score=score)
    found = gg.stability(
        explainer, random_data(level), [0, 2], under=under, edges=2, draws=1, over="edge"
    )
    overlap, _, worst, rejected = found
    # Edges that come within reach only on the changed graph may take a place.
    assert overlap.estimate.n == 2
    assert overlap.estimate.value >= 0.6
    assert worst.estimate.value <= 0.4
    assert rejected.metric == f"stability_{under}_rejected"
    if under == "noise":
        assert overlap.estimate.value == pytest.approx(1)
        assert worst.estimate.value == pytest.approx(0, abs=1e-9)


@pytest.mark.filterwarnings("ignore::glassgraph.core.told.FallbackWarning")
def test_draws_that_change_the_prediction_are_rejected_and_counted() -> None:
    # Votes for class 1: a node that hears of one more vote of -5 falls to class 0.
    data = star(1.0, 1.0)
    data.x = torch.tensor([[-5.0], [1.0], [1.0], [-5.0], [-5.0]], dtype=torch.float64)
    data.edge_index = torch.tensor([[1, 2, 1, 0, 0], [0, 0, 2, 1, 2]])
    found = gg.stability(
        Chosen(Votes(), score=lambda batch: batch.fields.edge.double()),
        data,
        [0],
        under="edges",
        edges=1,
        draws=3,
        tries=7,
    )
    rejected = by_name(found)["stability_edges_rejected@1"]
    # The one free pair within reach is 2 -> 1, and does not touch node 0: nothing is rejected.
    assert rejected.estimate.value == 0

    class Brittle(nn.Module):
        """The class is the parity of the number of edges."""

        def __init__(self) -> None:
            super().__init__()
            self.votes = Votes()

        def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
            odd = edge_index.size(1) % 2
            return self.votes(x, edge_index) * 0 + torch.tensor([odd, 1.0 - odd])

    data = Data(x=torch.ones(5, 1).double(), edge_index=torch.tensor([[1, 2, 3], [0, 0, 0]]))
    explainer = Chosen(Brittle(), score=lambda batch: batch.fields.edge.double(), check="full")
    found = gg.stability(explainer, data, [0], under="edges", edges=1, draws=2, tries=7)
    by = by_name(found)
    assert by["stability_edges_rejected@1"].estimate.value == 14
    assert by["stability_edges_overlap@1"].estimate.n == 0


def test_a_method_without_chance_is_said_to_be_deterministic() -> None:
    found = gg.stability(gg.Saliency(Net(), progress=False), random_data(), [0, 3], under="seeds")
    assert [each.level for each in found] == ["deterministic"] * 3
    assert [round(each.estimate.value, 9) for each in found] == [1, 1, 0]


def test_seeds_of_random_scores_lie_at_chance() -> None:
    explainer = gg.Random(Net(), "node", progress=False)
    for found in gg.stability(explainer, random_data(nodes=31, num_edges=173), under="seeds"):
        assert found.floor is not None
        assert abs(found.estimate.value - found.floor.value) < 0.06


@pytest.mark.parametrize("under", ["models", "architectures"])
def test_other_models_explain_the_same_class(under: Any) -> None:
    torch.manual_seed(7)
    first, second = Net(), GCN(5, 11, 3, 3).double().eval()
    explainer = gg.Saliency(first, progress=False)
    data = random_data()
    found = gg.stability(explainer, data, [0, 3, 5], under=under, others=[second])
    own = explainer.explain(data, [0, 3, 5])
    target = torch.tensor([own.local(i).target for i in range(3)])
    other = gg.Saliency(second, progress=False).explain(data, [0, 3, 5], target)
    expected = agreement([own, other])
    for one, two in zip(found, expected, strict=True):
        assert one.estimate.value == pytest.approx(two.estimate.value)
    same = gg.stability(explainer, data, [0, 3], under=under, others=[first])
    assert same[0].estimate.value == pytest.approx(1)


def test_levels_are_numbers_of_edges() -> None:
    found = gg.stability(
        gg.Saliency(Net("graph"), "graph", progress=False),
        random_data("graph"),
        under="edges",
        edges=(1, 3),
        draws=1,
    )
    assert [each.level for each in found] == ["1"] * 4 + ["3"] * 4


def test_a_batch_is_the_list_of_its_graphs() -> None:
    graphs = random_data("graph")
    explainer = gg.Saliency(Net("graph"), "graph", progress=False)
    settings: dict[str, Any] = {"under": "edges", "edges": 2, "draws": 1}
    one = gg.stability(explainer, graphs, **settings)
    other = gg.stability(explainer, Batch.from_data_list(graphs), **settings)
    for a, b in zip(one, other, strict=True):
        assert a.estimate.value == pytest.approx(b.estimate.value)


def test_an_instance_does_not_depend_on_the_others() -> None:
    explainer = gg.Saliency(Net(), progress=False)
    settings: dict[str, Any] = {"under": "edges", "edges": 2, "draws": 2}
    many = gg.stability(explainer, random_data(), [0, 3, 5], **settings)[1].values
    one = gg.stability(explainer, random_data(), [3], **settings)[1].values
    assert many is not None
    assert one is not None
    assert many[1] == pytest.approx(float(one[0]))


class Typed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(5)
        kinds = [("a", "to", "b"), ("b", "to", "a")]
        self.convs = nn.ModuleList(
            [HeteroConv({kind: SAGEConv((5, 5), 5) for kind in kinds}) for _ in range(2)]
        )

    def forward(self, x_dict: Any, edge_index_dict: Any) -> Any:
        for conv in self.convs:
            x_dict = conv(x_dict, edge_index_dict)
        return x_dict["a"]


@pytest.mark.parametrize("under", BOTH)
def test_graphs_with_types(under: Any) -> None:
    generator = torch.Generator().manual_seed(3)
    data = HeteroData()
    data["a"].x, data["b"].x = (torch.randn(n, 5, generator=generator) for n in (7, 11))
    for source, target, n, m in (("a", "b", 7, 11), ("b", "a", 11, 7)):
        ends = [torch.randint(size, (17,), generator=generator) for size in (n, m)]
        data[source, "to", target].edge_index = torch.stack(ends)
    explainer = gg.Saliency(Typed().eval(), gg.Task("node", node_type="a"), progress=False)
    found = gg.stability(explainer, data, [0, 3], under=under, edges=1, draws=1, delta=0.9)
    assert found[1].estimate.n == 2
    assert found[1].estimate.value > 0.3


def test_added_edges_come_behind_the_others_with_attributes_both_ways() -> None:
    ends = torch.tensor([[0, 1, 1, 2, 2, 3], [1, 0, 2, 1, 3, 2]])
    data = Data(x=torch.rand(4, 3), edge_index=ends, edge_attr=torch.arange(6.0).view(6, 1))
    changed = added_edges(2)(data, None, torch.Generator().manual_seed(3))
    assert changed is not None
    assert torch.equal(changed.edge_index[:, :6], ends)
    assert changed.edge_index.size(1) == 10
    assert Data(edge_index=changed.edge_index, num_nodes=4).is_undirected()
    assert changed.edge_attr.size(0) == 10
    assert data.edge_index.size(1) == 6
    # Six pairs in all, three of them joined: a fourth cannot be found.
    assert added_edges(4)(data, None, torch.Generator().manual_seed(3)) is None


def test_bad_input_is_named() -> None:
    explainer, data = gg.Saliency(Net(), progress=False), random_data()
    for words, settings in (
        ("under must be one of", {"under": "weather"}),
        ("needs others", {"under": "models"}),
        ("others has no meaning", {"under": "edges", "others": [Net()]}),
        ("edges must be positive", {"under": "edges", "edges": 0}),
        ("draws must be at least 1", {"under": "edges", "draws": 0}),
        ("delta must be positive", {"under": "noise", "delta": -1.0}),
    ):
        with pytest.raises(HyperParameterError, match=words):
            gg.stability(explainer, data, [0], **settings)  # type: ignore[arg-type]
    fitted = gg.PGExplainer(Net(), "node", progress=False)
    with pytest.raises(HyperParameterError, match="fit one for each seed"):
        gg.stability(fitted.fit(data, [0, 1, 2]), data, [0], under="seeds")


def test_noise_needs_features_that_are_numbers() -> None:
    class Embedded(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table, self.net = nn.Embedding(5, 5), Net()
            self.double()

        def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
            return self.net(self.table(x.view(-1)), edge_index)

    data = random_data()
    data.x = torch.arange(13).remainder(5)
    explainer = gg.Random(Embedded().eval(), "node", progress=False)
    with pytest.raises(UnsupportedModelError, match="floating numbers"):
        gg.stability(explainer, data, [0], under="noise")


@pytest.mark.parametrize("under", ["edges", "noise", "seeds"])
def test_nothing_to_explain_and_nothing_to_add(under: Any) -> None:
    explainer = gg.Random(Net(), "node", progress=False)
    found = gg.stability(explainer, random_data(), [], under=under)
    assert all(each.estimate.n == 0 for each in found)
    ends = torch.cartesian_prod(torch.arange(4), torch.arange(4))
    complete = Data(x=torch.rand(4, 5).double(), edge_index=ends[ends[:, 0] != ends[:, 1]].t())
    edges = gg.stability(explainer, complete, [0], under="edges", edges=1)
    assert [each.estimate.n for each in edges] == [0, 0, 0, 1]  # and none was rejected
    assert edges[-1].estimate.value == 0


@pytest.mark.parametrize("under", BOTH)
@pytest.mark.parametrize("target", ["label", (0, 1)])
def test_the_class_that_was_asked_for_is_explained_again(under: Any, target: Any) -> None:
    explainer = gg.Saliency(Net(), progress=False)
    settings: dict[str, Any] = {"under": under, "edges": 1, "draws": 1}
    found = gg.stability(explainer, random_data(), [0, 3], target, **settings)
    assert found[1].estimate.value > 0.8


def test_a_function_is_explained_again_too() -> None:
    net = Net()
    explainer = gg.CausalScreening(lambda x, edge_index: net(x, edge_index), progress=False)
    found = gg.stability(explainer, random_data(), [0], under="noise", draws=1, radius=1e-6)
    assert found[1].estimate.value == pytest.approx(1)


def test_a_regression_stays_within_a_share_of_its_value() -> None:
    ends = torch.tensor([[1, 2, 3, 4, 0], [0, 0, 0, 1, 2]])
    data = Data(x=torch.tensor([[1.0], [2], [3], [4], [5]]), edge_index=ends)
    explainer = gg.Occlusion(Sum(), gg.Task("node", mode="regression"), progress=False)
    near = gg.stability(explainer, data, [0], under="noise", radius=0.01, delta=0.5, draws=1)
    assert (near[0].estimate.n, near[3].estimate.value) == (1, 0)
    far = gg.stability(explainer, data, [0], under="noise", radius=0.5, delta=1e-9, draws=1)
    assert (far[0].estimate.n, far[3].estimate.value) == (0, 20)
