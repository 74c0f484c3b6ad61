"""What PyG hands to an explainer algorithm -> data, and how the model is called on them.

PyG calls a model as ``model(x, edge_index, **arguments)``, by position and whatever ``forward``
names them. Where the names are those of the data, the model is called by name as everywhere else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch_geometric.data import Data, HeteroData

from glassgraph.calling.signature import parameters_of
from glassgraph.inputs.links import LINK_INDEX

#: How names of attributes of links begin.
LINKS = "edge_label"
#: Names of the first two arguments under which the data have them, too.
_BY_NAME = (["x", "edge_index"], ["x_dict", "edge_index_dict"])


@dataclass(frozen=True)
class PyGCall:
    """Calls a model as PyG does.

    Attributes:
        names: pairs ``(argument, name in the data)``.
        absent: arguments that are None.
        passes_batch: whether the model is told which graph a node belongs to, though it was not
            told by the user, who gave one graph.
        edge_type: of heterogeneous graphs, the type of links.
    """

    names: tuple[tuple[str, str], ...]
    absent: tuple[str, ...] = ()
    passes_batch: bool = False
    edge_type: Any = None

    def __call__(self, model: nn.Module, data: Any) -> Tensor:
        """What the model returns."""
        arguments: dict[str, Any] = dict.fromkeys(self.absent)
        arguments |= {name: self._argument(data, name, key) for name, key in self.names}
        if self.passes_batch and "batch" in data:
            arguments["batch"] = data.batch
        typed = isinstance(data, HeteroData)
        x, edges = (data.x_dict, data.edge_index_dict) if typed else (data.x, data.edge_index)
        output: Tensor = model(x, edges, **arguments)
        return output

    def _argument(self, data: Any, name: str, key: str) -> Any:
        is_one = self.edge_type is not None and not name.endswith("_dict")
        if is_one and key in data[self.edge_type] and key.startswith(LINKS):
            return data[self.edge_type][key]
        return _stored(data, key)


@dataclass(frozen=True)
class PyGInputs:
    """What PyG hands over.

    Attributes:
        x: features ``[N, F]``, or those of each node type.
        edge_index: ``[2, E]``, or of each edge type.
        arguments: what else the model is given.
    """

    x: Any
    edge_index: Any
    arguments: Mapping[str, Any]

    def same(self, other: PyGInputs | None) -> bool:
        """Whether another one holds the very same objects."""
        if other is None or self.arguments.keys() != other.arguments.keys():
            return False
        pairs = [(self.x, other.x), (self.edge_index, other.edge_index)]
        pairs += [(self.arguments[name], other.arguments[name]) for name in self.arguments]
        return all(_is_same(one, another) for one, another in pairs)

    def data(
        self, links: str | None = None, batch: str | None = None, edge_type: Any = None
    ) -> Any:
        """As data, without arguments that are None.

        Args:
            links: the argument that holds the links to predict.
            batch: the argument that is left out.
            edge_type: of heterogeneous graphs, the type of links.
        """
        given = {k: v for k, v in self.arguments.items() if v is not None and k != batch}
        if not isinstance(self.x, Mapping):
            data: Any = Data(x=self.x, edge_index=self.edge_index)
            for name, value in given.items():
                data[LINK_INDEX if name == links else name] = value
            return data
        data = HeteroData()
        for kind, value in self.x.items():
            data[kind].x = value
        for kind, value in self.edge_index.items():
            data[kind].edge_index = value
        for name, value in given.items():
            if isinstance(value, Mapping):
                for kind, own in value.items():
                    data[kind][name.removesuffix("_dict")] = own
            elif edge_type is not None and (name == links or name.startswith(LINKS)):
                data[edge_type][LINK_INDEX if name == links else name] = value
            else:
                data[name] = value
        return data

    def call(
        self,
        model: nn.Module,
        links: str | None = None,
        batch: str | None = None,
        edge_type: Any = None,
    ) -> PyGCall | None:
        """How the model is called; None where it can be called by the names of its arguments."""
        named = [parameter.name for parameter in parameters_of(model)[0]]
        is_plain = named[:2] in _BY_NAME and set(self.arguments) <= set(named)
        absent = tuple(name for name, value in self.arguments.items() if value is None)
        is_plain &= links in (None, LINK_INDEX) and batch in (None, "batch_dict")
        if is_plain and not absent:
            return None
        own = {links: LINK_INDEX, batch: "batch"}
        names = {
            name: own.get(name) or name.removesuffix("_dict")
            for name, value in self.arguments.items()
            if value is not None
        }
        passes_batch = "batch" in named and "batch" not in self.arguments
        return PyGCall(tuple(names.items()), absent, passes_batch, edge_type)

    def batch(self) -> str | None:
        """The argument that says which graph each node of each type belongs to."""
        if not isinstance(self.x, Mapping):
            return None
        for name, value in self.arguments.items():
            if "batch" in name and isinstance(value, Mapping) and value.keys() == self.x.keys():
                sizes = [each.shape == self.x[kind].shape[:1] for kind, each in value.items()]
                if all(sizes):
                    return name
        return None

    def links(self, num_rows: int) -> str | None:
        """The argument that holds as many pairs of nodes as the model has rows of output."""
        if LINK_INDEX in self.arguments:
            return LINK_INDEX
        found = [
            name
            for name, value in self.arguments.items()
            if isinstance(value, Tensor)
            and not value.is_floating_point()
            and tuple(value.shape) == (2, num_rows)
        ]
        return found[0] if len(found) == 1 else None


def _stored(data: Any, key: str) -> Any:
    """An attribute of data; of types a dictionary."""
    if not isinstance(data, HeteroData):
        return data[key]
    values = {
        kind: data[kind][key] for kind in data.node_types + data.edge_types if key in data[kind]
    }
    return values or data[key]


def _is_same(one: Any, other: Any) -> bool:
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(one[k] is other[k] for k in one)
    return one is other
