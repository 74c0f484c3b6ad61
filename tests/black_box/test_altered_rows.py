"""Variants that share all but a few rows: what the model says of each, computed on its own."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from glassgraph.black_box.altered_rows import Alterations, AlteredRows
from glassgraph.black_box.boundary import readable_nodes, with_one_boundary_node
from glassgraph.calling.protect import protected
from glassgraph.core.batch import InstanceBatch
from glassgraph.explainers.perturbation.zorro import Zorro
from glassgraph.testing.cases import CASES, Case
from tests.laws import literal


def prepared(case: Case, **settings: Any) -> tuple[Any, InstanceBatch]:
    model = case.model()
    preparation = Zorro(model, case.task(), progress=False, **settings).prepare(case.data())
    with protected(model):
        instances = preparation.instances(case.index)
        ((_, batch),) = preparation.batches(instances, case.target, 1 << 30)
    return model, batch


def some(batch: InstanceBatch) -> Alterations:
    """Each instance twice as a base; of each base three variants with one to three other rows."""
    instance = torch.arange(batch.num_instances).repeat_interleave(2)
    torch.manual_seed(2)
    first = torch.searchsorted(batch.node_instance, instance)
    count = batch.nodes_per_instance[instance]
    variant, node = [], []
    for number in range(3 * instance.numel()):
        base = number // 3
        chosen = torch.randperm(int(count[base]))[: number % 3 + 1]
        variant += [number] * chosen.numel()
        node += (first[base] + chosen.sort().values).tolist()

    def fill(low: int, high: int, rows: Tensor) -> None:
        (x,) = batch.features
        assert x is not None
        filled = [
            (1 + 0.1 * base) * x[batch.node_instance == instance[base]] for base in range(low, high)
        ]
        rows.copy_(torch.cat(filled))

    def alter(rows: Tensor, at: Tensor, low: int, high: int) -> None:
        rows[at] += torch.arange(low, high).view(-1, 1) + 1

    base = torch.arange(instance.numel()).repeat_interleave(3)
    return Alterations(instance, fill, base, torch.tensor(variant), torch.tensor(node), alter)


@pytest.mark.parametrize("budget", [1, 1 << 30])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_variants_are_what_the_model_says_of_each(case: Case, budget: int) -> None:
    model, batch = prepared(case)
    asked = some(batch)
    altered = AlteredRows(batch, readable_nodes(batch), budget)
    assert altered.is_sharing == (case.level != "graph")
    output = altered.output(asked)
    for number in range(asked.base.numel()):
        base = int(asked.base[number])
        place = int(asked.instance[base])
        one, row = literal.one_graph(case, case.data(), place)
        mine = batch.node_instance == place
        start = int(batch.graph.by_graph[0].pointer[case.index[place]]) if row in (0, None) else 0
        ids = batch.fields.node[mine] - (start if case.level == "graph" else 0)
        x = one.x.clone()
        filled = x[ids]
        asked.fill(base, base + 1, filled)
        x[ids] = filled
        for at in (asked.variant == number).nonzero().view(-1).tolist():
            changed = x[batch.fields.node[asked.node[at]] - (start if case.level == "graph" else 0)]
            changed += at + 1
        with torch.no_grad():
            expected = literal.predict_one(model, case, one, x)
        variants = batch.targets.take(asked.instance[asked.base])
        found = output[variants.rows_of(torch.tensor([number]))]
        expected = expected if row is None else expected[row : row + 1]
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-10)


def test_a_model_that_looks_across_gets_whole_copies() -> None:
    """What it adds vanishes on graphs as they are, and on copies of one of them."""
    case = Case("gin", "node")
    net = case.model()

    def model(x: Tensor, edge_index: Tensor) -> Tensor:
        sent = torch.bincount(edge_index[0], minlength=x.size(0))  # copies do not send to others
        return net(x, edge_index) + sent.view(-1, 1)

    preparation = Zorro(model, progress=False).prepare(case.data())
    instances = preparation.instances(case.index)
    ((_, batch),) = preparation.batches(instances, None, 1 << 30)
    assert not AlteredRows(batch, readable_nodes(batch), 1 << 30).is_sharing


def test_one_row_stands_for_all_that_nobody_reads() -> None:
    _, batch = prepared(Case("gcn", "node"))
    is_readable = readable_nodes(batch)
    small, row = with_one_boundary_node(batch, is_readable)
    assert int((~is_readable).sum()) > small.num_instances
    assert small.num_edges == batch.num_edges
    hidden = ~is_readable[row]
    assert torch.bincount(small.node_instance[hidden]).max() == 1
    torch.testing.assert_close(small.output(), batch.reference, rtol=1e-10, atol=1e-12)
    _, every = prepared(Case("gin", "node"))
    assert bool(readable_nodes(every).all())
    assert with_one_boundary_node(every, readable_nodes(every))[0] is every
