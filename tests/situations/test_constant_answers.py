"""Answers that tell nothing apart: right where the model gives no reason, and never without a word.

A node's class is written in one planted neighbor among distractors. Models of every kind of layer
learn it; wherever a trained model's decision rests on the planted neighbor, methods have to find
it.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
import torch_geometric.nn as pyg
from torch import Tensor, nn
from torch_geometric.data import Data, HeteroData

import glassgraph as gg
from glassgraph.core.told import FallbackWarning
from glassgraph.explainers.constant import ConstantScoresWarning

FEATURES, HIDDEN, NEIGHBORS, STARS, CLASSES = 5, 13, 6, 67, 3


def stars(seed: int) -> tuple[Data, Tensor, Tensor]:
    """Stars whose centers' class is the mark, 0 or 1, of one neighbor; 2 where none has a mark."""
    draw = torch.Generator().manual_seed(seed)
    size = NEIGHBORS + 1
    x = (torch.rand(STARS, size, FEATURES, generator=draw) < 0.4).double()
    x[..., :2] = 0
    who = torch.randint(1, size, (STARS,), generator=draw)
    label = torch.randint(CLASSES, (STARS,), generator=draw)
    marked = (label < 2).nonzero().view(-1)
    x[marked, who[marked], label[marked]] = 1
    center = size * torch.arange(STARS)
    neighbor = (center.view(-1, 1) + torch.arange(1, size)).flatten()
    edge_index = torch.stack([neighbor, center.repeat_interleave(NEIGHBORS)])
    y = torch.zeros(STARS * size, dtype=torch.long)
    y[center] = label
    return Data(x=x.flatten(0, 1), edge_index=edge_index, y=y), center, center + who


def mlp(wide: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(wide, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, HIDDEN))


KINDS: Mapping[str, Callable[[], nn.Module]] = {
    "gcn": lambda: pyg.GCNConv(FEATURES, HIDDEN),
    "sage": lambda: pyg.SAGEConv(FEATURES, HIDDEN),
    "sage, max": lambda: pyg.SAGEConv(FEATURES, HIDDEN, aggr="max"),
    "gin": lambda: pyg.GINConv(mlp(FEATURES)),
    "gat": lambda: pyg.GATConv(FEATURES, HIDDEN),
    "gatv2": lambda: pyg.GATv2Conv(FEATURES, HIDDEN),
    "graph": lambda: pyg.GraphConv(FEATURES, HIDDEN),
    "transformer": lambda: pyg.TransformerConv(FEATURES, HIDDEN),
    "tag": lambda: pyg.TAGConv(FEATURES, HIDDEN, 1, normalize=False),
    "gated": lambda: pyg.ResGatedGraphConv(FEATURES, HIDDEN),
    "edge": lambda: pyg.EdgeConv(mlp(2 * FEATURES)),
}


class Net(nn.Module):
    def __init__(self, kind: str) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(2)
            self.conv, self.head = KINDS[kind](), nn.Linear(HIDDEN, CLASSES)
        self.double()

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        return self.head(self.conv(x, edge_index).relu())


@functools.cache
def trained(kind: str) -> Net:
    model, (data, center, _) = Net(kind), stars(1)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(200):
        optimizer.zero_grad()
        output = model(data.x, data.edge_index)[center]
        nn.functional.cross_entropy(output, data.y[center]).backward()
        optimizer.step()
    return model.eval()


def rests_on_planted(model: Net) -> tuple[Data, Tensor, Tensor]:
    """Unseen stars whose decision is right, and another without the planted neighbor's features."""
    data, center, planted = stars(0)
    x = data.x.clone()
    x[planted] = 0
    with torch.no_grad():
        found = model(data.x, data.edge_index)[center].argmax(dim=1)
        without = model(x, data.edge_index)[center].argmax(dim=1)
    chosen = ((found == data.y[center]) & (found != without)).nonzero().view(-1)[:17]
    assert chosen.numel() > 10
    return data, center[chosen], planted[chosen]


def told(found: gg.Explanations, planted: Tensor) -> list[tuple[float, float, str | None]]:
    """Of each explanation the planted neighbor's score, the best of the others, and the remark."""
    answers = []
    for position, node in enumerate(planted.tolist()):
        local = found.local(position)
        score = local.node_score
        if score is None:
            score = torch.zeros(local.node_id.numel()).double()
            score[local.edge_index[0]] = local.edge_score
        is_planted = local.node_id == node
        is_other = ~is_planted & ~torch.isin(local.node_id, local.seeds)
        answers.append((float(score[is_planted]), float(score[is_other].max()), local.remark))
    return answers


@pytest.mark.parametrize(
    ("method", "settings"),
    [
        ("occlusion", {}),
        ("causal_screening", {}),
        ("pgm_explainer", {"perturbation": "zero"}),
        ("pgm_explainer", {"perturbation": "mean"}),
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_the_planted_neighbor_is_found(kind: str, method: str, settings: dict[str, Any]) -> None:
    model = trained(kind)
    data, center, planted = rests_on_planted(model)
    found = gg.explain(model, data, method, index=center, progress=False, **settings)
    for score, best, _ in told(found, planted):
        assert score > best


@pytest.mark.parametrize("kind", KINDS)
def test_sets_that_are_enough_hold_the_planted_neighbor(kind: str) -> None:
    """ZORRO keeps it; erasure search too, unless nothing is needed for the class, and says so."""
    model = trained(kind)
    data, center, planted = rests_on_planted(model)
    for score, _, _ in told(gg.Zorro(model, progress=False).explain(data, center), planted):
        assert score == 1
    explainer = gg.ErasureSearch(model, progress=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConstantScoresWarning)
        found = explainer.explain(data, center)
    for score, best, remark in told(found, planted):
        if remark:
            assert remark == "the prediction stays without any edge, so none was needed"
            assert score == best == 0
        else:
            assert score == 1


# What is said where nothing is told apart


class Sum(nn.Module):
    """Weighs what its neighbors and it itself say."""

    def __init__(self, neighbors: float, own: float, bias: float = 0.0) -> None:
        super().__init__()
        self.conv = pyg.GraphConv(2, 2).double()
        with torch.no_grad():
            for layer, weight in ((self.conv.lin_rel, neighbors), (self.conv.lin_root, own)):
                layer.weight.copy_(weight * torch.eye(2))
            self.conv.lin_rel.bias.copy_(torch.tensor([bias, 0.0]))

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        return self.conv(x, edge_index)


def star() -> Data:
    """Four neighbors send to node 0, one of them to node 5 too."""
    x = torch.tensor([[0.0, 0.1], [1.0, 0.0], [0.0, 2.0], [1.0, 0.5], [0.0, 0.0], [0.3, 0.0]])
    return Data(x=x.double(), edge_index=torch.tensor([[1, 2, 3, 4, 1], [0, 0, 0, 0, 5]]))


BLIND, FIXED = Sum(0.0, 1.0), Sum(1e-3, 1e-3, bias=9.0)
NOTHING_MOVES = "the explained score stays with all messages shut"
CASES: list[tuple[str, nn.Module, dict[str, Any], str]] = [
    ("pgm_explainer", FIXED, {}, "the explained prediction changed in none of 100 samples"),
    ("pgm_explainer", BLIND, {"min_drop": 0.999, "num_samples": 7}, "in none of 7 samples"),
    ("zorro", FIXED, {}, "noise alone says what the model says"),
    ("erasure_search", FIXED, {}, "the prediction stays without any edge"),
    ("erasure_search", Sum(1.0, 0.0), {"keep_effect": 1.0}, ""),
    ("causal_screening", BLIND, {}, "no edge moves the explained score, so their order"),
    ("subgraphx", Sum(1.0, 1.0), {}, "the field has at most max_nodes=5 nodes"),
    ("occlusion", BLIND, {}, NOTHING_MOVES),
    ("edge_gradients", BLIND, {}, NOTHING_MOVES),
    ("gnn_explainer", FIXED, {"edge_size": 9.0, "learning_rate": 1.0}, "all gates are shut"),
    ("gnn_explainer", FIXED, {"edge_size": -9.0, "learning_rate": 1.0}, "all gates are open"),
    ("graph_lime", Sum(1.0, 1.0), {"rho": 99.0}, "no feature is worth rho=99"),
]


@pytest.mark.parametrize(("method", "model", "settings", "reason"), CASES)
def test_a_constant_answer_says_why(
    method: str, model: nn.Module, settings: dict[str, Any], reason: str
) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = gg.explain(model, star(), method, index=[0], progress=False, **settings)
    said = [str(each.message) for each in caught if each.category is ConstantScoresWarning]
    assert reason in (found.local(0).remark or "")
    assert bool(found.local(0).remark) == bool(reason)
    assert len(said) == bool(reason)
    if reason:
        assert f"{method}: the scores of 1 of 1 explanations tell nothing apart: " in said[0]
        assert reason in said[0]


def test_zorro_that_needs_everything() -> None:
    """A mark that any node loses, or a counter-mark that any gets, changes the class."""
    x = torch.tensor([[1.0, 0.0]] * 4 + [[0.0, 1.0]] * 4).double()
    data = Data(x=x, edge_index=torch.tensor([[1, 2, 3], [0, 0, 0]]))
    with pytest.warns(ConstantScoresWarning, match="every node and feature was needed"):
        found = gg.Zorro(Sum(1.0, 1.0, -3.5), tau=1.0, progress=False).explain(data, [0])
    assert bool((found.local(0).node_score == 1).all())


def test_erasure_search_that_can_leave_out_no_edge() -> None:
    x = torch.tensor([[0.0, 2.5], [1.0, 0.0], [1.0, 0.0], [1.0, 0.0]]).double()
    data = Data(x=x, edge_index=torch.tensor([[1, 2, 3], [0, 0, 0]]))
    with pytest.warns(ConstantScoresWarning, match=r"no edge can be left out \(1\)"):
        found = gg.ErasureSearch(Sum(1.0, 1.0), progress=False).explain(data, [0])
    assert found[0].edge_mask.tolist() == [1, 1, 1]


def test_attention_to_the_only_neighbor() -> None:
    chain = Data(x=torch.rand(4, 3), edge_index=torch.tensor([[0, 1, 2], [1, 2, 3]]))
    model = pyg.GAT(3, 8, 2, 2, add_self_loops=False).eval()
    with pytest.warns(ConstantScoresWarning, match=r"each node hears one sender.* \(1\)"):
        found = gg.Attention(model, progress=False).explain(chain, [3, 1])
    # Node 1 has a single edge: there is nothing to tell apart.
    assert found.remarks() == {0: "each node hears one sender, which gets all attention"}


def test_a_class_that_nothing_speaks_for() -> None:
    class Pooled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.head = Sum(1.0, 1.0), nn.Linear(2, 2, bias=False).double()
            with torch.no_grad():
                self.head.weight.copy_(torch.tensor([[-1.0, -1.0], [-2.0, -2.0]]))

        def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor) -> Tensor:
            return self.head(pyg.global_mean_pool(self.conv(x, edge_index), batch))

    for method in ("cam", "grad_cam"):
        with pytest.warns(ConstantScoresWarning, match="no node speaks for the class; relu=False"):
            gg.explain(Pooled(), [star()], method, task="graph", progress=False)


def test_what_a_method_tells_itself_is_told_once() -> None:
    from glassgraph.explainers.surrogate.graph_lime import ConstantPredictionWarning
    from glassgraph.explainers.surrogate.relex import SurrogateWarning

    for method, category in (
        ("relex", SurrogateWarning),
        ("graph_lime", ConstantPredictionWarning),
    ):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            found = gg.explain(Sum(0.0, 0.0), star(), method, index=[0], progress=False)
        assert [each.category for each in caught] == [category]
        assert "same" in found.local(0).remark


def test_reasons_are_counted_once_for_all_batches() -> None:
    data = Data(
        x=torch.rand(60, 2, generator=torch.Generator().manual_seed(5)).double(),
        edge_index=torch.randint(60, (2, 300), generator=torch.Generator().manual_seed(7)),
    )
    explainer = gg.Occlusion(BLIND, progress=False, memory_budget=1 << 14)
    with pytest.warns(ConstantScoresWarning) as caught:
        found = explainer.explain(data, list(range(60)))
    assert len(found.parts) > 1
    assert len(caught) == 1
    expected = int((torch.bincount(data.edge_index[1], minlength=60) > 1).sum())
    assert f"the scores of {expected} of 60 explanations" in str(caught[0].message)
    assert len(found.remarks()) == expected


def test_remarks_survive_files_and_slices(tmp_path: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConstantScoresWarning)
        found = gg.Occlusion(BLIND, progress=False).explain(star(), [0, 5, 1])
    assert found.remarks() == {0: NOTHING_MOVES}
    assert found[1:].remarks() == {}
    found.save(tmp_path / "all")
    loaded = gg.Explanations.load(tmp_path / "all")
    assert loaded.remarks() == {0: NOTHING_MOVES}
    assert loaded.local(0).remark == NOTHING_MOVES
    found[:1].save(tmp_path / "first")
    assert gg.Explanations.load(tmp_path / "first").remarks() == {0: NOTHING_MOVES}


def test_an_untrained_model_is_no_fault_of_the_method() -> None:
    """Of untrained SAGE few probabilities can fall by 0.1; a smaller drop finds scores for all."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = pyg.GraphSAGE(8, 16, 2, 3).eval()
    draw = torch.Generator().manual_seed(0)
    data = Data(x=torch.randn(60, 8, generator=draw))
    data.edge_index = torch.randint(60, (2, 240), generator=draw)
    index = list(range(30))
    with pytest.warns(ConstantScoresWarning, match="changed in none of 300 samples"):
        found = gg.PGMExplainer(model, num_samples=300, min_drop=0.3, progress=False).explain(
            data, index
        )
    fields = [found.local(n) for n in range(30)]
    has_none = {
        n for n, each in enumerate(fields) if len(each.node_id) > 1 and not each.node_score.any()
    }
    assert has_none == set(found.remarks())
    found = gg.PGMExplainer(model, min_drop=0.001, progress=False).explain(data, index)
    assert found.remarks() == {}
    assert all(bool(each.local.node_score.any()) for each in found)


def test_on_the_full_graph_and_of_links_and_types() -> None:
    """Wherever an answer comes from: the fall-back, links, heterogeneous graphs."""

    class Centered(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = BLIND

        def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
            return self.inner(x, edge_index) - x.mean(dim=0)

    data = star()
    with pytest.warns(FallbackWarning), pytest.warns(ConstantScoresWarning):
        whole = gg.Occlusion(Centered(), progress=False).explain(data, [0])
    assert whole.remarks() == {0: NOTHING_MOVES}

    class Links(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = BLIND

        def forward(self, x: Tensor, edge_index: Tensor, edge_label_index: Tensor) -> Tensor:
            h = self.inner(x, edge_index)
            return (h[edge_label_index[0]] * h[edge_label_index[1]]).sum(dim=1)

    data.edge_label_index = torch.tensor([[0], [5]])
    task = gg.Task("edge", mode="binary_classification")
    with pytest.warns(ConstantScoresWarning, match="1 of 1 explanations"):
        links = gg.EdgeGradients(Links(), task, progress=False).explain(data)
    assert links.remarks() == {0: NOTHING_MOVES}

    explainer = gg.Occlusion(TypedBlind(), gg.Task("node", node_type="paper"), progress=False)
    with pytest.warns(ConstantScoresWarning, match="1 of 1 explanations"):
        typed = explainer.explain(authors_and_papers(), [0])
    assert typed.remarks() == {0: NOTHING_MOVES}


class TypedBlind(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = pyg.SAGEConv((2, 2), 2).double()
        nn.init.zeros_(self.conv.lin_l.weight)

    def forward(self, x_dict: dict[str, Tensor], edge_index_dict: dict[Any, Tensor]) -> Tensor:
        ends = x_dict["author"], x_dict["paper"]
        return self.conv(ends, edge_index_dict["author", "writes", "paper"])


def authors_and_papers() -> HeteroData:
    draw = torch.Generator().manual_seed(4)
    sizes = {"author": 5, "paper": 3}
    data = HeteroData()
    for name, size in sizes.items():
        data[name].x = torch.rand(size, 2, generator=draw).double()
    data["author", "writes", "paper"].edge_index = torch.tensor([[0, 1, 2, 4], [0, 0, 0, 1]])
    return data
