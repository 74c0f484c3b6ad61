"""SubgraphX: the connected subgraph with the largest Shapley value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from glassgraph.black_box.bits import to_masks
from glassgraph.black_box.coalitions import Coalitions
from glassgraph.black_box.node_sets import Building
from glassgraph.core.batch import InstanceBatch
from glassgraph.core.reachability import visible_edges
from glassgraph.explainers.black_box import BlackBoxExplainer
from glassgraph.explainers.perturbation.search.subgraph_tree import Rules, Subgraph, Tree
from glassgraph.explainers.scope import Scope
from glassgraph.explainers.settings import setting
from glassgraph.explainers.traits import Traits
from glassgraph.inputs.receptive import expand, pointer_of
from glassgraph.results.records import Attribution, Reason, Table

#: Random numbers for the orders of the nodes of many instances, at most.
_DRAWS_AT_ONCE = 1 << 21


class SubgraphX(BlackBoxExplainer):
    r"""Which connected subgraph, as one player, contributes most to the prediction?

    The reward of a set ``S`` of nodes is its Shapley value as one player among the nodes near it.
    A Monte-Carlo tree search looks for the best one::

        reward   R(S) = mean over draws T of   v(T + S) - v(T)
        search   go on with the child S of largest   Q(S) + c_puct R(S) sqrt(sum of N) / (1 + N(S))

    ``T`` are those who come before ``S`` in a random order. Nodes farther away are always there,
    and so are the explained nodes. ``v`` is the probability of the explained class (of the first
    less that of the second for a contrast; for a regression its value) where nodes that are not
    there have zero features (``"zero_filling"``) or no edges (``"split"``). ``N`` is how often a
    node of the tree was passed, ``Q`` the mean of what was found there.

    The search begins with all nodes. A child lacks one node (those of low degree are tried first)
    and whatever that node cut off: the part with the explained nodes stays, of graphs the largest.
    A rollout walks down to a small subgraph, and its reward counts at all nodes of the tree on the
    way.

    The nodes ``[N]`` of the best subgraph, and the edges ``[E]`` among them, score 1 and all others
    0; with ``graded`` they score by how many of the best subgraphs of at most 1, 2, ... and of all
    nodes they belong to, where those of high reward weigh more. The table ``subgraphs`` lists the
    best of all subgraphs that the search has met: ``rank`` from 0, ``node``, and for each of them
    again ``size`` and ``reward`` (a difference of probabilities).

    To rank edges, ask for ``graded=True``: 0 and 1 leave most of them tied. On other seeds than any
    table reports, robust fidelity preferred it, and ``subgraph_building="split"`` with it (see
    ``docs/motifs.md``).

    The draws are made once for each instance and serve all of its subgraphs: rewards are compared
    on the same orders, with less noise in their differences, and most of the sets of nodes come up
    again and again. Each is evaluated once; those of all instances go through the model together.

    Differences to the authors' code: draws are shared as above; of children with equal prospects
    (at the first visit all of them) the one with the highest reward is taken, not the first; the
    degree of a node does not count self-loops; where one node at a time would need more than
    ``depth`` steps, as in the field of a hub, several nodes go at once; and ``effort`` ends a
    search that gets too expensive: the walk goes on to its end in a few large steps and is the
    last. Larger subgraphs than ``max_nodes`` are taken where the search finds none, as for two
    explained nodes and 1.

    Yuan, Yu, Wang, Li and Ji, "On Explainability of Graph Neural Networks via Subgraph
    Explorations" (ICML 2021, https://arxiv.org/abs/2102.05152).

    Raises:
        HyperParameterError: if a value is out of range.
        UnsupportedModelError: from `explain`, if there are no features to fill with zeros.

    Example:
        >>> import torch
        >>> import glassgraph as gg
        >>> from torch_geometric.data import Data
        >>> from torch_geometric.nn import SimpleConv
        >>> x = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 3.0], [0.0, 1.0]])
        >>> data = Data(x=x, edge_index=torch.tensor([[1, 2, 3], [0, 0, 0]]))
        >>> gg.SubgraphX(SimpleConv(), max_nodes=2).explain(data, [0], target=1)[0].edge_mask
        tensor([0., 1., 0.])
    """

    name = "subgraphx"
    traits = Traits(
        family="perturbation",
        scores=("edge", "node"),
        is_black_box=True,
        is_random=True,
        source="Yuan et al. 2021, arXiv:2102.05152",
    )
    scope = Scope(sees_degrees=True, needs_edges=True)
    test_settings: ClassVar[Mapping[str, Any]] = {
        "graded": True,
        "max_nodes": 2,
        "rollouts": 3,
        "expand_atoms": 6,
        "samples": 2,
        "depth": 8,
    }

    max_nodes: int = setting("nodes that the subgraph has, at most", default=5, at_least=1)
    rollouts: int = setting("walks from the whole to a small subgraph", default=20, at_least=1)
    min_atoms: int = setting(
        "a walk ends at so many nodes, or at max_nodes where that is less", default=5, at_least=1
    )
    expand_atoms: int = setting(
        "children of a subgraph that are tried, at most", default=14, at_least=1
    )
    c_puct: float | None = setting(
        "weight of a child's reward against what was found behind it; None for 10 where graphs are "
        "explained, 5 where nodes or links are",
        default=None,
        above=0,
    )
    high_to_low: bool = setting("nodes of high degree go first", default=False)
    local_radius: int = setting(
        "the players are the nodes fewer than so many hops away from the subgraph",
        default=4,
        at_least=1,
    )
    samples: int = setting(
        "random orders that a Shapley value is a mean over", default=100, at_least=1
    )
    subgraph_building: Building = setting(
        "'zero_filling' sets the features of nodes that go to zero, 'split' deletes their edges",
        default="zero_filling",
    )
    depth: int = setting(
        "steps of a walk, at most: fields with more nodes lose several at each step",
        default=30,
        at_least=1,
    )
    effort: float | None = setting(
        "millions of nodes and edges that may go through the model for one instance; None for any",
        default=5.0,
        above=0,
    )
    graded: bool = setting(
        "score by the best subgraphs of all sizes instead of 0 and 1", default=False
    )
    keep: int = setting("how many subgraphs the table lists", default=10, at_least=1)

    @torch.no_grad()
    def attribute(self, batch: InstanceBatch) -> Attribution:
        """Search the trees of many instances side by side, those of similar size together."""
        count = batch.nodes_per_instance
        order = torch.argsort(count, stable=True)
        group = (count[order] * self.samples).cumsum(0) // _DRAWS_AT_ONCE
        trees: dict[int, Tree] = {}
        for some in order.split(torch.unique_consecutive(group, return_counts=True)[1].tolist()):
            part = batch if batch.is_whole else batch.take(some)
            trees |= zip(some.tolist(), self._search(part), strict=True)
        return self._attribution(batch, [trees[n] for n in range(batch.num_instances)])

    def _search(self, batch: InstanceBatch) -> list[Tree]:
        coalitions = Coalitions(
            batch,
            self.memory_budget,
            self.seed,
            self.samples,
            self.local_radius,
            self.subgraph_building,
        )
        trees = [Tree(*coalitions.graph(n), self._rules()) for n in range(batch.num_instances)]
        searches = {number: tree.search() for number, tree in enumerate(trees)}
        while searches:
            wanted = {number: next(search, []) for number, search in searches.items()}
            searches = {number: searches[number] for number, some in wanted.items() if some}
            asked = [(number, each) for number, some in wanted.items() for each in some]
            if asked:
                owners, subgraphs = zip(*asked, strict=True)
                found = coalitions.values(owners, [each.nodes for each in subgraphs])
                for each, reward in zip(subgraphs, found, strict=True):
                    each.reward = reward
            if self.effort is not None:
                for number, rows in enumerate(coalitions.sets.rows_evaluated.tolist()):
                    trees[number].is_tired = rows >= self.effort * 1e6
        return trees

    def _rules(self) -> Rules:
        explore = self.c_puct
        if explore is None:
            explore = 10.0 if self.task.level == "graph" else 5.0
        return Rules(
            rollouts=self.rollouts,
            smallest=min(self.min_atoms, self.max_nodes),
            breadth=self.expand_atoms,
            depth=self.depth,
            explore=explore,
            high_to_low=self.high_to_low,
        )

    def _attribution(self, batch: InstanceBatch, trees: list[Tree]) -> Attribution:
        chosen, listed = [], []
        for number, tree in enumerate(trees):
            best = tree.ranked(self.max_nodes)[: self.keep]
            shares = tree.shares() if self.graded else {best[0].nodes: 1.0}
            chosen += [(number, nodes, share) for nodes, share in shares.items()]
            listed += [(number, rank, each) for rank, each in enumerate(best)]
        node, edge = _scores(batch, chosen)
        is_all = batch.nodes_per_instance <= self.max_nodes
        reason = Reason(f"the field has at most max_nodes={self.max_nodes} nodes", is_all)
        tables = {"subgraphs": _table(batch, listed)}
        return Attribution(edge=edge, node=node, tables=tables, reasons=(reason,))


class _Sets:
    """Sets of nodes of some instances, as rows of a mask.

    Args:
        batch: the instances.
        instance: whose nodes they are, for each set.
        sets: places of nodes within their instance.
    """

    def __init__(self, batch: InstanceBatch, instance: Sequence[int], sets: Sequence[int]) -> None:
        self.batch = batch
        self.instance = torch.tensor(instance, dtype=torch.long, device=batch.device)
        nodes = batch.nodes_per_instance
        self._mask = to_masks(sets, int(nodes.max())).to(batch.device)
        self._first = nodes.cumsum(0) - nodes

    def nodes(self) -> tuple[Tensor, Tensor]:
        """Rows of the members, and which set each belongs to, ascending."""
        number, place = self._mask.nonzero(as_tuple=True)
        return self._first[self.instance[number]] + place, number

    def edges(self) -> tuple[Tensor, Tensor]:
        """Edges with both ends in a set and in sight, and which set that is."""
        fields, count = self.batch.fields, self.batch.edges_per_instance
        pointer = pointer_of(count)
        edge, number = expand(pointer, self.instance)
        first = self._first[self.instance[number]]
        is_inside = visible_edges(self.batch, torch.ones_like(fields.edge, dtype=torch.bool))[edge]
        for end in (fields.source, fields.destination):
            is_inside &= self._mask[number, end[edge] - first]
        return edge[is_inside], number[is_inside]


def _scores(
    batch: InstanceBatch, chosen: Sequence[tuple[int, int, float]]
) -> tuple[Tensor, Tensor]:
    """Scores of nodes and of the edges among them: the shares of the sets that they belong to."""
    instance, nodes, shares = zip(*chosen, strict=True)
    sets, share = _Sets(batch, instance, nodes), batch.reference.new_tensor(shares)
    row, number = sets.nodes()
    node = share.new_zeros(batch.num_nodes).index_add(0, row, share[number])
    row, number = sets.edges()
    return node, share.new_zeros(batch.num_edges).index_add(0, row, share[number])


def _table(batch: InstanceBatch, listed: Sequence[tuple[int, int, Subgraph]]) -> Table:
    """A row for each node of each subgraph."""
    instance, ranks, subgraphs = zip(*listed, strict=True)
    sets = _Sets(batch, instance, [each.nodes for each in subgraphs])
    row, number = sets.nodes()
    rank = torch.tensor(ranks, device=batch.device)
    size = torch.tensor([each.size for each in subgraphs], device=batch.device)
    rewards = [each.value for each in subgraphs]
    reward = torch.tensor(rewards, dtype=torch.float64, device=batch.device)
    values = {"rank": rank[number], "size": size[number], "reward": reward[number]}
    return Table(sets.instance[number], {"node": row}, values)
