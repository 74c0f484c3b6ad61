"""Values of XGNN's hyper-parameters: whether they make sense, and how a file holds them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from glassgraph.errors import HyperParameterError
from glassgraph.explainers.generation.graph_generation.rule import Rule

_WORDS = {
    "rollout_value": ("best", "last"),
    "roll_back": ("worse", "negative"),
    "keep": ("best", "last"),
    "weights": ("best", "last"),
    "optimizer": ("adam", "sgd"),
}
_AT_LEAST = {
    "iterations": 1,
    "episodes": 1,
    "max_steps": 1,
    "num_rollouts": 0,
    "rollout_steps": 0,
    "patience": 1,
}


def check(settings: Mapping[str, Any]) -> None:
    """Check words and ranges.

    Raises:
        HyperParameterError: names the first that is wrong.
    """
    for name, lowest in _AT_LEAST.items():
        if settings[name] is not None or name in ("iterations", "episodes", "num_rollouts"):
            at_least(name, settings[name], lowest)
    for name, words in _WORDS.items():
        if settings[name] not in words:
            raise HyperParameterError(
                f"{name} must be {' or '.join(map(repr, words))}; got {settings[name]!r}"
            )
    if not settings["learning_rate"] > 0:
        raise HyperParameterError(f"learning_rate is positive; got {settings['learning_rate']}")
    for name in ("entropy", "rule_weight", "rollout_weight", "slack"):
        if not settings[name] >= 0:
            raise HyperParameterError(f"{name} is not negative; got {settings[name]}")


def check_shared(max_nodes: Any, seed: Any) -> None:
    """Check what all methods share.

    Raises:
        HyperParameterError: if there is no room for an edge, or the seed has too many bits.
    """
    at_least("max_nodes", max_nodes, 2)
    if not -(2**63) <= int(seed) < 2**63:
        raise HyperParameterError(f"seed must be a 64-bit integer; got {seed}")


def at_least(name: str, value: Any, lowest: int) -> int:
    """An integer that is large enough.

    Raises:
        HyperParameterError: if it is not.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < lowest:
        raise HyperParameterError(f"{name} is an integer of at least {lowest}; got {value!r}")
    return value


def as_json(value: Any) -> Any:
    """A value as JSON can hold it; functions by their names."""
    if isinstance(value, Rule):
        return value.to_json() or value.name
    if isinstance(value, Tensor):
        return value.tolist()
    if isinstance(value, (list, tuple)):
        return [as_json(each) for each in value]
    if callable(value):
        return getattr(value, "__name__", type(value).__name__)
    return value
