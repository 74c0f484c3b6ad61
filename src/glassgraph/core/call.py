"""How a model is called: the names in ``forward``'s signature are looked up in the data."""

from __future__ import annotations

import inspect
from contextlib import nullcontext
from typing import Any

from torch import nn
from torch_geometric.data import HeteroData
from torch_geometric.data.data import BaseData

from glassgraph.core.precision import half_rounding, inside_autocast
from glassgraph.core.recompute import keeping_intermediates
from glassgraph.core.shield import Shield
from glassgraph.core.task import Call
from glassgraph.errors import ModelCallError

#: Names under which a model takes the whole data object.
_WHOLE_DATA = frozenset({"data", "graph", "hetero_data", "batch_data", "g"})


class ModelCall:
    """Calls a model on data.

    Args:
        model: the model.
        call: the user's own way to call it; None to go by the signature of ``forward``.

    Raises:
        ModelCallError: if the signature needs something that cannot be looked up by name.
    """

    def __init__(self, model: nn.Module, call: Call | None = None) -> None:
        self.model = model
        self._call = call
        self._shield = Shield()
        #: Whether the model drops intermediate results, to compute them again for gradients.
        self.recomputes = False
        self._parameters: list[inspect.Parameter] = []
        if call is None:
            signature = inspect.signature(model.forward)
            variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
            self._parameters = [p for p in signature.parameters.values() if p.kind not in variadic]
            if not self._parameters:
                raise ModelCallError(
                    f"{type(model).__name__}.forward names no arguments; pass "
                    "call=lambda model, data: model(...)"
                )

        self._by_name = not self.takes_whole_data

    @property
    def half_rounding(self) -> float:
        """The relative rounding of half precision, where the model computes in it; else 0."""
        return half_rounding(self.model)

    @property
    def takes_whole_data(self) -> bool:
        """Whether the model is given the data object itself."""
        if self._call is not None:
            return True
        required = [p for p in self._parameters if p.default is inspect.Parameter.empty]
        return len(required) == 1 and _is_whole_data(required[0])

    @property
    def argument_names(self) -> list[str]:
        """Names that are looked up in the data."""
        return [] if self.takes_whole_data else [p.name for p in self._parameters]

    def needs(self, name: str) -> bool:
        """Whether an attribute of the data may be read by the model."""
        if self.takes_whole_data:
            return True
        return any(p.name in (name, f"{name}_dict") for p in self._parameters)

    def requires(self, name: str) -> bool:
        """Whether ``forward`` cannot be called without an argument of this name."""
        return not self.takes_whole_data and any(
            p.name == name and p.default is inspect.Parameter.empty for p in self._parameters
        )

    def __call__(self, data: Any) -> Any:
        """Call the model on data of its own; what it writes into them stays there, see `Shield`.

        It computes in the precision that the user has it compute in, and keeps what gradients need.

        Raises:
            ModelCallError: if ``forward`` needs a name that the data lack, or writes into a tensor
                that it did not write into when it was first called.
        """
        with inside_autocast(), keeping_intermediates() if self.recomputes else nullcontext():
            return self._shielded(data)

    def _shielded(self, data: Any) -> Any:
        if self._by_name and self._shield.is_clear:  # nothing to replace, nothing to copy
            arguments = self._arguments(data)
            with self._shield.watching(arguments):
                return self.model(**arguments)
        with self._shield.over(data) as own:
            if self._call is not None:
                return self._call(self.model, own)
            return self.model(**self._arguments(own)) if self._by_name else self.model(own)

    def _arguments(self, data: Any) -> dict[str, Any]:
        arguments = {}
        for parameter in self._parameters:
            found, value = _look_up(data, parameter.name)
            if found:
                arguments[parameter.name] = value
            elif parameter.default is inspect.Parameter.empty:
                raise ModelCallError(
                    f"{type(self.model).__name__}.forward needs {parameter.name!r}, which the "
                    f"data lack (they have {', '.join(sorted(data.keys()))}); set "
                    f"data.{parameter.name}, or pass call=lambda model, data: model(...)"
                )
        return arguments


def _is_whole_data(parameter: inspect.Parameter) -> bool:
    annotation = parameter.annotation
    is_data = isinstance(annotation, type) and issubclass(annotation, BaseData)
    return is_data or parameter.name in _WHOLE_DATA


def _look_up(data: Any, name: str) -> tuple[bool, Any]:
    if not isinstance(data, HeteroData):
        return (True, data[name]) if name in data else (False, None)
    key = name.removesuffix("_dict")
    types = [*data.node_types, *data.edge_types]
    values = {kind: data[kind][key] for kind in types if key in data[kind]}
    if values:
        return True, values
    if name in data:  # an attribute of the whole graph
        return True, data[name]
    return False, None
