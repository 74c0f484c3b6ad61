"""The mode that applies rules while a model runs.

`Tape` sees every function of torch that the model calls. Outside linear segments it lets autograd
be: for a function that is homogeneous, such as ``relu`` or a sum, the gradient times the input is
what LRP asks for. At the start of a segment it splits the value into the parts its rule needs,
carries them through the linear operations, and joins them where the segment ends.

What depends on the explained features has ``requires_grad``; all the rest (weights, the graph, edge
weights and attributes) is a constant and part of the model.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import FunctionType
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from glassgraph.calling.precision import outside_autocast
from glassgraph.core.batch import InstanceBatch
from glassgraph.errors import MissingRuleError, ModelOutputError
from glassgraph.inputs.task import Targets, Task
from glassgraph.relevance.handlers import Handlers
from glassgraph.relevance.input_rules import InputRule, Pending
from glassgraph.relevance.linear_segments import Function, Open
from glassgraph.relevance.module_scope import ModuleScope, RuleAt, ScopeTracker
from glassgraph.relevance.operations import KINDS, plain_name, writes_in_place
from glassgraph.relevance.rules import Parts, Rule
from glassgraph.relevance.signed_rules import Signed


class Tape(Handlers):
    """Applies rules to everything that runs in a ``with`` block; used once.

    Args:
        model: the model that runs.
        rule_at: the rule of each scope.
        layers: for each module that passes messages, the layers of its sites in call order.
        inputs: pairs of features and probes (see `InputRule`).
        input_rule: the rule of the first weights; needs ``inputs``.
        watch: called with the values that each matrix of weights reads, and the scope.

    Attributes:
        contributions: after the block, for each instance the positive and the negative
            contributions ``[B]`` to the explained logit, with the gradient that the rules give
            them; where the logit is not the result of weights, its size and the opposite.
    """

    @classmethod
    def on(cls, batch: InstanceBatch, rule_at: RuleAt, **options: Any) -> Tape:
        """Rules for one run of `InstanceBatch.score`; the options are those of the class."""
        model, layers = batch.model_call.model, batch.wiring.layers_of_modules()
        return cls(model, rule_at, layers, **options)

    def __init__(
        self,
        model: nn.Module,
        rule_at: RuleAt,
        layers: Mapping[nn.Module, Sequence[int]],
        inputs: Sequence[tuple[Tensor, Tensor]] = (),
        input_rule: InputRule | None = None,
        watch: Callable[[Tensor, ModuleScope], None] | None = None,
    ) -> None:
        super().__init__()
        self._scopes = ScopeTracker(model, layers)
        self._rule_at, self._watch = rule_at, watch
        self.contributions: Parts = ()
        if input_rule is not None:
            for x, probe in inputs:
                self._open[id(x)] = Open(x, Pending(input_rule), (x, probe))

    def __enter__(self) -> Tape:
        self._scopes.__enter__()
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *error: Any) -> None:
        try:
            super().__exit__(*error)  # type: ignore[no-untyped-call]
        finally:
            self._scopes.__exit__(*error)

    def score(self, task: Task, output: Tensor, targets: Targets) -> Tensor:
        """The explained logit ``[B]``, with the gradient that the rules give it.

        Where the model ends in a softmax or sigmoid, the logit is what that read.
        """
        output = self._current(output)
        if id(output) in self._heads:
            output = self._heads[id(output)][1]
        elif self._heads and not output.requires_grad:
            raise ModelOutputError(
                "relevance starts at logits, and this output is computed from a softmax or sigmoid "
                "in a way that hides them; pass call=lambda model, data: ... that returns logits"
            )
        score = super().score(dataclasses.replace(task, return_type="raw"), output, targets)
        score = self._current(score)
        found, closed = self._open.get(id(score)), self.closed(score)
        if found is not None and isinstance(found.rule, Signed):
            self.contributions = found.rule.contributions(found.parts)
        else:
            self.contributions = closed.abs(), -closed.abs()
        return closed

    def __torch_function__(
        self, func: Function, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Run one function of torch under the rules."""
        if getattr(func, "__name__", "") == "cut":
            return self._cut(*args)
        with outside_autocast():  # which a model may turn on in its own forward
            return self._run(func, args, kwargs or {})

    def _run(self, func: Function, args: Any, kwargs: Any) -> Any:
        args, kwargs = self._resolved((args, kwargs))
        if isinstance(func, FunctionType) and _asks_in_place(func, args, kwargs):
            bound = inspect.signature(func).bind(*args, **kwargs)
            bound.arguments["inplace"] = False
            return self._out_of_place(func, bound.args, bound.kwargs)
        if not any(value.requires_grad for value in _tensors((args, kwargs))):
            result = func(*args, **kwargs)
            if self._heads:
                self._follow_head(func, args, kwargs, result)
            return result
        name = plain_name(func)
        kind = KINDS.get(name)
        if writes_in_place(func) and (kind in ("elementwise", "gate") or name == "pow"):
            return self._out_of_place(_function(name), args, kwargs)
        handler = getattr(self, f"_{name if kind == 'special' else kind}", self._unknown)
        return handler(func, args, kwargs)

    def _out_of_place(self, func: Function, args: Any, kwargs: Any) -> Any:
        """Run a function that leaves its input alone; the result takes the input's place."""
        own = args[0]
        result = self._run(func, args, kwargs)
        self._aliases[id(own)] = (own, result)
        return result

    def _start(self, x: Tensor, *, reads_input: bool) -> Rule:
        scope = self._scopes.here(reads_input=reads_input)
        if self._watch is not None:
            self._watch(x, scope)
        return self._rule_at(scope)

    def _unknown(self, func: Function, args: Any, kwargs: Any) -> Any:
        result = self._natural(func, args, kwargs)
        if not any(value.requires_grad for value in _tensors(result)):
            return result
        raise MissingRuleError(
            f"there is no rule for {getattr(func, '__name__', func)!r}, which the model calls in "
            f"{self._scopes.name or 'its forward'}; if it is linear, homogeneous or elementwise, "
            f"say so with glassgraph.rules.register({plain_name(func)!r}, kind), or use a method "
            "that needs no rules, such as integrated_gradients"
        )

    def _follow_head(self, func: Function, args: Any, kwargs: Any, result: Any) -> None:
        """Rows taken of a softmax: take the same of what it read."""
        if not isinstance(result, Tensor) or KINDS.get(plain_name(func)) != "linear":
            return
        values = [each for each in _tensors((args, kwargs)) if id(each) in self._heads]
        if len(values) != 1:
            return
        head = self._heads[id(values[0])][1]
        args, kwargs = tree_map(lambda each: head if each is values[0] else each, (args, kwargs))
        self._heads[id(result)] = (result, self._run(func, args, kwargs))


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from _tensors(each)
    elif isinstance(value, dict):
        yield from _tensors(list(value.values()))


def _function(name: str) -> Function:
    """A function of torch by its plain name."""
    home = next(home for home in (torch, Tensor, nn.functional) if hasattr(home, name))
    found: Function = getattr(home, name)
    return found


def _asks_in_place(func: Function, args: Any, kwargs: Any) -> bool:
    """Whether a function of ``torch.nn.functional`` is asked to overwrite its input."""
    if kwargs.get("inplace"):
        return True
    if not any(each is True for each in args):
        return False
    names = list(inspect.signature(func).parameters)
    return "inplace" in names[: len(args)] and args[names.index("inplace")] is True
