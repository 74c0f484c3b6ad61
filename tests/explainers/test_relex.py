"""RelEx: held against one subgraph and one surrogate at a time, and what it must say of itself."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn import SAGEConv, global_add_pool
from torch_geometric.utils import to_undirected

import glassgraph as gg
from glassgraph.calling.protect import protected
from glassgraph.core.batch import InstanceBatch
from glassgraph.errors import HyperParameterError
from glassgraph.explainers.surrogate.imitation.subgraphs import draw_samples
from glassgraph.explainers.surrogate.relex import RelEx, SurrogateWarning
from glassgraph.testing.cases import Case
from glassgraph.testing.compare import expect_same, scores
from glassgraph_studies.reference.relex import relex
from tests.explainers.opaque import Opaque
from tests.laws import literal


class Net(nn.Module):
    def __init__(self, level: str = "node") -> None:
        super().__init__()
        torch.manual_seed(1)
        self.level = level
        self.convs = nn.ModuleList([SAGEConv(3, 5, aggr="sum"), SAGEConv(5, 2, aggr="sum")])
        self.double()

    def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor | None = None) -> Tensor:
        h = self.convs[1](self.convs[0](x, edge_index).tanh(), edge_index)
        if self.level == "node":
            return h
        batch = torch.zeros(x.size(0)).long() if batch is None else batch
        return global_add_pool(h, batch)


def undirected(num_nodes: int, num_edges: int, seed: int) -> Data:
    torch.manual_seed(seed)
    ends = torch.randint(num_nodes, (2, num_edges))
    ends = to_undirected(ends[:, ends[0] != ends[1]], num_nodes=num_nodes)
    x = torch.randn(num_nodes, 3).double()
    x[:, 1] = 2.5  # does not vary
    return Data(x=x, edge_index=ends)


SETTINGS: dict[str, Any] = {
    "num_samples": 25, "epochs": 12, "mask_epochs": 7, "batch_size": 8, "hidden": 6,
    "least_r2": None, "progress": False, "seed": 3,
}  # fmt: skip


@pytest.mark.parametrize("mask", ["sigmoid", "gumbel"])
def test_nodes_are_explained_as_one_by_one(mask: Any) -> None:
    data, model = undirected(19, 24, 5), Net()
    explainer = RelEx(model, mask=mask, **SETTINGS)
    explanations = explainer.explain(data, [2, 11, 7])
    table = explanations.table("surrogate")
    for position, explanation in enumerate(explanations):
        node = explanation.local.index

        def ask(edges: Tensor, node: int = node, row: Any = explanation.local.target) -> Tensor:
            with torch.no_grad():
                return model(data.x, edges)[node, row]

        expected = relex(explainer, data, node, node, 2, ask)
        torch.testing.assert_close(explanation.edge_mask, expected.edge, rtol=1e-7, atol=1e-9)
        assert table.r2[position] == pytest.approx(expected.r2, rel=1e-6)
        assert expected.edge.std() > 0.01


def test_graphs_are_explained_as_one_by_one() -> None:
    graphs, model = [undirected(7, 9, 1), undirected(11, 13, 2)], Net("graph")
    explainer = RelEx(model, "graph", **SETTINGS)
    for number, explanation in enumerate(explainer.explain(graphs)):

        def ask(edges: Tensor, number: int = number, row: Any = explanation.local.target) -> Tensor:
            with torch.no_grad():
                return model(graphs[number].x, edges)[0, row]

        expected = relex(explainer, graphs[number], None, number, 2, ask)
        torch.testing.assert_close(explanation.edge_mask, expected.edge, rtol=1e-7, atol=1e-9)


def batch_of(level: str, index: list[int]) -> InstanceBatch:
    case = Case("gin", level)
    explainer = RelEx(case.model(), case.task(), progress=False)
    with protected(explainer.model):
        preparation = explainer.prepare(case.data())
        instances = preparation.instances(index)
        ((_, batch),) = preparation.batches(instances, None, 1 << 30)
    return batch


@pytest.mark.parametrize("level", ["node", "edge", "graph"])
def test_subgraphs_are_connected_with_what_is_explained(level: str) -> None:
    batch = batch_of(level, [0, 2])
    samples = draw_samples(batch, 1 << 30, 40, 0.3, 0)
    assert samples.has_edge[:, 0].all()
    kept = samples.has_edge.double().mean(dim=0)
    assert 0.05 < kept[1:].mean() < 0.9
    source, destination = batch.fields.source, batch.fields.destination
    for sample in range(1, 40):
        edges = samples.has_edge[:, sample].nonzero().view(-1)
        for instance in range(2):
            own = edges[batch.edge_instance[edges] == instance].tolist()
            if level == "graph":
                reached = {int(source[own[0]])} if own else set()
            else:
                reached = set(batch.fields.seed[instance].tolist())
            for _ in own:
                for edge in own:
                    if int(destination[edge]) in reached:
                        reached.add(int(source[edge]))
                    elif level == "graph" and int(source[edge]) in reached:
                        reached.add(int(destination[edge]))
            assert {int(destination[edge]) for edge in own} <= reached
            assert {int(source[edge]) for edge in own} <= reached
            if level != "graph":
                mine = batch.node_instance == instance
                assert set((samples.has_node[:, sample] & mine).nonzero()[:, 0].tolist()) == reached


def test_scores_are_those_of_the_subgraphs() -> None:
    case, batch = Case("gin", "node"), batch_of("node", [4, 17])
    samples = draw_samples(batch, 1 << 30, 9, 0.3, 0)
    data, model = case.data(), case.model()
    for instance, node in enumerate([4, 17]):
        for sample in range(9):
            own = samples.has_edge[:, sample] & (batch.edge_instance == instance)
            part = data.edge_subgraph(batch.fields.edge[own])
            with torch.no_grad():
                output = literal.predict_one(model, case, part)[node]
            expected = output[batch.targets.chosen[instance]]
            torch.testing.assert_close(samples.score[instance, sample], expected)


def test_what_is_linear_is_imitated_and_explained() -> None:
    """A node adds up its neighbors; one of them outweighs the others by far."""

    def model(x: Tensor, edge_index: Tensor) -> Tensor:
        total = torch.zeros_like(x).index_add(0, edge_index[1], x[edge_index[0]])
        return torch.cat([total, -total], dim=1)

    data = Data(
        x=torch.tensor([[0.0], [0.1], [5.0], [0.2], [0.1], [-0.1]]).double(),
        edge_index=torch.tensor([[1, 2, 3, 4, 5], [0, 0, 0, 0, 0]]),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        explanations = RelEx(model, progress=False).explain(data, [0])
    assert explanations.table("surrogate").r2[0] > 0.95
    mask = explanations[0].edge_mask
    hard = RelEx(model, mask="gumbel", progress=False).explain(data, [0])[0].edge_mask
    others = [0, 2, 3, 4]
    assert mask[1] > 10 * mask[others].max()
    hard = RelEx(model, mask="gumbel", progress=False).explain(data, [0])[0].edge_mask
    assert hard[1] > 0.8
    assert hard[others].max() < 0.2


# What it says of itself


def test_a_poor_surrogate_is_told() -> None:
    with pytest.warns(SurrogateWarning, match=r"of 2 predictions.*less than 1"):
        RelEx(Net(), **{**SETTINGS, "least_r2": 1.0}).explain(undirected(19, 24, 5), [2, 11])


def test_constant_predictions_have_no_scores() -> None:
    def model(x: Tensor, edge_index: Tensor) -> Tensor:
        return torch.cat([x[:, :1], x[:, 1:2]], dim=1)

    with pytest.warns(SurrogateWarning, match="of 2 predictions, 2 have the same score"):
        explanations = RelEx(model, num_hops=1, progress=False).explain(
            undirected(9, 14, 5), [2, 4]
        )
    assert not any(explanation.edge_mask.any() for explanation in explanations)
    assert explanations.table("surrogate")[["r2", "spread"]].to_numpy().tolist() == [[0, 0], [0, 0]]


def test_a_node_without_edges_is_no_news() -> None:
    data = Data(x=torch.rand(3, 3).double(), edge_index=torch.tensor([[1], [2]]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (explanation,) = RelEx(Net(), progress=False).explain(data, [0])
    assert not explanation.edge_mask.any()


@pytest.mark.parametrize("level", ["node", "graph", "edge"])
def test_an_opaque_model_is_explained_alike(level: str) -> None:
    case = Case("gcn", level)
    plain = RelEx(case.model(), case.task(), **SETTINGS)
    hidden = Opaque(case.model(), lambda model, data: literal.predict(model, case, data))
    opaque = RelEx(hidden, case.task(), **SETTINGS)
    for one, other in zip(
        plain.explain(case.data(), case.index), opaque.explain(case.data(), case.index), strict=True
    ):
        expect_same(scores(one), scores(other))


def test_size_costs_edges() -> None:
    data = undirected(19, 24, 5)
    settings = {**SETTINGS, "epochs": 60, "mask_epochs": 60}
    small, large = (
        float(RelEx(Net(), size=size, **settings).explain(data, [2])[0].edge_mask.sum())
        for size in (30.0, 0.0)
    )
    assert small < large


@pytest.mark.parametrize(
    "settings",
    [{"num_samples": 3}, {"keep": 0.0}, {"keep": 1.0}, {"hidden": 0}, {"layers": 0},
     {"epochs": 0}, {"batch_size": 0}, {"mask_epochs": 0}, {"learning_rate": 0.0}, {"size": -1.0},
     {"mask_learning_rate": 0.0}, {"temperature": 0.0}, {"mask": "hard"}],
)  # fmt: skip
def test_what_is_out_of_range_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(HyperParameterError, match=next(iter(settings))):
        gg.RelEx(nn.Identity(), **settings)


def test_states_that_cancel_lie_on_no_side_of_the_kink() -> None:
    """On two nodes that hear each other as much as themselves, surrogates begin at ReLU's kink."""
    x = torch.tensor([[1.0, 2.0, -1.0], [0.3, 0.5, 2.0]], dtype=torch.float64)
    ends = torch.tensor([[0, 1, 0, 1, 0, 1, 0, 0, 1, 1], [1, 0, 1, 0, 1, 0, 0, 0, 1, 1]])
    order = torch.tensor([6, 1, 8, 0, 3, 7, 2, 5, 9, 4])  # parallel edges one after another
    explainer = RelEx(
        Net("graph"),
        "graph",
        num_samples=20,
        epochs=30,
        mask_epochs=20,
        least_r2=None,
        progress=False,
    )
    found = [explainer.explain([Data(x=x, edge_index=ends[:, to])])[0] for to in (slice(10), order)]
    torch.testing.assert_close(found[1].edge_mask, found[0].edge_mask[order], rtol=1e-9, atol=1e-12)
