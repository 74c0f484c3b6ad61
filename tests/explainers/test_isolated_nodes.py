"""Searches for which nodes go with the last of their edges, against graphs cut by hand."""

from __future__ import annotations

import itertools
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Batch, Data
from torch_geometric.nn import GCNConv, GraphConv, global_max_pool, global_mean_pool

import glassgraph as gg
from glassgraph.errors import HyperParameterError
from glassgraph.explainers.constant import ConstantScoresWarning
from glassgraph.explainers.scope import Scope
from glassgraph.metrics import sufficiency
from glassgraph.testing.cases import Case
from glassgraph.testing.law import Law
from glassgraph.testing.laws import LAWS
from glassgraph.testing.subject import Subject

CLASSES = 3


class Pooled(nn.Module):
    """Isolated nodes count in the mean, and can hold the maximum."""

    def __init__(self, layer: Any, pool: Any) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.conv, self.head, self.pool = layer(5, 7), nn.Linear(7, CLASSES), pool
        self.double().eval()

    def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor | None = None) -> Tensor:
        found: Tensor = self.head(self.pool(self.conv(x, edge_index).tanh(), batch))
        return found


class OneByOne(Pooled):
    """A network that cannot be asked about two graphs at once."""

    def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor | None = None) -> Tensor:
        return super().forward(x - x.mean(), edge_index, batch)


MODELS = {
    "gcn, mean": lambda: Pooled(GCNConv, global_mean_pool),
    "sum, max": lambda: Pooled(GraphConv, global_max_pool),
    "one by one": lambda: OneByOne(GCNConv, global_mean_pool),
}
each_model = pytest.mark.parametrize(
    "model",
    [
        *list(MODELS)[:2],
        pytest.param(
            "one by one",
            marks=pytest.mark.filterwarnings("ignore::glassgraph.core.told.FallbackWarning"),
        ),
    ],
)


def graphs(num_edges: int = 7) -> list[Data]:
    """A loop, both directions of an edge, and in the second graph a node without edges."""
    torch.manual_seed(2)
    ends = torch.tensor([[0, 1, 2, 3, 3, 4, 1], [1, 0, 1, 2, 3, 2, 4]])[:, :num_edges]
    return [Data(x=torch.randn(n, 5).double(), edge_index=ends) for n in (5, 6)]


def cut(data: Data, edges: list[int]) -> Data | None:
    """The graph of some edges, and of nodes that have one of them or never had any."""
    kept = [tuple(data.edge_index[:, e].tolist()) for e in edges]
    touched = {node for pair in data.edge_index.t().tolist() for node in pair}
    left = [n for n in range(data.num_nodes) if n not in touched or any(n in each for each in kept)]
    if not left:
        return None
    place = {node: number for number, node in enumerate(left)}
    index = torch.tensor([[place[a], place[b]] for a, b in kept]).view(-1, 2).t().long()
    return Data(x=data.x[left], edge_index=index)


def says(model: nn.Module, data: Data, edges: list[int]) -> Tensor | None:
    part = cut(data, edges)
    if part is None:
        return None
    with torch.no_grad():
        found: Tensor = model(part.x, part.edge_index).log_softmax(dim=-1)[0]
    return found


@each_model
@pytest.mark.parametrize("pairs", [False, True])
def test_every_step_of_causal_screening_is_the_best(model: str, pairs: bool) -> None:
    network = MODELS[model]()
    explainer = gg.CausalScreening(
        network, "graph", removal="delete_isolated", pairs=pairs, progress=False
    )
    for data, found in zip(graphs(), explainer.explain(graphs()), strict=True):
        whole = says(network, data, list(range(7)))
        assert whole is not None
        label, chosen = int(whole.argmax()), list[int]()
        steps = found.local.tables["steps"]
        units = [[0, 1], *([e] for e in range(2, 7))] if pairs else [[e] for e in range(7)]
        start = says(network, data, [])
        before = float("nan") if start is None else float(start[label])
        for turn in range(len(units)):
            values = [float(says(network, data, chosen + unit)[label]) for unit in units]
            best = max(range(len(units)), key=values.__getitem__)
            assert steps["value"][turn].item() == pytest.approx(values[best], abs=1e-9)
            effect = steps["effect"][turn].item()
            assert effect == pytest.approx(values[best] - before, abs=1e-9, nan_ok=True)
            chosen += units.pop(best)
            before = values[best]


@each_model
@pytest.mark.parametrize("removal", ["delete", "delete_isolated"])
def test_erasure_search_finds_the_smallest_set(model: str, removal: str) -> None:
    network, label = MODELS[model](), 1
    explainer = gg.ErasureSearch(network, "graph", removal=removal, progress=False)

    def ask(data: Data, edges: list[int]) -> tuple[bool, float]:
        """Whether the network decides for the label, and its logit."""
        part = cut(data, edges)
        if removal == "delete":
            part = Data(x=data.x, edge_index=data.edge_index[:, edges])
        if part is None:
            return False, float("nan")
        with torch.no_grad():
            output = network(part.x, part.edge_index)[0]
        return int(output.argmax()) == label, float(output[label])

    for data, found in zip(graphs(), explainer.explain(graphs(), target=label), strict=True):
        decided = ask(data, list(range(7)))[0]
        for size in range(8):
            sets = [list(each) for each in itertools.combinations(range(7), size)]
            answers = [(ask(data, each), each) for each in sets]
            fits = [
                (score, each)
                for (decides, score), each in answers
                if decides == decided and score == score
            ]
            if fits:
                break
        best = torch.zeros(7)
        best[max(fits)[1]] = 1
        assert torch.equal(found.edge_mask.float(), best)


@pytest.mark.parametrize("method", [gg.CausalScreening, gg.ErasureSearch])
def test_the_greedy_part_reaches_what_the_metric_asks(method: Any) -> None:
    """Without exact search, on a batch of graphs: the kept edges keep the class."""
    network = MODELS["sum, max"]()
    settings = {"pairs": True} if method is gg.CausalScreening else {"exact_up_to": 0}
    explainer = method(network, "graph", removal="delete_isolated", progress=False, **settings)
    data = [*graphs(), *graphs(5)]
    found = sufficiency(explainer.explain(data), network, data, top_k=[7])
    assert found[0].estimate.value == 1


def test_one_best_edge_is_the_optimum_of_sufficiency() -> None:
    network = MODELS["gcn, mean"]()
    explainer = gg.CausalScreening(
        network, "graph", removal="delete_isolated", pairs=True, budget=1, progress=False
    )
    data = graphs()
    found = sufficiency(explainer.explain(data), network, data, top_k=[1])[0]
    for one, value in zip(data, found.values.tolist(), strict=True):
        label = int(says(network, one, list(range(7))).argmax())
        units = [[0, 1], *([e] for e in range(2, 7))]
        can = any(int(says(network, one, unit).argmax()) == label for unit in units)
        assert value == can


def test_what_is_kept_by_default_is_what_it_was() -> None:
    """Isolated nodes stay, unless they are asked to go; the difference is seen by the mean."""
    network = MODELS["gcn, mean"]()
    kept, dropped = (
        gg.CausalScreening(network, "graph", progress=False, **each).explain(graphs()[:1])[0]
        for each in ({}, {"removal": "delete_isolated"})
    )
    values = [each.local.tables["steps"]["value"] for each in (kept, dropped)]
    assert not torch.allclose(values[0][:3], values[1][:3])
    torch.testing.assert_close(values[0][-1], values[1][-1])  # with all edges both are the graph


def test_an_edge_that_changes_nothing_is_said_to_be_arbitrary() -> None:
    """All nodes look alike, so any first edge gives the same; then nothing moves."""
    network = MODELS["sum, max"]()
    with torch.no_grad():
        network.conv.lin_rel.weight.zero_()
    data = Data(x=torch.ones(4, 5).double(), edge_index=torch.tensor([[0, 1, 2], [1, 2, 3]]))
    explainer = gg.CausalScreening(network, "graph", removal="delete_isolated", progress=False)
    with pytest.warns(ConstantScoresWarning, match="no edge moves"):
        explainer.explain([data])


@pytest.mark.parametrize("level", ["node", "edge"])
@pytest.mark.parametrize("method", [gg.CausalScreening, gg.ErasureSearch])
def test_predictions_that_are_not_about_graphs_are_refused(method: Any, level: str) -> None:
    with pytest.raises(HyperParameterError, match=f"about graphs; got a task about {level}s"):
        method(MODELS["gcn, mean"](), level, removal="delete_isolated")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"layerwise": True, "removal": "delete"}, "layerwise=True is for removal='shut'"),
        ({"keep_effect": 0.9, "removal": "delete_isolated"}, "use removal='delete'"),
        ({"mode": "regression", "removal": "delete_isolated"}, "any regression"),
        ({"removal": "drop"}, "removal"),
    ],
)
def test_erasure_search_refuses_what_has_no_meaning(settings: Any, words: str) -> None:
    with pytest.raises(HyperParameterError, match=words):
        gg.ErasureSearch(MODELS["gcn, mean"](), "graph", **settings)


class Screening(gg.CausalScreening):
    """The option as the only way, for the laws."""

    name = "causal_screening_isolated"
    scope = Scope(levels=("graph",), sees_degrees=True)
    test_settings: ClassVar[dict[str, Any]] = {"removal": "delete_isolated"}


class Erasure(gg.ErasureSearch):
    """The option as the only way, for the laws."""

    name = "erasure_search_isolated"
    scope = Scope(levels=("graph",), sees_degrees=True)
    test_settings: ClassVar[dict[str, Any]] = {"removal": "delete_isolated", "exact_up_to": 6}


def one_case_of_each_law() -> list[Any]:
    """But for one law, whose network knows nothing but the user's graph as it is.

    Regressions are left out: `test_erasure_search_refuses_what_has_no_meaning`.
    """
    found = []
    for method in (Screening, Erasure):
        for law in LAWS:
            cases = [
                each
                for each in law.cases_for(Subject(method))
                if getattr(each, "mode", "") != "regression"
            ]
            if cases and law.name != "field_is_full_graph":
                found.append(pytest.param(method, law, cases[0], id=f"{law}-{method.name}"))
    return found


@pytest.mark.slow("what is removed is checked by hand above; laws of methods: tests/laws")
@pytest.mark.parametrize(("method", "law", "case"), one_case_of_each_law())
def test_the_laws_hold(method: Any, law: Law, case: Case) -> None:
    law.ask(Subject(method), case)


def test_graphs_side_by_side_are_what_they_are_alone() -> None:
    network = MODELS["gcn, mean"]()
    explainer = gg.CausalScreening(network, "graph", removal="delete_isolated", progress=False)
    together = explainer.explain(Batch.from_data_list(graphs()))
    for position, data in enumerate(graphs()):
        alone = explainer.explain([data])[0].local
        assert torch.equal(together.local(position).edge_score, alone.edge_score)
