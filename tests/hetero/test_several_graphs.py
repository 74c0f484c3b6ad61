"""Several heterogeneous graphs: nodes and edges have the numbers that they have in their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Batch, HeteroData
from torch_geometric.nn import HeteroConv, SAGEConv, global_add_pool

import glassgraph as gg
from glassgraph.metrics import fidelity

WRITES, BY = ("author", "writes", "paper"), ("paper", "by", "author")
TASK = gg.Task("graph", mode="binary_classification")


def graph(num_papers: int, num_authors: int, num_edges: int) -> HeteroData:
    generator = torch.Generator().manual_seed(num_papers)
    data = HeteroData()
    data["paper"].x = torch.randn(num_papers, 4, generator=generator).double()
    data["author"].x = torch.randn(num_authors, 3, generator=generator).double()
    for number, kind in enumerate((WRITES, BY)):
        sizes = (num_authors, num_papers) if kind == WRITES else (num_papers, num_authors)
        ends = [torch.randint(size, (num_edges + number,), generator=generator) for size in sizes]
        data[kind].edge_index = torch.stack(ends)
    return data


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(1)
            self.conv = HeteroConv({WRITES: SAGEConv((3, 4), 2), BY: SAGEConv((4, 3), 2)})
            self.lin = nn.Linear(2, 1)
        self.double()

    def forward(self, data: Any) -> Tensor:
        h = self.conv(data.x_dict, data.edge_index_dict)
        pools = [global_add_pool(h[name].tanh(), data[name].batch) for name in h]
        out: Tensor = self.lin(pools[0] + pools[1])
        return out


def call(model: nn.Module, data: Any) -> Tensor:
    out: Tensor = model(data)
    return out


GRAPHS = [graph(3, 5, 7), graph(11, 2, 13), graph(4, 6, 5)]


@pytest.mark.parametrize("data", [GRAPHS, Batch.from_data_list(GRAPHS)], ids=["list", "batch"])
@pytest.mark.parametrize("method", ["saliency", "causal_screening"])
def test_each_is_explained_as_alone(method: str, data: Any, tmp_path: Path) -> None:
    """The masks of all but the first used to be shifted, or could not be read."""
    model = Net()
    together = gg.explain(model, data, method, TASK, call=call, progress=False)
    together.save(tmp_path)
    for number, own in enumerate(GRAPHS):
        alone = gg.explain(model, [own], method, TASK, call=call, progress=False)
        loaded = gg.Explanations.load(tmp_path)
        for found in (together, loaded):
            for kind in (WRITES, BY):
                assert alone[0][kind].edge_mask.any()
                torch.testing.assert_close(found[number][kind].edge_mask, alone[0][kind].edge_mask)
            assert torch.equal(found.local(number).node_id, alone.local(0).node_id)
        assert torch.equal(together[number]["paper"].x, own["paper"].x)


def test_fidelity_removes_their_own_edges() -> None:
    model = Net()
    together = gg.explain(model, GRAPHS, "edge_gradients", TASK, call=call, progress=False)
    found = fidelity(together, model, GRAPHS, call=call, top_k=2)
    for number, own in enumerate(GRAPHS):
        alone = gg.explain(model, [own], "edge_gradients", TASK, call=call, progress=False)
        expected = fidelity(alone, model, [own], call=call, top_k=2)
        torch.testing.assert_close(found.plus_prob[:, number], expected.plus_prob[:, 0])


def test_without_the_graph_the_record_knows(tmp_path: Path) -> None:
    together = gg.explain(Net(), GRAPHS, "saliency", TASK, call=call, progress=False)
    together.save(tmp_path, include_graph=False)
    loaded = gg.Explanations.load(tmp_path)
    for number in range(len(GRAPHS)):
        assert torch.equal(loaded.local(number).edge_id, together.local(number).edge_id)
