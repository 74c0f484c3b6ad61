"""Sentences: words in a row, arcs over them, a row for each layer; and names on other pictures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import matplotlib
import pytest
import torch
from matplotlib.colors import to_hex
from matplotlib.patches import FancyArrowPatch

from glassgraph.report import ReportError, plot_explanation
from glassgraph.report.payload import build_payload
from tests.report.fakes import Local, Run, star

GRAY = "#c3c9d4"


@pytest.fixture(autouse=True)
def plt() -> Iterator[Any]:
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    yield plt
    plt.close("all")


def sentence(**more: object) -> Local:
    """``Cats chase mice``, nodes listed backwards; the arcs are those of the star's layers."""
    given: dict[str, object] = {
        "edge_index": torch.tensor([[2, 0, 1], [1, 1, 0]]),
        "node_id": torch.tensor([12, 11, 10]),
        "edge_id": torch.tensor([0, 1, 2]),
        "seeds": torch.tensor([11]),
        "edge_score": None,
        "layer_edge_score": torch.tensor([[1.0, 0.5, 0.0], [0.0, 0.0, 0.25]]),
        "node_names": ["mice", "chase", "Cats"],
        "edge_names": ["subj", "obj", "obj"],
    }
    return star(**{**given, **more})


def arcs(axes: Any, *, gray: bool) -> list[FancyArrowPatch]:
    found = [patch for patch in axes.patches if isinstance(patch, FancyArrowPatch)]
    return [patch for patch in found if (to_hex(patch.get_edgecolor()) == GRAY) == gray]


def texts(axes: Any) -> list[str]:
    return [text.get_text() for text in axes.texts]


def test_words_stand_in_their_order_once_for_each_layer() -> None:
    axes = plot_explanation(sentence(), layout="sentence")
    words = [text for text in axes.texts if text.get_text() in ("Cats", "chase", "mice")]
    assert len(words) == 6
    upper = sorted(words, key=lambda text: (-text.get_position()[1], text.get_position()[0]))
    assert [text.get_text() for text in upper] == ["Cats", "chase", "mice"] * 2
    assert {text.get_fontweight() for text in words if text.get_text() == "chase"} == {"bold"}
    assert {"layer 0", "layer 1"} <= set(texts(axes))


def test_arcs_run_on_above_and_back_below_and_those_with_a_score_are_named() -> None:
    axes = plot_explanation(sentence(), layout="sentence")
    shown, rest = arcs(axes, gray=False), arcs(axes, gray=True)
    assert (len(shown), len(rest)) == (3, 3)
    below = [text.get_position()[1] for text in axes.texts if text.get_text() == "chase"]
    names = [text for text in axes.texts if text.get_text() in ("subj", "obj")]
    found = set()
    for text in names:  # above or below the nearer row
        height = text.get_position()[1]
        row = min(below, key=lambda at: abs(at - height))
        found.add((text.get_text(), below.index(row), height > row))
    assert found == {("subj", 0, True), ("obj", 0, False), ("obj", 1, True)}
    widths = sorted(patch.get_linewidth() for patch in shown)
    assert widths == pytest.approx([0.8 + 2 * share for share in (0.25, 0.5, 1.0)])


def test_top_k_brings_out_so_many_of_each_layer() -> None:
    axes = plot_explanation(sentence(), top_k=1, layout="sentence")
    assert len(arcs(axes, gray=False)) == 2


def test_without_layers_there_is_one_row(plt: Any) -> None:
    one = sentence(layer_edge_score=None, edge_score=torch.tensor([0.5, -1.0, 0.0]))
    _, ax = plt.subplots()
    assert plot_explanation(one, ax, layout="sentence") is ax
    assert len(arcs(ax, gray=False)) == 2
    assert not [text for text in texts(ax) if text.startswith("layer")]
    empty = sentence(
        edge_index=torch.empty(2, 0, dtype=torch.long), layer_edge_score=None, edge_names=[]
    )
    assert "Cats" in texts(plot_explanation(empty, layout="sentence"))


def test_a_loop_is_no_arc() -> None:
    looped = sentence(edge_index=torch.tensor([[1, 0, 1], [1, 1, 0]]))
    assert len(arcs(plot_explanation(looped, layout="sentence"), gray=False)) == 2


def test_a_sentence_needs_words() -> None:
    for ask in (
        lambda: plot_explanation(star(), layout="sentence"),
        lambda: build_payload([Run("m", [star()])], [], "T", "sentence"),
    ):
        with pytest.raises(ReportError, match="node_names"):
            ask()
    for ask in (
        lambda: plot_explanation(star(), layout="tree"),
        lambda: build_payload([Run("m", [star()])], [], "T", "tree"),
    ):
        with pytest.raises(ReportError, match="layout must be"):
            ask()


def test_names_are_written_on_nodes_edges_and_classes() -> None:
    named = star(
        node_names=["hub", "", "b", "c"],
        edge_names=["p", "q", "r", "s", "t"],
        class_names=["no", "yes"],
        target=1,
    )
    axes = plot_explanation(named)
    assert {"hub", "11", "b", "c", "p", "q", "s", "t"} == set(texts(axes))  # r scores 0
    assert axes.get_title() == "node 10, yes"
    contrast = star(class_names=["no", "yes"], target=(1, 0))
    assert plot_explanation(contrast).get_title() == "node 10, yes rather than no"


def test_the_page_has_the_names() -> None:
    named = star(
        node_names=["hub", "a", "b", "c"], edge_names=list("pqrst"), class_names=["n", "y"]
    )
    provenance = {"names": {"nodes": ["secret"]}, "seed": 0}
    payload = build_payload([Run("m", [named], provenance)], [], "T", "sentence")
    (structure,) = payload["instances"][0]["structures"]
    assert structure["node_names"] == ["hub", "a", "b", "c"]
    assert structure["edge_names"] == list("pqrst")
    assert (payload["class_names"], payload["layout"]) == (["n", "y"], "sentence")
    assert payload["methods"][0]["provenance"] == {"seed": 0}
