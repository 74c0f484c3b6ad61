"""Shapley's and Myerson's values as they are defined: every order of the players, one at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import permutations

import networkx as nx

#: What a coalition is worth.
Worth = Callable[[frozenset[int]], float]


def shapley(players: Sequence[int], worth: Worth) -> list[float]:
    """What each player brings to those before it, the mean over all orders.

    Args:
        players: their numbers.
        worth: what a coalition is worth.
    """
    known: dict[frozenset[int], float] = {}

    def once(coalition: frozenset[int]) -> float:
        if coalition not in known:
            known[coalition] = worth(coalition)
        return known[coalition]

    brought, orders = dict.fromkeys(players, 0.0), 0
    for order in permutations(players):
        before: frozenset[int] = frozenset()
        for player in order:
            brought[player] += once(before | {player}) - once(before)
            before |= {player}
        orders += 1
    return [brought[player] / orders for player in players]


def myerson(
    players: Sequence[int],
    others: Iterable[int],
    edges: Iterable[tuple[int, int]],
    worth: Worth,
) -> list[float]:
    """Shapley values of the game in which only connected players do something together.

    Args:
        players: their numbers.
        others: nodes that do not play, and are always there.
        edges: what joins them.
        worth: what a coalition is worth.
    """
    graph = nx.Graph(list(edges))
    graph.add_nodes_from([*players, *others])
    there, nobody = set(others), worth(frozenset())

    def restricted(coalition: frozenset[int]) -> float:
        parts = nx.connected_components(graph.subgraph(coalition | there))
        playing = [frozenset(part) & coalition for part in parts]
        return nobody + sum(worth(part) - nobody for part in playing if part)

    return shapley(players, restricted)
