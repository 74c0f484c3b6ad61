"""Classifiers of edges: one row for each edge of the graph, which reads the edge's own features.

The reference is a model of links whose links are the edges, with the edges' features as theirs.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Batch, Data
from torch_geometric.nn import GCNConv, GINEConv

import glassgraph as gg
from glassgraph.core import tracing
from glassgraph.errors import InstanceError, ModelOutputError, TaskError, UnseenMessagesError
from glassgraph.explainers.amortized import AmortizedExplainer
from glassgraph.explainers.black_box import BlackBoxExplainer
from glassgraph.explainers.registry import METHODS
from glassgraph.metrics import fidelity
from glassgraph.testing import check_explainer

NODES, EDGES, WIDTH, FEATURES, CLASSES = 11, 31, 4, 3, 3
LOOP, TWIN, OTHER_TWIN = 5, 7, 20
INDEX = [LOOP, TWIN, OTHER_TWIN, 0, TWIN]
WHITE_BOXES = {
    "saliency": {},
    "edge_gradients": {},
    "integrated_gradients": {"steps": 3},
    "grad_cam": {},
    "occlusion": {},
    "gnn_explainer": {"epochs": 3},
    "lrp": {},
    "gnn_lrp": {},
}
DELETE_EDGES = [
    "causal_screening",
    "relex",
    "cf_gnn_explainer",
    "smallest_counterfactual",
    "shapley_edges",
    "cf2",
]
#: No layer of the classifier shows attention.
REST = [
    name
    for name, method in METHODS.items()
    if "edge" in method.scope.levels and name not in (*WHITE_BOXES, *DELETE_EDGES, "attention")
]
pytestmark = pytest.mark.filterwarnings("error::glassgraph.core.told.FallbackWarning")


def graph(seed: int = 0) -> Data:
    """With two parallel edges of other features, and a loop."""
    draw = torch.Generator().manual_seed(seed)
    source = torch.randint(NODES, (EDGES,), generator=draw)
    ends = torch.stack(
        [source, (source + torch.randint(1, NODES, (EDGES,), generator=draw)) % NODES]
    )
    ends[1, LOOP] = ends[0, LOOP]
    ends[:, OTHER_TWIN] = ends[:, TWIN]
    return Data(
        x=torch.randn(NODES, WIDTH, generator=draw).double(),
        edge_index=ends,
        edge_attr=torch.randn(EDGES, FEATURES, generator=draw).double(),
        y=torch.arange(EDGES) % CLASSES,
    )


class Classifier(nn.Module):
    """One row for each edge of the graph."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(3)
            self.first = nn.Linear(WIDTH, 5)
            self.one = GINEConv(nn.Linear(5, 5), edge_dim=FEATURES)
            self.two = GCNConv(5, 5)
            self.head = nn.Linear(5 + 5 + FEATURES, CLASSES)
        self.head.weight.data[:, : 5 + 5] *= 8  # so that the prediction depends on messages
        self.double()

    def states(self, x: Tensor, edge_index: Tensor, edge_attr: Tensor) -> Tensor:
        return self.two(self.one(self.first(x), edge_index, edge_attr).tanh(), edge_index).tanh()

    def rows(self, h: Tensor, pairs: Tensor, attributes: Tensor) -> Tensor:
        return self.head(torch.cat([h[pairs[0]], h[pairs[1]], attributes], -1))

    def forward(self, x: Tensor, edge_index: Tensor, edge_attr: Tensor) -> Tensor:
        return self.rows(self.states(x, edge_index, edge_attr), edge_index, edge_attr)


class OfLinks(Classifier):
    """One row for each link; the same, if the links are the edges."""

    def forward(  # type: ignore[override]
        self,
        x: Tensor,
        edge_index: Tensor,
        edge_attr: Tensor,
        edge_label_index: Tensor,
        edge_label_attr: Tensor,
    ) -> Tensor:
        h = self.states(x, edge_index, edge_attr)
        return self.rows(h, edge_label_index, edge_label_attr)


class PutsBack(OfLinks):
    """The same, where a link that is no edge of the graph any more becomes one again."""

    def forward(  # type: ignore[override]
        self,
        x: Tensor,
        edge_index: Tensor,
        edge_attr: Tensor,
        edge_label_index: Tensor,
        edge_label_attr: Tensor,
    ) -> Tensor:
        given = {(*pair, *row) for pair, row in _rows(edge_index, edge_attr)}
        gone = [
            number
            for number, (pair, row) in enumerate(_rows(edge_label_index, edge_label_attr))
            if (*pair, *row) not in given
        ]
        return super().forward(
            x,
            torch.cat([edge_index, edge_label_index[:, gone]], 1),
            torch.cat([edge_attr, edge_label_attr[gone]]),
            edge_label_index,
            edge_label_attr,
        )


def _rows(pairs: Tensor, attributes: Tensor) -> Any:
    return zip(pairs.t().tolist(), attributes.tolist(), strict=True)


def with_links(data: Data) -> Data:
    found = data.clone()
    found.edge_label_index, found.edge_label_attr = data.edge_index, data.edge_attr
    found.edge_label = data.y
    return found


def expect_same(found: Any, expected: Any, *, needs_any: bool = True) -> None:
    for one, other in zip(found, expected, strict=True):
        for name in ("edge_mask", "node_score", "layer_edge_mask"):
            assert (name in one) == (name in other)
            if name in one:
                torch.testing.assert_close(one[name], other[name])
        assert one.local.index == other.local.index
        torch.testing.assert_close(one.local.prediction, other.local.prediction)
    assert not needs_any or any(bool(one.edge_mask.any()) for one in found)


@pytest.mark.parametrize("method", WHITE_BOXES)
def test_edges_are_explained_as_links_between_their_ends(method: str) -> None:
    settings = {"task": "edge", "index": INDEX, "progress": False, **WHITE_BOXES[method]}
    data = graph()
    found = gg.explain(Classifier(), data, method, **settings)
    expect_same(found, gg.explain(OfLinks(), with_links(data), method, **settings))
    out = Classifier()(data.x, data.edge_index, data.edge_attr).softmax(-1).detach()
    for one in found:
        torch.testing.assert_close(one.local.prediction, out[one.local.index])


@pytest.mark.parametrize("method", DELETE_EDGES)
def test_where_edges_are_deleted_the_explained_one_stays(method: str) -> None:
    kind = METHODS[method]
    settings = {**kind.test_settings, "task": "edge", "index": INDEX, "progress": False}
    if issubclass(kind, BlackBoxExplainer):
        settings["num_hops"] = 3
    data = graph()
    found = gg.explain(Classifier(), data, method, **settings)
    expect_same(found, gg.explain(PutsBack(), with_links(data), method, **settings))


@pytest.mark.parametrize("method", REST)
def test_all_other_methods(method: str) -> None:
    """Those that change features, learn, search, or draw at random."""
    kind = METHODS[method]
    found = []
    for model, data in ((Classifier(), graph()), (OfLinks(), with_links(graph()))):
        explainer = kind(model, "edge", progress=False, **kind.test_settings)
        if isinstance(explainer, AmortizedExplainer):
            explainer.fit(data, INDEX)
        found.append(explainer.explain(data, INDEX))
    expect_same(*found, needs_any=False)


def test_fidelity_shuts_the_message_of_the_explained_edge() -> None:
    explainer = gg.EdgeGradients(Classifier(), "edge", progress=False)
    found = fidelity(explainer.explain(graph(), INDEX), Classifier(), graph(), removal="shut")
    explainer = gg.EdgeGradients(OfLinks(), "edge", progress=False)
    data = with_links(graph())
    expected = fidelity(explainer.explain(data, INDEX), OfLinks(), data, removal="shut")
    torch.testing.assert_close(found.plus_prob, expected.plus_prob)
    torch.testing.assert_close(found.minus_prob, expected.minus_prob)


def test_fidelity_deletes_edges_but_the_explained_one() -> None:
    model, data = Classifier(), graph()
    explanations = gg.EdgeGradients(model, "edge", progress=False).explain(data, INDEX)
    found = fidelity(explanations, model, data, sparsity=[0.1], removal="delete")
    for position, one in enumerate(explanations):
        own = one.local.index
        best = one.local.edge_id[one.local.edge_score.argsort(descending=True, stable=True)]
        chosen = torch.zeros(EDGES, dtype=torch.bool)
        chosen[best[: len(best) - int(0.1 * len(best))]] = True
        assert bool(chosen[own])  # "without the best edges" has to leave it there
        before = one.local.prediction[one.local.target]
        for present, drops in ((~chosen, found.plus_prob), (chosen, found.minus_prob)):
            present[own] = True
            out = model(data.x, data.edge_index[:, present], data.edge_attr[present])
            row = int(present[:own].sum())
            after = out[row].softmax(-1)[one.local.target].detach()
            assert float(drops[0, position]) == pytest.approx(float(before - after))


@pytest.mark.parametrize("method", [gg.Saliency, gg.Occlusion, gg.CausalScreening])
def test_laws_hold_for_edges(method: type[gg.Explainer]) -> None:
    names = ["together_is_alone", "edge_order_is_irrelevant", "node_order_is_irrelevant"]
    table = check_explainer(method, Classifier(), graph(), "edge", [LOOP, TWIN, 0], laws=names)
    assert len(table) == len(names)
    assert bool(table.holds.all())


def test_a_method_that_learns_over_all_edges() -> None:
    data, settings = graph(), {"task": "edge", "epochs": 2, "progress": False}
    one = gg.PGExplainer(Classifier(), **settings).fit(data).explain(data, INDEX)
    other = gg.PGExplainer(OfLinks(), **settings).fit(with_links(data))
    expect_same(one, other.explain(with_links(data), INDEX))


class OfData(Classifier):
    def forward(self, data: Data) -> Tensor:  # type: ignore[override]
        return super().forward(data.x, data.edge_index, data.edge_attr)


@pytest.mark.parametrize("check", ["full", "local"])
@pytest.mark.parametrize("how", ["arguments", "data", "call"])
def test_ways_to_call_a_classifier_of_edges(
    how: str, check: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = gg.Saliency(Classifier(), "edge", progress=False).explain(graph(), INDEX)
    call = {"call": lambda model, data: model(data)} if how == "call" else {}
    model = Classifier() if how == "arguments" else OfData()
    for edges in (50_000, 5):
        monkeypatch.setattr(tracing, "_SMALL_GRAPH_EDGES", edges)
        explainer = gg.Saliency(model, "edge", check=check, progress=False, **call)
        expect_same(explainer.explain(graph(), INDEX), expected)


@pytest.mark.parametrize("method", ["saliency", "occlusion", "causal_screening"])
def test_edges_of_several_graphs(method: str) -> None:
    settings = {"task": "edge", "progress": False}
    graphs = [graph(1), graph(0)]
    expected = gg.explain(Classifier(), graphs[1], method, index=INDEX, **settings)
    index = [EDGES + number for number in INDEX]
    for data in (graphs, Batch.from_data_list(graphs)):
        found = gg.explain(Classifier(), data, method, index=index, **settings)
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one.edge_mask, other.edge_mask)


class Centered(Classifier):
    def states(self, x: Tensor, edge_index: Tensor, edge_attr: Tensor) -> Tensor:
        h = super().states(x, edge_index, edge_attr)
        return h - h.mean(0)


class CenteredLinks(Centered, OfLinks):
    forward = OfLinks.forward


@pytest.mark.filterwarnings("ignore::glassgraph.core.told.FallbackWarning")
@pytest.mark.parametrize("method", ["saliency", "occlusion", "gnn_explainer"])
def test_a_classifier_that_needs_the_whole_graph(method: str) -> None:
    settings = {"task": "edge", "index": INDEX, "progress": False, **WHITE_BOXES[method]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        found = gg.explain(Centered(), graph(), method, **settings)
        expected = gg.explain(CenteredLinks(), with_links(graph()), method, **settings)
    expect_same(found, expected)


def test_messages_written_by_hand_beside_a_classifier_of_edges() -> None:
    class ByHand(Classifier):
        def states(self, x: Tensor, edge_index: Tensor, edge_attr: Tensor) -> Tensor:
            h = self.one(self.first(x), edge_index, edge_attr).tanh()
            return h + torch.zeros_like(h).index_add(0, edge_index[1], h[edge_index[0]])

    with pytest.raises(UnseenMessagesError, match="what other nodes send along edges"):
        gg.Saliency(ByHand(), "edge", progress=False).explain(graph(), INDEX)


def test_saved_and_read_again(tmp_path: Path) -> None:
    found = gg.Saliency(Classifier(), "edge", progress=False).explain(graph(), INDEX, "label")
    assert [each.local.target for each in found] == [number % CLASSES for number in INDEX]
    assert [each.local.label for each in found] == [number % CLASSES for number in INDEX]
    loaded = gg.Explanations.load(found.save(tmp_path / "saved"))
    expect_same(loaded, found)


# Which one is meant


def test_data_that_list_links_as_well() -> None:
    """As those of `RandomLinkSplit`: links are meant, unless the task says edges."""
    data = with_links(graph())
    data.edge_label_index = data.edge_label_index[:, :2]
    data.edge_label_attr, data.edge_label = data.edge_label_attr[:2], data.edge_label[:2]
    with pytest.raises(ModelOutputError, match=r"\(31, 3\).*Task\('edge', predicts='edges'\)"):
        gg.Saliency(Classifier(), "edge", progress=False).explain(data)
    task = gg.Task("edge", predicts="edges")
    found = gg.Saliency(Classifier(), task, progress=False).explain(data, INDEX)
    expected = gg.Saliency(Classifier(), "edge", progress=False).explain(graph(), INDEX)
    expect_same(found, expected)
    for removal in ("shut", "delete"):
        one = fidelity(found, Classifier(), data, removal=removal)
        other = fidelity(expected, Classifier(), graph(), removal=removal)
        torch.testing.assert_close(one.plus_prob, other.plus_prob)


@pytest.mark.parametrize("method", ["saliency", "causal_screening"])
def test_a_model_with_other_rows(method: str) -> None:
    class OfNodes(Classifier):
        def forward(self, x: Tensor, edge_index: Tensor, edge_attr: Tensor) -> Tensor:
            return self.states(x, edge_index, edge_attr)

    with pytest.raises(ModelOutputError, match=r"(?s)\(11, 5\).*31 rows.*each edge of the graph"):
        gg.explain(OfNodes(), graph(), method, task="edge", index=[0], progress=False)


def test_words_that_do_not_exist() -> None:
    with pytest.raises(TaskError, match="predicts must be 'links' or 'edges'; got 'rows'"):
        gg.Task("edge", predicts="rows")  # type: ignore[arg-type]
    with pytest.raises(TaskError, match="predicts is for level 'edge'; this is level 'node'"):
        gg.Task("node", predicts="edges")


# Edges by their ends


def ends(number: int) -> tuple[int, int]:
    source, destination = graph().edge_index[:, number].tolist()
    return source, destination


def indices(index: Any) -> list[int]:
    explainer = gg.Saliency(Classifier(), "edge", progress=False)
    return [each.local.index for each in explainer.explain(graph(), index)]


def test_edges_by_their_ends() -> None:
    single = [1, LOOP, 9, 12]
    assert indices([ends(number) for number in single]) == single
    assert indices(torch.tensor([ends(number) for number in single])) == single
    assert indices(graph().edge_index[:, single]) == single
    assert indices([ends(9)]) == [9]
    assert indices([9, 12]) == [9, 12]
    assert indices((9, 12)) == [9, 12]
    assert indices(torch.tensor([[9], [12]])) == [9, 12]  # as nonzero() returns numbers


def test_ends_that_name_no_edge_or_several() -> None:
    source, destination = ends(TWIN)
    with pytest.raises(InstanceError, match=f"2 edges run from .*numbers instead: {TWIN}, 20"):
        indices([(source, destination)])
    with pytest.raises(InstanceError, match="there is no edge from node 99 to node 1"):
        indices([(99, 1), ends(9)])
    with pytest.raises(InstanceError, match="by row or by column"):
        indices(torch.tensor([ends(9), ends(12)]))
    with pytest.raises(InstanceError, match="edge 31 is out of range: there are 31"):
        indices([EDGES])


def test_links_by_their_ends() -> None:
    explainer = gg.Saliency(OfLinks(), "edge", progress=False)
    found = explainer.explain(with_links(graph()), [ends(9), ends(12)])
    assert [each.local.index for each in found] == [9, 12]
