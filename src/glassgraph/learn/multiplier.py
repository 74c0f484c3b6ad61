"""Lagrange multipliers that move both ways.

For ``min_x f(x)`` subject to ``g(x) <= 0`` the saddle point

    max_{lambda >= 0} min_x  f(x) + lambda g(x)

is sought by descent on ``x`` and ascent on ``lambda``: while the constraint is violated (``g > 0``)
the multiplier grows, where it is slack (``g < 0``) it shrinks. It lives in the range of a softplus,
so it stays positive, and its optimizer lives as long as the problem does.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


class Multiplier:
    """One or several multipliers with their own RMSProp.

    Args:
        size: number of multipliers.
        learning_rate: of RMSProp, on the multiplier's pre-image under the softplus.
        initial: where they start.
        dtype: floating type.
        device: where they lie.
    """

    def __init__(
        self,
        size: int,
        learning_rate: float,
        initial: float = 1.0,
        dtype: torch.dtype = torch.float32,
        device: torch.device | None = None,
    ) -> None:
        start = torch.full((size,), initial, dtype=dtype, device=device)
        self._raw = start.expm1().log()
        self._optimizer = torch.optim.RMSprop([self._raw], lr=learning_rate)

    @property
    def value(self) -> Tensor:
        """The multipliers ``[size]``, without gradient."""
        return F.softplus(self._raw)

    def ascend(self, violation: Tensor) -> None:
        """Move along ``g``, ``[size]``: up where it is positive, down where negative."""
        self._raw.grad = -violation.detach() * torch.sigmoid(self._raw)
        self._optimizer.step()
