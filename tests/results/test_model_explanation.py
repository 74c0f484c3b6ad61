"""Explanations of models: partial graphs by hand, tables, files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch_geometric.data import Data

import glassgraph as gg
from glassgraph.errors import ExplanationFileError, OutputError
from glassgraph.results.model_explanation import GeneratedGraph, Step

NAN = float("nan")


def both(*pairs: tuple[int, int]) -> Tensor:
    ends = [*pairs, *((b, a) for a, b in pairs)]
    return torch.tensor(sorted(ends)).long().view(-1, 2).t()


def grown() -> GeneratedGraph:
    """From C: an O, a C that is taken back, an F on the O, then the edge that closes the ring."""
    steps = (
        Step(0, 1, 1, True, True, 0.3, 0.1),
        Step(0, 2, 0, True, False, 0.2, -0.4),
        Step(1, 2, 2, True, True, 0.75, 0.5),
        Step(0, 3, 0, False, False, NAN, -1.0),
        Step(2, 0, -1, True, True, 0.6, 0.2),
    )
    types = torch.tensor([0, 1, 2])
    data = Data(x=torch.eye(3).double(), edge_index=both((0, 1), (1, 2)), node_type=types)
    origin = Data(node_type=torch.tensor([0]), edge_index=both(), num_nodes=1)
    return GeneratedGraph(data, torch.tensor([0.25, 0.75]), True, origin, 0.125, steps, 3)


def alone() -> GeneratedGraph:
    types = torch.tensor([2])
    data = Data(x=torch.eye(3)[2:].double(), edge_index=both(), node_type=types)
    origin = Data(node_type=types, edge_index=both(), num_nodes=1)
    return GeneratedGraph(data, torch.tensor([0.5, 0.5]), False, origin, 0.5, (), 0)


def explanation() -> gg.ModelExplanation:
    graphs = (grown(), alone())
    return gg.ModelExplanation("xgnn", 1, ("C", "O", "F"), graphs, {"method": "xgnn", "seed": 3})


@pytest.mark.parametrize(
    ("step", "types", "edges"),
    [
        (0, [0], both()),
        (1, [0, 1], both((0, 1))),
        (2, [0, 1], both((0, 1))),
        (3, [0, 1, 2], both((0, 1), (1, 2))),
        (4, [0, 1, 2], both((0, 1), (1, 2))),
        (5, [0, 1, 2], both((0, 1), (1, 2), (0, 2))),
    ],
)
def test_partial_graphs(step: int, types: list[int], edges: Tensor) -> None:
    partial = explanation().at(0, step)
    assert partial.node_type.tolist() == types
    assert torch.equal(partial.edge_index, edges)
    assert partial.num_nodes == len(types)


def test_there_is_nothing_after_the_last_step() -> None:
    with pytest.raises(IndexError, match=r"0\.\.5; got 6"):
        explanation().at(0, 6)


def test_the_graph_is_what_its_steps_lead_to() -> None:
    graph = explanation()[0]
    assert torch.equal(graph.at(graph.taken).edge_index, graph.edge_index)


def test_tables() -> None:
    found = explanation()
    frame = found.frame()
    assert frame["probability"].tolist() == [0.75, 0.5]
    assert frame["edges"].tolist() == [2, 0]
    assert frame["types"].tolist() == ["C1 O1 F1", "F1"]
    assert frame["keeps_rules"].tolist() == [True, False]
    assert found.validity == 0.5
    trace = found.trace()
    assert trace["graph"].tolist() == [0] * 5
    assert trace["step"].tolist() == [1, 2, 3, 4, 5]
    assert trace["added"].tolist() == [1, 0, 2, 0, -1]
    assert torch.equal(found.probability, torch.tensor([0.75, 0.5]))


def test_a_part_of_the_sequence() -> None:
    part = explanation()[1:]
    assert len(part) == 1
    assert part.formula(0) == "F1"
    assert [graph.taken for graph in explanation()] == [3, 0]


def test_networkx_and_data() -> None:
    graph = explanation().to_networkx(0)
    assert dict(graph.nodes(data="type")) == {0: "C", 1: "O", 2: "F"}
    assert sorted(map(sorted, graph.edges)) == [[0, 1], [1, 2]]
    data = explanation().to_data(0)
    assert torch.equal(data.x, torch.eye(3).double())
    data.x[0] = 7
    assert torch.equal(explanation()[0].data.x, torch.eye(3).double())


def test_files_are_exact(tmp_path: Path) -> None:
    one = explanation()
    other = gg.ModelExplanation.load(one.save(tmp_path / "found"))
    assert (other.method, other.target, other.node_types) == ("xgnn", 1, ("C", "O", "F"))
    assert other.provenance == one.provenance
    assert other.trace().equals(one.trace())
    assert other.frame().equals(one.frame())
    for mine, theirs in zip(one.graphs, other.graphs, strict=True):
        assert repr(mine.steps) == repr(theirs.steps)
        assert torch.equal(mine.data.x, theirs.data.x)
        assert mine.data.x.dtype == theirs.data.x.dtype
        assert torch.equal(mine.edge_index, theirs.edge_index)
        assert torch.equal(mine.node_type, theirs.node_type)
        assert torch.equal(mine.probabilities, theirs.probabilities)
        assert mine.origin_probability == theirs.origin_probability
        assert torch.equal(mine.at(0).node_type, theirs.at(0).node_type)


def test_damaged_and_foreign_folders(tmp_path: Path) -> None:
    with pytest.raises(ExplanationFileError, match=r"holds no explanation\.json"):
        gg.ModelExplanation.load(tmp_path)
    folder = explanation().save(tmp_path / "found")
    header = json.loads((folder / "explanation.json").read_text())
    (folder / "explanation.json").write_text(json.dumps({**header, "format_version": 99}))
    with pytest.raises(ExplanationFileError, match="99"):
        gg.ModelExplanation.load(folder)
    explanation().save(folder)
    (folder / "graphs.safetensors").write_bytes(b"nothing")
    with pytest.raises(ExplanationFileError, match="damaged"):
        gg.ModelExplanation.load(folder)


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="another output folder"):
        explanation().save(tmp_path / "file")


def test_notebooks_get_a_table() -> None:
    text = explanation()._repr_html_()
    assert "class 1, 2 graphs, best 0.750" in text
    assert "C1 O1 F1" in text
