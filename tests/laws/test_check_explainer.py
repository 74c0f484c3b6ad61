"""`check_explainer` as somebody meets it who writes a method outside of Glassgraph."""

from __future__ import annotations

import inspect
import random
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn
from torch_geometric.data import Batch, Data, HeteroData
from torch_geometric.nn import GCN, SAGEConv, global_add_pool

import glassgraph as gg
from glassgraph.errors import GraphError, HyperParameterError, LawBroken, MethodDefinitionError
from glassgraph.testing import check_explainer, law_names
from tests.laws import third_party
from tests.laws.third_party import WRONG, Erased, Gradients


def named(each: object) -> str:
    return each.__name__ if isinstance(each, type) else str(each)


@pytest.mark.parametrize("method", [Gradients, Erased], ids=named)
def test_a_right_method_keeps_every_law(method: type[gg.Explainer]) -> None:
    table = check_explainer(method, quick=True)
    assert table.holds.all()
    assert list(table.law) == list(law_names())


@pytest.mark.slow("each law on one case: test_a_right_method_keeps_every_law")
def test_a_right_method_keeps_every_law_in_all_cases() -> None:
    table = check_explainer(Gradients)
    assert table.holds.all()
    assert len(table) > 200


@pytest.mark.parametrize(
    ("wrong", "broken_law"),
    [
        pytest.param(
            *each,
            marks=pytest.mark.slow("one in three; each law: test_rejected.py") if at % 3 else (),
        )
        for at, each in enumerate(WRONG.items())
    ],
    ids=named,
)
def test_a_wrong_method_is_refused_by_the_law_it_breaks(
    wrong: type[gg.Explainer], broken_law: str
) -> None:
    with pytest.raises(LawBroken) as broken:
        check_explainer(wrong, quick=True)
    assert broken.value.law == broken_law, broken.value


def test_a_method_takes_fifteen_lines() -> None:
    methods = [each for each in vars(third_party).values() if inspect.isclass(each)]
    own = [each for each in methods if each.__module__ == third_party.__name__]
    assert set(own) == {Gradients, Erased, *WRONG}
    assert max(len(inspect.getsource(each).splitlines()) for each in own) <= 15


def test_all_failures_are_collected() -> None:
    table = check_explainer(third_party.PrefersLaterEdges, quick=True, on_failure="collect")
    assert list(table.columns) == ["law", "case", "holds", "message"]
    broken = set(table.law[~table.holds])
    assert "edge_order_is_irrelevant" in broken
    assert not broken & {"explains", "model_unchanged", "seed_decides", "save_and_load"}
    assert all(table.message[~table.holds].str.startswith("gradients breaks the law"))
    assert not table.message[table.holds].any()


def test_a_quick_check_asks_each_law_once() -> None:
    table = check_explainer(gg.CAM, quick=True)
    assert table.law.is_unique
    assert set(table.case.str.split("-").str[1]) <= {"graph"}


def test_settings_are_added_to_those_for_tests() -> None:
    laws = ["explains", "settings_make_it_again"]
    table = check_explainer(Gradients, settings={"factor": 2.0}, laws=laws)
    assert table.holds.all()
    assert set(table.law) == set(laws)


def test_a_law_that_does_not_exist() -> None:
    with pytest.raises(HyperParameterError, match=r"no law 'edges'; there are explains, signs"):
        check_explainer(Gradients, laws=["edges"])


def test_a_class_without_a_name() -> None:
    class Nameless(gg.Explainer):
        def attribute(self, batch) -> gg.Attribution:
            raise NotImplementedError

    with pytest.raises(MethodDefinitionError, match=r"Nameless\.name"):
        check_explainer(Nameless)


@pytest.mark.slow("what is imported is declared: tests/test_declared.py")
def test_pytest_is_not_needed() -> None:
    code = "import sys, glassgraph.testing; sys.exit('pytest' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_global_generators_stay_where_they_were() -> None:
    def drawn() -> tuple[float, float, float]:
        return float(torch.rand(1)), float(np.random.rand()), random.random()  # noqa: NPY002

    def start() -> None:
        torch.manual_seed(3)
        np.random.seed(3)  # noqa: NPY002
        random.seed(3)

    start()
    expected = drawn()
    start()
    check_explainer(gg.Random, quick=True)
    assert drawn() == expected


# A model and data of one's own


class PooledNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.head = SAGEConv(5, 7), nn.Linear(7, 3)

    def forward(self, x, edge_index, batch) -> torch.Tensor:
        return self.head(global_add_pool(self.first(x, edge_index).tanh(), batch))


def own_graph(num_nodes: int = 13, num_edges: int = 31) -> Data:
    source = torch.randint(num_nodes, (num_edges,))
    step = torch.randint(1, num_nodes, (num_edges,))  # no loops: of several GCN takes the last
    return Data(
        x=torch.randn(num_nodes, 5),
        edge_index=torch.stack([source, (source + step) % num_nodes]),
        edge_weight=torch.rand(num_edges) + 0.5,
    )


#: Laws that need graphs of the room.
NEEDS_OTHER_GRAPHS = {
    "field_is_full_graph",
    "far_graph_is_irrelevant",
    "outside_is_zero",
    "planted_edge_is_first",
    "limits_are_explained",
    "precision_is_kept",
    "twins_score_alike",
}


def test_a_model_of_ones_own_is_left_alone() -> None:
    model, data = GCN(5, 7, 2, 3).train(), own_graph()
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    table = check_explainer(Gradients, model, data)
    assert table.holds.all()
    assert set(table.law) == set(law_names()) - NEEDS_OTHER_GRAPHS
    assert set(table.case) == {"GCN-node"}
    assert all(torch.equal(weights[name], value) for name, value in model.state_dict().items())
    assert model.training
    assert data.x.dtype == torch.float32


@pytest.mark.slow("nodes: test_a_right_method_keeps_every_law")
def test_graphs_and_links_of_ones_own() -> None:
    graphs = [own_graph(size) for size in (5, 7, 11)]
    for data in (graphs, Batch.from_data_list(graphs)):
        assert check_explainer(Gradients, PooledNet(), data, "graph", [2, 0]).holds.all()
    links = own_graph()
    links.edge_label_index = torch.tensor([[0, 4, 9], [3, 5, 7]])

    def call(model: nn.Module, data: Data) -> torch.Tensor:
        ends = data.edge_label_index
        h = model(data.x, data.edge_index)
        return h[ends[0]] * h[ends[1]]

    model = GCN(5, 7, 2, 3)
    assert check_explainer(Gradients, model, links, "edge", target=1, call=call).holds.all()


@pytest.mark.filterwarnings("ignore::glassgraph.explainers.amortized.HindsightWarning")
@pytest.mark.slow("the library's models: test_a_right_method_keeps_every_law")
def test_an_amortized_method_on_a_model_of_ones_own() -> None:
    table = check_explainer(gg.PGExplainer, GCN(5, 7, 2, 3), own_graph(), on_failure="collect")
    assert table.holds.all(), table.message[~table.holds].iloc[0]


@pytest.mark.slow("the library's models: test_a_wrong_method_is_refused_by_the_law_it_breaks")
@pytest.mark.parametrize(
    ("wrong", "broken_law"),
    [(each, law) for each, law in WRONG.items() if law not in NEEDS_OTHER_GRAPHS],
    ids=named,
)
def test_a_wrong_method_is_refused_on_a_model_of_ones_own(
    wrong: type[gg.Explainer], broken_law: str
) -> None:
    with pytest.raises(LawBroken, match="GCN-node") as broken:
        check_explainer(wrong, GCN(5, 7, 2, 3), own_graph(), index=[3, 8])
    assert broken.value.law == broken_law, broken.value


def test_data_that_are_no_graph() -> None:
    model = GCN(5, 7, 2, 3)
    with pytest.raises(GraphError, match="got HeteroData"):
        check_explainer(Gradients, model, HeteroData())
    with pytest.raises(GraphError, match="got NoneType"):
        check_explainer(Gradients, model)
    with pytest.raises(GraphError, match=r"one graph for task='node'; got 2: choose one"):
        check_explainer(Gradients, model, [own_graph(), own_graph()])
