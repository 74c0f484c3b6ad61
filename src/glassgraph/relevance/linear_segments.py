"""Values within linear segments, and the parts that are carried beside them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.utils._pytree import tree_map

from glassgraph.core.gate_op import substitute
from glassgraph.core.modified_backward import ModifiedBackward
from glassgraph.relevance.input_rules import Pending
from glassgraph.relevance.operations import writes_in_place
from glassgraph.relevance.rules import Parts, Rule

Function = Callable[..., Any]


@dataclass
class Open:
    """A value within a linear segment."""

    value: Tensor
    rule: Rule
    parts: Parts


class LinearSegments(ModifiedBackward):
    """Bookkeeping: which values are within a segment (*open*), and what they are when it ends.

    An open value carries no gradient of its own; its parts do. `closed` joins them.
    """

    def __init__(self) -> None:
        super().__init__()
        self._open: dict[int, Open] = {}
        self._closed: dict[int, Tensor] = {}
        #: Tensors that were overwritten in place, and what holds their value now.
        self._aliases: dict[int, tuple[Tensor, Tensor]] = {}
        #: Results of a softmax or sigmoid, and what it read.
        self._heads: dict[int, tuple[Tensor, Tensor]] = {}
        #: Values that depend on gates alone: entries of adjacency matrices.
        self._gates: dict[int, Tensor] = {}

    def closed(self, value: Tensor) -> Tensor:
        """A value with the gradient that the rules give it."""
        value = self._current(value)
        found = self._open.get(id(value))
        if found is None:
            return value
        if id(value) not in self._closed:
            if isinstance(found.rule, Pending):
                self._closed[id(value)] = found.parts[0]
            else:
                carrier = found.rule.carrier(found.value.detach(), found.parts)
                self._closed[id(value)] = substitute(found.value, carrier)
        return self._closed[id(value)]

    def _resolved(self, values: Any) -> Any:
        return tree_map(lambda each: self._current(each), values) if self._aliases else values

    def _current(self, value: Any) -> Any:
        while id(value) in self._aliases:
            value = self._aliases[id(value)][1]
        return value

    def _set(self, value: Tensor, rule: Rule, parts: Parts) -> Tensor:
        value.requires_grad_()
        self._open[id(value)] = Open(value, rule, parts)
        self._closed.pop(id(value), None)
        return value

    def _rule_of(self, *values: Tensor) -> Rule | None:
        """The rule that values share; None unless all are within segments of one rule."""
        found = [self._open.get(id(value)) for value in values]
        if not found or any(each is None for each in found):
            return None
        rules = {each.rule for each in found if each is not None}
        return rules.pop() if len(rules) == 1 else None

    def _natural(self, func: Function, args: Any, kwargs: Any) -> Any:
        """Run on closed values: autograd's own gradient."""
        own = args[0] if args and writes_in_place(func) else None
        args, kwargs = tree_map(
            lambda each: self.closed(each) if isinstance(each, Tensor) else each, (args, kwargs)
        )
        result = func(*args, **kwargs)
        if own is not None and own is not args[0]:
            self._aliases[id(own)] = (own, args[0])
        return result
