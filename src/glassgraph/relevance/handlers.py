"""What a tape does with each kind of operation."""

from __future__ import annotations

import inspect
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_map, tree_unflatten

from glassgraph.core.gate_op import substitute
from glassgraph.relevance.input_rules import Pending
from glassgraph.relevance.linear_segments import Function, LinearSegments
from glassgraph.relevance.operations import is_relu, plain_name, writes_in_place
from glassgraph.relevance.rules import Parts, Rule, Zero


class Handlers(LinearSegments):
    """One method for each kind of operation (`glassgraph.relevance.operations`)."""

    @abstractmethod
    def _start(self, x: Tensor, *, reads_input: bool) -> Rule:
        """The rule of weights that read ``x``."""

    @abstractmethod
    def _run(self, func: Function, args: Any, kwargs: Any) -> Any:
        """Run another operation in its place."""

    @abstractmethod
    def _unknown(self, func: Function, args: Any, kwargs: Any) -> Any:
        """An operation that is not listed."""

    def _inert(self, func: Function, args: Any, kwargs: Any) -> Any:
        with torch.no_grad():
            return func(*args, **kwargs)

    def _linear(self, func: Function, args: Any, kwargs: Any) -> Any:
        name = plain_name(func)
        if name == "__get__" and not _is_dependent(result := func(*args, **kwargs)):
            return result
        if name.endswith("_as"):  # the second argument gives its shape alone
            if not args[0].requires_grad:
                return self._inert(func, args, kwargs)
            args = (args[0], args[1].detach(), *args[2:])
        if name.endswith("_reduce") and not _is_sum(args, kwargs):
            return self._natural(func, args, kwargs)
        if name in ("where", "masked_fill") and _fills(args):
            return self._natural(func, args, kwargs)
        leaves, spec = tree_flatten((args, kwargs))
        dependent = [x for x in leaves if isinstance(x, Tensor) and x.requires_grad]
        rule = self._rule_of(*dependent)
        if rule is None:
            result = self._natural(func, args, kwargs)
            if all(id(each) in self._gates for each in dependent):
                self._gates[id(result)] = result
            return result
        in_place = writes_in_place(func)
        found = []
        for i in range(len(self._open[id(dependent[0])].parts)):
            chosen = [self._part(rule, leaf, i) for leaf in leaves]
            if in_place and id(leaves[0]) in self._open:
                chosen[0] = chosen[0].clone()
            some, more = tree_unflatten(chosen, spec)
            result = func(*some, **more)
            found.append(chosen[0] if result is None else result)
        with torch.no_grad():
            value = func(*args, **kwargs)
        if value is None:  # __setitem__
            self._set(args[0], rule, tuple(found))
            return None
        if isinstance(value, Tensor):
            return self._set(value, rule, tuple(found))
        for each, *parts in zip(value, *found, strict=True):
            self._set(each, rule, tuple(parts))
        return value

    def _part(self, rule: Rule, leaf: Any, i: int) -> Any:
        if not isinstance(leaf, Tensor):
            return leaf
        if id(leaf) in self._open:
            return self._open[id(leaf)].parts[i]
        return rule.embed(leaf)[i] if leaf.is_floating_point() else leaf

    def _scale(self, func: Function, args: Any, kwargs: Any) -> Any:
        name, (one, other) = plain_name(func), args[:2]
        is_quotient = "div" in name
        if is_quotient and name.startswith("r"):
            one, other = other, one
        if is_quotient:
            if isinstance(other, Tensor) and other.requires_grad:  # a norm, a sum of weights
                other = self.closed(other).detach()
                one = torch.as_tensor(one, dtype=other.dtype, device=other.device)
                return self._run(torch.div, (one, other), kwargs)
            if kwargs.get("rounding_mode") is not None:
                return self._unknown(func, args, kwargs)
        elif not (isinstance(one, Tensor) and one.requires_grad):
            one, other = other, one
        if isinstance(other, Tensor) and other.requires_grad:
            return self._product(func, args, kwargs)
        rule = self._rule_of(one)
        if rule is None:
            return self._natural(func, args, kwargs)
        factor = torch.as_tensor(other, dtype=one.dtype, device=one.device)
        if is_quotient:
            factor = 1 / factor
        parts = rule.scale(torch.mul, factor, self._open[id(one)].parts)
        with torch.no_grad():
            value = func(*args, **kwargs)
        return self._set(value, rule, parts)

    def _product(self, func: Function, args: Any, kwargs: Any) -> Any:
        """Two factors that both depend on the features: half of the relevance goes to each."""
        if any(id(each) in self._gates for each in args):
            return self._natural(func, args, kwargs)
        result = self._natural(func, args, kwargs)
        return substitute(result, result * 0.5)

    def _dense(self, func: Function, args: Any, kwargs: Any) -> Any:
        name = plain_name(func)
        if name == "einsum":
            equation, operands = args[0], args[1:]
            if len(operands) == 1 and isinstance(operands[0], (list, tuple)):
                operands = operands[0]
            if len(operands) == 2:
                return self._apply(
                    func, args, kwargs, operands, lambda a, b: torch.einsum(equation, a, b)
                )
            return self._unknown(func, args, kwargs)
        if name == "linear":
            bound = dict(zip(("input", "weight", "bias"), args, strict=False)) | kwargs
            operands = (bound["input"], bound["weight"])
            return self._apply(
                func, args, kwargs, operands, nn.functional.linear, bound.get("bias")
            )
        if name == "rmatmul":
            args = (args[1], args[0])
        if name in ("matmul", "mm", "bmm", "mv", "rmatmul", "dot"):
            return self._apply(torch.matmul, args, kwargs, args[:2], torch.matmul)
        return self._unknown(func, args, kwargs)

    def _apply(
        self,
        func: Function,
        args: Any,
        kwargs: Any,
        operands: Sequence[Tensor],
        dense: Callable[[Tensor, Tensor], Tensor],
        bias: Tensor | None = None,
    ) -> Any:
        """A product with a matrix: weights on the right, an adjacency (or the like) on the left."""
        one, other = operands
        if bias is not None and bias.requires_grad:
            return self._unknown(func, args, kwargs)
        if one.requires_grad and other.requires_grad:
            return self._product(func, args, kwargs)
        if other.requires_grad and plain_name(func) != "einsum":
            rule = self._rule_of(other)
            if rule is None:
                return self._natural(func, args, kwargs)
            parts = rule.scale(dense, one, self._open[id(other)].parts)
            with torch.no_grad():
                value = func(*args, **kwargs)
            return self._set(value, rule, parts)
        if other.requires_grad:
            one, other, plain = other, one, dense
            dense = lambda a, b: plain(b, a)  # noqa: E731
        before = self._open.get(id(one))
        pending = before if before is not None and isinstance(before.rule, Pending) else None
        x = self.closed(one)
        rule = self._start(x, reads_input=pending is not None)
        if pending is not None:
            assert isinstance(pending.rule, Pending)
            rule = pending.rule.rule
            parts = rule.split_input(dense, x, pending.parts[1], other)
        elif type(rule) is Zero:
            return self._natural(func, args, kwargs)
        else:
            parts = rule.split(dense, x, other, bias)
        with torch.no_grad():
            value = func(*args, **kwargs)
        return self._set(value, rule, parts)

    def _add(self, func: Function, args: Any, kwargs: Any) -> Any:
        name, (one, other) = plain_name(func), args[:2]
        sign = -1.0 if "sub" in name else 1.0
        times = kwargs.get("alpha", 1)
        values = [each for each in (one, other) if isinstance(each, Tensor) and each.requires_grad]
        rule = self._rule_of(*values)
        if rule is None:
            return self._natural(func, args, kwargs)
        first = sign if name == "rsub" else 1.0
        second = (1.0 if name == "rsub" else sign) * times
        like = values[0]
        parts = tuple(
            a + b
            for a, b in zip(
                self._term(rule, one, first, like),
                self._term(rule, other, second, like),
                strict=True,
            )
        )
        with torch.no_grad():
            value = func(*args, **kwargs)
        return self._set(value, rule, parts)

    def _term(self, rule: Rule, value: Any, factor: float, like: Tensor) -> Parts:
        if isinstance(value, Tensor) and value.requires_grad:
            parts = self._open[id(value)].parts
            return parts if factor == 1 else rule.scale(torch.mul, like.new_tensor(factor), parts)
        constant = torch.as_tensor(value, dtype=like.dtype, device=like.device)
        return rule.embed(constant * factor)

    def _neg(self, func: Function, args: Any, kwargs: Any) -> Any:
        return self._run(torch.mul, (args[0], -1.0), {})

    _negative = _neg

    def _gated(self, func: Function, args: Any, kwargs: Any) -> Any:
        values, gate = args
        if not values.requires_grad:  # an entry of an adjacency matrix
            result = func(values, gate)
            self._gates[id(result)] = result
            return result
        rule = self._rule_of(values)
        if rule is None:
            return self._natural(func, args, kwargs)
        parts = tuple(part * gate for part in self._open[id(values)].parts)
        with torch.no_grad():
            value = func(values, gate)
        return self._set(value, rule, parts)

    def _cut(self, states: Tensor, pieces: list[tuple[Tensor, Tensor]]) -> Tensor:
        """Cut each part that is carried; see `glassgraph.relevance.walk_cuts.cut`."""
        states = self._current(states)
        found = self._open.get(id(states))
        if found is None:
            leaf = states.detach().requires_grad_()
            pieces.append((states, leaf))
            return leaf
        parts = []
        for part in found.parts:
            parts.append(part.detach())
            if part.requires_grad:
                parts[-1].requires_grad_()
                pieces.append((part, parts[-1]))
        return self._set(states.detach().clone(), found.rule, tuple(parts))

    def _homogeneous(self, func: Function, args: Any, kwargs: Any) -> Any:
        return self._natural(func, args, kwargs)

    def _elementwise(self, func: Function, args: Any, kwargs: Any) -> Any:
        if is_relu(func, args, kwargs):
            return self._natural(func, args, kwargs)
        x = self.closed(args[0])
        with torch.no_grad():
            value = func(x, *args[1:], **kwargs)
            ratio = torch.where(x == 0, 0.0, value / torch.where(x == 0, 1.0, x))
        return substitute(value, x * ratio)

    def _pow(self, func: Function, args: Any, kwargs: Any) -> Any:
        base, exponent = args[:2]
        power = torch.as_tensor(exponent)
        if not isinstance(base, Tensor) or power.requires_grad:
            return self._unknown(func, args, kwargs)
        if bool((power > 0).all()):
            return self._elementwise(func, args, kwargs)
        if bool((power < 0).all()):  # 1 / x: a divisor
            return self._constant(func, args, kwargs)
        return self._unknown(func, args, kwargs)

    def _gate(self, func: Function, args: Any, kwargs: Any) -> Any:
        result = self._natural(func, args, kwargs).detach()
        if plain_name(func) != "exp":
            self._heads[id(result)] = (result, args[0])
        return result

    def _constant(self, func: Function, args: Any, kwargs: Any) -> Any:
        result = self._natural(func, args, kwargs)
        return tree_map(lambda each: each.detach() if isinstance(each, Tensor) else each, result)

    # Operations made of others

    def _rewritten(self, func: Function, args: Any, kwargs: Any, result: Tensor) -> Tensor:
        """The value that torch computes, with the relevance of a rewriting in other operations."""
        found = self._open.get(id(result))
        with torch.no_grad():
            value: Tensor = func(*args, **kwargs)
        if found is not None:
            return self._set(value, found.rule, found.parts)
        return substitute(value, result)

    def _addmm(self, func: Function, args: Any, kwargs: Any) -> Any:
        added, one, other = args[:3]
        with self._seeing():
            result = kwargs.get("beta", 1) * added + kwargs.get("alpha", 1) * (one @ other)
        return self._rewritten(func, args, kwargs, result)

    def _gru_cell(self, func: Function, args: Any, kwargs: Any) -> Any:
        x, h, from_x, from_h, *biases = args
        bias_x, bias_h = biases or (None, None)
        with self._seeing():
            reads = nn.functional.linear(x, from_x, bias_x).chunk(3, 1)
            keeps = nn.functional.linear(h, from_h, bias_h).chunk(3, 1)
            reset, update = (reads[0] + keeps[0]).sigmoid(), (reads[1] + keeps[1]).sigmoid()
            new = (reads[2] + reset * keeps[2]).tanh()
            result = (1 - update) * new + update * h
        return self._rewritten(func, args, kwargs, result)

    def _dropout(self, func: Function, args: Any, kwargs: Any) -> Any:
        bound = inspect.signature(nn.functional.dropout).bind(*args, **kwargs)
        bound.apply_defaults()
        return self._natural(func, args, kwargs) if bound.arguments["training"] else args[0]

    def _batch_norm(self, func: Function, args: Any, kwargs: Any) -> Any:
        names = ["input", "running_mean", "running_var", "weight", "bias", "training"]
        if func is torch.batch_norm:
            names = ["input", "weight", "bias", "running_mean", "running_var", "training"]
        bound: dict[str, Any] = dict(zip([*names, "momentum", "eps"], args, strict=False)) | kwargs
        x = bound["input"]
        with torch.no_grad():
            mean, variance = bound["running_mean"], bound["running_var"]
            if bound.get("training") or mean is None or variance is None:
                axes = [axis for axis in range(x.dim()) if axis != 1]
                variance, mean = torch.var_mean(x, dim=axes, unbiased=False)
            scale = (variance + bound.get("eps", 1e-5)).rsqrt()
            if bound.get("weight") is not None:
                scale = scale * bound["weight"]
            shift = -mean * scale
            if bound.get("bias") is not None:
                shift = shift + bound["bias"]
            shape = [1, -1] + [1] * (x.dim() - 2)
            scale, shift = scale.view(shape), shift.view(shape)
            value = func(*args, **kwargs)
        rule = self._rule_of(x)
        if rule is None:
            return substitute(value, self.closed(x) * scale)
        parts = rule.scale(torch.mul, scale, self._open[id(x)].parts)
        parts = tuple(a + b for a, b in zip(parts, rule.embed(shift), strict=True))
        return self._set(value, rule, parts)

    def _layer_norm(self, func: Function, args: Any, kwargs: Any) -> Any:
        names = ("input", "normalized_shape", "weight", "bias", "eps")
        bound: dict[str, Any] = dict(zip(names, args, strict=False)) | kwargs
        x = self.closed(bound["input"])
        shape = bound["normalized_shape"]
        axes = list(range(-(len(shape) if isinstance(shape, Sequence) else 1), 0))
        centered = x - x.mean(axes, keepdim=True)
        variance = x.detach().var(axes, unbiased=False, keepdim=True)
        carrier = centered * (variance + bound.get("eps", 1e-5)).rsqrt()
        if bound.get("weight") is not None:
            carrier = carrier * bound["weight"]
        return substitute(self._natural(func, args, kwargs), carrier)

    def _normalize(self, func: Function, args: Any, kwargs: Any) -> Any:
        bound = inspect.signature(nn.functional.normalize).bind(*args, **kwargs)
        bound.apply_defaults()
        p, dim, eps = (bound.arguments[name] for name in ("p", "dim", "eps"))
        x = self.closed(args[0])
        size = x.detach().norm(p, dim, keepdim=True).clamp_min(eps)
        return substitute(self._natural(func, args, kwargs), x / size)

    @contextmanager
    def _seeing(self) -> Iterator[None]:
        """See operations again while one is handled."""
        super().__enter__()  # type: ignore[no-untyped-call]
        try:
            yield
        finally:
            super().__exit__(None, None, None)  # type: ignore[no-untyped-call]


def _is_dependent(value: Any) -> bool:
    return isinstance(value, Tensor) and value.requires_grad


def _is_sum(args: Any, kwargs: Any) -> bool:
    """Whether a reduction sums or averages."""
    words = [each for each in (*args, *kwargs.values()) if isinstance(each, str)]
    return words in (["sum"], ["mean"])


def _fills(args: Any) -> bool:
    """Whether a number other than 0 is among the arguments."""
    return any(isinstance(each, (int, float)) and each != 0 for each in args)
