"""GNN-LRP: walks, and the sums over walks that make the scores of edges, nodes and subgraphs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from numbers import Real
from typing import Any, Literal

import torch
from torch import Tensor

from glassgraph.calling.protect import protected
from glassgraph.core.batch import InstanceBatch
from glassgraph.errors import HyperParameterError, InstanceError, WalkError
from glassgraph.explainers.base import Explainer
from glassgraph.explainers.decomposition.walks.lists import Walks, all_walks, ranked, score_walks
from glassgraph.explainers.decomposition.walks.nodes import masks_of, own_nodes, walks_in
from glassgraph.explainers.decomposition.walks.paths import FastSearch, promising_walks
from glassgraph.explainers.decomposition.walks.reading import read_in_pieces
from glassgraph.explainers.decomposition.walks.search import best_walks
from glassgraph.explainers.decomposition.walks.subgraphs import greedy_order, subgraph_relevance
from glassgraph.explainers.settings import setting
from glassgraph.explainers.traits import Traits
from glassgraph.inputs.task import Target
from glassgraph.relevance.walks import WalkGraph
from glassgraph.results.explanation import Attribution


class GNNLRP(Explainer):
    """Along which walks through the graph did the evidence travel?

    The relevance of a walk ``(n_0, ..., n_L)`` through the L layers is the part of the logit that
    `LRP` finds for the features of ``n_0`` if at each layer ``p`` it follows what ``n_{p+1}``
    received from ``n_p`` alone. It is a product of matrices ``T_p[n_p, n_{p+1}]``, which share
    relevance by the gamma rule; at gamma 0 they are Jacobians, and walks the terms of their
    product::

        walk             R(n_0, ..., n_L) = start[n_0] T_0[n_0, n_1] ... T_{L-1}[n_{L-1}, n_L]
        gamma rule       rho(w)  = w + gamma max(0, w)
        node score       S[n]    = sum of R over all walks that start at n
        layer edge score S[l, e] = sum of R over all walks that pass edge e at layer l
        edge score       S[e]    = sum_l S[l, e]

    Walks come as ``walks [W, L + 1]`` with ``walk_scores [W]``, the largest absolute relevance
    first. Scores are signed and have the unit of the logit. What a bias contributes stays with it
    (`LocalExplanation.absorbed`). Sums over exponentially many walks are computed without listing
    them, in a few backward passes (`glassgraph.relevance.walks`).

    ``gamma`` is one number for all message-passing layers; two, ``(bottom, top)``, between which
    the layers are spread evenly; or one for each layer. What follows the last layer has gamma 0, or
    one further number.

    ``search`` says how the best walks are found; each is listed with its exact relevance.
    ``"exact"`` finds the best ones. The others are fast and approximate: ``"longest"`` and
    ``"amp_ave"`` follow the best path from the score downwards and look for large positive
    relevance; ``"emp_neu"`` finds the best walks from *neuron* to neuron, exactly, and lists the
    walks of nodes that they run along, which may be fewer than asked for.

    Walks are not defined for models that mix nodes other than by messages (`GraphNorm`) or whose
    messages go through a `MessageTap`.

    Schnake, Eberle, Lederer, Nakajima, Schuett, Mueller and Montavon, "Higher-Order Explanations of
    Graph Neural Networks via Relevant Walks" (TPAMI 2022, https://arxiv.org/abs/2006.03589); the
    relevance of subgraphs follows Xiong, Schnake, Montavon, Mueller and Nakajima, "Efficient
    Computation of Higher-Order Subgraph Attribution via Message Passing" (ICML 2022,
    https://proceedings.mlr.press/v162/xiong22a.html), AMP-ave and EMP-neu Xiong, Schnake,
    Gastegger, Montavon, Müller and Nakajima, "Relevant Walk Search for Explaining Graph Neural
    Networks" (ICML 2023, https://proceedings.mlr.press/v202/xiong23b.html).

    Raises:
        HyperParameterError: if a value is out of range or a word unknown.
        WalkError: from `explain`, if the walks of the model are not defined, or too many.

    Example:
        >>> import torch
        >>> import glassgraph as gg
        >>> from torch_geometric.data import Data
        >>> from torch_geometric.nn import GraphSAGE
        >>> data = Data(x=torch.rand(4, 3), edge_index=torch.tensor([[0, 1, 2], [1, 2, 3]]))
        >>> explainer = gg.GNNLRP(GraphSAGE(3, 8, 2, 2), task="node", walks="all")
        >>> explanation = explainer.explain(data, [3])[0]
        >>> sorted(explanation.walks.tolist())  # each step takes an edge, or stays
        [[1, 2, 3], [2, 2, 3], [2, 3, 3], [3, 3, 3]]
        >>> explanation.walk_scores.shape, explanation.layer_edge_mask.shape
        (torch.Size([4]), torch.Size([2, 3]))
    """

    name = "gnn_lrp"
    traits = Traits(
        family="decomposition",
        scores=("edge", "layer edge", "node"),
        is_signed=True,
        source="Schnake et al. 2022, arXiv:2006.03589",
    )

    gamma: float | Sequence[float] = setting(
        "how much positive weights are favored: one number, two (bottom, top), or one per layer",
        default=(3.0, 0.0),
        at_least=0,
        below=math.inf,
    )
    walks: int | Literal["all"] = setting(
        "how many walks are listed for each instance, the largest absolute relevance first",
        default=10,
        at_least=0,
    )
    search: Literal["exact"] | FastSearch = setting(
        "how the best walks are found: exactly, or faster and approximately", default="exact"
    )
    max_walks: int = setting(
        "refuse to list 'all' walks of an instance that has more", default=1_000_000, at_least=1
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.gamma, Sequence) and not self.gamma:
            raise HyperParameterError(
                f"{self.name}: gamma must be a number, two (bottom, top) or one for each layer; "
                f"got {self.gamma!r}"
            )

    @property
    def hyper_parameters(self) -> dict[str, Any]:
        """The method's own hyper-parameters."""
        gamma = list(self.gamma) if isinstance(self.gamma, Sequence) else self.gamma
        return super().hyper_parameters | {"gamma": gamma}

    def attribute(self, batch: InstanceBatch) -> Attribution:
        """A few backward passes for each layer, then sums over walks, and a search for the best."""
        layer_edge, node, total, found = [], [], [], []
        num_nodes = 0
        for part, walks in self._read(batch):
            layer_edge.append(walks.edge_relevance(part.num_edges))
            node.append(walks.node_relevance())
            total.append(walks.score)
            listed = self._listed(walks)
            found.append((listed.node + num_nodes, listed.score))
            num_nodes += part.num_nodes
        edges = torch.cat(layer_edge, dim=1)
        return Attribution(
            edge=edges.sum(dim=0),
            layer_edge=edges,
            node=torch.cat(node),
            total=torch.cat(total),
            walk=torch.cat([each for each, _ in found]),
            walk_score=torch.cat([score for _, score in found]),
        )

    def subgraph_relevance(
        self,
        data: Any,
        node_sets: Sequence[Any] | Tensor,
        index: int | None = None,
        target: Target = None,
        *,
        alpha: float = 0.0,
    ) -> Tensor:
        """Relevance of subgraphs: what would be left of the logit if walks had to stay in them.

        With ``alpha`` 0, the sum over all walks within a set of nodes. Otherwise walks may leave
        the set: each visit outside counts ``alpha``, and walks that never touch the set are not
        counted; ``alpha`` 1 counts all walks that touch it. Linear in the number of layers.

        Args:
            data: the graph(s), as in `explain`.
            node_sets: S sets of the user's nodes (of the instance's graph), or their masks
                ``[S, N]``.
            index: the instance; may be left out if there is only one.
            target: the explained class, as in `explain`.
            alpha: weight of a visit outside, from 0 to 1.

        Returns:
            ``[S]``.

        Raises:
            HyperParameterError: if ``alpha`` is out of range.
            InstanceError: if there is no such node.
        """
        _check_alpha(alpha)
        with protected(self.model):
            batch, walks = self._one(data, index, target)
            return subgraph_relevance(walks, masks_of(batch, node_sets), alpha)[:, 0]

    def node_order(
        self, data: Any, index: Any = None, target: Target = None, *, alpha: float = 0.05
    ) -> list[tuple[Tensor, Tensor]]:
        """Nodes in the order in which they make a growing subgraph most relevant.

        From the empty set, the node is added with which the subgraph has the largest relevance (see
        `subgraph_relevance`), until all are in. Instances of a batch grow side by side.

        Args:
            data: the graph(s), as in `explain`.
            index: the instances, as in `explain`.
            target: the explained class, as in `explain`; a pair of classes (a, b) takes out what
                speaks for both.
            alpha: weight of a visit outside, from 0 to 1.

        Returns:
            For each instance the user's nodes (of the instance's graph), the first one first, and
            the step ``[n]`` at which each node of its receptive field joins, in ascending order of
            nodes.

        Raises:
            HyperParameterError: if ``alpha`` is out of range.
        """
        _check_alpha(alpha)
        preparation = self.prepare(data)
        instances = preparation.instances(index)
        found: dict[int, tuple[Tensor, Tensor]] = {}
        with protected(self.model):
            for position, batch in preparation.batches(instances, target, self.memory_budget):
                orders = torch.cat([greedy_order(walks, alpha) for _, walks in self._read(batch)])
                for row, number in enumerate(position.tolist()):
                    own, node = own_nodes(batch, row)
                    step = orders[own]
                    found[number] = node[step.argsort()].cpu(), step.cpu()
        return [found[number] for number in range(len(instances))]

    def walk_relevance(
        self, data: Any, walks: Any, index: int | None = None, target: Target = None
    ) -> Tensor:
        """Relevance of chosen walks.

        Args:
            data: the graph(s), as in `explain`.
            walks: ``[W, L + 1]`` the user's nodes (of the instance's graph).
            index: the instance; may be left out if there is only one.
            target: the explained class, as in `explain`.

        Returns:
            ``[W]``.

        Raises:
            WalkError: if a walk is not in the graph, or has the wrong length.
        """
        with protected(self.model):
            batch, graph = self._one(data, index, target)
            return score_walks(graph, walks_in(batch, walks))

    # Walks

    def _read(self, batch: InstanceBatch) -> Iterator[tuple[InstanceBatch, WalkGraph]]:
        """The walk graphs of a batch, in as few pieces as memory allows, in order."""
        return read_in_pieces(batch, self.gamma, self.memory_budget)

    def _one(self, data: Any, index: int | None, target: Target) -> tuple[InstanceBatch, WalkGraph]:
        """The only instance that is meant."""
        preparation = self.prepare(data)
        instances = preparation.instances(index)
        if len(instances) != 1:
            raise InstanceError(f"index names {len(instances)} instances; give one")
        ((_, batch),) = preparation.batches(instances, target, self.memory_budget)
        if batch.graph.is_heterogeneous:
            raise WalkError("nodes of heterogeneous graphs have no numbers of their own")
        ((_, walks),) = self._read(batch)
        return batch, walks

    def _listed(self, walks: WalkGraph) -> Walks:
        """The walks that are to be listed."""
        if self.walks == "all":
            return all_walks(walks, most=self.max_walks)
        if self.walks == 0:
            empty = walks.node_instance.new_empty(0)
            return Walks(empty, empty.new_empty((0, walks.num_layers + 1)), walks.start[:0, 0])
        if self.search == "exact":
            return best_walks(walks, self.walks)
        node = promising_walks(walks, self.search, self.walks)
        return ranked(walks, node, score_walks(walks, node))


def _check_alpha(alpha: float) -> None:
    if not isinstance(alpha, Real) or not 0 <= alpha <= 1:
        raise HyperParameterError(f"alpha must lie in [0, 1]; got {alpha!r}")
