"""Do two methods say the same? Similarities of explanations of the same predictions.

`compare` takes two sets of explanations and gives four numbers for each prediction: cosine,
Spearman's rank correlation, overlap of the best entries, agreement of signs. `compare_all` does it
for every pair of several sets. `glassgraph.metrics.likeness` defines the measures,
`glassgraph.metrics.vectors` what they run over.

A similarity is worth what it exceeds. Masks that are mostly positive have a high cosine to anything
else that is, also to a mask of ones and to uniform random numbers (see ``docs/compare.md``),
so `compare_all` puts both beside the methods. The mask of ones covers the edges that every run has:
the receptive field, or the whole graph for a prediction that could not be cut out of it. At the
level of layers it covers the messages that some run scores other than 0. Random numbers are uniform
in (0, 1) on the same entries and depend on the seed, the prediction and the endpoints of the edge.

He, Rafiey, Mishne and Wang, "Explaining GNN Explanations with Edge Gradients" (KDD 2025,
https://arxiv.org/abs/2508.01048) compare explainers by the mean cosine of their masks.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, get_args

import torch
from torch import Tensor

from glassgraph.core import random
from glassgraph.core.explanation import Explanations
from glassgraph.errors import UnknownMetricError
from glassgraph.metrics.likeness import Ranked, cosine, likeness
from glassgraph.metrics.scores import Ranking
from glassgraph.metrics.vectors import Aligned, Run, ScoreLevel, Vectors, align, has_layers

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

#: What is measured, in the order of tables.
MEASURES = ("cosine", "spearman", "jaccard", "signs")
#: Rows that show what a similarity is worth.
RANDOM, ONES = "random", "all ones"


@dataclass(frozen=True)
class Comparison:
    """Two sets of explanations of B predictions.

    Attributes:
        names: what was compared.
        level: ``"edge"``, or ``"layer"`` for scores of every edge at every layer.
        top_k: how many of the best entries ``jaccard`` is about.
        index: ``[B]`` the user's number of each prediction.
        graph: ``[B]`` which graph.
        entries: ``[B]`` number of entries compared.
        cosine: ``[B]``; all measures are NaN where they say nothing, see
            `glassgraph.metrics.likeness`.
        spearman: ``[B]``.
        jaccard: ``[B]``.
        signs: ``[B]``.
        layer_cosine: ``[L, B]`` cosine at each layer, None at the level of edges.
        is_same_model: False if two models were explained.
        num_other_targets: predictions of which two classes were explained.
    """

    names: tuple[str, str]
    level: ScoreLevel
    top_k: int
    index: Tensor
    graph: Tensor
    entries: Tensor
    cosine: Tensor
    spearman: Tensor
    jaccard: Tensor
    signs: Tensor
    layer_cosine: Tensor | None
    is_same_model: bool
    num_other_targets: int

    def __len__(self) -> int:
        return int(self.index.numel())

    def columns(self) -> dict[str, Tensor]:
        """The measures ``[B]`` by name, those of the single layers included."""
        found: dict[str, Tensor] = {name: getattr(self, name) for name in MEASURES}
        if self.layer_cosine is not None:
            found |= {f"cosine_layer_{i}": row for i, row in enumerate(self.layer_cosine)}
        return found

    def frame(self) -> pd.DataFrame:
        """One row for each prediction: index, graph, number of entries, measures."""
        import pandas as pd

        head = {"index": self.index, "graph": self.graph, "entries": self.entries}
        return pd.DataFrame({k: v.numpy() for k, v in (head | self.columns()).items()})

    def moments(self, measure: str) -> dict[str, float]:
        """Mean, std, and for how many predictions a measure is defined or not; see `summary`."""
        value = self.columns()[measure]
        known = value[~value.isnan()]
        nan = float("nan")
        return {
            "mean": float(known.mean()) if known.numel() else nan,
            "std": float(known.std(correction=0)) if known.numel() else nan,
            "defined": known.numel(),
            "undefined": value.numel() - known.numel(),
        }

    def summary(self) -> pd.DataFrame:
        """One row for each measure, over the predictions for which it is defined.

        Columns: ``mean``; ``std`` over predictions; ``defined`` and ``undefined``, numbers of
        predictions.
        """
        import pandas as pd

        rows = {name: self.moments(name) for name in self.columns()}
        found = pd.DataFrame.from_dict(rows, orient="index")
        return found.rename_axis("measure")

    def __repr__(self) -> str:
        one, other = self.names
        lines = [
            f"Comparison of {one} and {other}: {len(self)} predictions, "
            f"{'edges' if self.level == 'edge' else 'edges at each layer'}"
        ]
        for name, row in self.summary().iterrows():
            word = f"jaccard, best {self.top_k}" if name == "jaccard" else str(name)
            number = f"{row['mean']:7.3f} +- {row['std']:.3f}" if row["defined"] else "      -"
            missing = f"   undefined for {row['undefined']:.0f}" if row["undefined"] else ""
            lines.append(f"  {word:<18}{number}{missing}")
        if not self.is_same_model:
            lines.append("  They explain different models.")
        if self.num_other_targets:
            lines.append(f"  They explain other classes of {self.num_other_targets} predictions.")
        return "\n".join(lines)


def compare(
    a: Run,
    b: Run,
    *,
    level: ScoreLevel = "edge",
    top_k: int = 10,
    ranking: Ranking = "signed",
) -> Comparison:
    """How alike are two explanations, prediction by prediction?

    Predictions are matched by index, edges by their numbers in the graph; an edge that only one of
    them has counts 0 for the other. A method without edge scores is read as by the other metrics
    (`glassgraph.metrics.edge_scores`).

    Args:
        a: explanations, or one of them.
        b: explanations of the same predictions.
        level: ``"edge"``, or ``"layer"`` for the scores of every edge at every layer.
        top_k: ``jaccard`` is about this number of best entries.
        ranking: how ``spearman`` and ``jaccard`` order entries: by ``"signed"`` or ``"absolute"``
            scores.

    Raises:
        InstanceError: if they explain different predictions.
        ExplanationFileError: if they explain different graphs, tasks or numbers of layers.
        UnknownMetricError: for arguments out of range, scores that are missing or not finite.

    Example:
        >>> import glassgraph as gg
        >>> from torch_geometric.data import Data
        >>> from torch_geometric.nn import SGConv
        >>> model = SGConv(3, 2, K=2)
        >>> data = Data(x=torch.rand(4, 3), edge_index=torch.tensor([[0, 1, 2], [1, 2, 3]]))
        >>> gradients = gg.EdgeGradients(model).explain(data, index=[2, 3])
        >>> occlusion = gg.Occlusion(model, layerwise=True).explain(data, index=[2, 3])
        >>> gg.compare(gradients, occlusion, level="layer").cosine.tolist()  # a linear model
        [1.0, 1.0]
    """
    _check(level, top_k, ranking)
    if isinstance(a, Explanations) != isinstance(b, Explanations):
        raise UnknownMetricError(
            "compare two sets of explanations, or two single ones; a set of one is explanations[:1]"
        )
    aligned = align([Vectors.read(run, level) for run in (a, b)], level)
    (found,) = _pairs(aligned, [(0, 1)], level, top_k, ranking)
    return found


def _check(level: str, top_k: int, ranking: str) -> None:
    if level not in get_args(ScoreLevel):
        raise UnknownMetricError(f"level must be 'edge' or 'layer'; got {level!r}")
    if isinstance(top_k, bool) or not isinstance(top_k, int) or top_k < 1:
        raise UnknownMetricError(f"top_k must be a positive number of entries; got {top_k!r}")
    if ranking not in get_args(Ranking):
        raise UnknownMetricError(f"ranking must be 'signed' or 'absolute'; got {ranking!r}")


def _pairs(
    aligned: Aligned,
    numbers: Iterable[tuple[int, int]],
    level: ScoreLevel,
    top_k: int,
    ranking: Ranking,
) -> list[Comparison]:
    """Some pairs of runs."""
    count, segment = aligned.num_instances, aligned.instance
    entries = torch.bincount(segment, minlength=count)
    is_absolute = ranking == "absolute"
    runs = [
        Ranked.of(value, segment, count, top_k, is_absolute=is_absolute) for value in aligned.value
    ]
    found = []
    for i, j in numbers:
        layer_cosine = None
        if level == "layer":
            rows = segment + count * aligned.layer
            values = aligned.value[i], aligned.value[j]
            by_layer = cosine(*values, rows, count * aligned.num_layers)
            layer_cosine = by_layer.view(aligned.num_layers, count)
        pair = Comparison(
            names=(aligned.names[i], aligned.names[j]),
            level=level,
            top_k=top_k,
            index=aligned.index,
            graph=aligned.graph,
            entries=entries,
            **likeness(runs[i], runs[j], segment, count, top_k),
            layer_cosine=layer_cosine,
            is_same_model=bool(aligned.is_same_model[i, j]),
            num_other_targets=int((~aligned.same_target[i, j]).sum()),
        )
        found.append(pair)
    return found


@dataclass(frozen=True)
class Similarity:
    """Every pair of several sets of explanations.

    Attributes:
        names: the rows, references last.
        references: which of them are references: random scores, a mask of ones.
        level: ``"edge"`` or ``"layer"``.
        top_k: how many of the best entries ``jaccard`` is about.
        pairs: the comparison of each row with itself and with those after it.
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
        from glassgraph.report import plot_similarity

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
    _check(level, top_k, ranking)
    if len(runs) + 2 * baselines < 2 or not runs:
        raise UnknownMetricError(
            f"a matrix needs at least two sets of explanations; got {len(runs)}"
        )
    aligned = align([Vectors.read(run, level, name) for name, run in runs.items()], level)
    if baselines:
        aligned = _with_references(aligned, seed)
    numbers = itertools.combinations_with_replacement(range(len(aligned.names)), 2)
    pairs = _pairs(aligned, numbers, level, top_k, ranking)
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
