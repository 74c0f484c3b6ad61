"""Forms in which people have the numbers of what is to be explained."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Data, HeteroData
from torch_geometric.nn import GCNConv, HeteroConv, SAGEConv, global_add_pool

import glassgraph as gg
from glassgraph.cli.parse import parse_index
from glassgraph.errors import CommandError, InstanceError
from glassgraph.metrics import fidelity
from glassgraph.testing import check_explainer

NODES, WIDTH, CLASSES = 7, 3, 2
CHOSEN = [1, 4]
MASK = [number in CHOSEN for number in range(NODES)]


class Net(nn.Module):
    def __init__(self, pools: bool = False) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(3)
            self.one, self.two = GCNConv(WIDTH, 5), GCNConv(5, CLASSES)
        self.pools = pools

    def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor | None = None) -> Tensor:
        h = self.two(self.one(x, edge_index).tanh(), edge_index)
        return global_add_pool(h, batch) if self.pools else h


class OfLinks(Net):
    def forward(self, x: Tensor, edge_index: Tensor, edge_label_index: Tensor) -> Tensor:  # type: ignore[override]
        h = super().forward(x, edge_index)
        return h[edge_label_index[0]] * h[edge_label_index[1]]


def graph() -> Data:
    draw = torch.Generator().manual_seed(1)
    return Data(
        x=torch.randn(NODES, WIDTH, generator=draw),
        edge_index=torch.randint(NODES, (2, 19), generator=draw),
    )


def chosen_by(index: Any) -> list[int]:
    found = gg.Saliency(Net(), progress=False).explain(graph(), index)
    return [each.local.index for each in found]


FORMS = {
    "numpy mask": np.array(MASK),
    "column of a numpy mask": np.array([MASK, MASK]).T[:, 0],
    "list of booleans": MASK,
    "tuple of booleans": tuple(MASK),
    "list of numpy booleans": list(np.array(MASK)),
    "pandas mask": pd.Series(MASK, index=range(10, 10 + NODES)),
    "nullable pandas mask": pd.Series(MASK, dtype="boolean"),
    "tensor mask": torch.tensor(MASK),
    "tensor mask of one column": torch.tensor(MASK).view(-1, 1),
    "numpy numbers": np.array(CHOSEN, dtype=np.int32),
    "unsigned numbers": np.array(CHOSEN, dtype=np.uint8),
    "reversed twice": np.array(CHOSEN[::-1])[::-1],
    "list of numpy numbers": [np.int64(number) for number in CHOSEN],
    "list of tensors": [torch.tensor(number) for number in CHOSEN],
    "tuple": tuple(CHOSEN),
    "range": range(1, 5, 3),
    "set": set(CHOSEN),
    "keys": dict.fromkeys(CHOSEN).keys(),
    "queue": deque(CHOSEN),
    "series": pd.Series(CHOSEN, index=["a", "b"]),
    "pandas index": pd.Index(CHOSEN),
    "nonzero": torch.tensor(MASK).nonzero(),
    "where": np.where(MASK)[0],
    "32 bits": torch.tensor(CHOSEN, dtype=torch.int32),
}


@pytest.mark.parametrize("form", FORMS)
def test_forms_of_numbers_and_masks(form: str) -> None:
    assert chosen_by(FORMS[form]) == CHOSEN


@pytest.mark.parametrize("one", [np.int64(4), np.uint8(4), np.array(4), torch.tensor(4), [4]])
def test_forms_of_one_number(one: Any) -> None:
    assert chosen_by(one) == [4]


def test_repetitions_and_order_are_kept() -> None:
    assert chosen_by([4, 1, 4]) == [4, 1, 4]
    one, _, other = gg.Saliency(Net(), progress=False).explain(graph(), [4, 1, 4])
    assert torch.equal(one.edge_mask, other.edge_mask)


@pytest.mark.parametrize(
    "empty",
    [[], (), set(), np.array([]), pd.Series([], dtype=int), [False] * NODES, range(0)],
)
def test_nothing_is_nothing(empty: Any) -> None:
    assert chosen_by(empty) == []


REFUSED: dict[str, tuple[Any, str]] = {
    "short mask": ([True, False], "mask has 2 entries for 7 nodes; a mask has one for each"),
    "short numpy mask": (np.array([True]), "mask has 1 entries for 7 nodes"),
    "empty mask": (torch.zeros(0, dtype=torch.bool), "mask has 0 entries for 7 nodes"),
    "one boolean": (True, "a mask with one entry for each of 7 nodes; got True"),
    "one numpy boolean": (np.bool_(True), "a mask with one entry for each of 7 nodes"),
    "tensor of one boolean": (torch.tensor(True), "a mask with one entry for each of 7 nodes"),
    "booleans and numbers": ([True, 3], r"index must be .*; got \[True, 3\]"),
    "negative": ([1, -1], r"node -1 is out of range: there are 7"),
    "numpy negative": (np.array([-2]), r"node -2 is out of range"),
    "too large": (range(5, 9), r"node 8 is out of range"),
    "beyond 64 bits": ([2**70], "index must be"),
    "floats": (np.array([1.0]), "must hold integers; got torch.float64"),
    "text": ("1", "index must be a number, a list of numbers, or a mask; got '1'"),
    "list of text": (["1"], "index must be"),
    "pandas text": (pd.Series(["a", "b"]), "index must be"),
    "gaps": (pd.Series([1, None]), "must hold integers; got torch.float64"),
    "None among numbers": ([1, None], "index must be"),
    "generator": ((number for number in CHOSEN), r"read only once: give list\(...\)"),
    "dictionary": ({"paper": CHOSEN}, "index must be .*without node types; got a dict of 'paper'"),
    "slice": (slice(1, 4), "index must be"),
}


@pytest.mark.parametrize("form", REFUSED)
def test_what_is_no_index(form: str) -> None:
    index, message = REFUSED[form]
    with pytest.raises(InstanceError, match=message):
        chosen_by(index)


# Everywhere


def of_graphs(index: Any) -> list[int]:
    explainer = gg.Saliency(Net(pools=True), "graph", progress=False)
    return [each.local.index for each in explainer.explain([graph()] * 3, index)]


def of_links(index: Any) -> list[int]:
    data = graph()
    data.edge_label_index = torch.tensor([[0, 1, 2], [3, 4, 5]])
    explainer = gg.Saliency(OfLinks(), "edge", progress=False)
    return [each.local.index for each in explainer.explain(data, index)]


@pytest.mark.parametrize("explain", [of_graphs, of_links])
def test_graphs_and_links(explain: Any) -> None:
    for index in ([False, False, True], np.array([2]), pd.Series([2]), {2}, range(2, 3)):
        assert explain(index) == [2]
    with pytest.raises(InstanceError, match="mask has 2 entries for 3"):
        explain([True, False])
    with pytest.raises(InstanceError, match="3 is out of range: there are 3"):
        explain(np.array([3]))
    with pytest.raises(InstanceError, match="index must be"):
        explain({"a": 1})


def test_fitting_and_validating() -> None:
    data = graph()
    numbers = gg.PGExplainer(Net(), epochs=2, progress=False).fit(data, CHOSEN, validation=[2])
    rest = np.arange(NODES) == 2
    masks = gg.PGExplainer(Net(), epochs=2, progress=False).fit(data, MASK, validation=rest)
    for one, other in zip(numbers.explain(data, [0]), masks.explain(data, [0]), strict=True):
        assert torch.equal(one.edge_mask, other.edge_mask)
    with pytest.raises(InstanceError, match="read only once"):
        gg.PGExplainer(Net(), epochs=2, progress=False).fit(data, iter(CHOSEN))
    with pytest.raises(InstanceError, match="mask has 1 entries"):
        gg.PGExplainer(Net(), epochs=2, progress=False).fit(data, CHOSEN, validation=[True])


def test_metrics_and_diagnoses() -> None:
    data, explainer = graph(), gg.EdgeGradients(Net(), progress=False)
    one, other = (fidelity(explainer.explain(data, each), Net(), data) for each in (CHOSEN, MASK))
    assert torch.equal(one.plus_prob, other.plus_prob)
    for index in (CHOSEN, MASK, np.array(MASK), pd.Series(CHOSEN)):
        signs = gg.diagnose.gradient_signs(Net(), data, index=index, progress=False)
        assert signs.index.tolist() == CHOSEN
        knockout = gg.diagnose.layer_knockout(explainer, data, index=index)
        assert (
            knockout.messages.tolist()
            == gg.diagnose.layer_knockout(explainer, data, index=CHOSEN).messages.tolist()
        )
    with pytest.raises(InstanceError, match="mask has 1 entries"):
        gg.diagnose.layer_knockout(explainer, data, index=[True])


# Nodes with types


def typed() -> HeteroData:
    draw, data = torch.Generator().manual_seed(1), HeteroData()
    data["paper"].x = torch.randn(NODES, WIDTH, generator=draw)
    data["author"].x = torch.randn(5, WIDTH, generator=draw)
    for source, destination in (("author", "paper"), ("paper", "author")):
        sizes = [5 if kind == "author" else NODES for kind in (source, destination)]
        ends = torch.stack([torch.randint(size, (11,), generator=draw) for size in sizes])
        data[source, "to", destination].edge_index = ends
    return data


class Typed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        types = [("author", "to", "paper"), ("paper", "to", "author")]
        self.conv = HeteroConv({each: SAGEConv(WIDTH, CLASSES) for each in types})

    def forward(self, x_dict: Any, edge_index_dict: Any) -> Any:
        return self.conv(x_dict, edge_index_dict)


def test_nodes_with_types() -> None:
    task = gg.Task("node", node_type="paper")
    explainer = gg.Saliency(Typed(), task, progress=False)
    for index in (
        CHOSEN,
        MASK,
        np.array(MASK),
        {"paper": MASK},
        {"paper": CHOSEN, "author": [0]},
    ):
        assert [each.local.index for each in explainer.explain(typed(), index)] == CHOSEN
    with pytest.raises(InstanceError, match="mask has 5 entries for 7 nodes"):
        explainer.explain(typed(), torch.ones(5, dtype=torch.bool))
    with pytest.raises(InstanceError, match="for node type 'paper'; got a dict of 'author'"):
        explainer.explain(typed(), {"author": [0]})


# The command line


@pytest.mark.parametrize("text", ["", "a", "1,", "1.5", "True", "1:2:0", "5:1", "1;2"])
def test_words_that_are_no_index(text: str) -> None:
    with pytest.raises(CommandError, match="--index"):
        parse_index(text)


def test_repeated_and_negative_numbers_on_the_command_line(tmp_path: Path) -> None:
    assert parse_index("4,1,4") == [4, 1, 4]
    with pytest.raises(InstanceError, match="node -1 is out of range"):
        chosen_by(parse_index("-1"))


def test_laws_about_a_model_of_ones_own() -> None:
    for index in (CHOSEN, MASK, np.array(MASK), pd.Series(CHOSEN)):
        table = check_explainer(gg.Saliency, Net(), graph(), index=index, laws=["explains"])
        assert table.holds.all()
    with pytest.raises(InstanceError, match="mask has 1 entries for 7 nodes"):
        check_explainer(gg.Saliency, Net(), graph(), index=[True])
