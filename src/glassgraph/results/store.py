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

import numpy as np
import pandas as pd
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch_geometric.data import Data, HeteroData

from glassgraph.core.graph import TypedGraph
from glassgraph.errors import ExplanationFileError, OutputError
from glassgraph.results.explanation import Explanations, Part, Table

FORMAT = "glassgraph-explanations"
FORMAT_VERSION = 1
HEADER = "explanations.json"
_GRAPH = "graph.safetensors"
#: Graphs with more numbers than this are not stored beside their explanations.
_MAX_GRAPH_NUMBERS = 50_000_000
_INTEGERS = ("position", "index", "graph", "target", "contrast", "label")


class Writer:
    """Writes explanations part by part.

    Raises:
        OutputError: if the folder cannot be written.
    """

    def __init__(
        self, folder: Path, explanations: Explanations, *, include_graph: bool = True
    ) -> None:
        self._folder = folder
        self._header: dict[str, Any] = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "method": explanations.method,
            "level": explanations.level,
            "num_layers": explanations.num_layers,
            "node_types": explanations.node_types,
            "edge_types": explanations.edge_types,
            "provenance": explanations.provenance,
            "is_complete": False,
            "num_parts": 0,
            "has_graph": False,
        }
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for old in [folder / HEADER, folder / _GRAPH, *folder.glob("part-*.parquet")]:
                old.unlink(missing_ok=True)
            if include_graph and explanations.graph is not None:
                self._header["has_graph"] = self._write_graph(explanations.graph)
            self._write_header()
        except OSError as error:
            raise _cannot_write(folder, error) from error

    def append(self, part: Part) -> None:
        """Write one more part."""
        stem = f"part-{self._header['num_parts']:05d}"
        try:
            for name, frame in _tables(part).items():
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
        tensors = _graph_tensors(graph)
        if sum(value.numel() for value in tensors.values()) > _MAX_GRAPH_NUMBERS:
            return False
        temporary = self._folder / "graph.tmp"
        save_file(tensors, temporary)
        os.replace(temporary, self._folder / _GRAPH)
        return True


def save(explanations: Explanations, folder: Path, *, include_graph: bool) -> Path:
    """Write explanations; see `Explanations.save`."""
    writer = Writer(folder, explanations, include_graph=include_graph)
    for part in explanations.own_parts():
        writer.append(part)
    writer.close(is_complete=explanations.is_complete)
    return folder


def load(folder: Path, data: Any) -> Explanations:
    """Read explanations; see `Explanations.load`."""
    header = _read_header(folder)
    try:
        parts = [_read_part(folder, number) for number in range(int(header["num_parts"]))]
        graph = None
        if data is not None:
            graph = TypedGraph.read(data)
        elif header["has_graph"]:
            graph = TypedGraph.read(_read_graph(folder, header))
        explanations = Explanations(
            method=str(header["method"]),
            level=str(header["level"]),
            num_layers=int(header["num_layers"]),
            provenance=dict(header["provenance"]),
            parts=parts,
            is_complete=bool(header["is_complete"]),
            graph=graph,
            node_types=list(header["node_types"]),
            edge_types=[None if name is None else tuple(name) for name in header["edge_types"]],
        )
    except (OSError, KeyError, ValueError, TypeError, SafetensorError) as error:
        raise ExplanationFileError(
            f"{folder} is damaged ({type(error).__name__}: {error}); explain again, or restore "
            "the folder"
        ) from error
    _check_belongs(explanations, folder)
    return explanations


def _check_belongs(explanations: Explanations, folder: Path) -> None:
    graph, expected = explanations.graph, explanations.provenance.get("graph", {})
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


def _tables(part: Part) -> dict[str, pd.DataFrame]:
    instances = pd.DataFrame({name: getattr(part, name).numpy() for name in _INTEGERS})
    instances["prediction"] = list(part.prediction.numpy())
    instances["seed"] = list(part.seed.numpy())
    if part.total is not None:
        instances["total"] = part.total.numpy()
    edges = pd.DataFrame(
        {
            "instance": part.edge_instance.numpy(),
            "edge": part.edge.numpy(),
            "source": part.source.numpy(),
            "destination": part.destination.numpy(),
        }
    )
    if part.edge_score is not None:
        edges["score"] = part.edge_score.numpy()
    if part.layer_edge_score is not None:
        for layer, score in enumerate(part.layer_edge_score):
            edges[f"layer_{layer}"] = score.numpy()
    nodes = pd.DataFrame({"instance": part.node_instance.numpy(), "node": part.node.numpy()})
    if part.node_score is not None:
        nodes["score"] = part.node_score.numpy()
    if part.feature_score is not None:
        nodes["features"] = list(part.feature_score.numpy())
    tables = {"instances": instances, "edges": edges, "nodes": nodes}
    if part.walk is not None and part.walk_instance is not None and part.walk_score is not None:
        walks = pd.DataFrame({"instance": part.walk_instance.numpy()})
        for position, node in enumerate(part.walk.unbind(1)):
            walks[f"node_{position}"] = node.numpy()
        walks["score"] = part.walk_score.numpy()
        tables["walks"] = walks
    for name, table in part.tables.items():
        columns = {"instance": table.instance.numpy()}
        columns |= {f"node:{key}": value.numpy() for key, value in table.nodes.items()}
        frame = pd.DataFrame(columns)
        for key, value in table.values.items():
            frame[key] = value.numpy() if value.dim() == 1 else list(value.numpy())
        tables[f"table-{name}"] = frame
    return tables


def _read_tables(stem: Path) -> dict[str, Table]:
    """What `_tables` wrote of a part's further tables."""
    found = {}
    start, ending = f"{stem.name}.table-", ".parquet"
    for path in sorted(stem.parent.glob(f"{start}*{ending}")):
        frame = pd.read_parquet(path)
        columns = {name: _column(frame, name) for name in frame.columns}
        instance = columns.pop("instance")
        nodes = {name[5:]: columns.pop(name) for name in list(columns) if name[:5] == "node:"}
        found[path.name[len(start) : -len(ending)]] = Table(instance, nodes, columns)
    return found


def _column(frame: pd.DataFrame, name: str) -> Tensor:
    """A column of numbers, or of arrays of one shape."""
    if len(frame) and isinstance(frame[name].iloc[0], np.ndarray):
        return torch.from_numpy(np.stack(frame[name].tolist()))
    return torch.from_numpy(frame[name].to_numpy().copy())


def _read_part(folder: Path, number: int) -> Part:
    stem = folder / f"part-{number:05d}"
    frames = {
        name: pd.read_parquet(f"{stem}.{name}.parquet") for name in ("instances", "edges", "nodes")
    }
    instances, edges, nodes = frames["instances"], frames["edges"], frames["nodes"]

    def column(frame: pd.DataFrame, name: str) -> Tensor:
        return torch.from_numpy(frame[name].to_numpy().copy())

    def matrix(frame: pd.DataFrame, name: str) -> Tensor:
        rows = frame[name].tolist()
        return torch.from_numpy(np.stack(rows)) if rows else torch.zeros(0, 0)

    layers = [name for name in edges.columns if name.startswith("layer_")]
    walks = {}
    if Path(f"{stem}.walks.parquet").exists():
        frame = pd.read_parquet(f"{stem}.walks.parquet")
        trail = [column(frame, name) for name in frame.columns if name.startswith("node_")]
        walks = {
            "walk_instance": column(frame, "instance"),
            "walk": torch.stack(trail, dim=1),
            "walk_score": column(frame, "score"),
        }
    return Part(
        **{name: column(instances, name) for name in _INTEGERS},
        prediction=matrix(instances, "prediction"),
        seed=matrix(instances, "seed").long(),
        node_instance=column(nodes, "instance"),
        node=column(nodes, "node"),
        edge_instance=column(edges, "instance"),
        edge=column(edges, "edge"),
        source=column(edges, "source"),
        destination=column(edges, "destination"),
        edge_score=column(edges, "score") if "score" in edges else None,
        layer_edge_score=(
            torch.stack([column(edges, name) for name in layers]) if layers else None
        ),
        node_score=column(nodes, "score") if "score" in nodes else None,
        feature_score=matrix(nodes, "features") if "features" in nodes else None,
        total=column(instances, "total") if "total" in instances else None,
        **walks,
        tables=_read_tables(stem),
    )


def _graph_tensors(graph: TypedGraph) -> dict[str, Tensor]:
    """All tensors of the user's graph(s), named ``graph|store|attribute``."""
    found: dict[str, Tensor] = {}
    graphs = [graph.single(number) for number in range(graph.num_graphs)]
    for number, data in enumerate(graphs if graph.is_split else [graph.data]):
        stores: list[tuple[str, Any]] = [("", data)]
        sizes = {"": data.num_nodes}
        if graph.is_heterogeneous:
            stores = [(name, data[name]) for name in data.node_types]
            sizes = {name: store.num_nodes for name, store in stores}
            stores += [("__".join(name), data[name]) for name in data.edge_types]
        for name, store in stores:
            for attribute, value in store.items():
                if isinstance(value, Tensor):
                    plain = value.detach().cpu().contiguous().clone()
                    found[f"{number}|{name}|{attribute}"] = plain
        for name, size in sizes.items():
            found[f"{number}|{name}|num_nodes"] = torch.tensor(int(size or 0))
    return found


def _read_graph(folder: Path, header: dict[str, Any]) -> Any:
    tensors = load_file(folder / _GRAPH)
    is_typed = list(header["node_types"]) != [None]
    graphs: dict[int, Any] = {}
    for key, value in tensors.items():
        number, name, attribute = key.split("|", 2)
        data = graphs.setdefault(int(number), HeteroData() if is_typed else Data())
        entry: Any = value if attribute != "num_nodes" else int(value)
        if not name:
            data[attribute] = entry
        elif "__" in name:
            data[tuple(name.split("__"))][attribute] = entry
        else:
            data[name][attribute] = entry
    ordered = [graphs[number] for number in sorted(graphs)]
    summary = header["provenance"].get("graph", {})
    if is_typed:
        ordered = [_in_order(data, header) for data in ordered]
    return ordered if "node_start" in summary or len(ordered) > 1 else ordered[0]


def _in_order(data: Any, header: dict[str, Any]) -> Any:
    """Restore the order of node and edge types, which flat numbers depend on."""
    ordered: Any = HeteroData()
    for name in header["node_types"]:
        for key, value in data[name].items():
            ordered[name][key] = value
    for name in header["edge_types"]:
        for key, value in data[tuple(name)].items():
            ordered[tuple(name)][key] = value
    return ordered


def _cannot_write(folder: Path, error: OSError) -> OutputError:
    reason = error.strerror or str(error)
    return OutputError(f"{folder} cannot be written ({reason}); choose another output folder")
