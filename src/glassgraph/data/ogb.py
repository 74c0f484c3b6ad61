"""Raw files of OGB's data sets for nodes: one graph in ``edge.csv.gz`` and what belongs to it.

A folder, or its subfolder ``raw``, has ``edge.csv.gz`` (two columns) and ``num-node-list.csv.gz``
(a number), and may have ``node-feat.csv.gz``, ``node-label.csv.gz``, ``node_year.csv.gz`` and
``edge-feat.csv.gz``. No file has names in its first line.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from glassgraph.data.arrays import Array
from glassgraph.data.edge_lists import Where, integers, numbers, read_table
from glassgraph.errors import StoreError

_EDGES, _COUNT = "edge.csv.gz", "num-node-list.csv.gz"
#: Attributes and their files.
NODE_FILES = {"x": "node-feat.csv.gz", "y": "node-label.csv.gz", "node_year": "node_year.csv.gz"}
EDGE_FILES = {"edge_attr": "edge-feat.csv.gz"}


def ogb_folder(source: object) -> Path | None:
    """The folder with the raw files, if that is what a source is."""
    if not isinstance(source, (str, Path)):
        return None
    return next((f for f in (Path(source), Path(source) / "raw") if (f / _EDGES).is_file()), None)


def count_nodes(folder: Path) -> int:
    """The number of nodes.

    Raises:
        StoreError: if the folder does not say, or holds several graphs.
    """
    if not (folder / _COUNT).is_file():
        raise StoreError(f"{folder} has no {_COUNT}; expected OGB's raw files of one graph")
    found = np.concatenate(list(_pieces(folder / _COUNT)))
    if found.shape != (1, 1):
        raise StoreError(
            f"{folder / _COUNT} counts the nodes of {len(found)} graphs; a store holds one: "
            "several graphs are explained from a list"
        )
    return int(found[0, 0])


def read_ends(folder: Path) -> Iterator[tuple[Array, dict[str, Array]]]:
    """Pieces ``[c, 2]`` of the edges."""
    where = Where(folder / _EDGES, 0)
    for batch in read_table(where.path, None, has_header=False):
        yield np.stack([integers(batch, each, where) for each in batch.schema.names[:2]], 1), {}
        where = Where(where.path, where.first + batch.num_rows)


def read_attribute(path: Path, name: str) -> Iterator[Array]:
    """Pieces ``[c, k]`` of an attribute, in single precision; years and edge features likewise."""
    for values in _pieces(path):
        is_double = values.dtype == np.float64
        found = values.astype(np.float32) if is_double else values
        yield found[:, 0] if name == "node_year" else found


def _pieces(path: Path) -> Iterator[Array]:
    first = 0
    for batch in read_table(path, None, has_header=False):
        yield numbers(batch, batch.schema.names, Where(path, first), may_lack=True)
        first += batch.num_rows
