"""Do two methods say the same? Similarities of explanations of the same predictions.

`compare` takes two sets of explanations and gives four numbers for each prediction: cosine,
Spearman's rank correlation, overlap of the best entries, agreement of signs.
`glassgraph.metrics.likeness` defines the measures, `glassgraph.metrics.vectors` what they run over,
`glassgraph.metrics.similarity` compares every pair of several sets.

He, Rafiey, Mishne and Wang, "Explaining GNN Explanations with Edge Gradients" (KDD 2025,
https://arxiv.org/abs/2508.01048) compare explainers by the mean cosine of their masks.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

import torch
from torch import Tensor

from glassgraph.errors import UnknownMetricError
from glassgraph.metrics.likeness import Ranked, cosine, likeness
from glassgraph.metrics.scores import Ranking
from glassgraph.metrics.vectors import Aligned, Run, ScoreLevel, Vectors, align
from glassgraph.results.explanation import Explanations

if TYPE_CHECKING:
    import pandas as pd

#: What is measured, in the order of tables.
MEASURES = ("cosine", "spearman", "jaccard", "signs")


@dataclass(frozen=True)
class Comparison:
    """How alike are two sets of explanations, for each of B predictions?

    What `compare` returns. Measures have no unit and lie in [-1, 1] (``jaccard`` and ``signs`` in
    [0, 1]); `summary` has their means, `frame` a row for each prediction.

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

    Raises:
        InstanceError: from `compare`, if the two explain different predictions.

    Example:
        >>> import glassgraph as gg
        >>> from torch_geometric.data import Data
        >>> from torch_geometric.nn import SGConv
        >>> data = Data(x=torch.eye(4), edge_index=torch.tensor([[0, 1, 2], [1, 2, 3]]))
        >>> found = gg.Saliency(SGConv(4, 2, K=2), progress=False).explain(data, index=[2, 3])
        >>> comparison = gg.compare(found, found)
        >>> comparison.index.tolist(), comparison.cosine.tolist()  # [B]
        ([2, 3], [1.0, 1.0])
        >>> len(comparison.frame())
        2
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
    check_arguments(level, top_k, ranking)
    if isinstance(a, Explanations) != isinstance(b, Explanations):
        raise UnknownMetricError(
            "compare two sets of explanations, or two single ones; a set of one is explanations[:1]"
        )
    aligned = align([Vectors.read(run, level) for run in (a, b)], level)
    (found,) = compare_pairs(aligned, [(0, 1)], level, top_k, ranking)
    return found


def check_arguments(level: str, top_k: int, ranking: str) -> None:
    """Check what every comparison is told.

    Raises:
        UnknownMetricError: names the argument that is wrong.
    """
    if level not in get_args(ScoreLevel):
        raise UnknownMetricError(f"level must be 'edge' or 'layer'; got {level!r}")
    if isinstance(top_k, bool) or not isinstance(top_k, int) or top_k < 1:
        raise UnknownMetricError(f"top_k must be a positive number of entries; got {top_k!r}")
    if ranking not in get_args(Ranking):
        raise UnknownMetricError(f"ranking must be 'signed' or 'absolute'; got {ranking!r}")


def compare_pairs(
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
