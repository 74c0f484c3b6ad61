r"""Agreement: how alike are several explanations of one prediction, and is that above chance?

Runs of a method that ought to say the same (other seeds, retrained models, nearly the same graph)
are held against each other. With scores ``a`` and ``b`` of the same ``E`` entries and the ``k``
best entries ``A`` and ``B`` of each,

.. code-block:: text

    overlap   |A and B| / min(k, E)              GNNX-Bench; "jaccard": |A and B| / |A or B|
    rank      Spearman's correlation of the ranks
    worst     max over pairs of 1 - cos(a, b)    GraphXAI's instability, GES

``overlap`` and ``rank`` of an instance are means over its pairs. Entries are those that any of the
runs has; one that a run lacks scores 0 there. Entries tied at the k-th place share the places that
are left (`glassgraph.metrics.likeness`), so no order of edges counts.

**Chance.** The floor of each number is the same number for the runs' own scores dealt out anew at
random among the entries that each run has: same graphs, same sizes, same ties, same signs, no
knowledge. Of scores without ties the overlap's floor is ``min(k, E) / E``: on graphs of 24 edges
two methods that know nothing share .42 of their best ten.

Scores that are all the same rank nothing. Where both of a pair are so (a graph of one edge always
is), they say nothing about agreement, and the pair is left out; against one of them alone the rank
correlation is 0, what ties broken at random give on average, and so is the cosine with a zero
vector.

Kosan et al., "GNNX-BENCH: Unravelling the Utility of Perturbation-based GNN Explainers through
In-depth Benchmarking" (ICLR 2024, https://arxiv.org/abs/2310.01794). Agarwal, Queen, Lakkaraju and
Zitnik, "Evaluating Explainability for Graph Neural Networks" (Scientific Data 2023,
https://arxiv.org/abs/2208.09339).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal, get_args

import torch
from torch import Tensor

from glassgraph.errors import InstanceError, UnknownMetricError
from glassgraph.metrics.likeness import Ranked, cosine
from glassgraph.metrics.measured import Better, Estimate, Measured
from glassgraph.metrics.scores import Ranking, edge_scores, node_scores
from glassgraph.results.aggregates.aggregate import Bootstrap
from glassgraph.results.explanation import Explanations
from glassgraph.results.instance_columns import in_order
from glassgraph.results.records import LocalExplanation

#: What is compared.
Entry = Literal["edge", "node", "feature"]
#: Overlap of the best entries as a share of how many there are, or of their union.
Overlap = Literal["share", "jaccard"]
#: Which explanations are held against each other: every two, or each with the first.
Against = Literal["each", "first"]
#: What is measured, and which way is good.
MEASURES: dict[str, Better] = {"overlap": "higher", "rank": "higher", "worst": "lower"}
#: How often scores are dealt out anew for the chance level.
CHANCE_DRAWS = 10


@dataclass(frozen=True)
class Comparing:
    """How explanations are compared.

    Attributes:
        top_k: ``overlap`` is about this number of best entries.
        ranking: ``"signed"`` or ``"absolute"`` scores, for ``overlap`` and ``rank``.
        over: ``"edge"``, ``"node"`` or ``"feature"`` (of each node).
        overlap: ``"share"`` or ``"jaccard"``.
        against: ``"each"`` or ``"first"``.
        seed: of the chance level.

    Raises:
        UnknownMetricError: for an argument out of range.
    """

    top_k: int = 10
    ranking: Ranking = "signed"
    over: Entry = "edge"
    overlap: Overlap = "share"
    against: Against = "each"
    seed: int = 0

    def __post_init__(self) -> None:
        if isinstance(self.top_k, bool) or not isinstance(self.top_k, int) or self.top_k < 1:
            raise UnknownMetricError(
                f"top_k must be a positive number of entries; got {self.top_k!r}"
            )
        for name, words in (
            ("ranking", Ranking),
            ("over", Entry),
            ("overlap", Overlap),
            ("against", Against),
        ):
            if getattr(self, name) not in get_args(words):
                raise UnknownMetricError(
                    f"{name} must be one of {', '.join(map(repr, get_args(words)))}; got "
                    f"{getattr(self, name)!r}"
                )


def agreement(
    runs: Sequence[Explanations],
    *,
    top_k: int = 10,
    ranking: Ranking = "signed",
    over: Entry = "edge",
    overlap: Overlap = "share",
    against: Against = "each",
    seed: int = 0,
) -> list[Measured]:
    """How far explanations of the same predictions agree, beside chance.

    Args:
        runs: at least two sets of explanations of the same predictions in the same order, by
            whatever method, seed or model.
        top_k: ``overlap`` is about this number of best entries.
        ranking: ``"signed"`` or ``"absolute"`` scores, for ``overlap`` and ``rank``; ``worst`` is
            about the scores as they are.
        over: what is compared: ``"edge"``, ``"node"``, or ``"feature"`` of each node.
        overlap: ``"share"`` for GNNX-Bench's ``|A and B| / min(k, E)``, ``"jaccard"``.
        against: ``"each"`` for every two runs, ``"first"`` for each with the first.
        seed: of the chance level.

    Returns:
        ``agreement_overlap``, ``agreement_rank`` (in [-1, 1]) and ``agreement_worst`` (in [0, 2],
        low is good), each with its floor; ``values [B]`` are NaN for instances that say nothing.

    Raises:
        UnknownMetricError: for fewer than two runs, arguments out of range, and explanations
            without such scores.
        InstanceError: if the runs explain different predictions.

    Example:
        >>> import glassgraph as gg
        >>> from torch_geometric.data import Data
        >>> from torch_geometric.nn import GCN
        >>> data = Data(x=torch.rand(4, 3), edge_index=torch.tensor([[0, 1, 2], [1, 2, 3]]))
        >>> found = gg.Saliency(GCN(3, 8, 2, 3), progress=False).explain(data, index=[3])
        >>> overlap, rank, worst = agreement([found, found], top_k=1)
        >>> overlap.estimate.value, rank.estimate.value, abs(round(worst.estimate.value, 6))
        (1.0, 1.0, 0.0)
    """
    runs = list(runs)
    if len(runs) < 2:
        raise UnknownMetricError(
            f"agreement needs at least two sets of explanations; got {len(runs)}"
        )
    for run in runs[1:]:
        _check_same(runs[0], run)
    read = [[run.local(i) for i in range(len(run))] for run in runs]
    how = Comparing(top_k, ranking, over, overlap, against, seed)
    return agreement_of(read, how, "agreement", runs[0].method)


def agreement_of(
    runs: Sequence[Sequence[LocalExplanation | None]],
    how: Comparing,
    metric: str,
    method: str,
    level: str = "",
    bootstrap: Bootstrap | None = None,
) -> list[Measured]:
    """`agreement` of T runs over B instances; None where a run has no explanation."""
    entries = _Entries.read(runs, how)
    found = _compared(entries, entries.value, how)
    generator = torch.Generator().manual_seed(how.seed)
    dealt = [_compared(entries, entries.dealt(generator), how) for _ in range(CHANCE_DRAWS)]
    results = []
    for name, better in MEASURES.items():
        chance = torch.stack([each[name] for each in dealt]).mean(dim=0)
        results.append(
            Measured(
                metric=f"{metric}_{name}",
                method=method,
                level=level,
                better=better,
                estimate=Estimate.of_mean(found[name], bootstrap),
                values=found[name],
                floor=Estimate.of_mean(chance, bootstrap),
            )
        )
    return results


@dataclass(frozen=True)
class _Entries:
    """The scores of T runs over the entries of B instances.

    Attributes:
        count: number B of instances.
        segment: ``[m]`` whose entry it is, ascending.
        value: ``[T, m]`` scores, 0 where a run lacks the entry.
        has: ``[T, m]`` whether a run has the entry.
        there: ``[T, B]`` whether a run has an explanation.
    """

    count: int
    segment: Tensor
    value: Tensor
    has: Tensor
    there: Tensor

    @staticmethod
    def read(runs: Sequence[Sequence[LocalExplanation | None]], how: Comparing) -> _Entries:
        values, present, segments = [], [], []
        count = len(runs[0])
        codes: dict[str, int] = {}
        for instance in range(count):
            own = [
                None if run[instance] is None else _scores(run[instance], how.over, codes)
                for run in runs
            ]
            keys = [each[0] for each in own if each is not None]
            key = torch.unique(torch.cat(keys)) if keys else torch.empty(0, dtype=torch.long)
            value = torch.zeros(len(runs), key.numel(), dtype=torch.float64)
            has = torch.zeros(len(runs), key.numel(), dtype=torch.bool)
            for number, each in enumerate(own):
                if each is not None:
                    column = torch.searchsorted(key, each[0])
                    value[number, column], has[number, column] = each[1], True
            values.append(value)
            present.append(has)
            segments.append(torch.full((key.numel(),), instance))
        nothing = torch.empty(len(runs), 0, dtype=torch.float64)
        return _Entries(
            count=count,
            segment=torch.cat([torch.empty(0, dtype=torch.long), *segments]),
            value=torch.cat([nothing, *values], dim=1),
            has=torch.cat([nothing.bool(), *present], dim=1),
            there=torch.tensor(
                [[each is not None for each in run] for run in runs], dtype=torch.bool
            ).view(len(runs), count),
        )

    def dealt(self, generator: torch.Generator) -> Tensor:
        """The scores of each run at random places among the entries that it has."""
        found = self.value.clone()
        for number, has in enumerate(self.has):
            place = has.nonzero().view(-1)
            order = torch.randperm(place.numel(), generator=generator)
            order = order[torch.argsort(self.segment[place][order], stable=True)]
            found[number, place] = self.value[number, place[order]]
        return found


def _scores(
    local: LocalExplanation | None, over: Entry, codes: dict[str, int]
) -> tuple[Tensor, Tensor]:
    """Numbers of an explanation's entries, the same in every run, and their scores."""
    assert local is not None
    if over == "edge":
        return _numbers(local.edge_id, local.edge_type, codes), edge_scores(local)
    number = _numbers(local.node_id, local.node_type, codes)
    if over == "node":
        return number, node_scores(local)
    if local.feature_score is None:
        raise UnknownMetricError(
            f"instance {local.index} has no scores of features to compare; give over='node' or "
            "over='edge'"
        )
    score = local.feature_score.double()
    column = torch.arange(score.size(1))
    # Numbers up to 2^34, 2^9 types and 2^20 features fit side by side into one number.
    number = number.view(-1, 1) + (column << 43)
    known = ~score.isnan()
    return number[known], score[known]


def _numbers(number: Tensor, kind: Sequence[str] | None, codes: dict[str, int]) -> Tensor:
    if kind is None:
        return number
    code = [codes.setdefault(name, len(codes)) for name in kind]
    return number + (torch.tensor(code, dtype=torch.long) << 34)


def _compared(entries: _Entries, value: Tensor, how: Comparing) -> dict[str, Tensor]:
    """Each measure ``[B]``, over the pairs of an instance."""
    segment, count = entries.segment, entries.count
    is_absolute = how.ranking == "absolute"
    runs = [Ranked.of(v, segment, count, how.top_k, is_absolute=is_absolute) for v in value]
    size = torch.bincount(segment, minlength=count).double()
    pairs = combinations(range(len(runs)), 2)
    rows: dict[str, list[Tensor]] = {name: [] for name in MEASURES}
    for i, j in pairs:
        if how.against == "first" and i > 0:
            break
        found = _pair(runs[i], runs[j], segment, size, how)
        says = entries.there[i] & entries.there[j]
        for name, row in found.items():
            rows[name].append(torch.where(says, row, float("nan")))
    return {
        name: _worst(torch.stack(row)) if name == "worst" else torch.stack(row).nanmean(dim=0)
        for name, row in rows.items()
    }


def _pair(a: Ranked, b: Ranked, segment: Tensor, size: Tensor, how: Comparing) -> dict[str, Tensor]:
    """Each measure ``[B]`` of two runs, NaN where both rank nothing."""
    count = size.numel()

    def total(value: Tensor) -> Tensor:
        return value.new_zeros(count).index_add_(0, segment, value)

    both = total(torch.minimum(a.best, b.best))
    if how.overlap == "share":
        best = both / size.clamp_max(how.top_k)
    else:
        best = both / total(torch.maximum(a.best, b.best))
    constant = [total(run.rank.square()) == 0 for run in (a, b)]
    rank = torch.where(constant[0] | constant[1], 0.0, cosine(a.rank, b.rank, segment, count))
    is_zero = [total(run.value.abs()) == 0 for run in (a, b)]
    angle = torch.where(is_zero[0] | is_zero[1], 0.0, cosine(a.value, b.value, segment, count))
    found = {"overlap": best, "rank": rank, "worst": 1 - angle}
    says = ~(constant[0] & constant[1])
    return {name: torch.where(says, value, float("nan")) for name, value in found.items()}


def _worst(value: Tensor) -> Tensor:
    """The largest of each column, NaN where there is none."""
    found = value.nan_to_num(nan=-torch.inf).amax(dim=0)
    return torch.where(found.isinf(), float("nan"), found)


def _check_same(one: Explanations, other: Explanations) -> None:
    """Refuse runs about other predictions."""
    if one.level != other.level:
        raise InstanceError(
            f"the sets explain {one.level} and {other.level} predictions; explain the same ones"
        )
    names = ("index", "graph")
    columns = [torch.stack([in_order(run, name) for name in names]) for run in (one, other)]
    if not torch.equal(*columns):
        raise InstanceError(
            f"the sets explain {columns[0].size(1)} and {columns[1].size(1)} predictions, which "
            "are not the same ones in the same order; give the same index each time"
        )
