"""A node with very many edges: a worker counts its field, says so, and goes on."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch_geometric.data import Data
from torch_geometric.nn import GCN

import glassgraph as gg
from glassgraph.data import GraphStore
from glassgraph.errors import InstanceError

HUB, SPOKES = 0, 150_000
#: Node 1 hears of the hub, node 2 is one of many that the hub hears of, 5 hears of 4 and it of 3.
HEARS_OF_HUB, SPOKE, CHAIN = 1, 2, (3, 4, 5)


def star() -> Data:
    """A hub that hears of all others, sends to one, and a chain beside it."""
    spokes = torch.arange(HEARS_OF_HUB + 1, SPOKES + 2)
    into = torch.stack([spokes, torch.full_like(spokes, HUB)])
    others = torch.tensor([[HUB, CHAIN[0], CHAIN[1]], [HEARS_OF_HUB, CHAIN[1], CHAIN[2]]])
    x = torch.rand(SPOKES + 2, 8, generator=torch.Generator().manual_seed(0))
    return Data(x=x, edge_index=torch.cat([into, others], dim=1))


def model() -> GCN:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return GCN(8, 64, 3, 4).eval()


@pytest.mark.slow("fields over the budget: tests/data/test_explaining.py")
def test_a_hub_is_recorded_with_its_size_and_the_rest_goes_on(tmp_path: Path) -> None:
    data = star()
    store = GraphStore.build(data, tmp_path / "graph")
    found = gg.explain_all(
        model(),
        store,
        "edge_gradients",
        index=[CHAIN[2], HUB, SPOKE, HEARS_OF_HUB, CHAIN[1]],
        out=tmp_path / "job",
        workers=1,
        worker_memory=1 << 29,  # the hub's field would take a gigabyte
        memory_budget=1 << 27,
        progress=False,
    )
    told = found.failures().set_index("index")["error"].to_dict()
    assert sorted(told) == [HUB, HEARS_OF_HUB]
    for error in told.values():
        assert "depends on has at least 150,00" in error
        assert "the memory budget is 0.134 GB" in error
    with pytest.raises(InstanceError, match="150,000 edges within 3 hops"):
        found.find(HUB)
    literal = gg.EdgeGradients(model(), progress=False, check="local")
    for node in (CHAIN[2], SPOKE, CHAIN[1]):
        alone, ours = literal.explain(store, [node]).local(0), found.find(node)
        assert torch.equal(ours.edge_id, alone.edge_id)
        assert ours.layer_edge_score is not None
        assert alone.layer_edge_score is not None
        torch.testing.assert_close(ours.layer_edge_score, alone.layer_edge_score)
