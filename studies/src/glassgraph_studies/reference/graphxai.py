"""Accuracy and faithfulness of node scores as GraphXAI's code computes them, slips included.

Agarwal, Queen, Lakkaraju and Zitnik, "Evaluating explainability for graph neural networks"
(Scientific Data 2023, https://doi.org/10.1038/s41597-023-01974-x); code at
https://github.com/mims-harvard/GraphXAI, `graphxai/metrics/metrics_graph.py`. On graphs:

* GEA, accuracy: an atom is in the explanation if its score is above a tenth of the best one,
  however many that are; the best Jaccard index over the true explanations. A molecule without a
  ring has one that is empty, so it counts as 0, whatever is explained.
* GEF, called faithfulness: 1 - exp(-KL) between the prediction and that with some atoms set to
  zero. The paper keeps the best quarter of the atoms; the code sets the best quarter to zero and
  keeps the others. Its KL is that of the changed prediction from the original one, the other way
  round than written.
* random scores are a standard normal number for half of the atoms and 0 for the others, so that
  about a fifth of the atoms are in the explanation.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import Tensor

#: The share of atoms that is called the best.
TOP = 0.25
_EPS = 1e-9


def gea(score: Tensor, truth: Tensor) -> float:
    """The best Jaccard index.

    Args:
        score: ``[n]`` of the atoms.
        truth: ``[n, K]`` true explanations; none of them for a molecule without a ring.
    """
    threshold = 0.1 * float(score.max())
    found = {atom for atom in range(len(score)) if float(score[atom]) > threshold}
    best = 0.0
    for column in truth.t():
        true = set(column.nonzero().view(-1).tolist())
        hits, false, missed = len(found & true), len(found - true), len(true - found)
        best = max(best, hits / (hits + false + missed + _EPS))
    return best


def gef(score: Tensor, x: Tensor, logits: Callable[[Tensor], Tensor]) -> float:
    """Their number, of a prediction without its best atoms.

    Args:
        score: ``[n]`` of the atoms.
        x: ``[n, F]`` their features.
        logits: the prediction ``[C]`` for features.
    """
    best = score.topk(int(len(score) * TOP)).indices
    changed = x.clone()
    changed[best] = 0
    before, after = logits(x).softmax(dim=0), logits(changed).softmax(dim=0)
    divergence = float((after * (after.log() - before.log())).sum())
    return 1 - math.exp(-divergence)


def random_scores(uniform: Tensor) -> Tensor:
    """Their random scores, from numbers ``[n]`` that are uniform in [0, 1)."""
    normal = (2 * uniform - 1).clamp_min(1e-6) * 2 - 1
    return (normal.erfinv() * math.sqrt(2)).where(uniform > 0.5, 0.0)
