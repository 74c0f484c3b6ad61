"""One explanation on the user's whole graph, as PyG's tools expect it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from torch import Tensor
from torch_geometric import explain as pyg

from glassgraph.errors import HyperParameterError
from glassgraph.results.aggregates.edge_scores import Ranking
from glassgraph.results.counterfactual import Counterfactual
from glassgraph.results.drawing import plot_explanation, svg_picture
from glassgraph.results.edge_paths import EdgePaths, NodeName, edge_paths
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

    def _repr_html_(self) -> str:
        """A picture, for notebooks."""
        return svg_picture(self.local)

    def paths(
        self,
        source: NodeName | None = None,
        target: NodeName | None = None,
        k: int = 5,
        *,
        through: Literal["layers", "edges"] | None = None,
        ranking: Ranking = "signed",
        directed: bool = True,
    ) -> LayerPaths | EdgePaths:
        """The k best paths between two nodes, by the scores of this explanation.

        Through *edges*, for every method: simple paths of any length, ranked by the product of
        their edges' scores, each as a share of the largest score, so that a path is no better than
        its parts and a detour never pays. Edges that do not speak for the prediction (scores of 0
        and below) are no way. Methods that score nodes or features give an edge the mean of its
        ends; of `PaGELink` these are its own paths, unless nodes are named.

        Through *layers*, for methods with layer edge scores: a path takes one edge, or stays at its
        node for a score of 0, at each of the L layers, ranked by the sum.

        Args:
            source: where paths start, a number, or ``(type, number)`` where nodes have types; None:
                through edges at the first node of a link, through layers anywhere.
            target: where they end, likewise; None: at the second node of a link, at the explained
                node, for graph tasks (through layers) anywhere.
            k: how many.
            through: ``"layers"`` or ``"edges"``; None: layers where a method scores them, and edges
                where a link is explained, whose ends are joined by no walk through layers.
            ranking: ``"absolute"``: edges count by magnitude.
            directed: through edges: False goes along edges either way.

        Returns:
            Paths, the best first; none where nothing connects the nodes.

        Raises:
            WalkError: if there are no scores to go by, or it has to be said where paths start.
            InstanceError: if a node is not given as a node is.
            HyperParameterError: if k is not positive.

        Example:
            >>> import torch
            >>> import glassgraph as gg
            >>> from torch_geometric.data import Data
            >>> from torch_geometric.nn import SimpleConv
            >>> data = Data(x=torch.ones(3, 1), edge_index=torch.tensor([[0, 1], [1, 2]]))
            >>> class Twice(torch.nn.Module):
            ...     def __init__(self):
            ...         super().__init__()
            ...         self.conv = SimpleConv()
            ...
            ...     def forward(self, x, edge_index):
            ...         return self.conv(self.conv(x, edge_index), edge_index)
            >>> task = gg.Task("node", mode="regression")
            >>> paths = gg.Occlusion(Twice(), task).explain(data, [2])[0].paths(source=0)
            >>> paths.nodes, paths.titles
            ([[0, 1, 2]], ['node 0 → node 1 → node 2'])
        """
        if through is None:
            is_layered = self.local.layer_edge_score is not None and len(self.local.seeds) != 2
            through = "layers" if is_layered else "edges"
        if through == "layers":
            return layer_paths(self.local, source, target, k)
        if through != "edges":
            raise HyperParameterError(f"through must be 'layers' or 'edges'; got {through!r}")
        return edge_paths(self.local, source, target, k, ranking, directed)

    def plot(
        self,
        ax: Axes | None = None,
        top_k: int | None = None,
        layout: str = "auto",
        *,
        figsize: tuple[float, float] | None = None,
        colorbar: bool = True,
        legend: bool = True,
    ) -> Axes:
        """Draw the receptive field with its scores, see `Explanations.plot`; returns the axes."""
        more: dict[str, Any] = {"figsize": figsize, "colorbar": colorbar, "legend": legend}
        return plot_explanation(self.local, ax=ax, top_k=top_k, layout=layout, **more)

    def to_networkx(self) -> networkx.MultiDiGraph:
        """The receptive field as a graph, an edge of it for each edge of the data.

        Nodes are the user's numbers (on heterogeneous graphs pairs of type and number), with
        ``score``, ``node_type`` and ``name``; edges have ``edge_id``, ``score``, ``edge_type``,
        ``name`` and ``truth``; each where there is one.
        """
        import networkx as nx

        local = self.local
        graph = nx.MultiDiGraph(title=local.title, index=local.index, target=local.target)
        names = [
            int(node) if local.node_type is None else (local.node_type[i], int(node))
            for i, node in enumerate(local.node_id.tolist())
        ]
        for i, name in enumerate(names):
            about: dict[str, Any] = {}
            if local.node_score is not None:
                about["score"] = float(local.node_score[i])
            if local.node_type is not None:
                about["node_type"] = local.node_type[i]
            if local.node_names is not None and local.node_names[i]:
                about["name"] = local.node_names[i]
            graph.add_node(name, **about)
        for i, (source, destination) in enumerate(local.edge_index.t().tolist()):
            values: dict[str, Any] = {"edge_id": int(local.edge_id[i])}
            if local.edge_score is not None:
                values["score"] = float(local.edge_score[i])
            if local.edge_type is not None:
                values["edge_type"] = local.edge_type[i]
            if local.edge_names is not None and local.edge_names[i]:
                values["name"] = local.edge_names[i]
            if local.edge_truth is not None:
                values["truth"] = bool(local.edge_truth[i])
            graph.add_edge(names[source], names[destination], **values)
        return graph


class Explanation(pyg.Explanation, _Drawable):
    """What did each edge, node and feature of the user's graph do for one prediction?

    A ``torch_geometric.explain.Explanation`` on which PyG's own tools work. Masks are dense and in
    the user's order; what lies outside the receptive field scores 0. Units and signs are those of
    the method. An entry is there if the method has such scores:

    * ``edge_mask [E]``, ``layer_edge_mask [L, E]``: scores of edges, at each layer.
    * ``node_mask``: feature scores in the shape of the features (``x``; ``pos`` or ``z`` where the
      model reads no ``x``), ``[N, F]`` or ``[N, F, T]``, or node scores ``[N, 1]``;
      ``node_score [N]``.
    * ``index``, ``target``: what is explained; ``x``, ``edge_index``, ...: the user's own data.
    * ``prediction [C]``: probabilities, or values of a regression.
    * ``walks [W, L + 1]``, ``walk_scores [W]``: for methods that score walks.
    * ``counterfactual``: a `Counterfactual`, of methods that look for one.
    * ``local``: the same on the receptive field alone, a `LocalExplanation`.

    Example:
        >>> import torch
        >>> import glassgraph as gg
        >>> from torch_geometric.data import Data
        >>> from torch_geometric.nn import SGConv
        >>> data = Data(x=torch.eye(3), edge_index=torch.tensor([[0, 1], [1, 2]]))
        >>> model = SGConv(3, 2, K=2, bias=False)
        >>> explanation = gg.Saliency(model, progress=False).explain(data, index=[1])[0]
        >>> explanation.edge_mask.shape, explanation.node_mask.shape, explanation.index
        (torch.Size([2]), torch.Size([3, 3]), 1)
        >>> float(explanation.edge_mask[1])  # the edge from 1 to 2 does not reach node 1
        0.0
        >>> explanation.validate()
        True
    """

    local: LocalExplanation
    counterfactual: Counterfactual


class HeteroExplanation(pyg.HeteroExplanation, _Drawable):
    """What did each edge, node and feature do for one prediction on a heterogeneous graph?

    A ``torch_geometric.explain.HeteroExplanation``: every node type has ``node_score [N_t]`` and
    ``node_mask [N_t, F_t]``, every edge type ``edge_mask [E_t]`` and ``layer_edge_mask [L, E_t]``,
    in the user's order, as far as the method has such scores. See `Explanation` for the rest.

    Example:
        >>> import torch
        >>> import glassgraph as gg
        >>> from torch_geometric.data import HeteroData
        >>> from torch_geometric.nn import SAGEConv
        >>> data = HeteroData(author={"x": torch.rand(2, 3)}, paper={"x": torch.rand(4, 3)})
        >>> data["author", "writes", "paper"].edge_index = torch.tensor([[0, 1, 1], [0, 1, 2]])
        >>> class Net(torch.nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.conv = SAGEConv((3, 3), 2)
        ...
        ...     def forward(self, x_dict, edge_index_dict):
        ...         ends = x_dict["author"], x_dict["paper"]
        ...         return self.conv(ends, edge_index_dict["author", "writes", "paper"])
        >>> task = gg.Task("node", node_type="paper")
        >>> explanation = gg.Saliency(Net(), task, progress=False).explain(data, index=[1])[0]
        >>> explanation["author", "writes", "paper"].edge_mask.shape
        torch.Size([3])
    """

    local: LocalExplanation
