"""Each relation shut in each layer alone: answers by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Data, HeteroData
from torch_geometric.nn import SimpleConv

import glassgraph as gg
from glassgraph.diagnose import layer_knockout
from glassgraph.errors import GraphError, HyperParameterError
from tests.diagnose.scenes import Chosen, Net, Relay, messages, random_data


def chain() -> Data:
    """0 -[0]-> 1 -[1]-> 2, and 3 -[2]-> 1: node 2 is of class 1 because of node 0."""
    x = torch.tensor([[1.0], [0.0], [0.0], [0.0]], dtype=torch.float64)
    data = Data(x=x, edge_index=torch.tensor([[0, 1, 3], [1, 2, 1]]))
    data.relation = torch.tensor([0, 1, 2])
    return data


def test_each_relation_in_each_layer() -> None:
    explainer = Chosen(Relay([1, 1]), score=messages((0, 0), (1, 1)))
    table = layer_knockout(explainer, chain(), [2], threshold=0.5, by="relation")
    assert table[["layer", "relation"]].values.tolist() == [
        [layer, relation] for layer in (0, 1) for relation in (0, 1, 2)
    ]
    assert table.changed[[0, 1, 2, 4]].tolist() == [1, 0, 0, 1]
    assert table.changed[[3, 5]].isna().all()  # no message of 0 or 2 comes into node 2
    assert table.messages.tolist() == [1, 1, 1, 0, 1, 0]
    assert table.kept_share.tolist() == [0.5, 0, 0, 0, 0.5, 0]
    assert table.attribution_share.tolist() == [0.5, 0, 0, 0, 0.5, 0]
    assert table.message_share.sum() == 1


def test_the_parts_of_a_layer_are_its_sets_of_messages() -> None:
    data = random_data()
    data.kind = torch.arange(41) % 3
    explainer = gg.Occlusion(Net(), layerwise=True, progress=False)
    explanations = explainer.explain(data)
    table = layer_knockout(explainer, data, explanations=explanations, by="kind", top_share=0.4)
    for one in table.itertuples():
        shut = gg.messages.layer(one.layer) & gg.messages.edges(kind=one.kind)
        found = explainer.predict(data, explanations, gg.messages.ALL - shut)
        changed = found.outputs.argmax(1) != found.reference.argmax(1)
        assert float(changed.double().mean()) == pytest.approx(one.changed)
    whole = layer_knockout(explainer, data, explanations=explanations, top_share=0.4)
    for name in ("messages", "message_share", "attribution_share", "kept_share"):
        parts = table.groupby("layer")[name].sum().tolist()
        assert parts == pytest.approx(whole[name].tolist())


def test_columns_of_ones_own() -> None:
    explainer = Chosen(Relay([1, 1]), score=messages((0, 0)))
    expected = layer_knockout(explainer, chain(), [2], by="relation")
    for values in ([0, 1, 2], torch.tensor([0, 1, 2]), lambda local: local.edge_id):
        table = layer_knockout(explainer, chain(), [2], by="mine", columns={"mine": values})
        assert table.mine.tolist() == expected.relation.tolist()
        assert table.score_change.equals(expected.score_change)
    two = layer_knockout(explainer, chain(), [2], by=["relation", "source"])
    assert two[["relation", "source"]].values.tolist() == [[0, 0], [1, 1], [2, 3]] * 2


def test_a_metric_by_relation() -> None:
    explainer = Chosen(Relay([1, 1]), score=messages((0, 0)))
    table = layer_knockout(
        explainer, chain(), [2], by="relation", metric=lambda outputs, _: outputs[0, 1]
    )
    assert table.metric[[0, 1, 2, 4]].tolist() == [0, 1, 1, 0]
    assert table.metric[[3, 5]].isna().all()
    assert (table.metric_before == 1).all()


class Typed(nn.Module):
    """An author hears of papers over two relations."""

    def __init__(self) -> None:
        super().__init__()
        self.convs = nn.ModuleList([SimpleConv(), SimpleConv()])

    def forward(self, x_dict: Any, edge_index_dict: Any) -> Tensor:
        ends = (x_dict["paper"], x_dict["author"])
        by, read = (
            conv(ends, edge_index_dict["paper", name, "author"])
            for conv, name in zip(self.convs, ("by", "read"), strict=True)
        )
        return by + read


def test_edge_types() -> None:
    data = HeteroData()
    data["author"].x = torch.zeros(1, 1)
    data["paper"].x = torch.tensor([[2.0], [3.0]])
    data["paper", "by", "author"].edge_index = torch.tensor([[0, 1], [0, 0]])
    data["paper", "read", "author"].edge_index = torch.tensor([[1], [0]])
    explainer = gg.Occlusion(Typed(), gg.Task("node", "regression", node_type="author"))
    table = layer_knockout(explainer, data, by="edge_type")
    found = dict(zip(table.edge_type, table.score_change, strict=True))
    assert found == {"paper__by__author": -5, "paper__read__author": -3}


@pytest.mark.parametrize(
    ("by", "error", "message"),
    [
        ("color", HyperParameterError, "there is no column 'color'"),
        ("layer", HyperParameterError, "by names columns of the edges"),
        (["relation", "relation"], HyperParameterError, "each once"),
        ([3], HyperParameterError, r"got \[3\]"),
        ("short", GraphError, "the column 'short' has 2 entries"),
    ],
)
def test_what_cannot_part_a_layer(by: Any, error: type[Exception], message: str) -> None:
    explainer = Chosen(Relay([1, 1]), score=messages((0, 0)))
    with pytest.raises(error, match=message):
        layer_knockout(explainer, chain(), [2], by=by, columns={"short": [1, 2]})
