"""One explanation on the user's whole graph, as PyG's tools expect it: dense masks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch_geometric import explain as pyg

from glassgraph.results.drawing import plot_explanation
from glassgraph.results.layer_paths import LayerPaths, layer_paths
from glassgraph.results.records import LocalExplanation

if TYPE_CHECKING:
    import networkx
    from matplotlib.axes import Axes


class _Drawable:
    """What both kinds of explanation add to PyG's."""

    local: LocalExplanation

    @property
    def prediction(self) -> Tensor:
        """``[C]`` probabilities, or values of a regression.

        Not an entry of the data: PyG's metrics take an entry of this name for the model's output on
        all nodes.
        """
        return self.local.prediction

    @property
    def walks(self) -> Tensor | None:
        """``[W, L + 1]`` the user's nodes of each walk, the best first; None without walks."""
        return None if self.local.walks is None else self.local.node_id[self.local.walks]

    @property
    def walk_scores(self) -> Tensor | None:
        """``[W]`` score of each walk; None without walks."""
        return self.local.walk_scores

    def paths(self, source: int | None = None, target: int | None = None, k: int = 5) -> LayerPaths:
        """The k paths through the layers with the largest sums of layer edge scores.

        A path takes one edge, or stays at its node for a score of 0, at each of the L layers.

        Args:
            source: where it starts; anywhere if None.
            target: where it ends; if None at an explained node, for graph tasks anywhere.
            k: how many.

        Raises:
            WalkError: if the method has no layer edge scores.
            InstanceError: if a node is no number of a node.
            HyperParameterError: if k is not positive.
        """
        return layer_paths(self.local, source, target, k)

    def plot(self, ax: Axes | None = None, top_k: int | None = None) -> Axes:
        """Draw the receptive field with the scores on it; returns the matplotlib axes."""
        return plot_explanation(self.local, ax, top_k)

    def to_networkx(self) -> networkx.MultiDiGraph:
        """The receptive field as a graph with ``score`` on nodes and edges."""
        import networkx as nx

        local, graph = self.local, nx.MultiDiGraph()
        names = [
            int(node) if local.node_type is None else (local.node_type[i], int(node))
            for i, node in enumerate(local.node_id.tolist())
        ]
        for i, name in enumerate(names):
            scores = {} if local.node_score is None else {"score": float(local.node_score[i])}
            graph.add_node(name, **scores)
        for i, (source, destination) in enumerate(local.edge_index.t().tolist()):
            values: dict[str, Any] = {"edge_id": int(local.edge_id[i])}
            if local.edge_score is not None:
                values["score"] = float(local.edge_score[i])
            if local.edge_type is not None:
                values["edge_type"] = local.edge_type[i]
            graph.add_edge(names[source], names[destination], **values)
        return graph


class Explanation(pyg.Explanation, _Drawable):
    """One prediction's explanation on the user's graph, with dense masks in the user's order.

    Beside PyG's own ``x``, ``edge_index``, ``edge_mask [E]`` and ``node_mask`` (``[N, F]`` feature
    scores, or ``[N, 1]`` node scores): ``layer_edge_mask [L, E]``, ``node_score [N]``, ``index``,
    ``prediction [C]``, and ``local``, the same scores on the receptive field alone. Methods that
    score walks add ``walks [W, L + 1]`` and ``walk_scores [W]``.
    """

    local: LocalExplanation


class HeteroExplanation(pyg.HeteroExplanation, _Drawable):
    """The same for a heterogeneous graph: masks are kept for each node and edge type."""

    local: LocalExplanation


def set_edge_masks(
    store: Any, local: LocalExplanation, num_edges: int, rows: Any, device: torch.device
) -> None:
    """Scatter the edge scores of some rows into masks over ``num_edges`` edges."""
    at = local.edge_id[rows]
    if local.edge_score is not None:
        mask = local.edge_score.new_zeros(num_edges)
        mask[at] = local.edge_score[rows]
        store.edge_mask = mask.to(device)
    if local.layer_edge_score is not None:
        layers = local.layer_edge_score.new_zeros(local.layer_edge_score.size(0), num_edges)
        layers[:, at] = local.layer_edge_score[:, rows]
        store.layer_edge_mask = layers.to(device)


def set_node_masks(
    store: Any, local: LocalExplanation, num_nodes: int, rows: Any, device: torch.device
) -> None:
    """Scatter the node and feature scores of some rows into masks over ``num_nodes`` nodes."""
    at = local.node_id[rows]
    if local.node_score is not None:
        score = local.node_score.new_zeros(num_nodes)
        score[at] = local.node_score[rows]
        store.node_score = score.to(device)
        store.node_mask = store.node_score.view(-1, 1)
    x = store.get("x", None)
    if local.feature_score is not None and isinstance(x, Tensor):
        mask = local.feature_score.new_zeros(num_nodes, x.size(-1))
        mask[at] = local.feature_score[rows][:, : x.size(-1)]
        store.node_mask = mask.to(device)
