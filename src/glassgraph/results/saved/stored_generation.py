"""Generated graphs in a folder: safetensors for graphs, Parquet for steps, JSON for the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch_geometric.data import Data

from glassgraph.errors import DamagedFileError, ExplanationFileError
from glassgraph.files import replacing, writing
from glassgraph.results.generated_graph import GeneratedGraph, Step
from glassgraph.results.saved.damage import READ_ERRORS, Damage, check_number
from glassgraph.results.saved.result_folder import ResultFolder, file_name, read_header

if TYPE_CHECKING:
    import pandas as pd

FORMAT = "glassgraph-model-explanation"
HEADER = "explanation.json"
_STEPS, _GRAPHS = "steps.parquet", "graphs.safetensors"
#: In the header of the table.
_NUM_ROWS = "num_rows"


def write_generated(
    folder: Path, about: dict[str, Any], graphs: Sequence[GeneratedGraph], steps: pd.DataFrame
) -> Path:
    """Write graphs.

    Args:
        folder: where to.
        about: what they explain, JSON-able.
        graphs: the graphs.
        steps: one row per step, as `ModelExplanation.trace` gives them.

    Raises:
        OutputError: if the folder cannot be written.
    """
    rows = [
        {
            "keeps_rules": graph.keeps_rules,
            "origin_probability": graph.origin_probability,
            "taken": graph.taken,
        }
        for graph in graphs
    ]
    target = ResultFolder(folder, HEADER, ("graphs", "steps"))
    try:
        target.begin()
        with writing(folder):
            with replacing(target.path(_GRAPHS)) as temporary:
                save_file(_tensors(graphs), temporary)
            steps.attrs[_NUM_ROWS] = len(steps)
            with replacing(target.path(_STEPS)) as temporary:
                steps.to_parquet(temporary, index=False)
            # The header comes last: no half folder is read.
            target.commit({"format": FORMAT, "format_version": 1, **about, "graphs": rows})
    finally:
        target.close()
    return folder


def _tensors(graphs: Sequence[GeneratedGraph]) -> dict[str, Tensor]:
    """All tensors, named ``graph|part|attribute``."""
    found: dict[str, Tensor] = {}
    for number, graph in enumerate(graphs):
        for part, data in (("data", graph.data), ("origin", graph.origin)):
            for name, value in data.to_dict().items():
                if isinstance(value, Tensor):
                    found[f"{number}|{part}|{name}"] = value
        found[f"{number}|probabilities|"] = graph.probabilities
    return {name: value.detach().cpu().contiguous().clone() for name, value in found.items()}


def read_generated(folder: Path) -> tuple[dict[str, Any], tuple[GeneratedGraph, ...]]:
    """What `write_generated` was given: ``about``, and the graphs.

    Raises:
        ExplanationFileError: if the folder is foreign or (`DamagedFileError`) damaged.
    """
    path = folder / HEADER
    if not path.is_file():
        raise ExplanationFileError(
            f"{folder} holds no {HEADER}; expected a folder written by ModelExplanation.save"
        )
    header = read_header(path, FORMAT)
    try:
        _check_header(header)
        return header, tuple(_graphs(folder, header))
    except (*READ_ERRORS, SafetensorError) as error:
        what = str(error) if isinstance(error, Damage) else f"{type(error).__name__}: {error}"
        raise DamagedFileError(
            f"{folder} is damaged ({what}); explain again, or restore the folder"
        ) from error


def _check_header(header: Mapping[str, Any]) -> None:
    types, graphs = header["node_types"], header["graphs"]
    if not isinstance(header["method"], str) or not isinstance(header["provenance"], dict):
        raise Damage("its header lacks method or provenance")
    if not isinstance(types, list) or not all(isinstance(name, str) for name in types):
        raise Damage(f"node_types is {types!r}")
    check_number("target", header["target"])
    if not isinstance(graphs, list):
        raise Damage(f"graphs is {graphs!r}")
    for each in graphs:
        if not isinstance(each, dict) or not isinstance(each["keeps_rules"], bool):
            raise Damage("graphs holds an entry without keeps_rules")
        check_number("taken", each["taken"])
        if not isinstance(each["origin_probability"], float):
            raise Damage(f"origin_probability is {each['origin_probability']!r}")


def _graphs(folder: Path, header: Mapping[str, Any]) -> list[GeneratedGraph]:
    import pandas as pd

    run = header.get("run", "")
    tensors = load_file(folder / file_name(_GRAPHS, run))
    steps = pd.read_parquet(folder / file_name(_STEPS, run))
    if steps.attrs.get(_NUM_ROWS, len(steps)) != len(steps):
        raise Damage(f"there are {len(steps)} steps, and {steps.attrs[_NUM_ROWS]} were written")
    own: dict[tuple[int, str], dict[str, Tensor]] = {}
    for key, value in tensors.items():
        which, part, name = key.split("|", 2)
        own.setdefault((int(which), part), {})[name] = value
    if {which for which, _ in own} != set(range(len(header["graphs"]))):
        raise Damage(f"its header names {len(header['graphs'])} graphs, its tensors others")
    columns = list(Step.__dataclass_fields__)
    graphs = []
    for number, about in enumerate(header["graphs"]):
        trace = steps[steps["graph"] == number][["step", *columns]]
        if trace["step"].tolist() != list(range(1, len(trace) + 1)):
            raise Damage(f"steps of graph {number} are missing")
        values = [trace[name].tolist() for name in columns]
        moves = tuple(Step(*row) for row in zip(*values, strict=True))
        origin = Data(**own[number, "origin"])
        origin.num_nodes = int(own[number, "origin"]["node_type"].numel())
        graph = GeneratedGraph(
            data=Data(**own[number, "data"]),
            probabilities=own[number, "probabilities"][""],
            origin=origin,
            steps=moves,
            **about,
        )
        _check_graph(number, graph, header)
        graphs.append(graph)
    return graphs


def _check_graph(number: int, graph: GeneratedGraph, header: Mapping[str, Any]) -> None:
    """Whether types, edges, moves and probabilities are within their ranges."""
    where, types = f"of graph {number}", len(header["node_types"])
    for data in (graph.data, graph.origin):
        kinds, ends = data["node_type"], data["edge_index"]
        _check_integers(f"node_type {where}", kinds, types)
        _check_integers(f"edge_index {where}", ends, int(kinds.numel()))
        if ends.dim() != 2 or ends.size(0) != 2:
            raise Damage(f"edge_index {where} has shape {tuple(ends.shape)}")
    chosen = graph.probabilities
    if chosen.dim() != 1 or header["target"] >= chosen.numel() or bool(chosen.isnan().any()):
        raise Damage(f"probabilities {where} are {chosen.tolist()}")
    if graph.taken > len(graph.steps):
        raise Damage(f"taken {where} is {graph.taken}, of {len(graph.steps)} steps")
    most = int(graph.origin["node_type"].numel()) + len(graph.steps)
    for step in graph.steps:
        check_number(f"a step's end {where}", step.end, most - 1)
        check_number(f"a step's start {where}", step.start, most - 1)
        check_number(f"a step's node type {where}", step.added + 1, types)
        if not isinstance(step.is_valid, bool) or not isinstance(step.is_accepted, bool):
            raise Damage(f"a step {where} is neither valid nor not")
        if not isinstance(step.probability, float) or not isinstance(step.reward, float):
            raise Damage(f"a step {where} has no probability or reward")


def _check_integers(name: str, value: Tensor, size: int) -> None:
    if value.is_floating_point() or value.dtype == torch.bool:
        raise Damage(f"{name} holds {value.dtype}, not integers")
    if value.numel() and not 0 <= int(value.min()) <= int(value.max()) < size:
        raise Damage(f"{name} is out of range")
