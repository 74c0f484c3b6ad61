r"""PGM-Explainer: which nodes does a prediction depend on, when features are perturbed at random?

In each of R samples every node of a prediction's surroundings has its features perturbed with
probability `perturb_probability`. A node becomes a variable with up to four values,

.. code-block:: text

    v_j = 2 [features of j perturbed] + [prediction of j changed]

and so does the prediction ``t`` that is explained. A prediction has changed where the probability
of its class fell by more than `min_drop`. A chi-square test of ``v_j`` and ``v_t`` gives ``p_j``;
the node scores ``-log10 p_j``, or ``1 - p_j`` with ``score="confidence"``, which ties all nodes
whose p is below the rounding of 1. The nodes below `significance` are searched for the Markov
blanket of ``t``, and with `network` a Bayesian network is learned over it, in which all of it are
parents of ``t`` (`pgm_statistics.py`, `pgm_network.py`).

*Nodes.* All nodes explained together share one set of samples, in which every node within twice the
reach of the model is perturbed or not; so predictions of neighbors are those on the user's graph,
and many explanations cost little more than one. (The paper draws samples for each explained node,
and perturbs within its reach alone; what lies beyond cannot change the explained prediction, but it
adds noise to those of neighbors.) With ``influence=False`` a neighbor's variable says only whether
it was perturbed, the variable of ``t`` only whether it has changed: what is tested then is the
cause alone, and not whether two predictions change together. The explained node is tested by
whether its prediction changes with its own features. It is part of every explanation (the authors
set its p to 0), so it scores as high as the highest that sends to it. Where the explained
prediction never changes, all scores are 0; the paper would go on to compare coins with coins.
*Links* and *graphs* have samples of their own and no predictions at nodes; their variables are
those of ``influence=False``.

*Graphs.* "Changed" are the R / 8 samples with the largest drops. With `top`, a first round of R / 2
samples finds the ``4 top`` nodes of smallest p; only those are perturbed in a second round of R,
and all others get p = 1. Without, there is one round over all nodes. Regressions count absolute
differences, and the largest eighth too.

Differences to the authors' code: its chi-square writes expected counts of all rows but the first
into the second, and for graphs a second coin leaves half of the nodes that count as perturbed as
they were; to PyG's, which tests graphs against a column that is not the prediction: neither is
repeated. ``"uniform"`` draws between the smallest and the largest value of a feature. Those, means
and maxima are taken over the graph (for a link, over its field).

Vu and Thai, "PGM-Explainer: Probabilistic Graphical Model Explanations for Graph Neural Networks"
(NeurIPS 2020, https://arxiv.org/abs/2010.05788).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from glassgraph.black_box.variants import Variants, node_output
from glassgraph.core.addresses import node_address
from glassgraph.core.batch import InstanceBatch
from glassgraph.core.reachability import edges_of_nodes
from glassgraph.core.receptive import expand, receptive_fields
from glassgraph.core.task import Task, probabilities
from glassgraph.errors import HyperParameterError, UnsupportedModelError
from glassgraph.explainers.black_box import BlackBoxExplainer
from glassgraph.explainers.scope import Scope
from glassgraph.explainers.surrogate.pgm_network import learn_edges
from glassgraph.explainers.surrogate.pgm_perturbation import (
    Mode,
    Perturbation,
    check_mode,
    has_features,
)
from glassgraph.explainers.surrogate.pgm_statistics import (
    Tests,
    independence_tests,
    markov_blankets,
)
from glassgraph.explainers.traits import Traits
from glassgraph.results.records import Attribution, Table

#: The drop of a node's or link's probability that counts as a change; the paper's.
_DROP = 0.1
#: Of graphs and regressions, one in so many samples counts as changed; the paper's.
_ONE_IN = 8
#: Candidates of the first round for each node of `top`; the paper's.
_CANDIDATES = 4


class PGMExplainer(BlackBoxExplainer):
    """Tests of independence on perturbed features.

    Explanations have the tables ``"nodes"`` (``node``, ``p``, ``chi2``, ``dof``, ``dependent``,
    ``in_blanket``) and, with `network`, ``"network"`` (``parent``, ``child``; -1 stands for the
    prediction of a link or a graph).

    Args:
        model: the model, or a function.
        task: the task.
        num_samples: number R of samples.
        perturbation: what features become: ``"randint"`` (0 or 1), ``"scale"`` (multiplied by
            U(0, 2)), ``"mean"`` or ``"max"`` of the graph, ``"zero"``, ``"uniform"``.
        perturb_probability: how likely a node is perturbed.
        min_drop: how far a probability has to fall; None for 0.1 with nodes and links, and the
            largest eighth with graphs and regressions.
        influence: of nodes, whether a neighbor's variable holds its prediction too.
        significance: p below which variables count as dependent.
        top: how many nodes may be dependent at most; None for any number.
        score: ``"surprise"`` or ``"confidence"``.
        network: learn a Bayesian network (needs pgmpy).
        **shared: see `BlackBoxExplainer`.

    Raises:
        HyperParameterError: for values out of range.

    Example:
        >>> import glassgraph as gg
        >>> from torch_geometric.data import Data
        >>> from torch_geometric.nn import GCN
        >>> data = Data(x=torch.rand(4, 3), edge_index=torch.tensor([[0, 1, 2], [1, 2, 3]]))
        >>> found = gg.PGMExplainer(GCN(3, 8, 2, 2), task="node").explain(data, index=[2])
        >>> found.table("nodes").columns.tolist()[-5:]
        ['p', 'chi2', 'dof', 'dependent', 'in_blanket']
    """

    name = "pgm_explainer"
    traits = Traits(
        family="surrogate",
        scores=("edge", "node"),
        is_learned=False,
        is_amortized=False,
        is_black_box=True,
        is_signed=False,
        is_random=True,
        source="Vu and Thai 2020, arXiv:2010.05788",
    )
    scope = Scope(sees_degrees=True, finds_by_chance=True)
    test_settings: ClassVar[Mapping[str, Any]] = {"num_samples": 24, "min_drop": 0.01}

    def __init__(
        self,
        model: nn.Module | Callable[..., Tensor],
        task: str | Task = "node",
        *,
        num_samples: int = 100,
        perturbation: Mode = "randint",
        perturb_probability: float = 0.5,
        min_drop: float | None = None,
        influence: bool = True,
        significance: float = 0.05,
        top: int | None = None,
        score: Literal["surprise", "confidence"] = "surprise",
        network: bool = False,
        **shared: Any,
    ) -> None:
        super().__init__(model, task, **shared)
        check_mode(perturbation)
        for name, value, least in (("num_samples", num_samples, 2), ("top", top, 1)):
            if value is not None and value < least:
                raise HyperParameterError(f"{name} must be at least {least}; got {value}")
        for name, share in (
            ("perturb_probability", perturb_probability),
            ("significance", significance),
        ):
            if not 0 < share < 1:
                raise HyperParameterError(f"{name} must lie between 0 and 1; got {share}")
        if min_drop is not None and not min_drop >= 0:
            raise HyperParameterError(f"min_drop must not be negative; got {min_drop}")
        if score not in ("surprise", "confidence"):
            raise HyperParameterError(f"score must be 'surprise' or 'confidence'; got {score!r}")
        self.num_samples = num_samples
        self.perturbation: Mode = perturbation
        self.perturb_probability = perturb_probability
        self.min_drop = min_drop
        self.influence = influence
        self.significance = significance
        self.top = top
        self.score = score
        self.network = network

    @torch.no_grad()
    def attribute(self, batch: InstanceBatch) -> Attribution:
        """Sample, test, and find the blanket, for some of the instances at a time."""
        if not bool(has_features(batch).any()):
            raise UnsupportedModelError(
                "PGM-Explainer perturbs floating-point node features x [N, F]; this graph has none"
            )
        shared = self._shared(batch) if batch.task.level == "node" else None
        found = [
            self._explain(part, None if shared is None else shared.of(chosen, part))
            for chosen, part in _groups(batch, self.memory_budget)
        ]
        tests = Tests(
            torch.cat([each.tests.statistic for each in found]),
            torch.cat([each.tests.dof for each in found]),
            torch.cat([each.tests.p for each in found]),
        )
        node = (tests.surprise if self.score == "surprise" else 1 - tests.p).to(batch.dtype)
        if batch.task.level == "node":
            node = _with_explained(batch, node)
        rows = torch.arange(batch.num_nodes, device=batch.device)
        values = {
            "p": tests.p,
            "chi2": tests.statistic,
            "dof": tests.dof.long(),
            "dependent": torch.cat([each.is_dependent for each in found]),
            "in_blanket": torch.cat([each.is_in_blanket for each in found]),
        }
        tables = {"nodes": Table(batch.node_instance, {"node": rows}, values)}
        if self.network:
            tables["network"] = _joined(batch, found)
        return Attribution(edge=edges_of_nodes(batch, node), node=node, tables=tables)

    def _explain(self, batch: InstanceBatch, samples: _Samples | None) -> _Found:
        if samples is None:
            may_change = None
            if batch.task.level == "graph" and self.top is not None:
                first = self._sample(batch, max(2, self.num_samples // 2), 1, None)
                may_change = _rank(batch, first.tests.p) < _CANDIDATES * self.top
            samples = self._sample(batch, self.num_samples, 0, may_change)
        p, owner = samples.tests.p, batch.node_instance
        rank = _rank(batch, p)
        is_dependent = p < self.significance
        is_free = torch.ones_like(is_dependent)
        if batch.task.level == "node":
            is_free[batch.fields.seed[:, 0]] = False
        if self.top is not None:
            place = _rank(batch, p.where(is_free, 2.0))
            is_dependent &= (place < self.top) | ~is_free
        candidate = (is_dependent & is_free).nonzero().view(-1)
        is_in = torch.zeros_like(is_dependent)
        is_in[candidate] = markov_blankets(
            samples.code[candidate],
            owner[candidate],
            samples.target,
            rank[candidate],
            self.significance,
        )
        edges = _networks(batch, samples.code, is_in, rank) if self.network else []
        return _Found(samples.tests, is_dependent, is_in, edges)

    def _sample(
        self, batch: InstanceBatch, num_samples: int, stream: int, may_change: Tensor | None
    ) -> _Samples:
        """Samples of links or graphs."""
        drawn = self._drawn(batch, num_samples, stream, may_change)
        found = torch.cat(list(drawn.outputs(Variants(batch, self.memory_budget))))
        drop = self._drop(batch.reference, found, batch.targets.chosen, batch.targets.contrast)
        target = self._changed(drop.t()).to(torch.int8)
        code = drawn.is_perturbed.to(torch.int8)
        return _Samples(code, target, independence_tests(code, target[batch.node_instance]))

    def _drawn(
        self, batch: InstanceBatch, num_samples: int, stream: int, may_change: Tensor | None
    ) -> Perturbation:
        return Perturbation(
            batch,
            self.perturbation,
            self.perturb_probability,
            num_samples,
            self.seed,
            stream,
            may_change,
            is_shared=batch.task.level == "node",
        )

    def _shared(self, batch: InstanceBatch) -> _Shared:
        """Samples for all explained nodes, on everything that their neighbors' predictions need."""
        around = _surroundings(batch, 2 if self.influence else 1)
        drawn = self._drawn(around, self.num_samples, 0, None)
        name = batch.task.node_type
        nodes = around.packed.node_position[0 if name is None else batch.graph.type_position(name)]
        asked = torch.searchsorted(
            around.fields.node[nodes], batch.fields.node[batch.fields.seed[:, 0]].contiguous()
        )
        reference, targets = node_output(around), batch.targets
        # Each node's own class; where there is none, the columns that are explained.
        column = torch.zeros_like(targets.chosen)
        classes = probabilities(batch.task, reference).argmax(dim=1).view(1, -1)
        is_several = batch.task.mode == "binary_classification" and reference.size(1) > 1
        if is_several or not batch.task.is_classification:
            columns, column = torch.unique(targets.chosen, return_inverse=True)
            classes = columns.view(-1, 1).expand(-1, nodes.numel())
        drops: list[list[Tensor]] = [[] for _ in classes]
        asked_drops = []
        for output in drawn.outputs(Variants(around, self.memory_budget), everywhere=True):
            for found, own in zip(drops, classes, strict=True):
                found.append(self._drop(reference, output, own, None))
            explained = reference[asked], output[:, asked]
            asked_drops.append(self._drop(*explained, targets.chosen, targets.contrast))
        shape = (len(drops), *drawn.is_perturbed.shape)
        changed = torch.zeros(shape, dtype=torch.bool, device=batch.device)
        for number, found in enumerate(drops):
            changed[number, nodes] = self._changed(torch.cat(found).t())
        return _Shared(
            node=around.fields.node,
            perturbed=drawn.is_perturbed,
            changed=changed,
            column=column,
            target=self._changed(torch.cat(asked_drops).t()),
            has_influence=self.influence,
        )

    def _drop(
        self, reference: Tensor, output: Tensor, chosen: Tensor, contrast: Tensor | None
    ) -> Tensor:
        """``[r, k]`` how far the explained probability falls, from outputs ``[r, k, C]``."""

        def value(each: Tensor) -> Tensor:
            chance = probabilities(self.task, each.flatten(0, -2)).view(*each.shape[:-1], -1)
            at = chosen.view(-1, 1).expand(*each.shape[:-1], 1)
            found = chance.gather(-1, at).squeeze(-1)
            if contrast is None:
                return found
            at = contrast.clamp_min(0).view(-1, 1).expand(*each.shape[:-1], 1)
            return found - chance.gather(-1, at).squeeze(-1).where(contrast >= 0, 0)

        drop = value(reference) - value(output)
        return drop if self.task.is_classification else drop.abs()

    def _changed(self, drop: Tensor) -> Tensor:
        """``[k, R]`` in which samples a prediction has changed."""
        rounding = 100 * torch.finfo(drop.dtype).eps * (1 + drop.abs().amax(dim=1, keepdim=True))
        is_paper = self.task.level != "graph" and self.task.is_classification
        least = _DROP if self.min_drop is None and is_paper else self.min_drop
        if least is not None:
            return drop > rounding.clamp_min(least)
        most = max(1, drop.size(1) // _ONE_IN)
        border = drop.topk(most, dim=1).values[:, -1:]
        return (drop >= border - rounding) & (drop > rounding)


@dataclass(frozen=True)
class _Samples:
    """Values ``[n, R]`` of the nodes, ``[B, R]`` of the predictions, and their tests."""

    code: Tensor
    target: Tensor
    tests: Tests


@dataclass(frozen=True)
class _Shared:
    """Samples that many explained nodes share.

    Attributes:
        node: ``[u]`` the user's nodes, ascending.
        perturbed: ``[u, R]`` which are perturbed.
        changed: ``[k, u, R]`` whether their prediction has changed, in each of k columns.
        column: ``[B]`` which of them is meant.
        target: ``[B, R]`` whether the explained prediction has changed.
        has_influence: whether variables hold changes of neighbors' predictions.
    """

    node: Tensor
    perturbed: Tensor
    changed: Tensor
    column: Tensor
    target: Tensor
    has_influence: bool

    def of(self, chosen: Tensor, batch: InstanceBatch) -> _Samples:
        """The samples of some of the instances."""
        owner, seed = batch.node_instance, batch.fields.seed[:, 0]
        at = torch.searchsorted(self.node, batch.fields.node.contiguous())
        perturbed, target = self.perturbed[at].to(torch.int8), self.target[chosen].to(torch.int8)
        if not self.has_influence:
            return _Samples(perturbed, target, independence_tests(perturbed, target[owner]))
        code = 2 * perturbed + self.changed[self.column[chosen][owner], at].to(torch.int8)
        code[seed] = 2 * perturbed[seed] + target
        one, other = code.clone(), code[seed][owner]
        one[seed], other[seed] = perturbed[seed], target
        other[~target.bool().any(dim=1)[owner]] = 0
        return _Samples(code, code[seed], independence_tests(one, other))


@dataclass(frozen=True)
class _Found:
    """What was found about a part of the instances, node by node; networks by instance."""

    tests: Tests
    is_dependent: Tensor
    is_in_blanket: Tensor
    edges: list[Tensor]


def _surroundings(batch: InstanceBatch, times: int) -> InstanceBatch:
    """One field around all explained nodes, some times as wide as theirs."""
    if batch.is_whole:
        return batch
    seeds = torch.unique(batch.fields.node[batch.fields.seed]).view(1, -1)
    hops, both = times * batch.wiring.num_hops, batch.wiring.needs_both_directions
    fields = receptive_fields(batch.graph, seeds, hops, both)
    one = replace(fields, seed=fields.seed[:, :1].contiguous())
    return batch.with_fields(one, seeds.new_zeros(1))


def _groups(batch: InstanceBatch, budget: int) -> Iterator[tuple[Tensor, InstanceBatch]]:
    """Instances in groups of which one pass can take at least one copy each."""
    most = Variants(batch, budget).most_rows
    rows = (batch.nodes_per_instance + batch.edges_per_instance).tolist()
    first, filled = 0, 0
    for number, own in enumerate([*rows, most + 1]):
        if number > first and filled + own > most:
            is_all = first == 0 and number == batch.num_instances
            chosen = torch.arange(first, number, device=batch.device)
            yield chosen, batch if is_all else batch.take(chosen)
            first, filled = number, 0
        filled += own


def _with_explained(batch: InstanceBatch, score: Tensor) -> Tensor:
    """Scores ``[n]`` in which explained nodes have the highest of their own and their senders'."""
    seed, fields = batch.fields.seed[:, 0], batch.fields
    sent = score[fields.source]
    heard = score.clone().scatter_reduce(0, fields.destination, sent, "amax")
    return score.index_copy(0, seed, heard[seed])


def _rank(batch: InstanceBatch, p: Tensor) -> Tensor:
    """``[n]`` place of each node in its instance by p, from 0; equal ones by hash."""
    order = node_address(batch).argsort()
    order = order[p[order].argsort(stable=True)]
    order = order[batch.node_instance[order].argsort(stable=True)]
    place = torch.empty_like(order)
    place[order] = torch.arange(order.numel(), device=order.device)
    count = batch.nodes_per_instance
    return place - (count.cumsum(0) - count)[batch.node_instance]


def _networks(batch: InstanceBatch, code: Tensor, is_in: Tensor, rank: Tensor) -> list[Tensor]:
    """For each instance its edges ``[2, k]``: rows of nodes counted from its first; -1 for it."""
    count = batch.nodes_per_instance
    pointer = torch.cat([count.new_zeros(1), count.cumsum(0)])
    found = []
    for instance in range(batch.num_instances):
        own, _ = expand(pointer, torch.tensor([instance], device=batch.device))
        members = own[is_in[own]]
        members = members[rank[members].argsort()]
        pairs = torch.tensor(learn_edges(code[members]), device=own.device).long().view(-1, 2).t()
        child = (
            batch.fields.seed[instance] if batch.task.level == "node" else own.new_full((1,), -1)
        )
        child = child - pointer[instance] if batch.task.level == "node" else child
        local = members - pointer[instance]
        direct = torch.stack([local, child.expand_as(local)])
        found.append(torch.cat([local[pairs], direct], dim=1))
    return found


def _joined(batch: InstanceBatch, found: list[_Found]) -> Table:
    """The edges of all networks."""
    edges = [each for part in found for each in part.edges]
    count = batch.nodes_per_instance
    first = count.cumsum(0) - count
    size = torch.tensor([each.size(1) for each in edges], device=batch.device)
    instance = torch.repeat_interleave(size)
    flat = torch.cat(edges, dim=1)
    flat = torch.where(flat < 0, flat, flat + first[instance])
    return Table(instance, {"parent": flat[0], "child": flat[1]}, {})
