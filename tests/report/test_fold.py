"""Hubs on the page: what is not selected is folded, counted, summed, found and opened."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import networkx as nx
import pytest
import torch

from glassgraph.report import write_report
from tests.report.fakes import Local, Run, local_of, molecule
from tests.report.gallery import drawn, hub_local, scored
from tests.report.test_gallery import looks

pytestmark = pytest.mark.browser
Open = Callable[..., Any]


@pytest.fixture
def open_page(browser: Any, tmp_path: Path) -> Iterator[Open]:
    context = browser.new_context(viewport={"width": 1440, "height": 900}, color_scheme="light")
    troubles: list[str] = []

    def opened(*runs: Run, **more: Any) -> Any:
        path = write_report(tmp_path / "report.html", runs, [], "T", **more)
        page = context.new_page()
        page.on("console", lambda message: troubles.append(message.text))
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.goto(path.as_uri())
        return page

    yield opened
    context.close()
    assert troubles == []


def star(neighbors: int = 143, **more: object) -> Local:
    """Node 10 with its neighbors 11, 12, …; the edge from the n-th scores n / 1000, back 0."""
    local = local_of(nx.star_graph(neighbors), 10, [10], **more)
    score = torch.zeros(2 * neighbors)
    score[neighbors:] = torch.arange(1, neighbors + 1) / 1000
    return replace(local, edge_score=score)


def state(page: Any, **choice: object) -> dict[str, Any]:
    found: dict[str, Any] = page.evaluate("(choice) => glassgraph.set(choice)", choice)
    return found


def folded_ids(page: Any) -> list[int]:
    ids: list[int] = page.evaluate(
        "glassgraph.nodes().filter((node) => node.isFolded).map((node) => node.id)"
    )
    return ids


def test_unselected_leaves_are_one_counted_node_with_their_sum(open_page: Open) -> None:
    page = open_page(Run("a", [star(143)]))
    (group,) = state(page, k=3)["folded"]
    assert (group["nodes"], group["edges"]) == (140, 280)
    assert group["edgeSum"] == pytest.approx(sum(range(1, 141)) / 1000)
    assert folded_ids(page) == list(range(11, 151))  # the last three score most
    assert len(page.evaluate("glassgraph.drawn()")) == 5
    labels = page.evaluate("glassgraph.drawn().map((node) => node.label)")
    assert "+140 neighbors" in labels
    row = page.locator("#folded button")
    assert row.text_content() == "+140 neighbors at 10280 edges, edge scores sum to 9.87"
    assert looks(page) == {}
    # Nothing is lost from the totals.
    assert (state(page)["nodes"], state(page)["lines"]) == (144, 286)


@pytest.mark.parametrize("how", ["click", "Enter", "list"])
def test_a_group_opens_and_folds_again(open_page: Open, how: str) -> None:
    page = open_page(Run("a", [star(143)]))
    if how == "click":
        box = page.evaluate("glassgraph.drawn().find((node) => node.group === 0)")
        page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    elif how == "Enter":
        page.locator("#folded button").focus()
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "refold"
    else:
        page.locator("#folded button").click()
    page.wait_for_function("glassgraph.state().folded.length === 0")
    assert len(page.evaluate("glassgraph.drawn()")) == 144
    assert {kind: each for kind, each in looks(page).items() if "verlaps" in kind} == {}
    page.locator("#refold").press("Enter")
    assert [group["nodes"] for group in state(page)["folded"]] == [131]
    assert page.evaluate("document.activeElement.dataset.group") == "0"  # drawn twice since
    page.locator("#fold-field").click()
    assert state(page)["folded"] == []


def test_selecting_more_takes_them_out_of_the_fold(open_page: Open) -> None:
    page = open_page(Run("a", [star(60)]))
    for k in (0, 1, 12, 40, 58):
        groups = state(page, k=k)["folded"]
        assert [group["nodes"] for group in groups] == ([60 - k] if 60 - k >= 3 else [])
        assert looks(page) == {}


def test_ways_to_the_explained_node_stay_and_what_hangs_on_two_is_told(open_page: Open) -> None:
    graph = nx.star_graph(30)
    graph.add_edges_from([(1, 40), (40, 41), (2, 50), (2, 51), (2, 52), (50, 3), (51, 3), (52, 3)])
    local = local_of(graph, 10, [10])
    names = dict(zip(graph, range(10, 10 + len(graph)), strict=True))
    place = {node: at for at, node in enumerate(graph)}
    ends = local.edge_index.t().tolist()
    score = torch.tensor([float({u, v} <= {place[40], place[41]}) for u, v in ends])
    truth = torch.tensor([{u, v} == {place[2], place[0]} for u, v in ends])
    page = open_page(Run("a", [replace(local, edge_score=score, edge_truth=truth)]))
    kept = {names[node] for node in (0, 1, 40, 41, 2)}  # to the strongest, and a true edge
    shown = set(names.values()) - set(folded_ids(page))
    assert shown == kept
    groups = [(group["anchors"], group["nodes"]) for group in state(page)["folded"]]
    assert groups == [([place[0], place[2]], 4), ([place[0]], 27)]
    label = page.locator("#folded button b").first.text_content()
    assert label == "+4 neighbors"
    assert looks(page) == {}


def test_nodes_with_scores_fold_with_their_sum(open_page: Open) -> None:
    score = torch.arange(144.0)
    page = open_page(Run("a", [replace(star(143), edge_score=None, node_score=score)]))
    (group,) = state(page, k=2)["folded"]
    assert (group["nodes"], group["edgeSum"]) == (141, None)
    assert group["nodeSum"] == sum(range(1, 142))
    assert page.locator("#folded small").text_content() == "282 edges, node scores sum to 10011"


def test_search_finds_what_is_folded_and_opens_it(open_page: Open) -> None:
    names = ["hub", *(f"paper {n}" for n in range(1, 144))]
    page = open_page(Run("a", [star(143, node_names=names)]))
    page.locator("#find").fill("paper 17")
    page.locator("#find").press("Enter")
    found = page.evaluate("glassgraph.state().found")
    assert found == [17]
    assert page.locator("#found").text_content() == "paper 17, opened"
    assert 27 not in folded_ids(page)
    assert state(page)["folded"][0]["nodes"] == 130
    page.locator("#find").fill("30")  # the number of a node
    page.locator("#find").press("Enter")
    assert page.locator("#found").text_content() == "paper 20, opened"
    page.locator("#find").fill("paper 14")
    page.locator("#find").press("Enter")
    page.locator("#find").fill("nothing")
    page.locator("#find").press("Enter")
    assert page.locator("#found").text_content() == "no such node"
    assert page.evaluate("glassgraph.state().found") == []
    # The search of instances goes on to nodes where no instance matches.
    page.locator("#search").fill("paper 99")
    page.locator("#search").press("Enter")
    assert page.locator("#found").text_content() == "paper 99, opened"


def test_without_a_hub_nothing_folds(open_page: Open) -> None:
    ring = scored(local_of(molecule(), 0, []))
    branches = scored(local_of(nx.balanced_tree(3, 4), 10, [10]))
    page = open_page(Run("a", [ring, replace(branches, index=0)], level="graph"))
    for instance in (0, 1):
        assert state(page, instance=instance)["folded"] == []
        assert page.locator("#fold-field").is_hidden()


def test_the_words_of_a_sentence_never_fold(open_page: Open) -> None:
    names = [f"word{n}" for n in range(31)]
    page = open_page(Run("a", [star(30, node_names=names)]), layout="sentence")
    assert state(page)["folded"] == []
    assert len(state(page, layout="organic")["folded"]) == 1


def test_another_instance_and_another_layer_fold_anew(open_page: Open) -> None:
    layers = torch.stack([drawn(286, 1), drawn(286, 2)])
    first = replace(star(143), layer_edge_score=layers)
    page = open_page(Run("a", [first, replace(star(40), index=11)]))
    page.evaluate("glassgraph.set({opened: [1, 2, 3]})")
    assert state(page)["folded"][0]["nodes"] == 128
    sums = [state(page, layer=layer)["folded"] for layer in (0, 1)]
    for layer, (group, *_) in enumerate(sums):
        folded = torch.tensor(group["members"])
        inside = torch.isin(first.edge_index, folded).any(dim=0)
        assert group["edgeSum"] == pytest.approx(float(layers[layer][inside].sum()), rel=1e-4)
    found = state(page, instance=1)
    assert (found["opened"], found["folded"][0]["nodes"]) == ([], 28)


def test_scores_that_are_not_drawn_are_summed(open_page: Open) -> None:
    graph = nx.barabasi_albert_graph(401, 3, seed=0)
    local = local_of(graph, 10, [10])
    score = torch.linspace(1, 0, local.edge_index.size(1))
    page = open_page(Run("a", [replace(local, edge_score=score)]))
    kept = page.evaluate("glassgraph.edges().map((edge) => edge.id - 100)")
    others = float(score.double().sum() - score[torch.tensor(kept)].double().sum())
    assert f"edge scores sum to {others:.4g}" in page.locator("#notice").text_content()


@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("layout", ["organic", "rings"])
def test_kept_paths_are_readable_at_a_hub(open_page: Open, layout: str, width: int) -> None:
    page = open_page(Run("a", [hub_local(170)]))
    page.set_viewport_size({"width": width, "height": 844})
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    page.evaluate("(layout) => glassgraph.set({layout})", layout)
    assert looks(page) == {}
    smallest = page.evaluate("Math.min(...glassgraph.drawn().map((node) => node.height))")
    assert smallest >= 12


def test_the_hub_of_cora(open_page: Open, shared: Path) -> None:
    from glassgraph.datasets import load_dataset

    graph = load_dataset("cora", root=shared / "data" / "planetoid").graphs[0]
    source, target = graph.edge_index
    hub = int(target.bincount().argmax())
    into = source[target == hub]
    nodes = torch.cat([torch.tensor([hub]), into])
    place = torch.full((int(graph.num_nodes),), -1)
    place[nodes] = torch.arange(len(nodes))
    inside = (place[source] >= 0) & (place[target] >= 0)
    local = Local(
        index=hub,
        edge_index=place[graph.edge_index[:, inside]],
        node_id=nodes,
        edge_id=inside.nonzero().flatten(),
        seeds=torch.tensor([hub]),
    )
    page = open_page(Run("edge_gradients", [scored(local)]))
    assert len(into) == 168
    found = state(page)
    assert sum(group["nodes"] for group in found["folded"]) > 100
    assert len(page.evaluate("glassgraph.drawn()")) < 70
    assert looks(page) == {}
