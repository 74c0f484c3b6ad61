"""A folder is written as a job writes it, with scores drawn at random; then it is asked.

Instances are in random order, so that looking one up cannot count on ascending numbers. What is
asked for is in the page cache, for it has just been written. The folder of a job that has ended is
asked as it is, whatever of it is in the page cache; it has no types of edges.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

import glassgraph as gg
from glassgraph.engine.worker import INDEX, write_rows
from glassgraph.results.records import Part
from glassgraph.results.saved.blocks import FORMAT, HEADER, Block
from glassgraph.results.saved.rows import to_rows

_BLOCK, _TYPES, _CLASSES = 256, 4, 8


def run_scan_bench(
    explanations: int = 1_000_000,
    edges: int = 10,
    repeats: int = 50,
    seed: int = 0,
    job: Path | None = None,
) -> Iterator[dict[str, Any]]:
    """Write a folder once, and measure what is read of it.

    Args:
        explanations: how many.
        edges: of each.
        repeats: explanations that are looked up.
        seed: of numbers, scores and what is looked up.
        job: the folder of a job that has ended, asked in the place of one that is written here.

    Yields:
        A row for each question.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) if job is None else job
        if job is None:
            write_job(folder, explanations, edges, seed)
        sizes = [path.stat().st_size for path in folder.rglob("*.parquet")]
        opened = gg.Explanations.scan(folder)
        about = {"explanations": len(opened), "files": len(sizes), "disk_mb": sum(sizes) / 1e6}
        instances = np.load(folder / INDEX, mmap_mode="r")
        wanted = np.random.default_rng(seed + 1).choice(instances, repeats)
        few = max(1, repeats // 10)
        questions: list[tuple[str, list[Callable[[], object]]]] = [
            (
                "open the folder, find one",
                [lambda at=at: gg.Explanations.scan(folder).find(int(at)) for at in wanted[:few]],  # type: ignore[misc]
            ),
            ("find one", [lambda at=at: opened.find(int(at)) for at in wanted]),  # type: ignore[misc]
            ("a sample of 20", [lambda: opened.sample(20, seed)]),
            ("the 10 largest edges", [lambda: opened.top_edges(10)]),
        ]
        if job is None:
            questions.append(("means by edge type", [opened.by_edge_type]))
        for what, calls in questions:
            yield {"what": what, **about, **_measured(calls)}


def write_job(folder: Path, explanations: int, edges: int, seed: int) -> None:
    """What a job of so many nodes leaves behind."""
    draw = np.random.default_rng(seed)
    index = draw.permutation(explanations)
    np.save(folder / INDEX, index)
    header = {
        "format": FORMAT,
        "format_version": 1,
        "method": "edge_gradients",
        "level": "node",
        "num_layers": 1,
        "node_types": [None],
        "edge_types": [None],
        "provenance": {},
        "source": {"kind": "store", "path": "nowhere"},
        "asked": {"instances": explanations, "block": _BLOCK},
    }
    (folder / HEADER).write_text(json.dumps(header), encoding="utf-8")
    kind = torch.from_numpy(draw.integers(0, _TYPES, explanations * edges))
    for start in range(0, explanations, _BLOCK):
        block = Block(start, min(start + _BLOCK, explanations))
        part = _block(block, index, edges, draw)
        path = block.path(folder, _BLOCK)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_rows(to_rows([part], kind), path)


def _block(block: Block, index: Any, edges: int, draw: np.random.Generator) -> Part:
    """Explanations of stars: each node, and as many others that send it a message."""
    size, nodes = block.size, edges + 1
    none = torch.full((size,), -1)
    node = torch.from_numpy(draw.integers(0, index.size, (size, nodes)))
    node[:, 0] = torch.from_numpy(index[block.start : block.stop])
    owner = torch.arange(size)
    return Part(
        position=torch.arange(block.start, block.stop),
        index=node[:, 0].clone(),
        graph=torch.zeros(size, dtype=torch.long),
        target=torch.from_numpy(draw.integers(0, _CLASSES, size)),
        contrast=none,
        label=none,
        prediction=torch.from_numpy(draw.dirichlet(np.ones(_CLASSES), size)).float(),
        seed=node[:, :1],
        node_instance=owner.repeat_interleave(nodes),
        node=node.reshape(-1),
        edge_instance=owner.repeat_interleave(edges),
        edge=torch.arange(block.start * edges, block.stop * edges),
        source=node[:, 1:].reshape(-1),
        destination=node[:, 0].repeat_interleave(edges),
        edge_score=torch.from_numpy(draw.standard_normal(size * edges, dtype=np.float32)),
    )


def _measured(calls: list[Callable[[], object]]) -> dict[str, float]:
    wall, processor = [], []
    for call in calls:
        begin, begin_processor = time.perf_counter(), time.process_time()
        call()
        processor.append(time.process_time() - begin_processor)
        wall.append(time.perf_counter() - begin)
    return {
        "wall_ms": 1000 * statistics.median(wall),
        "cpu_ms": 1000 * statistics.median(processor),
    }
