"""Paths between two nodes of one explanation, by the product of the scores of their edges."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, pairwise

import torch
from torch import Tensor

from glassgraph.brief import brief_repr
from glassgraph.errors import HyperParameterError, InstanceError, WalkError
from glassgraph.results.aggregates.edge_scores import Ranking, one_per_edge
from glassgraph.results.records import PATHS, LocalExplanation, explained_nodes

#: A node: the user's number, with its type where there are types.
NodeName = int | tuple[str, int]
#: An edge: the same, of edges.
EdgeName = int | tuple[str, int]


@dataclass(frozen=True)
class EdgePaths:
    """Paths from one node to another, the best first.

    Attributes:
        nodes: the user's nodes on each path: numbers, or pairs ``(type, number)`` where nodes have
            types.
        edges: the user's edges on each path, likewise.
        scores: ``[k]``.
        titles: each path in words.
    """

    nodes: list[list[NodeName]]
    edges: list[list[EdgeName]]
    scores: Tensor
    titles: list[str]

    __repr__ = brief_repr

    def __len__(self) -> int:
        return len(self.nodes)

    @staticmethod
    def of(
        local: LocalExplanation, paths: list[tuple[list[int], list[int]]], scores: list[float]
    ) -> EdgePaths:
        """From positions of nodes and edges."""
        nodes = [[_name(local.node_id, local.node_type, at) for at in path] for path, _ in paths]
        edges = [[_name(local.edge_id, local.edge_type, at) for at in edge] for _, edge in paths]
        titles = [" → ".join(_word(local, at) for at in path) for path, _ in paths]
        return EdgePaths(nodes, edges, torch.tensor(scores, dtype=torch.float64), titles)


def edge_paths(
    local: LocalExplanation,
    source: NodeName | None,
    target: NodeName | None,
    k: int,
    ranking: Ranking,
    directed: bool,
) -> EdgePaths:
    """The k best paths between two nodes; see `Explanation.paths`."""
    if isinstance(k, bool) or not isinstance(k, int) or k < 1:
        raise HyperParameterError(f"k must be positive; got {k}")
    if source is None and target is None and PATHS in local.tables:
        return _own_paths(local, k)
    score = one_per_edge(local, lambda: local.edge_index)
    if score is None:
        raise WalkError("paths need scores of edges or nodes, and this method has none")
    score = score.double().abs() if ranking == "absolute" else score.double()
    start, end = _ends(local, source, target)
    if start is None or end is None:
        return EdgePaths.of(local, [], [])
    found = list(islice(_ranked(local, score, start, end, directed), k))
    return EdgePaths.of(local, [path for path, _ in found], [share for _, share in found])


def _ranked(
    local: LocalExplanation, score: Tensor, start: int, end: int, directed: bool
) -> Iterator[tuple[tuple[list[int], list[int]], float]]:
    """Positions of the nodes and edges of simple paths, and their scores, the best first."""
    import networkx as nx

    most = float(score.max()) if score.numel() else 0.0
    graph = nx.DiGraph() if directed else nx.Graph()
    graph.add_nodes_from((start, end))
    edges = local.edge_index.t().tolist()
    for at, (value, (tail, head)) in enumerate(zip(score.tolist(), edges, strict=True)):
        known = graph.get_edge_data(tail, head)
        if value > 0 and tail != head and (known is None or known["score"] < value):
            cost = float(-torch.tensor(value / most, dtype=torch.float64).log())
            graph.add_edge(tail, head, score=value, cost=max(cost, 0.0), edge=at)
    if start == end or not nx.has_path(graph, start, end):
        return
    for nodes in nx.shortest_simple_paths(graph, start, end, weight="cost"):
        steps = [graph.edges[pair] for pair in pairwise(nodes)]
        share = 1.0
        for step in steps:
            share *= step["score"] / most
        yield (nodes, [step["edge"] for step in steps]), share


def _own_paths(local: LocalExplanation, k: int) -> EdgePaths:
    """Paths that the method itself has found."""
    table = local.tables[PATHS]
    nodes: dict[int, list[int]] = {}
    edges: dict[int, list[int]] = {}
    scores: dict[int, float] = {}
    names = ("path", "source", "destination", "edge", "score")
    for path, tail, head, edge, score in zip(*(table[n].tolist() for n in names), strict=True):
        nodes.setdefault(path, [tail]).append(head)
        edges.setdefault(path, []).append(edge)
        scores[path] = score
    chosen = sorted(nodes)[:k]
    found = [(nodes[path], edges[path]) for path in chosen]
    return EdgePaths.of(local, found, [scores[path] for path in chosen])


def _ends(
    local: LocalExplanation, source: NodeName | None, target: NodeName | None
) -> tuple[int | None, int | None]:
    """Positions of the two nodes: of a link its ends, of a node that is explained itself."""
    explained = explained_nodes(local)
    if source is None and len(local.seeds) != 2:
        raise WalkError(
            "say where paths start, paths(source=...), as only links have two ends of their own; "
            "or use a layerwise method, such as edge_gradients or lrp, whose paths may start "
            "anywhere"
        )
    if target is None and not explained:
        raise WalkError(
            "say where paths end, paths(target=...), as it is a graph that is explained"
        )
    start = explained[0] if source is None else node_position(local, source)
    return start, explained[-1] if target is None else node_position(local, target)


def node_position(local: LocalExplanation, node: NodeName) -> int | None:
    """Where a node stands in ``node_id``; None if it cannot reach the prediction.

    Raises:
        InstanceError: if it is not given as a node is.
    """
    kind, number = node if isinstance(node, tuple) and len(node) == 2 else (None, node)
    is_number = isinstance(number, int) and not isinstance(number, bool) and number >= 0
    if not is_number or (kind is None) != (local.node_type is None):
        how = "by their numbers" if local.node_type is None else "as pairs (type, number)"
        raise InstanceError(f"a path runs between nodes, given {how}; got {node!r}")
    kinds: list[str | None] = [None] * len(local.node_id)
    if local.node_type is not None:
        kinds = [*local.node_type]
    pairs = zip(kinds, local.node_id.tolist(), strict=True)
    return next((at for at, each in enumerate(pairs) if each == (kind, number)), None)


def _name(numbers: Tensor, types: list[str] | None, at: int) -> int | tuple[str, int]:
    number = int(numbers[at])
    return number if types is None else (types[at], number)


def _word(local: LocalExplanation, at: int) -> str:
    """A node by its name, or else by type and number."""
    if local.node_names is not None and local.node_names[at]:
        return local.node_names[at]
    kind = "node" if local.node_type is None else local.node_type[at]
    return f"{kind} {int(local.node_id[at])}"
