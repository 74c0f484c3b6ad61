"""Monte-Carlo tree search for a connected subgraph, by taking nodes away.

Sets of nodes are the bits of an integer. Trees of many instances are searched side by side: each is
a generator that says which subgraphs it needs the rewards of, and goes on when they are known.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

from glassgraph.black_box.bits import members


@dataclass
class Subgraph:
    """A node of the tree.

    Attributes:
        nodes: its nodes.
        reward: its immediate reward, None before it is known.
        visits: how often the search went on from it.
        total: sum of the rewards where the search ended then.
        children: what it becomes without some of its nodes, None before it is expanded.
    """

    nodes: int
    reward: float | None = None
    visits: int = 0
    total: float = 0.0
    children: list[Subgraph] | None = field(default=None, repr=False)

    @property
    def size(self) -> int:
        """Number of nodes."""
        return self.nodes.bit_count()

    @property
    def value(self) -> float:
        """The reward, once it is known."""
        return 0.0 if self.reward is None else self.reward

    def promise(self, explore: float, visits: int) -> tuple[float, float]:
        """What speaks for going on from here; in a tie, the immediate reward.

        Args:
            explore: weight of the immediate reward against what the search has found.
            visits: of this and all its siblings.
        """
        mean = self.total / self.visits if self.visits else 0.0
        bonus = explore * self.value * math.sqrt(visits) / (1 + self.visits)
        return mean + bonus, self.value


@dataclass(frozen=True)
class Rules:
    """How a tree grows.

    Attributes:
        rollouts: walks from the root to a leaf.
        smallest: subgraphs with so many nodes, or fewer, are leaves.
        breadth: children of a subgraph, at most.
        depth: steps from the root to a leaf, at most: where one node at a time takes more, several
            go at once.
        explore: see `Subgraph.promise`.
        high_to_low: whether nodes of high degree go first.
    """

    rollouts: int
    smallest: int
    breadth: int
    depth: int
    explore: float
    high_to_low: bool


class Tree:
    """The search in one instance.

    Args:
        neighbors: for each node its neighbors, without itself.
        root: the nodes to begin with.
        fixed: nodes that always stay; the largest part is kept where there are none.
        rules: how it grows.

    Attributes:
        seen: every subgraph met so far, by its nodes.
        is_tired: no further rollout begins, and the last one takes large steps to its end.
    """

    def __init__(self, neighbors: list[int], root: int, fixed: int, rules: Rules) -> None:
        self.neighbors, self.fixed, self.rules = neighbors, fixed, rules
        self.root = Subgraph(root)
        self.seen = {root: self.root}
        self.is_tired = False
        self._at_once = max(1, -(-(self.root.size - rules.smallest) // rules.depth))

    def search(self) -> Iterator[list[Subgraph]]:
        """Yields subgraphs whose rewards must be filled in before the next step."""
        yield [self.root]
        for _ in range(self.rules.rollouts):
            if self.is_tired:
                break
            path = [self.root]
            while path[-1].size > self.rules.smallest:
                last = path[-1]
                if last.children is None:
                    last.children = self._prune(last.nodes)
                    if new := [child for child in last.children if child.reward is None]:
                        yield new
                if not last.children:
                    break
                visits = sum(child.visits for child in last.children)
                explore = self.rules.explore
                path.append(max(last.children, key=lambda child: child.promise(explore, visits)))
            for each in path[1:]:
                each.visits += 1
                each.total += path[-1].value

    def ranked(self, most: int) -> list[Subgraph]:
        """The subgraphs with at most so many nodes, the best first; the smallest if there are none.

        Of equals the smaller one comes first, then the one that was met first.
        """
        smallest = min(each.size for each in self.seen.values())
        fitting = [each for each in self.seen.values() if each.size <= max(most, smallest)]
        return sorted(fitting, key=lambda each: (-each.value, each.size))

    def shares(self) -> dict[int, float]:
        """The best subgraphs of at most 1, 2, ... nodes, and how much each of them weighs.

        In proportion to ``n exp(r / m)``, where it is the best for ``n`` of these sizes, ``r`` is
        its reward and ``m`` the largest absolute reward.
        """
        by_size = sorted(self.seen.values(), key=lambda each: (each.size, -each.value))
        ends = [*[each.size for each in by_size[1:]], self.root.size + 1]
        best, start = by_size[0], 1
        found: dict[int, float] = {}
        largest = max(abs(each.value) for each in by_size) or 1.0
        for each, end in zip(by_size, ends, strict=True):
            best = max(best, each, key=lambda one: one.value)
            if end > start:
                weight = (end - start) * math.exp(best.value / largest)
                found[best.nodes] = found.get(best.nodes, 0.0) + weight
            start = end
        return {nodes: weight / sum(found.values()) for nodes, weight in found.items()}

    def _prune(self, nodes: int) -> list[Subgraph]:
        """What is left without some nodes, each set once."""
        order = sorted(members(nodes & ~self.fixed), key=lambda node: self._degree(node, nodes))
        rest = nodes.bit_count() - self.rules.smallest
        at_once = max(self._at_once, -(-rest // 3)) if self.is_tired else min(self._at_once, rest)
        found: dict[int, Subgraph] = {}
        for first in range(0, len(order), at_once):
            if first == at_once * self.rules.breadth:
                break
            gone = order[first : first + at_once]
            left = self._connected(nodes & ~sum(1 << node for node in gone))
            if left:
                found[left] = self.seen.setdefault(left, Subgraph(left))
        return list(found.values())

    def _degree(self, node: int, nodes: int) -> int:
        degree = (self.neighbors[node] & nodes).bit_count()
        return -degree if self.rules.high_to_low else degree

    def _connected(self, nodes: int) -> int:
        """The part with the fixed nodes, or else the largest (the first of several)."""
        if self.fixed:
            return self._reach(self.fixed, nodes)
        largest, rest = 0, nodes
        while rest.bit_count() > largest.bit_count():
            part = self._reach(rest & -rest, rest)
            largest, rest = max(largest, part, key=int.bit_count), rest & ~part
        return largest

    def _reach(self, start: int, nodes: int) -> int:
        """Nodes that are connected to some node of the start."""
        reached = frontier = start
        while frontier:
            lowest = frontier & -frontier
            new = self.neighbors[lowest.bit_length() - 1] & nodes & ~reached
            reached |= new
            frontier = (frontier ^ lowest) | new
        return reached
