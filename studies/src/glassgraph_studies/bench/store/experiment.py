"""Random graphs are built in processes of their own, for their peaks of memory, then explained.

Random directed graphs with ten edges a node, three layers of width 64, eight classes. All are built
before any is explained, and they are explained in turns, so that a busy hour of the machine is not
taken for the size of a graph. CPU time is of one thread. Private memory is what the
process has written to: pages of the graph are shared with others that read it.
"""

from __future__ import annotations

import multiprocessing
import resource
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import nn
from torch_geometric.nn import GCN, GraphSAGE

import glassgraph as gg
from glassgraph.data import GraphStore
from glassgraph_studies.bench.watch import private
from glassgraph_studies.timing import num_threads, peak_megabytes

WIDTH, _CLASSES, _LAYERS, DEGREE = 64, 8, 3, 10
_EDGES_AT_ONCE = 1_000_000
_BUDGET = 1 << 29


def run_store_bench(
    models: Sequence[str] = ("gcn", "sage"),
    nodes: Sequence[int] = (1_000_000,),
    features: int = 64,
    explained: int = 300,
    repeats: int = 1,
    seed: int = 0,
    tabulate: bool = True,
    graph: Path | None = None,
) -> Iterator[dict[str, Any]]:
    """Build graphs once, and explain nodes of them with each model.

    Args:
        models: ``"gcn"`` or ``"sage"``.
        nodes: of each graph.
        features: of a node.
        explained: how many nodes.
        repeats: how often, in turns; medians are told.
        seed: of graphs, models and nodes.
        tabulate: compute what layers derive from the graph once, before.
        graph: a folder with a graph of an earlier run or of `run_engine_bench`, explained as it is.

    Yields:
        A row for each model and graph.
    """
    with tempfile.TemporaryDirectory() as folder:
        places: list[tuple[Path, dict[str, Any]]] = []
        if graph is None:
            for size in nodes:
                place = Path(folder) / str(size)
                place.mkdir()
                write_edges(place, size, features, seed)
                places.append((place, _alone(_build, place)))
                for file in ("edges.parquet", "x.npy"):
                    (place / file).unlink()
        else:
            places.append((graph, {}))
        for name in models:
            turns = [
                [_alone(_explain, place, name, explained, seed, tabulate) for place, _ in places]
                for _ in range(repeats)
            ]
            found = [_medians(rows) for rows in zip(*turns, strict=True)]
            for (_, built), row in zip(places, found, strict=True):
                growth = row["cpu_ms_per_node"] / found[0]["cpu_ms_per_node"]
                yield {"model": name, **built, **row, "growth": growth}


def _medians(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: statistics.median(row[name] for row in rows) for name in rows[0]}


def write_edges(folder: Path, nodes: int, features: int, seed: int) -> None:
    """``edges.parquet`` and ``x.npy`` of a random graph, piece by piece."""
    draw = np.random.default_rng(seed)
    schema = pa.schema([("source", pa.int64()), ("destination", pa.int64())])
    with pq.ParquetWriter(folder / "edges.parquet", schema) as writer:
        for first in range(0, DEGREE * nodes, _EDGES_AT_ONCE):
            size = min(_EDGES_AT_ONCE, DEGREE * nodes - first)
            ends = draw.integers(0, nodes, (2, size))
            writer.write_table(pa.table({"source": ends[0], "destination": ends[1]}, schema))
    shape = (nodes, features)
    x = np.lib.format.open_memmap(folder / "x.npy", "w+", dtype=np.float32, shape=shape)
    for first in range(0, nodes, _EDGES_AT_ONCE):
        part = x[first : first + _EDGES_AT_ONCE]
        part[:] = draw.standard_normal(part.shape, dtype=np.float32)
    x.flush()


def _alone(run: Any, *arguments: Any) -> dict[str, Any]:
    """What a function returns in a process of its own."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_send, args=(theirs, run, *arguments))
    process.start()
    theirs.close()
    try:
        found: dict[str, Any] = ours.recv()
    except EOFError as error:
        process.join()
        raise RuntimeError(f"{run.__name__} ended with code {process.exitcode}") from error
    process.join()
    return found


def _send(pipe: Connection, run: Any, *arguments: Any) -> None:
    with num_threads(1):
        pipe.send(run(*arguments))


def _build(folder: Path) -> dict[str, Any]:
    start = time.perf_counter()
    GraphStore.build(folder / "edges.parquet", folder / "graph", nodes={"x": folder / "x.npy"})
    taken = time.perf_counter() - start
    size = sum(path.stat().st_size for path in (folder / "graph").rglob("*") if path.is_file())
    return {"build_s": taken, "build_peak_mb": peak_megabytes(), "disk_mb": size / 1e6}


def _explain(folder: Path, name: str, explained: int, seed: int, tabulate: bool) -> dict[str, Any]:
    store = GraphStore.open(folder / "graph")
    features = store.mapped.x.size(1)
    explainer = gg.EdgeGradients(
        make_model(name, features, seed), "node", memory_budget=_BUDGET, progress=False
    )
    begin = _cpu_seconds()
    if tabulate:
        explainer.tabulate(store)
    middle = _cpu_seconds()
    drawn = np.random.default_rng(seed).choice(store.num_nodes, explained, replace=False)
    explainer.explain(store, index=torch.from_numpy(drawn))
    end = _cpu_seconds()
    return {
        "nodes": store.num_nodes,
        "edges": store.num_edges,
        "explained": explained,
        "tabulate_cpu_s": middle - begin if tabulate else 0.0,
        "cpu_ms_per_node": 1000 * (end - middle) / explained,
        "private_mb": private(),
    }


def make_model(name: str, features: int, seed: int) -> nn.Module:
    """A ``"gcn"`` or ``"sage"`` of three layers."""
    kind = {"gcn": GCN, "sage": GraphSAGE}[name]
    with torch.random.fork_rng():
        torch.manual_seed(seed)  # noqa: TID251 - inside fork_rng
        model: nn.Module = kind(features, WIDTH, _LAYERS, _CLASSES).eval()
    return model


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
