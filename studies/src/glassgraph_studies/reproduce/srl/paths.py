"""From a predicate to its roles: how long is the way along the tree, and how much of it is kept?

The path between a predicate and a token with a role is the one in the dependency tree, whatever the
directions of its arcs. An arc counts as kept if one of its two messages is kept at one layer or
more. As in Table 3 and Figure 4 of the GraphMask paper.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch_geometric.data import Data

from glassgraph_studies.reproduce.srl.propbank import ALONG, DIRECTIONS

#: Longer paths, and more kept arcs, are told together.
LONGEST, MOST_KEPT = 3, 2
#: Least distance in tokens of each group.
DISTANCES = (1, 2, 3, 5, 9)


@dataclass(frozen=True)
class RolePath:
    """The path from a predicate to a role.

    Attributes:
        graph: which.
        length: its arcs.
        kept: how many of them are kept.
        distance: in tokens between predicate and role.
    """

    graph: int
    length: int
    kept: int
    distance: int


def role_paths(graphs: Sequence[Data], kept: Tensor) -> Iterator[RolePath]:
    """A path for each role of each predicate; ``kept [L, E]`` says which messages are."""
    arcs = kept.any(dim=0)
    first = 0
    for number, graph in enumerate(graphs):
        own = arcs[first : first + graph.num_edges].tolist()
        first += graph.num_edges
        heads, is_kept = _tree(graph, own)
        predicate = int(graph.is_predicate.argmax())
        for token in (graph.y != 0).nonzero().squeeze(1).tolist():
            if token != predicate:
                path = tree_path(heads, predicate, token)
                yield RolePath(
                    number, len(path), sum(map(is_kept.__getitem__, path)), abs(token - predicate)
                )


def _tree(graph: Data, is_kept: Sequence[bool]) -> tuple[dict[int, int], dict[int, bool]]:
    """The head of each token, and whether the arc to it is kept in either direction."""
    heads, kept = {}, dict.fromkeys(range(graph.num_nodes), False)
    for (u, v), kind, own in zip(
        graph.edge_index.t().tolist(), graph.edge_type.tolist(), is_kept, strict=True
    ):
        head, token = (u, v) if kind % len(DIRECTIONS) == ALONG else (v, u)
        heads[token] = head
        kept[token] |= own
    return heads, kept


def tree_path(heads: dict[int, int], start: int, end: int) -> list[int]:
    """The arcs between two tokens, each by its dependent.

    Example:
        >>> tree_path({0: 1, 2: 1, 3: 2}, 0, 3)
        [0, 2, 3]
        >>> tree_path({0: 1, 2: 1, 3: 2}, 3, 1)
        [3, 2]
    """
    above = _up(heads, start)
    other = _up(heads, end)
    shared = next(token for token in above if token in other)
    return above[: above.index(shared)] + other[: other.index(shared)][::-1]


def _up(heads: dict[int, int], token: int) -> list[int]:
    found = [token]
    while found[-1] in heads:
        found.append(heads[found[-1]])
    return found


def by_length(paths: Sequence[RolePath], kind: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Table 3: ``{kind, length, n, kept_0, kept_1, kept_2}``, counts; the last is "or more".

    Args:
        paths: paths.
        kind: of the predicate of each graph.
    """
    count = Counter(
        (kind[path.graph], min(path.length, LONGEST), min(path.kept, MOST_KEPT)) for path in paths
    )
    for name in dict.fromkeys(kind):
        for length in range(1, LONGEST + 1):
            cells = [count[name, length, kept] for kept in range(MOST_KEPT + 1)]
            yield {
                "kind": name,
                "length": length,
                "n": sum(cells),
                **{f"kept_{kept}": cell for kept, cell in enumerate(cells)},
            }


def by_distance(paths: Sequence[RolePath], kind: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Figure 4: ``{kind, distance, n, kept}``, where at least one arc of the path is kept."""
    for name in dict.fromkeys(kind):
        for least, above in zip(DISTANCES, (*DISTANCES[1:], None), strict=True):
            own = [
                path
                for path in paths
                if kind[path.graph] == name
                and path.distance >= least
                and (above is None or path.distance < above)
            ]
            last = "+" if above is None else "" if above == least + 1 else f"-{above - 1}"
            yield {
                "kind": name,
                "distance": f"{least}{last}",
                "n": len(own),
                "kept": sum(path.kept > 0 for path in own),
            }
