"""Scores of past events as tables and files, and links that did not happen."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch_geometric.data import TemporalData

import glassgraph as gg
from glassgraph.errors import ExplanationFileError, HyperParameterError, OutputError
from glassgraph.temporal import EventExplanation, EventExplanations
from tests.temporal.streams import BATCH, parts, stream


def one(score: list[float]) -> EventExplanation:
    """With four past events."""
    past = torch.tensor([2, 5, 6, 9])
    return EventExplanation(
        "perturb_one", 11, (1, 4), 90, 2.5, past, past + 1, past + 2, past * 10,
        torch.tensor(score),
    )  # fmt: skip


def test_the_top_are_the_highest_and_among_equals_the_latest() -> None:
    assert one([1.0, 3.0, 1.0, -5.0]).top(3)["event_id"].tolist() == [5, 6, 2]
    with pytest.raises(HyperParameterError, match="k must be an integer >= 1"):
        one([1.0] * 4).top(0)


def test_a_frame_has_a_row_for_each_link_and_event() -> None:
    frame = EventExplanations([one([1.0] * 4), one([2.0] * 4)]).to_frame()
    assert list(frame) == [
        "position", "method", "index", "source", "destination", "time", "prediction",
        "event_id", "src", "dst", "t", "score",
    ]  # fmt: skip
    assert frame["position"].tolist() == [0] * 4 + [1] * 4
    assert frame["t"].tolist() == [20, 50, 60, 90] * 2


@pytest.mark.parametrize("count", [0, 2])
def test_a_file_gives_back_what_was_saved(tmp_path: Path, count: int) -> None:
    saved = EventExplanations([one([1.0, -2.0, 0.5, 0.1])] * count)
    saved.save(tmp_path / "links.parquet")
    again = gg.temporal.load(tmp_path / "links.parquet")
    assert len(again) == count
    for each in again:
        assert repr(each) == repr(saved[0])
        assert torch.equal(each.score, saved[0].score)
        assert torch.equal(each.event_id, saved[0].event_id)


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no table")
    one([1.0] * 4).to_frame().to_parquet(tmp_path / "table")
    for name in ("text", "table", "missing"):
        with pytest.raises(ExplanationFileError):
            gg.temporal.load(tmp_path / name)
    with pytest.raises(OutputError):
        EventExplanations([]).save(tmp_path / "no folder" / "file")


def test_short_reprs() -> None:
    assert repr(EventExplanations([one([1.0] * 4)])) == "EventExplanations(1 links, perturb_one)"
    assert "score=[4]" in repr(one([1.0] * 4))
    assert repr(parts()) == (
        "TGN(memory of 13 nodes, TemporalAttention, LinkPredictor, neighbors=3, hops=1)"
    )


def test_a_link_that_did_not_happen_is_explained_as_one_that_did() -> None:
    events, model = stream(), parts()
    when = int(events.t[40])
    asked = TemporalData(
        src=events.src[[40]], dst=events.dst[[40]], t=torch.tensor([when]), msg=torch.zeros(1, 0)
    )
    own, other = (
        gg.temporal.explain(model, events, index, batch_size=BATCH, progress=False)[0]
        for index in (40, asked)
    )
    assert other.index == -1
    assert torch.equal(own.score, other.score)
