"""One explanation on the user's whole graph, as PyG's tools expect it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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
