"""Node and edge types may have any name: files, masks, tables and reports keep them apart."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import HeteroData
from torch_geometric.nn import SAGEConv

import glassgraph as gg
from glassgraph.metrics import fidelity
from glassgraph.report.payload import build_payload
from glassgraph.results.type_names import edge_type_words, stored_name, stored_names

#: PyG warns, once in a process, of the very names that this is about.
pytestmark = pytest.mark.filterwarnings("ignore:There exist type names:UserWarning")

EdgeType = tuple[str, str, str]

#: Node types, and edge types between them.
GRAPHS: dict[str, tuple[tuple[str, str], list[EdgeType]]] = {
    "plain": (("author", "paper"), []),
    "double underscore": (("a__b", "c"), []),
    "outer underscores": (("_a_", "__"), []),
    "bar": (("a|b", "0|c"), []),
    "slash": (("a/b", "../c"), []),
    "empty": (("", "c"), []),
    "percent": (("%", "%7C"), []),
    "unicode": (("著者", "naïve\n🧪"), []),
    "number": (("0", "x"), []),
    "clashing words": (("a", "a__b"), [("a", "b__c", "a"), ("a__b", "c", "a"), ("a", "b", "a")]),
    "renamed": (("a", "z"), [("a", "r", "a"), ("z", "s", "a"), ("a", "t", "a")]),
    "clashing bars": (("a|b", "a"), [("a", "b|c", "a"), ("a|b", "c", "a")]),
}


class Net(nn.Module):
    """One layer for each edge type; rows of the second node type, those of the first as well."""

    def __init__(self, edge_types: list[EdgeType]) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(2)
            self.convs = nn.ModuleList(SAGEConv((3, 3), 2) for _ in edge_types)
        self.edge_types = edge_types

    def forward(
        self, x_dict: dict[str, Tensor], edge_index_dict: dict[EdgeType, Tensor]
    ) -> dict[str, Tensor]:
        out: dict[str, Tensor] = {}
        for conv, name in zip(self.convs, self.edge_types, strict=True):
            source, _, target = name
            sent = conv((x_dict[source], x_dict[target]), edge_index_dict[name])
            out[target] = out[target] + sent if target in out else sent
        return out


def scene(kind: str) -> tuple[HeteroData, Net, str]:
    """A graph whose edge types have different numbers of edges; its model; the explained type."""
    nodes, more = GRAPHS[kind]
    first, second = nodes
    generator = torch.Generator().manual_seed(5)
    data = HeteroData()
    for name, size in zip(nodes, (4, 5), strict=True):
        data[name].x = torch.randn(size, 3, generator=generator)
    edge_types = more or [(first, "__to|/ ", second), (second, "", second), (first, "r", second)]
    sizes = {first: 4, second: 5}
    for count, name in enumerate(edge_types, start=6):
        ends = [torch.randint(sizes[end], (count,), generator=generator) for end in name[::2]]
        data[name].edge_index = torch.stack(ends)
    data.extra = torch.arange(3)
    return data, Net(edge_types), edge_types[0][2]


def explained(kind: str) -> tuple[gg.Explanations, HeteroData]:
    data, model, target = scene(kind)
    task = gg.Task("node", node_type=target)
    return gg.EdgeGradients(model, task, progress=False).explain(data, [0, 2]), data


@pytest.mark.parametrize("kind", GRAPHS)
def test_any_name_survives_a_folder(kind: str, tmp_path: Path) -> None:
    found, data = explained(kind)
    loaded = gg.Explanations.load(found.save(tmp_path))
    assert loaded.node_types == list(data.node_types)
    assert loaded.edge_types == list(data.edge_types)
    assert loaded.to_frame().equals(found.to_frame())
    for one, other in zip(found, loaded, strict=True):
        assert other.edge_types == data.edge_types
        assert torch.equal(other.extra, data.extra)
        for name in data.node_types:
            assert torch.equal(other[name].x, data[name].x)
        for name in data.edge_types:
            assert torch.equal(other[name].edge_index, data[name].edge_index)
            assert torch.equal(one[name].edge_mask, other[name].edge_mask)


@pytest.mark.parametrize("kind", GRAPHS)
def test_masks_belong_to_their_type(kind: str) -> None:
    """Each edge's score is the derivative of the prediction by its weight, as autograd has it."""
    found, data = explained(kind)
    _, model, target = scene(kind)
    for explanation in found:
        node, chosen = explanation.local.index, explanation.local.target
        # The same names, one by one, so that no word can be mistaken for another.
        for number, name in enumerate(data.edge_types):
            source, destination = data[name].edge_index
            own = (destination == node) & (name[2] == target)
            weight = model.convs[number].lin_l.weight[chosen]
            sent = (data[name[0]].x @ weight)[source] / own.sum().clamp_min(1)
            expected = torch.where(own, sent, 0.0)
            torch.testing.assert_close(explanation[name].edge_mask, expected, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("kind", GRAPHS)
def test_tables_and_reports_tell_types_apart(kind: str, tmp_path: Path) -> None:
    found, data = explained(kind)
    words = edge_type_words(data.edge_types)
    assert len(set(words)) == len(data.edge_types)
    frame = found.to_frame()
    assert set(frame["edge_type"]) <= set(words)
    structures = [each["structures"][0] for each in build_payload([found], (), "t")["instances"]]
    for local, structure in zip((found.local(0), found.local(1)), structures, strict=True):
        told = [structure["edge_types"][kind] for kind in structure["edge_type"]]
        assert told == local.edge_type
        told = [structure["node_types"][kind] for kind in structure["node_type"]]
        assert told == local.node_type
    assert found.to_html(tmp_path / "report.html").is_file()


def test_metrics_tell_types_apart() -> None:
    """Numbers do not go by names: the same graph under other names has the same ones."""
    (found, data), (plain, renamed) = explained("clashing words"), explained("renamed")
    models = [scene(kind)[1] for kind in ("clashing words", "renamed")]
    rows = [
        fidelity(each, model, graph, removal="delete").means()
        for each, model, graph in zip((found, plain), models, (data, renamed), strict=True)
    ]
    assert rows[0] == rows[1]
    for one, other in zip(found, plain, strict=True):
        for name, same in zip(data.edge_types, renamed.edge_types, strict=True):
            assert torch.equal(one[name].edge_mask, other[same].edge_mask)
    assert repr(gg.compare(found, found[:])) == repr(gg.compare(plain, plain[:]))


def test_names_in_files_are_one_to_one() -> None:
    """Every word of a few awkward letters, as a node type and within edge types."""
    letters = ["", "_", "__", "___", "|", "%", "%5F", "a", "a_", "_a", "a__b", "a_|_b", "%7C", "0"]
    edges = [(one, "r", other) for one in letters for other in letters]
    names = [stored_name(name) for name in (*letters, *edges)]
    assert len(set(names)) == len(names)
    assert not any("|" in name or not name for name in names)
    for word, name in stored_names(letters, edges).items():
        assert word == stored_name(name) or word in (name, "__".join(name))


def test_plain_names_are_those_of_older_files() -> None:
    assert stored_name("author") == "author"
    assert stored_name(("a_b", "writes", "paper")) == "a_b__writes__paper"
    assert stored_names(["a|b"], [("a|b", "to", "a|b")])["a|b__to__a|b"] == ("a|b", "to", "a|b")
