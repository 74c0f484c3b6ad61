r"""T-GNNExplainer: the few past events that, alone, speak most for what the model says.

    reward   R(S) = log sigmoid( c (f(S) - threshold) )

``f(S)`` is the link's score where of the candidates only those in S have happened (events that are
no candidates always have), c is 1 where the model expects the link, ``f >= threshold``, and -1
where it does not: the negative cross-entropy between the model's answer and its answer on S. The
*explorer*, `EventTree`, looks for the best S of at most ``size`` events; the *navigator* says which
events it tries to leave out first.

Scores: with B_k the best subset of at most k events that was met,

    score(e) = c * (share of k = 1, ..., size for which e is in B_k),

or, ungraded, c for the events of B_size and 0 for others.

The code was read (cisaic/tgnnexplainer, in three copies), of the paper its abstract and
introduction; what is said here of its formulas is taken from accounts of it, and was not held
against its text. The two disagree, and both leave something open:

- The code rewards c (f(S) - f), no cross-entropy. Both grow with c f(S), so that the same subset is
  the best; only the weight of exploration beside them is another.
- In the code a walk ends at the empty set, and the value that counts on its way is the reward of
  the empty set: the same number for every walk, so rewards never guide the search. Here the best
  reward from a node on counts there.
- In the code the navigator's weights only change attention, and the mean attention orders the
  events; here, as the paper has it, the navigator does.
- Walks go ``together``, some of them in one replay; 1 for one after the other, as both have it.
- The code explores with 10, and with 100 in its settings for experiments; the paper, it is said,
  with 5.

Xia, Lai, Shan, Zhang, Dai, Li and Li, "Explaining Temporal Graph Models through an
Explorer-Navigator Framework", ICLR 2023, https://openreview.net/forum?id=BR_ZhvcYbGJ.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from glassgraph.temporal.event_tree import EventTree
from glassgraph.temporal.questions import Question
from glassgraph.temporal.settings import Settings


def t_gnn_explainer(question: Question, settings: Settings, importance: Tensor) -> Tensor:
    """Is this event in the best small subsets?

    Args:
        question: the link and its candidates.
        settings: ``size``, ``rollouts``, ``together``, ``explore``, ``threshold``, ``graded``.
        importance: ``[n]`` the navigator's; events of the lowest are left out first.
    """
    order, count = torch.argsort(importance, stable=True).cpu(), importance.numel()
    tree = EventTree(count, settings.size, settings.explore)
    sign = side(question, settings.threshold)

    def reward(subsets: Sequence[int]) -> list[float]:
        kept = question.without(~_masks(subsets, order).to(question.candidates.device))
        found: list[float] = logsigmoid(sign * (kept - settings.threshold)).tolist()
        return found

    tree.search(settings.rollouts, settings.together, reward)
    score = torch.zeros(count, dtype=torch.float64)
    if count:
        sizes = range(1, settings.size + 1) if settings.graded else [settings.size]
        best = [tree.best(size) for size in sizes]
        score = _masks(best, order).double().mean(0)
    return sign * score.to(question.candidates.device)


def side(question: Question, threshold: float) -> int:
    """1 where the model expects the link, -1 where it does not."""
    return 1 if question.reference >= threshold else -1


def _masks(subsets: Sequence[int], order: Tensor) -> Tensor:
    """Bits of integers, which follow an order of the events, as rows ``[K, n]`` of a mask."""
    rows = [[subset >> place & 1 for place in range(order.numel())] for subset in subsets]
    bits = torch.tensor(rows, dtype=torch.bool).view(len(subsets), order.numel())
    return torch.zeros_like(bits).index_copy(1, order, bits)
