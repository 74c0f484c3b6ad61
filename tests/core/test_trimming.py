"""Messages that cannot reach the prediction are not computed, and nothing else changes."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn import GATConv, GCNConv, PNAConv, SAGEConv, TransformerConv

import glassgraph as gg
from glassgraph.calling.protect import protected
from glassgraph.core.batch import InstanceBatch

FEATURES, HIDDEN, NODES, EDGES = 3, 6, 41, 113
INDEX = [3, 8, 30]


def pna(size: int, out: int) -> nn.Module:
    degrees = torch.tensor([1, 3, 7, 11, 5])
    return PNAConv(size, out, ["mean", "max", "std"], ["identity", "amplification"], degrees)


LAYERS = {
    "gcn": GCNConv,
    "gat": lambda size, out: GATConv(size, out, heads=3, concat=False),
    "sage-max": lambda size, out: SAGEConv(size, out, aggr="max"),
    "sage-softmax": lambda size, out: SAGEConv(size, out, aggr="softmax"),
    "pna": pna,
    "transformer": lambda size, out: TransformerConv(size, out, heads=2, concat=False),
}


class Net(nn.Module):
    def __init__(self, kind: str) -> None:
        super().__init__()
        sizes = [FEATURES, HIDDEN, HIDDEN, 2]
        self.convs = nn.ModuleList([LAYERS[kind](*pair) for pair in itertools.pairwise(sizes)])

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        for conv in self.convs:
            x = conv(x, edge_index).tanh()
        return x


def make_data() -> Data:
    """A graph without self-loops: a layer's first E rows are the user's edges."""
    torch.manual_seed(7)
    source, hop = torch.randint(NODES, (EDGES,)), torch.randint(1, NODES, (EDGES,))
    ends = torch.stack([source, (source + hop) % NODES])
    return Data(x=torch.randn(NODES, FEATURES).double(), edge_index=ends)


def make(kind: str) -> tuple[Net, Data, InstanceBatch]:
    torch.manual_seed(2)
    model, data = Net(kind).double().eval(), make_data()
    preparation = gg.Saliency(model, progress=False).prepare(data)
    ((_, batch),) = preparation.batches(preparation.instances(INDEX), 0, 1 << 30)
    return model, data, batch


def count_messages(model: Net, run: Callable[[], Tensor]) -> list[int]:
    """How many rows each layer's messages have, seen by a hook of the test's own."""
    found: list[int] = []
    handles = [
        conv.register_message_forward_hook(
            lambda module, inputs, messages: found.append(messages.size(0))
        )
        for conv in model.convs
    ]
    run()
    for handle in handles:
        handle.remove()
    return found


def literal_output(model: Net, data: Data, gates: Tensor) -> Tensor:
    """The model on the user's whole graph, under gates ``[L, E]`` by plain hooks."""

    def hook(_: nn.Module, __: object, messages: Tensor, gate: Tensor) -> Tensor:
        gate = torch.cat([gate, gate.new_ones(messages.size(0) - gate.numel())])
        return messages * gate.view(-1, *[1] * (messages.dim() - 1))

    handles = [
        conv.register_message_forward_hook(partial(hook, gate=gates[layer]))
        for layer, conv in enumerate(model.convs)
    ]
    output = model(data.x, data.edge_index)
    for handle in handles:
        handle.remove()
    return output


@pytest.mark.parametrize("kind", LAYERS)
def test_fewer_messages_and_the_same_output(kind: str) -> None:
    model, data, batch = make(kind)
    with torch.no_grad():
        few = count_messages(model, lambda: batch.output(batch.ones()))
        untrimmed = count_messages(model, lambda: batch.model_call(batch.packed.data))
        assert few[0] <= untrimmed[0]  # all edges of a field matter there, loops of its rim do not
        assert few[2] < few[1] < few[0]
        assert few[1] < untrimmed[1]
        assert few[2] < untrimmed[2]
        plain = model(data.x, data.edge_index)[INDEX]
        torch.testing.assert_close(batch.output(batch.ones()), plain, rtol=1e-13, atol=1e-14)
        assert torch.equal(batch.output(batch.ones()), batch.output())
        gates = torch.rand(3, EDGES).double()
        for instance, node in enumerate(INDEX):
            expected = literal_output(model, data, gates)[node]
            got = batch.output(gates[:, batch.fields.edge])[instance]
            torch.testing.assert_close(got, expected, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("kind", LAYERS)
def test_gradients_are_the_same(kind: str) -> None:
    model, data, _ = make(kind)
    found = gg.EdgeGradients(model, progress=False).explain(data, INDEX, 0)
    for node, explanation in zip(INDEX, found, strict=True):
        gates = torch.ones(3, EDGES).double().requires_grad_()
        (expected,) = torch.autograd.grad(literal_output(model, data, gates)[node, 0], gates)
        torch.testing.assert_close(explanation.layer_edge_mask, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("kind", ["gcn", "gat", "pna"])
def test_kept_messages_are_those_within_reach(kind: str) -> None:
    """At the last layer only messages into the explained nodes are left."""
    model, data, batch = make(kind)
    last = count_messages(model, lambda: batch.output(batch.ones()))[-1]
    loops = {"gcn": 3, "gat": 3, "pna": 0}[kind]
    incoming = data.edge_index[1].view(-1, 1) == torch.tensor(INDEX)
    assert last == int(incoming.sum()) + loops


def test_degrees_at_the_rim_are_the_full_graphs() -> None:
    """A field cuts the in-edges of its rim; GCN's normalization must not notice."""
    data = Data(x=torch.randn(7, FEATURES).double())
    data.edge_index = torch.tensor([[0, 2, 3, 4, 5], [1, 0, 0, 2, 2]])  # rim: 2 has degree 2
    model = GCNConv(FEATURES, 2).double().eval()
    found = gg.EdgeGradients(model, progress=False).explain(data, [0], 1)
    with protected(model):
        preparation = gg.Saliency(model, progress=False).prepare(data)
        ((_, batch),) = preparation.batches(preparation.instances([0]), 1, 1 << 30)
        torch.testing.assert_close(batch.output(batch.ones())[0], model(data.x, data.edge_index)[0])
    # Node 0 has degree 2 + 1, node 2 has 2 + 1, node 3 has 0 + 1.
    lin = model.lin.weight.detach()
    expected = torch.zeros(5).double()
    expected[1] = (lin[1] @ data.x[2]) / 3
    expected[2] = (lin[1] @ data.x[3]) / 3**0.5
    torch.testing.assert_close(found[0].edge_mask, expected)
