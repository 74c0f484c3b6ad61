"""The report as a reader meets it: opened from a file, clicked, hovered, searched."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import networkx as nx
import pandas as pd
import pytest
import torch

from glassgraph.report import write_report
from glassgraph.report.payload import MAX_DRAWN_EDGES
from tests.report.fakes import Local, Run, local_of, star, two_methods, walked

pytestmark = pytest.mark.browser

METRICS = [{"method": "plain", "auc": 0.5, "n": 3}, {"method": "layered", "auc": None, "n": 20}]
Open = Callable[..., Any]
SVG = "{http://www.w3.org/2000/svg}"
#: Elements of an SVG that are shapes of node types.
FORMS = ("circle", "rect", "polygon")


@pytest.fixture
def open_report(browser: Any, tmp_path: Path) -> Iterator[Open]:
    """Opens a report; at the end there must have been no request beside the file and no error."""
    context = browser.new_context(viewport={"width": 1440, "height": 900}, color_scheme="light")
    requests: list[str] = []
    troubles: list[str] = []

    def listen(page: Any) -> None:
        page.on("request", lambda request: requests.append(request.url))
        page.on("console", lambda message: troubles.append(message.text))
        page.on("pageerror", lambda error: troubles.append(str(error)))

    def opened(
        runs: Sequence[Run],
        metrics: Sequence[dict[str, object]] = (),
        title: str = "T",
        **more: Any,
    ):
        path = write_report(tmp_path / "report.html", runs, metrics, title, **more)
        page = context.new_page()
        listen(page)
        page.goto(path.as_uri())
        return page

    yield opened
    context.close()
    report = (tmp_path / "report.html").as_uri()
    assert [url for url in requests if url != report and not url.startswith("data:")] == []
    assert troubles == []


def state(page: Any) -> dict[str, Any]:
    found: dict[str, Any] = page.evaluate("glassgraph.state()")
    return found


def scores(page: Any) -> list[float | None]:
    found: list[float | None] = page.evaluate("glassgraph.edges().map((edge) => edge.score)")
    return found


def slide(page: Any, selector: str, value: int) -> None:
    page.locator(selector).evaluate(
        "(slider, value) => { slider.value = value; slider.dispatchEvent(new Event('input')); }",
        value,
    )


def tooltip(page: Any, kind: str, position: int) -> list[str]:
    """The tooltip's lines when the mouse stands on a node or edge."""
    page.mouse.move(1, 1)
    point = page.evaluate(
        "([kind, position]) => glassgraph.point(kind, position)", [kind, position]
    )
    page.mouse.move(point["x"], point["y"])
    page.locator("#tooltip").wait_for(state="visible")
    lines: list[str] = page.locator("#tooltip tr").evaluate_all(
        "rows => rows.map((row) => [...row.cells].map((cell) => cell.textContent).join(': '))"
    )
    return lines


def test_every_edge_is_drawn_with_its_numbers(open_report: Open) -> None:
    page = open_report(two_methods(), METRICS, "Fish & <chips>")
    assert page.title() == "Fish & <chips>"
    assert page.locator("h1").text_content() == "Fish & <chips>"
    now = state(page)
    assert (now["index"], now["nodes"], now["lines"], now["seeds"]) == (10, 4, 5, [0])
    edges = page.evaluate("glassgraph.edges()")
    assert [(e["id"], e["source"], e["target"]) for e in edges] == [
        (7, 11, 10), (2, 12, 10), (19, 13, 10), (5, 10, 11), (11, 12, 13)
    ]  # fmt: skip
    assert [e["score"] for e in edges] == [0.5, 0.123457, 0, 0.25, 1]
    assert [e["rank"] for e in edges] == [2, 4, 5, 3, 1]
    assert [e["truth"] for e in edges] == [True, False, True, False, True]
    # All of them fit into the default k, but a zero is never highlighted.
    assert now["highlighted"] == [4, 0, 3, 1]
    widths = [e["width"] for e in edges]
    assert widths[4] == 7
    assert sorted(range(5), key=lambda e: -widths[e]) == [4, 0, 3, 1, 2]


def test_the_top_k_slider_leaves_k_edges(open_report: Open) -> None:
    page = open_report(two_methods())
    slide(page, "#k-slider", 3)
    assert state(page)["highlighted"] == [4, 0, 3]
    rows = page.locator("#top tr")
    assert rows.count() == 3
    assert rows.first.text_content() == "112 → 131"
    assert page.locator("#reading").text_content() == "3 of 5 edges"
    slide(page, "#k-slider", 0)
    assert state(page)["highlighted"] == []


def test_the_threshold_slider_leaves_what_is_as_strong(open_report: Open) -> None:
    page = open_report(two_methods())
    page.locator("[data-mode=threshold]").click()
    slide(page, "#threshold-slider", 250)
    assert state(page)["highlighted"] == [4, 0, 3]
    assert "0.25" in page.locator("#reading").text_content()
    slide(page, "#threshold-slider", 251)
    assert state(page)["highlighted"] == [4, 0]


def test_methods_and_layers_change_the_scores(open_report: Open) -> None:
    page = open_report(two_methods())
    assert page.locator("#layer-field").is_hidden()
    page.locator("#method").select_option("layered")
    assert scores(page) == [-0.75, 0.5, 0, 0.25, 0.125]
    assert page.locator("#layer button").all_text_contents() == ["All", "1", "2"]
    page.locator("#layer button", has_text="1").click()
    assert scores(page) == [0, -3, 2, 0, 1]
    assert state(page)["highlighted"] == [1, 2, 4]
    page.locator("#layer button", has_text="2").click()
    assert scores(page) == [0.5, 0, 0, -0.5, 4]
    colors = page.evaluate("glassgraph.edges().map((edge) => edge.color)")
    red, blue = ([int(c) for c in colors[e][4:-1].split(",")] for e in (4, 3))
    assert red[0] > red[2]
    assert blue[2] > blue[0]
    page.locator("#method").select_option("plain")
    assert scores(page) == [0.5, 0.123457, 0, 0.25, 1]


def test_layers_without_a_whole_begin_with_the_first(open_report: Open) -> None:
    layers = torch.tensor([[0.0, 1.0, 0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0, 0.0]])
    page = open_report([Run("masks", [star(edge_score=None, layer_edge_score=layers)])])
    assert page.locator("#layer button").all_text_contents() == ["1", "2"]
    assert (state(page)["layer"], state(page)["highlighted"]) == (0, [1])


def test_ground_truth_can_be_shown_and_hidden(open_report: Open) -> None:
    page = open_report(two_methods())
    slide(page, "#k-slider", 2)
    assert state(page)["truthMarked"] == 3
    agreement = "Precision 1 (2 of 2) · recall 0.6667 (2 of 3)"
    assert page.locator("#agreement").text_content() == agreement
    page.locator("#truth-field").click()
    assert state(page)["truthMarked"] == 0
    assert page.locator("#agreement").is_hidden()
    page.keyboard.press("t")
    assert state(page)["truthMarked"] == 3
    page.locator("#next").click()
    assert page.locator("#truth-field").is_hidden()


def test_opposite_edges_can_be_drawn_as_one(open_report: Open) -> None:
    page = open_report(two_methods())
    page.locator("#directions-field").click()
    assert state(page)["lines"] == 4
    # The pair 11 -> 10 (0.5) and 10 -> 11 (0.25) tells both, the stronger first.
    lines = tooltip(page, "edge", 3)
    assert [line for line in lines if "score" in line] == ["score: 0.5", "score: 0.25"]
    assert state(page)["highlighted"] == [4, 0, 3, 1]


def test_instances_are_switched_by_list_buttons_keys_and_search(open_report: Open) -> None:
    locals_ = [star(index=100 + i, label=i % 2) for i in range(300)]
    page = open_report([Run("a", locals_)])
    assert page.locator("#instance-list .row").count() == 300
    page.locator("#instance-list .row").nth(2).click()
    assert state(page)["index"] == 102
    page.locator("#next").click()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    assert state(page)["index"] == 105
    page.keyboard.press("ArrowLeft")
    page.locator("#previous").click()
    assert state(page)["index"] == 103
    page.locator("#search").fill("37")
    assert page.locator("#instance-list .row:visible").count() == 13  # 137, 237, 337, 370 to 379
    page.locator("#search").press("Enter")
    assert state(page)["index"] == 137
    page.locator("#search").fill("wrong 13")
    assert (
        page.locator("#instance-list .row:visible").first.locator("b").text_content() == "Node 113"
    )
    page.locator("#search").fill("nothing")
    assert page.locator("#no-match").is_visible()


def test_a_slider_keeps_the_arrow_keys_for_itself(open_report: Open) -> None:
    page = open_report(two_methods())
    slide(page, "#k-slider", 2)
    page.locator("#k-slider").focus()
    page.keyboard.press("ArrowRight")
    assert (state(page)["k"], state(page)["instance"]) == (3, 0)


def test_hovering_tells_the_numbers(open_report: Open) -> None:
    page = open_report(two_methods())
    assert tooltip(page, "edge", 4) == [
        "edge: 11", "from → to: 12 → 13", "score: 1", "rank: 1 of 5", "truth: yes"
    ]  # fmt: skip
    assert tooltip(page, "edge", 1) == [
        "edge: 2", "from → to: 12 → 10", "score: 0.123457", "rank: 4 of 5", "truth: no"
    ]  # fmt: skip
    assert tooltip(page, "node", 0) == ["node: 10 (explained)", "score: 0.9", "rank: 1 of 4"]
    page.mouse.move(1, 1)
    assert page.locator("#tooltip").is_hidden()


def test_the_prediction_is_shown(open_report: Open) -> None:
    local = star(target=(2, 0), label=1, prediction=torch.tensor([0.25, 0.125, 0.625]))
    page = open_report([Run("a", [local])])
    assert page.locator("#prediction dd").all_text_contents() == [
        "class 2", "class 2 rather than 0", "class 1"
    ]  # fmt: skip
    assert page.locator("#prediction .value").all_text_contents() == ["25 %", "12.5 %", "62.5 %"]
    assert page.locator("#prediction .aimed .name").all_text_contents() == ["class 0", "class 2"]
    assert page.locator(".row .dot.wrong").count() == 1


def test_a_regression_shows_values_and_no_class(open_report: Open) -> None:
    local = star(prediction=torch.tensor([0.5, -3.25]), target=1)
    page = open_report([Run("a", [local], {"task": {"mode": "regression"}})])
    assert page.locator("#prediction dd").all_text_contents() == ["output 1"]
    assert page.locator("#prediction .value").all_text_contents() == ["0.5", "−3.25"]


def test_the_metrics_can_be_sorted_and_lead_to_the_method(open_report: Open) -> None:
    page = open_report(two_methods(), [*METRICS, {"method": "other", "auc": 0.75, "n": 1}])

    def first_column() -> list[str]:
        cells: list[str] = page.locator("#metrics tbody td:first-child").all_text_contents()
        return cells

    assert first_column() == ["plain", "layered", "other"]
    page.locator("#metrics th", has_text="n").last.click()
    assert first_column() == ["layered", "plain", "other"]
    page.locator("#metrics th", has_text="auc").click()
    assert first_column() == ["other", "plain", "layered"]
    page.locator("#metrics th", has_text="auc").click()
    assert first_column() == ["plain", "other", "layered"]  # what is missing stays last
    assert page.locator("#metrics td", has_text="–").count() == 1
    page.locator("#metrics .link", has_text="layered").click()
    assert state(page)["method"] == 1


def test_the_provenance_unfolds(open_report: Open) -> None:
    page = open_report(two_methods())
    details = page.locator("#provenance details").first
    assert details.locator("table").first.is_hidden()
    details.locator("summary").click()
    assert details.locator("tr").first.text_content() == "seed3"
    assert "Cytoscape.js" in page.locator("#footer").text_content()
    assert "MIT" in page.locator("#footer").text_content()


def test_an_instance_without_edges_and_one_without_scores_say_so(open_report: Open) -> None:
    page = open_report(two_methods())
    page.evaluate("glassgraph.set({instance: 1})")
    assert "Every score is zero" in page.locator("#notice").text_content()
    assert state(page)["highlighted"] == []
    page.evaluate("glassgraph.set({instance: 2})")
    assert (state(page)["nodes"], state(page)["lines"]) == (1, 0)
    assert "nothing mattered" in page.locator("#notice").text_content()
    page.evaluate("glassgraph.set({instance: 0})")
    assert page.locator("#notice").is_hidden()
    for i in range(3):
        for method in range(2):
            page.evaluate("([i, m]) => glassgraph.set({instance: i, method: m})", [i, method])
            assert "NaN" not in page.locator("body").inner_text()
            assert "undefined" not in page.locator("body").inner_text()


def test_scores_of_nodes_alone_are_ranked_and_drawn(open_report: Open) -> None:
    features = torch.tensor([[1.0, -3.0], [0.5, 0.0], [0.0, 0.0], [2.0, 2.0]])
    page = open_report([Run("a", [star(edge_score=None, feature_score=features)])])
    slide(page, "#k-slider", 2)
    nodes = page.evaluate("glassgraph.nodes()")
    assert [node["score"] for node in nodes] == [-2, 0.5, 0, 4]
    assert [node["isHighlighted"] for node in nodes] == [True, False, False, True]
    assert page.locator("#top-title").text_content() == "Strongest nodes"
    assert tooltip(page, "node", 0) == [
        "node: 10 (explained)", "score: −2", "rank: 2 of 4", "feature 1: −3", "feature 0: 1"
    ]  # fmt: skip
    assert page.locator("#features .value").all_text_contents() == ["3.5", "−1"]


def test_a_large_instance_says_what_is_not_drawn(open_report: Open) -> None:
    graph = nx.barabasi_albert_graph(401, 3, seed=0)
    local = local_of(graph, 10, [10])
    num_edges = local.edge_index.size(1)
    score = torch.linspace(1, 0, num_edges)
    page = open_report([Run("a", [replace(local, edge_score=score)])])
    assert state(page)["lines"] == MAX_DRAWN_EDGES
    assert f"400 of {num_edges:,} edges" in page.locator("#notice").text_content()
    slide(page, "#k-slider", 31)
    ids = page.evaluate("glassgraph.edges().filter((e) => e.isHighlighted).map((e) => e.id)")
    assert ids == list(range(100, 131))
    # Where the ranks have gaps nothing may be called the top k.
    top = int(page.locator("#k-slider").get_attribute("max"))
    slide(page, "#k-slider", top)
    assert page.evaluate("glassgraph.edges().filter((e) => e.isHighlighted).length") == top
    page.evaluate("glassgraph.set({mode: 'threshold', threshold: 0})")
    assert page.evaluate("glassgraph.edges().filter((e) => e.isHighlighted).length") == top


def test_types_and_relations_are_named(open_report: Open) -> None:
    local = Local(
        index=3,
        edge_index=torch.tensor([[0, 1, 2], [2, 2, 0]]),
        node_id=torch.tensor([3, 4, 3]),
        edge_id=torch.tensor([0, 1, 0]),
        seeds=torch.tensor([3]),
        node_type=["author", "author", "paper"],
        edge_type=["author__writes__paper", "author__writes__paper", "paper__by__author"],
        edge_score=torch.tensor([0.5, 1.0, 0.25]),
    )
    page = open_report([Run("a", [local], {"task": {"node_type": "paper"}})])
    assert state(page)["seeds"] == [2]
    assert tooltip(page, "edge", 1)[:3] == [
        "edge: 1", "from → to: author 4 → paper 3", "relation: author__writes__paper"
    ]  # fmt: skip
    assert tooltip(page, "node", 2)[0] == "node: paper 3 (explained)"
    assert page.locator("#legend .shape").count() == 2


def test_names_stand_for_numbers_everywhere(open_report: Open) -> None:
    named = star(
        node_names=["hub", "left", "", "<b>right</b>"],
        edge_names=["p", "q", "r", "s", "t"],
        class_names=["calm", "wild"],
        label=1,
    )
    page = open_report([Run("a", [named, star(index=11)])])
    assert [node["name"] for node in page.evaluate("glassgraph.nodes()")] == named.node_names
    assert tooltip(page, "edge", 4)[:3] == ["edge: 11", "from → to: 12 → <b>right</b>", "name: t"]
    assert tooltip(page, "node", 0)[:2] == ["node: hub (explained)", "number: 10"]
    assert page.locator("#top tr").nth(1).locator(".name").text_content() == "left → hub p"
    assert page.locator("#prediction dd").all_text_contents() == ["calm", "calm", "wild"]
    assert page.locator("#prediction .aimed .name").all_text_contents() == ["calm"]
    page.fill("#search", "hub")
    assert page.locator("#instance-list .row:visible").count() == 1
    assert page.locator("#instance-list .row:visible small").text_content() == "hub"


@pytest.mark.parametrize("size", [9, 40])
def test_a_sentence_stands_in_its_order(open_report: Open, size: int) -> None:
    shape = nx.path_graph(size)
    local = local_of(shape, 0, [], node_names=[f"word{n}" for n in range(size)])
    score = torch.linspace(0, 1, local.edge_index.size(1))
    page = open_report([Run("a", [replace(local, edge_score=score)])], layout="sentence")
    assert state(page)["layout"] == page.locator("#layout").input_value() == "sentence"
    spots = [page.evaluate("(n) => glassgraph.point('node', n)", n) for n in range(size)]
    along, across = ("x", "y") if size == 9 else ("y", "x")  # a long one runs down the page
    places = [spot[along] for spot in spots]
    assert places == sorted(places)
    assert {round(spot[across], 3) for spot in spots} == {round(spots[0][across], 3)}
    page.select_option("#layout", "organic")
    spots = [page.evaluate("(n) => glassgraph.point('node', n)", n) for n in range(size)]
    assert len({round(spot[across], 1) for spot in spots}) > 1


def test_only_what_has_words_offers_sentences(open_report: Open) -> None:
    page = open_report([Run("a", [star()])])
    assert page.locator("#layout option[value=sentence]").count() == 0


def test_aggregates_are_shown_below(open_report: Open) -> None:
    ends = {"kept_low": [0.1, 0.2], "kept_high": [0.9, 0.4]}
    table = pd.DataFrame({"layer": [0, 1], "count": [5, 3], "kept": [0.5, 0.25], **ends})
    page = open_report([Run("a", [star()])], aggregates={"By layer": table})
    assert page.locator("#aggregates-section rect").count() == 2
    wide = [bar["width"] for bar in page.locator("#aggregates-section rect").evaluate_all(
        "bars => bars.map((bar) => bar.getBoundingClientRect().toJSON())"
    )]  # fmt: skip
    assert wide[0] == pytest.approx(2 * wide[1], rel=0.01)
    page.click("a[href='#aggregates-section']")
    assert page.locator("#aggregates-section h2").is_visible()


def test_a_network_is_drawn_where_there_is_one(open_report: Open) -> None:
    pairs = torch.tensor([[1, 2], [1, 0], [2, 0]]).t()
    tables = {"network": {"parent": pairs[0], "child": pairs[1]}}
    nothing = {"network": {"parent": pairs[0, :0], "child": pairs[1, :0]}}
    page = open_report(
        [Run("a", [star(tables=tables)]), Run("b", [star()]), Run("c", [star(tables=nothing)])]
    )
    picture = page.locator("#network")
    assert picture.get_attribute("aria-label") == "11 → 12, 11 → 10, 12 → 10"
    assert page.locator("#network text").all_text_contents() == ["11", "12", "10"]
    assert page.locator("#network .arrow").count() == 3
    inside = picture.bounding_box()
    for box in page.locator("#network .box").all():
        own = box.bounding_box()
        assert inside["x"] <= own["x"] <= own["x"] + own["width"] <= inside["x"] + inside["width"]
        assert inside["y"] <= own["y"] <= inside["y"] + inside["height"] - own["height"] + 1
    page.locator("#method").select_option("b")
    assert page.locator("#network-card").is_hidden()
    page.locator("#method").select_option("c")
    assert picture.is_hidden()
    assert "no node" in page.locator("#network-note").text_content()


def walks_report(open_report: Open) -> Any:
    return open_report([Run("a", [walked(), walked(index=20)])])


def traced(page: Any) -> dict[str, Any]:
    found: dict[str, Any] = state(page)["traced"]
    return found


NOTHING = {"nodes": [], "stays": [], "lines": []}


def test_walks_are_listed_with_their_scores_where_there_are_any(open_report: Open) -> None:
    page = open_report([Run("a", [walked()]), Run("b", [star()])])
    assert page.locator(".walk .path").all_text_contents() == [
        "12 → 13 → 13", "12 → 10 → 11", "11 → 10 → 11"
    ]  # fmt: skip
    assert page.locator(".walk .value").all_text_contents() == ["2", "−1", "0.5"]
    assert page.locator("#walks-count").text_content() == "3"
    assert page.locator("#handed").text_content() == (
        "Node scores sum to 1.5 of the 2 handed down; 25 % stayed with biases."
    )
    page.locator("#method").select_option("b")
    assert page.locator("#walks-card").is_hidden()
    assert page.locator("#handed").count() == 0


def test_passing_over_a_walk_brings_it_out(open_report: Open) -> None:
    page = walks_report(open_report)
    page.locator(".walk").nth(0).hover()
    # Edge 4 runs from 12 to 13, where the information stays.
    assert traced(page) == {
        "nodes": [2, 3], "stays": [3], "lines": [{"edges": [4], "steps": "1"}]
    }  # fmt: skip
    page.locator(".walk").nth(2).hover()
    assert traced(page) == {
        "nodes": [0, 1],
        "stays": [],
        "lines": [{"edges": [0], "steps": "1"}, {"edges": [3], "steps": "2"}],
    }
    page.mouse.move(1, 1)
    assert traced(page) == NOTHING


def test_a_picked_walk_stays_until_it_is_let_go(open_report: Open) -> None:
    page = walks_report(open_report)
    row = page.locator(".walk").nth(1)
    row.click()
    page.mouse.move(1, 1)
    assert (state(page)["walk"], traced(page)["nodes"]) == (1, [0, 1, 2])
    assert row.get_attribute("aria-pressed") == "true"
    page.locator("#theme").click()
    slide(page, "#k-slider", 1)
    assert traced(page)["nodes"] == [0, 1, 2]
    page.locator(".walk").nth(1).click()
    assert (state(page)["walk"], traced(page)) == (None, NOTHING)
    page.locator(".walk").nth(1).click()
    page.keyboard.press("Escape")
    assert state(page)["walk"] is None
    page.locator(".walk").nth(1).click()
    page.mouse.move(1, 1)
    page.evaluate("glassgraph.set({instance: 1})")
    assert (state(page)["walk"], traced(page)) == (None, NOTHING)


def test_walks_need_no_mouse(open_report: Open) -> None:
    page = walks_report(open_report)
    page.locator("#directions").focus()
    page.keyboard.press("Tab")
    assert traced(page)["nodes"] == [2, 3]
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")  # there is no fourth
    assert (traced(page)["nodes"], state(page)["instance"]) == ([0, 1], 0)
    page.keyboard.press("Enter")
    assert state(page)["walk"] == 2
    page.keyboard.press("ArrowUp")
    assert (traced(page)["nodes"], state(page)["walk"]) == ([0, 1, 2], 2)
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Shift+Tab")
    assert traced(page)["nodes"] == [0, 1]


def test_there_and_back_on_one_line_is_told_by_its_steps(open_report: Open) -> None:
    page = walks_report(open_report)
    page.evaluate("glassgraph.set({separate: false, walk: 2})")
    assert traced(page)["lines"] == [{"edges": [0, 3], "steps": "1, 2"}]


def test_on_a_small_screen_picking_a_walk_shows_the_picture(open_report: Open) -> None:
    page = walks_report(open_report)
    page.set_viewport_size({"width": 390, "height": 844})
    page.locator(".walk").nth(0).scroll_into_view_if_needed()
    page.evaluate("scrollTo(0, document.querySelector('#walks').offsetTop)")
    page.locator(".walk").nth(0).click()
    is_seen = "document.querySelector('#cy').getBoundingClientRect().top > -2"
    look = f"const look = () => ({is_seen} ? done() : requestAnimationFrame(look)); look();"
    page.evaluate(f"new Promise((done) => {{ {look} }})")
    assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_light_and_dark(open_report: Open) -> None:
    page = open_report(two_methods())
    paper = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(paper)
    page.locator("#theme").click()
    assert state(page)["theme"] == "dark"
    assert page.evaluate(paper) != light


def test_layouts_put_every_node_somewhere_else_and_always_the_same(open_report: Open) -> None:
    graph = nx.disjoint_union(nx.star_graph(7), nx.cycle_graph(5))
    graph.add_node("alone")
    local = local_of(graph, 10, [10])
    page = open_report([Run("a", [replace(local, edge_score=torch.rand(24))])])
    read = "glassgraph.nodes().map((n) => glassgraph.point('node', n.position))"
    for layout in ("organic", "rings"):
        page.locator("#layout").select_option(layout)
        points = page.evaluate(read)
        assert len({(round(p["x"]), round(p["y"])) for p in points}) == 14
        box = page.locator("#cy").bounding_box()
        assert all(box["x"] < p["x"] < box["x"] + box["width"] for p in points)
        assert all(box["y"] < p["y"] < box["y"] + box["height"] for p in points)
        page.reload()
        page.locator("#layout").select_option(layout)
        assert page.evaluate(read) == points


def test_names_from_the_data_never_run(open_report: Open) -> None:
    nasty = '</script><img src=x onerror="window.hacked=1"><script>window.hacked=1</script>\'"&'
    local = walked(node_type=[nasty, "b", "b", "b"], edge_type=[nasty] * 5)
    page = open_report(
        [Run(nasty, [local], {nasty: nasty})], [{"method": nasty, nasty: nasty}], nasty
    )
    assert page.locator("h1").text_content() == nasty
    assert nasty in tooltip(page, "edge", 4)[2]
    assert nasty in page.locator(".walk .path").nth(1).text_content()
    page.locator("summary").first.click()
    page.locator("#metrics th").last.click()
    page.wait_for_timeout(50)
    assert page.evaluate("window.hacked") is None
    assert page.locator("img").count() == 0


def test_the_page_may_not_connect(browser: Any, tmp_path: Path) -> None:
    path = write_report(tmp_path, two_methods())
    page = browser.new_page()
    page.goto(path.as_uri())
    attempt = "fetch('http://127.0.0.1:9/').then(() => 'sent', (error) => String(error))"
    assert "Failed to fetch" in page.evaluate(attempt)
    refused = "Content Security Policy"
    with page.expect_console_message(lambda message: refused in message.text):
        page.evaluate("fetch('http://127.0.0.1:9/').catch(() => null)")
    page.close()


def test_the_picture_can_be_saved(open_report: Open) -> None:
    page = open_report(two_methods())
    with page.expect_download() as download:
        page.locator("#png").click()
    assert download.value.suggested_filename == "plain-node-10.png"
    assert Path(download.value.path()).read_bytes().startswith(b"\x89PNG")


def saved(page: Any, kind: str) -> bytes:
    with page.expect_download() as download:
        page.locator(f"#{kind}").click()
    return Path(download.value.path()).read_bytes()


def drawing(page: Any) -> tuple[Any, list[str]]:
    """The saved SVG, and its texts."""
    root = ElementTree.fromstring(saved(page, "svg"))
    return root, ["".join(text.itertext()) for text in root.iter(f"{SVG}text")]


def groups(root: Any, kind: str) -> list[Any]:
    return [each for each in root.iter(f"{SVG}g") if each.get("class") == kind]


def test_a_saved_svg_holds_what_is_drawn_with_title_and_legend(open_report: Open) -> None:
    page = open_report(two_methods())
    root, texts = drawing(page)
    assert (root.get("width"), root.get("height"), root.get("viewBox")) == (
        "900", "640", "0 0 900 640"
    )  # fmt: skip
    assert (len(groups(root, "node")), len(groups(root, "edge"))) == (4, 5)
    for text in ("plain, node 10", "10", "13", "explained node", "ground truth", "not selected"):
        assert text in texts
    assert [text for text in texts if text.startswith("Edge score")] == ["Edge score  0"]
    colors = {edge["color"] for edge in page.evaluate("glassgraph.edges()")}
    strokes = {path.get("stroke") for path in root.iter(f"{SVG}path")}
    assert len({color for color in colors if color.startswith("rgb")} & strokes) == 4


def test_a_saved_picture_has_the_size_title_and_legend_that_were_chosen(open_report: Open) -> None:
    page = open_report(two_methods())
    assert page.locator("#picture-options").is_hidden()
    page.locator("#picture").click()
    assert page.locator("#picture-title").get_attribute("placeholder") == "plain, node 10"
    page.locator("#picture-width").fill("700")
    page.locator("#picture-height").fill("500")
    page.locator("#picture-factor").select_option("4")
    page.locator("#picture-title").fill("Fish & <chips>")
    page.locator(".switch", has=page.locator("#picture-legend")).click()
    root, texts = drawing(page)
    assert (root.get("width"), root.get("height")) == ("700", "500")
    assert "Fish & <chips>" in texts
    assert "ground truth" not in texts
    size = saved(page, "png")[16:24]
    assert (int.from_bytes(size[:4], "big"), int.from_bytes(size[4:], "big")) == (2800, 2000)
    page.locator("#picture").click()
    assert page.locator("#picture-options").is_hidden()


@pytest.mark.parametrize(("typed", "used"), [("7", "120"), ("", "900"), ("99999", "8000")])
def test_a_size_out_of_range_becomes_the_nearest(open_report: Open, typed: str, used: str) -> None:
    page = open_report(two_methods())
    page.locator("#picture").click()
    page.locator("#picture-width").fill(typed)
    assert drawing(page)[0].get("width") == used
    assert page.locator("#picture-width").input_value() == used


def test_nothing_of_a_saved_picture_lies_outside_of_it(open_report: Open) -> None:
    """Also a long title, a legend of several lines, and names, at the size of a column."""
    kinds = ["institution of the author", "paper", "author", "venue of publication"]
    typed = star(node_type=kinds, node_names=["GNNs explained, again", "B", "C", "D"])
    page = open_report([Run("a method with a rather long name", [typed])])
    page.locator("#picture").click()
    page.locator("#picture-width").fill("320")
    page.locator("#picture-height").fill("360")
    page.set_content(saved(page, "svg").decode())
    outside = page.evaluate("""() => {
      const paper = document.querySelector('svg').getBoundingClientRect();
      return [...document.querySelectorAll('svg text, svg g.node, svg path')].filter((each) => {
        const box = each.getBoundingClientRect();
        return box.left < paper.left || box.right > paper.right || box.top < paper.top
          || box.bottom > paper.bottom;
      }).map((each) => each.textContent);
    }""")
    assert outside == []


def test_types_and_walks_are_saved_with_their_colors(open_report: Open) -> None:
    page = open_report([Run("m", [star(node_type=["a", "b", "a", "c"])])])
    root, texts = drawing(page)
    assert {"a", "b", "c"} <= set(texts)
    forms = [form for node in groups(root, "node") for form in node if form.get("fill") != "none"]
    fills = {form.get("fill") for form in forms if not form.tag.endswith("text")}
    keys = {
        str(each.get("fill")).replace(" ", "") for each in root if each.tag.split("}")[1] in FORMS
    }
    assert len(fills) == 3
    assert fills <= keys
    page = open_report([Run("walky", [walked()])])
    page.locator("#walks li").first.click()
    root, _ = drawing(page)
    assert [float(each.get("opacity")) < 0.5 for each in groups(root, "node")].count(False) == 2


def test_no_instance_at_all(open_report: Open) -> None:
    page = open_report([Run("a", [])])
    assert "no instance" in page.locator("#notice").text_content()


#: Elements with a digit in them whose text does not fit, and is cut.
CUT = """() => [...document.querySelectorAll('td, th, span, b, dd, dt, p')]
  .filter((each) => each.children.length === 0 && /[0-9]/.test(each.textContent))
  .filter((each) => getComputedStyle(each).overflowX === 'hidden')
  .filter((each) => each.scrollWidth > each.clientWidth)
  .map((each) => `${each.className}: ${each.textContent}`)"""


@pytest.mark.parametrize("width", [1440, 900, 400])
def test_no_number_is_cut(open_report: Open, width: int) -> None:
    """A number that lost its end would be another number: 1.23e-10 reads 1.23."""
    run = two_methods()[0]
    first = run.locals[0]
    score = torch.tensor([-1.2345678e-10, 0.9986, -123456.789, 1.5e-7, -0.00012345]).double()
    large = replace(
        first,
        edge_score=score[: first.edge_index.size(1)],
        node_id=first.node_id + 123_456_789_000,
        prediction=torch.tensor([0.998612345, 0.001387655]),
    )
    page = open_report([replace(run, locals=[large, *run.locals[1:]])], METRICS)
    page.set_viewport_size({"width": width, "height": 900})
    assert page.locator("#top tr").count() > 2
    assert page.evaluate(CUT) == []
