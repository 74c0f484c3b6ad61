"""What laws compare: scores of explanations; everything about a model and its data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

MASKS = ("edge_mask", "layer_edge_mask", "node_mask", "node_score")
#: Masks whose last dimension is the user's edges.
EDGE_MASKS = ("edge_mask", "layer_edge_mask")


class Violation(AssertionError):
    """What differed, and by how much."""


def expect(holds: bool, what: str) -> None:
    """Say what is wrong unless it holds."""
    if not holds:
        raise Violation(what)


def scores(explanation: Any) -> dict[str, Tensor]:
    """All dense masks of one explanation."""
    found = {name: explanation[name] for name in MASKS if name in explanation}
    expect(bool(found), "an explanation has no scores at all")
    return found


def expect_same(
    got: Mapping[str, Tensor],
    expected: Mapping[str, Tensor],
    where: str = "",
    *,
    rtol: float = 1e-8,
    atol: float = 1e-11,
) -> None:
    """Two explanations have the same masks, up to rounding."""
    expect(
        got.keys() == expected.keys(),
        f"{where}: scores are {', '.join(got)}; expected {', '.join(expected)}",
    )
    for name, value in got.items():
        _expect_close(f"{where}: {name}" if where else name, value, expected[name], rtol, atol)


def _expect_close(name: str, got: Tensor, expected: Tensor, rtol: float, atol: float) -> None:
    for what in ("dtype", "shape"):
        one, other = getattr(got, what), getattr(expected, what)
        expect(one == other, f"{name}: {what} is {one}; expected {other}")
    got = got.to(expected.device)  # what is loaded from a file lies on the processor
    is_far = ~torch.isclose(got, expected, rtol=rtol, atol=atol)
    if bool(is_far.any()):
        raise Violation(f"{name}: {_largest(got, expected, is_far)}")


def _largest(got: Tensor, expected: Tensor, is_far: Tensor) -> str:
    """Where two tensors differ most, in words."""
    gap = (got - expected).abs().nan_to_num(torch.inf).where(is_far, -1.0)
    at = int(gap.flatten().argmax())
    place = tuple(int(each) for each in torch.unravel_index(torch.tensor(at), got.shape))
    return (
        f"{int(is_far.sum())} of {got.numel()} scores differ, by up to {float(gap.max()):.3g} "
        f"(at {list(place)}: {float(got.flatten()[at]):.8g} instead of "
        f"{float(expected.flatten()[at]):.8g})"
    )


def expect_same_bits(
    got: Mapping[str, Tensor], expected: Mapping[str, Tensor], where: str = ""
) -> None:
    """Two explanations have the same masks, to the last bit."""
    expect_same(got, expected, where, rtol=0.0, atol=0.0)


def differ(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    """Whether some mask differs by more than rounding."""
    return any(not torch.allclose(one[k], other[k], rtol=1e-6, atol=1e-12) for k in one)


def snapshot(model: nn.Module, data: Any) -> dict[str, Any]:
    """Everything about a model and its data that an explanation must leave as it was."""
    found: dict[str, Any] = {}
    for name, module in model.named_modules():
        found[f"{name}.training"] = module.training
        found[f"{name}.attributes"] = sorted(vars(module))
        for attribute, value in vars(module).items():
            if attribute.endswith(("_hooks", "_hooks_with_kwargs", "_hooks_always_called")):
                found[f"{name}.{attribute}"] = list(value.items())
            elif isinstance(value, (bool, int, float, str, type(None))):
                found[f"{name}.{attribute}"] = value
    for name, parameter in model.named_parameters():
        found[f"{name}.identity"] = id(parameter)
        found[f"{name}.value"] = parameter.detach().clone()
        found[f"{name}.requires_grad"] = parameter.requires_grad
        found[f"{name}.grad"] = None if parameter.grad is None else parameter.grad.clone()
    for name, buffer in model.named_buffers():
        found[f"{name}.identity"] = id(buffer)
        found[f"{name}.value"] = buffer.clone()
    for number, each in enumerate(data if isinstance(data, list) else [data]):
        found[f"data {number}"] = {
            key: value.clone() if isinstance(value, Tensor) else value
            for key, value in each.to_dict().items()
        }
    return found


def expect_unchanged(before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    """Two snapshots are equal to the last bit."""
    lost_or_new = sorted(before.keys() ^ after.keys())
    expect(not lost_or_new, f"{', '.join(lost_or_new)}: there on one side only")
    for name, value in before.items():
        if not equal(value, after[name]):
            raise Violation(f"{name} changed{_by(value, after[name])}")


def _by(before: Any, after: Any) -> str:
    if isinstance(before, Tensor) and isinstance(after, Tensor) and before.shape == after.shape:
        return f" by up to {float((before.double() - after.double()).abs().max()):.3g}"
    if isinstance(before, Sequence) and isinstance(after, Sequence):
        return f": {len(before)} entries before, {len(after)} after"
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        names = [key for key in before if key not in after or not equal(before[key], after[key])]
        return f": {', '.join(names) or 'a new entry'}"
    return f" from {before!r} to {after!r}"


def equal(one: Any, other: Any) -> bool:
    """Equal to the last bit, tensors within dicts included."""
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return one.dtype == other.dtype and torch.equal(one, other.to(one.device))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
    return type(one) is type(other) and bool(one == other)
