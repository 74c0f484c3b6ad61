"""Sentences as trees of phrases: found by their names and edges, words in a row below."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib
import networkx as nx
import pytest
import torch
from matplotlib.colors import to_hex

from glassgraph.report import plot_explanation, write_report
from glassgraph.report.payload import build_payload
from glassgraph.report.phrase_tree import PhraseTree
from tests.report.fakes import Local, Run, local_of
from tests.report.test_gallery import looks

#: ``(a (very lovely) film)``: the sentence, a word, a phrase of two words, those, a word.
NAMES = ["a very lovely film", "a", "very lovely", "very", "lovely", "film"]
PARENT = [None, 0, 0, 2, 2, 0]


@pytest.fixture(autouse=True)
def plt() -> Iterator[Any]:
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    yield plt
    plt.close("all")


def sentence(**more: Any) -> Local:
    shape = nx.Graph()
    shape.add_nodes_from(range(6))
    shape.add_edges_from([(0, 1), (0, 2), (2, 3), (2, 4), (0, 5)])
    score = torch.tensor([0.1, 0.9, 0.2, 0.8, 0.3, 0.0, 0.7, 0.0, 1.0, 0.0])
    return local_of(shape, 0, [], **{"edge_score": score, "node_names": NAMES, **more})


def test_phrases_are_told_by_their_words() -> None:
    tree = PhraseTree.of(sentence())
    assert tree is not None
    assert (list(tree.parent), list(tree.words)) == (PARENT, [1, 3, 4, 5])


@pytest.mark.parametrize("names", [None, [f"word{n}" for n in range(6)], [*NAMES[:5], "movie"]])
def test_other_graphs_are_no_trees_of_phrases(names: list[str] | None) -> None:
    assert PhraseTree.of(sentence(node_names=names)) is None


def test_neither_is_a_circle_nor_what_falls_apart() -> None:
    circle = local_of(nx.cycle_graph(3), 0, [], node_names=["a b", "a", "b"])
    assert PhraseTree.of(circle) is None
    parts = nx.Graph([(0, 1), (0, 2)])
    parts.add_nodes_from([3])
    assert PhraseTree.of(local_of(parts, 0, [], node_names=["a b", "a", "b", "c"])) is None


def test_phrases_stand_above_the_middle_of_their_parts() -> None:
    tree = PhraseTree.of(sentence())
    assert tree is not None
    place = tree.places([9.0, 2.0, 9.0, 4.0, 6.0, 4.0])
    assert [place[word] for word in (1, 3, 4, 5)] == [(1, 0), (4, 0), (9, 0), (14, 0)]
    assert place[2] == (6.5, 1.0)
    assert place[0] == (7.5, 2.0)  # between the first part and the last


def test_a_figure_has_each_word_once_and_highlights_by_node_scores() -> None:
    plain = plot_explanation(sentence())
    words = [text.get_text() for text in plain.texts]
    assert words == ["a", "very", "lovely", "film"]
    assert all(text.get_bbox_patch() is None for text in plain.texts)
    score = torch.tensor([0.0, -1.0, 0.0, 0.0, 1.0, 0.5])
    axes = plot_explanation(sentence(node_score=score))
    fills = {text.get_text(): to_hex(text.get_bbox_patch().get_facecolor()) for text in axes.texts}
    assert len(set(fills.values())) == 4
    bars = [axis.get_ylabel() for axis in axes.figure.axes[1:]]
    assert bars == ["node score", "edge score"]


def test_dependency_sentences_highlight_words_beside_their_arcs() -> None:
    from tests.report.test_sentence import arcs
    from tests.report.test_sentence import sentence as dependencies

    score = torch.tensor([0.25, 1.0, 0.0])  # of mice, chase, Cats
    axes = plot_explanation(dependencies(node_score=score), layout="sentence")
    boxes = [text.get_bbox_patch() for text in axes.texts if text.get_text() == "chase"]
    assert {to_hex(box.get_facecolor()) for box in boxes} == {"#800026"}  # the end of the ramp
    assert len(arcs(axes, gray=False)) == 3


def test_a_page_of_phrases_begins_as_text_and_others_do_not() -> None:
    payload = build_payload([Run("m", [sentence()], level="graph")], [], "T")
    assert payload["layout"] == "sentence"
    (structure,) = payload["instances"][0]["structures"]
    assert structure["tree"] == PARENT
    other = sentence(node_names=None)
    assert build_payload([Run("m", [other], level="graph")], [], "T")["layout"] == "organic"
    asked = build_payload([Run("m", [sentence()], level="graph")], [], "T", "organic")
    assert asked["layout"] == "organic"


@pytest.mark.browser
@pytest.mark.parametrize("size", [(1440, 900), (390, 844)])
def test_the_page_draws_words_in_a_row_below_their_phrases(
    browser: Any, tmp_path: Path, size: tuple[int, int]
) -> None:
    score = torch.tensor([0.0, 0.2, 0.0, 0.4, 1.0, 0.6])
    runs = [
        Run("edges", [sentence()], level="graph"),
        Run("nodes", [replace(sentence(), edge_score=None, node_score=score)], level="graph"),
    ]
    page = browser.new_page(viewport={"width": size[0], "height": size[1]})
    page.goto(write_report(tmp_path / "report.html", runs, [], "T").as_uri())
    drawn = {node["position"]: node for node in page.evaluate("glassgraph.drawn()")}
    assert [drawn[n]["label"] for n in range(6)] == ["", "a", "", "very", "lovely", "film"]
    along, up = ("x", "y") if size[0] > size[1] else ("y", "x")
    words = [drawn[n][along] for n in (1, 3, 4, 5)]
    assert words == sorted(words)
    sign = -1 if up == "y" else 1  # above, or to the right
    assert sign * drawn[0][up] > sign * drawn[2][up] > sign * drawn[3][up]
    assert looks(page) == {}
    assert "a very lovely film" in page.inner_text("#instance-list")
    page.evaluate("glassgraph.set({method: 1})")
    fills = page.evaluate("glassgraph.drawn().map((node) => node.fill)")
    assert len({fills[n] for n in (1, 3, 4, 5)}) == 4
    page.close()


def test_sentences_of_the_treebank_are_trees(shared: Path, tmp_path: Path) -> None:
    from glassgraph.datasets.sentiment_trees import sst

    source = shared / "data" / "sst_trees"
    for name in ("train.txt", "dev.txt", "test.txt"):
        lines = (source / name).read_text(encoding="utf-8").split("\n")
        (tmp_path / name).write_text("\n".join(lines[:12]), encoding="utf-8")
    graphs = sst(tmp_path, vectors={"film": [1.0]}).graphs
    assert len(graphs) > 20
    for graph in graphs:
        shown = Local(
            index=0,
            edge_index=graph.edge_index,
            node_id=torch.arange(graph.num_nodes),
            edge_id=torch.arange(graph.num_edges),
            seeds=torch.tensor([]),
            node_names=graph.node_names,
        )
        tree = PhraseTree.of(shown)
        assert tree is not None
        assert [graph.node_names[word] for word in tree.words] == graph.words
        assert tree.parent[0] is None
