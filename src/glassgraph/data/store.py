"""A graph on disk: what an explainer reads instead of a graph in memory."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch_geometric.data import Data, HeteroData

from glassgraph.data.arrays import checksum, map_array, map_tensor
from glassgraph.data.build import build
from glassgraph.data.edge_lists import EdgeColumns
from glassgraph.data.manifest import INDEX_FILES, Attribute, Manifest
from glassgraph.errors import StoreError


class GraphStore:
    """A graph in a folder, for graphs that memory does not hold and for many processes at once.

    Explainers take it in the place of a ``Data`` or ``HeteroData``, and read the receptive fields
    that they need; the explanations are those of the same ``Data``. Processes of a machine that
    open the same folder share its pages in memory. A store never changes, and may be pickled: its
    path is what is sent.

    On disk, as ``.npy`` files and ``graph.json``: the edges in the user's order, those that enter
    each node and those that leave it with the user's number of each, and the data's attributes.

    Args:
        path: the folder; see `build` and `open`.
        manifest: what it holds.

    Example:
        >>> import tempfile, torch
        >>> import glassgraph as gg
        >>> from glassgraph.data import GraphStore
        >>> from torch_geometric.data import Data
        >>> from torch_geometric.nn import GCN
        >>> data = Data(x=torch.rand(4, 3), edge_index=torch.tensor([[0, 1, 2], [1, 2, 3]]))
        >>> folder = tempfile.TemporaryDirectory()
        >>> store = GraphStore.build(data, folder.name + "/graph")
        >>> store.num_nodes, store.num_edges
        (4, 3)
        >>> explainer = gg.EdgeGradients(GCN(3, 8, 2, 2), "node", progress=False)
        >>> explanations = explainer.explain(store, index=[2])
        >>> explanations.local(0).edge_id
        tensor([0, 1])
        >>> folder.cleanup()
    """

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self.path, self.manifest = path, manifest

    @classmethod
    def build(
        cls,
        source: Any,
        folder: str | Path,
        *,
        columns: tuple[str, str] = ("source", "destination"),
        edge_columns: Mapping[str, str | list[str]] | None = None,
        num_nodes: int | None = None,
        nodes: Mapping[str, Any] | None = None,
        replace: bool = False,
    ) -> GraphStore:
        """Write a graph into a folder. It is there as a whole, or not at all.

        Memory does not grow with the number of edges: they are sorted on disk.

        Args:
            source: a ``Data`` or ``HeteroData``; or a file with a row for each edge, Parquet or CSV
                (``.csv``, ``.csv.gz``, with names in the first line), or a list of such files; or a
                folder with OGB's raw files (``edge.csv.gz``, ``num-node-list.csv.gz``, ...).
            folder: where to; it must not exist, or be empty.
            columns: of a file, the columns with source and destination: numbers of nodes, from 0.
            edge_columns: of a file, attributes of edges from its columns: ``{"edge_weight": "w"}``
                is ``[E]``, ``{"edge_attr": ["a", "b"]}`` is ``[E, 2]``.
            num_nodes: of a file, how many nodes there are; one more than the highest number if
                None and ``nodes`` does not tell.
            nodes: of a file, attributes of nodes (``{"x": ..., "y": ...}``): tensors, arrays, or
                paths of ``.npy`` files, which are read piece by piece.
            replace: whether a graph that is there already may be replaced.

        Raises:
            GraphError: for edges or features that cannot be: columns that are missing, numbers of
                nodes that are no integers or out of range, NaN.
            StoreError: for a source that is none of these.
            ExistingResultError: if there is something in the folder.
            OutputError: if it cannot be written.
        """
        build(
            source,
            Path(folder),
            EdgeColumns.of(columns, edge_columns),
            num_nodes=num_nodes,
            nodes=nodes,
            replace=replace,
        )
        return cls.open(folder)

    @classmethod
    def open(cls, folder: str | Path) -> GraphStore:
        """A graph that `build` has written. Sizes of files are looked at, contents are not read.

        Raises:
            StoreError: if the folder holds none, or a file is missing or has another size.
        """
        path = Path(folder).resolve()
        return cls(path, Manifest.read(path))

    def verify(self) -> None:
        """Read all files, and compare them with their checksums.

        Raises:
            StoreError: naming the first file that was changed.
        """
        for name, told in self.manifest.files.items():
            if checksum(self.path / name) != told["sha256"]:
                raise StoreError(
                    f"{self.path / name} is not what was written (its checksum differs); build "
                    "the graph again"
                )

    @property
    def num_nodes(self) -> int:
        """Number N of nodes over all types."""
        return self.manifest.num_nodes

    @property
    def num_edges(self) -> int:
        """Number E of edges over all types."""
        return self.manifest.num_edges

    @property
    def num_bytes(self) -> int:
        """Size on disk."""
        return sum(int(told["bytes"]) for told in self.manifest.files.values())

    @cached_property
    def fingerprint(self) -> str:
        """What two stores have in common only if their contents are the same."""
        told = {name: each["sha256"] for name, each in self.manifest.files.items()}
        return repr((told, self.manifest.attributes))

    @cached_property
    def edges(self) -> Tensor:
        """``[2, E]`` flat source and destination of each edge, in the user's order; read-only."""
        return map_tensor(self.path / "edges.npy").t()

    def index(self, direction: str) -> tuple[Tensor, Tensor, Tensor]:
        """Edges by one of their ends: by receiver (``"in"``) or sender (``"out"``).

        Returns:
            ``pointer [N + 1]``, and in the order of the nodes ``other [E]``, the flat node at the
            other end, and ``edge [E]``, the user's flat number; not to write.
        """
        pointer, other, edge = (
            map_tensor(self.path / f"{direction}_{each}.npy") for each in INDEX_FILES
        )
        return pointer, other, edge

    @cached_property
    def mapped(self) -> Any:
        """The graph as a ``Data`` or ``HeteroData`` whose tensors lie on disk; not to write."""
        return self._data(lambda value: value)

    def embedding(self, name: str, node_type: str | None = None) -> StoredEmbedding:
        """A table of nodes on disk, as a module that a model reads in the place of an embedding.

        Args:
            name: of an attribute with a row for each node.
            node_type: whose attribute, on heterogeneous graphs.

        Raises:
            StoreError: if there is none.
        """
        owner = self.mapped if node_type is None else self.mapped[node_type]
        value = owner.get(name, None)
        if not isinstance(value, Tensor) or value.dim() != 2 or not owner.is_node_attr(name):
            names = ", ".join(sorted(owner.keys()))
            raise StoreError(
                f"there is no attribute {name!r}; it has {names}"
                if value is None
                else f"{name} is no table [N, D] with a row for each node"
            )
        return StoredEmbedding(self, name, node_type)

    def to_data(self) -> Data | HeteroData:
        """The graph in memory, as it was given."""

        def read(value: Any) -> Any:
            if isinstance(value, Tensor):
                return value.clone(memory_format=torch.contiguous_format)
            return np.array(value)

        found: Data | HeteroData = self._data(read)
        return found

    def _data(self, take: Any) -> Any:
        manifest = self.manifest
        data: Any = HeteroData() if manifest.is_heterogeneous else Data()
        if manifest.is_heterogeneous:  # types without attributes, and their order
            for name in (*manifest.node_types, *manifest.edge_types):
                _ = data[name]
        for each in manifest.attributes:
            store = data if each.type is None else data[each.type]
            store[each.name] = self._value(each, take)
        return data

    def _value(self, attribute: Attribute, take: Any) -> Any:
        if attribute.file is None:
            return attribute.value
        path = self.path / attribute.file
        if attribute.dtype is None:
            return take(map_array(path))
        found = map_tensor(path, attribute.dtype)
        return take(found.t() if attribute.name == "edge_index" else found)

    def __reduce__(self) -> tuple[Any, tuple[Path]]:
        return GraphStore.open, (self.path,)

    def __repr__(self) -> str:
        manifest = self.manifest
        node = edge = ""
        if manifest.is_heterogeneous:
            node = f" of {len(manifest.node_types)} types"
            edge = f" of {len(manifest.edge_types)} types"
        return (
            f"GraphStore({str(self.path)!r}, {self.num_nodes:,} nodes{node}, {self.num_edges:,} "
            f"edges{edge}, {_readable(self.num_bytes)})"
        )


class StoredEmbedding(nn.Module):
    """Rows of nodes that lie in a store; see `GraphStore.embedding`.

    Only the rows that are asked for are read, and the state of the model does not hold them.

    Args:
        store: where they are.
        name: of the attribute.
        node_type: whose attribute.
    """

    def __init__(self, store: GraphStore, name: str, node_type: str | None) -> None:
        super().__init__()
        self.store, self.name, self.node_type = store, name, node_type

    def forward(self, n_id: Tensor) -> Tensor:
        """Rows ``[n, D]`` of nodes ``n_id [n]``, numbers in the whole graph (of their type)."""
        mapped = self.store.mapped
        table: Tensor = (mapped if self.node_type is None else mapped[self.node_type])[self.name]
        return table.index_select(0, n_id)

    def extra_repr(self) -> str:
        """What is read."""
        return f"{self.name!r} of {self.store!r}"


def _readable(num_bytes: int) -> str:
    size = float(num_bytes)
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB"
