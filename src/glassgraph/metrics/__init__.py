"""Explanations in, numbers out. No metric knows a method.

`fidelity` asks the model what happens without, and with nothing but, the best edges (nodes,
features); `robust_fidelity` the same on graphs that lose little; `sufficiency` and `necessity`
whether the class stays, or changes; `deletion_area` how much earlier than by chance it falls.
`random_scores` and `greedy_scores` are explanations by chance, and by a search for a metric.
`rdt_fidelity` replaces the features that an explanation leaves out by noise; `sparsity` says how
few edges an explanation needs, and `mask_entropy` how far it is spread over nodes and features;
`ground_truth_accuracy` holds scores against planted edges; `evaluate` puts what is about edges into
one flat row for each method. `node_truth_accuracy` holds scores against true nodes. `compare` and
`compare_all` hold explanations against each other, `agreement` several beside chance.
"""

from glassgraph.metrics.agreement import agreement
from glassgraph.metrics.ceiling import Searched, best_of, greedy_scores
from glassgraph.metrics.chance import random_scores
from glassgraph.metrics.characterization import (
    characterization,
    characterization_score,
    fidelity_curve_auc,
    groundtruth_metrics,
)
from glassgraph.metrics.compare import MEASURES, Comparison, compare
from glassgraph.metrics.counterfactuals import counterfactual_quality, counterfactuals
from glassgraph.metrics.deletion import deletion_area
from glassgraph.metrics.evaluate import evaluate
from glassgraph.metrics.faithfulness import gef, soft_fidelity, unfaithfulness
from glassgraph.metrics.fidelity import FidelityResult, fidelity
from glassgraph.metrics.measured import Estimate, Measured
from glassgraph.metrics.node_truth import NodeTruthResult, node_truth_accuracy
from glassgraph.metrics.rdt import RDTFidelityResult, rdt_fidelity
from glassgraph.metrics.removal import Of, Removal
from glassgraph.metrics.robust import robust_fidelity
from glassgraph.metrics.scores import Ranking, edge_scores, node_scores
from glassgraph.metrics.similarity import Similarity, compare_all, similarities
from glassgraph.metrics.sparsity import MaskEntropyResult, SparsityResult, mask_entropy, sparsity
from glassgraph.metrics.spread import spread
from glassgraph.metrics.subgraphs import necessity, sufficiency
from glassgraph.metrics.truth import GroundTruthResult, ground_truth_accuracy
from glassgraph.metrics.truth_metrics import gea, truth_metrics

__all__ = [
    "MEASURES",
    "Comparison",
    "Estimate",
    "FidelityResult",
    "GroundTruthResult",
    "MaskEntropyResult",
    "Measured",
    "NodeTruthResult",
    "Of",
    "RDTFidelityResult",
    "Ranking",
    "Removal",
    "Searched",
    "Similarity",
    "SparsityResult",
    "agreement",
    "best_of",
    "characterization",
    "characterization_score",
    "compare",
    "compare_all",
    "counterfactual_quality",
    "counterfactuals",
    "deletion_area",
    "edge_scores",
    "evaluate",
    "fidelity",
    "fidelity_curve_auc",
    "gea",
    "gef",
    "greedy_scores",
    "ground_truth_accuracy",
    "groundtruth_metrics",
    "mask_entropy",
    "necessity",
    "node_scores",
    "node_truth_accuracy",
    "random_scores",
    "rdt_fidelity",
    "robust_fidelity",
    "similarities",
    "soft_fidelity",
    "sparsity",
    "spread",
    "sufficiency",
    "truth_metrics",
    "unfaithfulness",
]
