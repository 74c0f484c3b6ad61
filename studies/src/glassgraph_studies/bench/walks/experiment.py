"""How long GNN-LRP takes to find the walks of largest relevance in deep networks.

One graph of BA-2Motifs (25 nodes), a GIN of 20 channels with fresh weights, mean pooling. The
number of walks grows exponentially with the layers; the search (`GNNLRP`, ``search="exact"``) does
not list them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch_geometric.data import Data

from glassgraph.datasets import load_dataset
from glassgraph.explainers.decomposition.gnn_lrp import GNNLRP
from glassgraph.models.gnn import GIN, Body
from glassgraph_studies.timing import seconds

LAYERS = (3, 5, 7)
HIDDEN = 20


def run_walk_bench(
    layers: Sequence[int] = LAYERS,
    walks: int = 10,
    repeats: int = 5,
    seed: int = 0,
) -> Iterator[dict[str, Any]]:
    """Time the search for the largest walks, once for each depth.

    Args:
        layers: depths of the network.
        walks: how many walks are looked for.
        repeats: timed calls of ``explain``; the time is their median.
        seed: of the graph and the weights.

    Yields:
        Rows ``{layers, nodes, edges, num_walks, walks, seconds}``.
    """
    dataset = load_dataset("ba-2motifs", seed=seed)
    graph = dataset.graphs[int(dataset.explained[0])]
    for depth in layers:
        body = Body(num_layers=depth, concat=False, pool=("mean",))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)  # noqa: TID251 - inside the forked random state
            model = GIN(dataset.num_features, HIDDEN, 2, level="graph", body=body).eval()
        explainer = GNNLRP(model, "graph", walks=walks, progress=False)
        yield {
            "layers": depth,
            "nodes": int(graph.num_nodes),
            "edges": int(graph.num_edges),
            "num_walks": count_walks(graph, depth),
            "walks": walks,
            "seconds": seconds(lambda each=explainer: each.explain([graph], [0]), repeats),  # type: ignore[misc]
        }


def count_walks(graph: Data, layers: int) -> int:
    """Number of walks of a network whose layers read each node's neighbors and the node itself."""
    reached = torch.ones(graph.num_nodes, dtype=torch.long)
    for _ in range(layers):
        reached = reached.index_add(0, graph.edge_index[1], reached[graph.edge_index[0]])
    return int(reached.sum())
