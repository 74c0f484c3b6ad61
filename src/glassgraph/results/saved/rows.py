"""The columns of a part as one Arrow table with a row for each instance, and back.

What an instance has several of (edges, nodes, walks, rows of a method's tables) stands in lists.
The columns, all of which ``docs/jobs.md`` describes:

- ``position``, ``index``, ``graph``, ``target``, ``contrast``, ``label``: integers;
- ``status``: ``"done"`` or ``"failed"``; ``error``: why it failed; ``remark``;
- ``prediction``, ``seed``, ``total``;
- ``edge``, ``source``, ``destination``, ``edge_type``, ``edge_score``, ``layer_edge_score_0``, ...;
- ``node``, ``node_score``, ``feature_score`` (of all features of a node, then of the next);
- ``walk`` (all nodes of a walk, then of the next), ``walk_score``;
- ``table/NAME/rows``, ``table/NAME/node/COLUMN``, ``table/NAME/value/COLUMN``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from glassgraph.results.records import Part, Table

#: Changes whenever older files can no longer be read.
VERSION = 1
DONE, FAILED = "done", "failed"
_INTEGERS = ("position", "index", "graph", "target", "contrast", "label")
_EDGE = ("edge", "source", "destination")
_LAYER = "layer_edge_score_"
#: In the metadata of a column: what a row's entry looks like, ``[3, 4]`` for ``[r, 3, 4]``.
_SHAPE = b"shape"


def to_rows(parts: Sequence[Part], edge_type: Tensor | None = None) -> pa.Table:
    """One table of some parts, in the order of positions.

    Args:
        parts: the columns; no instance is in two of them.
        edge_type: ``[E]`` a number for each edge of the data, where edges have types.
    """
    tables = [_table(part, edge_type) for part in parts]
    found = pa.concat_tables(tables, promote_options="default")
    position = found["position"].to_numpy()
    if (np.diff(position) < 0).any():
        found = found.take(pa.array(np.argsort(position, kind="stable")))
    return found.combine_chunks()


def failed_row(position: int, index: int, graph: int, error: str) -> pa.Table:
    """The row of an instance that could not be explained."""
    numbers = {"position": position, "index": index, "graph": graph}
    columns = {name: pa.array([value], pa.int64()) for name, value in numbers.items()}
    return pa.table(columns | {"status": pa.array([FAILED]), "error": pa.array([error])})


def to_part(rows: pa.Table, num_layers: int) -> Part:
    """What `to_rows` was given, of instances that are done, as one part.

    Args:
        rows: the table.
        num_layers: number L of message-passing steps.
    """
    rows = rows.combine_chunks()
    names = rows.column_names
    lists = {name: _flat(rows, name) for name in names if pa.types.is_list(rows[name].type)}
    num_nodes, num_edges = (lists[name][1] for name in ("node", "edge"))
    layers = [name for name in names if name.startswith(_LAYER)]
    features = lists["feature_score"][0] if "feature_score" in lists else None
    node = lists["node"][0]
    return Part(
        **{name: torch.from_numpy(rows[name].to_numpy().copy()) for name in _INTEGERS},
        prediction=_matrix(*lists["prediction"]),
        seed=_matrix(*lists["seed"]),
        node_instance=_owner(num_nodes),
        node=node,
        edge_instance=_owner(num_edges),
        **{name: lists[name][0] for name in _EDGE},
        edge_score=lists["edge_score"][0] if "edge_score" in lists else None,
        layer_edge_score=torch.stack([lists[name][0] for name in layers]) if layers else None,
        node_score=lists["node_score"][0] if "node_score" in lists else None,
        feature_score=(
            None if features is None else features.view(node.numel(), -1) if node.numel() else None
        ),
        total=_numbers(rows, "total"),
        **_walks(lists, num_layers),
        tables=_read_tables(rows, lists),
        remark=_remarks(rows),
    )


# From parts


def _table(part: Part, edge_type: Tensor | None) -> pa.Table:
    """The columns of one part."""
    size = part.position.numel()
    fields: list[pa.Field] = []
    arrays: list[pa.Array] = []

    def add(name: str, array: pa.Array, shape: Sequence[int] | None = None) -> None:
        metadata = None if shape is None else {_SHAPE: json.dumps(list(shape)).encode()}
        fields.append(pa.field(name, array.type, metadata=metadata))
        arrays.append(array)

    for name in _INTEGERS:
        add(name, pa.array(getattr(part, name).numpy()))
    add("status", pa.array([DONE] * size))
    if any(part.remark):
        add("remark", pa.array(list(part.remark)))
    for name in ("prediction", "seed"):
        add(name, _list(getattr(part, name), torch.ones(size, dtype=torch.long)))
    if part.total is not None:
        add("total", pa.array(part.total.numpy()))
    for name, value, count in _members(part, edge_type):
        add(name, _list(value, count))
    for name, table in part.tables.items():
        count = torch.bincount(table.instance, minlength=size)
        add(f"table/{name}/rows", pa.array(count.numpy()))
        for kind, columns in (("node", table.nodes), ("value", table.values)):
            for key, value in columns.items():
                add(f"table/{name}/{kind}/{key}", _list(value, count), value.shape[1:])
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


def _members(part: Part, edge_type: Tensor | None) -> Iterator[tuple[str, Tensor, Tensor]]:
    """Columns about edges, nodes and walks, each with how many of them the instances have."""
    size = part.position.numel()
    edges = torch.bincount(part.edge_instance, minlength=size)
    nodes = torch.bincount(part.node_instance, minlength=size)
    for name in _EDGE:
        yield name, getattr(part, name), edges
    if edge_type is not None:
        yield "edge_type", edge_type[part.edge].to(torch.int32), edges
    if part.edge_score is not None:
        yield "edge_score", part.edge_score, edges
    for layer, score in enumerate(() if part.layer_edge_score is None else part.layer_edge_score):
        yield f"{_LAYER}{layer}", score, edges
    yield "node", part.node, nodes
    for name in ("node_score", "feature_score"):
        value = getattr(part, name)
        if value is not None:
            yield name, value, nodes
    if part.walk is not None and part.walk_instance is not None and part.walk_score is not None:
        walks = torch.bincount(part.walk_instance, minlength=size)
        yield "walk", part.walk, walks
        yield "walk_score", part.walk_score, walks


def _list(value: Tensor, count: Tensor) -> pa.Array:
    """Rows ``[r, ...]``, so many for each instance, as a list of numbers for each."""
    width = value[0].numel() if value.size(0) else 1
    offset = torch.zeros(count.numel() + 1, dtype=torch.int64)
    torch.cumsum(count * width, dim=0, out=offset[1:])
    flat = pa.array(value.contiguous().view(-1).numpy())
    return pa.ListArray.from_arrays(pa.array(offset.to(torch.int32).numpy()), flat)


# To parts


def _flat(rows: pa.Table, name: str) -> tuple[Tensor, Tensor]:
    """The numbers of a column of lists, and how many each row has; none where there is no list."""
    column = rows[name]
    array = column.chunk(0) if column.num_chunks else pa.array([], column.type)
    values = array.flatten().to_numpy(zero_copy_only=False)
    count = array.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
    return torch.from_numpy(values.copy()), torch.from_numpy(count.astype(np.int64))


def _matrix(values: Tensor, count: Tensor) -> Tensor:
    """``[b, C]`` of lists that are as long as each other."""
    width = int(count[0]) if count.numel() else 0
    return values.view(count.numel(), width)


def _owner(count: Tensor) -> Tensor:
    return torch.repeat_interleave(torch.arange(count.numel()), count)


def _numbers(rows: pa.Table, name: str) -> Tensor | None:
    return torch.from_numpy(rows[name].to_numpy().copy()) if name in rows.column_names else None


def _remarks(rows: pa.Table) -> tuple[str, ...]:
    if "remark" not in rows.column_names:
        return ()
    found = tuple(each or "" for each in rows["remark"].to_pylist())
    return found if any(found) else ()


def _walks(lists: dict[str, tuple[Tensor, Tensor]], num_layers: int) -> dict[str, Tensor]:
    if "walk" not in lists:
        return {}
    score, count = lists["walk_score"]
    walk = lists["walk"][0]
    steps = walk.numel() // score.numel() if score.numel() else num_layers + 1
    return {
        "walk": walk.view(-1, steps),
        "walk_score": score,
        "walk_instance": _owner(count),
    }


def _read_tables(rows: pa.Table, lists: dict[str, tuple[Tensor, Tensor]]) -> dict[str, Table]:
    """The tables of a method's own."""
    found = {}
    start, ending = "table/", "/rows"
    for column in rows.column_names:
        if not (column.startswith(start) and column.endswith(ending)):
            continue
        name = column[len(start) : -len(ending)]
        count = torch.from_numpy(np.nan_to_num(rows[column].to_numpy()).astype(np.int64))
        columns: dict[str, dict[str, Tensor]] = {"node": {}, "value": {}}
        for kind, own in columns.items():
            head = f"{start}{name}/{kind}/"
            for each in (each for each in lists if each.startswith(head)):
                shape = _shape(rows.schema.field(each))
                own[each[len(head) :]] = lists[each][0].view(int(count.sum()), *shape)
        found[name] = Table(_owner(count), columns["node"], columns["value"])
    return found


def _shape(field: Any) -> list[int]:
    said: list[int] = json.loads((field.metadata or {}).get(_SHAPE, b"[]"))
    return said
