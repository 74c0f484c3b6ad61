"""Bring your own graphs: files of plain tensors, which no reader has to trust.

Two forms, told apart by the suffix:

- `.pt`: `torch.save` of a dict of tensors, or a list of such dicts, one per graph. The keys become
  attributes of the graph: `edge_index` is required, `x`, `y`, `edge_attr`, `edge_weight`,
  `edge_type`, `batch` and others are optional. Heterogeneous graphs are nested dicts, as
  `HeteroData.to_dict()` gives them. PyG's own `Data` and `HeteroData`, as `torch.save(data)` writes
  them, are read too. Read with `weights_only=True`, so a file cannot run code.
- `.safetensors`, with a `.json` beside it that says which tensor is which attribute.

Values are tensors, numbers, strings, None, or lists of them.
"""

import json
import pickle
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch_geometric.data import Data, HeteroData
from torch_geometric.data.data import DataEdgeAttr, DataTensorAttr
from torch_geometric.data.storage import BaseStorage, EdgeStorage, GlobalStorage, NodeStorage

from glassgraph.datasets.base import check_graph
from glassgraph.datasets.file_kinds import kind_of_content, kind_of_file
from glassgraph.errors import DatasetError
from glassgraph.files import parse_json, replace_text, replacing

FORMAT = "glassgraph-graphs-1"
#: What a pickled `Data` consists of: holders of attributes, none of which runs code of the file.
_PYG: list[Any] = [Data, HeteroData, DataEdgeAttr, DataTensorAttr]
_PYG += [BaseStorage, EdgeStorage, GlobalStorage, NodeStorage]
_SUFFIXES = (".pt", ".safetensors")

WHAT_IS_READ = (
    "Graphs are read from .pt (torch.save of a Data or HeteroData, of a dict with edge_index and x "
    "or num_nodes, or of a list of these) and .safetensors (glassgraph.datasets.save_graphs)."
)
HOW_TO_SAVE = (
    "Save plain tensors instead: glassgraph.datasets.save_graphs(graphs, path), or "
    "torch.save([graph.to_dict() for graph in graphs], path)."
)


def load_graphs(path: str | Path) -> list[Data | HeteroData]:
    """Read graphs from a `.pt` or `.safetensors` file.

    Args:
        path: The file; a `.safetensors` file needs the `.json` of the same name beside it.

    Returns:
        One `Data` or `HeteroData` per graph.

    Raises:
        DatasetError: if the file is missing, damaged, holds pickled objects, or holds no valid
            graphs.
    """
    path = Path(path)
    if path.is_dir():
        raise DatasetError(f"{path} is a folder, not a file of graphs. {WHAT_IS_READ}")
    if not path.is_file() and path.suffix in _SUFFIXES:
        raise DatasetError(f"no file of graphs at {path}")
    read = _by_suffix(path, _read_pt, _read_safetensors)
    mappings = read(path)
    if not mappings:
        raise DatasetError(f"{path} holds no graphs: its list is empty. {WHAT_IS_READ}")
    return [_graph(mapping, f"{path}: graph {i}") for i, mapping in enumerate(mappings)]


def save_graphs(graphs: Sequence[Data | HeteroData] | Data | HeteroData, path: str | Path) -> Path:
    """Write graphs as plain tensors, so that `load_graphs` gives them back.

    Args:
        graphs: One graph or a sequence of them.
        path: A `.pt` file, or a `.safetensors` file, which gets a `.json` beside it.

    Returns:
        The path.

    Raises:
        DatasetError: if the suffix is unknown, an attribute is no plain value, or writing fails.
    """
    path = Path(path)
    write = _by_suffix(path, _write_pt, _write_safetensors)
    if isinstance(graphs, Data | HeteroData):
        graphs = [graphs]
    mappings = [graph.to_dict() for graph in graphs]
    for number, mapping in enumerate(mappings):
        _check_plain(mapping, f"graph {number}")
    try:
        write(mappings, path)
    except (OSError, RuntimeError, SafetensorError) as error:
        raise DatasetError(f"cannot write {path}: {error}") from error
    return path


def _by_suffix(
    path: Path, for_pt: Callable[..., Any], for_safetensors: Callable[..., Any]
) -> Callable[..., Any]:
    known = dict(zip(_SUFFIXES, (for_pt, for_safetensors), strict=True))
    if path.suffix not in known:
        found = f"; it is {kind_of_file(path)}" if path.is_file() else ""
        raise DatasetError(
            f"{path} must end in .pt or .safetensors, got {path.suffix!r}{found}. {WHAT_IS_READ}"
        )
    return known[path.suffix]


def _read_pt(path: Path) -> list[Any]:
    content = _load(path)
    entries = list(content) if isinstance(content, list | tuple) else [content]
    for number, entry in enumerate(entries):
        if isinstance(entry, Data | HeteroData):
            entries[number] = entry.to_dict()
        elif not isinstance(entry, dict):
            where = f"entry {number} is" if isinstance(content, list | tuple) else "it holds"
            raise DatasetError(
                f"{path}: {where} {kind_of_content(entry)}, not a dict of tensors. {WHAT_IS_READ}"
            )
        elif "edge_index" not in entry and entry and not _is_nested(entry):
            raise DatasetError(
                f"{path}: graph {number}: edge_index is missing; it is {kind_of_content(entry)}. "
                f"{WHAT_IS_READ}"
            )
    return entries


def _load(path: Path) -> Any:
    """What `torch.save` wrote.

    Raises:
        DatasetError: saying what the file is instead.
    """
    try:
        with warnings.catch_warnings():  # torch's remark on a pickle that it then refuses
            warnings.filterwarnings("ignore", message="Detected pickle protocol")
            with torch.serialization.safe_globals(_PYG):
                return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a foreign file makes of torch's reader
        kind = kind_of_file(path)
        if isinstance(error, pickle.UnpicklingError) and "pickle" in kind:
            raise DatasetError(
                f"{path} holds pickled objects ({kind}), which are not loaded because unpickling "
                f"can run code. {HOW_TO_SAVE}"
            ) from error
        raise DatasetError(
            f"{path} is no readable torch file: it is {kind}. {WHAT_IS_READ}"
        ) from error


def _is_nested(mapping: Mapping[Any, Any]) -> bool:
    """Whether it looks like a heterogeneous graph, which is checked as such."""
    return any(isinstance(value, Mapping) for value in mapping.values())


def _write_pt(mappings: list[Any], path: Path) -> None:
    with replacing(path) as temporary:
        torch.save([_detached(mapping) for mapping in mappings], temporary)


def _detached(value: Any) -> Any:
    """Tensors without their graph or the rest of their storage."""
    if isinstance(value, Tensor):
        return value.detach().cpu().clone()
    if isinstance(value, Mapping):
        return {key: _detached(entry) for key, entry in value.items()}
    return value


def _read_safetensors(path: Path) -> list[Any]:
    beside = path.with_suffix(".json")
    if not beside.is_file():
        raise DatasetError(f"{path} needs {beside.name} beside it, which names its tensors")
    try:
        tensors = load_file(path)
        description = parse_json(beside.read_text(encoding="utf-8"))
        if description["format"] != FORMAT:
            raise DatasetError(f"{beside}: format is {description['format']!r}, not {FORMAT!r}")
        return [_from_json(graph, tensors) for graph in description["graphs"]]
    except (OSError, SafetensorError, ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, DatasetError):
            raise
        raise DatasetError(f"{path} and {beside.name} do not describe graphs: {error!r}") from error


def _write_safetensors(mappings: list[Any], path: Path) -> None:
    tensors: dict[str, Tensor] = {}
    graphs = [_to_json(mapping, f"{number}", tensors) for number, mapping in enumerate(mappings)]
    with replacing(path) as temporary:
        save_file(tensors, temporary)
    description = json.dumps({"format": FORMAT, "graphs": graphs}, indent=1)
    replace_text(path.with_suffix(".json"), description)


def _to_json(value: Any, name: str, tensors: dict[str, Tensor]) -> Any:
    """A mapping as a list of pairs (an edge type's key is a tuple), a tensor as its name."""
    if isinstance(value, Tensor):
        while name in tensors:  # keys may hold the signs that join them
            name += "'"
        tensors[name] = value.detach().cpu().clone(memory_format=torch.contiguous_format)
        return {"tensor": name}
    if isinstance(value, Mapping):
        pairs = []
        for key, entry in value.items():
            text = "-".join(key) if isinstance(key, tuple) else str(key)
            pairs.append([key, _to_json(entry, f"{name}/{text}", tensors)])
        return {"mapping": pairs}
    return {"value": value}


def _from_json(value: Any, tensors: dict[str, Tensor]) -> Any:
    if "tensor" in value:
        return tensors[value["tensor"]]
    if "mapping" in value:
        pairs = value["mapping"]
        return {
            tuple(key) if isinstance(key, list) else key: _from_json(entry, tensors)
            for key, entry in pairs
        }
    return value["value"]


def _check_plain(value: Any, where: str) -> None:
    if isinstance(value, Mapping):
        for key, entry in value.items():
            _check_plain(entry, f"{where}: {key}")
    elif isinstance(value, list | tuple):
        for entry in value:
            if isinstance(entry, Tensor):
                raise DatasetError(f"{where} is a list of tensors; stack or pad them to one tensor")
            _check_plain(entry, where)
    elif value is not None and not isinstance(value, Tensor | bool | int | float | str):
        raise DatasetError(
            f"{where} is a {type(value).__name__}; only tensors, numbers, strings and lists of "
            "numbers or strings can be saved"
        )


def _graph(mapping: Any, where: str) -> Data | HeteroData:
    if not isinstance(mapping, Mapping):
        raise DatasetError(f"{where} is a {type(mapping).__name__}, not a dict of tensors")
    _check_plain(mapping, where)
    if any(isinstance(value, Mapping) for value in mapping.values()):
        return _heterogeneous(mapping, where)
    if not all(isinstance(key, str) for key in mapping):
        raise DatasetError(f"{where}: keys must be strings, got {list(mapping)}")
    if "edge_index" not in mapping:
        raise DatasetError(f"{where}: edge_index is missing; got {sorted(mapping)}. {WHAT_IS_READ}")
    if "x" not in mapping and "num_nodes" not in mapping:
        raise DatasetError(f"{where}: needs x or num_nodes, or isolated nodes would get lost")
    graph = Data.from_dict(dict(mapping))
    check_graph(graph, where)
    return graph


def _heterogeneous(mapping: Mapping[Any, Any], where: str) -> HeteroData:
    edge_types = [key for key in mapping if isinstance(key, tuple)]
    if not edge_types or any(len(key) != 3 for key in edge_types):
        raise DatasetError(
            f"{where}: a heterogeneous graph needs edges under keys such as "
            f"('user', 'buys', 'item'), got {list(mapping)}"
        )
    graph = HeteroData.from_dict(dict(mapping))
    for source, relation, target in edge_types:
        name = (source, relation, target)
        if "edge_label_index" in graph[name] and "edge_index" not in graph[name]:
            continue  # links to predict, along which nothing is sent
        edge_index = graph[name].get("edge_index")
        if not isinstance(edge_index, Tensor) or edge_index.dtype != torch.long:
            raise DatasetError(f"{where}: {name} needs edge_index of int64 [2, E]")
        if edge_index.dim() != 2 or edge_index.shape[0] != 2:
            raise DatasetError(
                f"{where}: edge_index of {name} must be [2, E], got {list(edge_index.shape)}"
            )
        for row, node_type in zip(edge_index, (source, target), strict=True):
            size = graph[node_type].num_nodes if node_type in graph.node_types else None
            if size is None:
                raise DatasetError(f"{where}: node type {node_type!r} of {name} has no nodes")
            if row.numel() and not 0 <= int(row.min()) <= int(row.max()) < size:
                raise DatasetError(
                    f"{where}: edge_index of {name} must lie in [0, {size}) for {node_type!r}, "
                    f"got values from {int(row.min())} to {int(row.max())}"
                )
    return graph
