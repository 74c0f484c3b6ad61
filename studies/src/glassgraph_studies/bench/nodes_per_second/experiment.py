"""Nodes per second on a random graph of the size of ogbn-arxiv.

169,343 nodes, 1,166,243 edges, 128 features and 40 classes (Hu et al., "Open Graph Benchmark",
2020), a GCN of three layers. Ends of edges are uniform: fields are smaller than around the hubs of
the citation graph. Weights are random: the speed does not depend on what has been learned.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch_geometric.data import Data
from torch_geometric.nn import GCN

from glassgraph.explainers.amortized import AmortizedExplainer
from glassgraph.explainers.registry import make_explainer
from glassgraph_studies.timing import now

NODES, EDGES, FEATURES, CLASSES, WIDTH, LAYERS = 169_343, 1_166_243, 128, 40, 128, 3
#: Methods, and what share of the nodes each explains.
METHODS: dict[str, float] = {
    "saliency": 1.0,
    "edge_gradients": 1.0,
    "gnn_explainer": 0.1,
    "pg_explainer": 1.0,
    "graphmask": 1.0,
}
#: Short fits: the time of a step is measured, not what is learned.
_FIT: dict[str, dict[str, Any]] = {"pg_explainer": {"epochs": 5}, "graphmask": {"steps": 100}}


def run_nodes_per_second(
    methods: Sequence[str] | None = None,
    instances: int = 1000,
    fit_on: int = 500,
    nodes: int = NODES,
    seed: int = 0,
    device: str = "cpu",
) -> Iterator[dict[str, Any]]:
    """Explain nodes by each method; the first call is not counted.

    Args:
        methods: names, `METHODS` if None.
        instances: nodes to explain.
        fit_on: nodes that amortized methods are fitted on.
        nodes: size of the graph; edges in proportion.
        seed: of graph, weights and methods.
        device: where model and data are.

    Yields:
        Rows ``{method, instances, nodes_per_second, fit_s, prepare_s, peak_gpu_mb, device}``.
    """
    data, model = _graph(nodes, seed).to(device), _model(seed).to(device)
    for method in METHODS if methods is None else methods:
        explainer = make_explainer(
            method, model, "node", seed=seed, progress=False, **_FIT.get(method, {})
        )
        start = now()
        explainer.prepare(data)
        prepared = now()
        index = torch.linspace(0, nodes - 1, instances).long()
        share = max(1, round(instances * METHODS.get(method, 1.0)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # nothing was trained, and fits are short
            if isinstance(explainer, AmortizedExplainer):
                explainer.fit(data, index=(torch.arange(fit_on) * 7 + 3) % nodes)
            fitted = now()
            explainer.explain(data, index=index[: min(8, share)])
            if torch.cuda.is_initialized():
                torch.cuda.reset_peak_memory_stats()
            before = now()
            explainer.explain(data, index=index[:share])
            seconds = now() - before
        yield {
            "method": method,
            "instances": share,
            "nodes_per_second": share / seconds,
            "fit_s": fitted - prepared if isinstance(explainer, AmortizedExplainer) else None,
            "prepare_s": prepared - start,
            "peak_gpu_mb": _peak_megabytes(),
            "nodes": nodes,
            "edges": data.num_edges,
            "device": device,
            "threads": torch.get_num_threads(),
        }


def _peak_megabytes() -> float | None:
    if not torch.cuda.is_initialized():
        return None
    return torch.cuda.max_memory_allocated() / (1 << 20)


def _graph(nodes: int, seed: int) -> Data:
    draw = torch.Generator().manual_seed(seed)
    ends = torch.randint(nodes, (2, round(nodes * EDGES / NODES)), generator=draw)
    return Data(x=torch.randn(nodes, FEATURES, generator=draw), edge_index=ends)


def _model(seed: int) -> GCN:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # noqa: TID251 - layers offer no other way
        return GCN(FEATURES, WIDTH, LAYERS, CLASSES).eval()
