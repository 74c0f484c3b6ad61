"""Tensors of a model that have one row for each node of the user's graph.

LightGCN's embedding, LINKX's first weights and every ``nn.Embedding(num_nodes, ...)`` that is read
by position belong to the nodes as features do, but lie in the model: on a receptive field the rows
are other nodes'. `NodeTables` replaces such parameters and buffers, for the time of a call, by
their rows of the nodes in the call, which it reads from ``n_id``.

What has as many rows by chance (a layer as wide as the graph has nodes) is replaced, too. So this
is tried only on models that are wrong on fields without it, and kept where it makes them right.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from glassgraph.inputs.graph import TypedGraph


@dataclass(frozen=True)
class _Table:
    module: nn.Module
    name: str
    path: str
    node_type: str | None

    def replace(self, value: Tensor) -> None:
        setattr(self.module, self.name, value)


@dataclass(frozen=True)
class NodeTables:
    """The tensors of a model that may belong to nodes."""

    tables: tuple[_Table, ...]

    @classmethod
    def of(cls, model: nn.Module, graph: TypedGraph) -> NodeTables | None:
        """Parameters and buffers with as many rows as a type has nodes; None if there are none.

        On data of several graphs, or with an ``n_id`` of the user's own, rows cannot be told.
        """
        if graph.node_graph is not None:
            return None
        if any("n_id" in store for store in graph.node_stores(graph.data)):
            return None
        found = []
        for prefix, module in model.named_modules():
            own = (*module.named_parameters(recurse=False), *module.named_buffers(recurse=False))
            for name, value in own:
                path = f"{prefix}.{name}" if prefix else name
                if (number := _type_of(graph, path, value)) is not None:
                    found.append(_Table(module, name, path, graph.node_types[number]))
        return cls(tuple(found)) if found else None

    @property
    def advice(self) -> str:
        """What to do about them where cutting them is not enough."""
        paths = [table.path for table in self.tables]
        names = ", ".join(paths[:3]) + (", ..." if len(paths) > 3 else "")
        return (
            f"The model may keep rows for nodes ({names}): let forward take n_id, the numbers of "
            "the nodes that it is given, and read emb(n_id)"
        )

    @contextmanager
    def cut(self, data: Any) -> Iterator[None]:
        """Rows of the nodes of some data alone, which carry ``n_id``."""
        held: list[tuple[_Table, Tensor]] = []
        try:
            for table in self.tables:
                store = data if table.node_type is None else data[table.node_type]
                if "n_id" not in store:
                    continue
                value = getattr(table.module, table.name)
                rows = value.detach().index_select(0, store["n_id"])
                is_parameter = isinstance(value, nn.Parameter)
                table.replace(nn.Parameter(rows, requires_grad=False) if is_parameter else rows)
                held.append((table, value))
            yield
        finally:
            for table, value in reversed(held):
                table.replace(value)


def _type_of(graph: TypedGraph, path: str, value: Tensor) -> int | None:
    """The type of nodes that has as many as a tensor has rows, by name where several have."""
    if not value.dim():
        return None
    offset = graph.node_offset
    sizes = [stop - start for start, stop in itertools.pairwise(offset)]
    fitting = [number for number, size in enumerate(sizes) if size == value.size(0)]
    named = [number for number in fitting if graph.node_types[number] in path.split(".")]
    if len(named or fitting) != 1:
        return None
    return (named or fitting)[0]
