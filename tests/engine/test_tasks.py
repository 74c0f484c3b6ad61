"""Every kind of prediction as a job: to the bit what `explain` says of the same block."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torch_geometric
from torch import Tensor, nn
from torch_geometric.data import Batch, Data, HeteroData
from torch_geometric.nn import GCN, GCNConv, HeteroConv, SAGEConv, global_add_pool, to_hetero

import glassgraph as gg
from glassgraph.data import GraphStore
from glassgraph.errors import EngineError, UnknownMethodError
from glassgraph.explainers.registry import make_explainer
from tests.hetero.link_models import (
    LINKS,
    RELATIONS,
    EncoderDecoder,
    TwoLayers,
    link_set_up,
    scores,
)

pytestmark = pytest.mark.usefixtures("in_process")

COLUMNS = ("edge_id", "edge_score", "layer_edge_score", "node_id", "node_score", "feature_score")


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def random_edges(num_nodes: int, count: int, seed: int, others: int | None = None) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    key = torch.randperm(num_nodes * (others or num_nodes), generator=generator)[:count]
    return torch.stack([key // (others or num_nodes), key % (others or num_nodes)])


def graph(seed: int = 0, num_nodes: int = 9) -> Data:
    return Data(x=draw(num_nodes, 3, seed=seed), edge_index=random_edges(num_nodes, 24, seed))


class Pairs(nn.Module):
    """Scores of links, or of edges with features."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = GCNConv(3, 4), nn.Linear(8, 2)

    def pairs(self, x: Tensor, edge_index: Tensor, ends: Tensor) -> Tensor:
        h = self.conv(x, edge_index).tanh()
        found: Tensor = self.head(torch.cat([h[ends[0]], h[ends[1]]], dim=1))
        return found


class Links(Pairs):
    def forward(self, x: Tensor, edge_index: Tensor, edge_label_index: Tensor) -> Tensor:
        return self.pairs(x, edge_index, edge_label_index)


class Edges(Pairs):
    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        return self.pairs(x, edge_index, edge_index)


class Whole(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net, self.head = GCN(3, 4, 2, 4), nn.Linear(4, 2)

    def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor) -> Tensor:
        found: Tensor = self.head(global_add_pool(self.net(x, edge_index), batch))
        return found


REWRITTEN = """
from tests.hetero.link_models import link_set_up

def make():
    return link_set_up("sage")[0]
"""
CITES, WRITES = ("paper", "cites", "paper"), ("author", "writes", "paper")
READS = ("paper", "read_by", "author")


class Typed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        kinds: dict[Any, nn.Module] = {
            CITES: SAGEConv((3, 3), 4),
            WRITES: SAGEConv((2, 3), 4),
            READS: SAGEConv((3, 2), 4),
        }
        self.conv, self.head = HeteroConv(kinds), nn.Linear(4, 2)

    def forward(self, x_dict: dict[str, Tensor], edge_index_dict: dict[Any, Tensor]) -> Tensor:
        found: Tensor = self.head(self.conv(x_dict, edge_index_dict)["paper"].tanh())
        return found


def typed() -> HeteroData:
    data = HeteroData()
    data["paper"].x, data["author"].x = draw(7, 3), draw(4, 2, seed=1)
    data[CITES].edge_index = random_edges(7, 15, 2)
    data[WRITES].edge_index = random_edges(4, 9, 3, others=7)
    data[READS].edge_index = random_edges(7, 8, 4, others=4)
    return data


def links() -> Data:
    data = graph()
    data.edge_label_index = random_edges(9, 6, 5)
    return data


def graphs() -> list[Data]:
    return [graph(seed, 5 + seed) for seed in range(5)]


CASES: dict[str, tuple[Any, Any, gg.Task]] = {
    "nodes with types": (Typed, typed, gg.Task("node", node_type="paper")),
    "links with types": (
        lambda: link_set_up("hetero_conv")[0],
        lambda: link_set_up("hetero_conv")[1],
        gg.Task("edge", mode="binary_classification"),
    ),
    "links": (Links, links, gg.Task("edge")),
    "edges": (Edges, graph, gg.Task("edge", predicts="edges")),
    "graphs": (Whole, graphs, gg.Task("graph")),
    "a batch of graphs": (Whole, lambda: Batch.from_data_list(graphs()), gg.Task("graph")),
}


def built(kind: Any, seed: int = 0) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model: nn.Module = kind().eval()
    return model


def assert_equal(ours: gg.LocalExplanation, theirs: gg.LocalExplanation) -> None:
    """To the bit; a feature that a node of another type lacks is NaN in both."""
    for name in (*COLUMNS, "prediction", "target", "graph"):
        one, other = getattr(ours, name), getattr(theirs, name)
        torch.testing.assert_close(one, other, rtol=0, atol=0, equal_nan=True, msg=name)


def in_blocks(explainer: Any, data: Any, index: list[int], size: int) -> list[gg.LocalExplanation]:
    blocks = [index[at : at + size] for at in range(0, len(index), size)]
    return [each.local for block in blocks for each in explainer.explain(data, block)]


@pytest.mark.parametrize("method", ["edge_gradients", "gnn_explainer"])
@pytest.mark.parametrize("case", CASES)
def test_a_job_says_what_explain_says(tmp_path: Path, case: str, method: str) -> None:
    kind, data_of, task = CASES[case]
    model, data, index = built(kind), data_of(), [2, 0, 1]
    settings = {"epochs": 3} if method == "gnn_explainer" else {}
    found = gg.explain_all(
        model,
        data,
        method,
        task,
        index,
        out=tmp_path,
        workers=1,
        block=2,
        progress=False,
        **settings,
    )
    assert len(found) == 3
    alone = make_explainer(method, model, task, progress=False, **settings)
    for local in in_blocks(alone, data, index, 2):
        assert_equal(found.find(local.index), local)
    read = found.explanations([1, 2])
    assert read.graph is not None
    assert torch.equal(read[0].local.edge_score, found.find(1).edge_score)


LEARNED = {"pg_explainer": "epochs", "graphmask": "steps", "information_bottleneck": "steps"}


@pytest.mark.parametrize("method", LEARNED)
def test_what_is_learned_first_is_learned_once(tmp_path: Path, method: str) -> None:
    few: dict[str, Any] = {LEARNED[method]: 3}
    model, data = built(lambda: GCN(3, 4, 2, 2)), graph()  # type: ignore[arg-type]
    store = GraphStore.build(data, tmp_path / "store")
    asked: dict[str, Any] = {"out": tmp_path / "job", "workers": 1, "block": 2, "progress": False}
    found = gg.explain_all(model, store, method, index=[7, 1, 5], fit=[0, 2, 3, 4], **few, **asked)
    alone: Any = make_explainer(method, model, "node", progress=False, **few)
    alone.fit(data, index=[0, 2, 3, 4])
    for local in in_blocks(alone, data, [7, 1, 5], 2):
        assert_equal(found.find(local.index), local)


def summed(x: Tensor, edge_index: Tensor) -> Tensor:
    """A model that is only called: sums of what arrives, and of what does not."""
    found = torch.zeros_like(x).index_add(0, edge_index[1], x[edge_index[0]])
    return found[:, :2]


@pytest.mark.parametrize("is_sent", [False, True])
def test_a_function_is_a_model_too(tmp_path: Path, is_sent: bool) -> None:
    model: Any = (lambda x, edge_index: summed(x, edge_index)) if is_sent else summed
    asked = {"out": tmp_path, "workers": 1, "block": 2, "progress": False}
    found = gg.explain_all(model, graph(), "causal_screening", index=[4, 0, 2], **asked)
    alone = make_explainer("causal_screening", summed, "node", progress=False)  # type: ignore[arg-type]
    for local in in_blocks(alone, graph(), [4, 0, 2], 2):
        assert_equal(found.find(local.index), local)


class Annotated(TwoLayers):
    """Layers whose rewritten code names types, which no worker knows."""

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        found: Tensor = self.second(self.first(x, edge_index).tanh(), edge_index)
        return found


def test_layers_that_to_hetero_has_rewritten_want_a_file(tmp_path: Path) -> None:
    model, data = link_set_up("sage")
    task = gg.Task("edge", mode="binary_classification")
    if torch_geometric.__version__ >= "2.7":  # earlier ones trace no annotations that are text
        layers = Annotated(*(SAGEConv((-1, -1), 4, aggr="sum") for _ in range(2)))
        other = EncoderDecoder(to_hetero(layers, (data.node_types, RELATIONS))).double()
        with torch.no_grad():
            scores(other, data, LINKS)
        words = r"to_hetero has rewritten; give a glassgraph\.ModelFile"
        with pytest.raises(EngineError, match=words):
            gg.explain_all(other, data, "saliency", task, out=tmp_path, progress=False)
    path = tmp_path / "net.py"
    path.write_text(REWRITTEN)
    file = gg.ModelFile(path, "make")
    asked: dict[str, Any] = {"out": tmp_path / "job", "workers": 1, "block": 2, "progress": False}
    found = gg.explain_all(file, data, "saliency", task, [3, 1], **asked)
    alone = make_explainer("saliency", model, task, progress=False).explain(data, [3, 1])
    for each in alone:
        assert_equal(found.find(each.local.index), each.local)


def test_a_method_that_explains_a_model_is_no_job(tmp_path: Path) -> None:
    with pytest.raises(UnknownMethodError, match="xgnn"):
        gg.explain_all(built(Whole), graphs(), "xgnn", "graph", out=tmp_path, progress=False)
