"""Edges sorted by one of their ends, with memory that does not grow with their number.

The edges in the user's order become lists, one for each node: where the lists begin, and for each
entry the node at the other end and the number of the edge, in ascending order within a list. A
first pass counts; a second one deals the edges into buckets, which are ranges of nodes with about
`_AT_ONCE` edges and lie where their lists will; then each bucket is sorted by itself. A node with
more edges than that is a bucket of its own, and has nothing to sort.

Memory: some 100 bytes for each of `_AT_ONCE` edges, and 16 for each node.
"""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np

from glassgraph.data.arrays import Array, ArrayWriter

#: Edges that are looked at together.
_AT_ONCE = 1 << 21


def id_type(count: int) -> np.dtype[np.signedinteger]:
    """The smaller integers that can number so many things."""
    return np.dtype(np.int32 if count <= np.iinfo(np.int32).max else np.int64)


def write_sorted(
    edges: ArrayWriter, column: int, num_nodes: int, folder: Path, prefix: str
) -> None:
    """Write ``{prefix}_pointer [N + 1]``, ``{prefix}_other [E]`` and ``{prefix}_edge [E]``.

    Args:
        edges: ``[E, 2]`` source and destination of each edge.
        column: the end to sort by.
        num_nodes: number N of nodes.
        folder: where to.
        prefix: of the files' names.
    """
    pointer = _pointer(edges, column, num_nodes)
    with ArrayWriter(folder / f"{prefix}_pointer.npy", np.int64) as writer:
        writer.append(pointer)
    nodes, numbers = id_type(num_nodes), id_type(edges.num_rows)
    keys = folder / f"{prefix}_key.npy"
    with (
        ArrayWriter(keys, nodes) as key,
        ArrayWriter(folder / f"{prefix}_other.npy", nodes) as other,
        ArrayWriter(folder / f"{prefix}_edge.npy", numbers) as edge,
    ):
        files = (key, other, edge)
        for file in files:
            file.grow_to(edges.num_rows)
        bounds = _buckets(pointer)
        _deal(edges, column, pointer, bounds, files)
        _sort_buckets(pointer, bounds, files)
    keys.unlink()


def _pointer(edges: ArrayWriter, column: int, num_nodes: int) -> Array:
    """``[N + 1]`` where each node's list begins."""
    pointer = np.zeros(num_nodes + 1, np.int64)
    for _, chunk in edges.chunks(_AT_ONCE):
        pointer[1:] += np.bincount(chunk[:, column], minlength=num_nodes)
    return np.cumsum(pointer, out=pointer)


def _buckets(pointer: Array) -> Array:
    """First nodes of buckets, and the number of nodes as the last entry."""
    num_nodes = len(pointer) - 1
    even = np.searchsorted(pointer, np.arange(0, pointer[-1], _AT_ONCE), side="right") - 1
    large = np.flatnonzero(np.diff(pointer) > _AT_ONCE)
    return np.unique(np.concatenate([[0, num_nodes], even, large, large + 1]))


def _deal(
    edges: ArrayWriter, column: int, pointer: Array, bounds: Array, files: tuple[ArrayWriter, ...]
) -> None:
    """Put edges where their bucket lies, in the user's order within it."""
    cursor = pointer[bounds[:-1]].copy()
    for first, chunk in edges.chunks(_AT_ONCE):
        bucket = np.searchsorted(bounds, chunk[:, column], side="right") - 1
        order = np.argsort(bucket.astype(np.min_scalar_type(len(bounds))), kind="stable")
        columns = (chunk[order, column], chunk[order, 1 - column], first + order)
        count = np.bincount(bucket, minlength=len(cursor))
        start = np.cumsum(count) - count
        for number in np.flatnonzero(count):
            rows = slice(start[number], start[number] + count[number])
            for file, values in zip(files, columns, strict=True):
                file.write(int(cursor[number]), values[rows])
        cursor += count


def _sort_buckets(pointer: Array, bounds: Array, files: tuple[ArrayWriter, ...]) -> None:
    key, *others = files
    for low, high in itertools.pairwise(bounds):
        first, count = int(pointer[low]), int(pointer[high] - pointer[low])
        if high - low == 1 or count < 2:
            continue
        order = np.argsort(key.read(first, count), kind="stable")
        for file in others:
            file.write(first, file.read(first, count)[order])
