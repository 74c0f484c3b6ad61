"""How results show themselves: in a line, as a picture, as others' objects, in trackers."""

from __future__ import annotations

import sys
import types
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import networkx as nx
import pytest
import torch
from torch_geometric.data import Data, HeteroData
from torch_geometric.nn import GCN, HeteroConv, SAGEConv

import glassgraph as gg
from glassgraph.errors import HyperParameterError, MissingExtraError, OutputError
from glassgraph.report.picture import MAX_EDGES, MAX_NODES
from glassgraph.results.tracking import numbers_of

NASTY = ["<script>alert(1)</script>", "a\"b'c", "&amp;", "]]>", "Zoë → 7"]


def explained(names: list[str] | None = None) -> gg.Explanations:
    """Five nodes, two parallel edges, a self-loop."""
    edges = torch.tensor([[0, 1, 1, 2, 3, 1], [1, 2, 2, 3, 4, 1]])
    data = Data(x=torch.eye(5), edge_index=edges)
    torch.manual_seed(0)
    model = GCN(5, 7, 2, 3)
    found = gg.explain(model, data, "saliency", task="node", index=[2, 4], progress=False)
    return found if names is None else found.named(node_names=names)


class Typed(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        convs = {
            ("a", "to", "b"): SAGEConv((3, 2), 4),
            ("b", "back", "a"): SAGEConv((2, 3), 4),
        }
        self.conv = HeteroConv(convs)

    def forward(self, x_dict: Any, edge_index_dict: Any) -> Any:
        return self.conv(x_dict, edge_index_dict)["b"]


def typed() -> gg.Explanations:
    data = HeteroData()
    data["a"].x, data["b"].x = torch.rand(3, 3), torch.rand(2, 2)
    data["a", "to", "b"].edge_index = torch.tensor([[0, 1, 2], [0, 0, 1]])
    data["b", "back", "a"].edge_index = torch.tensor([[0], [1]])
    return gg.Saliency(Typed(), gg.Task("node", node_type="b"), progress=False).explain(data, [0])


def test_reprs_are_short_and_hold_no_tensor() -> None:
    found = explained()
    model, data = GCN(5, 7, 2, 3), Data(x=torch.eye(5), edge_index=torch.tensor([[0], [1]]))
    metrics = gg.metrics.fidelity(
        gg.explain(model, data, "saliency", task="node", progress=False), model, data
    )
    shown: list[Any] = [found, found[0], found.local(0), found.parts[0], metrics, typed()[0]]
    shown += [gg.datasets.load_dataset("tree-cycles"), gg.GNNExplainer(model, epochs=3)]
    for each in shown:
        text = repr(each)
        assert "tensor(" not in text, text
        assert len(text) < 900, text
    assert repr(found.local(0)).startswith("LocalExplanation(index=2, graph=0, target=")
    assert "walks" not in repr(found.local(0))
    assert "epochs=3" in repr(gg.GNNExplainer(model, epochs=3))


def test_a_picture_is_well_formed_whatever_names_say() -> None:
    found = explained(NASTY)
    for text in (found[0]._repr_html_(), found.local(0)._repr_html_()):
        root = ET.fromstring(text)
        assert "<script" not in text
        words = [each.text for each in root.iter("{http://www.w3.org/2000/svg}text")]
        assert "a\"b'c" in words
        kinds = [each.tag.split("}")[1] for each in root.iter()]
        assert kinds.count("line") == found.local(0).edge_index.size(1) - 1
    assert "<svg" in found[:1]._repr_html_()
    assert "<svg" not in found._repr_html_()
    assert "b 0" in typed()[0]._repr_html_()


def test_on_two_types_only_the_explained_node_is_marked() -> None:
    root = ET.fromstring(typed()[0]._repr_html_())
    fills = [each.get("fill") for each in root.iter("{http://www.w3.org/2000/svg}circle")]
    assert fills.count("#009e73") == 1


def test_a_picture_of_a_huge_field_is_bounded() -> None:
    count = 3001
    edges = torch.stack([torch.arange(1, count), torch.zeros(count - 1, dtype=torch.long)])
    data = Data(x=torch.rand(count, 2), edge_index=edges)
    found = gg.explain(GCN(2, 3, 1, 2), data, "saliency", task="node", index=[0], progress=False)
    text = found[0]._repr_html_()
    root = ET.fromstring(text)
    kinds = [each.tag.split("}")[1] for each in root.iter()]
    assert kinds.count("line") <= MAX_EDGES
    assert kinds.count("circle") <= MAX_NODES
    assert f"{count - 1 - kinds.count('line'):,} weaker edges are not drawn" in text
    assert len(text) < 30_000


def test_networkx_and_back() -> None:
    found = explained(NASTY)
    for position, explanation in enumerate(found):
        local, graph = found.local(position), explanation.to_networkx()
        assert isinstance(graph, nx.MultiDiGraph)
        assert sorted(graph) == sorted(local.node_id.tolist())
        back = sorted(
            (each["edge_id"], s, d, each["score"]) for s, d, each in graph.edges(data=True)
        )
        ends = local.node_id[local.edge_index].t().tolist()
        wanted = [
            (edge, *pair, score)
            for edge, pair, score in zip(
                local.edge_id.tolist(), ends, local.edge_score.tolist(), strict=True
            )
        ]
        assert back == sorted(wanted)
        for node in graph:
            assert graph.nodes[node]["name"] == NASTY[node]
    graph = found[0].to_networkx()
    assert graph.number_of_edges(1, 2) == 2
    assert graph.has_edge(1, 1)
    graph = typed()[0].to_networkx()
    assert graph.nodes["a", 0]["node_type"] == "a"
    kinds = {(s[0], each["edge_type"], d[0]) for s, d, each in graph.edges(data=True)}
    assert {(source, end) for source, _, end in kinds} == {("a", "b")}


class Stub(types.ModuleType):
    """Remembers every call."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.calls: list[tuple[str, Any]] = []
        self.run: Any = object()

    def Table(self, dataframe: Any) -> Any:  # noqa: N802 - wandb's name
        return dataframe

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *args, **more: self.calls.append((name, (*args, more)))


ROWS = [{"method": "saliency", "auc": 0.75, "fidelity_plus@0.7": 0.5, "ap": None, "complete": True}]


def test_trackers_get_numbers_and_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    found = explained()
    numbers = {
        "saliency/explanations": 2.0,
        "saliency/auc": 0.75,
        "saliency/fidelity_plus_at_0.7": 0.5,
    }
    assert (
        numbers_of([*ROWS, {"method": "other", "auc": 1.0}], "saliency")
        | {"saliency/explanations": 2.0}
        == numbers
    )
    wandb, mlflow, writer = Stub("wandb"), Stub("mlflow"), Stub("writer")
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    monkeypatch.setitem(sys.modules, "mlflow", mlflow)
    found.log_to("wandb", ROWS, step=3)
    ((_, (logged, more)),) = wandb.calls
    assert logged.pop("saliency/edges").equals(found.to_frame())
    assert (logged, more) == (numbers, {"step": 3})
    found.log_to("mlflow", ROWS, step=3)
    assert mlflow.calls[0] == ("log_metrics", (numbers, {"step": 3}))
    assert mlflow.calls[1][1][1] == "saliency/edges.json"
    found.log_to("tensorboard", ROWS, step=3, writer=writer)
    said = {args[0]: args[1] for name, args in writer.calls if name == "add_scalar"}
    assert said == numbers
    wandb.run = None
    with pytest.raises(OutputError, match=r"wandb\.init"):
        found.log_to("wandb")


def test_trackers_that_are_unknown_or_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    found = explained()
    with pytest.raises(HyperParameterError, match="did you mean 'tensorboard'"):
        found.log_to("tensor_bord")
    with pytest.raises(HyperParameterError, match="writer is TensorBoard's"):
        found.log_to("wandb", writer=1)
    for name in ("wandb", "mlflow", "polars", "torch.utils.tensorboard"):
        monkeypatch.setitem(sys.modules, name, None)
    for name in ("wandb", "mlflow", "tensorboard"):
        with pytest.raises(MissingExtraError, match=f"pip install {name}"):
            found.log_to(name)
    with pytest.raises(MissingExtraError, match="pip install polars"):
        found.to_polars()


def test_polars_holds_the_same_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    stub = types.ModuleType("polars")
    stub.DataFrame = dict  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "polars", stub)
    found = explained(NASTY)
    frame = found.to_frame()
    assert dict(found.to_polars()) == {name: frame[name].tolist() for name in frame}


def test_polars_itself() -> None:
    """Where it is installed, as in the environment of the oldest versions."""
    polars = pytest.importorskip("polars")
    found = explained(NASTY)
    frame, table = found.to_frame(), found.to_polars()
    assert isinstance(table, polars.DataFrame)
    assert {name: table[name].to_list() for name in table.columns} == {
        name: frame[name].tolist() for name in frame
    }
    assert found[:0].to_polars().shape == found[:0].to_frame().shape


def test_tensorboard_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What TensorBoard reads back is what was logged."""
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    monkeypatch.chdir(tmp_path)
    explained().log_to("tensorboard", ROWS, step=3)
    (run,) = (tmp_path / "runs").iterdir()
    found = reader.EventAccumulator(str(run)).Reload()
    told = {tag: found.Scalars(tag)[0] for tag in found.Tags()["scalars"]}
    assert {tag: (each.value, each.step) for tag, each in told.items()} == {
        "saliency/explanations": (2.0, 3),
        "saliency/auc": (0.75, 3),
        "saliency/fidelity_plus_at_0.7": (0.5, 3),
    }


def test_one_set_of_explanations_is_measured_as_a_list_of_one() -> None:
    data = Data(x=torch.eye(3), edge_index=torch.tensor([[0, 1], [1, 2]]))
    model = GCN(3, 7, 2, 3)
    found = gg.explain(model, data, "saliency", task="node", progress=False)
    one: Any = gg.metrics.evaluate(found, model, data)
    assert one == gg.metrics.evaluate([found], model, data)
