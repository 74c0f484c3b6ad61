"""Searches for edges and subgraphs, written out: one evaluation of the model at a time.

Every candidate is a graph of its own that goes through the model alone, also where it has been seen
before. They are written for the networks of `glassgraph.models`, as `passes` is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch_geometric.data import Data

from glassgraph.black_box.attribute_hash import attribute_hash
from glassgraph.core import random
from glassgraph.core.edges import parallel_rank
from glassgraph.models.gnn import GNN
from glassgraph_studies.reference.passes import Scores, forward

#: What ours are set to, so that both do the same work.
SETTINGS: dict[str, dict[str, Any]] = {
    "causal_screening": {"budget": 10},
    "subgraphx": {"rollouts": 3, "expand_atoms": 4, "samples": 10, "c_puct": 5.0},
}
#: The defaults of ours.
_SMALLEST, _RADIUS, _DEPTH = 5, 4, 30


#: Says how much a set of nodes is worth.
Value = Callable[[set[int]], float]


@torch.no_grad()
def causal_screening(model: GNN, graph: Data, node: int | None, _: int = 0) -> Scores:
    """The edge that raises the log-likelihood most joins the others, ten times over."""
    target = forward(model, graph, node, graph.x).logits.argmax()
    ties = _ties(graph)
    selected: list[int] = []
    for __ in range(SETTINGS["causal_screening"]["budget"]):
        near = _near(model, graph, node, selected)
        found = {}
        for edge, receiver in enumerate(graph.edge_index[1].tolist()):
            if edge not in selected and receiver in near:
                logits = _logits_of_edges(model, graph, node, [*selected, edge])
                found[edge] = float(logits.log_softmax(dim=0)[target])
        if not found:
            break
        best = max(found.values())
        rounding = torch.finfo(graph.x.dtype).eps ** 0.75 * max(1.0, abs(best))
        tied = [edge for edge, value in found.items() if value >= best - rounding]
        selected.append(min(tied, key=lambda edge: ties[edge]))
    score = graph.x.new_zeros(graph.num_edges)
    for turn, edge in enumerate(selected):
        score[edge] = (len(selected) - turn) / len(selected)
    return Scores(edge=score)


def _logits_of_edges(model: GNN, graph: Data, node: int | None, edges: list[int]) -> Tensor:
    """Logits ``[C]`` on some edges alone."""
    kept = Data(x=graph.x, edge_index=graph.edge_index[:, sorted(edges)])
    return forward(model, kept, node, graph.x).logits


def _near(model: GNN, graph: Data, node: int | None, selected: list[int]) -> set[int]:
    """Nodes from which a further edge would be seen."""
    if node is None:
        return set(range(graph.num_nodes))
    near = {node}
    for _ in range(len(model.convs) - 1):
        ends = graph.edge_index[:, selected].t().tolist()
        near |= {source for source, destination in ends if destination in near}
    return near


def _ties(graph: Data) -> list[tuple[int, int]]:
    """What decides between edges with the same effect: how they look, then where they are."""
    source, destination = graph.edge_index
    node = attribute_hash({"x": graph.x}, torch.arange(graph.num_nodes))
    edge = attribute_hash({}, torch.arange(graph.num_edges))
    look = random.hash64(8, node[source], node[destination], edge)
    rank = parallel_rank(source, destination)
    address = random.hash64(0, source, destination, torch.zeros_like(source), rank)
    return list(zip(look.tolist(), address.tolist(), strict=True))


@torch.no_grad()
def subgraphx(model: GNN, graph: Data, node: int | None, key: int = 0) -> Scores:
    """The connected subgraph of at most five nodes with the largest sampled Shapley value.

    Args:
        model: the network.
        graph: a graph.
        node: the explained node, None for the graph.
        key: the number of the prediction, for its random numbers.
    """
    target = forward(model, graph, node, graph.x).logits.argmax()

    def value(nodes: set[int]) -> float:
        x = torch.zeros_like(graph.x)
        x[sorted(nodes)] = graph.x[sorted(nodes)]
        return float(forward(model, graph, node, x).logits.softmax(dim=0)[target])

    field_, ends = _field(model, graph, node)
    settings = SETTINGS["subgraphx"]
    precision = torch.finfo(graph.x.dtype).eps ** 0.75
    draws = draw_orders(0, key, field_, settings["samples"])
    search = TreeSearch(field_, ends, set() if node is None else {node}, value, draws, precision)
    rewards = search.run(settings["rollouts"], settings["expand_atoms"], settings["c_puct"])
    fitting = [nodes for nodes in rewards if len(nodes) <= _SMALLEST] or list(rewards)
    best = max(fitting, key=lambda nodes: (rewards[nodes], -len(nodes)))
    is_in = torch.tensor([each in best for each in range(graph.num_nodes)])
    source, destination = graph.edge_index
    inside = is_in[source] & is_in[destination]
    if node is not None:
        inside &= torch.tensor([pair in ends for pair in graph.edge_index.t().tolist()])
    return Scores(node=is_in.to(graph.x.dtype), edge=inside.to(graph.x.dtype))


def _field(model: GNN, graph: Data, node: int | None) -> tuple[set[int], list[list[int]]]:
    """Nodes and edges that a prediction sees."""
    pairs = graph.edge_index.t().tolist()
    if node is None:
        return set(range(graph.num_nodes)), pairs
    near = _near(model, graph, node, list(range(graph.num_edges)))
    ends = [pair for pair in pairs if pair[1] in near]
    return near | {each for pair in ends for each in pair}, ends


def draw_orders(seed: int, key: int, nodes: set[int], samples: int) -> list[set[int]]:
    """For each random order the nodes that come before a coalition."""
    found = []
    for order in range(samples):
        place = random.uniform(seed, torch.tensor(1), torch.tensor(key), order)
        address = random.hash64(1, torch.arange(max(nodes) + 1))
        drawn = random.uniform(seed, torch.tensor(2), torch.tensor(key), order, address)
        found.append({each for each in nodes if drawn[each] < place})
    return found


@dataclass
class TreeSearch:
    """Monte-Carlo tree search, one Shapley value after the other.

    Attributes:
        nodes: all nodes.
        ends: edges as pairs of nodes.
        fixed: nodes that the prediction is about.
        value: what a set of nodes is worth.
        draws: for each random order the nodes that come before a coalition.
        precision: rewards are rounded to multiples of it.
    """

    nodes: set[int]
    ends: list[list[int]]
    fixed: set[int]
    value: Value
    draws: list[set[int]]
    precision: float
    smallest: int = _SMALLEST
    radius: int = _RADIUS
    rewards: dict[frozenset[int], float] = field(default_factory=dict)
    visits: dict[frozenset[int], int] = field(default_factory=dict)
    totals: dict[frozenset[int], float] = field(default_factory=dict)

    def run(self, rollouts: int, breadth: int, explore: float) -> dict[frozenset[int], float]:
        """Rewards of all subgraphs that are met."""
        root = frozenset(self.nodes)
        self._reward(root)
        for _ in range(rollouts):
            self._roll_out(root, breadth, explore)
        return self.rewards

    def _roll_out(self, here: frozenset[int], breadth: int, explore: float) -> float:
        """From a subgraph down to a leaf, whose reward comes back."""
        if len(here) <= self.smallest:
            return self.rewards[here]
        children = self._children(here, breadth)
        if not children:
            return self.rewards[here]
        for child in children:
            self._reward(child)
        everyone = sum(self.visits.get(child, 0) for child in children)

        def promise(child: frozenset[int]) -> tuple[float, float]:
            visits = self.visits.get(child, 0)
            mean = self.totals[child] / visits if visits else 0.0
            bonus = explore * self.rewards[child] * math.sqrt(everyone) / (1 + visits)
            return mean + bonus, self.rewards[child]

        best = max(children, key=promise)
        found = self._roll_out(best, breadth, explore)
        self.visits[best] = self.visits.get(best, 0) + 1
        self.totals[best] = self.totals.get(best, 0.0) + found
        return found

    def _children(self, here: frozenset[int], breadth: int) -> list[frozenset[int]]:
        """What is left without one node, those of low degree first."""
        degree = {each: len(self._neighbors({each}, here) - {each}) for each in here}
        order = sorted(here - self.fixed, key=lambda each: (degree[each], each))
        at_once = max(1, math.ceil((len(self.nodes) - self.smallest) / _DEPTH))
        at_once = max(1, min(at_once, len(here) - self.smallest))
        found: list[frozenset[int]] = []
        for first in range(0, len(order), at_once)[:breadth]:
            left = here - set(order[first : first + at_once])
            parts = []
            while left:
                start = self.fixed or {min(left)}
                part = self._part(start, left)
                parts.append(part)
                left = frozenset() if self.fixed else left - part
            if parts and (child := max(parts, key=len)) not in found:
                found.append(child)
        return found

    def _neighbors(self, nodes: set[int], among: frozenset[int]) -> set[int]:
        """Some nodes and those next to them."""
        found = set(nodes)
        for one, other in self.ends:
            if one in nodes and other in among:
                found.add(other)
            if other in nodes and one in among:
                found.add(one)
        return found

    def _part(self, start: set[int], among: frozenset[int]) -> frozenset[int]:
        """What is connected to a start."""
        found, before = set(start), set[int]()
        while found != before:
            before, found = found, self._neighbors(found, among)
        return frozenset(found)

    def _reward(self, nodes: frozenset[int]) -> None:
        """The sampled Shapley value of some nodes as one player."""
        if nodes in self.rewards:
            return
        near = set(nodes)
        for _ in range(self.radius - 1):
            near = self._neighbors(near, frozenset(self.nodes))
        total = 0.0
        for before in self.draws:
            without = ((before | (self.nodes - near)) - nodes) | self.fixed
            total += self.value(without | nodes) - self.value(without)
        self.rewards[nodes] = round(total / len(self.draws) / self.precision) * self.precision


#: The methods by the names of ours; the last argument is the number of the prediction.
SEARCHES: Mapping[str, Callable[[GNN, Data, int | None, int], Scores]] = {
    "causal_screening": causal_screening,
    "subgraphx": subgraphx,
}
