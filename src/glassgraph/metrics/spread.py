"""How few entries an explanation needs, as numbers with intervals.

`sparsity` and `mask_entropy` in the form that all metrics of the benchmark have. They ask the model
nothing, so chance and a search say nothing of them: they have neither floor nor ceiling.
"""

from __future__ import annotations

from glassgraph.metrics.measured import Measured
from glassgraph.metrics.scores import Ranking
from glassgraph.metrics.sparsity import mask_entropy, sparsity
from glassgraph.results.aggregates.aggregate import Bootstrap
from glassgraph.results.explanation import Explanations


def spread(
    explanations: Explanations,
    *,
    threshold: float = 0.5,
    ranking: Ranking = "signed",
    bootstrap: Bootstrap | None = None,
) -> list[Measured]:
    """Sparsity at a threshold, and entropies of the masks.

    Args:
        explanations: what is measured.
        threshold: edges that score above it count as selected.
        ranking: ``"signed"`` or ``"absolute"`` scores, for sparsity.
        bootstrap: of the intervals.

    Returns:
        ``sparsity`` (share of edges that is left out, at level ``">0.5"``), ``node_entropy`` and,
        of methods that score features, ``feature_entropy`` (in nats, low is sparse).

    Raises:
        UnknownMetricError: if the threshold is not finite or an explanation has no scores.

    Example:
        >>> import torch
        >>> import glassgraph as gg
        >>> from torch_geometric.data import Data
        >>> from torch_geometric.nn import GCN
        >>> data = Data(x=torch.rand(4, 3), edge_index=torch.tensor([[0, 1, 2], [1, 2, 3]]))
        >>> found = gg.Random(GCN(3, 8, 2, 2), "node", progress=False).explain(data, [2, 3])
        >>> [each.metric for each in spread(found)]
        ['sparsity', 'node_entropy']
    """
    few = sparsity(explanations, threshold, ranking=ranking)
    entropy = mask_entropy(explanations)
    method = explanations.method
    found = [
        Measured.of("sparsity", method, few.sparsity, level=f">{threshold:g}", bootstrap=bootstrap),
        Measured.of("node_entropy", method, entropy.nodes, better="lower", bootstrap=bootstrap),
    ]
    if entropy.features is not None:
        found.append(
            Measured.of(
                "feature_entropy", method, entropy.features, better="lower", bootstrap=bootstrap
            )
        )
    return found
