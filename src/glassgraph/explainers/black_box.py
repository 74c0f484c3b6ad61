"""Methods that see a model from outside: data in, predictions out.

No hook is set, no gradient asked for, no layer looked at. So these methods explain anything that
can be called: a network behind a server, a compiled one, a model of another library.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from torch import Tensor, nn

from glassgraph.black_box.callable_module import as_module
from glassgraph.black_box.probing import prepare_black_box
from glassgraph.core.prepare import Preparation
from glassgraph.core.protect import protected
from glassgraph.core.sites import find_channels
from glassgraph.core.task import Task
from glassgraph.errors import HyperParameterError
from glassgraph.explainers.base import Explainer


class BlackBoxExplainer(Explainer):
    """Base class of methods that call a model and do nothing else with it.

    How far a prediction looks, and with it what has to be searched, is found by calling the model
    on parts of the graph (`glassgraph.black_box.probing`).

    Args:
        model: a module, or any function of a graph's attributes (or of the graph) that returns
            predictions.
        task: the task.
        num_hops: how far from a node or link its prediction looks; None finds out. A model that
            normalizes by degrees looks one hop farther than it passes messages.
        **shared: see `Explainer`.

    Raises:
        HyperParameterError: if the model cannot be called, or for values out of range.
    """

    #: On the full graph alone nobody can find out how far a model looks.
    fixed_settings: ClassVar[Mapping[str, Any]] = {"num_hops": 3}

    def __init__(
        self,
        model: nn.Module | Callable[..., Tensor],
        task: str | Task = "node",
        *,
        num_hops: int | None = None,
        **shared: Any,
    ) -> None:
        if num_hops is not None and num_hops < 1:
            raise HyperParameterError(f"num_hops must be at least 1; got {num_hops}")
        super().__init__(model, task, **shared)
        self.num_hops = num_hops

    def _check_model(self, model: Any) -> nn.Module:
        return as_module(model)

    def _preparation_of(self, data: Any) -> Preparation:
        return prepare_black_box(self._model_call, self.task, data, self.check, self.num_hops)

    def open(self, data: Any) -> Preparation:
        """Look into the model after all, for experiments that shut its messages.

        Raises:
            NoMessagePassingError: if it has none.
        """
        find_channels(self.model)
        with protected(self.model):
            return Preparation.read(self.model, self._model_call, self.task, data, self.check)
