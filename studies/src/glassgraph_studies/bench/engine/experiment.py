"""A job over a graph on disk: one worker against several, and PyG on the same kind of graph.

Nodes are drawn at random, so that workers find no more of a graph in their caches than others
would. CPU time of workers counts from the first block on: what a process needs to start is told
apart from what an instance costs. Wall time does, too; on a machine with other work it says little.

PyG's own way is a forward and a backward pass over the whole graph for each node, with a mask on
every edge (`set_masks`). On ten million edges that takes 25 GB, so it is timed on two smaller
graphs of the same kind, a tenth and two fifths as large. On the larger of them a job explains
nodes, too: what PyG takes over what we take there is measured. What it would take on the whole
graph is carried over by the number of edges, for from one graph to the other it grows by that.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch_geometric.data import Data
from torch_geometric.explain.algorithm.utils import clear_masks, set_masks

import glassgraph as gg
from glassgraph.data import GraphStore
from glassgraph_studies.bench.store.experiment import DEGREE, make_model, write_edges
from glassgraph_studies.bench.watch import Watch
from glassgraph_studies.timing import num_threads

_BUDGET = 1 << 29
_WORKER_MEMORY = 4 << 30


def run_engine_bench(
    nodes: int = 1_000_000,
    explained: int = 20_000,
    workers: int = 2,
    engine: Literal["local", "ray"] = "local",
    features: int = 64,
    seed: int = 0,
    peer_nodes: int = 3,
    graph: Path | None = None,
    alone: int | None = None,
    results: Path | None = None,
) -> Iterator[dict[str, Any]]:
    """Explain nodes of a random graph with one worker, then with several.

    Args:
        nodes: of the graph, which has ten edges for each.
        explained: how many nodes several workers explain.
        workers: how many.
        engine: which engine starts them.
        features: of a node.
        seed: of graph, model and nodes.
        peer_nodes: nodes that PyG explains; 0 for none.
        graph: where the graph is kept, and taken from if it is there.
        alone: how many of these nodes one worker explains by itself; its share if None.
        results: where several workers leave their explanations, and go on from what is there.

    Yields:
        A row for one worker, one for several; one worker and PyG on a smaller graph; and PyG's cost
        carried over to the whole one.
    """
    with tempfile.TemporaryDirectory() as temporary:
        store = _graph(Path(temporary) if graph is None else graph, nodes, features, seed)
        drawn = np.random.default_rng(seed).permutation(store.num_nodes)[:explained]
        share = -(-explained // workers) if alone is None else alone
        folder = Path(temporary)
        one = _job(store, drawn[:share], 1, engine, folder / f"{engine}-1", seed)
        together = folder / f"{engine}-{workers}" if results is None else results
        several = _job(store, drawn, workers, engine, together, seed)
        several["efficiency_cpu"] = _over(one["cpu_ms"], several["cpu_ms"])
        several["efficiency_wall"] = _over(several["per_second"], workers * one["per_second"])
        yield one
        yield several
        if peer_nodes:
            size = max(2 * store.num_nodes // 5, 1000)
            small = _random(max(store.num_nodes // 10, 500), features, seed)
            large = _random(size, features, seed)
            model = make_model("gcn", features, seed)
            cheap, dear = (_pyg_seconds(model, data, peer_nodes) for data in (small, large))
            same = GraphStore.build(large, folder / "peer")
            drawn = np.random.default_rng(seed).permutation(size)[:share]
            ours = _job(same, drawn, 1, engine, folder / "ours", seed)
            yield {**ours, "ratio": _over(1000 * dear, ours["cpu_ms"])}
            yield {
                "engine": "PyG",
                "workers": 1,
                "nodes": size,
                "edges": same.num_edges,
                "explained": peer_nodes,
                "cpu_ms": 1000 * dear,
                "growth": dear / cheap / (same.num_edges / small.num_edges),
            }
            carried = 1000 * dear * store.num_edges / same.num_edges
            yield {
                "engine": "PyG, carried over",
                "workers": 1,
                "nodes": store.num_nodes,
                "edges": store.num_edges,
                "cpu_ms": carried,
                "ratio": _over(carried, several["cpu_ms"]),
            }


def _graph(folder: Path, nodes: int, features: int, seed: int) -> GraphStore:
    if not (folder / "graph").is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        write_edges(folder, nodes, features, seed)
        files = folder / "edges.parquet", folder / "x.npy"
        GraphStore.build(files[0], folder / "graph", nodes={"x": files[1]})
        for file in files:
            file.unlink()
    return GraphStore.open(folder / "graph")


def _job(
    store: GraphStore,
    index: np.ndarray[Any, Any],
    workers: int,
    engine: Literal["local", "ray"],
    out: Path,
    seed: int,
) -> dict[str, Any]:
    model = make_model("gcn", store.mapped.x.size(1), seed)

    def blocks() -> set[Path]:
        found = (out / "explanations").glob("part=*/*.parquet") if out.exists() else ()
        return set(found) - before

    before: set[Path] = set()
    before = blocks()  # of a run that was cut off
    begin = time.monotonic()
    with Watch(lambda: len(blocks()) >= workers) as watch:
        found = gg.explain_all(
            model,
            store,
            "edge_gradients",
            index=torch.from_numpy(index),
            out=out,
            engine=engine,
            workers=workers,
            worker_memory=_WORKER_MEMORY,
            memory_budget=_BUDGET,
            time_limit=None,
        )
    taken = time.monotonic() - begin
    counted, seconds = _after_the_first(blocks(), workers)
    return {
        "engine": engine,
        "workers": workers,
        "nodes": store.num_nodes,
        "edges": store.num_edges,
        "explained": len(found),
        "wall_s": taken,
        "per_second": _over(counted, seconds),
        "cpu_ms": _over(1000 * sum(watch.cpu.values()), counted),
        "private_mb": max(watch.private.values(), default=float("nan")),
    }


def _over(value: float, other: float) -> float:
    """A ratio; NaN where a job was over before it was looked at."""
    return value / other if value and other else float("nan")


def _after_the_first(blocks: Iterable[Path], workers: int) -> tuple[int, float]:
    """Instances that were finished after each worker's first block, and in how many seconds."""
    times = sorted((path.stat().st_mtime, _size(path)) for path in blocks)
    counted = sum(size for _, size in times[workers:])
    return counted, times[-1][0] - times[workers - 1][0] if counted else 0.0


def _size(path: Path) -> int:
    start, stop = path.stem.split("-")
    return int(stop) - int(start)


def _random(size: int, features: int, seed: int) -> Data:
    draw = torch.Generator().manual_seed(seed)
    edges = torch.randint(0, size, (2, DEGREE * size), generator=draw)
    return Data(x=torch.randn(size, features, generator=draw), edge_index=edges)


def _pyg_seconds(model: torch.nn.Module, data: Data, nodes: int) -> float:
    """CPU seconds a node: the gradient of a class with respect to a mask on every edge."""
    with num_threads(1):
        times = []
        for node in range(nodes):
            begin = time.process_time()
            mask = torch.ones(data.num_edges, requires_grad=True)
            set_masks(model, mask, data.edge_index, apply_sigmoid=False)
            score = model(data.x, data.edge_index)[node].log_softmax(dim=0).max()
            torch.autograd.grad(score, mask)
            times.append(time.process_time() - begin)
        clear_masks(model)
    return float(np.median(times))
