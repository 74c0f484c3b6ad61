"""Pages of every kind that a reader meets, from real methods or from fakes with known scores.

`PAGES` are functions by name; each writes its page into a folder and returns the path.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import networkx as nx
import pandas as pd
import torch

import glassgraph as gg
from glassgraph.benchmarks.leaderboard import write_leaderboard
from glassgraph.metrics import similarities
from glassgraph.report import write_report
from tests.benchmarks.leaderboard.frames import survey
from tests.metrics.scenes import TwoLayers, random_graph, uniform, with_scores
from tests.report.fakes import Local, Run, local_of, molecule, walked
from tests.results.test_model_explanation import explanation

LETTERS = "CCCCCCCCCCCCCCNOOHCHH"
SENTENCE = "What lingers , despite an uneven script , is the film 's unforgettable final hour"
WORDS = SENTENCE.split()
METRICS = [
    {
        "method": name, "instances": 3, "auc": auc, "average_precision": auc - 0.2,
        "fidelity_plus@0.7": plus, "fidelity_minus@0.7": 0.5 - plus,
        "fidelity_plus@0.9": plus - 0.1, "seconds_per_instance": 0.0123,
    }
    for name, auc, plus in (("edge_gradients", 0.93, 0.41), ("information_bottleneck", 0.71, 0.2))
]  # fmt: skip


def drawn(size: int, seed: int, *, signed: bool = False) -> torch.Tensor:
    """Scores by a generator of their own, few of them large."""
    value = torch.rand(size, generator=torch.Generator().manual_seed(seed)) ** 4
    return value * torch.tensor([1.0, -1.0]).repeat(size)[:size] if signed else value


def scored(local: Local, seed: int = 0, **more: object) -> Local:
    score = drawn(local.edge_index.size(1), seed)
    return replace(local, edge_score=score, **more)  # type: ignore[arg-type]


def hub_local(neighbors: int = 170, index: int = 10) -> Local:
    """A hub with so many neighbors, ten of which have neighbors of their own."""
    graph = nx.star_graph(neighbors)
    graph.add_edges_from((n, neighbors + n) for n in range(1, 11))
    graph.add_edges_from((n, n + 1) for n in range(20, 30))
    return scored(local_of(graph, index, [10]))


def compared() -> dict[str, gg.Explanations]:
    """Methods to compare, some with long names."""
    model, data = TwoLayers("gin"), random_graph()
    return {
        "edge_gradients": gg.EdgeGradients(model).explain(data, [7, 2, 11]),
        "occlusion, one message of a layer at a time": gg.Occlusion(model, layerwise=True).explain(
            data, [7, 2, 11]
        ),
        "information_bottleneck": with_scores(model, data, [7, 2, 11], uniform()),
    }


def molecules(folder: Path) -> Path:
    own = local_of(molecule(), 0, [], node_type=list(LETTERS))
    other = scored(local_of(nx.cycle_graph(6), 1, [], node_type=list("CCNCCN")), 1)
    runs = [Run("edge_gradients", [scored(own), other], level="graph")]
    return write_report(folder, runs, [], "Molecules")


def sentence(folder: Path) -> Path:
    tree = nx.balanced_tree(2, 3)
    tree.remove_nodes_from(list(tree)[len(WORDS) :])
    local = local_of(tree, 0, [], node_names=WORDS, class_names=["negative", "positive"])
    runs = [Run("edge_gradients", [scored(local)], level="graph")]
    return write_report(folder, runs, [], "A sentence", layout="sentence")


def hub(folder: Path) -> Path:
    titles = [
        "Learning to predict by the methods of temporal differences",
        "Induction of decision trees",
    ]
    plain = hub_local()
    size = len(plain.node_id)
    named = replace(hub_local(60, 11), node_names=[titles[n % 2] + f" {n}" for n in range(71)])
    truth = torch.zeros(plain.edge_index.size(1), dtype=torch.bool).index_fill(
        0, torch.tensor([3, 40]), True
    )
    nodes = drawn(size, 3)
    runs = [
        Run("edge_gradients", [replace(plain, edge_truth=truth), named]),
        Run("saliency", [replace(plain, edge_score=None, node_score=nodes), named]),
    ]
    return write_report(folder, runs, METRICS, "A hub", similarities=similarities(compared()))


def heterogeneous_local(index: int = 3) -> Local:
    """Papers, authors and venues around a paper; types take turns."""
    graph = nx.gnm_random_graph(18, 30, seed=2)
    graph = graph.subgraph(max(nx.connected_components(graph), key=len))
    local = scored(local_of(graph, index, [index]), 4)
    kinds = ["paper", "author", "venue"]
    types = [kinds[n % 3] for n in range(len(local.node_id))]
    edge_types = [f"{types[u]}__to__{types[v]}" for u, v in local.edge_index.t().tolist()]
    ids = torch.arange(len(types)) // 3
    return replace(
        local, node_id=ids, index=0, node_type=types, edge_type=edge_types, seeds=torch.tensor([0])
    )


def heterogeneous(folder: Path) -> Path:
    local = heterogeneous_local()
    nodes = drawn(len(local.node_id), 5, signed=True)
    task = {"task": {"node_type": "paper"}}
    runs = [
        Run("occlusion", [local], task),
        Run("saliency", [replace(local, edge_score=None, node_score=nodes)], task),
    ]
    return write_report(folder, runs, METRICS, "Papers, authors and venues")


def link(folder: Path) -> Path:
    graph = nx.barabasi_albert_graph(40, 2, seed=3)
    local = scored(local_of(graph, 0, [14, 27]), 6, prediction=torch.tensor([0.83]))
    return write_report(folder, [Run("gnn_explainer", [local], level="edge")], [], "A link")


def layers(folder: Path) -> Path:
    local = scored(local_of(nx.barabasi_albert_graph(30, 1, seed=5), 12, [12]), 7)
    size = local.edge_index.size(1)
    own = torch.stack([drawn(size, 8, signed=True), drawn(size, 9, signed=True)])
    runs = [Run("graphmask", [replace(local, layer_edge_score=own)], num_layers=2)]
    ends = {"kept_low": [0.1, 0.2], "kept_high": [0.9, 0.4]}
    table = pd.DataFrame({"layer": [0, 1], "count": [5, 3], "kept": [0.5, 0.25], **ends})
    title = "Layers of a message-passing network, under a title that is longer than a phone is wide"
    return write_report(folder, runs, METRICS, title, aggregates={"Kept, by layer": table})


def walks(folder: Path) -> Path:
    return write_report(folder, [Run("gnn_lrp", [walked(), walked(index=20)])], [], "Walks")


def generation(folder: Path) -> Path:
    return explanation().to_html(folder / "report.html")


def leaderboard(folder: Path) -> Path:
    return write_leaderboard(survey(12, 8, 2), folder / "report.html")


PAGES: dict[str, Callable[[Path], Path]] = {
    page.__name__: page
    for page in (
        molecules, sentence, hub, heterogeneous, link, layers, walks, generation, leaderboard
    )
}  # fmt: skip
