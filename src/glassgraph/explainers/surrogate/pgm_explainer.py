"""PGM-Explainer: tests of independence on perturbed features."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from glassgraph.black_box.variants import Variants
from glassgraph.core.addresses import node_address
from glassgraph.core.batch import InstanceBatch
from glassgraph.core.reachability import edges_of_nodes
from glassgraph.errors import UnsupportedModelError
from glassgraph.explainers.black_box import BlackBoxExplainer
from glassgraph.explainers.scope import Scope
from glassgraph.explainers.settings import setting
from glassgraph.explainers.surrogate.graphical_model.independence import Tests
from glassgraph.explainers.surrogate.graphical_model.markov_blanket import markov_blankets
from glassgraph.explainers.surrogate.graphical_model.network import learn_networks, network_table
from glassgraph.explainers.surrogate.graphical_model.perturbation import (
    PerturbationMode,
    has_features,
)
from glassgraph.explainers.surrogate.graphical_model.samples import (
    Samples,
    Sampling,
    draw_samples,
    draw_shared_samples,
)
from glassgraph.explainers.traits import Traits
from glassgraph.inputs.node_features import why_no_floats
from glassgraph.results.records import Attribution, Reason, Table

#: Candidates of the first round for each node of `top`; the paper's.
_CANDIDATES = 4


class PGMExplainer(BlackBoxExplainer):
    r"""Which nodes does a prediction depend on, when features are perturbed at random?

    In each of R samples every node of a prediction's surroundings has its features perturbed with
    probability ``perturb_probability``. A node ``j`` becomes a variable with up to four values, and
    so does the prediction ``t`` that is explained; with ``O`` the counts of their values and ``E``
    those expected of independent variables::

        v_j  = 2 [features of j perturbed] + [prediction of j changed]
        p_j  = P(chi^2 > sum over values a, b of (O[a, b] - E[a, b])^2 / E[a, b])
        S[j] = -log10 p_j       (or 1 - p_j with score="confidence")

    An edge scores the mean of its ends. Scores are not negative and have no unit; ``"confidence"``
    ties all nodes whose p is below the rounding of 1. A prediction has changed where the
    probability of its class fell by more than ``min_drop``. The nodes below ``significance`` are
    searched for the Markov blanket of ``t``, and with ``network`` a Bayesian network is learned
    over it, in which all of it are parents of ``t``. Explanations have the tables ``"nodes"``
    (``node``, ``p``, ``chi2``, ``dof``, ``dependent``, ``in_blanket``) and, with ``network``,
    ``"network"`` (``parent``, ``child``; -1 stands for the prediction of a link or a graph).

    *Nodes.* All nodes explained together share one set of samples, in which every node within twice
    the reach of the model is perturbed or not; so predictions of neighbors are those on the user's
    graph. (The paper draws samples for each explained node, and perturbs within its reach alone;
    what lies beyond cannot change the explained prediction, but it adds noise to those of
    neighbors.) With ``influence=False`` a neighbor's variable says only whether it was perturbed,
    the variable of ``t`` only whether it has changed: what is tested then is the cause alone, and
    not whether two predictions change together. The explained node is tested by whether its
    prediction changes with its own features. It is part of every explanation (the authors set its p
    to 0), so it scores as high as the highest that sends to it. Where the explained prediction
    never changes, all scores are 0; the paper would go on to compare coins with coins. *Links* and
    *graphs* have samples of their own and no predictions at nodes; their variables are those of
    ``influence=False``.

    *How features are perturbed* decides what can be seen. Zeros and ones (``"randint"``, the
    paper's) bring evidence of their own: where a layer takes a maximum or attends, they hide what
    one neighbor carries, and more samples are needed. ``"zero"`` and ``"mean"`` take away alone.
    The default is the paper's; on other seeds than any table reports, robust fidelity preferred
    ``perturbation="zero", num_samples=400, perturb_probability=0.2``: few nodes gone at once, often
    (see ``docs/motifs.md``).

    *Graphs.* "Changed" are the R / 8 samples with the largest drops. With ``top``, a first round of
    R / 2 samples finds the ``4 top`` nodes of smallest p; only those are perturbed in a second
    round of R, and all others get p = 1. Without, there is one round over all nodes. Regressions
    count absolute differences, and the largest eighth too.

    Features that are integers (kinds of atoms, words) become those of another node drawn at random,
    whatever ``perturbation`` says of numbers.

    Differences to the authors' code: its chi-square writes expected counts of all rows but the
    first into the second, and for graphs a second coin leaves half of the nodes that count as
    perturbed as they were; to PyG's, which tests graphs against a column that is not the
    prediction: neither is repeated. Means, maxima and the range of ``"uniform"`` are taken over the
    graph (for a link, over its field).

    Vu and Thai, "PGM-Explainer: Probabilistic Graphical Model Explanations for Graph Neural
    Networks" (NeurIPS 2020, https://arxiv.org/abs/2010.05788).

    Raises:
        HyperParameterError: for values out of range.
        UnsupportedModelError: from `explain`, if there are no features to perturb.
        MissingExtraError: from `explain`, if ``network`` is asked for and pgmpy is not installed.

    Warns:
        ConstantScoresWarning: of predictions that changed in no sample.

    Example:
        >>> import torch
        >>> import glassgraph as gg
        >>> from torch_geometric.data import Data
        >>> from torch_geometric.nn import GCN
        >>> data = Data(x=torch.rand(4, 3), edge_index=torch.tensor([[0, 1, 2], [1, 2, 3]]))
        >>> found = gg.PGMExplainer(GCN(3, 8, 2, 2), task="node").explain(data, index=[2])
        >>> found.table("nodes").columns.tolist()[-5:]
        ['p', 'chi2', 'dof', 'dependent', 'in_blanket']
        >>> found[0].edge_mask.shape  # [E]
        torch.Size([3])
    """

    name = "pgm_explainer"
    traits = Traits(
        family="surrogate",
        scores=("edge", "node"),
        is_black_box=True,
        is_random=True,
        source="Vu and Thai 2020, arXiv:2010.05788",
    )
    scope = Scope(sees_degrees=True, finds_by_chance=True)
    test_settings: ClassVar[Mapping[str, Any]] = {"num_samples": 24, "min_drop": 0.01}
    # Zeros and ones would be as large a change where next to nothing is brought.
    evidence_settings: ClassVar[Mapping[str, Any]] = {
        "perturbation": "zero",
        "min_drop": 0.1,
        "num_samples": 100,
    }

    num_samples: int = setting("number R of samples", default=100, at_least=2)
    perturbation: PerturbationMode = setting(
        "what features become: 'randint' (0 or 1), 'scale' (multiplied by U(0, 2)), 'mean' or "
        "'max' of the graph, 'zero', 'uniform' (between the graph's smallest and largest value)",
        default="randint",
    )
    perturb_probability: float = setting(
        "how likely a node is perturbed", default=0.5, above=0, below=1
    )
    min_drop: float | None = setting(
        "how far a probability has to fall; None for 0.1 with nodes and links, and the largest "
        "eighth with graphs and regressions",
        default=None,
        at_least=0,
    )
    influence: bool = setting(
        "of nodes, whether a neighbor's variable holds its prediction too", default=True
    )
    significance: float = setting(
        "p below which variables count as dependent", default=0.05, above=0, below=1
    )
    top: int | None = setting(
        "how many nodes may be dependent at most; None for any number", default=None, at_least=1
    )
    score: Literal["surprise", "confidence"] = setting(
        "what nodes score: 'surprise' for -log10 p, 'confidence' for 1 - p", default="surprise"
    )
    network: bool = setting("learn a Bayesian network (needs pgmpy)", default=False)

    @torch.no_grad()
    def attribute(self, batch: InstanceBatch) -> Attribution:
        """Sample, test, and find the blanket, for some of the instances at a time."""
        if not bool(has_features(batch).any()):
            raise UnsupportedModelError(
                "PGM-Explainer perturbs node features, and "
                f"{why_no_floats(batch.graph, batch.feature_names)}"
            )
        is_node = batch.task.level == "node"
        shared = draw_shared_samples(batch, self._sampling()) if is_node else None
        found = [
            self._explain(part, None if shared is None else shared.of(chosen, part))
            for chosen, part in _groups(batch, self.memory_budget)
        ]
        tests = Tests.joined([each.tests for each in found])
        node = (tests.surprise if self.score == "surprise" else 1 - tests.p).to(batch.dtype)
        if is_node:
            node = _with_explained(batch, node)
        tables = {"nodes": _node_table(batch, tests, found)}
        if self.network:
            edges = [each for part in found for each in part.edges]
            tables["network"] = network_table(batch, edges)
        reasons = (self._no_change(torch.cat([each.has_changed for each in found])),)
        edge = edges_of_nodes(batch, node)
        return Attribution(edge=edge, node=node, tables=tables, reasons=reasons)

    def _no_change(self, has_changed: Tensor) -> Reason:
        """Where no sample changes the prediction there is nothing to test."""
        return Reason(
            f"the explained prediction changed in none of {self.num_samples} samples "
            f"(perturbation={self.perturbation!r}, min_drop={self.min_drop}), so no test was made; "
            "a lower min_drop or another perturbation may change it",
            ~has_changed,
        )

    def _sampling(self) -> Sampling:
        return Sampling(
            num_samples=self.num_samples,
            mode=self.perturbation,
            probability=self.perturb_probability,
            min_drop=self.min_drop,
            has_influence=self.influence,
            seed=self.seed,
            budget=self.memory_budget,
        )

    def _explain(self, batch: InstanceBatch, samples: Samples | None) -> _Found:
        """What the samples say; links and graphs draw their own."""
        if samples is None:
            samples = self._own_samples(batch)
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
        edges = learn_networks(batch, samples.code, is_in, rank) if self.network else []
        has_changed = (samples.target & 1).bool().any(dim=1)
        return _Found(samples.tests, is_dependent, is_in, has_changed, edges)

    def _own_samples(self, batch: InstanceBatch) -> Samples:
        """Samples of links or graphs; with `top` a first round says which nodes are perturbed."""
        sampling, may_change = self._sampling(), None
        if batch.task.level == "graph" and self.top is not None:
            half = replace(sampling, num_samples=max(2, self.num_samples // 2))
            first = draw_samples(batch, half, 1, None)
            may_change = _rank(batch, first.tests.p) < _CANDIDATES * self.top
        return draw_samples(batch, sampling, 0, may_change)


@dataclass(frozen=True)
class _Found:
    """What was found about a part of the instances, node by node; changes, networks by instance."""

    tests: Tests
    is_dependent: Tensor
    is_in_blanket: Tensor
    has_changed: Tensor
    edges: list[Tensor]


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


def _node_table(batch: InstanceBatch, tests: Tests, found: list[_Found]) -> Table:
    """A row for each node."""
    values = {
        "p": tests.p,
        "chi2": tests.statistic,
        "dof": tests.dof.long(),
        "dependent": torch.cat([each.is_dependent for each in found]),
        "in_blanket": torch.cat([each.is_in_blanket for each in found]),
    }
    rows = torch.arange(batch.num_nodes, device=batch.device)
    return Table(batch.node_instance, {"node": rows}, values)
