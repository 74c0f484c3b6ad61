"""How long a new process takes to explain its first prediction, beside PyG.

Each side is a program of its own, in a process of its own: it imports torch, PyG and (ours)
`glassgraph`, makes the same GCN of two layers with fresh weights on a path of five nodes, and
explains node 3. Both sides use the same method, with `EPOCHS` steps where it learns. The sides take
turns; times are medians, of the processor and of the clock, from the start of the process to its
end. One thread. A run before the measured ones fills the caches of compiled files.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

from glassgraph.errors import CommandError
from glassgraph_studies.timing import now

#: Our time over PyG's is to be at most this.
BAR = 1.2
EPOCHS = 10
_COMMON = """
    import torch
    from torch_geometric.data import Data
    from torch_geometric.nn import GCN

    edge_index = torch.tensor([[0, 1, 2, 3], [1, 2, 3, 4]])
    data = Data(x=torch.rand(5, 3), edge_index=edge_index)
    model = GCN(3, 8, 2, 2).eval()
"""
_OURS = """
    import glassgraph as gg

    explanations = gg.explain(model, data, {method!r}, task="node", index=[3], progress=False{set})
    assert explanations[0].{mask}.shape[0]
"""
_PYG = """
    from torch_geometric import explain

    explainer = explain.Explainer(
        model,
        explain.{algorithm},
        explanation_type="model",
        node_mask_type={nodes!r},
        edge_mask_type={edges!r},
        model_config=dict(
            mode="multiclass_classification", task_level="node", return_type="raw"
        ),
    )
    assert explainer(data.x, edge_index, index=3).{mask}.shape[0]
"""
#: What is different in the programs of a method.
_PARTS: dict[str, dict[str, Any]] = {
    "gnn_explainer": {
        "set": f", epochs={EPOCHS}",
        "mask": "edge_mask",
        "algorithm": f"GNNExplainer(epochs={EPOCHS})",
        "nodes": None,
        "edges": "object",
    },
    "saliency": {
        "set": "",
        "mask": "node_mask",
        "algorithm": 'CaptumExplainer("Saliency")',
        "nodes": "attributes",
        "edges": None,
    },
}
METHODS = tuple(_PARTS)


def run_cold_start_bench(
    methods: Sequence[str] = METHODS, repeats: int = 7
) -> Iterator[dict[str, Any]]:
    """Measure both sides of every method.

    Args:
        methods: of `METHODS`.
        repeats: processes of each side.

    Yields:
        Rows ``{method, repeats, ours_cpu_s, pyg_cpu_s, cpu_ratio, ours_s, pyg_s, ratio, is_met}``:
        medians in seconds of the processor and of the clock, our time over PyG's, and whether
        both ratios are within `BAR`.

    Raises:
        CommandError: for a method that PyG has not.
    """
    for method in methods:
        if method not in _PARTS:
            raise CommandError(f"unknown method {method!r}; choose from {', '.join(METHODS)}")
        sides = programs(method)
        taken: dict[str, list[tuple[float, float]]] = {side: [] for side in sides}
        for _ in range(repeats + 1):  # the first is not counted
            for side, program in sides.items():
                taken[side].append(_run(program))
        cpu, clock = (
            {side: statistics.median(each[place] for each in taken[side][1:]) for side in sides}
            for place in range(2)
        )
        ratios = cpu["ours"] / cpu["pyg"], clock["ours"] / clock["pyg"]
        yield {
            "method": method,
            "repeats": repeats,
            "ours_cpu_s": cpu["ours"],
            "pyg_cpu_s": cpu["pyg"],
            "cpu_ratio": ratios[0],
            "ours_s": clock["ours"],
            "pyg_s": clock["pyg"],
            "ratio": ratios[1],
            "is_met": max(ratios) <= BAR,
        }


def programs(method: str) -> dict[str, str]:
    """The program of each side: ``"ours"`` and ``"pyg"``."""
    parts = {"method": method, **_PARTS[method]}
    sides = {"ours": _OURS, "pyg": _PYG}
    return {
        side: textwrap.dedent(_COMMON) + textwrap.dedent(program).format(**parts)
        for side, program in sides.items()
    }


def _run(program: str) -> tuple[float, float]:
    """Seconds of the processor and of the clock that a new process takes.

    Raises:
        CommandError: if it fails.
    """
    path = os.pathsep.join(each for each in sys.path if each)
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    before, start = _of_children(), now()
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    end, after = now(), _of_children()
    if done.returncode:
        raise CommandError(f"a process that explains failed:\n{done.stderr.strip()}")
    return after - before, end - start


def _of_children() -> float:
    """Seconds of the processor of all processes that were waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
