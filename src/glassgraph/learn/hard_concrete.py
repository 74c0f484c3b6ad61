"""Hard concrete gates: random numbers in [0, 1] that are often exactly 0 or 1.

With location ``a``, temperature ``tau``, uniform noise ``u`` and stretch limits ``l < 0 < 1 < r``,

    s = sigmoid((log u - log(1 - u) + a) / tau)
    z = min(1, max(0, s (r - l) + l))

``z`` has point masses ``P(z = 0) = sigmoid(tau log(-l / r) - a)`` and, mirrored, at 1. The limits
are symmetric here, ``l = -0.2`` and ``r = 1.2``, so that ``z > 1/2`` exactly when ``s > 1/2`` and

    P(z > 1/2) = sigmoid(a)                                  reads as "probability open"
    E[L0] = P(z != 0) = sigmoid(a - tau log(-l / r))

Louizos, Welling and Kingma, "Learning Sparse Neural Networks through L0 Regularization" (ICLR 2018,
https://arxiv.org/abs/1712.01312).
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

TEMPERATURE = 1 / 3
LOWER, UPPER = -0.2, 1.2

#: Noise is kept this far from 0 and 1, whose logits are infinite.
_EDGE = 1e-6
_SHIFT = TEMPERATURE * math.log(-LOWER / UPPER)


def sample(location: Tensor, noise: Tensor, scale: float = 1.0) -> Tensor:
    """Gates ``z`` for locations and uniform noise in [0, 1], of one shape.

    ``scale`` multiplies the noise's logit: 1 is the distribution above, 0 its median.
    """
    logit = noise.logit(eps=_EDGE)
    concrete = torch.sigmoid(torch.add(location, logit, alpha=scale) / TEMPERATURE)
    return F.hardtanh(concrete * (UPPER - LOWER) + LOWER, 0.0, 1.0)


def expected_l0(location: Tensor) -> Tensor:
    """Probability that a gate is not exactly zero."""
    return torch.sigmoid(location - _SHIFT)


def probability_open(location: Tensor) -> Tensor:
    """Probability that a gate is more than half open; the hard decision is whether it is > 1/2."""
    return torch.sigmoid(location)


def hard(location: Tensor) -> Tensor:
    """The decision without noise: 1 where a gate is more likely open than shut, else 0."""
    return (location > 0).to(location.dtype)
