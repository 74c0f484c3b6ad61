"""What a task of level "edge" predicts: listed pairs of nodes, or the edges of the graph.

*Links* are the columns of ``edge_label_index``. The model returns one row for each, so a packed
graph lists the explained pairs alone, and every attribute ``edge_label_*`` with one row per link
(relations, times, features of pairs) is cut with them.

In a heterogeneous graph both are of one edge type, the task's ``edge_type``: its ends say from
which node types to which links run. Links of other types, which a model may score in the same run,
are not explained and left out.

*Edges* are those of ``edge_index``: the model returns one row for each, and the packed graph holds
the explained ones among all that messages run along. The row of an explained edge, with its own
features, is what the model is asked about. It therefore always stays: a gate shuts its message,
which leaves the row alone, and where edges are deleted this one is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from glassgraph.calling.call import ModelCall
from glassgraph.data.checks import EdgeTypeName
from glassgraph.errors import InstanceError, TaskError
from glassgraph.inputs.graph import TypedGraph
from glassgraph.inputs.receptive import Fields
from glassgraph.inputs.task import EdgeTypeLike, Task
from glassgraph.words import guess

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


def link_types(graph: TypedGraph) -> list[EdgeTypeName]:
    """The edge types of a heterogeneous graph that have links to predict."""
    return [name for name in graph.data.edge_types if LINK_INDEX in graph.data[name]]


def find_edge_type(given: EdgeTypeLike, known: Sequence[EdgeTypeName]) -> EdgeTypeName:
    """The edge type that is meant by its name or a part of it.

    Args:
        given: ``(source, relation, destination)``, ``(source, destination)``, a relation, or
            ``"source__relation__destination"``.
        known: the edge types there are.

    Raises:
        TaskError: if there is none, or several.
    """
    parts = tuple(given.split("__")) if isinstance(given, str) else tuple(given)

    def names(kind: EdgeTypeName) -> tuple[tuple[str, ...], ...]:
        return kind, (kind[0], kind[2]), (kind[1],)

    found = [kind for kind in known if parts in names(kind)]
    if len(found) == 1:
        return found[0]
    if found:
        raise TaskError(
            f"edge_type={given!r} may be any of {_listed(found)}; give all three of its names"
        )
    words = {" ".join(kind): kind for kind in known}
    meant = guess(" ".join(map(str, parts)), words)
    relations = {kind[1]: kind for kind in known}
    if meant is None and len(parts) == 1 and (relation := guess(str(parts[0]), relations)):
        meant = " ".join(relations[relation])
    hint = f"did you mean {words[meant]}? " if meant in words else ""
    raise TaskError(
        f"there is no edge type {given!r}; {hint}The graph has {_listed(known) or 'none'}"
    )


def _listed(kinds: Sequence[EdgeTypeName]) -> str:
    return ", ".join(map(str, kinds))


def complete_edge_type(task: Task, graph: TypedGraph) -> Task:
    """Name the type of the explained links or edges of a heterogeneous graph.

    Raises:
        TaskError: if it cannot be told.
        InstanceError: if links are meant, and the data have none.
    """
    about_links = task.is_about_links
    known: list[Any] = list(graph.data.edge_types if about_links else graph.edge_types)
    fitting = link_types(graph) if about_links else known
    if task.edge_type is not None:
        chosen = find_edge_type(task.edge_type, known)
        if chosen not in fitting:
            others = f" (those of {_listed(fitting)} have one)" if fitting else ""
            raise InstanceError(
                f"a link task needs data[{chosen}].edge_label_index [2, links], the pairs to "
                f"predict{others}"
            )
        return Task.of(task, edge_type=chosen)
    if not fitting:
        raise InstanceError(
            "a link task needs data[edge_type].edge_label_index [2, links], the pairs to predict, "
            f"of one of the edge types {_listed(known)}"
        )
    if len(fitting) > 1:
        what = "have an edge_label_index" if about_links else "have edges"
        raise TaskError(
            f"the edge types {_listed(fitting)} {what}; say which one is predicted: "
            f"edge_type={fitting[0]}"
        )
    return Task.of(task, edge_type=fitting[0])


def explained_store(graph: TypedGraph, task: Task, data: Any = None) -> Any:
    """Where the attributes of explained links or edges are, in the user's data or others."""
    data = graph.data if data is None else data
    return data[task.edge_type] if graph.is_heterogeneous else data


def first_ends(graph: TypedGraph, task: Task) -> Tensor:
    """``[2]`` flat numbers of the first nodes of the types that links or edges run between."""
    if not graph.is_heterogeneous:
        return torch.zeros(2, dtype=torch.long, device=graph.device)
    assert isinstance(task.edge_type, tuple)
    ends = task.edge_type[0], task.edge_type[-1]
    first = [graph.node_offset[graph.type_position(end)] for end in ends]
    return torch.tensor(first, device=graph.device)


def first_edge(graph: TypedGraph, task: Task) -> int:
    """Flat number of the first edge of the explained type."""
    return graph.edge_offset[_edge_position(graph, task)]


def num_explained_edges(graph: TypedGraph, task: Task) -> int:
    """How many edges the explained type has."""
    number = _edge_position(graph, task)
    return graph.edge_offset[number + 1] - graph.edge_offset[number]


def _edge_position(graph: TypedGraph, task: Task) -> int:
    """Position of the explained edge type."""
    names: list[Any] = graph.edge_types
    return names.index(task.edge_type) if graph.is_heterogeneous else 0


def find_ends(graph: TypedGraph, task: Task) -> Tensor:
    """The ends ``[2, n]`` of all links or edges that a task may be about, in the user's numbers.

    Raises:
        InstanceError: if links are missing or malformed.
    """
    if task.is_about_links:
        return find_links(graph, task)
    start = first_edge(graph, task)
    ends = graph.ends[:, start : start + num_explained_edges(graph, task)]
    return ends - first_ends(graph, task).view(2, 1)


def find_links(graph: TypedGraph, task: Task) -> Tensor:
    """The pairs of nodes ``[2, links]`` that a link task predicts, each numbered within its type.

    Raises:
        InstanceError: if they are missing or malformed.
    """
    store = explained_store(graph, task)
    if LINK_INDEX not in store:
        raise InstanceError(
            "a link task needs data.edge_label_index [2, links], the pairs to predict"
        )
    links = store[LINK_INDEX]
    name = LINK_INDEX if task.edge_type is None else f"{LINK_INDEX} of {task.edge_type}"
    if not isinstance(links, Tensor) or links.dim() != 2 or links.size(0) != 2:
        shape = tuple(links.shape) if isinstance(links, Tensor) else type(links).__name__
        raise InstanceError(f"{name} has shape {shape}; expected [2, links]")
    if links.is_floating_point() or links.dtype == torch.bool:
        raise InstanceError(f"{name} is {links.dtype}; expected torch.long node ids")
    for row, kind in enumerate(_end_types(graph, task)):
        size, own = _num_nodes(graph, kind), links[row]
        if own.numel() and (int(own.min()) < 0 or int(own.max()) >= size):
            bad = int(own.min()) if int(own.min()) < 0 else int(own.max())
            word = "node" if kind is None else f"{('source', 'destination')[row]} {kind}"
            nodes = "nodes" if kind is None else f"nodes of type {kind!r}"
            raise InstanceError(
                f"{name} names {word} {bad}, but there are {size} {nodes} (0 to {size - 1})"
            )
    return links.long()


def _end_types(graph: TypedGraph, task: Task) -> tuple[str | None, str | None]:
    """The node types that links run from and to."""
    if not graph.is_heterogeneous:
        return None, None
    assert isinstance(task.edge_type, tuple)
    return task.edge_type[0], task.edge_type[-1]


def _num_nodes(graph: TypedGraph, kind: str | None) -> int:
    number = graph.type_position(kind)
    return graph.node_offset[number + 1] - graph.node_offset[number]


def set_links(data: Any, graph: TypedGraph, task: Task, ends: Tensor, index: Tensor) -> None:
    """List some of the user's links in data, with what belongs to them.

    Links of types that are not explained are left out: a model finds none of them.

    Args:
        data: all of the user's data or a packed part of them; they are changed.
        graph: the user's graph.
        task: a task about links.
        ends: ``[B, 2]`` the nodes of each link, as ``data`` number them (within their types).
        index: ``[B]`` which of the user's links they are.
    """
    if graph.is_heterogeneous:
        for name in link_types(graph):
            if name != task.edge_type:
                _set_links(data[name], graph.data[name], ends[:0], index[:0])
    _set_links(explained_store(graph, task, data), explained_store(graph, task), ends, index)


def _set_links(store: Any, own: Any, ends: Tensor, index: Tensor) -> None:
    num_links = own[LINK_INDEX].size(1)
    for key in link_keys(own):
        value = own[key]
        if "index" in key:  # other pairs of nodes, which have their own numbers
            continue
        if _num_rows(value) == num_links:
            store[key] = _take(value, index)
        elif key not in store:
            store[key] = value
    store[LINK_INDEX] = ends.t().contiguous()


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


def check_link_attributes(graph: TypedGraph, task: Task, model_call: ModelCall) -> None:
    """Refuse attributes of links that have other rows than links.

    Args:
        graph: the user's graph.
        task: a task about links.
        model_call: how the model is called.

    Raises:
        InstanceError: if one that the model reads by its name does.
    """
    store = explained_store(graph, task)
    num_links = store[LINK_INDEX].size(1)
    for key in sorted(key for key in link_keys(store) if "index" not in key):
        num_rows = _num_rows(store[key])
        is_read = {key, f"{key}_dict"} & set(model_call.argument_names)
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
            index: ``[B]`` the explained edges, flat.
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
