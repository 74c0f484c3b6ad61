"""ZORRO: a greedy search for the nodes and features that are enough."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, ClassVar

import torch
from torch import Tensor

from glassgraph.black_box.altered_rows import AlteredRows
from glassgraph.black_box.boundary import readable_nodes, with_one_boundary_node
from glassgraph.black_box.noise import FeatureNoise, only_features
from glassgraph.core.batch import InstanceBatch
from glassgraph.core.reachability import edges_of_nodes
from glassgraph.explainers.black_box import BlackBoxExplainer
from glassgraph.explainers.perturbation.search.feature_selection import Search, search
from glassgraph.explainers.perturbation.search.masked_inputs import (
    Ask,
    Found,
    Scene,
    alterations,
)
from glassgraph.explainers.scope import Scope
from glassgraph.explainers.settings import setting
from glassgraph.explainers.traits import Traits
from glassgraph.inputs.task import stays
from glassgraph.results.records import Attribution, Reason, Table


class UnreachedWarning(UserWarning):
    """Searches ended at their largest size before they reached the fidelity asked for."""


class Zorro(BlackBoxExplainer):
    r"""Which nodes and which of their features are enough, whatever the others say?

    A mask keeps the features ``S`` of the nodes ``V``; all other entries of the features ``X`` are
    noise ``Z``, each drawn from the same feature of all nodes of the user's graph(s). Edges stay.
    With ``f`` the model, a mask has the *RDT-fidelity*::

        F(V, S) = share of samples Z with   f(Y) says what f(X) says,   Y = X on V x S, Z elsewhere

    An explanation is a mask with ``F`` of at least ``tau``, found by a greedy search for a small
    one. What ``f`` says is the decision about the explained class: whether it is the predicted one;
    with a target ``(a, b)``, whether ``a`` is more probable than ``b``; of several labels, whether
    it is more probable than not. A regression says the same within ``tolerance`` of its value.

    The search, as the authors put it:

    1. Of all nodes with all features, and all features on all nodes, the one with the highest
       fidelity goes first. Both lists are ordered by it, once.
    2. As long as one side is empty there is nothing kept, so the next goes to that side.
    3. Then, from the first ``greediness`` entries of each list that are not in the mask yet, the
       one goes next with which the mask has the highest fidelity, a feature before a node, and so
       on.

    The same samples serve every mask, so the comparison is exact, and the mask of everything has
    fidelity 1: a search without ``max_size`` always ends at ``tau``. If noise alone reaches it, the
    explanation is empty. With a ``depth`` above 1 the search is repeated without the nodes found,
    and without the features found, and from there again; it stops where what is left does not reach
    ``tau``.

    Scores are those of the first explanation, 0 or 1: a feature ``[N, F]`` of a node has 1 if both
    are kept, a node ``[N]`` if it is, an edge ``[E]`` has the mean of its ends.
    `Explanation.local.tables` and `Explanations.table` hold all explanations: ``explanations`` has
    their ``rank``, ``fidelity``, ``num_nodes``, ``num_features``, and ``members`` what went into
    them step by step (``node`` or ``feature``, the other one -1) with the ``fidelity`` reached. It
    is what the search optimized; `glassgraph.metrics.rdt_fidelity` measures a mask with samples it
    was not chosen by. For graphs with one type of nodes.

    Differences: the authors' ``tau`` is 1 minus this one, and their code asks for more than it.
    Every instance draws samples of its own. Only what can matter is evaluated: no sample that a
    candidate leaves as it is, and no candidate that could not come first any more; the masks are
    the same.

    The answer is the mask. Scores of edges follow from it and have three values, which rank little:
    by robust fidelity they were better than random scores on few of the survey's data sets
    (``docs/survey.md``). To rank edges ask `glassgraph.Occlusion`.

    Funke, Khosla, Rathee and Anand, "Zorro: Valid, Sparse, and Stable Explanations in Graph Neural
    Networks" (TKDE 2022, https://arxiv.org/abs/2105.08621).

    Raises:
        HyperParameterError: if a value is out of range.
        UnsupportedModelError: from `explain`, if nodes have types or no features.

    Warns:
        UnreachedWarning: of searches that ended at ``max_size``; the best mask on the way is given.
        ConstantScoresWarning: where noise alone is enough, and where nothing may be noise.

    Example:
        >>> import torch
        >>> import glassgraph as gg
        >>> from torch_geometric.data import Data
        >>> from torch_geometric.nn import SimpleConv
        >>> x = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 3.0], [0.0, 1.0]])
        >>> data = Data(x=x, edge_index=torch.tensor([[1, 2, 3], [0, 0, 0]]))
        >>> found = gg.Zorro(SimpleConv(), task="node").explain(data, [0])
        >>> found[0].node_mask.nonzero().tolist()  # feature 1 of node 2
        [[2, 1]]
        >>> found.table("explanations").fidelity.tolist()
        [1.0]
    """

    name = "zorro"
    traits = Traits(
        family="perturbation",
        scores=("edge", "node", "feature"),
        is_black_box=True,
        is_random=True,
        source="Funke, Khosla, Rathee and Anand 2022, arXiv:2105.08621",
    )
    scope = Scope(
        heterogeneous=False, sees_degrees=True, draws_from_all_nodes=True, asks_for_decisions=True
    )
    test_settings: ClassVar[Mapping[str, Any]] = {"samples": 7, "tau": 1.0, "tolerance": 0.3}

    tau: float = setting(
        "the RDT-fidelity to reach, a share of samples as in the paper; the authors' code takes "
        "1 - tau",
        default=0.85,
        above=0,
        at_most=1,
    )
    samples: int = setting("how many times noise is drawn", default=100, at_least=1)
    greediness: int | None = setting(
        "how many nodes and features are tried at each step; None for all of them",
        default=10,
        at_least=1,
    )
    depth: int = setting(
        "how often the search is repeated without what it found; 1 for one explanation, 2 for up "
        "to three, 3 for up to seven",
        default=1,
        at_least=1,
    )
    max_size: int | None = setting(
        "nodes and features that an explanation may hold; None for any number",
        default=None,
        at_least=2,
    )
    tolerance: float = setting(
        "how far the explained output of a regression may be off, as a share of its value",
        default=0.1,
        at_least=0,
    )

    @torch.no_grad()
    def attribute(self, batch: InstanceBatch) -> Attribution:
        """Search all instances, evaluating what they ask for together."""
        only_features(batch)
        is_readable = readable_nodes(batch)
        small, row = with_one_boundary_node(batch, is_readable)
        x, noise = only_features(small), FeatureNoise(small, self.seed)
        starts = torch.arange(small.num_instances + 1, device=small.device)
        bounds = torch.searchsorted(small.node_instance, starts).tolist()

        def searches() -> Iterator[Search]:
            for number, (start, stop) in enumerate(pairwise(bounds)):
                node = torch.arange(start, stop, device=small.device)
                candidates = is_readable[row[node]]
                drawn = x[node].expand(self.samples, -1, -1).clone()
                drawn[:, candidates] = noise.draw(number, node[candidates], self.samples)
                scene = Scene(number, start, x[node], drawn, candidates)
                yield search(scene, self.tau, self.greediness, self.depth, self.max_size)

        num_numbers = self.samples * x.size(1) * max(1, small.num_nodes // small.num_instances)
        most = max(1, self.memory_budget // (num_numbers * (x.element_size() + 2)))
        found = self._run_together(small, is_readable[row], searches(), most)
        return self._attribution(batch, found, [row[start:] for start in bounds[:-1]])

    def _run_together(
        self, batch: InstanceBatch, is_readable: Tensor, searches: Iterator[Search], most: int
    ) -> list[list[Found]]:
        """Advance searches side by side, at most so many at a time; what each of them found."""
        altered = AlteredRows(batch, is_readable, self.memory_budget)
        found: list[list[Found]] = [[] for _ in range(batch.num_instances)]
        asks: list[tuple[Search, Ask]] = []

        def advance(running: Search, said: Tensor | None) -> None:
            try:
                ask = next(running) if said is None else running.send(said)
                asks.append((running, ask))
            except StopIteration as end:
                instance, explanations = end.value
                found[instance] = explanations

        while True:
            while len(asks) < most and (fresh := next(searches, None)) is not None:
                advance(fresh, None)
            if not asks:
                return found
            now, asks = asks, []
            said = self._evaluate(batch, altered, [ask for _, ask in now])
            for (running, _), part in zip(now, said, strict=True):
                advance(running, part)

    def _evaluate(
        self, batch: InstanceBatch, altered: AlteredRows, asks: Sequence[Ask]
    ) -> Sequence[Tensor]:
        """Whether the model says of every input asked for what it says of the unchanged one."""
        output = altered.output(alterations(asks))
        sizes = torch.tensor([ask.size for ask in asks], device=batch.device)
        of_ask = torch.tensor([ask.scene.instance for ask in asks], device=batch.device)
        instance = of_ask.repeat_interleave(sizes)
        reference, targets = batch.reference_of(instance), batch.targets.take(instance)
        says = stays(batch.task, output, targets, reference, self.tolerance)
        return torch.split(says, sizes.tolist())

    def _attribution(
        self, batch: InstanceBatch, found: list[list[Found]], rows: list[Tensor]
    ) -> Attribution:
        """Scores of the first explanations, and tables of all.

        Args:
            batch: the instances.
            found: the explanations of each.
            rows: of each instance, the rows in the batch of its nodes.
        """
        node = batch.reference.new_zeros(batch.num_nodes)
        feature = node.new_zeros(batch.num_nodes, found[0][0].features.numel())
        unreached = 0
        for explanations, row in zip(found, rows, strict=True):
            first = explanations[0]
            kept = row[: first.nodes.numel()][first.nodes]
            node[kept] = 1
            feature[kept] = first.features.to(feature)
            unreached += first.fidelity < self.tau
        if unreached:
            warnings.warn(
                f"{unreached} of {len(found)} searches ended at max_size={self.max_size} before "
                f"they reached tau={self.tau}; their best masks are given",
                UnreachedWarning,
                stacklevel=2,
            )
        edge, tables = edges_of_nodes(batch, node), _tables(found, rows)
        reasons = self._reasons(found, node.device)
        return Attribution(edge=edge, node=node, feature=[feature], tables=tables, reasons=reasons)

    def _reasons(self, found: list[list[Found]], device: torch.device) -> tuple[Reason, ...]:
        """Where noise alone is enough, and where nothing may be noise."""
        kept = [torch.cat([every[0].nodes, every[0].features]) for every in found]
        is_empty = torch.tensor([not bool(each.any()) for each in kept], device=device)
        is_full = torch.tensor([bool(each.all()) for each in kept], device=device)
        words = f"noise alone says what the model says in a share tau={self.tau} of the samples"
        everything = "every node and feature was needed to reach the fidelity tau"
        return Reason(words, is_empty), Reason(everything, is_full)


def _tables(found: list[list[Found]], rows: list[Tensor]) -> dict[str, Table]:
    explanations, members = _Lines(), _Lines()
    for instance, (every, row) in enumerate(zip(found, rows, strict=True)):
        place = row.tolist()
        for rank, each in enumerate(every):
            sizes = int(each.nodes.sum()), int(each.features.sum())
            explanations.add(each.fidelity, instance, rank, *sizes)
            for node, feature, fidelity in each.steps:
                at = place[node] if node >= 0 else -1
                members.add(fidelity, instance, rank, at, feature)
    device = rows[0].device
    fidelity_of, owner, rank_of, num_nodes, num_features = explanations.columns(device)
    reached, member_of, step_rank, node_at, feature_at = members.columns(device)
    values = {"rank": rank_of, "fidelity": fidelity_of}
    sizes_of = {"num_nodes": num_nodes, "num_features": num_features}
    steps = {"rank": step_rank, "feature": feature_at, "fidelity": reached}
    return {
        "explanations": Table(owner, {}, values | sizes_of),
        "members": Table(member_of, {"node": node_at}, steps),
    }


class _Lines:
    """Rows of a table: a fidelity and four integers each."""

    def __init__(self) -> None:
        self._fidelity: list[float] = []
        self._numbers: list[tuple[int, int, int, int]] = []

    def add(self, fidelity: float, one: int, two: int, three: int, four: int) -> None:
        self._fidelity.append(fidelity)
        self._numbers.append((one, two, three, four))

    def columns(self, device: torch.device) -> list[Tensor]:
        numbers = torch.tensor(self._numbers, dtype=torch.long, device=device).view(-1, 4)
        fidelity = torch.tensor(self._fidelity, dtype=torch.double, device=device)
        return [fidelity, *(column.clone() for column in numbers.unbind(1))]
