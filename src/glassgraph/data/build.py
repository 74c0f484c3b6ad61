"""From a graph in memory, or from files, to a folder with the same graph on disk."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Data, HeteroData

from glassgraph.data.arrays import Array, ArrayWriter, map_array, save_tensor
from glassgraph.data.checks import LABEL_KEYS, check_edges, check_features, edge_stores, num_nodes
from glassgraph.data.edge_lists import EdgeColumns, is_edge_file, read_edges
from glassgraph.data.manifest import NAME, Attribute, Manifest, TypeName
from glassgraph.data.ogb import (
    EDGE_FILES,
    NODE_FILES,
    count_nodes,
    ogb_folder,
    read_attribute,
    read_ends,
)
from glassgraph.data.sorting import write_sorted
from glassgraph.errors import GraphError, StoreError
from glassgraph.files import new_folder, writing

#: Edges, or entries of an array, that are written at once.
_AT_ONCE = 1 << 21


def build(
    source: Any,
    folder: Path,
    columns: EdgeColumns,
    *,
    num_nodes: int | None,
    nodes: Mapping[str, Any] | None,
    replace: bool,
) -> None:
    """Write a graph into a folder, see `GraphStore.build`."""
    with writing(folder), new_folder(folder, NAME, replace=replace) as temporary:
        if isinstance(source, (Data, HeteroData)):
            if num_nodes is not None or nodes is not None or columns.attributes:
                raise StoreError(
                    "num_nodes, nodes and edge_columns are for files of edges; a "
                    f"{type(source).__name__} has its own"
                )
            manifest = _write_data(source, temporary)
        elif (raw := ogb_folder(source)) is not None:
            if num_nodes is not None or nodes is not None or columns.attributes:
                raise StoreError("num_nodes, nodes and edge_columns are for files of edges")
            manifest = _write_ogb(raw, temporary)
        else:
            manifest = _write_files(_files(source), columns, num_nodes, nodes or {}, temporary)
        manifest.write(temporary)


def _files(source: Any) -> list[Path]:
    """The files that a user means."""
    sources = list(source) if isinstance(source, (list, tuple)) else [source]
    if not sources or not all(map(is_edge_file, sources)):
        kind = type(source).__name__
        got = repr(str(source)) if isinstance(source, (str, Path)) else f"a {kind}"
        raise StoreError(
            f"source is {got}; expected a torch_geometric Data or HeteroData, a file of edges "
            "(.parquet, .csv, .csv.gz), a list of such files, or a folder with OGB's raw files"
        )
    found = [Path(each) for each in sources]
    for path in found:
        if not path.is_file():
            raise StoreError(f"there is no file {path}")
    return found


# From memory


def _write_data(data: Any, folder: Path) -> Manifest:
    _check_data(data)
    is_typed = isinstance(data, HeteroData)
    node_types: list[Any] = list(data.node_types) if is_typed else [None]
    node_offset = _offsets(num_nodes(data, name) for name in node_types)
    stores = edge_stores(data)
    counts = []
    with ArrayWriter(folder / "edges.npy", np.int64, (2,)) as edges:
        for name, store in stores:
            first = (
                [0, 0]
                if name is None
                else [node_offset[node_types.index(end)] for end in (name[0], name[2])]
            )
            counts.append(_write_ends(store["edge_index"], edges, np.array(first)))
        _write_indices(edges, node_offset[-1], folder)
    return Manifest(
        node_types=node_types,
        edge_types=[name for name, _ in stores],
        node_offset=node_offset,
        edge_offset=_offsets(counts),
        attributes=list(_write_attributes(data, folder)),
    )


def _check_data(data: Any) -> None:
    """Refuse what a store cannot hold.

    Raises:
        GraphError: for a malformed graph, or one without edges.
        StoreError: for several graphs, and for classes of the user's own.
    """
    if type(data) not in (Data, HeteroData):
        raise StoreError(
            f"source is a {type(data).__name__}; a store holds a plain Data or HeteroData, one "
            "graph: several graphs are explained from a list"
        )
    if any("batch" in store for store in data.node_stores):
        raise StoreError(
            "the data have a batch vector, several graphs; a store holds one: several graphs are "
            "explained from a list"
        )
    check_edges(data, "")
    check_features(data)
    if not isinstance(data, HeteroData) and "edge_index" not in data:
        raise GraphError("edge_index is missing; expected a [2, E] tensor of node ids")
    if isinstance(data, HeteroData) and not data.edge_types:
        raise GraphError("the heterogeneous graph has no edge types; no message can pass")


def _write_ends(edge_index: Tensor, edges: ArrayWriter, first: Array) -> int:
    """Add edges ``[2, E]`` of a type, with flat numbers; how many there are."""
    for piece in edge_index.detach().split(_AT_ONCE, dim=1):
        edges.append(piece.cpu().numpy().T + first)
    return int(edge_index.size(1))


def _write_indices(edges: ArrayWriter, num_nodes: int, folder: Path) -> None:
    write_sorted(edges, 1, num_nodes, folder, "in")
    write_sorted(edges, 0, num_nodes, folder, "out")


def _write_attributes(data: Any, folder: Path) -> Iterator[Attribute]:
    is_typed, counter = isinstance(data, HeteroData), itertools.count()
    for store in data.stores:
        name: TypeName = store._key if is_typed else None
        for key, value in store.items():
            if key == "edge_index" and not is_typed:
                yield Attribute(name, key, "edges.npy", "int64")
                continue
            yield _write_attribute(name, key, value, folder, next(counter))
    yield from _counts(data)


def _counts(data: Any) -> Iterator[Attribute]:
    """Numbers of nodes that would have to be found out from all edges."""
    for store in data.node_stores:
        has_rows = any(key in store for key in ("x", "pos", "num_nodes"))
        if not has_rows:
            name = store._key if isinstance(data, HeteroData) else None
            yield Attribute(name, "num_nodes", value=int(store.num_nodes or 0))


def _write_attribute(
    type_name: TypeName, key: str, value: Any, folder: Path, number: int
) -> Attribute:
    file = f"attribute_{number}_{_slug(key)}.npy"
    if isinstance(value, Tensor) and value.layout == torch.strided:
        if key == "edge_index":
            value = value.long().t()
        return Attribute(type_name, key, file, save_tensor(folder / file, value))
    if isinstance(value, np.ndarray) and value.dtype != object:
        np.save(folder / file, value)
        return Attribute(type_name, key, file)
    if _is_plain(value):
        return Attribute(type_name, key, value=value)
    kind = "sparse tensor" if isinstance(value, Tensor) else type(value).__name__
    raise StoreError(
        f"{key} is a {kind}; a store holds tensors, arrays, words, numbers and lists of them: "
        f"leave it out (del data[{key!r}])"
    )


def _is_plain(value: Any) -> bool:
    """Whether JSON gives back the same."""
    if isinstance(value, list):
        return all(map(_is_plain, value))
    return value is None or type(value) in (str, int, float, bool)


# From files


def _write_files(
    files: list[Path],
    columns: EdgeColumns,
    num_nodes: int | None,
    nodes: Mapping[str, Any],
    folder: Path,
) -> Manifest:
    count, attributes = _write_node_attributes(nodes, num_nodes, folder)
    with ArrayWriter(folder / "edges.npy", np.int64, (2,)) as edges:
        highest, edge_attributes = _write_edges(read_edges(files, columns), count, edges, folder)
        count = highest + 1 if count is None else count
        if count == 0:
            raise GraphError("the graph has no nodes; there is nothing to explain")
        _write_indices(edges, count, folder)
    attributes += edge_attributes
    attributes.insert(0, Attribute(None, "edge_index", "edges.npy", "int64"))
    if not {"x", "pos"} & nodes.keys():
        attributes.append(Attribute(None, "num_nodes", value=count))
    return Manifest([None], [None], [0, count], [0, edges.num_rows], attributes)


def _write_ogb(raw: Path, folder: Path) -> Manifest:
    """A graph from OGB's raw files."""
    count = count_nodes(raw)
    with ArrayWriter(folder / "edges.npy", np.int64, (2,)) as edges:
        _write_edges(read_ends(raw), count, edges, folder)
        _write_indices(edges, count, folder)
    attributes = [Attribute(None, "edge_index", "edges.npy", "int64")]
    for files, size, what in ((NODE_FILES, count, "nodes"), (EDGE_FILES, edges.num_rows, "edges")):
        for name, file in files.items():
            if not (raw / file).is_file():
                continue
            column = _write_pieces(folder, f"ogb_{name}", name, read_attribute(raw / file, name))
            if column is None or column.writer.num_rows != size:
                rows = 0 if column is None else column.writer.num_rows
                raise GraphError(f"{raw / file} has {rows} rows for {size} {what}")
            attributes.append(column.attribute)
    if not any(each.name == "x" for each in attributes):
        attributes.append(Attribute(None, "num_nodes", value=count))
    return Manifest([None], [None], [0, count], [0, edges.num_rows], attributes)


def _write_pieces(folder: Path, stem: str, name: str, pieces: Iterable[Array]) -> _Column | None:
    """Write an attribute; None if there are no pieces."""
    column: _Column | None = None
    try:
        for piece in pieces:
            column = column or _Column.new(folder, stem, name, piece)
            column.append(piece)
    finally:
        if column is not None:
            column.writer.close()
    return column


def _write_node_attributes(
    nodes: Mapping[str, Any], num_nodes: int | None, folder: Path
) -> tuple[int | None, list[Attribute]]:
    """Write attributes of nodes; how many nodes there are, if that is known."""
    found = []
    for number, (name, given) in enumerate(nodes.items()):
        value = _rows_of(name, given)
        if num_nodes is not None and len(value) != num_nodes:
            raise GraphError(
                f"nodes[{name!r}] has {len(value)} rows for {num_nodes} nodes; expected one each"
            )
        num_nodes = len(value)
        with _Column.new(folder, f"node_{number}", name, value) as column:
            step = max(1, _AT_ONCE // max(1, value[:1].size))
            for first in range(0, num_nodes, step):
                if isinstance(given, (str, Path)):  # a map's pages go with it
                    value = _rows_of(name, given)
                column.append(value[first : first + step])
        found.append(column.attribute)
    return num_nodes, found


def _rows_of(name: str, given: Any) -> Array:
    """What a user gives as an attribute of nodes, as an array that need not be in memory."""
    if isinstance(given, (str, Path)):
        try:
            given = map_array(Path(given))
        except (OSError, ValueError) as error:
            raise StoreError(f"nodes[{name!r}]: {given} cannot be read ({error})") from error
    value = given.detach().cpu().numpy() if isinstance(given, Tensor) else np.asarray(given)
    if name == "edge_index" or value.ndim == 0 or value.dtype.kind not in "biufc":
        raise GraphError(
            f"nodes[{name!r}] is {value.dtype} {value.shape}; expected numbers, a row for each node"
        )
    return value


def _write_edges(
    pieces: Iterable[tuple[Array, dict[str, Array]]],
    num_nodes: int | None,
    edges: ArrayWriter,
    folder: Path,
) -> tuple[int, list[Attribute]]:
    """Write edges and their attributes; the highest number of a node, and the attributes."""
    highest, written = -1, dict[str, _Column]()
    try:
        for ends, values in pieces:
            if len(ends):
                highest = max(highest, _check_ends(ends, num_nodes, edges.num_rows))
            edges.append(ends)
            for name, value in values.items():
                if name not in written:
                    written[name] = _Column.new(folder, f"edge_{len(written)}", name, value)
                written[name].append(value)
    finally:
        for column in written.values():
            column.writer.close()
    return highest, [column.attribute for column in written.values()]


def _check_ends(ends: Array, num_nodes: int | None, first: int) -> int:
    """The highest number of a node.

    Raises:
        GraphError: if one is out of range.
    """
    low, high = int(ends.min()), int(ends.max())
    if low < 0 or (num_nodes is not None and high >= num_nodes):
        bad = low if low < 0 else high
        edge = first + int(np.flatnonzero((ends == bad).any(axis=1))[0])
        there_are = "" if num_nodes is None else f"; there are {num_nodes} nodes"
        raise GraphError(f"edge {edge} names node {bad}{there_are}, nodes count from 0")
    return high


@dataclass
class _Column:
    """An attribute that is written piece by piece."""

    name: str
    writer: ArrayWriter

    @staticmethod
    def new(folder: Path, stem: str, name: str, value: Array) -> _Column:
        file = f"{stem}_{_slug(name)}.npy"
        return _Column(name, ArrayWriter(folder / file, value.dtype, value.shape[1:]))

    @property
    def attribute(self) -> Attribute:
        dtype = str(torch.from_numpy(np.empty(0, self.writer.dtype)).dtype)
        return Attribute(None, self.name, self.writer.path.name, dtype.removeprefix("torch."))

    def append(self, value: Array) -> None:
        """Add rows.

        Raises:
            GraphError: if they are not finite, or of another type than those before.
        """
        if not np.can_cast(value.dtype, self.writer.dtype):
            raise GraphError(
                f"{self.name} is {value.dtype} after it was {self.writer.dtype}; expected one type"
            )
        is_bad = value.dtype.kind in "fc" and not np.isfinite(value).all()
        if is_bad and self.name not in LABEL_KEYS:
            row = self.writer.num_rows + int(np.argwhere(~np.isfinite(value))[0, 0])
            raise GraphError(
                f"row {row} of {self.name} is NaN or infinite; replace such values, every score "
                "would be NaN"
            )
        self.writer.append(value)

    def __enter__(self) -> _Column:
        return self

    def __exit__(self, *_: object) -> None:
        self.writer.close()


def _slug(name: str) -> str:
    """A name as a part of the name of a file."""
    return re.sub(r"[^A-Za-z0-9_]+", "_", name)[:40]


def _offsets(sizes: Iterable[int]) -> list[int]:
    return list(itertools.accumulate(sizes, initial=0))
