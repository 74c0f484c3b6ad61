"""The legend has the colors and shapes of the picture."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import networkx as nx
import pytest
import torch
from matplotlib.colors import to_hex

from glassgraph.report import plot_explanation, write_report
from tests.report.fakes import Local, Run, local_of
from tests.report.gallery import drawn, heterogeneous_local, scored

pytestmark = pytest.mark.browser

KEYS = """() => {
  const keys = [...document.querySelectorAll("#legend [data-type]")];
  return Object.fromEntries(keys.map((key) => {
    const style = getComputedStyle(key.querySelector("svg > *"));
    const shape = key.querySelector("svg").getAttribute("class").split(" ").at(-1);
    return [key.dataset.type, {shape, fill: style.fill, stroke: style.stroke}];
  }));
}"""


@pytest.fixture
def open_page(browser: Any, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    context = browser.new_context(viewport={"width": 1440, "height": 900})

    def opened(*runs: Run) -> Any:
        page = context.new_page()
        page.goto(write_report(tmp_path / "report.html", runs, [], "T").as_uri())
        return page

    yield opened
    context.close()


def rgb(page: Any, color: str) -> str:
    """A color as a browser tells it."""
    found: str = page.evaluate(
        "(color) => { const i = document.createElement('i'); i.style.color = color;"
        " document.body.append(i); const c = getComputedStyle(i).color; i.remove(); return c; }",
        color,
    )
    return found


def two_methods(local: Local) -> list[Run]:
    """One that scores edges, one that scores nodes."""
    nodes = drawn(len(local.node_id), 5, signed=True)
    return [
        Run("a", [local], {"task": {"node_type": "paper"}}),
        Run("b", [replace(local, edge_score=None, node_score=nodes)]),
    ]


def figure_looks(local: Local) -> dict[str, tuple[str, str]]:
    """Marker and color of each node type in a figure."""
    import matplotlib.pyplot as plt

    axes = plot_explanation(replace(local, node_score=None), run=two_methods(local)[0])
    found = {
        str(handle.get_label()): (str(handle.get_marker()), to_hex(handle.get_markerfacecolor()))
        for handle in axes.get_legend().legend_handles
    }
    plt.close("all")
    return found


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_figures_have_the_same_colors_and_shapes(open_page: Callable[..., Any], theme: str) -> None:
    """Whichever type an instance shows first: the order is that of all types."""
    markers = {"ellipse": "o", "round-rectangle": "s", "diamond": "D", "hexagon": "h"}
    local = heterogeneous_local()
    page = open_page(*two_methods(local))
    page.evaluate("(theme) => glassgraph.set({theme})", theme)
    keys, shown = page.evaluate(KEYS), figure_looks(local)
    for kind, key in keys.items():
        marker, color = shown[kind]
        assert (markers[key["shape"]], rgb(page, color)) == (marker, key["fill"])
    assert len(keys) == 3


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("method", [0, 1])
def test_types_have_the_colors_and_shapes_of_the_picture(
    open_page: Callable[..., Any], theme: str, method: int
) -> None:
    page = open_page(*two_methods(heterogeneous_local()))
    page.evaluate("(choice) => glassgraph.set(choice)", {"theme": theme, "method": method})
    keys = page.evaluate(KEYS)
    assert set(keys) == {"paper", "author", "venue"}
    types = {node["position"]: node["type"] for node in page.evaluate("glassgraph.nodes()")}
    for node in page.evaluate("glassgraph.drawn()"):
        key = keys[types[node["position"]]]
        assert node["shape"] == key["shape"]
        # Scores fill the nodes of the second method; the type then has the rim, here and there.
        told, seen = ("stroke", "border") if method else ("fill", "fill")
        assert rgb(page, node[seen]) == key[told]
    assert len({key["stroke" if method else "fill"] for key in keys.values()}) == 3


def test_twenty_types_can_be_told_apart(open_page: Callable[..., Any]) -> None:
    local = scored(local_of(nx.cycle_graph(20), 10, [10]))
    page = open_page(Run("a", [replace(local, node_type=[f"t{n}" for n in range(20)])]))
    keys = page.evaluate(KEYS).values()
    assert len({(key["shape"], key["fill"]) for key in keys}) == 20


def test_the_legend_names_no_type_that_is_folded_away(open_page: Callable[..., Any]) -> None:
    local = local_of(nx.star_graph(40), 10, [10])
    score = torch.zeros(80).index_fill(0, torch.tensor([3]), 1.0)
    types = ["hub", *["leaf"] * 5, *["other"] * 35]
    page = open_page(
        Run(
            "a", [replace(local, edge_score=score, node_type=types)], {"task": {"node_type": "hub"}}
        )
    )
    assert set(page.evaluate(KEYS)) == {"hub", "leaf"}
    page.evaluate("glassgraph.set({fold: false})")
    assert set(page.evaluate(KEYS)) == {"hub", "leaf", "other"}
