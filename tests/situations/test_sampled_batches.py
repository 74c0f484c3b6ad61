"""Batches of a neighbor sampler, and models that return or compute rows of the seeds alone.

The right value is that of a model with the same weights that returns a row for every node.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Data, HeteroData
from torch_geometric.nn import GCNConv, HeteroConv, SAGEConv
from torch_geometric.utils import trim_to_layer

import glassgraph as gg
from glassgraph.core.told import FallbackWarning
from glassgraph.errors import ModelOutputError, UnsupportedModelError
from glassgraph.metrics import fidelity

WIDTH, SEEDS, NODES, CLASSES = 5, 3, 13, 4
#: Of each hop: into the seeds, then into their neighbors.
HOPS = [
    ([3, 4, 4, 5, 6, 3], [0, 0, 1, 1, 2, 2]),
    ([7, 8, 9, 10, 11, 12, 7, 0], [3, 3, 4, 4, 5, 6, 6, 5]),
]
METHODS: dict[str, dict[str, Any]] = {
    "occlusion": {},
    "saliency": {},
    "integrated_gradients": {"steps": 100},
    "gnn_explainer": {"epochs": 2},
    "lrp": {},
    "causal_screening": {},
    "zorro": {},
    "subgraphx": {"rollouts": 3},
    "shapley_edges": {"exact_up_to": 3, "samples": 200},
    "pgm_explainer": {"num_samples": 30},
    "graph_lime": {},
}


def sampled() -> Data:
    """As PyG's loader returns it (its samplers are compiled packages of their own)."""
    generator = torch.Generator().manual_seed(1)
    source, destination = (first + second for first, second in zip(*HOPS, strict=True))
    return Data(
        x=torch.randn(NODES, WIDTH, generator=generator).double(),
        edge_index=torch.tensor([source, destination]),
        y=torch.zeros(NODES).long(),
        n_id=torch.randperm(50, generator=generator)[:NODES],
        e_id=torch.randperm(90, generator=generator)[: len(source)],
        input_id=torch.arange(SEEDS),
        batch_size=SEEDS,
        num_sampled_nodes=[SEEDS, 4, 6],
        num_sampled_edges=[len(ends[0]) for ends in HOPS],
    )


class Net(nn.Module):
    conv: type[nn.Module] = SAGEConv

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(3)
            self.one, self.two = self.conv(WIDTH, 7), self.conv(7, CLASSES)
        self.double().eval()

    def layers(self, x: Tensor, edge_index: Tensor) -> Tensor:
        return self.two(self.one(x, edge_index).relu(), edge_index)

    def trimmed(self, x: Tensor, edge_index: Tensor, nodes: list[int], edges: list[int]) -> Tensor:
        h = self.one(x, edge_index).relu()
        h, edge_index, _ = trim_to_layer(1, nodes, edges, h, edge_index)
        return self.two(h, edge_index)

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        return self.layers(x, edge_index)


class SeedRows(Net):
    def forward(self, x: Tensor, edge_index: Tensor, batch_size: int) -> Tensor:
        return self.layers(x, edge_index)[:batch_size]


class SeedRowsOfData(Net):
    def forward(self, data: Data) -> Tensor:
        return self.layers(data.x, data.edge_index)[: data.batch_size]


class Trimmed(Net):
    """By the names that PyG's own models give to the lists."""

    def forward(
        self,
        x: Tensor,
        edge_index: Tensor,
        num_sampled_nodes_per_hop: list[int],
        num_sampled_edges_per_hop: list[int],
    ) -> Tensor:
        lists = num_sampled_nodes_per_hop, num_sampled_edges_per_hop
        return self.trimmed(x, edge_index, *lists)


class TrimmedSeedRows(Net):
    def forward(self, data: Data) -> Tensor:
        lists = data.num_sampled_nodes, data.num_sampled_edges
        return self.trimmed(data.x, data.edge_index, *lists)[: data.batch_size]


class TrimmedGCN(Trimmed):
    """Trimming changes the degrees of the nodes that are left."""

    conv = GCNConv


class TrimmedSeedRowsGCN(TrimmedSeedRows):
    conv = GCNConv


def masks(model: nn.Module, method: str, data: Any = None, **settings: Any) -> list[Tensor]:
    found = gg.explain(model, data or sampled(), method, progress=False, **settings)
    names = ("edge_mask", "node_mask", "node_score")
    return [each[name] for each in found for name in names if name in each]


@pytest.mark.parametrize("kind", [SeedRows, SeedRowsOfData, Trimmed, TrimmedSeedRows])
@pytest.mark.parametrize("method", METHODS)
def test_models_of_the_seeds(method: str, kind: type[Net]) -> None:
    expected = masks(Net(), method, **METHODS[method])
    assert any(bool(each.any()) for each in expected)
    torch.testing.assert_close(masks(kind(), method, **METHODS[method]), expected)


@pytest.mark.parametrize("method", ["occlusion", "causal_screening"])
def test_the_seeds_are_explained(method: str) -> None:
    for kind in (Net, SeedRows, TrimmedSeedRows):
        found = gg.explain(kind(), sampled(), method, progress=False)
        assert [each.index for each in found] == list(range(SEEDS))
    assert len(gg.explain(Net(), sampled(), method, index=[7, 12], progress=False)) == 2


@pytest.mark.parametrize("method", ["occlusion", "causal_screening"])
@pytest.mark.parametrize("kind", [SeedRows, TrimmedSeedRows])
def test_other_nodes_have_no_row(kind: type[Net], method: str) -> None:
    with pytest.raises(ModelOutputError, match=r"returned 3 rows, and none for node 8.*batch_size"):
        gg.explain(kind(), sampled(), method, index=[8], progress=False)


@pytest.mark.parametrize("method", ["occlusion", "causal_screening"])
def test_seed_rows_of_data_that_do_not_say_so(method: str) -> None:
    data = sampled()
    del data.batch_size
    with pytest.raises(ModelOutputError, match=r"data.batch_size"):
        masks(Net(), method, data, call=lambda model, data: model(data.x, data.edge_index)[:SEEDS])


@torch.no_grad()
def by_hand(model: Net, data: Data, seed: int, kept: Tensor) -> Tensor:
    """The probabilities of a seed with some edges alone."""
    hop = torch.tensor([0] * len(HOPS[0][0]) + [1] * len(HOPS[1][0]))
    counts = [int((hop[kept] == number).sum()) for number in range(2)]
    nodes = data.num_sampled_nodes
    output = model.trimmed(data.x, data.edge_index[:, kept], nodes, counts)
    return output[seed].softmax(-1)


@pytest.mark.parametrize("kind", [TrimmedGCN, TrimmedSeedRowsGCN])
def test_edges_deleted_of_a_model_whose_degrees_are_trimmed(kind: type[Net]) -> None:
    """Its receptive fields give other predictions, so the whole batch is used, hop by hop."""
    data, model = sampled(), kind()
    with pytest.warns(FallbackWarning):
        found = gg.CausalScreening(model, progress=False).explain(data)
    for seed, explanation in enumerate(found):
        local = explanation.local
        values = local.tables["steps"]["value"]
        order = explanation.edge_mask.argsort(descending=True)
        for step in range(data.num_edges):
            kept = order[: step + 1].sort().values
            likelihood = by_hand(model, data, seed, kept)[local.target].log()
            torch.testing.assert_close(values[step], likelihood)
    result = fidelity(gg.Saliency(model, progress=False).explain(data), model, data, top_k=2)
    assert result.plus_prob.isfinite().all()


def test_messages_shut_of_a_model_whose_degrees_are_trimmed() -> None:
    data, model = sampled(), TrimmedGCN()
    found = gg.Occlusion(model, progress=False).explain(data)
    for seed in range(SEEDS):
        open_ = _shut(model, data, seed, None)
        expected = [open_ - _shut(model, data, seed, edge) for edge in range(data.num_edges)]
        torch.testing.assert_close(found[seed].edge_mask, torch.stack(expected))


@torch.no_grad()
def _shut(model: Trimmed, data: Data, seed: int, edge: int | None) -> Tensor:
    """The explained score with the messages of one edge at zero, at every layer."""

    def change(_: Any, __: Any, messages: Tensor) -> Tensor:
        messages = messages.clone()
        if edge is not None and not (messages.size(0) < 20 and edge >= 6):
            messages[edge] = 0
        return messages

    # The second layer has the edges of the first hop alone, then its loops.
    handles = [layer.register_message_forward_hook(change) for layer in (model.one, model.two)]
    lists = data.num_sampled_nodes, data.num_sampled_edges
    output = model(data.x, data.edge_index, *lists)[seed]
    for handle in handles:
        handle.remove()
    target = int(model(data.x, data.edge_index, *lists)[seed].argmax())
    return output[target]


@pytest.mark.filterwarnings("ignore:predictions on receptive fields")  # of another test
def test_a_method_that_needs_every_prediction_says_so() -> None:
    with pytest.raises(UnsupportedModelError, match="returned rows for 7 of 13 nodes, and others"):
        masks(TrimmedGCN(), "pgm_explainer", num_samples=20)


# A scripted model, as a black box


class Scripted(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(3)
            self.linear = nn.Linear(WIDTH, CLASSES).double()

    def forward(self, x: Tensor, edge_index: Tensor, batch_size: int) -> Tensor:
        h = self.linear(x)
        sent = torch.zeros_like(h).index_add(0, edge_index[1], h[edge_index[0]])
        return (h + sent.tanh())[:batch_size]


@pytest.mark.parametrize("method", ["causal_screening", "zorro"])
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # torch's own
def test_a_scripted_model_of_the_seeds(method: str) -> None:
    model = Scripted()

    def every_row(x: Tensor, edge_index: Tensor) -> Tensor:
        return model(x, edge_index, x.size(0))

    expected = masks(every_row, method)
    torch.testing.assert_close(masks(torch.jit.script(model), method), expected)


# Node types

PAPERS, AUTHORS = 7, 5
CITES, WRITES = ("paper", "cites", "paper"), ("author", "writes", "paper")


def sampled_types() -> HeteroData:
    generator = torch.Generator().manual_seed(5)
    data = HeteroData()
    data["paper"].x = torch.randn(PAPERS, WIDTH, generator=generator).double()
    data["author"].x = torch.randn(AUTHORS, WIDTH, generator=generator).double()
    data["paper"].y = torch.zeros(PAPERS).long()
    data["paper"].batch_size = 2
    data["paper"].num_sampled_nodes, data["author"].num_sampled_nodes = [2, 3, 2], [0, 2, 3]
    data[CITES].edge_index = torch.tensor([[2, 3, 4, 5, 6, 0], [0, 0, 1, 2, 3, 4]])
    data[CITES].num_sampled_edges = [3, 3]
    data[WRITES].edge_index = torch.tensor([[0, 1, 2, 3, 4], [0, 1, 2, 3, 4]])
    data[WRITES].num_sampled_edges = [2, 3]
    return data


class Typed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(3)
            self.one, self.two = self._layer(WIDTH), self._layer(7)
            self.author = nn.Linear(WIDTH, 7)
        self.double().eval()

    def _layer(self, width: int) -> nn.Module:
        out = 7 if width == WIDTH else CLASSES
        convs = {CITES: SAGEConv(width, out), WRITES: SAGEConv((width, width), out)}
        return HeteroConv(convs)

    def both(self, x_dict: Any, edge_index_dict: Any, nodes: Any, edges: Any) -> Tensor:
        h = {"paper": self.one(x_dict, edge_index_dict)["paper"].relu()}
        h["author"] = self.author(x_dict["author"]).relu()
        if nodes is not None:
            h, edge_index_dict, _ = trim_to_layer(1, nodes, edges, h, edge_index_dict)
        return self.two(h, edge_index_dict)["paper"]

    def forward(self, x_dict: Any, edge_index_dict: Any) -> Tensor:
        return self.both(x_dict, edge_index_dict, None, None)


class TypedTrimmed(Typed):
    def forward(
        self,
        x_dict: Any,
        edge_index_dict: Any,
        num_sampled_nodes_dict: Any,
        num_sampled_edges_dict: Any,
        batch_size: int,
    ) -> Tensor:
        lists = num_sampled_nodes_dict, num_sampled_edges_dict
        return self.both(x_dict, edge_index_dict, *lists)[:batch_size]


@pytest.mark.parametrize("method", ["occlusion", "saliency", "causal_screening"])
@pytest.mark.filterwarnings("ignore:There exist node types")  # PyG's, of authors without edges
def test_seeds_of_a_node_type(method: str) -> None:
    data = sampled_types()
    found, expected = (
        gg.explain(kind(), data, method, progress=False) for kind in (TypedTrimmed, Typed)
    )
    assert [each.index for each in found] == [0, 1]
    for one, other in zip(found, expected, strict=True):
        for kind in (CITES, WRITES):
            torch.testing.assert_close(one[kind].edge_mask, other[kind].edge_mask)
