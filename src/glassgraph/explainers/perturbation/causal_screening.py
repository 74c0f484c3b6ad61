"""Causal screening: edges in the order in which they raise the prediction most."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from glassgraph.black_box.growth import Growth
from glassgraph.core import random
from glassgraph.core.batch import InstanceBatch
from glassgraph.explainers.black_box import BlackBoxExplainer
from glassgraph.explainers.perturbation.search.removal import DROPS_NODES, check_is_of_graphs
from glassgraph.explainers.perturbation.search.twin_edges import mean_of_twins
from glassgraph.explainers.scope import Scope
from glassgraph.explainers.settings import setting
from glassgraph.explainers.traits import Traits
from glassgraph.inputs import task
from glassgraph.results.records import Attribution, Reason, Table


class CausalScreening(BlackBoxExplainer):
    r"""Which edge, added to those selected so far, raises the prediction most?

    With ``G_k`` the k edges selected so far (nothing else is left of the instance's edges)::

        S(e | G_k) = v(G_k + e) - v(G_k),    e_(k+1) = argmax over e of S(e | G_k),    G_0 = {}

    ``v`` is what the explained prediction says: the log-likelihood of the explained class (of "a
    rather than b" for a contrast), for a regression minus the squared distance to the prediction on
    the whole graph. So ``S`` is the individual causal effect of the intervention "the edge is
    there" on the mutual information with the prediction. An edge's score falls with its turn: the
    r-th of R selected edges has ``(R + 1 - r) / R``, edges that were not selected have 0; ``[E]``
    numbers without unit. The table ``steps`` says of each step which edge was added (``source``,
    ``destination``), its ``effect`` and the ``value`` then.

    The search is exact: at each step the model sees every candidate, of all instances together. No
    effect is carried over from an earlier step, since effects are not submodular. The evaluations
    of an instance with ``n`` edges are at most ``budget * n``, on graphs of up to ``budget`` edges.
    What is left out changes no effect:

    * What a node's or link's prediction cannot see has no effect on it, whatever is added there. So
      the candidates are the edges that would be seen, and the graph ``G_k`` grows around the
      prediction; an argmax over all edges would add edges nowhere near it as soon as all others
      lower the likelihood. Every edge comes into sight in the end.
    * Two candidates with alike ends make graphs that are alike: nodes without a selected edge can
      be exchanged if their attributes are equal. Of such candidates one is evaluated.

    All nodes stay, also those that no edge of ``G_k`` touches. Where the network is asked what it
    says on ``G_k`` alone, they go with the last of their edges (``removal="delete_isolated"``, of
    graph tasks): as *sufficiency* of GNNX-Bench has it (Kosan et al., ICLR 2024,
    https://arxiv.org/abs/2310.01794; `glassgraph.metrics.sufficiency`), whose greedy search this
    then is, with ``pairs``. An empty graph has no prediction: the ``effect`` of the first edge is
    then NaN.

    It finds what is enough, starting from nothing. What else counts beside that it ranks little: by
    robust fidelity its order of edges was better than random scores on no more than half of the
    survey's data sets (``docs/survey.md``).

    Ties are broken by a hash of the attributes of the edge and its ends, then by one of the numbers
    of its ends; parallel edges that the model cannot tell apart share the mean of their scores.

    The "Screener" in the code of ReFine, by authors of the paper, is another method: it draws ten
    candidates at each step, in proportion to a prior, and replaces the effect by its linearization,
    the gradient of the loss at the current graph's representation times the change of that.

    Wang, Wu, Zhang, He and Chua, "Causal Screening to Interpret Graph Neural Networks" (2021,
    https://openreview.net/forum?id=nzKv5vxZfge).

    Raises:
        HyperParameterError: if a value is out of range, or nodes are to go of a task that is not
            about graphs.

    Example:
        >>> import torch
        >>> import glassgraph as gg
        >>> from torch_geometric.data import Data
        >>> from torch_geometric.nn import SimpleConv
        >>> x = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 3.0], [0.0, 1.0]])
        >>> data = Data(x=x, edge_index=torch.tensor([[1, 2, 3], [0, 0, 0]]))
        >>> gg.CausalScreening(SimpleConv(), budget=2).explain(data, [0], target=1)[0].edge_mask
        tensor([0.0000, 1.0000, 0.5000])
    """

    name = "causal_screening"
    traits = Traits(
        family="perturbation",
        scores=("edge",),
        is_black_box=True,
        source="Wang et al. 2021, openreview nzKv5vxZfge",
    )
    scope = Scope(sees_degrees=True)

    budget: int | None = setting(
        "edges that are selected, at most (pairs of edges, with pairs); None for all",
        default=100,
        at_least=1,
    )
    candidates: int | None = setting(
        "edges that are tried at each step, at most, drawn anew each time; None for all",
        default=None,
        at_least=1,
    )
    pairs: bool = setting(
        "add the two directions of an undirected edge together; both get the same score "
        "(0 for one that the prediction does not see)",
        default=False,
    )
    removal: Literal["delete", "delete_isolated"] = setting(
        "what happens to edges outside of the set: they are deleted, or nodes go with the last of "
        "their edges, too (graph tasks)",
        default="delete",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        check_is_of_graphs(self.name, self.removal, "delete", self.task)

    @torch.no_grad()
    def attribute(self, batch: InstanceBatch) -> Attribution:
        """Select an edge of every instance at each step."""
        growth = Growth(
            batch,
            self.memory_budget,
            pairs=self.pairs,
            drop_isolated=self.removal == DROPS_NODES,
        )
        value = self._value(batch, growth.outputs_of_nothing(), growth.everyone)
        turn = torch.zeros_like(growth.instance)
        decides = torch.zeros_like(value, dtype=torch.bool)
        steps: list[tuple[Tensor, ...]] = []
        while self.budget is None or len(steps) < self.budget:
            item = self._drawn(batch, growth, growth.candidates(), len(steps))
            if not item.numel():
                break
            instance = growth.instance[item]
            found = self._value(batch, growth.outputs_with(item), instance)
            best = _best(found, instance, growth, item)
            decides |= value.isnan() & ~_are_equal(found, instance, growth)
            item, instance, found = item[best], instance[best], found[best]
            growth.add(item)
            turn[item] = len(steps) + 1
            steps.append((instance, item, found - value[instance], found))
            value[instance] = found
        scores, tables = _scores(batch, growth, turn), _tables(batch, growth, steps)
        return Attribution(edge=scores, tables=tables, reasons=(_no_effect(decides, steps),))

    def _value(self, batch: InstanceBatch, output: Tensor, instance: Tensor) -> Tensor:
        """``[K]`` what the explained prediction says."""
        reference = batch.reference_of(instance)
        return -task.loss(batch.task, output, batch.targets.take(instance), reference)

    def _drawn(self, batch: InstanceBatch, growth: Growth, item: Tensor, turn: int) -> Tensor:
        """As many candidates of each instance as are tried, by instance."""
        if self.candidates is None:
            return item
        instance = growth.instance[item]
        draw = random.hash64(self.seed, batch.key[instance], turn, growth.address[item])
        order = torch.argsort(draw)
        order = order[torch.argsort(instance[order], stable=True)]
        count = torch.bincount(instance, minlength=batch.num_instances)
        first = (count.cumsum(0) - count)[instance[order]]
        place = torch.arange(item.numel(), device=item.device) - first
        return item[order[place < self.candidates].sort().values]


def _best(value: Tensor, instance: Tensor, growth: Growth, item: Tensor) -> Tensor:
    """Position of each instance's best candidate; ties, up to rounding, by look and address."""
    lowest = value.new_full(growth.everyone.shape, float("-inf"))
    best = lowest.scatter_reduce(0, instance, value, "amax")
    rounding = torch.finfo(value.dtype).eps ** 0.75 * best.abs().clamp_min(1)
    is_tied: Tensor = value >= (best - rounding)[instance]
    row = is_tied.nonzero().view(-1)
    for key in (growth.address[item], growth.look[item], instance):
        row = row[torch.argsort(key[row], stable=True)]
    is_first = torch.ones_like(row, dtype=torch.bool)
    is_first[1:] = instance[row[1:]] != instance[row[:-1]]
    return row[is_first]


def _are_equal(value: Tensor, instance: Tensor, growth: Growth) -> Tensor:
    """``[B]`` whether all candidates of an instance have the same value, up to rounding."""
    none = value.new_full(growth.everyone.shape, float("-inf"))
    highest = none.scatter_reduce(0, instance, value, "amax")
    lowest = -none.scatter_reduce(0, instance, -value, "amax")
    rounding = torch.finfo(value.dtype).eps ** 0.75 * highest.abs().clamp_min(1)
    is_equal: Tensor = highest - lowest <= rounding
    return is_equal


def _no_effect(decides: Tensor, steps: list[tuple[Tensor, ...]]) -> Reason:
    """Where no step moved the prediction the order of edges is that of ties.

    Args:
        decides: ``[B]`` whether the first edge mattered, where an effect of it does not exist.
        steps: what happened.
    """
    moves = decides.clone()
    for instance, _, effect, value in steps:
        rounding = torch.finfo(value.dtype).eps ** 0.75 * value.abs().clamp_min(1)
        moves[instance[effect.abs() > rounding]] = True
    return Reason("no edge moves the explained score, so their order is arbitrary", ~moves)


def _scores(batch: InstanceBatch, growth: Growth, turn: Tensor) -> Tensor:
    """``[e]`` scores from the turn of each item, 0 where it had none."""
    last = turn.new_zeros(batch.num_instances)
    last = last.scatter_reduce(0, growth.instance, turn, "amax")[growth.instance]
    score = ((last + 1 - turn).to(batch.dtype) / last.clamp_min(1)).masked_fill(turn == 0, 0)
    return mean_of_twins(batch, growth.spread(score))


def _tables(
    batch: InstanceBatch, growth: Growth, steps: list[tuple[Tensor, ...]]
) -> dict[str, Table]:
    """What happened at each step."""
    columns = [growth.everyone[:0], growth.everyone[:0], *[batch.reference[:0, 0]] * 2]
    if steps:
        columns = [torch.cat(column) for column in zip(*steps, strict=True)]
    order = torch.argsort(columns[0], stable=True)
    instance, item, effect, value = (column[order] for column in columns)
    edge = growth.edge[item, 0]
    ends = {"source": batch.fields.source[edge], "destination": batch.fields.destination[edge]}
    return {"steps": Table(instance, ends, {"effect": effect, "value": value})}
