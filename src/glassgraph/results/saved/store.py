"""Explanations on disk: Parquet tables for scores, JSON for everything else.

A folder holds ``explanations.json`` (the header, rewritten after each part), for every part
``part-00000.instances.parquet``, ``.edges.parquet``, ``.nodes.parquet`` and, where there are walks,
``.walks.parquet``, and, unless it would be too large, the graph in ``graph.safetensors``. Each file
is written under another name and then moved into place, so a folder is readable at any moment,
whatever interrupts the writer. What replaces an earlier result has other names
(``part-1f0c93aa-00000...``) until it is whole, see `ResultFolder`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from typing_extensions import Self

from glassgraph.errors import DamagedFileError, ExplanationFileError
from glassgraph.files import replacing, writing
from glassgraph.inputs.graph import TypedGraph
from glassgraph.results.contents import Contents
from glassgraph.results.names import Names
from glassgraph.results.records import Part
from glassgraph.results.saved.damage import (
    READ_ERRORS,
    Damage,
    Sizes,
    check_header,
    check_part,
    check_parts,
)
from glassgraph.results.saved.result_folder import ResultFolder, file_name, read_header
from glassgraph.results.saved.resuming import Asked, refuse_differences
from glassgraph.results.saved.stored_graph import graph_from_tensors, graph_tensors
from glassgraph.results.saved.stored_names import named_provenance
from glassgraph.results.saved.stored_tables import part_tables, read_part

FORMAT = "glassgraph-explanations"
HEADER = "explanations.json"
_GRAPH = "graph.safetensors"
_STEMS = ("part", "graph")
#: A result that is replaced while it is read is read again.
_TRIES = 10
#: Graphs with more numbers than this are not stored beside their explanations.
_MAX_GRAPH_NUMBERS = 50_000_000


class Writer:
    """Writes explanations part by part; nobody else writes into the folder until it is closed.

    Args:
        folder: where to.
        contents: what is written, without its parts.
        include_graph: store the graph too.
        overwrite: whether a result that is there may be replaced.
        asked: what the run was asked for, by which it can be resumed.
        resume: go on with a run that was asked for the same; its parts are in ``finished``.

    Raises:
        OutputError: if the folder cannot be written, or is being written.
        ResumeError: if the run that is there was asked for something else.
        ExplanationFileError: if it is damaged.
    """

    def __init__(
        self,
        folder: Path,
        contents: Contents,
        *,
        include_graph: bool = True,
        overwrite: bool = True,
        asked: Asked | None = None,
        resume: bool = False,
    ) -> None:
        self._folder = ResultFolder(folder, HEADER, _STEMS, overwrite=overwrite)
        self.finished: list[Part] = []
        try:
            with writing(folder):
                if not (resume and asked is not None and self._resume(contents, asked)):
                    self._begin(contents, include_graph, asked)
        except BaseException:
            self._folder.close()
            raise

    @property
    def provenance(self) -> dict[str, Any]:
        """Of the run, also of one that was begun earlier."""
        found: dict[str, Any] = self._header["provenance"]
        return found

    @property
    def schedule(self) -> dict[str, Any]:
        """What `append` was told last."""
        found: dict[str, Any] = self._header.get("schedule", {})
        return found

    @property
    def is_replacing(self) -> bool:
        """Whether the folder still holds an earlier result."""
        return self._folder.is_replacing

    def append(self, part: Part, schedule: dict[str, Any] | None = None) -> None:
        """Write one more part.

        Args:
            part: the columns.
            schedule: what a run that is resumed has to know besides.
        """
        stem = f"part-{self._header['num_parts']:05d}"
        with writing(self._folder.folder):
            for name, frame in part_tables(part).items():
                with replacing(self._folder.path(f"{stem}.{name}.parquet")) as temporary:
                    frame.to_parquet(temporary, index=False)
            self._header["num_parts"] += 1
            if schedule is not None:
                self._header["schedule"] = schedule
            self._folder.write_header(self._header)

    def commit(self, *, is_complete: bool) -> None:
        """Make it the result that the folder holds."""
        self._header["is_complete"] = is_complete
        with writing(self._folder.folder):
            self._folder.commit(self._header)

    def close(self) -> None:
        """Let others write; without `commit` an earlier result stays."""
        self._folder.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _begin(self, contents: Contents, include_graph: bool, asked: Asked | None) -> None:
        self._folder.begin()
        self._header: dict[str, Any] = {
            "format": FORMAT,
            "format_version": 1,
            "method": contents.method,
            "level": contents.level,
            "num_layers": contents.num_layers,
            "node_types": contents.node_types,
            "edge_types": contents.edge_types,
            "provenance": contents.provenance,
            "is_complete": False,
            "num_parts": 0,
            "has_graph": False,
            **({} if asked is None else {"asked": asked}),
        }
        if include_graph and contents.graph is not None and contents.graph.store is None:
            self._header["has_graph"] = self._write_graph(contents.graph)
        if not self._header["has_graph"]:
            self._header["names"] = Names.read(contents).given()
        self._folder.write_header(self._header)

    def _resume(self, contents: Contents, asked: Asked) -> bool:
        """Take over the run that is there; False if there is none."""
        path = self._folder.resume()
        if path is None:
            return False
        self._header = _read_header(path)
        self.finished = list(_read(self._folder.folder, self._header, None).parts)
        refuse_differences(self._folder.folder, self._header, contents.provenance, asked)
        self._folder.remove_parts_from(len(self.finished))
        return True

    def _write_graph(self, graph: TypedGraph) -> bool:
        tensors = graph_tensors(graph)
        if sum(value.numel() for value in tensors.values()) > _MAX_GRAPH_NUMBERS:
            return False
        with replacing(self._folder.path(_GRAPH)) as temporary:
            save_file(tensors, temporary)
        return True


def write(contents: Contents, folder: Path, *, include_graph: bool, overwrite: bool = True) -> Path:
    """Write explanations; see `Explanations.save`."""
    with Writer(folder, contents, include_graph=include_graph, overwrite=overwrite) as writer:
        for part in contents.parts:
            writer.append(part)
        writer.commit(is_complete=contents.is_complete)
    return folder


def read(folder: Path, data: Any) -> Contents:
    """Read explanations; see `Explanations.load`."""
    given = None if data is None else TypedGraph.read(data)
    path = folder / HEADER
    for _ in range(_TRIES):
        stamp, header = _stamp(path), _read_header(path)
        found: Contents | DamagedFileError
        try:
            found = _read(folder, header, given)
        except DamagedFileError as error:
            found = error
        if stamp == _stamp(path) or _has_grown(header, _read_header(path)):
            break
    if isinstance(found, DamagedFileError):
        raise found
    return found


def _stamp(path: Path) -> tuple[int, ...]:
    """Changes when a file is replaced."""
    try:
        found = path.stat()
    except OSError:
        return ()
    return found.st_ino, found.st_mtime_ns, found.st_size


def _has_grown(header: dict[str, Any], again: dict[str, Any]) -> bool:
    """Whether a run has gone on, instead of being replaced by another."""
    grows = ("num_parts", "is_complete", "schedule")
    before, after = (
        {name: value for name, value in each.items() if name not in grows}
        for each in (header, again)
    )
    return header.get("is_complete") is False and before == after


def _read(folder: Path, header: dict[str, Any], given: TypedGraph | None) -> Contents:
    try:
        check_header(header)
        _check_files(folder, header)
        sizes = Sizes.of(header)
        parts = [read_part(stem) for stem in _part_stems(folder, header)]
        for part in parts:
            check_part(part, sizes)
        check_parts(parts, is_complete=header["is_complete"])
        contents = _contents(header, parts, given or _stored_graph(folder, header))
    except (*READ_ERRORS, SafetensorError) as error:
        what = str(error) if isinstance(error, Damage) else f"{type(error).__name__}: {error}"
        raise DamagedFileError(_damaged(folder, what)) from error
    _check_belongs(contents, folder, is_given=given is not None)
    return contents


def _damaged(folder: Path, what: str) -> str:
    return f"{folder} is damaged ({what}); explain again, or restore the folder"


def _part_stems(folder: Path, header: dict[str, Any]) -> Iterator[Path]:
    run = header.get("run", "")
    return (folder / file_name(f"part-{number:05d}", run) for number in range(header["num_parts"]))


def _check_files(folder: Path, header: dict[str, Any]) -> None:
    """Whether there are as many parts as the header says, and no more in a whole result."""
    number = header["num_parts"]

    def has(part: int) -> bool:
        name = file_name(f"part-{part:05d}.instances.parquet", header.get("run", ""))
        return (folder / name).is_file()

    if number and not has(number - 1):
        raise Damage(f"its header names {number} parts, and the last is missing")
    if header["is_complete"] and has(number):
        raise Damage(f"its header names {number} parts, and there are more")


def _contents(header: dict[str, Any], parts: list[Part], graph: TypedGraph | None) -> Contents:
    """The header's word on node and edge types gives way to the graph's own."""
    stored = [None if name is None else tuple(name) for name in header["edge_types"]]
    return Contents(
        method=str(header["method"]),
        level=str(header["level"]),
        num_layers=int(header["num_layers"]),
        provenance=named_provenance(header),
        parts=parts,
        is_complete=bool(header["is_complete"]),
        graph=graph,
        node_types=list(header["node_types"]) if graph is None else graph.node_types,
        edge_types=stored if graph is None else graph.edge_types,
    )


def _stored_graph(folder: Path, header: dict[str, Any]) -> TypedGraph | None:
    if not header["has_graph"]:
        return None
    path = folder / file_name(_GRAPH, header.get("run", ""))
    return TypedGraph.read(graph_from_tensors(load_file(path), header))


def _check_belongs(contents: Contents, folder: Path, *, is_given: bool) -> None:
    """Whether the graph is the one that was explained."""
    graph, expected = contents.graph, contents.provenance.get("graph", {})
    if graph is None:
        return
    for name in ("num_nodes", "num_edges", "num_graphs"):
        found = getattr(graph, name)
        if name not in expected or found == expected[name]:
            continue
        if not is_given:
            raise DamagedFileError(_damaged(folder, f"its graph has {found} {name[4:]}"))
        raise ExplanationFileError(
            f"{folder} explains a graph with {expected[name]} {name[4:]}, the data given have "
            f"{found}; pass the data that were explained"
        )
    for part in contents.parts:
        edge = part.edge.to(graph.device)
        for ends, own in ((graph.source, part.source), (graph.destination, part.destination)):
            if edge.numel() and not torch.equal(ends[edge].cpu(), own):
                what = "explains edges that run between other nodes than those of the graph"
                if not is_given:
                    raise DamagedFileError(_damaged(folder, f"it {what}"))
                raise ExplanationFileError(
                    f"{folder} {what} given; pass the data that were explained"
                )


def _read_header(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise ExplanationFileError(
            f"{path.parent} holds no {path.name}; expected a folder written by Explanations.save"
        )
    return read_header(path, FORMAT)
