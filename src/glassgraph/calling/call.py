"""How a model is called: the names in ``forward``'s signature are looked up in the data.

An argument named ``data``, ``graph``, ``g``, ... or annotated as a ``Data``, ``HeteroData`` or
``Batch`` is given the data object itself. A single argument named ``batch``, or like nothing in the
data, may mean either; `ModelCall.ways` lists both, and they are tried (`glassgraph.core.trials`).
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol, TypeVar, get_args

from torch import Tensor, nn
from torch_geometric.data import Batch, HeteroData
from torch_geometric.data.data import BaseData

from glassgraph.calling.compiled import on_one_device, uncompiled, unwrapped
from glassgraph.calling.out_of_memory import let_through
from glassgraph.calling.packed_batch import BATCH_NAMES
from glassgraph.calling.precision import half_rounding, inside_autocast
from glassgraph.calling.recompute import keeping_intermediates
from glassgraph.calling.sampled import is_sampled
from glassgraph.calling.shield import Shield
from glassgraph.calling.signature import name_of, parameters_of
from glassgraph.errors import GlassgraphError, ModelCallError

T = TypeVar("T")

#: A user's own way to call the model.
Call = Callable[[nn.Module, Any], Tensor]
#: Names under which a model takes the whole data object.
_WHOLE_DATA = frozenset({"data", "graph", "hetero_data", "batch_data", "g"})
#: Classes of data objects, where annotations are strings.
_DATA_CLASSES = frozenset({"Data", "HeteroData", "Batch", "BaseData"})
#: Annotations that say that an argument is no data object.
_TENSORS = (Tensor, "Tensor", "torch.Tensor")
#: Looked up as properties where the data do not store them.
_PROPERTIES = frozenset({"num_edges", "num_graphs", "batch_size"})
#: What models of PyG add to the names that its samplers give: ``num_sampled_nodes_per_hop``.
_PER_HOP = "_per_hop"


class CutWithData(Protocol):
    """Tensors of the model that are cut as the data are, for the time of a call."""

    def cut(self, data: Any) -> AbstractContextManager[None]:
        """Have the rows of the nodes in these data in the place of all rows."""


class ModelCall:
    """Calls a model on data.

    Args:
        model: the model.
        call: the user's own way to call it; None to go by the signature of ``forward``.

    Raises:
        ModelCallError: if the signature needs something that cannot be looked up by name.
    """

    def __init__(self, model: nn.Module, call: Call | None = None) -> None:
        self.model = on_one_device(model)
        #: Whether a single graph of a list is given as what a loader makes of it: a ``Batch`` whose
        #: numbers are tensors and whose words are lists.
        self.is_collating = False
        #: Tensors of the model that belong to nodes, and are cut as the data are.
        self.tables: CutWithData | None = None
        #: The type of explained links in a heterogeneous graph: an argument named
        #: ``edge_label_index`` is given theirs, not a dictionary of all types.
        self.edge_type: Any = None
        self._call = call
        self._shield = Shield()
        #: Whether the model drops intermediate results, to compute them again for gradients.
        self.recomputes = False
        self._parameters: list[inspect.Parameter] = []
        self._passes_words = True
        self._block: AbstractContextManager[None] = nullcontext()
        if call is None:
            self._parameters, self._passes_words = parameters_of(model)
            if not self._parameters:
                raise ModelCallError(
                    f"{name_of(model)} names no arguments; pass call=lambda model, data: model(...)"
                )
        #: Whether nodes carry ``n_id``, the user's numbers of them.
        self.reads_ids = any(p.name in ("n_id", "n_id_dict") for p in self._parameters)
        self._required = [p for p in self._parameters if p.default is inspect.Parameter.empty]
        self._objects = frozenset(p.name for p in self._required if _is_whole_data(p))
        self._single = self._required[0] if len(self._required) == 1 else None
        self._as_object = self._single is not None and (
            self._single.name in self._objects or _may_be_data(self._single, "batch")
        )

    def ways(self, data: Any) -> list[ModelCall]:
        """This call, or what it may also mean where the signature can be read in two ways."""
        single = self._single
        if single is None or self._objects or not _may_be_data(single, single.name):
            return [self]
        by_name, by_object = copy.copy(self), copy.copy(self)
        by_name._as_object, by_object._as_object = False, True
        by_name._shield, by_object._shield = Shield(), Shield()
        is_first = single.name == "batch" or not self._look_up(data, single.name)[0]
        return [by_object, by_name] if is_first else [by_name, by_object]

    def collating(self) -> ModelCall:
        """The same call, which is given single graphs as a loader collates them."""
        other = copy.copy(self)
        other.is_collating, other._shield = True, Shield()
        return other

    def for_edges(self, edge_type: Any) -> ModelCall:
        """The same call, asked about links or edges of a type; None where there are no types."""
        if edge_type == self.edge_type:
            return self
        other = copy.copy(self)
        other.edge_type, other._shield = edge_type, Shield()
        return other

    def with_ids(self) -> ModelCall:
        """The same call, on data whose nodes carry their numbers."""
        other = copy.copy(self)
        other.reads_ids, other._shield = True, Shield()
        return other

    def with_tables(self, tables: CutWithData) -> ModelCall:
        """The same call, with tensors of the model cut as the data are."""
        other = self.with_ids()
        other.tables = tables
        return other

    @property
    def gives_object(self) -> bool:
        """Whether the model sees the data object, and may read whatever is in it."""
        return self.takes_whole_data or bool(self._objects)

    def uncompiled(self) -> ModelCall:
        """The same with everything that is compiled run as it was written, so that hooks act."""
        found = copy.copy(self)
        found.model, found._block = unwrapped(self.model), uncompiled
        return found

    @property
    def half_rounding(self) -> float:
        """The relative rounding of half precision, where the model computes in it; else 0."""
        return half_rounding(self.model)

    @property
    def takes_whole_data(self) -> bool:
        """Whether the model is given the data object itself, alone."""
        return self._call is not None or self._as_object

    @property
    def argument_names(self) -> list[str]:
        """Names that are looked up in the data."""
        return [] if self.takes_whole_data else [p.name for p in self._parameters]

    def needs(self, name: str) -> bool:
        """Whether an attribute of the data may be read by the model."""
        if self.gives_object:
            return True
        return any(p.name in (name, f"{name}_dict") for p in self._parameters)

    def requires(self, name: str) -> bool:
        """Whether ``forward`` cannot be called without an argument of this name."""
        return not self.takes_whole_data and any(p.name == name for p in self._required)

    def wants_batch(self, data: Any, *, if_optional: bool) -> bool:
        """Whether the model has to be told which graph a node belongs to.

        Args:
            data: the user's graph(s).
            if_optional: count what it may go without, as it must where there are several graphs.
        """
        names = [*BATCH_NAMES, "batch_dict", "ptr_dict"]
        if is_sampled(data):
            names.remove("batch_size")
        return any(map(self.needs if if_optional else self.requires, names))

    def __call__(self, data: Any) -> Any:
        """Call the model on data of its own; what it writes into them stays there, see `Shield`.

        It computes in the precision that the user has it compute in, and keeps what gradients need.

        Raises:
            ModelCallError: if ``forward`` needs a name that the data lack, or writes into a tensor
                that it did not write into when it was first called.
        """
        kept = keeping_intermediates() if self.recomputes else nullcontext()
        cut = nullcontext() if self.tables is None else self.tables.cut(data)
        with inside_autocast(), kept, cut:
            return self._run(data)

    def _run(self, data: Any) -> Any:
        if not self.gives_object and self._shield.is_clear:  # nothing to replace, nothing to copy
            arguments = self._arguments(data)
            with self._shield.watching(arguments), self._block:
                return self._call_by_name(arguments)
        with self._shield.over(data) as own, self._block:
            if self._call is not None:
                return self._call(self.model, own)
            return self.model(own) if self._as_object else self._call_by_name(self._arguments(own))

    def _call_by_name(self, arguments: dict[str, Any]) -> Any:
        names = [p.name for p in self._parameters if self._is_positional(p)]
        positional = [arguments.pop(name) for name in names if name in arguments]
        return self.model(*positional, **arguments)

    def _is_positional(self, parameter: inspect.Parameter) -> bool:
        return parameter.kind is inspect.Parameter.POSITIONAL_ONLY or not self._passes_words

    def _look_up(self, data: Any, name: str) -> tuple[bool, Any]:
        if self.edge_type is not None and name.startswith("edge_label") and name[-5:] != "_dict":
            store = data[self.edge_type]
            if name in store:
                return True, store[name]
        return _look_up(data, name)

    def _arguments(self, data: Any) -> dict[str, Any]:
        arguments = {}
        for parameter in self._parameters:
            found, value = self._look_up(data, parameter.name)
            if not found and parameter.default is inspect.Parameter.empty:
                found, value = self._look_up(data, parameter.name.replace(_PER_HOP, ""))
            if found:
                arguments[parameter.name] = value
            elif parameter.name in self._objects:
                arguments[parameter.name] = data
            elif parameter.default is inspect.Parameter.empty:
                raise ModelCallError(
                    f"{name_of(self.model)} needs {parameter.name!r}, which the "
                    f"data lack (they have {', '.join(sorted(data.keys()))}); set "
                    f"data.{parameter.name}, or pass call=lambda model, data: model(...)"
                )
        return arguments


def _is_whole_data(parameter: inspect.Parameter) -> bool:
    if parameter.name in _WHOLE_DATA:
        return parameter.annotation not in _TENSORS
    return _is_data_class(parameter.annotation)


def _is_data_class(annotation: Any) -> bool:
    """Whether an annotation names a data object, or something or a data object."""
    if isinstance(annotation, str):
        words = annotation.replace("|", ",").replace("[", ",").replace("]", ",").split(",")
        return any(word.strip().rpartition(".")[2] in _DATA_CLASSES for word in words)
    if isinstance(annotation, type):
        return issubclass(annotation, (BaseData, Batch))
    return any(map(_is_data_class, get_args(annotation)))


def _may_be_data(parameter: inspect.Parameter, name: str) -> bool:
    """Whether an argument that goes by a name says nothing against being a data object."""
    return parameter.name == name and parameter.annotation in (inspect.Parameter.empty, Any, "Any")


def _look_up(data: Any, name: str) -> tuple[bool, Any]:
    if name in ("num_nodes", "num_nodes_dict"):  # stored or counted
        return hasattr(data, name), getattr(data, name, None)
    found, value = _look_up_attribute(data, name)
    if not found and name in _PROPERTIES and hasattr(data, name):
        return True, getattr(data, name)
    return found, value


def _look_up_attribute(data: Any, name: str) -> tuple[bool, Any]:
    if not isinstance(data, HeteroData):
        return (True, data[name]) if name in data else (False, None)
    key = name.removesuffix("_dict")
    types = [*data.node_types, *data.edge_types]
    values = {kind: data[kind][key] for kind in types if key in data[kind]}
    if values:
        only = next(iter(values.values()))
        is_number = isinstance(only, int) and len(values) == 1 and key == name
        return True, only if is_number else values
    if name in data:  # an attribute of the whole graph
        return True, data[name]
    return False, None


def attempted(run: Callable[[], T]) -> T | None:
    """What a run on data of our making gives; None if it fails, as it may there.

    Raises:
        GlassgraphError: if it raises one.
        ModelCallError: if it fails once and not when it is called again.
    """
    try:
        return run()
    except GlassgraphError:
        raise
    except Exception as error:  # noqa: BLE001 - the data are ours, and prove nothing
        let_through(error)
        refuse_chance(run, error)
        return None


def refuse_chance(again: Callable[[], Any], error: Exception) -> None:
    """What fails every time on data of ours may need the user's; what fails once is broken.

    Args:
        again: does what failed, once more.
        error: how it failed.

    Raises:
        ModelCallError: if it succeeds now.
    """
    try:
        again()
    except Exception:  # noqa: BLE001 - whatever it is, it comes again
        return
    raise ModelCallError(
        "the model failed once and succeeded when it was called again on the same data "
        f"({type(error).__name__}: {error}). A failure that comes and goes is not passed over: "
        "mend the model, or whatever it calls"
    ) from error
