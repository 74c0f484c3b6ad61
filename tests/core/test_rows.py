"""Instances with several rows of output: sentences with a role for each word, say."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Batch, Data, HeteroData
from torch_geometric.nn import GCNConv, GraphConv, HeteroConv, SAGEConv

import glassgraph as gg
from glassgraph.core.told import FallbackWarning
from glassgraph.errors import (
    GraphError,
    InstanceError,
    LabelsMissingError,
    ModelOutputError,
    TargetError,
    TaskError,
)
from glassgraph.inputs import task as tasks
from glassgraph.metrics.fidelity import fidelity
from glassgraph.report.payload import build_payload

CLASSES = 3
SIZES = (4, 6, 3)


class Tagger(nn.Module):
    """A class for each node; for the listed ones alone if it is told to ``pick``."""

    def __init__(self, pick: bool = False) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.one, self.two = GraphConv(3, 5), GraphConv(5, CLASSES)
        self.pick = pick
        self.double()

    def forward(self, x: Tensor, edge_index: Tensor, token_index: Tensor | None = None) -> Tensor:
        out: Tensor = self.two(self.one(x, edge_index).tanh(), edge_index)
        return out[token_index] if self.pick else out


def sentence(size: int, listed: list[int] | None = None) -> Data:
    draw = torch.Generator().manual_seed(size)
    edges = torch.randint(size, (2, 2 * size), generator=draw)
    data = Data(
        x=torch.randn(size, 3, generator=draw).double(),
        edge_index=edges,
        y=torch.randint(CLASSES, (size,), generator=draw),
    )
    data.token_index = torch.tensor([size - 1, 0] if listed is None else listed)
    return data


def sentences() -> list[Data]:
    return [sentence(size) for size in SIZES]


def batch_of(task: gg.Task, index: Any = None, model: nn.Module | None = None, **given: Any) -> Any:
    """All instances in one batch."""
    explainer = gg.Random(model or Tagger(), task, progress=False)
    preparation = explainer.prepare(given.get("data") or sentences())
    found = list(preparation.batches(preparation.instances(index), given.get("target"), None))
    assert len(found) == 1
    return found[0][1]


def literal_rows(graph: Data, model: nn.Module | None = None) -> Tensor:
    out: Tensor = (model or Tagger())(graph.x, graph.edge_index)
    return out.detach()


# What is explained


def test_the_score_is_the_sum_of_rows_and_the_loss_their_mean() -> None:
    batch = batch_of(gg.Task("graph", rows="nodes"), [2, 0])
    graphs = [sentences()[i] for i in (2, 0)]
    rows = [literal_rows(graph) for graph in graphs]
    torch.testing.assert_close(batch.reference, torch.cat(rows))
    best = torch.stack([each.max(dim=1).values.sum() for each in rows])
    torch.testing.assert_close(batch.score().detach(), best)
    nll = torch.stack([-each.log_softmax(1).max(dim=1).values.mean() for each in rows])
    torch.testing.assert_close(batch.loss().detach(), nll)


def test_stays_asks_for_all_rows_and_decisions_are_of_each() -> None:
    batch = batch_of(gg.Task("graph", rows="nodes"), [0, 1])
    output = batch.reference.clone()
    output[1] = -output[1]  # another class for one word of the first sentence
    decided = tasks.decision(batch.task, output, batch.targets)
    assert decided.tolist() == [i != 1 for i in range(10)]
    assert tasks.stays(batch.task, output, batch.targets, batch.reference, 0).tolist() == [
        False,
        True,
    ]


@pytest.mark.parametrize("pick", [False, True], ids=["every node", "listed nodes"])
def test_rows_of_listed_nodes_in_their_order(pick: bool) -> None:
    batch = batch_of(gg.Task("graph", rows="token_index"), [1, 0], Tagger(pick))
    expected = torch.cat([literal_rows(graph)[graph.token_index] for graph in sentences()[1::-1]])
    torch.testing.assert_close(batch.reference, expected)


def test_a_mask_lists_nodes_too() -> None:
    data = sentences()
    for graph in data:
        graph.is_token = torch.arange(int(graph.num_nodes or 0)) % 2 == 0
    batch = batch_of(gg.Task("graph", rows="is_token"), data=data)
    expected = torch.cat([literal_rows(graph)[graph.is_token] for graph in data])
    torch.testing.assert_close(batch.reference, expected)


@pytest.mark.parametrize("form", ["list", "Batch", "one Data with batch"])
def test_several_graphs_in_every_form(form: str) -> None:
    data: Any = sentences()
    joined = Batch.from_data_list(data)
    if form == "Batch":
        data = joined
    elif form != "list":
        data = Data(x=joined.x, edge_index=joined.edge_index, batch=joined.batch, y=joined.y)
        data.token_index = joined.token_index
    for rows in ("token_index", "nodes"):
        if form == "one Data with batch" and rows == "nodes":
            with pytest.raises(GraphError, match=r"give a list of graphs, or .*Batch"):
                batch_of(gg.Task("graph", rows=rows), [2, 0], data=data)
            del data.token_index  # which graph's is what?
        batch = batch_of(gg.Task("graph", rows=rows), [2, 0], data=data)
        graphs = [sentences()[i] for i in (2, 0)]
        picked = [slice(None) if rows == "nodes" else each.token_index for each in graphs]
        expected = [literal_rows(g)[p] for g, p in zip(graphs, picked, strict=True)]
        torch.testing.assert_close(batch.reference, torch.cat(expected))


def test_a_single_graph_is_one_instance() -> None:
    graph = sentence(5)
    found = gg.EdgeGradients(Tagger(), gg.Task("graph", rows="nodes"), progress=False).explain(
        graph
    )
    assert len(found) == 1
    assert found.local(0).prediction.shape == (5, CLASSES)


class Typed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            relations = [
                ("word", "next", "word"),
                ("doc", "has", "word"),
                ("word", "in", "doc"),
            ]
            self.conv = HeteroConv({name: SAGEConv(3, CLASSES) for name in relations})

    def forward(self, x_dict: Any, edge_index_dict: Any) -> Any:
        return self.conv(x_dict, edge_index_dict)


def typed(size: int) -> HeteroData:
    draw = torch.Generator().manual_seed(size)
    data = HeteroData()
    data["word"].x, data["doc"].x = torch.randn(size, 3, generator=draw), torch.ones(1, 3)
    data["word"].y = torch.arange(size) % CLASSES
    line = torch.arange(size)
    data["word", "next", "word"].edge_index = torch.stack([line[:-1], line[1:]])
    data["doc", "has", "word"].edge_index = torch.stack([0 * line, line])
    data["word", "in", "doc"].edge_index = torch.stack([line, 0 * line])
    return data


def test_rows_of_one_type_of_nodes() -> None:
    data = [typed(4), typed(3)]
    task = gg.Task("graph", rows="nodes", node_type="word")
    found = gg.Occlusion(Typed(), task, progress=False).explain(data, target="label")
    for graph, local in zip(data, map(found.local, range(2)), strict=True):
        out = Typed()(graph.x_dict, graph.edge_index_dict)["word"]
        torch.testing.assert_close(local.prediction, out.softmax(1).detach())
        rows = local.rows
        assert rows is not None
        assert rows["target"].tolist() == rows["label"].tolist() == graph["word"].y.tolist()


# One row is a node task; many are the sum


SAME = (
    "saliency",
    "edge_gradients",
    "occlusion",
    "integrated_gradients",
    "gnn_lrp",
    "lrp",
)


@pytest.mark.parametrize("name", SAME)
def test_one_row_is_the_explanation_of_its_node(name: str) -> None:
    graph = sentence(6)
    del graph.token_index
    settings = {"tolerance": 1e9} if name == "integrated_gradients" else {}
    rows = gg.explain(
        Tagger(),
        [graph],
        method=name,
        task=gg.Task("graph", rows="nodes"),
        index=[(0, 4), (0, 1)],
        progress=False,
        **settings,
    )
    nodes = gg.explain(
        Tagger(), graph, method=name, task="node", index=[4, 1], progress=False, **settings
    )
    compared = 0
    for row, node in zip(rows, nodes, strict=True):
        for key in ("edge_mask", "node_mask", "node_score"):
            if key in row and key in node:
                torch.testing.assert_close(row[key], node[key], rtol=1e-9, atol=1e-12)
                compared += 1
        assert row.local.target == node.local.target
    assert compared


@pytest.mark.parametrize("name", ["edge_gradients", "occlusion", "integrated_gradients"])
def test_the_explanation_of_a_graph_is_the_sum_over_its_rows(name: str) -> None:
    settings = {"steps": 20, "tolerance": 1e9} if name == "integrated_gradients" else {}
    task = gg.Task("graph", rows="nodes")

    def explained(index: Any) -> gg.Explanations:
        return gg.explain(
            Tagger(),
            sentences(),
            method=name,
            task=task,
            index=index,
            target=1,
            progress=False,
            **settings,
        )

    (whole,) = explained([1])
    single = list(explained([(1, row) for row in range(6)]))
    key = "edge_mask" if "edge_mask" in whole else "node_mask"
    torch.testing.assert_close(whole[key], sum(each[key] for each in single))


def test_fidelity_is_that_of_a_loop_over_rows() -> None:
    data = sentences()
    found = gg.Occlusion(Tagger(), gg.Task("graph", rows="nodes"), progress=False).explain(data)
    result = fidelity(found, Tagger(), data, top_k=3, removal="delete")
    for i, graph in enumerate(data):
        local = found.local(i)
        assert local.edge_score is not None
        best = local.edge_id[local.edge_score.argsort(descending=True, stable=True)[:3]]
        keep = torch.ones(graph.num_edges, dtype=torch.bool)
        keep[best] = False
        before = literal_rows(graph).softmax(1)
        after = Tagger()(graph.x, graph.edge_index[:, keep]).detach().softmax(1)
        chosen = before.argmax(1, keepdim=True)
        torch.testing.assert_close(
            result.plus_prob[0, i], (before - after).gather(1, chosen).mean()
        )
        lost = (after.argmax(1, keepdim=True) != chosen).double().mean()
        torch.testing.assert_close(result.plus_acc[0, i], lost)


# Targets and labels


def test_targets_of_all_rows_of_each_and_of_none() -> None:
    task, data = gg.Task("graph", rows="nodes"), sentences()
    rows = sum(SIZES)

    def chosen(target: Any) -> list[int]:
        return batch_of(task, data=data, target=target).targets.chosen.tolist()

    assert chosen("label") == torch.cat([graph.y for graph in data]).tolist()
    assert chosen(2) == [2] * rows
    assert chosen(torch.tensor([0, 2, 1])) == [0] * 4 + [2] * 6 + [1] * 3
    each = torch.arange(rows) % CLASSES
    assert chosen(each) == each.tolist()
    with pytest.raises(TargetError, match="for each of 3 instances, or for each of their 13 rows"):
        chosen(torch.zeros(5, dtype=torch.long))
    contrast = batch_of(task, data=data, target=(0, 2))
    difference = contrast.reference[:, 0] - contrast.reference[:, 2]
    expected = torch.stack([part.sum() for part in difference.split(SIZES)])
    torch.testing.assert_close(contrast.score().detach(), expected.detach())


def test_labels_of_the_listed_rows_or_of_all_nodes() -> None:
    task, data = gg.Task("graph", rows="token_index"), sentences()
    expected = torch.cat([graph.y[graph.token_index] for graph in data]).tolist()
    assert batch_of(task, data=data, target="label").targets.chosen.tolist() == expected
    for graph in data:
        graph.y = graph.y[graph.token_index]
    assert batch_of(task, data=data, target="label").targets.chosen.tolist() == expected


def test_a_row_without_a_label_is_named() -> None:
    data = sentences()
    data[1].y[2] = -1
    with pytest.raises(LabelsMissingError, match="row 2 of graph 1 has no label"):
        batch_of(gg.Task("graph", rows="nodes"), data=data, target="label")
    found = gg.EdgeGradients(Tagger(), gg.Task("graph", rows="nodes"), progress=False).explain(data)
    rows = found.local(1).rows
    assert rows is not None
    assert rows["label"].tolist() == data[1].y.tolist()


# Results


def test_results_keep_rows_through_files(tmp_path: Path) -> None:
    data, task = sentences(), gg.Task("graph", rows="token_index")
    made = gg.EdgeGradients(Tagger(), task, progress=False).explain(data, index=[2, 0])
    made.save(tmp_path / "found")
    found = gg.Explanations.load(tmp_path / "found")
    for position, graph in enumerate([data[2], data[0]]):
        local = found.local(position)
        rows = local.rows
        assert rows is not None
        assert local.node_id[rows["node"]].tolist() == graph.token_index.tolist()
        expected = literal_rows(graph)[graph.token_index].softmax(1)
        torch.testing.assert_close(local.prediction, expected)
        assert rows["target"].tolist() == expected.argmax(1).tolist()
        assert found[position].target.tolist() == rows["target"].tolist()
        assert found[position].validate()
    frame = found.table("rows")
    assert {"row", "node", "target", "label"} <= set(frame.columns)
    assert len(frame) == 4
    run = build_payload([found], [], "rows")["instances"][0]["runs"][0]
    assert [row[0] for row in run["rows"]] == [str(node) for node in data[2].token_index.tolist()]
    assert [row[3] for row in run["rows"]] == found[0].target.tolist()
    assert run["prediction"] == []


def test_a_run_is_resumed(tmp_path: Path) -> None:
    task, data = gg.Task("graph", rows="nodes"), sentences()
    explainer = gg.EdgeGradients(Tagger(), task, progress=False, memory_budget=1)
    whole = explainer.explain(data, save_to=tmp_path / "run")
    again = explainer.explain(data, save_to=tmp_path / "run", resume=True)
    for one, other in zip(whole, again, strict=True):
        assert torch.equal(one.edge_mask, other.edge_mask)


# Mistakes


@pytest.mark.parametrize(
    ("change", "rows", "index", "error", "words"),
    [
        (None, "nodes", [(0, 4)], InstanceError, "row 4 of graph 0 is out of range: it has 4 rows"),
        (None, "nodes", [(3, 0), (1, 1), (0, 0)], InstanceError, "graph 3 is out of range"),
        (None, "nodes", [5], InstanceError, "graph 5 is out of range"),
        (None, "words", None, GraphError, "data.words.*there is none"),
        (
            lambda g: g.update({"token_index": torch.tensor([0, 9])}),
            "token_index",
            None,
            GraphError,
            "token_index names node",
        ),
        (
            lambda g: g.update({"spans": torch.tensor([0])}),
            "spans",
            None,
            GraphError,
            "rename it, to spans_index",
        ),
        (
            lambda g: g.update({"token_index": torch.tensor([0.5])}),
            "token_index",
            None,
            GraphError,
            "float32",
        ),
    ],
    ids=["row", "graph of pairs", "graph", "no list", "no node", "no index", "no numbers"],
)
def test_mistakes_have_words(
    change: Callable[[Data], Any] | None,
    rows: str,
    index: Any,
    error: type[Exception],
    words: str,
) -> None:
    data = sentences()
    for graph in data:
        if change is not None:
            change(graph)
    with pytest.raises(error, match=words):
        batch_of(gg.Task("graph", rows=rows), index, data=data)


def test_a_graph_that_lists_nothing_is_named() -> None:
    data = [sentence(4), sentence(3, listed=[])]
    data[1].token_index = data[1].token_index.long()
    task = gg.Task("graph", rows="token_index")
    with pytest.raises(InstanceError, match="graph 1 has no rows to explain"):
        batch_of(task, data=data)
    assert batch_of(task, [0], data=data).num_instances == 1


def test_wrong_numbers_of_rows_are_refused() -> None:
    class Pools(Tagger):
        def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:  # type: ignore[override]
            return super().forward(x, edge_index)[:2]

    with pytest.raises(ModelOutputError, match=r"returned 2 rows; .*needs .* one for each node"):
        batch_of(gg.Task("graph", rows="nodes"), model=Pools())
    with pytest.raises(
        ModelOutputError, match=r"say task=glassgraph.Task\('graph', rows='nodes'\)"
    ):
        batch_of(gg.Task("graph"), model=Tagger())


def test_an_order_that_cannot_be_told_is_refused() -> None:
    data = [sentence(3, listed=[2, 0, 1])]
    with pytest.raises(ModelOutputError, match="in another order"):
        batch_of(gg.Task("graph", rows="token_index"), model=Tagger(pick=True), data=data)


def test_rows_are_a_matter_of_graphs() -> None:
    with pytest.raises(TaskError, match="rows is for level 'graph'"):
        gg.Task("node", rows="nodes")
    with pytest.raises(TaskError, match="rows must be"):
        gg.Task("graph", rows=3)  # type: ignore[arg-type]


# Lists of nodes


class Reads(nn.Module):
    """A graph's value from the nodes that its data list."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(1)
            self.conv = GCNConv(3, 2)
        self.double()

    def forward(self, x: Tensor, edge_index: Tensor, token_index: Tensor, batch: Tensor) -> Tensor:
        h = self.conv(x, edge_index)[token_index]
        out = h.new_zeros(int(batch.max()) + 1, 2)
        return out.index_add(0, batch[token_index], h)


def test_graphs_that_list_nodes_lie_side_by_side() -> None:
    data = [sentence(size, list(range(0, size, 2))) for size in (5, 3, 8, 4)]
    model = Reads()
    with warnings.catch_warnings():
        warnings.simplefilter("error", FallbackWarning)
        found = gg.EdgeGradients(model, "graph", progress=False).explain(data, index=[2, 0, 3])
    for position, number in enumerate((2, 0, 3)):
        (alone,) = gg.EdgeGradients(model, "graph", progress=False).explain([data[number]])
        torch.testing.assert_close(found[position].edge_mask, alone.edge_mask)


def test_lists_are_shifted_as_pyg_shifts_them() -> None:
    class Pairs(Data):
        def __inc__(self, key: str, value: Any, *args: Any) -> Any:
            if key == "pair_index":
                return torch.tensor([[self.num_nodes], [2]])
            return super().__inc__(key, value, *args)

    data = []
    for size, count in ((3, 2), (5, 4), (2, 1)):
        graph = Pairs(x=torch.rand(size, 3), edge_index=torch.zeros(2, 1, dtype=torch.long))
        first = torch.arange(count) % size
        graph.pair_index = torch.stack([first, torch.arange(count) % 2])
        graph.face = torch.arange(3).view(3, 1) % size
        data.append(graph)
    from glassgraph.inputs.graph import TypedGraph
    from glassgraph.inputs.lists_of_nodes import lists_of_nodes

    graph = TypedGraph.read(data)
    for order in itertools.product(range(3), repeat=2):
        expected: Any = Batch.from_data_list([data[i] for i in order])
        for key in ("pair_index", "face"):
            found = lists_of_nodes(graph, None, key, torch.tensor(order))
            assert found is not None
            assert torch.equal(found, expected[key])
