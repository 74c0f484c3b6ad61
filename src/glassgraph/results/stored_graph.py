"""The user's graph(s) as named tensors, and back, for a file beside their explanations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch_geometric.data import Data, HeteroData

from glassgraph.core.graph import TypedGraph


def graph_tensors(graph: TypedGraph) -> dict[str, Tensor]:
    """All tensors of the user's graph(s), named ``graph|store|attribute``."""
    found: dict[str, Tensor] = {}
    graphs = [graph.single(number) for number in range(graph.num_graphs)]
    for number, data in enumerate(graphs if graph.is_split else [graph.data]):
        stores: list[tuple[str, Any]] = [("", data)]
        sizes = {"": data.num_nodes}
        if graph.is_heterogeneous:
            stores = [(name, data[name]) for name in data.node_types]
            sizes = {name: store.num_nodes for name, store in stores}
            stores += [("__".join(name), data[name]) for name in data.edge_types]
        for name, store in stores:
            for attribute, value in store.items():
                if isinstance(value, Tensor):
                    plain = value.detach().cpu().contiguous().clone()
                    found[f"{number}|{name}|{attribute}"] = plain
        for name, size in sizes.items():
            found[f"{number}|{name}|num_nodes"] = torch.tensor(int(size or 0))
    return found


def graph_from_tensors(tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> Any:
    """What `graph_tensors` was given; the header names the types in their order."""
    is_typed = list(header["node_types"]) != [None]
    graphs: dict[int, Any] = {}
    for key, value in tensors.items():
        number, name, attribute = key.split("|", 2)
        data = graphs.setdefault(int(number), HeteroData() if is_typed else Data())
        entry: Any = value if attribute != "num_nodes" else int(value)
        if not name:
            data[attribute] = entry
        elif "__" in name:
            data[tuple(name.split("__"))][attribute] = entry
        else:
            data[name][attribute] = entry
    ordered = [graphs[number] for number in sorted(graphs)]
    summary = header["provenance"].get("graph", {})
    if is_typed:
        ordered = [_in_order(data, header) for data in ordered]
    return ordered if "node_start" in summary or len(ordered) > 1 else ordered[0]


def _in_order(data: Any, header: Mapping[str, Any]) -> Any:
    """Restore the order of node and edge types, which flat numbers depend on."""
    ordered: Any = HeteroData()
    for name in header["node_types"]:
        for key, value in data[name].items():
            ordered[name][key] = value
    for name in header["edge_types"]:
        for key, value in data[tuple(name)].items():
            ordered[tuple(name)][key] = value
    return ordered
