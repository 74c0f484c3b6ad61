"""How alike are several methods? Every pair of them, and what a similarity is worth.

A similarity is worth what it exceeds. Masks that are mostly positive have a high cosine to anything
else that is, also to a mask of ones and to uniform random numbers (see ``docs/compare.md``),
so `compare_all` puts both beside the methods. The mask of ones covers the edges that every run has:
the receptive field, or the whole graph for a prediction that could not be cut out of it. At the
level of layers it covers the messages that some run scores other than 0. Random numbers are uniform
in (0, 1) on the same entries and depend on the seed, the prediction and the endpoints of the edge.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from glassgraph.core import random
from glassgraph.errors import UnknownMetricError
from glassgraph.metrics.compare import MEASURES, Comparison, check_arguments, compare_pairs
from glassgraph.metrics.scores import Ranking
from glassgraph.metrics.vectors import Aligned, ScoreLevel, Vectors, align, has_layers
from glassgraph.results.drawing import plot_similarity
from glassgraph.results.explanation import Explanations

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

#: Rows that show what a similarity is worth.
RANDOM, ONES = "random", "all ones"


@dataclass(frozen=True)
class Similarity:
    """How alike are several sets of explanations, and what is a similarity worth?

    What `compare_all` returns. A similarity is worth what it exceeds: masks that are mostly
    positive have a high cosine to anything else that is, so random scores and a mask of ones stand
    beside the methods as rows. `matrix` has the mean of a measure for every pair, in [-1, 1].

    Attributes:
        names: the rows, references last.
        references: which of them are references: random scores, a mask of ones.
        level: ``"edge"`` or ``"layer"``.
        top_k: how many of the best entries ``jaccard`` is about.
        pairs: the comparison of each row with itself and with those after it.

    Raises:
        UnknownMetricError: for a row or a measure that does not exist.

    Example:
        >>> import glassgraph as gg
        >>> from torch_geometric.data import Data
        >>> from torch_geometric.nn import SGConv
        >>> data = Data(x=torch.eye(4), edge_index=torch.tensor([[0, 1, 2], [1, 2, 3]]))
        >>> found = gg.Saliency(SGConv(4, 2, K=2), progress=False).explain(data, index=[2, 3])
        >>> similarity = gg.compare_all({"one": found, "other": found})
        >>> similarity.names
        ('one', 'other', 'random', 'all ones')
        >>> float(similarity.matrix("cosine").loc["one", "other"])
        1.0
    """

    names: tuple[str, ...]
    references: tuple[str, ...]
    level: ScoreLevel
    top_k: int
    pairs: Mapping[tuple[str, str], Comparison]

    def pair(self, one: str, other: str) -> Comparison:
        """The comparison of two rows.

        Raises:
            UnknownMetricError: if there is no such row.
        """
        for name in (one, other):
            if name not in self.names:
                raise UnknownMetricError(f"no row {name!r}; there are {', '.join(self.names)}")
        return self.pairs[(one, other) if (one, other) in self.pairs else (other, one)]

    def matrix(self, measure: str = "cosine") -> pd.DataFrame:
        """Mean of a measure for every pair, over the predictions for which it is defined.

        Raises:
            UnknownMetricError: for an unknown measure.
        """
        import pandas as pd

        if measure not in MEASURES:
            raise UnknownMetricError(
                f"measure must be one of {', '.join(MEASURES)}; got {measure!r}"
            )
        rows = [
            [self.pair(one, other).moments(measure)["mean"] for other in self.names]
            for one in self.names
        ]
        return pd.DataFrame(rows, index=list(self.names), columns=list(self.names))

    def frame(self) -> pd.DataFrame:
        """One row for each pair and measure: ``a``, ``b``, ``measure``, and as in `summary`."""
        import pandas as pd

        frames = [
            pair.summary().reset_index().assign(a=a, b=b)
            for (a, b), pair in self.pairs.items()
            if a != b
        ]
        columns = ["a", "b", "measure", "mean", "std", "defined", "undefined"]
        return pd.concat(frames, ignore_index=True)[columns]

    def plot(self, measure: str = "cosine", ax: Axes | None = None) -> Axes:
        """Draw the matrix as a heat map; returns the matplotlib axes."""
        return plot_similarity(self, measure, ax)

    def __repr__(self) -> str:
        count = len(next(iter(self.pairs.values())))
        head = f"Similarity of {len(self.names)} rows, {count} predictions, {self.level} scores"
        return f"{head}, mean cosine:\n{self.matrix().round(3).to_string()}"


def compare_all(
    runs: Mapping[str, Explanations],
    *,
    level: ScoreLevel = "edge",
    top_k: int = 10,
    ranking: Ranking = "signed",
    baselines: bool = True,
    seed: int = 0,
) -> Similarity:
    """Compare every pair of several sets of explanations of the same predictions.

    Args:
        runs: explanations by name.
        level: see `compare`. At ``"layer"`` the entries are the messages that any run scores other
            than 0, the same for all pairs.
        top_k: see `compare`.
        ranking: see `compare`.
        baselines: add random scores and a mask of ones as rows, unless their names are taken.
        seed: of the random scores.

    Raises:
        GlassgraphError: see `compare`; also if there is nothing to compare.

    Example:
        >>> import glassgraph as gg
        >>> from torch_geometric.data import Data
        >>> from torch_geometric.nn import GCN
        >>> model = GCN(3, 8, 2, 2)
        >>> data = Data(x=torch.rand(4, 3), edge_index=torch.tensor([[0, 1, 2], [1, 2, 3]]))
        >>> runs = {name: gg.explain(model, data, name) for name in ("saliency", "occlusion")}
        >>> list(gg.compare_all(runs).matrix("cosine"))
        ['saliency', 'occlusion', 'random', 'all ones']
    """
    check_arguments(level, top_k, ranking)
    if len(runs) + 2 * baselines < 2 or not runs:
        raise UnknownMetricError(
            f"a matrix needs at least two sets of explanations; got {len(runs)}"
        )
    aligned = align([Vectors.read(run, level, name) for name, run in runs.items()], level)
    if baselines:
        aligned = _with_references(aligned, seed)
    numbers = itertools.combinations_with_replacement(range(len(aligned.names)), 2)
    pairs = compare_pairs(aligned, numbers, level, top_k, ranking)
    return Similarity(
        names=aligned.names,
        references=aligned.names[len(runs) :],
        level=level,
        top_k=top_k,
        pairs={pair.names: pair for pair in pairs},
    )


def similarities(
    runs: Mapping[str, Explanations], *, top_k: int = 10, ranking: Ranking = "signed", seed: int = 0
) -> list[Similarity]:
    """What a report shows: the matrix of edges, then that of layers for the runs that score them.

    A matrix with fewer than two runs is left out. Arguments and errors are those of `compare_all`.
    """
    layered = {name: run for name, run in runs.items() if has_layers(run)}
    levels: list[tuple[ScoreLevel, Mapping[str, Explanations]]]
    levels = [("edge", runs), ("layer", layered)]
    return [
        compare_all(each, level=level, top_k=top_k, ranking=ranking, seed=seed)
        for level, each in levels
        if len(each) > 1
    ]


def _with_references(aligned: Aligned, seed: int) -> Aligned:
    """The runs, and random scores and ones on what all of them have."""
    number = aligned.index[aligned.instance]
    where = aligned.is_common.double()
    rows = {
        RANDOM: random.uniform(seed, number, *aligned.address) * where,
        ONES: where,
    }
    rows = {name: row for name, row in rows.items() if name not in aligned.names}
    size = len(aligned.names) + len(rows)
    models = torch.ones(size, size, dtype=torch.bool)
    targets = models.new_ones(size, size, aligned.num_instances)
    before = len(aligned.names)
    models[:before, :before] = aligned.is_same_model
    targets[:before, :before] = aligned.same_target
    return replace(
        aligned,
        names=(*aligned.names, *rows),
        value=torch.cat([aligned.value, *(row.unsqueeze(0) for row in rows.values())]),
        is_same_model=models,
        same_target=targets,
    )
