"""Which of several graphs are the same but for the numbers of their nodes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def first_alike(graphs: Iterable[Any]) -> list[int]:
    """For each graph the position of the first that is isomorphic to it, itself if it is new.

    Graphs with different hashes of Weisfeiler and Lehman are different; the others are compared
    in full.

    Args:
        graphs: ``networkx`` graphs whose nodes carry ``type``.

    Example:
        >>> import networkx as nx
        >>> a, b = nx.Graph(), nx.Graph()
        >>> for graph in (a, b):
        ...     graph.add_nodes_from(range(3), type="C")
        >>> a.add_edges_from([(0, 1), (1, 2)])
        >>> b.add_edges_from([(1, 0), (0, 2)])
        >>> first_alike([a, b])
        [0, 0]
    """
    import networkx as nx

    same_type = nx.algorithms.isomorphism.categorical_node_match("type", None)
    found: list[int] = []
    seen: dict[str, list[tuple[int, Any]]] = {}
    for position, graph in enumerate(graphs):
        known = seen.setdefault(nx.weisfeiler_lehman_graph_hash(graph, node_attr="type"), [])
        for earlier, other in known:
            if nx.is_isomorphic(graph, other, node_match=same_type):
                found.append(earlier)
                break
        else:
            known.append((position, graph))
            found.append(position)
    return found
