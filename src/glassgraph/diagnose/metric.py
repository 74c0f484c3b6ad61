"""A user's own measure of outputs: F1, exact match, whatever the task is judged by.

``metric(outputs, data)`` is called once for a run of all explained predictions. ``outputs [R, C]``
holds the model's outputs, all rows of all explained predictions, in the order of the explanations
(that of ``index``), in the model's own units and where the data lie. ``data`` is the very object
that was given to the diagnosis: the ``Data``, or the list of them. A metric with a parameter named
``index`` is given, by this name, the user's numbers ``[B]`` of the predictions; one with a
parameter named ``instance`` the place ``[R]`` of each row's prediction among them.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real
from typing import Any, TypeAlias

import numpy as np
from torch import Tensor

from glassgraph.errors import GlassgraphError, HyperParameterError, MetricError

#: ``metric(outputs, data) -> float``; see the module.
Metric: TypeAlias = "Callable[..., Any]"


@dataclass(frozen=True)
class BoundMetric:
    """A metric and what it is asked about.

    Attributes:
        function: the user's.
        data: the user's.
        index: ``[B]`` the user's numbers of the predictions.
    """

    function: Metric
    data: Any
    index: Tensor

    @staticmethod
    def of(function: Metric | None, data: Any, index: Tensor) -> BoundMetric | None:
        """None where there is no metric.

        Raises:
            HyperParameterError: if it cannot be called.
        """
        if function is None:
            return None
        if not callable(function):
            raise HyperParameterError(
                f"metric is a function of (outputs, data); got {type(function).__name__}"
            )
        return BoundMetric(function, data, index)

    def __call__(self, outputs: Tensor, instance: Tensor) -> float:
        """The metric of the outputs of one run.

        Args:
            outputs: ``[R, C]``.
            instance: ``[R]`` which prediction a row belongs to.

        Raises:
            MetricError: if the function fails, or returns something else than one number.
        """
        known = {"index": self.index, "instance": instance}
        named = {name: known[name] for name in known if name in _parameters(self.function)}
        try:
            found = self.function(outputs, self.data, **named)
        except GlassgraphError:
            raise
        except Exception as error:
            raise MetricError(
                f"the metric {_name(self.function)} failed on outputs of shape "
                f"{tuple(outputs.shape)}, the rows of {self.index.numel()} predictions: "
                f"{type(error).__name__}: {error}"
            ) from error
        value = _as_number(found)
        if value is None or math.isnan(value):
            raise MetricError(
                f"the metric {_name(self.function)} returned {_shown(found)} for outputs of shape "
                f"{tuple(outputs.shape)}; expected one number"
            )
        return value


def _parameters(function: Metric) -> tuple[str, ...]:
    try:
        return tuple(inspect.signature(function).parameters)
    except (TypeError, ValueError):  # of a function that was not written in Python
        return ()


def _as_number(found: Any) -> float | None:
    """One number as a float; None for anything else."""
    if isinstance(found, Tensor | np.ndarray):
        size = found.numel() if isinstance(found, Tensor) else found.size
        if size != 1:
            return None
        found = found.item()
    if isinstance(found, np.generic):
        found = found.item()
    return float(found) if isinstance(found, Real) else None


def _name(function: Metric) -> str:
    return getattr(function, "__name__", type(function).__name__)


def _shown(found: Any) -> str:
    if isinstance(found, Tensor | np.ndarray) and found.ndim:
        return f"a {type(found).__name__} of shape {tuple(found.shape)}"
    return repr(found) if found is None or isinstance(found, Real) else f"a {type(found).__name__}"
