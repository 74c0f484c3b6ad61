"""Where a drawn network has no derivative: at equal maxima, and where a ReLU is about to open.

Two nodes of a symmetric graph have the same state but for rounding, and rounding depends on what
lies beside them in a call and in which order. A maximum over both then has the gradient of either,
and no answer is the right one; so methods that differentiate are not asked to give the same twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from tests.fuzz.cases import DrawnCase

#: Numbers that differ by less are equal up to rounding; states are about 1.
ROUNDING = 1e-9


def has_kink(case: DrawnCase) -> bool:
    """Whether the network has no derivative at the case's data, but for rounding."""
    model = case.model().eval()
    with _Kinks() as kinks:
        case.predict(model, case.data())
    return kinks.are_met


class _Kinks(TorchFunctionMode):
    """Looks at what maxima and ReLUs are given that the prediction is differentiated through."""

    def __init__(self) -> None:
        super().__init__()
        self.are_met = False

    def __torch_function__(
        self, func: Any, types: Sequence[type], args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        found = func(*args, **kwargs)
        name = getattr(func, "__name__", "")
        if name in ("relu", "leaky_relu"):
            size = args[0].abs()
            self.are_met |= bool(((size > 0) & (size < ROUNDING)).any())
        elif name == "scatter_reduce_" and kwargs["reduce"] == "amax":
            dim, index, source = args[1:4]
            if source.requires_grad:  # a softmax takes its largest number without a gradient
                is_top = (source > found.gather(dim, index) - ROUNDING).long()
                number = torch.zeros_like(found).long().scatter_add_(dim, index, is_top)
                self.are_met |= bool((number > 1).any())
        elif name == "max" and "dim" in kwargs:
            is_top = args[0] > found[0].unsqueeze(kwargs["dim"]) - ROUNDING
            self.are_met |= bool((is_top.sum(kwargs["dim"]) > 1).any())
        return found
