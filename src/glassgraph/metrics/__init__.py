"""Explanations in, numbers out. No metric knows a method.

`fidelity` asks the model what happens without, and with nothing but, the best edges;
`rdt_fidelity` replaces the features that an explanation leaves out by noise; `sparsity` says how
few edges an explanation needs, and `mask_entropy` how far it is spread over nodes and features;
`ground_truth_accuracy` holds scores against planted edges; `evaluate` puts what is about edges into
one flat row for each method. `node_truth_accuracy` holds scores against true nodes. `compare` and
`compare_all` hold explanations against each other, `agreement` several beside chance.
"""

from glassgraph.metrics.agreement import agreement
from glassgraph.metrics.characterization import (
    characterization,
    characterization_score,
    fidelity_curve_auc,
    groundtruth_metrics,
)
from glassgraph.metrics.compare import MEASURES, Comparison, compare
from glassgraph.metrics.evaluate import evaluate
from glassgraph.metrics.faithfulness import gef, soft_fidelity, unfaithfulness
from glassgraph.metrics.fidelity import FidelityResult, fidelity
from glassgraph.metrics.node_truth import NodeTruthResult, node_truth_accuracy
from glassgraph.metrics.rdt import RDTFidelityResult, rdt_fidelity
from glassgraph.metrics.removal import Removal
from glassgraph.metrics.scores import Ranking, edge_scores, node_scores
from glassgraph.metrics.similarity import Similarity, compare_all, similarities
from glassgraph.metrics.sparsity import MaskEntropyResult, SparsityResult, mask_entropy, sparsity
from glassgraph.metrics.spread import spread
from glassgraph.metrics.truth import GroundTruthResult, ground_truth_accuracy
from glassgraph.metrics.truth_metrics import gea, truth_metrics

__all__ = [
    "MEASURES",
    "Comparison",
    "FidelityResult",
    "GroundTruthResult",
    "MaskEntropyResult",
    "NodeTruthResult",
    "RDTFidelityResult",
    "Ranking",
    "Removal",
    "Similarity",
    "SparsityResult",
    "agreement",
    "characterization",
    "characterization_score",
    "compare",
    "compare_all",
    "edge_scores",
    "evaluate",
    "fidelity",
    "fidelity_curve_auc",
    "gea",
    "gef",
    "ground_truth_accuracy",
    "groundtruth_metrics",
    "mask_entropy",
    "node_scores",
    "node_truth_accuracy",
    "rdt_fidelity",
    "similarities",
    "soft_fidelity",
    "sparsity",
    "spread",
    "truth_metrics",
    "unfaithfulness",
]
