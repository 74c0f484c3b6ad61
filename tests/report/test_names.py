"""Names in the page's data and in plots, also those that try to be something else."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from matplotlib.text import Text
from torch_geometric.data import Data

from glassgraph.report.html import embed_json
from glassgraph.report.labels import clipped, feature_label, node_label
from glassgraph.report.payload import build_payload
from tests.report.fakes import Run, star
from tests.results.known import known

NASTY = [
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(1)>",
    "\"quoted\" 'twice' \\ back",
    "two\nlines\tand a tab",
    "w" * 300,
    "",
    "$x^{$",
    "雪 ☃ ﷽ \u202eback",
]


def named(**more: Any) -> Any:
    size = len(NASTY)
    data = Data(x=torch.rand(size, 3), edge_index=torch.tensor([range(size), [*range(1, size), 0]]))
    found = known(data, [[0.5] * size], seeds=[4])
    return found.named(
        node_names=NASTY, edge_names=NASTY, class_names=NASTY[:2], graph_names=NASTY[:1], **more
    )


def test_the_page_has_titles_and_features() -> None:
    scores = torch.tensor([[1.0, -4], [2, 1], [0.5, 0], [0, 0]])
    local = star(feature_score=scores, feature_names=["year", ""], title="paper 3")
    payload = build_payload([Run("a", [local])], [], "T")
    assert payload["feature_names"] == ["year", ""]
    assert payload["instances"][0]["title"] == "paper 3"
    total = payload["instances"][0]["runs"][0]["features"]["total"]
    assert total == [["0", 3.5, "year"], ["1", -3]]
    kinds = ["p", "p", "q", "q"]
    typed = star(feature_score=scores, feature_names={"p": ["year", "size"]}, node_type=kinds)
    payload = build_payload([Run("a", [typed])], [], "T")
    total = payload["instances"][0]["runs"][0]["features"]["total"]
    assert total == [["p 0", 3, "p: year"], ["p 1", -3, "p: size"], ["q 0", 0.5]]


def test_methods_without_features_do_not_hide_those_with() -> None:
    bare = star(feature_names=["year", "size"])
    scored = star(feature_score=torch.ones(4, 2), feature_names=["year", "size"])
    payload = build_payload([Run("a", [bare]), Run("b", [scored])], [], "T")
    assert payload["feature_names"] == ["year", "size"]
    assert build_payload([Run("a", [bare])], [], "T")["feature_names"] is None


def test_names_cannot_leave_their_place_in_the_file() -> None:
    payload = build_payload([named()], [], "T")
    text = embed_json(payload)
    assert "</script" not in text
    assert "<" not in text
    back = json.loads(text)["instances"][0]["structures"][0]
    assert (back["node_names"], back["edge_names"]) == (NASTY, NASTY)


@pytest.mark.parametrize("layout", ["organic", "sentence"])
@pytest.mark.filterwarnings("ignore:Glyph:UserWarning")  # the test's font has no snowman
@pytest.mark.filterwarnings("ignore:Matplotlib currently does not support:UserWarning")
def test_plots_write_names_as_they_are(layout: str) -> None:
    axes = named().plot(0, layout=layout)
    axes.figure.canvas.draw()
    shown = [text.get_text() for text in axes.findobj(Text)]
    assert {"$x^{$", "<script>alert(1)</script>", "two lines and a tab", "5"} <= set(shown)
    assert max(map(len, shown)) < 120


def test_labels() -> None:
    local = star(node_names=["", "  ", "a\nb", "w" * 300], node_type=["p", "q", "p", "q"])
    assert [node_label(local, n) for n in range(3)] == ["p 10", "q 11", "a b"]
    assert len(node_label(local, 3)) == len(clipped("w" * 300)) == 40
    assert feature_label({"p": ["x"]}, "p", 0) == "x"
    assert feature_label({"p": ["x"]}, "q", 0) is None
    assert feature_label(["x", ""], None, 1) is None
    assert feature_label(None, None, 1) is None
