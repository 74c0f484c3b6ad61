"""GNN-LRP: which walks of information through the graph make the prediction?

The relevance of a walk ``(n_0, ..., n_L)`` is the part of the logit that LRP finds for the features
of ``n_0`` if at each layer ``p`` it follows what ``n_{p+1}`` received from ``n_p`` alone. Relevance
is handed down with the gamma rule, ``rho(w) = w + gamma max(0, w)``; at gamma = 0 the walks are the
terms of the product of Jacobians. `glassgraph.relevance.walks` says how all walks follow from a few
backward passes, without one for each.

Edges get the relevance of all walks that pass them at a layer, nodes that of all walks that start
there; both are sums over exponentially many walks and are computed without listing them. What a
bias contributes stays with it (`LocalExplanation.absorbed`).

Schnake, Eberle, Lederer, Nakajima, Schuett, Mueller and Montavon, "Higher-Order Explanations of
Graph Neural Networks via Relevant Walks" (TPAMI 2022, https://arxiv.org/abs/2006.03589); the
relevance of subgraphs follows Xiong, Schnake, Montavon, Mueller and Nakajima, "Efficient
Computation of Higher-Order Subgraph Attribution via Message Passing" (ICML 2022,
https://proceedings.mlr.press/v162/xiong22a.html).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from glassgraph.core.batch import InstanceBatch
from glassgraph.core.protect import protected
from glassgraph.core.task import Target, Task
from glassgraph.errors import HyperParameterError, InstanceError, WalkError
from glassgraph.explainers.base import Explainer
from glassgraph.explainers.decomposition.walk_lists import Walks, all_walks, ranked, score_walks
from glassgraph.explainers.decomposition.walk_paths import best_paths
from glassgraph.explainers.decomposition.walk_search import best_walks
from glassgraph.explainers.decomposition.walk_subgraphs import greedy_order, subgraph_relevance
from glassgraph.explainers.traits import Traits
from glassgraph.relevance.module_scope import ModuleScope
from glassgraph.relevance.rules import Gamma, Rule, Zero
from glassgraph.relevance.tape import Tape
from glassgraph.relevance.walk_reader import TooLarge, read_walks
from glassgraph.relevance.walks import WalkGraph
from glassgraph.results.explanation import Attribution

Search = Literal["exact", "longest", "amp_ave"]

#: Memory that a single instance may take, also where ``memory_budget`` is smaller.
_MOST_BYTES = 4 << 30


class GNNLRP(Explainer):
    """Relevance of walks, and of edges, nodes and subgraphs as sums of walks.

    Args:
        model: a model of PyG layers. Walks are not defined for models that mix nodes other than by
            messages (`GraphNorm`) or whose messages go through a `MessageTap`.
        task: see `Explainer`.
        gamma: how much the gamma rule favors positive weights: one number for all message-passing
            layers, two, ``(bottom, top)``, between which the layers are spread evenly, or one for
            each layer. What follows the last layer has gamma 0, or one further number.
        walks: how many walks are listed for each instance, the largest absolute relevance first;
            ``"all"`` for all of them.
        search: how the best are found: ``"exact"``; ``"longest"`` and ``"amp_ave"`` are faster and
            approximate, and look for large positive relevance (`walk_paths`).
        max_walks: refuse to list ``"all"`` walks of an instance that has more.
        **shared: see `Explainer`.

    Raises:
        HyperParameterError: if a value is out of range or a word unknown.

    `explain` raises `WalkError` if the walks of the model are not defined, or too many.

    Example:
        >>> import torch
        >>> import glassgraph as gg
        >>> from torch_geometric.data import Data
        >>> from torch_geometric.nn import GraphSAGE
        >>> data = Data(x=torch.rand(4, 3), edge_index=torch.tensor([[0, 1, 2], [1, 2, 3]]))
        >>> explainer = gg.GNNLRP(GraphSAGE(3, 8, 2, 2), task="node", walks="all")
        >>> explainer.explain(data, [3])[0].walks.shape
        torch.Size([4, 3])
    """

    name = "gnn_lrp"
    traits = Traits(
        family="decomposition",
        scores=("edge", "layer edge", "node"),
        is_learned=False,
        is_amortized=False,
        is_black_box=False,
        is_signed=True,
        is_random=False,
        source="Schnake et al. 2022, arXiv:2006.03589",
    )

    def __init__(
        self,
        model: nn.Module,
        task: str | Task = "node",
        *,
        gamma: float | Sequence[float] = (3.0, 0.0),
        walks: int | Literal["all"] = 10,
        search: Search = "exact",
        max_walks: int = 1_000_000,
        **shared: Any,
    ) -> None:
        super().__init__(model, task, **shared)
        numbers = list(gamma) if isinstance(gamma, (tuple, list)) else [gamma]
        if not numbers or not all(map(_is_gamma, numbers)):
            raise HyperParameterError(
                "gamma is one number, two (bottom, top) or one for each layer, none negative; "
                f"got {gamma!r}"
            )
        is_count = isinstance(walks, int) and not isinstance(walks, bool) and walks >= 0
        if walks != "all" and not is_count:
            raise HyperParameterError(f"walks must be a number of walks or 'all'; got {walks!r}")
        if search not in get_args(Search):
            words = ", ".join(repr(word) for word in get_args(Search))
            raise HyperParameterError(f"search must be one of {words}; got {search!r}")
        if max_walks < 1:
            raise HyperParameterError(f"max_walks must be positive; got {max_walks}")
        self.gamma = gamma
        self.walks = walks
        self.search: Search = search
        self.max_walks = max_walks

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
        if not 0 <= alpha <= 1:
            raise HyperParameterError(f"alpha must lie in [0, 1]; got {alpha}")
        with protected(self.model):
            batch, walks = self._one(data, index, target)
            return subgraph_relevance(walks, self._masks(batch, node_sets), alpha)[:, 0]

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
        if not 0 <= alpha <= 1:
            raise HyperParameterError(f"alpha must lie in [0, 1]; got {alpha}")
        preparation = self.prepare(data)
        instances = preparation.instances(index)
        found: dict[int, tuple[Tensor, Tensor]] = {}
        with protected(self.model):
            for position, batch in preparation.batches(instances, target, self.memory_budget):
                orders = torch.cat([greedy_order(walks, alpha) for _, walks in self._read(batch)])
                for row, number in enumerate(position.tolist()):
                    own = batch.node_instance == row
                    node, step = batch.fields.node[own], orders[own]
                    if batch.graph.node_graph is not None:
                        graph = batch.graph.node_graph[node[0]]
                        node = node - batch.graph.by_graph[0].pointer[graph]
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
            flat = _flat_nodes(batch, walks)
            place = torch.searchsorted(batch.fields.node, flat)
            place = place.clamp_max(max(0, batch.num_nodes - 1))
            if bool((batch.fields.node[place] != flat).any()):
                raise WalkError("a walk visits a node from which nothing reaches the prediction")
            return score_walks(graph, place)

    # Reading walks out of the model

    def _read(self, batch: InstanceBatch) -> Iterator[tuple[InstanceBatch, WalkGraph]]:
        """The walk graphs of a batch, in as few pieces as memory allows, in order."""
        backward = Tape.on(batch, _Schedule(self._gammas(batch.num_layers)))
        is_single = batch.num_instances == 1
        budget = max(self.memory_budget, _MOST_BYTES) if is_single else self.memory_budget
        try:
            yield batch, read_walks(batch, budget=budget, backward=backward)
            return
        except TooLarge as error:
            if is_single:
                raise WalkError(
                    f"the walks of one instance take {error.num_bytes / 2**30:.3g} GiB, more than "
                    f"the {budget / 2**30:.3g} GiB allowed; raise memory_budget, or explain a "
                    "narrower model"
                ) from error
        instances = torch.arange(batch.num_instances, device=batch.device)
        for half in instances.tensor_split(2):
            yield from self._read(batch.take(half))

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

    def _gammas(self, num_layers: int) -> list[float]:
        """Gamma of each layer, and of what follows."""
        if not isinstance(self.gamma, Sequence):
            return [float(self.gamma)] * num_layers + [0.0]
        found = [float(each) for each in self.gamma]
        if len(found) == 2:
            return [*torch.linspace(found[0], found[1], num_layers).tolist(), 0.0]
        if len(found) not in (num_layers, num_layers + 1):
            raise HyperParameterError(
                f"gamma has {len(found)} numbers; the model has {num_layers} message-passing layers"
            )
        return found if len(found) > num_layers else [*found, 0.0]

    def _listed(self, walks: WalkGraph) -> Walks:
        """The walks that are to be listed."""
        if self.walks == "all":
            return all_walks(walks, most=self.max_walks)
        if self.walks == 0:
            empty = walks.node_instance.new_empty(0)
            return Walks(empty, empty.new_empty((0, walks.num_layers + 1)), walks.start[:0, 0])
        if self.search == "exact":
            return best_walks(walks, self.walks)
        node = best_paths(walks, self.search, self.walks).node
        return ranked(walks, node, score_walks(walks, node))

    def _masks(self, batch: InstanceBatch, node_sets: Sequence[Any] | Tensor) -> Tensor:
        """Sets of the user's nodes as ``[S, n]`` masks on a batch of one instance."""
        is_mask = isinstance(node_sets, Tensor) and node_sets.dtype == torch.bool
        rows = []
        for each in node_sets:
            nodes = each.nonzero().view(-1) if is_mask else each
            rows.append(torch.isin(batch.fields.node, _flat_nodes(batch, nodes)))
        return torch.stack(rows) if rows else batch.fields.node.new_zeros((0, batch.num_nodes))


def _is_gamma(value: object) -> bool:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_number and 0 <= value < float("inf")  # type: ignore[operator]


class _Schedule:
    """The gamma rule, with another gamma at each layer."""

    def __init__(self, gammas: list[float]) -> None:
        self._rules: list[Rule] = [Gamma(each) if each else Zero() for each in gammas]

    def __call__(self, scope: ModuleScope) -> Rule:
        return self._rules[min(scope.depth, len(self._rules) - 1)]


def _flat_nodes(batch: InstanceBatch, nodes: Any) -> Tensor:
    """The user's nodes of a batch's only graph, numbered over all graphs.

    Raises:
        InstanceError: if there is no such node.
    """
    chosen = torch.as_tensor(nodes, device=batch.device)
    chosen = chosen.long() if not chosen.numel() else chosen
    if chosen.is_floating_point() or chosen.dtype == torch.bool:
        raise InstanceError(f"nodes are given by their numbers; got {chosen.dtype}")
    graph, start, num_nodes = batch.graph, 0, batch.graph.num_nodes
    if graph.node_graph is not None:
        number = int(graph.node_graph[batch.fields.node[0]])
        start, stop = graph.by_graph[0].pointer[number : number + 2].tolist()
        num_nodes = stop - start
    if chosen.numel() and (int(chosen.min()) < 0 or int(chosen.max()) >= num_nodes):
        bad = int(chosen.min()) if int(chosen.min()) < 0 else int(chosen.max())
        raise InstanceError(f"node {bad} is out of range: there are {num_nodes} (nodes from 0)")
    return chosen.long() + start
