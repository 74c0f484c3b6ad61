"""Laws about order: numbers of edges and nodes mean nothing."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch_geometric.data import Data

from glassgraph.inputs.links import LINK_INDEX, link_keys
from glassgraph.testing.cases import AnyCase, Case
from glassgraph.testing.compare import EDGE_MASKS, expect, expect_same, scores
from glassgraph.testing.law import law
from glassgraph.testing.special_cases import LimitCase
from glassgraph.testing.subject import Subject


def _is_about_edges(case: AnyCase) -> bool:
    """Whether a prediction's number is that of an edge."""
    is_free = case.level == "edge" and case.task().predicts is None
    return case.task().is_about_edges or (is_free and LINK_INDEX not in case.data())


@law(
    catches="scores on the wrong edges, and ties that are broken by an edge's number",
    usually="scores are written in another order than the batch's edges, or an edge's number "
    "enters the formula",
    # Random numbers go by the prediction's number, which here is an edge's.
    applies=lambda subject, case: not (subject.traits.is_random and _is_about_edges(case)),
)
def edge_order_is_irrelevant(subject: Subject, case: AnyCase) -> None:
    """Edges in another order have the same scores, in that order.

    Random numbers are addressed by an edge's endpoints; among parallel edges by their order, so
    that order is kept where the method is random.
    """
    data, draw = case.data(), torch.Generator().manual_seed(17)
    is_list = isinstance(data, list)
    graphs, orders = [], []
    for each in data if is_list else [data]:
        order = torch.randperm(each.num_edges, generator=draw)
        if subject.traits.is_random:
            order = _with_parallels_in_order(order, each.edge_index)
        graphs.append(_with_edges(each, order))
        orders.append(order)
    index = case.index
    if _is_about_edges(case):
        index = orders[0].argsort()[case.index].tolist()  # where the explained edges stand now
    explainer = subject.build(case.model(), case)
    after = subject.explain(explainer, case, graphs if is_list else graphs[0], index)
    for position, (one, other) in enumerate(zip(subject.first(case), after, strict=True)):
        order = orders[one.local.graph]
        expected = {
            name: value[..., order] if name in EDGE_MASKS else value
            for name, value in scores(one).items()
        }
        expect_same(scores(other), expected, f"edges in another order, instance {position}")


def _with_edges(data: Data, order: Tensor) -> Data:
    """The same graph, its edges in another order."""
    shuffled = data.clone()
    shuffled.edge_index = data.edge_index[:, order]
    for name in data.edge_attrs():
        if name != "edge_index" and name not in link_keys(data):
            shuffled[name] = data[name][order]
    return shuffled


def _with_parallels_in_order(order: Tensor, edge_index: Tensor) -> Tensor:
    """A permutation that keeps edges with equal endpoints in their order."""
    order = order.clone()
    ends = [tuple(pair) for pair in edge_index.t()[order].tolist()]
    for pair in set(ends):
        at = torch.tensor([place for place, each in enumerate(ends) if each == pair])
        order[at] = order[at].sort().values
    return order


@law(
    catches="scores on the wrong nodes, and ties that are broken by a node's number",
    usually="scores are written in another order than the batch's nodes, or a node's number "
    "enters the formula",
    applies=lambda subject, _: not subject.traits.is_random,  # its numbers go by node
)
def node_order_is_irrelevant(subject: Subject, case: AnyCase) -> None:
    """Nodes under other numbers have the same scores, under those numbers."""
    data, draw = case.data(), torch.Generator().manual_seed(19)
    is_list = isinstance(data, list)
    graphs, places = [], []
    for each in data if is_list else [data]:
        place = torch.randperm(each.num_nodes, generator=draw)  # node v becomes node place[v]
        graphs.append(_with_nodes(each, place))
        places.append(place)
    index = places[0][case.index].tolist() if case.level == "node" else case.index
    explainer = subject.build(case.model(), case)
    after = subject.explain(explainer, case, graphs if is_list else graphs[0], index)
    for position, (one, other) in enumerate(zip(subject.first(case), after, strict=True)):
        place = places[one.local.graph]
        got = {
            name: value if name in EDGE_MASKS else value[place]
            for name, value in scores(other).items()
        }
        expect_same(got, scores(one), f"nodes under other numbers, instance {position}")


def _with_nodes(data: Data, place: Tensor) -> Data:
    """The same graph, its nodes under other numbers."""
    moved, place = data.clone(), place.to(data.edge_index.device)
    moved.edge_index = place[data.edge_index]
    for name in data.node_attrs():
        if name in link_keys(data):  # there may be as many links as nodes
            continue
        value: Any = data[name]
        moved[name] = torch.empty_like(value)
        moved[name][place] = value
    if LINK_INDEX in data:
        moved.edge_label_index = place[data.edge_label_index]
    return moved


@law(
    catches="a shared message whose whole score goes to one of its edges",
    usually="ties between parallel edges, or between self-loops that a layer replaces by one of "
    "its own, are broken by an edge's number",
    cases=[
        LimitCase(Case(kind, "node"), graph)
        for kind in ("gcn", "gin")
        for graph in ("double loop", "parallel")
    ],
    applies=lambda subject, _: not subject.traits.is_random,  # its numbers go by order among them
    on_own=False,
)
def twins_score_alike(subject: Subject, case: AnyCase) -> None:
    """Edges with the same ends and no attributes have the same score."""
    data = case.data()
    (found,) = subject.explain(subject.build(case.model(), case), case, data)
    _, twin = torch.unique(data.edge_index, dim=1, return_inverse=True)
    for name, value in scores(found).items():
        if name not in EDGE_MASKS:
            continue
        for each in twin.unique():
            score = value[..., twin == each]
            gap = (score - score[..., :1]).abs().max()
            pair = data.edge_index[:, twin == each][:, 0].tolist()
            expect(
                bool(gap <= 1e-9 * (1 + score.abs().max())),
                f"{name}: edges from {pair[0]} to {pair[1]} score {score.tolist()}",
            )
