"""Counterfactuals in reports and figures: what changes, and the decision before and after."""

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
from torch import Tensor

from glassgraph.report import plot_explanation, write_report
from glassgraph.report.palette import change_color
from glassgraph.report.payload import MAX_DRAWN_EDGES, build_payload
from tests.report.fakes import Local, Run, local_of


def tables(deleted: list[int], **found: Any) -> dict[str, dict[str, Tensor]]:
    """Edges that go, an edge that comes (both ways) and a feature that is set."""
    numbers = {"size": 3, "valid": True, "before": 0.75, "after": 0.25, "in_pairs": True, **found}
    return {
        "deleted_edges": {"edge": torch.tensor(deleted)},
        "inserted_edges": {"source": torch.tensor([1, 3]), "destination": torch.tensor([3, 1])},
        "changed_features": {
            "node": torch.tensor([2]),
            "column": torch.tensor([5]),
            "before": torch.tensor([1.0]),
            "after": torch.tensor([0.0]),
        },
        "counterfactual": {name: torch.tensor([value]) for name, value in numbers.items()},
    }


def path(**found: Any) -> Local:
    """Nodes 10 - 11 - 12 - 13, of which 10 is explained; the first edge goes, both ways."""
    local = local_of(nx.path_graph(4), 10, [10])
    score = torch.tensor([1.0, 0.0, 0.0, 1.0, 0.0, 0.0])
    return replace(local, edge_score=score, tables=tables([0, 3], new_class=1, **found))


def test_changes_are_told_once() -> None:
    payload = build_payload([Run("a", [path()])], [], "")
    assert payload["instances"][0]["runs"][0]["changes"] == {
        "valid": True,
        "size": 3,
        "before": 0.75,
        "after": 0.25,
        "new_class": 1,
        "undirected": True,
        "deleted": [0, 3],
        "inserted": [[1, 3]],
        "features": [[2, "feature 5", 1, 0]],
    }
    directed = build_payload([Run("a", [path(in_pairs=False)])], [], "")
    assert directed["instances"][0]["runs"][0]["changes"]["inserted"] == [[1, 3], [3, 1]]
    plain = replace(path(), tables={})
    assert build_payload([Run("a", [plain])], [], "")["instances"][0]["runs"][0]["changes"] is None


def test_what_is_left_of_a_graph_without_nodes_is_no_class() -> None:
    payload = build_payload([Run("a", [path(after=float("nan"))])], [], "")
    changes = payload["instances"][0]["runs"][0]["changes"]
    assert (changes["after"], changes["new_class"]) == (None, None)


def test_positions_are_those_of_what_is_drawn() -> None:
    local = local_of(nx.complete_graph(40), 10, [10])  # 1560 edges
    score = torch.zeros(1560)
    score[700] = 1.0
    found = tables([700], new_class=1)
    found["inserted_edges"] = {"source": torch.tensor([38]), "destination": torch.tensor([39])}
    local = replace(local, edge_score=score, tables=found)
    instance = build_payload([Run("a", [local])], [], "")["instances"][0]
    (structure,), changes = instance["structures"], instance["runs"][0]["changes"]
    assert len(structure["source"]) == MAX_DRAWN_EDGES
    assert [structure["edge_id"][e] for e in changes["deleted"]] == [800]
    assert [[structure["nodes"][n] for n in ends] for ends in changes["inserted"]] == [[48, 49]]


@pytest.mark.parametrize("layout", ["organic", "molecule"])
def test_figures_strike_out_and_add(layout: str) -> None:
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    local = path()
    if layout == "molecule":
        local = replace(local, node_names=["C", "C", "O", "N"])
    axes = plot_explanation(local, layout=layout)
    gids = {artist.get_gid(): artist for artist in axes.get_children() if artist.get_gid()}
    assert len(gids["deleted"].get_offsets()) == 1
    assert len(gids["features-set"].get_offsets()) == 1
    assert to_hex(gids["inserted-0"].get_edgecolor()) == change_color("inserted")
    assert "inserted-1" not in gids
    legend = {text.get_text() for text in axes.get_legend().get_texts()}
    assert {"deleted", "inserted", "feature set"} <= legend
    plt.close("all")


@pytest.fixture
def open_page(browser: Any, tmp_path: Path) -> Iterator[Any]:
    context = browser.new_context(viewport={"width": 1440, "height": 900}, color_scheme="light")
    troubles: list[str] = []

    def opened(*runs: Run) -> Any:
        target = write_report(tmp_path / "report.html", runs, [], "T")
        page = context.new_page()
        page.on("console", lambda message: troubles.append(message.text))
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.goto(target.as_uri())
        return page

    yield opened
    context.close()
    assert troubles == []


def drawn(page: Any, **choice: Any) -> tuple[int, int, int, int]:
    found = page.evaluate("(choice) => glassgraph.set(choice)", choice)
    return tuple(found[name] for name in ("struck", "gone", "inserted", "reset"))  # type: ignore[return-value]


@pytest.mark.browser
def test_the_page_shows_before_changes_and_after(open_page: Any) -> None:
    other = replace(path(), tables={})
    page = open_page(Run("a", [path()]), Run("b", [other]))
    assert drawn(page) == (2, 2, 1, 1)
    card = page.locator("#changes-card")
    assert card.locator("dd").all_text_contents() == ["class 0 → class 1", "3"]
    assert card.locator(".value").all_text_contents() == ["75 %", "25 %"]
    rows = card.locator("li span").all_text_contents()
    assert rows == ["10 – 11", "11 – 13", "12, feature 5: 1 → 0"]
    assert card.locator("li small").all_text_contents() == ["deleted", "inserted", "set"]
    said = page.locator("#cy").get_attribute("aria-label")
    assert "1 edge deleted, 1 edge inserted, 1 feature set; class 0 becomes class 1" in said
    keys = page.locator("#legend .key.change")
    assert keys.count() == 3
    card.locator("[data-changes=before]").click()
    assert drawn(page) == (0, 0, 0, 0)
    assert keys.count() == 0
    card.locator("[data-changes=after]").click()
    assert drawn(page) == (0, 2, 1, 1)
    assert drawn(page, changes="both", method=1) == (0, 0, 0, 0)
    assert card.is_hidden()
    assert drawn(page, method=0) == (2, 2, 1, 1)


@pytest.mark.browser
def test_what_is_no_counterfactual_is_said(open_page: Any) -> None:
    page = open_page(Run("a", [path(valid=False)]))
    assert "this comes nearest" in page.locator("#changes-note").text_content()
    assert "no counterfactual; nearest" in page.locator("#cy").get_attribute("aria-label")
    empty = tables([], size=0, valid=False, new_class=0)
    del empty["inserted_edges"], empty["changed_features"]
    page = open_page(Run("a", [replace(path(), tables=empty)]))
    assert "moves the prediction" in page.locator("#changes-note").text_content()


@pytest.mark.browser
def test_a_hydrogen_that_changes_is_not_folded(open_page: Any) -> None:
    ethane = nx.Graph([(0, 1), (0, 2), (0, 3), (1, 4), (1, 5)])
    local = local_of(ethane, 0, [])
    found = tables([], new_class=1)
    found["inserted_edges"] = {"source": torch.tensor([2]), "destination": torch.tensor([1])}
    found["changed_features"]["node"] = torch.tensor([0])
    local = replace(
        local,
        node_names=[*"CCHHHH"],
        edge_names=["single"] * 10,
        edge_score=torch.zeros(10),
        tables=found,
    )
    page = open_page(Run("a", [local], level="graph"))
    folded = page.evaluate("glassgraph.nodes().filter((n) => n.isFolded).map((n) => n.position)")
    assert folded == [3, 4, 5]
