"""Methods of few passes explain many instances in one call of `attribute`, not one at a time."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch_geometric.data import Data

from glassgraph.core.batch import InstanceBatch
from glassgraph.datasets.motifs import ba_shapes
from glassgraph.explainers.registry import METHODS, make_explainer
from glassgraph.models.gnn import GAT, GCN, Body
from glassgraph.results.explanation import Attribution

INSTANCES, AT_LEAST = 60, 40
#: One or few forward and backward passes for all instances.
FEW_PASSES = (
    "saliency",
    "edge_gradients",
    "guided_backprop",
    "cam",
    "grad_cam",
    "attention",
    "lrp",
    "excitation_backprop",
    "gnn_lrp",
)
SETTINGS: dict[str, dict[str, Any]] = {"excitation_backprop": {"negative": "allow"}}


def rings() -> list[Data]:
    """Graphs of 5 to 24 nodes, for the method that explains nothing but graphs."""
    found = []
    for size in range(INSTANCES):
        node = torch.arange(5 + size % 20)
        edges = torch.stack([node, node.roll(1)])
        found.append(Data(x=torch.rand(node.numel(), 10), edge_index=edges))
    return found


@pytest.mark.parametrize("name", FEW_PASSES)
def test_at_least_40_instances_are_explained_together(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_graph = name == "cam"
    dataset = ba_shapes()
    data: Any = rings() if is_graph else dataset.graphs[0]
    index: Tensor = torch.arange(INSTANCES) if is_graph else dataset.explained
    assert index.numel() == INSTANCES
    if name == "attention":
        model: Any = GAT(10, 8, 4, heads=2)
    else:
        body = Body(concat=False, pool=("mean",))
        level = "graph" if is_graph else "node"
        model = GCN(10, 8, 4, level=level, normalize=False, body=body)  # type: ignore[arg-type]
    calls: list[int] = []
    attribute = METHODS[name].attribute

    def counting(self: Any, batch: InstanceBatch) -> Attribution:
        calls.append(batch.num_instances)
        return attribute(self, batch)

    monkeypatch.setattr(METHODS[name], "attribute", counting)
    explainer = make_explainer(
        name, model.eval(), model.level, progress=False, **SETTINGS.get(name, {})
    )
    explanations = explainer.explain(data, index=index)
    assert len(explanations) == sum(calls) == INSTANCES
    assert min([*calls[:-1], max(calls)]) >= AT_LEAST, calls  # the rest may be smaller
