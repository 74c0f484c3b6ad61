"""How far a prediction under a mask is from the model's own, one number for each prediction.

* ``"kl"``: ``KL(P || P_S) = sum_c P(c) log(P(c) / P_S(c))`` in nats, ``P`` from the unmasked run
  (for several independent binary columns summed over them);
* ``"cross_entropy"``: ``-log P_S(a)`` in nats for the explained class ``a`` (the predicted one,
  unless the user asks for another). Its floor is ``-log P(a)``, not zero;
* ``"squared_error"``: ``sum_c (f_S(c) - f(c))^2``, in the model's units squared;
* or a function of the user's, ``divergence(output, reference) -> [R]``.

Of an instance with several rows of output it is the mean over them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

import torch
from torch import Tensor

from glassgraph.errors import HyperParameterError, ModelOutputError
from glassgraph.inputs.rows import mean_rows
from glassgraph.inputs.task import Targets, Task, loss, probabilities

DivergenceName = Literal["kl", "cross_entropy", "squared_error"]
Divergence = DivergenceName | Callable[[Tensor, Tensor], Tensor]

_TINY = 1e-15


def resolve_divergence(task: Task, wanted: Divergence | None) -> Divergence:
    """The divergence for a task: KL for classes, the squared error for a regression.

    Raises:
        HyperParameterError: for an unknown name, or one that does not fit the task.
    """
    if wanted is None:
        return "kl" if task.is_classification else "squared_error"
    if callable(wanted):
        return wanted
    if wanted not in get_args(DivergenceName):
        names = ", ".join(repr(name) for name in get_args(DivergenceName))
        raise HyperParameterError(f"divergence must be {names} or a function; got {wanted!r}")
    if wanted != "squared_error" and not task.is_classification:
        raise HyperParameterError(
            f"divergence {wanted!r} is for classes; a regression takes 'squared_error' or a "
            "function of (output, reference)"
        )
    return wanted


def divergence(
    task: Task, kind: Divergence, output: Tensor, reference: Tensor, targets: Targets
) -> Tensor:
    """Divergence ``[B]`` of ``output [R, C]`` from ``reference [R, C]``.

    The mean over the rows of an instance, where it has several.

    Raises:
        ModelOutputError: if a user's function does not give one number for each prediction.
    """
    if kind == "cross_entropy":
        return loss(task, output, targets, reference)
    return mean_rows(targets.rows, _of_rows(task, kind, output, reference))


def _of_rows(task: Task, kind: Divergence, output: Tensor, reference: Tensor) -> Tensor:
    """Divergence ``[R]`` of each row."""
    if callable(kind):
        found = kind(output, reference)
        if not isinstance(found, Tensor) or found.shape != output.shape[:1]:
            shape = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
            raise ModelOutputError(
                f"the divergence function returned {shape}; expected one number for each of the "
                f"{output.size(0)} predictions"
            )
        return found
    if kind == "squared_error":
        return (output - reference).square().sum(dim=1)
    return _kl(task, output, reference)


def _kl(task: Task, output: Tensor, reference: Tensor) -> Tensor:
    if task.mode == "multiclass_classification":
        log_p, log_q = (_log_probabilities(task, each) for each in (reference, output))
        return (log_p.exp() * (log_p - log_q)).sum(dim=1)
    total = output.new_zeros(output.size(0))
    for sign in (1, -1):  # each column, and its complement
        log_p, log_q = (_log_bernoulli(task, each, sign) for each in (reference, output))
        total = total + (log_p.exp() * (log_p - log_q)).sum(dim=1)
    return total


def _log_probabilities(task: Task, output: Tensor) -> Tensor:
    if task.return_type == "raw":
        return output.log_softmax(dim=1)
    return probabilities(task, output).clamp_min(_TINY).log()


def _log_bernoulli(task: Task, output: Tensor, sign: int) -> Tensor:
    if task.return_type == "raw":
        return torch.nn.functional.logsigmoid(sign * output)
    p = output.exp() if task.return_type == "log_probs" else output
    return (p if sign > 0 else 1 - p).clamp_min(_TINY).log()
