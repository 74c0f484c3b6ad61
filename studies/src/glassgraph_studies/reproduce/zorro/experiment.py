"""Does a prediction stay if all but an explanation is noise? On Cora, as in ZORRO's paper.

Funke, Khosla, Rathee and Anand, "Zorro: Valid, Sparse, and Stable Explanations in Graph Neural
Networks" (TKDE 2022, https://arxiv.org/abs/2105.08621): a GCN of two layers explains nodes of Cora,
and explanations are held against each other by RDT-fidelity, validity, and the entropy of their
masks over nodes and features. Published numbers are those of the GCN.

ZORRO is measured twice: by the noise it searched with (its `search fidelity`, which is at least tau
for every node, as nothing bounds the search), and by noise of another seed, like all other methods.

The other methods are masked by what they say of the features of nodes; see
`glassgraph.metrics.rdt` for how signs and sizes are read.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch_geometric.utils import k_hop_subgraph

from glassgraph.errors import HyperParameterError
from glassgraph.explainers.registry import make_explainer
from glassgraph.metrics import mask_entropy, rdt_fidelity
from glassgraph.results.explanation import Explanations
from glassgraph_studies.citation import Citations, gcn, load
from glassgraph_studies.reference.gnn_explainer import PYG
from glassgraph_studies.reference.zorro import LiteralZorro

#: Layers of the network, samples of noise, and calls that are timed for each node.
LAYERS, SAMPLES, TIMED = 2, 100, 30


@dataclass(frozen=True)
class Entry:
    """One row of the table.

    Attributes:
        title: what it is called.
        method: registry name.
        settings: hyper-parameters that differ from the method's defaults.
        published: RDT-fidelity, entropy of nodes and of features, as far as reported.
    """

    title: str
    method: str
    settings: Mapping[str, Any]
    published: tuple[float | None, float | None, float | None]


TABLE: dict[str, Entry] = {
    "zorro_85": Entry(
        "ZORRO, tau .85", "zorro", {"tau": 0.85, "samples": SAMPLES}, (0.87, 1.30, 1.91)
    ),
    "zorro_98": Entry(
        "ZORRO, tau .98", "zorro", {"tau": 0.98, "samples": SAMPLES}, (0.97, 1.58, 2.69)
    ),
    "gnn_explainer": Entry(
        "GNNExplainer",
        "gnn_explainer",
        {**PYG, "epochs": 200, "feature_mask": "common_attributes"},
        (0.71, 2.48, 7.27),
    ),
    "saliency": Entry("gradient", "saliency", {}, (None, None, 4.08)),
    "random": Entry("random", "random", {}, (None, None, None)),
}


def run_zorro(
    root: Path | str,
    nodes: int = 20,
    rows: Sequence[str] | None = None,
    seed: int = 0,
    progress: bool = True,
    scene: Citations | None = None,
) -> Iterator[dict[str, Any]]:
    """Explain nodes of the test part by every method.

    Args:
        root: folder of Cora's files.
        nodes: how many nodes.
        rows: names of `TABLE`; all of it if None.
        seed: of the network and the explainers.
        progress: show progress bars.
        scene: a graph and a network in the place of Cora's.

    Yields:
        Rows ``{row, nodes, tau, search_fidelity, least_search_fidelity, is_met, kept_nodes,
        kept_features, fidelity, least_fidelity, validity, node_entropy, feature_entropy, published,
        seconds_per_node, literal_seconds_per_node, test_accuracy}``; None where a method has no
        such number. The bar is ``is_met``: the search fidelity of every node is at least tau. What
        `glassgraph_studies.reference.zorro` takes is the mean of some of its calls of the model,
        times the number of calls that the search makes.

    Raises:
        HyperParameterError: if there is no such row.
        DatasetError: if the files are not there.
    """
    names = list(TABLE) if rows is None else list(rows)
    for name in names:
        if name not in TABLE:
            raise HyperParameterError(f"there is no row {name!r}; there are {', '.join(TABLE)}")
    scene = scene or gcn(load(root), seed, progress=progress)
    for name in names:
        yield _measure(scene, name, nodes, seed, progress=progress)


def _measure(
    scene: Citations, name: str, nodes: int, seed: int, *, progress: bool
) -> dict[str, Any]:
    entry, index = TABLE[name], scene.some_tests(nodes)
    explainer = make_explainer(
        entry.method, scene.model, "node", seed=seed, progress=progress, **entry.settings
    )
    explainer.prepare(scene.graph)
    start = time.perf_counter()
    explanations = explainer.explain(scene.graph, index)
    seconds = (time.perf_counter() - start) / len(index)
    entropy = mask_entropy(explanations)
    other = rdt_fidelity(explanations, scene.model, scene.graph)
    zero = rdt_fidelity(explanations, scene.model, scene.graph, noise="zero")
    return {
        "row": name,
        "nodes": len(index),
        **_searched(entry, explanations),
        "fidelity": other.mean,
        "least_fidelity": float(other.fidelity.min()),
        "validity": zero.mean,
        "node_entropy": entropy.mean_nodes,
        "feature_entropy": entropy.mean_features,
        "published": list(entry.published),
        "seconds_per_node": seconds,
        "literal_seconds_per_node": _literal_seconds(scene, entry, explanations),
        "test_accuracy": scene.test_accuracy,
    }


def _searched(entry: Entry, explanations: Explanations) -> dict[str, Any]:
    """What a search says of itself."""
    if entry.method != "zorro":
        names = ("tau", "search_fidelity", "least_search_fidelity", "is_met")
        return dict.fromkeys(names) | {"kept_nodes": None, "kept_features": None}
    first = explanations.table("explanations").query("rank == 0")
    reached = torch.tensor(first.fidelity.to_numpy())
    tau = entry.settings["tau"]
    return {
        "tau": tau,
        "search_fidelity": float(reached.mean()),
        "least_search_fidelity": float(reached.min()),
        "is_met": bool((reached >= tau).all()),
        "kept_nodes": float(first.num_nodes.mean()),
        "kept_features": float(first.num_features.mean()),
    }


@torch.no_grad()
def _literal_seconds(scene: Citations, entry: Entry, explanations: Explanations) -> float | None:
    """What the search written out takes for a node, from the time of some calls of the model.

    It calls for every sample of the empty mask, of each node and feature in the first step, and of
    the ten nodes and ten features that it tries in each of the others; of one of these kinds alone
    in the second step.
    """
    if entry.method != "zorro":
        return None
    steps, total = explanations.table("members"), 0.0
    for position in range(len(explanations)):
        local = explanations.local(position)
        x = scene.graph.x[local.node_id]
        seed = int((local.node_id == local.index).nonzero())
        near = k_hop_subgraph(seed, LAYERS, local.edge_index, num_nodes=len(x))[0]
        edges = local.edge_index

        def says_same(features: Tensor, edges: Tensor = edges, seed: int = seed) -> bool:
            return bool(scene.model(features, edges)[seed].argmax() >= 0)

        search = LiteralZorro(says_same, x, x.expand(TIMED, -1, -1), near.tolist(), 1.0)
        start = time.perf_counter()
        search.fidelity(search.nodes, [0])
        seconds = (time.perf_counter() - start) / TIMED
        later = max(0, int((steps.position == position).sum()) - 1)
        tried = 1 + (len(near) + x.size(1) if later else 0) + 10 * min(later, 1)
        total += seconds * SAMPLES * (tried + 20 * max(0, later - 1))
    return total / len(explanations)
