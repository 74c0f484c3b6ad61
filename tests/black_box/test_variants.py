"""Models seen from outside: how far they look, and instances with less of their input."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn import GATConv, GCNConv, GINConv, SAGEConv

import glassgraph as gg
from glassgraph.black_box.variants import Copies, Variants
from glassgraph.core.batch import InstanceBatch
from glassgraph.errors import HyperParameterError
from glassgraph.explainers.black_box import BlackBoxExplainer
from glassgraph.explainers.traits import Traits
from glassgraph.inputs.receptive import expand
from glassgraph.results.explanation import Attribution, Explanations, Table
from glassgraph.testing.cases import CASES, Case, graph
from tests.explainers.opaque import Opaque
from tests.laws import literal


class DropOne(BlackBoxExplainer):
    """How far the score falls when an edge or a node's features go."""

    name = "drop_one"
    traits = Traits("perturbation", ("edge", "node"), is_black_box=True, is_signed=True)

    def attribute(self, batch: InstanceBatch) -> Attribution:
        variants = Variants(batch, self.memory_budget)
        return Attribution(
            edge=batch.score()[batch.edge_instance] - self._without_each_edge(batch, variants),
            node=batch.score()[batch.node_instance] - self._faded(batch, variants),
            tables={
                "nodes": Table(
                    batch.node_instance,
                    {
                        "node": torch.arange(batch.num_nodes),
                        "none": -torch.ones(batch.num_nodes).long(),
                    },
                    {"pair": torch.arange(2 * batch.num_nodes).view(-1, 2).double()},
                )
            },
        )

    def _score(self, batch: InstanceBatch, output: Tensor, instance: Tensor) -> Tensor:
        return gg.inputs.task.score(batch.task, output, batch.targets.take(instance))

    def _without_each_edge(self, batch: InstanceBatch, variants: Variants) -> Tensor:
        count = batch.edges_per_instance
        edge, variant = expand(
            torch.cat([count.new_zeros(1), count.cumsum(0)]), batch.edge_instance
        )
        kept = edge != variant
        output = variants.on_edges(batch.edge_instance, variant[kept], edge[kept])
        return self._score(batch, output, batch.edge_instance)

    def _faded(self, batch: InstanceBatch, variants: Variants) -> Tensor:
        (x,) = batch.features
        assert x is not None

        def fill(copies: Copies) -> list[Tensor]:
            return [
                torch.where(
                    (copies.node[0] == copies.variant[0]).view(-1, 1), -1, x[copies.node[0]]
                )
            ]

        return self._score(
            batch, variants.with_features(batch.node_instance, fill), batch.node_instance
        )


def opaque(case: Case) -> Opaque:
    return Opaque(case.model(), lambda model, data: literal.predict(model, case, data))


def found(case: Case, **settings: Any) -> Explanations:
    explainer = DropOne(opaque(case), case.task(), progress=False, **settings)
    return explainer.explain(case.data(), case.index, target=case.target)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_variants_are_what_the_model_says_of_the_changed_graph(case: Case) -> None:
    explanations = found(case)
    model = case.model()
    for position, explanation in enumerate(explanations):
        data = case.data()
        data = data[case.index[position]] if case.level == "graph" else data
        target = explanation.local.target
        rows = explanation.local.rows

        def score(
            changed: Any, target: Any = target, row: int = case.index[position], rows: Any = rows
        ) -> Tensor:
            output = literal.predict(model, case, [changed] if case.level == "graph" else changed)
            if rows is not None:
                return output.gather(1, rows["target"].view(-1, 1)).sum().detach()
            output = output[0 if case.level == "graph" else row].view(1, -1)
            pair = (target, None) if isinstance(target, int) else target
            targets = gg.inputs.task.Targets(
                torch.tensor([pair[0]]), None if pair[1] is None else torch.tensor([pair[1]])
            )
            return gg.inputs.task.score(case.task(), output, targets)[0].detach()

        full = score(data)
        for edge in range(data.num_edges):
            kept = torch.ones(data.num_edges, dtype=torch.bool)
            kept[edge] = False
            expected = full - score(data.edge_subgraph(kept))
            assert torch.allclose(explanation.edge_mask[edge], expected, atol=1e-9)
        local = explanation.local
        for row, node in enumerate(local.node_id.tolist()):
            changed = data.clone()
            changed.x[node] = -1
            assert torch.allclose(local.node_score[row], full - score(changed), atol=1e-9)


@pytest.mark.parametrize("case", CASES[::3], ids=str)
def test_budget_is_irrelevant(case: Case) -> None:
    for one, other in zip(found(case), found(case, memory_budget=1), strict=True):
        assert torch.allclose(one.edge_mask, other.edge_mask, atol=1e-9)
        assert torch.allclose(one.node_mask, other.node_mask, atol=1e-9)


class Deep(nn.Module):
    def __init__(self, kind: str, layers: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        make = {
            "gcn": lambda: GCNConv(5, 5),
            "gat": lambda: GATConv(5, 5),
            "sage": lambda: SAGEConv(5, 5),
            "gin": lambda: GINConv(nn.Linear(5, 5)),
            "back": lambda: SAGEConv(5, 5, flow="target_to_source"),
        }[kind]
        self.convs = nn.ModuleList([make() for _ in range(layers)]).double()

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        for conv in self.convs:
            x = conv(x, edge_index).tanh()
        return x


@pytest.mark.parametrize(
    ("kind", "layers", "reach", "looks_ahead"),
    [("gcn", 2, 3, False), ("gat", 2, 2, False), ("sage", 1, 1, False), ("gin", 3, 3, False),
     ("back", 2, 2, True)],
)  # fmt: skip
def test_how_far_a_model_looks(kind: str, layers: int, reach: int, looks_ahead: bool) -> None:
    torch.manual_seed(3)
    data = graph(60, 90)
    wiring = DropOne(Deep(kind, layers)).prepare(data).wiring
    assert (wiring.num_hops, wiring.needs_both_directions) == (reach, looks_ahead)


def test_a_model_that_looks_at_everything_is_explained_on_everything() -> None:
    torch.manual_seed(3)
    data = graph(20, 30)
    deep = Deep("gin", 1)

    def mixing(x: Tensor, edge_index: Tensor) -> Tensor:
        return deep(x, edge_index) + x.mean(dim=0)

    with pytest.warns(gg.core.told.FallbackWarning):
        explanation = DropOne(mixing, progress=False).explain(data, [4])[0]
    changed = data.clone()
    changed.x[11] = -1
    with torch.no_grad():
        outputs = mixing(data.x, data.edge_index)[4], mixing(changed.x, data.edge_index)[4]
    chosen = explanation.local.target
    assert explanation.local.node_score[11] == pytest.approx(
        float(outputs[0][chosen] - outputs[1][chosen])
    )


def test_a_model_that_fails_without_edges_is_told() -> None:
    def first(x: Tensor, edge_index: Tensor) -> Tensor:
        return x + 0 * x[edge_index[0, 0]]

    data = Data(x=torch.randn(3, 2), edge_index=torch.tensor([[1], [0]]))
    explainer = DropOne(first, num_hops=1, progress=False)
    with pytest.raises(gg.errors.UnsupportedModelError, match=r"fails on a part.*IndexError"):
        explainer.explain(data, [0])


def test_tables_survive_files_slices_and_reading(tmp_path: Any) -> None:
    explanations = found(Case("gcn", "node"))
    again = Explanations.load(explanations.save(tmp_path / "found"))
    frame = explanations.table("nodes")
    assert frame.equals(again.table("nodes"))
    for position, local in enumerate(explanations.local(i) for i in range(len(explanations))):
        rows = frame[frame.position == position]
        assert rows.node.tolist() == local.node_id.tolist()
        assert (rows.none == -1).all()
    tail = explanations[1:].table("nodes")
    assert tail.node.tolist() == frame[frame.position > 0].node.tolist()
    with pytest.raises(KeyError, match="nodes"):
        explanations.table("network")


@pytest.mark.parametrize(("model", "settings"), [(3, {}), (Deep("gin", 1), {"num_hops": 0})])
def test_what_cannot_be_called_is_refused(model: Any, settings: Any) -> None:
    with pytest.raises(HyperParameterError):
        DropOne(model, **settings)
