"""States of nodes of several types, as PGExplainer reads them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import HeteroData
from torch_geometric.nn import HeteroConv, SAGEConv, SimpleConv

import glassgraph as gg
from glassgraph.calling.protect import protected
from glassgraph.core.batch import InstanceBatch
from glassgraph.errors import UnsupportedModelError
from glassgraph.hidden.node_states import NodeStates
from glassgraph.hidden.typed_states import typed_states

WIDTH = {"author": 3, "paper": 5}
NUMBER = {"author": 7, "paper": 11}
RELATIONS = [
    ("author", "writes", "paper"),
    ("paper", "by", "author"),
    ("paper", "cites", "paper"),
]
TASK = gg.Task("node", node_type="paper")


def graph() -> HeteroData:
    generator = torch.Generator().manual_seed(5)
    data = HeteroData()
    for name, width in WIDTH.items():
        data[name].x = torch.randn(NUMBER[name], width, generator=generator).double()
    for kind in RELATIONS:
        ends = [torch.randint(NUMBER[kind[end]], (13,), generator=generator) for end in (0, 2)]
        data[kind].edge_index = torch.stack(ends)
    return data


class Two(nn.Module):
    """A layer for each relation, twice."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(3)
            self.one = self._layer(dict(WIDTH), 4)
            self.two = self._layer(dict.fromkeys(WIDTH, 4), 2)
        self.double()

    def _layer(self, width: dict[str, int], out: int) -> HeteroConv:
        return HeteroConv(
            {kind: SAGEConv((width[kind[0]], width[kind[2]]), out) for kind in RELATIONS}
        )

    def hidden(self, x_dict: dict[str, Tensor], edge_index_dict: object) -> dict[str, Tensor]:
        return {name: h.tanh() for name, h in self.one(x_dict, edge_index_dict).items()}

    def forward(self, x_dict: dict[str, Tensor], edge_index_dict: object) -> Tensor:
        out: Tensor = self.two(self.hidden(x_dict, edge_index_dict), edge_index_dict)["paper"]
        return out


def batch_of(model: nn.Module, data: HeteroData, index: list[int], check: str) -> InstanceBatch:
    explainer = gg.Random(model, TASK, progress=False, check=check)  # type: ignore[arg-type]
    preparation = explainer.prepare(data)
    ((_, batch),) = preparation.batches(preparation.instances(index), None, 1 << 30)
    return batch


def shown(model: Two, data: HeteroData) -> Tensor:
    """By hand, ``[18, 3 + 5 + 4]``: features of authors, of papers, states after the first layer.

    A node without edges in the graph shows nothing.
    """
    with torch.no_grad():
        hidden = model.hidden(data.x_dict, data.edge_index_dict)
    found = torch.zeros(sum(NUMBER.values()), 12).double()
    found[:7, :3], found[7:, 3:8] = data["author"].x, data["paper"].x
    found[:7, 8:], found[7:, 8:] = hidden["author"], hidden["paper"]
    has_edges = torch.zeros(len(found), dtype=torch.bool)
    for kind in RELATIONS:
        for name, ends in zip((kind[0], kind[2]), data[kind].edge_index, strict=True):
            has_edges[ends + (0 if name == "author" else 7)] = True
    return found * has_edges.view(-1, 1)


@pytest.mark.parametrize("check", ["full", "local"])
def test_states_on_a_field_are_those_of_the_graph(check: str) -> None:
    model, data = Two(), graph()
    expected = shown(model, data)
    batch = batch_of(model, data, [2, 5, 9], check)
    assert batch.num_nodes < 3 * expected.size(0)
    with protected(model):
        table = NodeStates("all", check).read(batch)  # type: ignore[arg-type]
    nodes = torch.cat([batch.fields.source, batch.fields.destination]).unique()  # read by edges
    torch.testing.assert_close(table.states[table.row][nodes], expected[batch.fields.node[nodes]])


def test_states_before_the_last_layer() -> None:
    model, data = Two(), graph()
    batch = batch_of(model, data, [2], "full")
    with protected(model):
        table = NodeStates("last", "full").read(batch)
    assert table.states.size(1) == 4


def test_the_name_of_a_submodule_is_refused() -> None:
    explainer = gg.PGExplainer(Two(), TASK, states="one", epochs=1, progress=False)
    with pytest.raises(UnsupportedModelError, match="graphs with one type of nodes"):
        explainer.fit(graph(), index=[2, 5])


class Taps(nn.Module):
    """Its messages show no states."""

    def __init__(self) -> None:
        super().__init__()
        self.tap = gg.MessageTap()

    def forward(self, x_dict: dict[str, Tensor], edge_index_dict: dict[object, Tensor]) -> Tensor:
        edges = edge_index_dict["paper", "cites", "paper"]
        messages = self.tap(x_dict["paper"][edges[0]], edges)
        return torch.zeros_like(x_dict["paper"]).index_add(0, edges[1], messages)


def test_messages_without_states_are_told() -> None:
    model = Taps()
    batch = batch_of(model, graph(), [2, 5, 9], "full")
    with protected(model), pytest.raises(UnsupportedModelError, match="hands states of nodes"):
        typed_states(batch)


class OneEdge(nn.Module):
    """The sum of the papers that a paper cites, of which the first column is the prediction."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = SimpleConv(aggr="sum")

    def forward(self, x_dict: dict[str, Tensor], edge_index_dict: dict[object, Tensor]) -> Tensor:
        return self.conv(x_dict["paper"], edge_index_dict["paper", "cites", "paper"])[:, :2]


def test_the_edge_that_decides_comes_first() -> None:
    data = graph()
    data["paper"].x = torch.zeros(11, 5).double()
    data["paper"].x[:4, 0], data["paper"].x[4:, 1] = 9.0, 0.1
    data["paper", "cites", "paper"].edge_index = torch.tensor(
        [[0, 5, 1, 6, 2, 7, 3, 8], [9, 9, 8, 8, 7, 7, 10, 10]]
    )
    settings = gg.PGExplainer.evidence_settings
    explainer = gg.PGExplainer(OneEdge(), TASK, progress=False, **settings)
    explainer.fit(data, index=[7, 8, 9, 10])
    for explanation in explainer.explain(data, index=[7, 8, 9, 10]):
        mask = explanation["paper", "cites", "paper"].edge_mask
        into = data["paper", "cites", "paper"].edge_index[1] == explanation.index
        first, second = mask[into].tolist()
        assert first > second
