"""How large are scores, by feature, type, layer, class, or right against wrong predictions?

For a group ``g`` of scores ``s`` (of messages, nodes or features) and instances ``i``,

.. code-block:: text

    mean_score = sum_i sum_{s in g, i} |s| / sum_i n_ig

the mean magnitude, or with ``ranking="signed"`` the mean, with an interval from the bootstrap over
instances, see `glassgraph.results.aggregates.aggregate`. It is what bars of
`glassgraph.plot_importance` show.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from glassgraph.errors import HyperParameterError, UnknownMetricError
from glassgraph.results.aggregates.aggregate import (
    Bootstrap,
    aggregate_messages,
    column_names,
    combined,
    factorize,
)
from glassgraph.results.aggregates.attributes import attribute_names, node_attribute
from glassgraph.results.aggregates.columns import OF_INSTANCE, Values, of_instances
from glassgraph.results.aggregates.edge_scores import Ranking
from glassgraph.results.aggregates.feature_scores import FeatureScores, Per
from glassgraph.results.aggregates.messages import ScoredSet
from glassgraph.results.aggregates.sparse_sums import sparse_sums

if TYPE_CHECKING:
    import pandas as pd

_RESULTS = ("count", "mean_score", "mean_score_low", "mean_score_high", "instances")


@dataclass(frozen=True)
class Sums:
    """What a mean is made of.

    Attributes:
        instance: ``[n]`` which instance.
        score: ``[n]`` sums of scores.
        count: ``[n]`` how many they are.
        num_instances: of all instances, those without scores among them.
    """

    instance: Values
    score: Values
    count: Values
    num_instances: int


def importance_table(
    explanations: ScoredSet,
    by: str | Sequence[str],
    *,
    per: Per,
    ranking: Ranking,
    bootstrap: Bootstrap,
) -> pd.DataFrame:
    """One row for each group; see `Explanations.importance`."""
    names = column_names(by)
    if ranking not in ("signed", "absolute"):
        raise UnknownMetricError(f"ranking must be 'signed' or 'absolute'; got {ranking!r}")
    if "feature" in names:
        return _of_features(explanations, names, per, ranking, bootstrap)
    if any(is_of_nodes(explanations, name) for name in names):
        return _of_nodes(explanations, names, ranking, bootstrap)
    if "layer" in names and explanations.num_layers < 2:
        raise HyperParameterError(
            f"the model has {explanations.num_layers} layer of messages: there are no layers to "
            "tell apart"
        )
    table = aggregate_messages(
        explanations,
        names,
        {},
        threshold=None,
        top_share=None,
        ranking=ranking,
        bootstrap=bootstrap,
    )
    return table[[*names, *_RESULTS]]


def features_frame(explanations: ScoredSet, per: Per, max_features: int | None) -> pd.DataFrame:
    """One row per feature of each node; see `Explanations.features_frame`."""
    if max_features is not None and (isinstance(max_features, bool) or max_features < 1):
        raise HyperParameterError(f"max_features must be a positive number; got {max_features!r}")
    scores = FeatureScores.read(explanations, per)
    size = len(scores.names)
    chosen = list(range(size))
    if max_features is not None and max_features < size:
        mean = _means(scores)
        best = sorted(chosen, key=lambda feature: -mean[feature])[:max_features]
        chosen = sorted(best)
    return scores.frame(chosen)


def _means(scores: FeatureScores) -> Values:
    """``[F]`` the mean magnitude of each feature."""
    total, count = np.zeros((2, len(scores.names)))
    for block in scores.blocks():
        start = scores.first[block.node_type]
        own = slice(start, start + block.score.size(1))
        total[own] += block.score.abs().sum(dim=0).numpy()
        count[own] += len(block.score)
    found: Values = total / np.maximum(count, 1)
    return found


def _of_features(
    explanations: ScoredSet, names: list[str], per: Per, ranking: Ranking, bootstrap: Bootstrap
) -> pd.DataFrame:
    """Groups of feature scores; besides ``"feature"`` by columns of instances."""
    unknown = [name for name in names if name != "feature" and name not in OF_INSTANCE]
    if unknown:
        raise HyperParameterError(
            f"features are told apart by what belongs to a prediction ({', '.join(OF_INSTANCE)}); "
            f"{unknown[0]!r} does not"
        )
    scores = FeatureScores.read(explanations, per)
    first = scores.first
    instance, feature, part, whole = [], [], [], []
    for block in scores.blocks():
        size = block.score.size(1)
        sized = block.score.abs() if ranking == "absolute" else block.score
        part.append(sized.sum(dim=0).numpy())
        whole.append(np.full(size, float(len(sized))))
        instance.append(np.full(size, block.position))
        feature.append(np.arange(size) + first[block.node_type])
    which = np.concatenate(instance)
    columns = {"feature": (np.concatenate(feature), scores.names)}
    columns |= _of_each(explanations, names, which)
    sums = Sums(which, np.concatenate(part), np.concatenate(whole), len(explanations.flat_nodes()))
    return _table(names, columns, sums, bootstrap)


def _of_nodes(
    explanations: ScoredSet, names: list[str], ranking: Ranking, bootstrap: Bootstrap
) -> pd.DataFrame:
    """Groups of node scores."""
    nodes = explanations.flat_nodes()
    found = [_node_scores(explanations, position) for position in range(len(nodes))]
    score = torch.cat([torch.empty(0).double(), *found]).numpy()
    if not np.isfinite(score).all():
        raise UnknownMetricError(
            f"{int((~np.isfinite(score)).sum())} node scores of {explanations.method} are NaN or "
            "infinite"
        )
    which = np.repeat(np.arange(len(nodes)), [each.numel() for each in nodes])
    columns = _of_each(explanations, names, which)
    for name in names:
        if name not in columns:
            columns[name] = factorize(_node_column(explanations, name, nodes))
    sized = np.abs(score) if ranking == "absolute" else score
    return _table(names, columns, Sums(which, sized, np.ones(len(which)), len(nodes)), bootstrap)


def _node_scores(explanations: ScoredSet, position: int) -> torch.Tensor:
    """``[n]`` of one explanation; the sum of a node's features where the method scores these."""
    local = explanations.local(position)
    if local.node_score is not None:
        return local.node_score.double()
    if local.feature_score is None:
        raise UnknownMetricError(
            f"the explanations of {explanations.method} have no scores of nodes or features; use a "
            "method that scores them, such as saliency, lrp or subgraphx"
        )
    return local.feature_score.double().nansum(dim=1)


def is_of_nodes(explanations: ScoredSet, name: str) -> bool:
    """Whether a column tells nodes apart, and no edges."""
    if name == "node_type":
        return True
    graph = explanations.graph
    if name in OF_INSTANCE or graph is None:
        return False
    of_edges, of_nodes = (attribute_names(graph, of_nodes=each) for each in (False, True))
    return name in of_nodes and name not in of_edges


def _node_column(explanations: ScoredSet, name: str, nodes: Sequence[torch.Tensor]) -> Values:
    """``[n]`` a value for each node of each explanation."""
    types = [explanations.local(position).node_type for position in range(len(nodes))]
    if name == "node_type" and any(each is not None for each in types):
        return np.array([kind for each in types for kind in each or ()], dtype=object)
    graph = explanations.graph
    values = None if graph is None else node_attribute(graph, name)
    if values is None:
        raise HyperParameterError(
            f"there is no {name!r} of nodes here: "
            + (
                "the graph has one type of nodes"
                if name == "node_type"
                else f"besides nodes are told apart by {', '.join(OF_INSTANCE)} alone"
            )
        )
    found: Values = values[torch.cat([torch.empty(0, dtype=torch.long), *nodes]).cpu().numpy()]
    return found


def _of_each(
    explanations: ScoredSet, names: Sequence[str], which: Values
) -> dict[str, tuple[Values, list[Any]]]:
    """Codes and labels of the columns that belong to instances."""
    found = {}
    for name in names:
        if name in OF_INSTANCE:
            codes, labels = factorize(of_instances(explanations, name))
            found[name] = codes[which], labels
    return found


def _table(
    names: Sequence[str],
    columns: Mapping[str, tuple[Values, list[Any]]],
    sums: Sums,
    bootstrap: Bootstrap,
) -> pd.DataFrame:
    """Means of each group, with their intervals."""
    import pandas as pd

    codes, labels = zip(*(columns[name] for name in names), strict=True)
    found, group, size = combined(names, codes, labels, len(sums.instance))
    shape, at = (sums.num_instances, size), (sums.instance, group)
    part, counts = (sparse_sums((values, at), shape=shape) for values in (sums.score, sums.count))
    found["count"] = counts.sum(axis=0).astype(np.int64)
    measured = bootstrap.ratio(part, counts)
    found |= dict(zip(_RESULTS[1:4], measured, strict=True))
    found["instances"] = (counts > 0).sum(axis=0)
    return pd.DataFrame(found)
