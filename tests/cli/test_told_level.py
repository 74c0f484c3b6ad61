"""``--task`` where the data tell it, and a named error where they do not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch_geometric.data import Data, HeteroData
from torch_geometric.nn import GCN

import glassgraph as gg
from glassgraph._version import __version__
from glassgraph.cli.told_level import told_level
from glassgraph.datasets import save_graphs
from glassgraph.errors import CommandError, GraphError
from tests.cli.helpers import explain, write_case


def graph(**more: Any) -> Data:
    return Data(x=torch.rand(4, 2), edge_index=torch.tensor([[0, 1], [1, 2]]), **more)


def typed(**more: Any) -> HeteroData:
    data = HeteroData(**more)
    data["paper"].x, data["author"].x = torch.rand(3, 2), torch.rand(2, 2)
    data["author", "writes", "paper"].edge_index = torch.tensor([[0, 1], [2, 0]])
    return data


def typed_nodes() -> HeteroData:
    data = typed()
    data["paper"].y = torch.tensor([0, 1, 1])
    return data


def typed_links() -> HeteroData:
    data = typed()
    data["author", "writes", "paper"].edge_label_index = torch.tensor([[0], [0]])
    return data


ONE, EACH, LINKS = torch.tensor([1]), torch.tensor([0, 1, 1, 0]), torch.tensor([[0], [2]])


@pytest.mark.parametrize(
    ("graphs", "level", "why"),
    [
        ([graph(), graph()], "graph", "2 graphs"),
        ([graph(y=ONE), graph(y=ONE)], "graph", "2 graphs"),
        ([graph(y=EACH)], "node", "one graph with a label for each node (y)"),
        ([graph(y=torch.rand(4, 3))], "node", "one graph with a label for each node (y)"),
        ([graph(y=ONE)], "graph", "one graph with one label (y)"),
        ([graph(y=torch.rand(1, 3))], "graph", "one graph with one label (y)"),
        ([graph(edge_label_index=LINKS)], "edge", "links to explain"),
        ([typed_nodes()], "node", "a label for each node"),
        ([typed(y=ONE)], "graph", "one label"),
        ([typed_links()], "edge", "links to explain"),
    ],
)
def test_labels_tell_the_level(graphs: list[Any], level: str, why: str) -> None:
    found, told = told_level(graphs, "it")
    assert found == level
    assert why in told


@pytest.mark.parametrize(
    ("graphs", "words"),
    [
        ([graph()], "holds one graph with no labels"),
        (
            [graph(y=EACH, edge_label_index=LINKS)],
            "both links to explain (edge_label_index) and a label for each node (y)",
        ),
        ([graph(y=EACH), graph(y=EACH)], "holds 2 graphs with a label for each node"),
    ],
)
def test_what_is_not_told_is_asked(graphs: list[Any], words: str) -> None:
    with pytest.raises(CommandError) as caught:
        told_level(graphs, "it")
    assert words in str(caught.value)
    assert "--task" in str(caught.value)


def test_the_command_says_what_it_takes(tmp_path: Path) -> None:
    case = write_case(tmp_path)
    result = explain(case, task=None, method="saliency")
    assert result.exit_code == 0
    assert f"--task node, since {case['--data']} holds one graph with a label" in result.stderr
    assert gg.Explanations.load(case["--out"] / "saliency").level == "node"


def test_the_command_asks_where_labels_are_missing(tmp_path: Path) -> None:
    case = write_case(tmp_path)
    bare = save_graphs(
        Data(x=torch.rand(13, 5), edge_index=torch.tensor([[0], [1]])), tmp_path / "b.pt"
    )
    result = explain(case, task=None, data=bare)
    assert result.exit_code == 2
    assert "say which is meant with --task node, graph or edge" in " ".join(result.stderr.split())


def test_the_module_is_the_command() -> None:
    found = subprocess.run(
        [sys.executable, "-m", "glassgraph", "--version"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.strip() == f"glassgraph {__version__}"


def test_another_number_of_class_names_is_refused_before_fitting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fit(*_: Any, **__: Any) -> None:
        raise AssertionError("fitted")

    monkeypatch.setattr(gg.PGExplainer, "fit", fit)
    data = Data(x=torch.rand(4, 2), edge_index=torch.tensor([[0, 1, 2], [1, 2, 3]]))
    ask: dict[str, Any] = {"model": GCN(2, 4, 2, 3), "data": data, "method": "pg_explainer"}
    with pytest.raises(GraphError, match="class_names has 2 entries; expected 3"):
        gg.explain(**ask, class_names=["no", "yes"], progress=False)


def test_another_number_of_class_names_is_refused_before_training(tmp_path: Path) -> None:
    names = tmp_path / "names.json"
    names.write_text('{"class_names": ["a", "b", "c"]}', encoding="utf-8")
    case = {"--dataset": "ba-shapes", "--method": "saliency", "--out": tmp_path / "out"}
    result = explain(case, "--no-cache", names=names)
    assert result.exit_code == 2
    assert "class_names has 3 entries; expected 4" in " ".join(result.stderr.split())
    assert "training" not in result.stderr
