"""Streams from files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from torch_geometric.data import TemporalData

from glassgraph.errors import EventError
from glassgraph.temporal import read_events
from tests.temporal.streams import stream


@pytest.fixture(params=["csv", "parquet", "parquet of lists", "pt", "pt of plain tensors"])
def written(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The same stream as each kind of file."""
    events, kind = stream(), request.param
    path = tmp_path / f"events.{kind.split()[0]}"
    if kind.startswith("pt"):
        torch.save(events if kind == "pt" else events.to_dict(), path)
        return path
    frame = pd.DataFrame({name: getattr(events, name).numpy() for name in ("src", "dst", "t")})
    if kind.endswith("lists"):
        frame["msg"] = events.msg.tolist()
    else:
        for number in reversed(range(3)):
            frame[f"msg_{number}"] = events.msg[:, number].numpy()
    frame["kind"] = frame["src"] % 2
    frame["note"] = "text"
    if kind == "csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_parquet(path)
    return path


def test_each_kind_of_file_gives_the_stream(written: Path) -> None:
    events, found = stream(), read_events(written)
    for name in ("src", "dst", "t"):
        assert torch.equal(getattr(found, name), getattr(events, name))
    torch.testing.assert_close(found.msg.double(), events.msg, atol=1e-6, rtol=1e-6)
    if written.suffix != ".pt":
        assert found.msg.dtype == torch.float
        assert torch.equal(found.kind, events.src % 2)
        assert "note" not in found


def test_without_messages_and_with_fractions_of_time(tmp_path: Path) -> None:
    (tmp_path / "e.csv").write_text("src,dst,t\n0,1,0.5\n1,0,2\n")
    found = read_events(tmp_path / "e.csv")
    assert found.msg.shape == (2, 0)
    assert found.t.tolist() == [0.5, 2.0]
    assert found.t.dtype == torch.double


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("src,dst\n0,1\n", "has no 't'; it has src, dst. Events are read from"),
        ("src,dst,t\na,1,2\n", "column 'src' must hold numbers; got .* beginning with 'a'"),
        ("src,dst,t\n,1,2\n3,1,2\n", "column 'src' has empty cells"),
        ("src,dst,t,msg\n0,1,2,[1 2]\n", "column 'msg' must hold lists .* msg_0, msg_1"),
        ("src,dst,t,msg,msg_0\n0,1,2,3,4\n", "both 'msg' and 'msg_0'"),
        ("", "cannot be read"),
    ],
)
def test_malformed_tables_are_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "e.csv").write_text(text)
    with pytest.raises(EventError, match=message):
        read_events(tmp_path / "e.csv")


def test_lists_of_several_lengths_are_named(tmp_path: Path) -> None:
    frame = pd.DataFrame({"src": [0, 1], "dst": [1, 0], "t": [1, 2], "msg": [[1.0], [1.0, 2.0]]})
    frame.to_parquet(tmp_path / "e.parquet")
    with pytest.raises(EventError, match=r"of lengths \[1, 2\]"):
        read_events(tmp_path / "e.parquet")


class Code:
    """What a file may not hold."""

    def __reduce__(self) -> Any:
        return print, ("run",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (Code(), "no readable file of tensors"),
        ([1, 2], "holds a list"),
        ({"src": torch.tensor([0])}, "has no 'dst'; it has src"),
    ],
)
def test_foreign_files_of_tensors_are_named(
    tmp_path: Path, content: Any, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save(content, tmp_path / "e.pt")
    with pytest.raises(EventError, match=message):
        read_events(tmp_path / "e.pt")
    assert capsys.readouterr().out == ""


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(EventError, match="no file of events"):
        read_events(tmp_path / "e.csv")
    with pytest.raises(EventError, match=r"must end in \.csv, \.parquet, \.pt"):
        read_events(tmp_path / "e.json")


def test_a_stream_without_events_is_named_where_it_is_explained(tmp_path: Path) -> None:
    (tmp_path / "e.csv").write_text("src,dst,t\n")
    with pytest.raises(EventError, match="src"):
        read_events(tmp_path / "e.csv")


def test_what_is_read_is_a_stream_of_pyg(written: Path) -> None:
    found = read_events(written)
    assert isinstance(found, TemporalData)
    assert found[torch.tensor([3, 5])].num_events == 2
