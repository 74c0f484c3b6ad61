"""Node tasks on graphs that have to stay whole: a recurrent network reads the whole sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Batch, Data
from torch_geometric.nn import GraphConv, global_mean_pool
from torch_geometric.utils import to_dense_batch

import glassgraph as gg
from glassgraph.core.told import FallbackWarning, UnseenWarning
from glassgraph.explainers.registry import make_explainer

pytestmark = pytest.mark.filterwarnings("ignore::glassgraph.core.told.UnseenWarning")

CLASSES = 3


class Reader(nn.Module):
    """Reads each sentence from left to right, then one layer along its arcs."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.read = nn.GRU(4, 6, batch_first=True)
            self.conv = GraphConv(6, CLASSES)
        self.double()

    def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor | None = None) -> Tensor:
        batch = x.new_zeros(x.size(0), dtype=torch.long) if batch is None else batch
        words, is_word = to_dense_batch(x, batch)
        out: Tensor = self.conv(self.read(words)[0][is_word], edge_index)
        return out


class Centers(nn.Module):
    """Subtracts the mean of each graph, or of all graphs if nothing tells them apart."""

    def __init__(self, per_graph: bool) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.conv = GraphConv(4, CLASSES)
        self.per_graph = per_graph
        self.double()

    def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor) -> Tensor:
        mean = global_mean_pool(x, batch)[batch] if self.per_graph else x.mean(dim=0)
        out: Tensor = self.conv(x - mean, edge_index)
        return out


def sentence(size: int) -> Data:
    draw = torch.Generator().manual_seed(size)
    head = torch.arange(1, size) // 2
    arcs = torch.stack([torch.arange(1, size), head])
    x = torch.randn(size, 4, generator=draw).double()
    return Data(x=x, edge_index=torch.cat([arcs, arcs.flip(0)], dim=1))


SENTENCES = [sentence(size) for size in (9, 12, 7)]
INDEX = [20, 3, 25, 9]  # words of the second, the first, the third and the second


def literal(model: nn.Module, flat: int) -> Tensor:
    """The squared gradient of a word's best class on its sentence alone."""
    batch: Any = Batch.from_data_list(SENTENCES)
    number = int(batch.batch[flat])
    graph = SENTENCES[number]
    x = graph.x.clone().requires_grad_()
    out = model(x, graph.edge_index, torch.zeros(x.size(0), dtype=torch.long))
    row = out[flat - int(batch.ptr[number])]
    (gradient,) = torch.autograd.grad(row.max(), x)
    return gradient.square()


@pytest.mark.parametrize("model", [Reader(), Centers(per_graph=True)], ids=["reads", "centers"])
@pytest.mark.parametrize("budget", [2**30, 20_000], ids=["together", "in pieces"])
def test_whole_graphs_lie_side_by_side(model: nn.Module, budget: int) -> None:
    explainer = gg.Saliency(model, progress=False, memory_budget=budget)
    with pytest.warns(UnseenWarning, match="depends on other nodes") as told:
        found = explainer.explain(SENTENCES, index=INDEX)
    assert [each.category for each in told] == [UnseenWarning]
    for position, flat in enumerate(INDEX):
        local, expected = found.local(position), literal(model, flat)
        assert local.node_id.tolist() == list(range(expected.size(0)))
        torch.testing.assert_close(local.feature_score, expected)


def test_they_are_packed_into_few_batches() -> None:
    explainer = gg.Saliency(Reader(), progress=False)
    preparation = explainer.prepare(SENTENCES)
    sizes = [
        batch.num_instances
        for _, batch in preparation.batches(preparation.instances(None), None, 2**30)
    ]
    assert sum(sizes) == 28
    assert len(sizes) <= 3


def test_a_model_that_mixes_graphs_still_falls_back() -> None:
    model = Centers(per_graph=False)
    with pytest.warns(FallbackWarning):
        found = gg.Saliency(model, progress=False).explain(SENTENCES, index=INDEX)
    joined: Any = Batch.from_data_list(SENTENCES)
    x = joined.x.clone().requires_grad_()
    out = model(x, joined.edge_index, joined.batch)
    for position, flat in enumerate(INDEX):
        (gradient,) = torch.autograd.grad(out[flat].max(), x, retain_graph=True)
        own = joined.batch == joined.batch[flat]
        torch.testing.assert_close(found.local(position).feature_score, gradient[own].square())


def test_a_run_in_pieces_is_resumed_to_the_bit(tmp_path: Path) -> None:
    explainer = gg.Occlusion(Reader(), progress=False, memory_budget=20_000)
    whole = explainer.explain(SENTENCES, index=INDEX)
    explainer.explain(SENTENCES, index=INDEX, save_to=tmp_path / "run")
    again = explainer.explain(SENTENCES, index=INDEX, save_to=tmp_path / "run", resume=True)
    for one, other in zip(whole, again, strict=True):
        assert torch.equal(one.edge_mask, other.edge_mask)


METHODS = (
    "causal_screening",
    "edge_gradients",
    "erasure_search",
    "grad_cam",
    "integrated_gradients",
    "occlusion",
    "pgm_explainer",
    "saliency",
)


@pytest.mark.filterwarnings("ignore::glassgraph.core.told.FallbackWarning")
@pytest.mark.filterwarnings("ignore::glassgraph.explainers.constant.ConstantScoresWarning")
@pytest.mark.parametrize("method", METHODS)
def test_every_way_to_explain_is_that_of_the_graph_alone(method: str) -> None:
    settings = {"tolerance": 1e9} if method == "integrated_gradients" else {}
    explainer = make_explainer(method, Centers(per_graph=True), "node", progress=False, **settings)
    found = explainer.explain(SENTENCES, index=[20, 3])
    for explanation, number, node in ((found[0], 1, 11), (found[1], 0, 3)):
        (alone,) = explainer.explain(SENTENCES[number], index=[node])
        local, own = explanation.local, alone.local
        assert local.node_id.tolist() == own.node_id.tolist()
        if method == "pgm_explainer":  # its random numbers are those of other instances
            continue
        for name in ("edge_score", "node_score", "feature_score"):
            one, other = getattr(local, name), getattr(own, name)
            assert (one is None) == (other is None)
            if one is not None:
                torch.testing.assert_close(one, other, rtol=1e-7, atol=1e-9)


def test_explaining_a_node_is_explaining_a_row_of_its_graph() -> None:
    task = gg.Task("graph", rows="nodes")
    nodes = gg.Occlusion(Reader(), progress=False).explain(SENTENCES, index=INDEX)
    pairs = [(1, 11), (0, 3), (2, 4), (1, 0)]
    rows = gg.Occlusion(Reader(), task, progress=False).explain(SENTENCES, index=pairs)
    for node, row in zip(nodes, rows, strict=True):
        torch.testing.assert_close(node.edge_mask, row.edge_mask)
