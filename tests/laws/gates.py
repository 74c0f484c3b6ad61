"""Laws of the library itself: gates on messages do what they say, on every kind of layer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

import glassgraph as gg
from glassgraph.calling.protect import protected
from glassgraph.core.batch import InstanceBatch
from glassgraph.testing.cases import Case
from tests.laws import literal

#: ``output(batch, gates)``: how the laws of gates evaluate a batch.
GatedOutput = Callable[[InstanceBatch, Tensor | None], Tensor]


def plain_gates(batch: InstanceBatch, gates: Tensor | None) -> Tensor:
    """The library's own gated output."""
    return batch.output(gates)


def check_open_gates_change_no_bit(case: Case, output: GatedOutput = plain_gates) -> None:
    """With z = 1 the output is bitwise that of the model, and the user's, up to summation order."""
    model, data = case.model(), case.data()
    for batch in _batches(model, case, data):
        untouched = output(batch, None)
        assert torch.equal(output(batch, batch.ones()), untouched)
        assert torch.equal(output(batch, batch.ones(layerwise=True)), untouched)
        plain = literal.predict(model, case, data)
        if case.rows is not None:  # rows of nodes, graph by graph
            plain = torch.cat([plain.split([each.num_nodes for each in data])[i] for i in (2, 0)])
        else:
            plain = plain[case.index if case.level != "graph" else [2, 0]]
        torch.testing.assert_close(untouched, plain, rtol=1e-12, atol=1e-13)


def check_shut_gate_deletes_message(case: Case, output: GatedOutput = plain_gates) -> None:
    """With z = 0 the output is that of the model whose one message is zeroed by a literal hook.

    Shared gates zero an edge's message in both layers, layerwise gates in one of them.
    """
    model, data = case.model(), case.data()
    for batch in _batches(model, case, data):
        for instance, edge, user_edge, one, row in _messages(batch, case, data):
            for layer in (None, 0, 1):
                gates = batch.ones(layerwise=layer is not None)
                gates[(edge,) if layer is None else (layer, edge)] = 0
                shut = torch.ones(2, one.num_edges).double()
                shut[slice(None) if layer is None else layer, user_edge] = 0
                expected = literal.gated(model, case, one, shut)
                found = output(batch, gates)[_rows(batch, instance)]
                wanted = expected[row] if case.rows is None else expected
                torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-12)


def _rows(batch: InstanceBatch, instance: int) -> int | slice:
    """Where an instance's rows stand in the output."""
    rows = batch.targets.rows
    return instance if rows is None else slice(*rows.pointer[instance : instance + 2].tolist())


def _messages(
    batch: InstanceBatch, case: Case, data: Any
) -> Iterator[tuple[int, int, int, Any, int]]:
    """Every third edge: its instance, its row, its number in the user's graph, that, its output."""
    fields, starts = batch.fields, batch.graph.by_graph[1].pointer
    for edge in range(0, batch.num_edges, 3):
        instance = int(fields.edge_instance[edge])
        number = case.index[instance] if case.level == "graph" else 0
        one = data[number] if case.level == "graph" else data
        row = 0 if case.level == "graph" else case.index[instance]
        yield instance, edge, int(fields.edge[edge]) - int(starts[number]), one, row


def _batches(model: nn.Module, case: Case, data: Any) -> list[InstanceBatch]:
    explainer = gg.Random(model, case.task(), progress=False)
    with protected(model):
        preparation = explainer.prepare(data)
        instances = preparation.instances(case.index)
        found = [batch for _, batch in preparation.batches(instances, case.target, 1 << 30)]
    assert sum(batch.num_instances for batch in found) == len(case.index)
    return found
