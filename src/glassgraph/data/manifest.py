"""What a folder holds that is a graph on disk: ``graph.json``, written last.

::

    {"format": "glassgraph-graph", "version": 1,
     "num_nodes": 5, "num_edges": 7,                    over all types
     "node_types": [null], "edge_types": [null],        [null] where nodes and edges have no types
     "node_offset": [0, 5], "edge_offset": [0, 7],      first flat number of each type
     "attributes": [{"type": null, "name": "x", "file": "node_x.npy", "dtype": "float32"},
                    {"type": null, "name": "title", "value": "..."}, ...],
     "files": {"node_x.npy": {"shape": [5, 3], "dtype": "<f4", "bytes": 188, "sha256": "..."}, ...}}
"""

from __future__ import annotations

import itertools
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from glassgraph.data.arrays import checksum, map_array
from glassgraph.data.checks import EdgeTypeName
from glassgraph.errors import StoreError
from glassgraph.files import parse_json

NAME = "graph.json"
FORMAT, VERSION = "glassgraph-graph", 1
#: Whose attributes: of a node type, of an edge type, or of the graph (homogeneous: of all three).
TypeName = str | EdgeTypeName | None


@dataclass(frozen=True)
class Attribute:
    """An attribute of the user's data.

    Attributes:
        type: the node or edge type it belongs to; None for the data object itself.
        name: its name.
        file: where it is; None for what stands in the manifest itself.
        dtype: torch's name of a tensor's type; None for a numpy array.
        value: words, numbers and lists of them.
    """

    type: TypeName
    name: str
    file: str | None = None
    dtype: str | None = None
    value: Any = None


@dataclass
class Manifest:
    """What a graph on disk consists of; see the module.

    Attributes:
        node_types: names of the node types, ``[None]`` for a graph without types.
        edge_types: of the edge types.
        node_offset: ``[T + 1]`` first flat number of each node type.
        edge_offset: ``[R + 1]`` first flat number of each edge type.
        attributes: of the data, in the user's order.
        files: shape, type, size and checksum of each file.
    """

    node_types: list[str | None]
    edge_types: list[EdgeTypeName | None]
    node_offset: list[int]
    edge_offset: list[int]
    attributes: list[Attribute]
    files: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def num_nodes(self) -> int:
        """Number N of nodes over all types."""
        return self.node_offset[-1]

    @property
    def num_edges(self) -> int:
        """Number E of edges over all types."""
        return self.edge_offset[-1]

    @property
    def is_heterogeneous(self) -> bool:
        """Whether nodes or edges have types."""
        return self.node_types != [None]

    def write(self, folder: Path) -> None:
        """Describe the files of a folder, and write it down beside them."""
        for path in sorted(folder.glob("*.npy")):
            array = map_array(path)
            self.files[path.name] = {
                "shape": list(array.shape),
                "dtype": array.dtype.str,
                "bytes": path.stat().st_size,
                "sha256": checksum(path),
            }
        found = {
            "format": FORMAT,
            "version": VERSION,
            "num_nodes": self.num_nodes,
            "num_edges": self.num_edges,
            **asdict(self),
        }
        (folder / NAME).write_text(json.dumps(found, indent=1), encoding="utf-8")

    @staticmethod
    def read(folder: Path) -> Manifest:
        """Read it, and see that the files are there in their sizes.

        Raises:
            StoreError: if the folder is no graph, of a later version, or damaged.
        """
        try:
            found = parse_json((folder / NAME).read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise StoreError(
                f"{folder} holds no {NAME}; expected a folder written by GraphStore.build"
            ) from None
        except (OSError, ValueError) as error:
            raise StoreError(f"{folder / NAME} cannot be read ({error}); build it again") from error
        if not isinstance(found, dict) or found.get("format") != FORMAT:
            raise StoreError(f"{folder / NAME} does not describe a graph; build it again")
        if found.get("version") != VERSION:
            raise StoreError(
                f"{folder} has version {found.get('version')!r} of the format, this Glassgraph "
                f"reads version {VERSION}; build it again, or use the Glassgraph that wrote it"
            )
        try:
            manifest = _parsed(found)
            for name in manifest.files:
                _check_file(folder, name, manifest.files[name])
        except (KeyError, TypeError, ValueError, OSError, AttributeError) as error:
            if isinstance(error, StoreError):
                raise
            raise StoreError(f"{folder} is damaged ({error}); build it again") from error
        return manifest


def _parsed(found: dict[str, Any]) -> Manifest:
    attributes = [Attribute(**each) for each in found["attributes"]]
    manifest = Manifest(
        node_types=list(found["node_types"]),
        edge_types=[_type(each) for each in found["edge_types"]],
        node_offset=[int(each) for each in found["node_offset"]],
        edge_offset=[int(each) for each in found["edge_offset"]],
        attributes=[Attribute(_type(a.type), a.name, a.file, a.dtype, a.value) for a in attributes],
        files=dict(found["files"]),
    )
    for offset, types in (
        (manifest.node_offset, manifest.node_types),
        (manifest.edge_offset, manifest.edge_types),
    ):
        if len(offset) != len(types) + 1 or any(a > b for a, b in itertools.pairwise(offset)):
            raise ValueError("its numbers of nodes and edges do not fit its types")
    needed = {"edges.npy", *(f"{a}_{b}.npy" for a in ("in", "out") for b in INDEX_FILES)}
    needed |= {each.file for each in manifest.attributes if each.file is not None}
    if missing := sorted(needed - manifest.files.keys()):
        raise ValueError(f"it lists no {missing[0]}")
    return manifest


#: Ends of the names of the files of an index.
INDEX_FILES = ("pointer", "other", "edge")


def _type(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _check_file(folder: Path, name: str, told: dict[str, Any]) -> None:
    """Whether a file has the size, shape and type that it had."""
    if Path(name).name != name:
        raise ValueError(f"it lists {name!r}, which is not a file of its own")
    path = folder / name
    if not path.is_file():
        raise StoreError(f"{folder} lacks {name}; build it again")
    size = path.stat().st_size
    if size != told["bytes"]:
        raise StoreError(f"{path} has {size} bytes, not {told['bytes']}; build it again")
    array = map_array(path)
    if list(array.shape) != told["shape"] or array.dtype != np.dtype(told["dtype"]):
        raise StoreError(f"{path} holds {array.dtype} {array.shape}; build it again")
