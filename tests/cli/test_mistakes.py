"""What a stranger does wrong, and what the command line says: what was found, and what to do."""

from __future__ import annotations

import io
import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch_geometric.data import Data

from glassgraph.datasets import load_graphs
from glassgraph.progress import progress_bar
from tests.cli.helpers import explain, write_case

BROKEN = """
import torch
from torch import nn
from torch_geometric.nn import GCNConv


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = GCNConv(5, 3)

    def forward(self, x, edge_index):
        hidden = self.conv(x, edge_index)
        return hidden @ torch.ones(7, 2)  # line 14


def make():
    return Net()


def cannot():
    return helper()


def helper():
    return 1 / 0  # line 26
"""


@pytest.fixture
def case(tmp_path: Path) -> dict[str, Any]:
    return write_case(tmp_path)


def _pickle(path: Path) -> None:
    path.write_bytes(pickle.dumps([1, 2]))


def _archive(path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, a=np.ones(2))


FILES: list[tuple[str, Any, str]] = [
    ("junk.pt", lambda path: path.write_bytes(b"hello junk"), "text, beginning with 'hello junk'"),
    ("noise.pt", lambda path: path.write_bytes(bytes([0, 1, 255, 254])), "binary data"),
    ("empty.pt", lambda path: path.write_bytes(b""), "an empty file (0 bytes)"),
    ("list.pt", _pickle, "a pickle"),
    ("numbers.pt", lambda path: torch.save([1, 2], path), "entry 0 is a value of type int"),
    ("tensor.pt", lambda path: torch.save(torch.ones(3), path), "it holds a tensor [3]"),
    (
        "state.pt",
        lambda path: torch.save(torch.nn.Linear(2, 3).state_dict(), path),
        "the weights of a model (keys weight, bias); give them as --weights",
    ),
    ("folder.pt", lambda path: path.mkdir(), "is a folder"),
    ("table.csv", lambda path: path.write_text("a,b\n1,2\n"), "text, beginning with 'a,b'"),
    ("table.pt", lambda path: path.write_text("a,b\n1,2\n"), "text, beginning with 'a,b'"),
    ("arrays.pt", _archive, "an archive of NumPy arrays"),
    ("none.pt", lambda path: torch.save([], path), "its list is empty"),
    ("cut.pt", lambda path: path.write_bytes(b"PK\x03\x04cut"), "that is cut off"),
]


@pytest.mark.parametrize(("name", "write", "message"), FILES, ids=[each[0] for each in FILES])
def test_a_file_that_holds_no_graphs_is_said_to_be_what_it_is(
    case: dict[str, Any], tmp_path: Path, name: str, write: Any, message: str
) -> None:
    write(tmp_path / name)
    result = explain(case, data=tmp_path / name)
    (line,) = result.stderr.strip().splitlines()
    assert result.exit_code == 2
    assert message in line
    assert "Graphs are read from .pt" in line or "Save plain tensors" in line


def test_graphs_as_torch_save_writes_them_are_read(tmp_path: Path) -> None:
    graph = Data(x=torch.rand(3, 2), edge_index=torch.tensor([[0, 1], [1, 2]]))
    for content in (graph, [graph, graph]):
        torch.save(content, tmp_path / "g.pt")
        for found in load_graphs(tmp_path / "g.pt"):
            assert torch.equal(found.x, graph.x)
            assert torch.equal(found.edge_index, graph.edge_index)


def test_an_error_in_forward_shows_the_line_of_the_user(
    case: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "broken.py").write_text(BROKEN)
    result = explain(case, method="saliency", model=f"{tmp_path / 'broken.py'}:make")
    assert f"({tmp_path / 'broken.py'}, line 14, in forward)" in result.stderr
    result = explain(case, model=f"{tmp_path / 'broken.py'}:cannot")
    assert f"({tmp_path / 'broken.py'}, line 26, in helper)" in result.stderr


def test_a_failure_is_the_last_line_and_the_exit_code(case: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text(BROKEN)
    result = explain(case, model=f"{tmp_path / 'broken.py'}:make")
    assert result.exit_code == 2
    last = result.output.strip().splitlines()[-1]
    assert last == "Error: 0 of 2 methods finished; failed: random, saliency"


def test_a_model_file_without_weights_is_noted(case: dict[str, Any], tmp_path: Path) -> None:
    assert "give --weights FILE" in explain(case, method="random").stderr
    sys.path.insert(0, str(tmp_path))
    try:
        from tests.cli.helpers import MODEL

        space: dict[str, Any] = {"__name__": "space"}
        exec(MODEL, space)
        torch.save(space["make"]().state_dict(), tmp_path / "w.pt")
    finally:
        sys.path.remove(str(tmp_path))
        sys.modules.pop("sizes", None)
    result = explain(case, "--overwrite", method="random", weights=tmp_path / "w.pt")
    assert result.exit_code == 0
    assert "random: give" not in result.stderr


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_log_gets_a_line_every_ten_percent(monkeypatch: pytest.MonkeyPatch) -> None:
    for stream, most in ((io.StringIO(), 10), (Terminal(), None)):
        monkeypatch.setattr(sys, "stderr", stream)
        assert list(progress_bar(range(2003), "train")) == [*range(2003)]
        text = stream.getvalue()
        if most is None:
            assert "\r" in text
        else:
            assert "\r" not in text
            shares = [line.split("%")[0] for line in text.splitlines()]
            assert shares == [f"train: {share} " for share in range(10, 101, 10)]


def test_a_log_says_nothing_of_quick_or_endless_work(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    with progress_bar(total=5, desc="quick", delay=60) as bar:
        bar.update(3)
        bar.update(2)
    list(progress_bar(iter(range(50)), "nobody knows"))
    list(progress_bar(range(50), "hidden", disable=True))
    assert stream.getvalue() == ""
