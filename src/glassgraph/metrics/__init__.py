"""Explanations in, numbers out. No metric knows a method.

`fidelity` asks the model what happens without, and with nothing but, the best edges; `sparsity`
says how few edges an explanation needs; `ground_truth_accuracy` holds scores against planted
edges; `evaluate` puts all of it into one flat row for each method. `node_truth_accuracy` holds
scores against true nodes.
"""

from glassgraph.metrics.evaluate import evaluate
from glassgraph.metrics.fidelity import FidelityResult, fidelity
from glassgraph.metrics.node_truth import NodeTruthResult, node_truth_accuracy
from glassgraph.metrics.removal import Removal
from glassgraph.metrics.scores import Ranking, edge_scores, node_scores
from glassgraph.metrics.sparsity import SparsityResult, sparsity
from glassgraph.metrics.truth import GroundTruthResult, ground_truth_accuracy

__all__ = [
    "FidelityResult",
    "GroundTruthResult",
    "NodeTruthResult",
    "Ranking",
    "Removal",
    "SparsityResult",
    "edge_scores",
    "evaluate",
    "fidelity",
    "ground_truth_accuracy",
    "node_scores",
    "node_truth_accuracy",
    "sparsity",
]
