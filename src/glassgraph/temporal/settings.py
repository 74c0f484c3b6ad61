"""What methods on past events can be told, declared once."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from glassgraph.errors import HyperParameterError
from glassgraph.temporal.navigator import Navigator


@dataclass(frozen=True)
class Settings:
    """What methods can be told.

    Attributes:
        groups: of `occlusion`: ``"pair"``, all events between the same two nodes; ``"node"``, all
            events of one neighbor (the end that is not the link's); or a group's number for each
            event of the stream ``[E]``.
        steps: of `integrated_gradients`: number of points on the path.
        seed: of `random`, and of `t_gnn_explainer` without a navigator.
        navigator: of `t_gnn_explainer`: what says which events are tried to be left out first: a
            `glassgraph.temporal.Navigator`, the name of another method whose scores do, or None
            for a random order.
        size: of `t_gnn_explainer`: how many events explain a link, at most.
        rollouts: of `t_gnn_explainer`: walks from all candidates down to one.
        together: of `t_gnn_explainer`: walks whose subsets go through the model in one replay.
        explore: of `t_gnn_explainer`: weight of what was seldom visited.
        threshold: of `t_gnn_explainer`: the score from which on a link is expected; 0 for logits.
        graded: of `t_gnn_explainer`: score by the best subsets of all sizes instead of 0 and 1.
    """

    groups: str | Tensor = "pair"
    steps: int = 32
    seed: int = 0
    navigator: Navigator | str | None = None
    size: int = 10
    rollouts: int = 500
    together: int = 20
    explore: float = 5.0
    threshold: float = 0.0
    graded: bool = True


#: Which settings each method has.
SETTINGS: Mapping[str, tuple[str, ...]] = {
    "occlusion": ("groups",),
    "integrated_gradients": ("steps",),
    "t_gnn_explainer": (
        *("navigator", "size", "rollouts", "together", "explore", "threshold", "graded", "seed"),
    ),
    "random": ("seed",),
}
#: Whole numbers, and the least that each may be.
_LEAST = {"steps": 1, "seed": 0, "size": 1, "rollouts": 1, "together": 1}


def about_settings() -> dict[str, str]:
    """What each setting is, as the docstring of `Settings` says."""
    listed = (inspect.getdoc(Settings) or "").partition("Attributes:\n")[2]
    entries = re.split(r"\n    (?=\w+: )", "\n" + listed.rstrip())
    pairs = (entry.partition(": ") for entry in entries if entry.strip())
    return {name.strip(): " ".join(text.split()) for name, _, text in pairs}


def settings_of(
    method: str, num_events: int, given: Mapping[str, Any], navigators: tuple[str, ...]
) -> Settings:
    """The settings of a method.

    Args:
        method: its name.
        num_events: of the stream.
        given: values by name.
        navigators: methods whose scores can be a navigator.

    Raises:
        HyperParameterError: if it has none of this name, or a value does not fit.
    """
    known = SETTINGS.get(method, ())
    for name in given:
        if name not in known:
            has = f"it has {', '.join(known)}" if known else "it has none"
            raise HyperParameterError(f"{method} has no setting {name!r}; {has}")
    settings = Settings(**given)
    for name, least in _LEAST.items():
        value = getattr(settings, name)
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise HyperParameterError(f"{name} must be an integer >= {least}; got {value!r}")
    for name in ("explore", "threshold"):
        value = getattr(settings, name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e30:
            raise HyperParameterError(f"{name} must be a finite number; got {value!r}")
    if settings.explore < 0:
        raise HyperParameterError(f"explore must be >= 0; got {settings.explore!r}")
    if not isinstance(settings.graded, bool):
        raise HyperParameterError(f"graded must be True or False; got {settings.graded!r}")
    _check_groups(settings.groups, num_events)
    navigator = settings.navigator
    if not (navigator is None or isinstance(navigator, Navigator) or navigator in navigators):
        raise HyperParameterError(
            "navigator must be a glassgraph.temporal.Navigator, None, or one of "
            f"{', '.join(navigators)}; got {navigator!r}"
        )
    return settings


def _check_groups(groups: Any, num_events: int) -> None:
    if isinstance(groups, Tensor):
        if list(groups.shape) != [num_events] or groups.dtype != torch.long:
            raise HyperParameterError(
                f"groups must be [{num_events}] of int64, a number for each event of the stream; "
                f"got {groups.dtype} {list(groups.shape)}"
            )
    elif groups not in ("pair", "node"):
        raise HyperParameterError(
            f"groups must be 'pair', 'node' or a number for each event; got {groups!r}"
        )
