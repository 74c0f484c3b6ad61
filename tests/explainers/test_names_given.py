"""Names as arguments of `explain`: what fits, what is refused, what stays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Batch, Data, HeteroData
from torch_geometric.nn import GCN, GCNConv, SAGEConv, to_hetero

import glassgraph as gg
from glassgraph.errors import GraphError, HyperParameterError, ResumeError

EDGES = torch.tensor([[0, 1, 2, 3], [1, 2, 3, 4]])


def graph(**more: Any) -> Data:
    return Data(x=torch.rand(5, 3), edge_index=EDGES, **more)


def explained(data: Any, model: Any = None, method: str = "saliency", **more: Any) -> Any:
    return gg.explain(model or GCN(3, 4, 2, 2), data, method, progress=False, **more)


def typed(**more: Any) -> HeteroData:
    data = HeteroData(author={"x": torch.rand(2, 3)}, paper={"x": torch.rand(3, 5)})
    data["author", "writes", "paper"].edge_index = torch.tensor([[0, 1], [0, 1]])
    data["paper", "cites", "paper"].edge_index = torch.tensor([[0, 1], [1, 2]])
    data["paper", "has", "author"].edge_index = torch.tensor([[0], [1]])
    for key, value in more.items():
        data[key] = value
    return data


def of_types(data: HeteroData) -> nn.Module:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = SAGEConv((-1, -1), 4), SAGEConv((-1, -1), 2)

        def forward(self, x, edge_index):  # PyG 2.6 traces no annotations that are text
            return self.two(self.one(x, edge_index), edge_index)

    class Papers(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = to_hetero(Net(), data.metadata())

        def forward(self, x_dict: Any, edge_index_dict: Any) -> Tensor:
            out: Tensor = self.net(x_dict, edge_index_dict)["paper"]
            return out

    model = Papers()
    with torch.no_grad():
        model(data.x_dict, data.edge_index_dict)
    return model


@pytest.mark.parametrize(
    "form", [list, tuple, np.array, pd.Index, pd.Series, lambda words: dict(enumerate(words))]
)
def test_lists_in_every_form(form: Any) -> None:
    names = {
        "node_names": list("abcde"),
        "feature_names": ["x", "y", "z"],
        "class_names": ["no", "yes"],
    }
    found = explained(graph(), index=[2], **{key: form(words) for key, words in names.items()})
    local = found.local(0)
    assert local.node_names == ["a", "b", "c"]
    assert local.feature_names == ["x", "y", "z"]
    assert local.class_names == ["no", "yes"]
    assert (local.title, local.target_name) == ("c", ["no", "yes"][local.target])


@pytest.mark.parametrize(
    ("names", "kind", "words"),
    [
        ({"node_names": ["a"]}, GraphError, "1 entries; expected one value for each of the 5"),
        ({"node_names": {9: "a"}}, GraphError, "0 to 4; got the keys 9"),
        ({"edge_names": ["a"]}, GraphError, "1 entries; expected one value for each of the 4"),
        ({"feature_names": ["a", "b"]}, GraphError, "2 entries; expected 3"),
        ({"feature_names": "abc"}, GraphError, "words"),
        ({"feature_names": {"paper": ["a"]}}, GraphError, "got the keys 'paper'"),
        ({"class_names": ["a", "b", "c"]}, GraphError, "3 entries; expected 2"),
        ({"class_names": [0, 1]}, GraphError, "words"),
        ({"graph_names": ["a", "b"]}, GraphError, "2 entries; expected 1"),
        ({"node_name": ["a"]}, HyperParameterError, "node_name"),
    ],
)
@pytest.mark.filterwarnings("ignore::glassgraph.explainers.amortized.HindsightWarning")
@pytest.mark.parametrize("method", ["saliency", "causal_screening", "pg_explainer"])
def test_names_that_do_not_fit(
    names: dict[str, Any], kind: type[Exception], words: str, method: str
) -> None:
    more: Any = {"pg_explainer": {"epochs": 1}}.get(method, {})
    with pytest.raises(kind, match=words):
        explained(graph(), method=method, index=[2], **names, **more)


def test_an_explainer_says_which_name_was_meant() -> None:
    with pytest.raises(HyperParameterError, match="did you mean 'node_names'"):
        gg.Saliency(GCN(3, 4, 2, 2), progress=False).explain(graph(), node_name=["a"])


def test_types_have_features_of_their_own() -> None:
    data = typed()
    names = {"paper": ["year", "pages", "c", "d", "e"], "author": ["age", "h", "i"]}
    model = of_types(data)
    found = explained(data, model, node_type="paper", index=[1], feature_names=names)
    assert found.local(0).feature_names == names
    assert found.local(0).title == "paper 1"
    for wrong, words in (
        ({"author": ["age"]}, "feature_names of 'author' has 1 entries; expected 3"),
        ({"paper ": ["age"]}, "got the keys 'paper '"),
        (["a", "b", "c"], "dictionary by node type.*got a list"),
    ):
        with pytest.raises(GraphError, match=words):
            explained(data, model, node_type="paper", index=[1], feature_names=wrong)


def test_unknown_types_are_refused() -> None:
    data = typed()
    model = of_types(data)
    for names in ({"node_names": {"writer": ["a"]}}, {"edge_names": {"wrote": "a"}}):
        with pytest.raises(GraphError, match="the graph has the types"):
            explained(data, model, node_type="paper", index=[1], **names)


def test_some_relations_have_a_word_and_some_have_many() -> None:
    data = typed()
    names: Any = {"cites": "builds on", ("author", "writes", "paper"): ["first", "last"]}
    found = explained(data, of_types(data), node_type="paper", edge_names=names)
    words = set(found.to_frame().edge_name)
    assert words == {"first", "last", "builds on", "paper__has__author"}


def test_what_the_data_say() -> None:
    data = graph(feature_names=["x", "y", "z"], class_names=["no", "yes"])
    local = explained(data, index=[2]).local(0)
    assert (local.feature_names, local.class_names) == (["x", "y", "z"], ["no", "yes"])
    other = graph(feature_names=["x", "y"], class_names=["no", "yes", "perhaps"])
    local = explained(other, index=[2]).local(0)
    assert (local.feature_names, local.class_names) == (None, None)
    both = explained(data, index=[2], feature_names=["1", "2", "3"]).local(0)
    assert both.feature_names == ["1", "2", "3"]


@pytest.mark.parametrize("given", [list, Batch.from_data_list])
def test_what_several_graphs_say(given: Any) -> None:
    graphs = [graph(feature_names=["x", "y", "z"]), graph(feature_names=["x", "y", "z"])]
    found = explained(given(graphs), _pooled(), task="graph", graph_names=["one", "two"])
    assert found.local(1).feature_names == ["x", "y", "z"]
    assert [found.local(i).title for i in range(2)] == ["one", "two"]
    graphs[1].feature_names = ["z", "y", "x"]
    assert explained(given(graphs), _pooled(), task="graph").local(1).feature_names is None


def test_types_say_what_their_features_are() -> None:
    data = typed()
    data["author"].feature_names = ["age", "h", "i"]
    found = explained(data, of_types(data), node_type="paper", index=[1])
    assert found.local(0).feature_names == {"author": ["age", "h", "i"]}


def test_steps_of_features_are_counted() -> None:
    class Steps(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = GCNConv(6, 2)

        def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
            return self.conv(x.flatten(1), edge_index)

    data = Data(x=torch.rand(5, 2, 3), edge_index=EDGES)
    words = ["speed, step 0", "speed, step 1", "speed, step 2"]
    bare = explained(data, Steps(), index=[2]).local(0)
    assert bare.feature_score is not None
    assert bare.feature_score.size(1) == 6
    assert bare.feature_names == [f"feature {f}, step {t}" for f in range(2) for t in range(3)]
    named = explained(data, Steps(), index=[2], feature_names=["speed", ""]).local(0)
    assert named.feature_names == words + [f"feature 1, step {t}" for t in range(3)]
    each = explained(data, Steps(), index=[2], feature_names=list("abcdef")).local(0)
    assert each.feature_names == list("abcdef")
    with pytest.raises(GraphError, match="4 entries; expected 2"):
        explained(data, Steps(), index=[2], feature_names=list("abcd"))


@pytest.mark.parametrize("include_graph", [True, False])
def test_names_come_back_from_files(tmp_path: Path, include_graph: bool) -> None:
    data = graph(words=list("abcde"), class_names=["no", "yes"])
    data.edge_names = np.array(list("pqrs"))
    found = explained(data, index=[1, 2, 4], feature_names=["x", "y", "z"], graph_names=["G"])
    loaded = gg.Explanations.load(found[1:].save(tmp_path, include_graph=include_graph))
    again = gg.Explanations.load(loaded.save(tmp_path / "again", include_graph=include_graph))
    for position in range(2):
        before, after = found.local(position + 1), again.local(position)
        for name in (
            "node_names",
            "edge_names",
            "feature_names",
            "class_names",
            "graph_name",
            "title",
            "target_name",
        ):
            assert getattr(before, name) == getattr(after, name) is not None


def test_a_run_that_is_saved_keeps_names_and_is_resumed_with_them(tmp_path: Path) -> None:
    model, data = GCN(3, 4, 2, 2), graph()
    names: Any = {"node_names": list("abcde"), "class_names": ["no", "yes"]}
    explained(data, model, index=[1, 2], save_to=tmp_path, **names)
    again = explained(data, model, index=[1, 2], save_to=tmp_path, resume=True, **names)
    assert again.local(1).title == "c"
    assert gg.Explanations.load(tmp_path).local(0).title == "b"
    with pytest.raises(ResumeError, match=r"names\.nodes"):
        explained(data, model, index=[1, 2], save_to=tmp_path, resume=True)


def _pooled() -> nn.Module:
    class Pooled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = GCNConv(3, 2)

        def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor) -> Tensor:
            out = self.conv(x, edge_index)
            return torch.zeros(int(batch.max()) + 1, 2).index_add(0, batch, out)

    return Pooled()
