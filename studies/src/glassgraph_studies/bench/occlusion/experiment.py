"""Occlusion of every edge, for all test nodes of a citation graph, beside three plain ways.

A two-layer GCN; its edges are shut by PyG's masks, which leave degrees and self-loops as they are.

``each_node``
    for each node, one pass over the whole graph for each of its edges. The passes do not depend on
    the node, so they are run once, and their time counts once for each node.
``shared``
    the same passes, run once and read at every node, as in the authors' code of He, Rafiey, Mishne
    and Wang, "Explaining GNN Explanations with Edge Gradients" (KDD 2025,
    https://arxiv.org/abs/2508.01048). Every score is compared with ours.
``own_edges``
    for each node, one pass for each edge within its two hops, over the nodes within three: the
    third hop keeps degrees right. Some nodes are timed, and the rest counted by their edges.

Ours includes everything: checking the data, tracing the model, fields and packing.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric.explain.algorithm.utils import clear_masks, set_masks
from torch_geometric.utils import k_hop_subgraph

from glassgraph.datasets.planetoid import planetoid
from glassgraph.explainers.perturbation.occlusion import Occlusion
from glassgraph.progress import progress_bar
from glassgraph.results.explanation import Explanations
from glassgraph_studies.citation import Citations, gcn
from glassgraph_studies.timing import seconds

#: What each ratio is to reach; the last peer has no bar.
BARS = {"each_node": 20.0, "shared": 3.0, "own_edges": None}
#: Message-passing steps of the network.
_HOPS = 2


def run_occlusion_bench(
    root: Path | str,
    datasets: Sequence[str] = ("cora",),
    nodes: int | None = None,
    sample: int = 20,
    repeats: int = 3,
    seed: int = 0,
    progress: bool = True,
) -> Iterator[dict[str, Any]]:
    """Measure ours and the three ways on each graph.

    Args:
        root: folder of the ``ind.*`` files.
        datasets: of ``"cora"`` and ``"citeseer"``.
        nodes: test nodes that are explained; all if None.
        sample: nodes that are timed with ``own_edges``.
        repeats: timed calls of ours; the median counts.
        seed: of the network.
        progress: show progress bars.

    Yields:
        Rows ``{dataset, peer, nodes, edges, passes, ours_s, peer_s, ratio, bar, is_met,
        max_difference}``; `max_difference` is that of the explained logits, over every score that
        the peer computes.

    Raises:
        DatasetError: if the files are not there.
    """
    for name in datasets:
        scene = gcn(planetoid(name, root), seed, progress=progress)
        for row in measure(scene, nodes, sample, repeats, progress=progress):
            yield {"dataset": name, **row}


def measure(
    scene: Citations, nodes: int | None, sample: int, repeats: int, *, progress: bool
) -> list[dict[str, Any]]:
    """The rows of one graph; see `run_occlusion_bench`."""
    graph, model = scene.graph, scene.model
    index = scene.dataset.split["test"] if nodes is None else scene.some_tests(nodes)

    def ours() -> Explanations:
        return Occlusion(model, "node", progress=False).explain(graph, index=index)

    ours_s = seconds(ours, repeats)
    explanations = ours()
    ways = _Ways(copy.deepcopy(model), graph.x, graph.edge_index)
    shared_s, shared = ways.whole_graph(explanations, progress=progress)
    own_s, own, timed = ways.own_edges(explanations, min(sample, len(index)))
    fields = sum(each.local.edge_id.numel() for each in explanations)
    passes = {
        "each_node": graph.num_edges * len(index),
        "shared": graph.num_edges,
        "own_edges": fields,
    }
    peer_s = {
        "each_node": shared_s * len(index),
        "shared": shared_s,
        "own_edges": own_s * fields / timed,
    }
    difference = {"each_node": shared, "shared": shared, "own_edges": own}
    return [
        {
            "peer": peer,
            "nodes": len(index),
            "edges": graph.num_edges,
            "passes": passes[peer],
            "ours_s": ours_s,
            "peer_s": peer_s[peer],
            "ratio": peer_s[peer] / ours_s,
            "bar": bar,
            "is_met": None if bar is None else peer_s[peer] / ours_s >= bar,
            "max_difference": difference[peer],
        }
        for peer, bar in BARS.items()
    ]


class _Ways:
    """One edge shut at a time, with PyG's masks.

    Args:
        model: a network of its own, since the masks are set on its modules.
        x: ``[N, F]``.
        edge_index: ``[2, E]``.
    """

    def __init__(self, model: nn.Module, x: Tensor, edge_index: Tensor) -> None:
        self._model, self._x, self._edge_index = model.eval(), x, edge_index

    @torch.no_grad()
    def whole_graph(self, ours: Explanations, *, progress: bool) -> tuple[float, float]:
        """Seconds of a pass for each edge, and the largest difference to our scores."""
        node, target = _asked(ours)
        num_edges = self._edge_index.size(1)
        start = time.perf_counter()
        full = self._model(self._x, self._edge_index)[node, target]
        shut = self._x.new_empty(num_edges, len(node))
        mask = self._x.new_ones(num_edges)
        set_masks(self._model, mask, self._edge_index, apply_sigmoid=False)
        for edge in progress_bar(range(num_edges), "one edge at a time", disable=not progress):
            mask[edge] = 0
            shut[edge] = self._model(self._x, self._edge_index)[node, target]
            mask[edge] = 1
        taken = time.perf_counter() - start
        clear_masks(self._model)
        worst = 0.0
        for position in range(len(node)):
            scores = full[position] - shut[:, position]
            worst = max(worst, float((scores - ours[position].edge_mask).abs().max()))
        return taken, worst

    @torch.no_grad()
    def own_edges(self, ours: Explanations, count: int) -> tuple[float, float, int]:
        """Seconds for some nodes, the largest difference, and how many edges they have."""
        chosen = torch.linspace(0, len(ours) - 1, count).round().long().unique().tolist()
        nodes, targets = _asked(ours)
        taken, worst, timed = 0.0, 0.0, 0
        for position in chosen:
            start = time.perf_counter()
            edge, scores = self._of_node(int(nodes[position]), int(targets[position]))
            taken += time.perf_counter() - start
            timed += edge.numel()
            if edge.numel():
                difference = scores - ours[position].edge_mask[edge]
                worst = max(worst, float(difference.abs().max()))
        return taken, worst, timed

    def _of_node(self, node: int, target: int) -> tuple[Tensor, Tensor]:
        num_nodes = self._x.size(0)
        near = k_hop_subgraph(node, _HOPS, self._edge_index, num_nodes=num_nodes)[3]
        subset, edges, place, kept = k_hop_subgraph(
            node, _HOPS + 1, self._edge_index, relabel_nodes=True, num_nodes=num_nodes
        )
        x, mask = self._x[subset], self._x.new_ones(edges.size(1))
        full = self._model(x, edges)[place, target]
        set_masks(self._model, mask, edges, apply_sigmoid=False)
        scores = []
        for edge in near[kept].nonzero().view(-1).tolist():
            mask[edge] = 0
            scores.append(full - self._model(x, edges)[place, target])
            mask[edge] = 1
        clear_masks(self._model)
        return near.nonzero().view(-1), torch.cat(scores) if scores else full.new_zeros(0)


def _asked(explanations: Explanations) -> tuple[Tensor, Tensor]:
    """Nodes and their explained classes."""
    locals_ = [each.local for each in explanations]
    node = torch.tensor([each.index for each in locals_])
    return node, torch.tensor([each.target for each in locals_])
