"""Explanations on disk: Parquet tables for scores, JSON for everything else.

A folder holds ``explanations.json`` (the header, rewritten after each part), for every part
``part-00000.instances.parquet``, ``.edges.parquet``, ``.nodes.parquet`` and, where there are walks,
``.walks.parquet``, and, unless it would be too large, the graph in ``graph.safetensors``. Each file
is written under another name and then moved into place, so a folder is readable at any moment,
whatever interrupts the writer.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from glassgraph.core.graph import TypedGraph
from glassgraph.errors import ExplanationFileError, OutputError
from glassgraph.results.contents import Contents
from glassgraph.results.records import Part
from glassgraph.results.stored_graph import graph_from_tensors, graph_tensors
from glassgraph.results.stored_tables import part_tables, read_part

FORMAT = "glassgraph-explanations"
FORMAT_VERSION = 1
HEADER = "explanations.json"
_GRAPH = "graph.safetensors"
#: Graphs with more numbers than this are not stored beside their explanations.
_MAX_GRAPH_NUMBERS = 50_000_000


class Writer:
    """Writes explanations part by part.

    Raises:
        OutputError: if the folder cannot be written.
    """

    def __init__(self, folder: Path, contents: Contents, *, include_graph: bool = True) -> None:
        self._folder = folder
        self._header: dict[str, Any] = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "method": contents.method,
            "level": contents.level,
            "num_layers": contents.num_layers,
            "node_types": contents.node_types,
            "edge_types": contents.edge_types,
            "provenance": contents.provenance,
            "is_complete": False,
            "num_parts": 0,
            "has_graph": False,
        }
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for old in [folder / HEADER, folder / _GRAPH, *folder.glob("part-*.parquet")]:
                old.unlink(missing_ok=True)
            if include_graph and contents.graph is not None:
                self._header["has_graph"] = self._write_graph(contents.graph)
            self._write_header()
        except OSError as error:
            raise _cannot_write(folder, error) from error

    def append(self, part: Part) -> None:
        """Write one more part."""
        stem = f"part-{self._header['num_parts']:05d}"
        try:
            for name, frame in part_tables(part).items():
                path = self._folder / f"{stem}.{name}.parquet"
                temporary = path.with_suffix(".tmp")
                frame.to_parquet(temporary, index=False)
                os.replace(temporary, path)
            self._header["num_parts"] += 1
            self._write_header()
        except OSError as error:
            raise _cannot_write(self._folder, error) from error

    def close(self, *, is_complete: bool) -> None:
        """Mark the set as complete."""
        self._header["is_complete"] = is_complete
        try:
            self._write_header()
        except OSError as error:
            raise _cannot_write(self._folder, error) from error

    def _write_header(self) -> None:
        path = self._folder / HEADER
        temporary = path.with_suffix(".tmp")
        temporary.write_text(json.dumps(self._header, indent=1), encoding="utf-8")
        os.replace(temporary, path)

    def _write_graph(self, graph: TypedGraph) -> bool:
        tensors = graph_tensors(graph)
        if sum(value.numel() for value in tensors.values()) > _MAX_GRAPH_NUMBERS:
            return False
        temporary = self._folder / "graph.tmp"
        save_file(tensors, temporary)
        os.replace(temporary, self._folder / _GRAPH)
        return True


def write(contents: Contents, folder: Path, *, include_graph: bool) -> Path:
    """Write explanations; see `Explanations.save`."""
    writer = Writer(folder, contents, include_graph=include_graph)
    for part in contents.parts:
        writer.append(part)
    writer.close(is_complete=contents.is_complete)
    return folder


def read(folder: Path, data: Any) -> Contents:
    """Read explanations; see `Explanations.load`."""
    header = _read_header(folder)
    try:
        parts = [
            read_part(folder / f"part-{number:05d}") for number in range(int(header["num_parts"]))
        ]
        contents = _contents(header, parts, _graph(folder, header, data))
    except (OSError, KeyError, ValueError, TypeError, SafetensorError) as error:
        raise ExplanationFileError(
            f"{folder} is damaged ({type(error).__name__}: {error}); explain again, or restore "
            "the folder"
        ) from error
    _check_belongs(contents, folder)
    return contents


def _contents(header: dict[str, Any], parts: list[Part], graph: TypedGraph | None) -> Contents:
    """The header's word on node and edge types gives way to the graph's own."""
    stored = [None if name is None else tuple(name) for name in header["edge_types"]]
    return Contents(
        method=str(header["method"]),
        level=str(header["level"]),
        num_layers=int(header["num_layers"]),
        provenance=dict(header["provenance"]),
        parts=parts,
        is_complete=bool(header["is_complete"]),
        graph=graph,
        node_types=list(header["node_types"]) if graph is None else graph.node_types,
        edge_types=stored if graph is None else graph.edge_types,
    )


def _graph(folder: Path, header: dict[str, Any], data: Any) -> TypedGraph | None:
    """The graph that the user gives, or else the one that was stored."""
    if data is not None:
        return TypedGraph.read(data)
    if not header["has_graph"]:
        return None
    return TypedGraph.read(graph_from_tensors(load_file(folder / _GRAPH), header))


def _check_belongs(contents: Contents, folder: Path) -> None:
    graph, expected = contents.graph, contents.provenance.get("graph", {})
    if graph is None:
        return
    for name in ("num_nodes", "num_edges", "num_graphs"):
        if name in expected and getattr(graph, name) != expected[name]:
            raise ExplanationFileError(
                f"{folder} explains a graph with {expected[name]} {name[4:]}, the data given have "
                f"{getattr(graph, name)}; pass the data that were explained"
            )


def _read_header(folder: Path) -> dict[str, Any]:
    path = folder / HEADER
    if not path.is_file():
        raise ExplanationFileError(
            f"{folder} holds no {HEADER}; expected a folder written by Explanations.save"
        )
    try:
        header = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ExplanationFileError(f"{path} is damaged: {error}") from error
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise ExplanationFileError(f"{path} was not written by Glassgraph")
    if header.get("format_version") != FORMAT_VERSION:
        raise ExplanationFileError(
            f"{path} has format version {header.get('format_version')}; this version of "
            f"Glassgraph reads {FORMAT_VERSION}"
        )
    return header


def _cannot_write(folder: Path, error: OSError) -> OutputError:
    reason = error.strerror or str(error)
    return OutputError(f"{folder} cannot be written ({reason}); choose another output folder")
