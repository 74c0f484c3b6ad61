"""A Monte-Carlo tree search for the few events with the largest reward.

The root has all n events; a child lacks one of them; a subset that is met on several ways is one
node of the tree. A walk goes from the root down to one event. At each node it adds the child that
lacks the least important event which no child lacks yet, and goes on with the child of the largest

    W / N + explore * sqrt(sum of N over the children) / (1 + N),

N: how often a node was passed, W: the sum of the values of those walks there. The value of a walk
at a node is the largest reward of its subsets of at most ``size`` events from there on. Where a
walk goes does not depend on rewards of its own subsets, so all of them are asked for at once;
larger ones are never asked for. Several walks may start before their values are known: they count
in N at once, in W when they are.

Bit i of a subset is the event that is i-th in importance, from the least, so that the next one to
leave out is the lowest bit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

#: From subsets, as bits of an integer, to their rewards.
Reward = Callable[[Sequence[int]], Sequence[float]]


class _Node:
    """A subset: its children, walks through it, how many of them have a value, and their sum."""

    __slots__ = ("children", "total", "untried", "valued", "visits")

    def __init__(self, subset: int) -> None:
        self.children: list[int] = []
        self.untried = subset
        self.visits, self.valued, self.total = 0, 0, 0.0

    @property
    def mean(self) -> float:
        """``W / N`` over walks with a value; 0 without any."""
        return self.total / self.valued if self.valued else 0.0


class EventTree:
    """Subsets of n events, as bits of integers, the least important event first.

    Args:
        count: the number n of events.
        size: of the largest subset that has a reward.
        explore: weight of what was seldom passed.
    """

    def __init__(self, count: int, size: int, explore: float) -> None:
        self.size, self.explore = size, explore
        self.root = (1 << count) - 1
        self.rewards: dict[int, float] = {}
        self._nodes = {self.root: _Node(self.root)}

    def search(self, rollouts: int, together: int, reward: Reward) -> None:
        """So many walks, some at a time; rewards of their small subsets are kept in ``rewards``."""
        if not self.root:
            return
        while rollouts > 0:
            paths = [self._walk() for _ in range(min(together, rollouts))]
            rollouts -= len(paths)
            small = (each for path in paths for each in path if each.bit_count() <= self.size)
            new = dict.fromkeys(each for each in small if each not in self.rewards)
            if new:
                self.rewards.update(zip(new, reward(list(new)), strict=True))
            for path in paths:
                value = -math.inf
                for each in reversed(path):
                    value = max(value, self.rewards.get(each, value))
                    node = self._nodes[each]
                    node.valued += 1
                    node.total += value

    def best(self, most: int) -> int:
        """The subset of at most so many events with the largest reward; the smaller among equals.

        A walk ends at one event, so there is one after the first walk.
        """
        small = [each for each in self.rewards if each.bit_count() <= most]
        return max(small, key=lambda each: (self.rewards[each], -each.bit_count()))

    def _walk(self) -> list[int]:
        """From the root to one event."""
        subset = self.root
        path = [subset]
        while subset.bit_count() > 1:
            subset = self._next(subset)
            path.append(subset)
        for each in path:
            self._nodes[each].visits += 1
        return path

    def _next(self, subset: int) -> int:
        node = self._nodes[subset]
        self._expand(subset, node)
        children = [(each, self._nodes[each]) for each in node.children]
        weight = self.explore * math.sqrt(sum(child.visits for _, child in children))
        return max(children, key=lambda child: child[1].mean + weight / (1 + child[1].visits))[0]

    def _expand(self, subset: int, node: _Node) -> None:
        """Add the child that lacks the least important event that none lacks yet."""
        bit = node.untried & -node.untried
        if bit:
            node.untried ^= bit
            child = subset ^ bit
            if child not in self._nodes:
                self._nodes[child] = _Node(child)
            node.children.append(child)
