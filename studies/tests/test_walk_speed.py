"""The walks of deep networks are found without listing them, and in time."""

from __future__ import annotations

import torch
from torch_geometric.data import Data

from glassgraph_studies.bench.walks.experiment import count_walks, run_walk_bench


def test_ten_walks_of_five_layers_take_less_than_a_second() -> None:
    (row,) = run_walk_bench([5], walks=10, repeats=3)
    assert row["nodes"] == 25
    assert row["num_walks"] > 5_000
    assert row["seconds"] < 1


def test_walks_are_counted_with_loops() -> None:
    # 0 -> 1 -> 2. One layer: three loops and two edges; two layers: 3 loops, 2 * 2, and the path.
    data = Data(x=torch.ones(3, 1), edge_index=torch.tensor([[0, 1], [1, 2]]))
    assert count_walks(data, 1) == 5
    assert count_walks(data, 2) == 8
