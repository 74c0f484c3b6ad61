"""Predictions that share one field, and what its sites send, against the user's full graph."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn import GATConv, GCNConv, RGCNConv, TransformerConv

import glassgraph as gg
from glassgraph.calling.protect import protected
from glassgraph.core.messages import read_messages
from glassgraph.core.reachability import near_messages
from glassgraph.explainers.shared_batches import shared_batches
from glassgraph.testing.cases import CASES, Case
from tests.laws.literal import predict

NODES, FEATURES = 19, 3


def random_graph() -> Data:
    generator = torch.Generator().manual_seed(1)
    edge_index = torch.randint(NODES, (2, 43), generator=generator)
    edge_index = edge_index[:, edge_index[0] != edge_index[1]]
    return Data(
        x=torch.randn(NODES, FEATURES, generator=generator).double(),
        edge_index=edge_index,
        edge_type=torch.arange(edge_index.size(1)) % 2,
    )


@pytest.mark.parametrize("size", [None, 2])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_shared_predictions_are_those_of_the_full_graph(case: Case, size: int | None) -> None:
    model, data = case.model(), case.data()
    explainer = gg.Random(model, case.task(), progress=False)
    preparation = explainer.prepare(data)
    instances = preparation.instances(case.index)
    target = None if case.task().is_classification else 0
    with protected(model), torch.no_grad():
        batches = list(shared_batches(preparation, instances, target, 1 << 30, size))
        found = torch.cat([batch.output(batch.ones()) for _, batch in batches])
    assert torch.cat([position for position, _ in batches]).tolist() == list(range(len(case.index)))
    with torch.no_grad():
        if case.level == "graph":
            expected = torch.cat([predict(model, case, [data[i]]) for i in case.index])
        else:
            expected = predict(model, case, data)[case.index]
    torch.testing.assert_close(found, expected.view_as(found), rtol=1e-9, atol=1e-11)
    if case.level != "graph" and size is None:
        ((_, union),) = batches
        assert union.num_predictions == 3
        assert union.num_nodes == union.fields.node.unique().numel()


class Two(nn.Module):
    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        make = {
            "gcn": lambda width: GCNConv(width, 4),
            "gat": lambda width: GATConv(width, 4, heads=2, concat=False),
            "transformer": lambda width: TransformerConv(width, 4, heads=2, concat=False),
            "rgcn": lambda width: RGCNConv(width, 4, num_relations=2),
        }[kind]
        self.convs = nn.ModuleList([make(FEATURES), make(4)])

    def forward(self, x: Tensor, edge_index: Tensor, edge_type: Tensor) -> Tensor:
        extra = [edge_type] if self.kind == "rgcn" else []
        for conv in self.convs:
            x = conv(x, edge_index, *extra).tanh()
        return x


#: Widths of sender state, receiver state and message in the first layer, all heads together.
WIDTHS = {
    "gcn": (4, 4, 4),  # GCN sends W h
    "gat": (8, 8, 8),
    "transformer": (24, 24, 8),  # query, key and value of two heads: at both ends where both exist
    "rgcn": (3, 3, 3),  # its weights come after the sum: the relation is known by the site alone
}


@pytest.mark.parametrize("kind", WIDTHS)
def test_traffic_is_what_plain_hooks_hear(kind: str) -> None:
    torch.manual_seed(4)
    model, data = Two(kind).double().eval(), random_graph()
    explainer = gg.Random(model, "node", progress=False)
    preparation = explainer.prepare(data)
    with protected(model):
        ((_, batch),) = shared_batches(
            preparation, preparation.instances([2, 7, 11]), None, 1 << 30, None
        )
        messages = read_messages(batch)
        has_message = near_messages(batch)

    heard: list[tuple[Tensor, Tensor]] = []
    handles = []
    for conv in model.convs:
        ends: list[Tensor] = []

        def before(_: object, inputs: tuple, ends: list[Tensor] = ends) -> None:
            ends.append(inputs[0])

        def after(_: object, __: object, message: Tensor, ends: list[Tensor] = ends) -> None:
            heard.append((ends[-1], message.detach().clone()))

        handles += [
            conv.register_propagate_forward_pre_hook(before),
            conv.register_message_forward_hook(after),
        ]
    with torch.no_grad():
        model(data.x, data.edge_index, data.edge_type)
    for handle in handles:
        handle.remove()

    assert len(messages) == len(heard)
    for each, (ends, message) in zip(messages, heard, strict=True):
        if each.layer == 0:
            assert each.widths == WIDTHS[kind]
        rows = {tuple(pair): row for row, pair in enumerate(ends.t().tolist())}
        assert each.edge.numel() > 0
        for number, edge in enumerate(each.edge.tolist()):
            u, v = data.edge_index[:, batch.fields.edge[edge]].tolist()
            expected = message[rows[u, v]].flatten()
            torch.testing.assert_close(each.message[number], expected, rtol=1e-10, atol=1e-12)
            if has_message[each.layer, edge] and kind == "rgcn" and each.layer == 0:
                torch.testing.assert_close(each.sender[number], data.x[u])
                torch.testing.assert_close(each.receiver[number], data.x[v])


@pytest.mark.parametrize("kind", WIDTHS)
def test_a_baseline_for_each_row_replaces_each_message_by_its_own(kind: str) -> None:
    """With all gates shut and the messages themselves as baselines nothing changes."""
    torch.manual_seed(4)
    model, data = Two(kind).double().eval(), random_graph()
    preparation = gg.Random(model, "node", progress=False).prepare(data)
    with protected(model), torch.no_grad():
        ((_, batch),) = shared_batches(
            preparation, preparation.instances([2, 7, 11]), None, 1 << 30, None
        )
        baselines: list[Tensor | None] = [None] * len(batch.wiring.sites)
        for each in read_messages(batch):
            baselines[each.site] = each.baseline(each.message)
        shut = batch.ones(layerwise=True) * 0
        found = batch.output(shut, baselines=baselines)
        assert not torch.allclose(batch.output(shut), batch.reference)
    torch.testing.assert_close(found, batch.reference, rtol=1e-9, atol=1e-11)
