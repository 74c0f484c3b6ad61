"""Many explanations as one table: what is kept, and how messages score, by what they share.

For a group ``g`` of messages and instances ``i`` with ``n_ig`` messages in it, of which ``k_ig``
are kept, and the sum ``s_ig`` of their scores,

.. code-block:: text

    kept          = sum_i k_ig / sum_i n_ig          share of the group that is kept
    share_of_kept = sum_i k_ig / sum_ih k_ih         share of all that is kept
    mean_score    = sum_i s_ig / sum_i n_ig

Confidence intervals come from the bootstrap over instances, since messages of one prediction are
not independent: instances are drawn with replacement, as many as there are, and the interval runs
between percentiles of what the draws give. A group that a single instance has shows no spread, so
it gets no interval (NaN).

Efron, "Bootstrap methods: another look at the jackknife" (Annals of Statistics 1979,
https://doi.org/10.1214/aos/1176344552).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from glassgraph.errors import HyperParameterError
from glassgraph.results.aggregates.columns import Values, column
from glassgraph.results.aggregates.edge_scores import Ranking
from glassgraph.results.aggregates.messages import Messages, ScoredSet
from glassgraph.results.aggregates.sparse_sums import sparse_sums

if TYPE_CHECKING:
    import pandas as pd

#: What is measured of each group; each with ``_low`` and ``_high``.
MEASURES = ("kept", "share_of_kept", "mean_score")
#: Draws that are made at once.
_CHUNK = 100


@dataclass(frozen=True)
class Bootstrap:
    """Confidence intervals by drawing instances with replacement.

    Attributes:
        confidence: share of draws within the interval.
        samples: number of draws.
        seed: of the draws.

    Raises:
        HyperParameterError: for values out of range.
    """

    confidence: float = 0.95
    samples: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.confidence < 1:
            raise HyperParameterError(f"confidence must lie in (0, 1); got {self.confidence}")
        if isinstance(self.samples, bool) or not isinstance(self.samples, int) or self.samples < 1:
            raise HyperParameterError(f"samples must be a positive number; got {self.samples!r}")

    def ratio(self, part: Any, whole: Any) -> tuple[Values, Values, Values]:
        """``sum_i part_ig / sum_i whole_ig`` for each group, and the ends of its interval.

        Args:
            part: ``[B, G]`` sparse.
            whole: ``[B, G]``, or ``[B, 1]`` for all groups, sparse.

        Returns:
            Three times ``[G]``; NaN for nothing of nothing, and without interval for a group whose
            whole lies within one instance.
        """
        num_instances = part.shape[0]
        value = _divide(part.sum(axis=0), whole.sum(axis=0))
        low, high = np.full_like(value, np.nan), np.full_like(value, np.nan)
        several = np.broadcast_to((whole > 0).sum(axis=0) > 1, value.shape)
        if not several.any():
            return value, low, high
        drawn = []
        rng = np.random.default_rng(self.seed)
        for start in range(0, self.samples, _CHUNK):
            size = min(_CHUNK, self.samples - start)
            times = rng.multinomial(num_instances, np.full(num_instances, 1 / num_instances), size)
            drawn.append(_divide((part.T @ times.T).T, (whole.T @ times.T).T)[:, several])
        tail = (1 - self.confidence) / 2
        values = np.concatenate(drawn)
        seen = ~np.isnan(values).all(axis=0)
        where = np.flatnonzero(several)[seen]
        low[where], high[where] = np.nanquantile(values[:, seen], (tail, 1 - tail), axis=0)
        return value, low, high


def aggregate_messages(
    explanations: ScoredSet,
    by: str | Sequence[str],
    columns: Mapping[str, Any],
    *,
    threshold: float | None,
    top_share: float | None,
    ranking: Ranking,
    bootstrap: Bootstrap,
) -> pd.DataFrame:
    """One row for each group; see `Explanations.aggregate`."""
    import pandas as pd

    messages = Messages.read(explanations, threshold, top_share, ranking)
    row, edge = (place.numpy() for place in messages.reaches.nonzero(as_tuple=True))
    found, group, size = _groups(explanations, messages, column_names(by), columns, row, edge)
    instance = messages.instance.numpy()[edge]

    def summed(values: Values) -> Any:
        """``[B, G]``."""
        shape = (messages.num_instances, size)
        return sparse_sums((values, (instance, group)), shape=shape)

    counts = summed(np.ones(len(row)))
    parts = {"mean_score": (summed(messages.score.numpy()[row, edge]), counts)}
    if messages.kept is not None:
        kept = summed(messages.kept.numpy()[row, edge].astype(float))
        parts |= {"kept": (kept, counts), "share_of_kept": (kept, _sum_of_groups(kept))}
    found["count"] = counts.sum(axis=0).astype(np.int64)
    nothing = np.full(size, np.nan)
    for measure in MEASURES:
        values = (nothing,) * 3 if measure not in parts else bootstrap.ratio(*parts[measure])
        names = (measure, f"{measure}_low", f"{measure}_high")
        found |= dict(zip(names, values, strict=True))
    found["instances"] = (counts > 0).sum(axis=0)
    return pd.DataFrame(found)


def _groups(
    explanations: ScoredSet,
    messages: Messages,
    names: Sequence[str],
    columns: Mapping[str, Any],
    row: Values,
    edge: Values,
) -> tuple[dict[str, Any], Values, int]:
    """The columns of each group, the group of each message, and the number of groups."""
    codes, labels = [], []
    for name in names:
        if name == "layer" and name not in columns:
            _check_layers(explanations, messages)
            codes.append(row)
            labels.append(list(range(len(messages.score))))
        else:
            own, values = factorize(column(explanations, messages, name, columns))
            codes.append(own[edge])
            labels.append(values)
    return combined(names, codes, labels, len(row))


def combined(
    names: Sequence[str], codes: Sequence[Values], labels: Sequence[list[Any]], size: int
) -> tuple[dict[str, Any], Values, int]:
    """Groups by several columns at once.

    Args:
        names: of the columns.
        codes: of each column ``[n]`` positions in its labels.
        labels: what stands in each column.
        size: number n of what is grouped.

    Returns:
        The columns of each group, in the order of the labels; ``[n]`` the group of each; how many
        groups there are.
    """
    shape = tuple(max(1, len(values)) for values in labels)
    flat = np.ravel_multi_index(tuple(codes), shape) if names else np.zeros(size, dtype=np.int64)
    groups, group = np.unique(flat, return_inverse=True)
    own_codes = np.unravel_index(groups, shape) if names else ()
    found = {
        name: [values[code] for code in own]
        for name, values, own in zip(names, labels, own_codes, strict=True)
    }
    return found, group, len(groups)


def factorize(values: Values) -> tuple[Values, list[Any]]:
    """Values as positions in the list of distinct ones, which is in order; what is missing is last.

    Example:
        >>> codes, labels = factorize(np.array(["b", None, "a", "b"], dtype=object))
        >>> codes.tolist(), labels
        ([1, 2, 0, 1], ['a', 'b', None])
    """
    import pandas as pd

    codes, found = pd.factorize(values, use_na_sentinel=True)
    labels = list(found.tolist() if hasattr(found, "tolist") else found)
    try:
        order = sorted(range(len(labels)), key=labels.__getitem__)
    except TypeError:  # numbers beside words
        order = sorted(range(len(labels)), key=lambda code: str(labels[code]))
    place = np.empty(len(labels) + 1, dtype=np.int64)
    place[order] = np.arange(len(labels))
    place[-1] = len(labels)  # where factorize says -1
    missing = [None] if (codes < 0).any() else []
    return place[codes], [labels[code] for code in order] + missing


def column_names(by: str | Sequence[str]) -> list[str]:
    """The columns that a user asks for.

    Raises:
        HyperParameterError: if they are no names, or one is asked for twice, or is a result's.
    """
    names = [by] if isinstance(by, str) else list(by)
    taken = [name for name in names if names.count(name) > 1]
    if taken or not all(isinstance(name, str) for name in names):
        raise HyperParameterError(f"by names columns, each once; got {by!r}")
    results = {"count", "instances", *MEASURES}
    if results & set(names):
        raise HyperParameterError(
            f"{sorted(results & set(names))[0]!r} is a column of the result; give yours a new name"
        )
    return names


def _check_layers(explanations: ScoredSet, messages: Messages) -> None:
    if messages.num_instances and not messages.is_layerwise:
        raise HyperParameterError(
            f"{explanations.method} gives an edge one score for all layers; leave out 'layer', or "
            "use a layerwise method, such as edge_gradients, lrp or graphmask"
        )


def _sum_of_groups(values: Any) -> Any:
    return sparse_sums(values.sum(axis=1).reshape(-1, 1))


def _divide(part: Values, whole: Values) -> Values:
    with np.errstate(invalid="ignore", divide="ignore"):
        found: Values = np.asarray(part, dtype=float) / np.asarray(whole, dtype=float)
    return found
