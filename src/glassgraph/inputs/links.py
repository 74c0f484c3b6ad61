"""What a task of level "edge" predicts: listed pairs of nodes, or the edges of the graph.

*Links* are the columns of ``edge_label_index``. The model returns one row for each, so a packed
graph lists the explained pairs alone, and every attribute ``edge_label_*`` with one row per link
(relations, times, features of pairs) is cut with them.

*Edges* are those of ``edge_index``: the model returns one row for each, and the packed graph holds
the explained ones among all that messages run along. The row of an explained edge, with its own
features, is what the model is asked about. It therefore always stays: a gate shuts its message,
which leaves the row alone, and where edges are deleted this one is not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from glassgraph.calling.call import ModelCall
from glassgraph.errors import InstanceError
from glassgraph.inputs.graph import TypedGraph
from glassgraph.inputs.receptive import Fields

#: The pairs of nodes ``[2, links]`` that a link task predicts.
LINK_INDEX = "edge_label_index"


def link_keys(store: Any) -> frozenset[str]:
    """Attributes that list links to predict, not edges to send messages over.

    Where there is an ``edge_label_index``, all that begin like it: their labels, types, times.
    """
    if LINK_INDEX not in store:
        return frozenset()
    return frozenset(key for key in store.keys() if key.startswith("edge_label"))  # noqa: SIM118


def edge_attributes(store: Any) -> list[str]:
    """Tensors with one row for each edge of a store, but for ``edge_index`` and those of links.

    PyG goes by numbers of rows; what has one for each graph may have as many by chance.
    """
    about_links = link_keys(store)
    num_graphs = store["ptr"].numel() - 1 if "ptr" in store else None
    found = []
    for key, value in store.items():
        is_of_graphs = key.endswith(("batch", "ptr")) or (
            "edge" not in key
            and isinstance(value, Tensor)
            and len(value.shape[:1]) == 1
            and value.size(0) == num_graphs
        )
        if key == "edge_index" or key in about_links or is_of_graphs:
            continue
        if isinstance(value, Tensor) and value.dim() and store.is_edge_attr(key):
            found.append(key)
    return found


def find_links(graph: TypedGraph) -> Tensor:
    """The pairs of nodes ``[2, links]`` that a link task predicts.

    Raises:
        InstanceError: if they are missing or malformed.
    """
    if LINK_INDEX not in graph.data:
        raise InstanceError(
            "a link task needs data.edge_label_index [2, links], the pairs to predict"
        )
    links = graph.data[LINK_INDEX]
    if not isinstance(links, Tensor) or links.dim() != 2 or links.size(0) != 2:
        shape = tuple(links.shape) if isinstance(links, Tensor) else type(links).__name__
        raise InstanceError(f"edge_label_index has shape {shape}; expected [2, links]")
    if links.is_floating_point() or links.dtype == torch.bool:
        raise InstanceError(f"edge_label_index is {links.dtype}; expected torch.long node ids")
    if links.numel() and (int(links.min()) < 0 or int(links.max()) >= graph.num_nodes):
        bad = int(links.min()) if int(links.min()) < 0 else int(links.max())
        raise InstanceError(
            f"edge_label_index names node {bad}, but there are {graph.num_nodes} nodes "
            f"(0 to {graph.num_nodes - 1})"
        )
    return links.long()


def set_links(data: Any, graph: TypedGraph, ends: Tensor, index: Tensor) -> None:
    """List some of the user's links in data, with what belongs to them.

    Args:
        data: all of the user's data or a packed part of them; they are changed.
        graph: the user's graph.
        ends: ``[B, 2]`` the nodes of each link, as ``data`` number them.
        index: ``[B]`` which of the user's links they are.
    """
    num_links = graph.data[LINK_INDEX].size(1)
    for key in link_keys(graph.data):
        value = graph.data[key]
        if "index" in key:  # other pairs of nodes, which have their own numbers
            continue
        if _num_rows(value) == num_links:
            data[key] = _take(value, index)
        elif key not in data:
            data[key] = value
    data[LINK_INDEX] = ends.t().contiguous()


def _num_rows(value: Any) -> int | None:
    """Of a tensor, an array or a list; None for anything else."""
    if isinstance(value, (Tensor, np.ndarray)):
        return value.shape[0] if value.ndim else None
    return len(value) if isinstance(value, (list, tuple)) else None


def _take(value: Any, index: Tensor) -> Any:
    if isinstance(value, Tensor):
        return value.index_select(0, index.to(value.device))
    if isinstance(value, np.ndarray):
        return value[index.cpu().numpy()]
    return type(value)([value[number] for number in index.tolist()])


def check_link_attributes(graph: TypedGraph, model_call: ModelCall) -> None:
    """Refuse attributes of links that have other rows than links.

    Args:
        graph: the user's graph.
        model_call: how the model is called.

    Raises:
        InstanceError: if one that the model reads by its name does.
    """
    num_links = graph.data[LINK_INDEX].size(1)
    for key in sorted(key for key in link_keys(graph.data) if "index" not in key):
        num_rows = _num_rows(graph.data[key])
        is_read = key in model_call.argument_names
        if is_read and num_rows is not None and num_rows != num_links:
            raise InstanceError(
                f"{key} has {num_rows} rows for {num_links} links; expected one row for each "
                "column of edge_label_index"
            )


@dataclass(frozen=True)
class ExplainedEdges:
    """The edges of fields, and where among them those stand that are explained.

    Attributes:
        edge: ``[e + k]`` flat edges: all of the fields, then explained ones that they lack.
        ends: ``[2, e + k]`` their ends among the n nodes.
        row: ``[B]`` where each explained edge stands.
    """

    edge: Tensor
    ends: Tensor
    row: Tensor

    @staticmethod
    def find(graph: TypedGraph, fields: Fields, index: Tensor) -> ExplainedEdges:
        """Look the explained edges up, each in its own field.

        Args:
            graph: the user's graph.
            fields: of B instances, or one field that B predictions share.
            index: ``[B]`` the explained edges.
        """
        width = max(1, graph.num_edges)
        owner = torch.arange(index.numel(), device=index.device)
        if fields.num_instances != index.numel():
            owner = torch.zeros_like(index)
        key, wanted = fields.edge_instance * width + fields.edge, owner * width + index
        order = torch.argsort(key)
        place = torch.searchsorted(key[order], wanted).clamp_max(max(0, key.numel() - 1))
        is_there = torch.zeros_like(index, dtype=torch.bool)
        row = torch.empty_like(index)
        if key.numel():
            row = order[place]
            is_there = key[row] == wanted
        lacking = (~is_there).nonzero().view(-1)
        row[lacking] = key.numel() + torch.arange(lacking.numel(), device=index.device)
        return ExplainedEdges(
            edge=torch.cat([fields.edge, index[lacking]]),
            ends=torch.cat(
                [torch.stack([fields.source, fields.destination]), fields.seed[lacking].t()], dim=1
            ),
            row=row,
        )
