"""The user's graph(s) as named tensors, and back, for a file beside their explanations."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Data, HeteroData

from glassgraph.inputs.graph import TypedGraph
from glassgraph.results.saved.damage import Damage, check_number
from glassgraph.results.type_names import stored_name, stored_names

#: Ending of attributes that are words, kept as the bytes of their JSON.
_WORDS = "|words"


def graph_tensors(graph: TypedGraph) -> dict[str, Tensor]:
    """All tensors and words of the user's graph(s), named ``graph|store|attribute``.

    The store is a type's name, see `stored_name`, or empty for the graph itself.
    """
    found: dict[str, Tensor] = {}
    graphs = [graph.single(number) for number in range(graph.num_graphs)]
    for number, data in enumerate(graphs if graph.is_split else [graph.data]):
        stores: list[tuple[str, Any]] = [("", data)]
        sizes = {"": data.num_nodes}
        if graph.is_heterogeneous:
            nodes = [(stored_name(name), data[name]) for name in data.node_types]
            sizes = {name: store.num_nodes for name, store in nodes}
            stores = nodes + [(stored_name(name), data[name]) for name in data.edge_types]
            stores.append(("", data.stores[0]))
        for name, store in stores:
            for attribute, value in store.items():
                if isinstance(value, Tensor):
                    plain = value.detach().cpu().contiguous().clone()
                    found[f"{number}|{name}|{attribute}"] = plain
                elif _is_words(value := _plain(value)):
                    found[f"{number}|{name}|{attribute}{_WORDS}"] = _encoded(value)
        for name, size in sizes.items():
            found[f"{number}|{name}|num_nodes"] = torch.tensor(int(size or 0))
    return found


def graph_from_tensors(tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> Any:
    """What `graph_tensors` was given; the header names the types in their order.

    Raises:
        Damage: if a tensor belongs to no type, or a number of nodes cannot be.
    """
    is_typed = list(header["node_types"]) != [None]
    edge_types = [None if name is None else tuple(name) for name in header["edge_types"]]
    types = stored_names(header["node_types"], [*edge_types, *_link_types(header)])
    graphs: dict[int, Any] = {}
    for key, value in tensors.items():
        number, name, attribute = key.split("|", 2)
        data = graphs.setdefault(int(number), HeteroData() if is_typed else Data())
        if name and name not in types:
            raise Damage(f"the graph has a tensor {key!r} of a type that the header lacks")
        entry: Any = value
        if attribute == "num_nodes":
            entry = check_number("num_nodes of the graph", value.tolist())
        elif attribute.endswith(_WORDS):
            attribute, entry = attribute.removesuffix(_WORDS), _decoded(key, value)
        (data[types[name]] if name else data)[attribute] = entry
    _check_total(graphs, header)
    if sorted(graphs) != list(range(len(graphs))) or not graphs:
        raise Damage(f"the graph's file holds the graphs {sorted(graphs)}")
    ordered = [graphs[number] for number in range(len(graphs))]
    summary = header["provenance"].get("graph", {})
    if is_typed:
        ordered = [_in_order(data, header) for data in ordered]
    return ordered if "node_start" in summary or len(ordered) > 1 else ordered[0]


def _link_types(header: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Edge types that only list links."""
    return [tuple(name) for name in header["provenance"].get("graph", {}).get("link_types", [])]


def _plain(value: Any) -> Any:
    """An array of words as a list."""
    return value.tolist() if isinstance(value, np.ndarray) and value.dtype.kind in "UO" else value


def _is_words(value: Any) -> bool:
    """Whether an attribute is a word, or a list of words."""
    if isinstance(value, list | tuple):
        return all(isinstance(each, str) for each in value)
    return isinstance(value, str)


def _encoded(value: Any) -> Tensor:
    return torch.tensor(list(json.dumps(value).encode()), dtype=torch.uint8)


def _decoded(key: str, value: Tensor) -> Any:
    try:
        found = json.loads(bytes(value.tolist()))
    except (TypeError, ValueError) as error:
        raise Damage(f"the graph's words {key!r} cannot be read") from error
    if not _is_words(found):
        raise Damage(f"the graph's words {key!r} are no words")
    return found


def _check_total(graphs: Mapping[int, Any], header: Mapping[str, Any]) -> None:
    """Compare the number of nodes with the header's before memory is taken for them."""
    expected = header["provenance"].get("graph", {}).get("num_nodes")
    found = sum(int(data.num_nodes or 0) for data in graphs.values())
    if expected is not None and found != expected:
        raise Damage(f"its graph has {found} nodes, its header says {expected}")


def _in_order(data: Any, header: Mapping[str, Any]) -> Any:
    """Restore the order of node and edge types, which flat numbers depend on."""
    ordered: Any = HeteroData()
    edge_types = [*map(tuple, header["edge_types"]), *_link_types(header)]
    for name in (*header["node_types"], *edge_types):
        for key, value in data[name].items():
            ordered[name][key] = value
    for key, value in data.stores[0].items():
        ordered[key] = value
    return ordered
