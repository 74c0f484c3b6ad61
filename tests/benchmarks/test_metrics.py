"""Metrics by name: what each group calls gives what the function gives."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch_geometric.data import Data
from torch_geometric.nn import GCN

import glassgraph as gg
from glassgraph import metrics

CALLS: dict[str, Any] = {
    "gef": metrics.gef,
    "unfaithfulness": metrics.unfaithfulness,
    "characterization": metrics.characterization,
    "robust_fidelity_delta": metrics.robust_fidelity,
    "sufficiency": metrics.sufficiency,
    "necessity": metrics.necessity,
    "deletion_area": metrics.deletion_area,
}


@pytest.mark.parametrize("name", CALLS)
def test_a_row_is_what_the_function_gives(name: str) -> None:
    draw = torch.Generator().manual_seed(0)
    data = Data(
        x=torch.randn(30, 4, generator=draw),
        edge_index=torch.randint(30, (2, 90), generator=draw),
    )
    model = GCN(4, 8, 2, 3).eval()
    index = list(range(6))
    found = gg.benchmark(model, data, ["saliency"], [name], task="node", index=index)
    explanations = gg.Saliency(model, "node", progress=False).explain(data, index)
    expected = [each for each in CALLS[name](explanations, model, data) if each.metric == name]
    frame = found.frame()
    assert frame["status"].unique().tolist() == ["measured"]
    assert frame["level"].tolist() == [each.level for each in expected]
    got, wanted = (
        torch.tensor(values, dtype=torch.float64)
        for values in (frame["value"].tolist(), [each.estimate.value for each in expected])
    )
    torch.testing.assert_close(got, wanted, equal_nan=True)
