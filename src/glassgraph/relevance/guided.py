"""The mode of guided backpropagation: gradients below zero do not pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from glassgraph.core.modified_backward import ModifiedBackward
from glassgraph.relevance.operations import is_relu


class Guided(ModifiedBackward):
    """Sets negative gradients to zero on their way back through ReLUs.

    It sees ``torch.nn.ReLU``, ``torch.nn.functional.relu``, ``Tensor.relu`` and ``clamp(min=0)``
    alike.

    Args:
        everywhere: after every operation of the model, not ReLUs alone.
    """

    def __init__(self, *, everywhere: bool = False) -> None:
        super().__init__()
        self._everywhere = everywhere

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Run a function of torch, and guard the gradient of its result."""
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if self._everywhere or is_relu(func, args, kwargs):
            for each in result if isinstance(result, (list, tuple)) else (result,):
                if isinstance(each, Tensor) and each.requires_grad and not each.is_leaf:
                    each.register_hook(_positive)
        return result


def _positive(gradient: Tensor) -> Tensor:
    return gradient.clamp(min=0)
