"""CF2: soft masks on edges that are enough to keep the class, and without which it changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from glassgraph.core.batch import InstanceBatch
from glassgraph.errors import TaskError
from glassgraph.explainers.constant import lowest, saturated
from glassgraph.explainers.perturbation.counterfactuals.answer import tables
from glassgraph.explainers.perturbation.counterfactuals.best import Best
from glassgraph.explainers.perturbation.counterfactuals.changes import Changes
from glassgraph.explainers.perturbation.counterfactuals.hinges import Hinges
from glassgraph.explainers.perturbation.counterfactuals.method import CounterfactualExplainer
from glassgraph.explainers.perturbation.counterfactuals.relaxation import Relaxation, Relaxed
from glassgraph.explainers.perturbation.search.twin_edges import mean_of_twins
from glassgraph.explainers.scope import Scope
from glassgraph.explainers.settings import setting
from glassgraph.explainers.traits import Traits
from glassgraph.results.records import Attribution, Reason

_NOTHING = (
    "no mask value ends above 0.5, so nothing is deleted: each edge costs more than it moves the "
    "probabilities (hardly at all, if the prediction is sure); raise prediction, or take "
    "cf_gnn_explainer, which goes by log-odds"
)
_NOT_CHANGED = "deleting the edges whose mask ends above 0.5 does not change the decision"


#: Of a mask logit: an edge is never quite gone, where layers would divide by a degree of zero.
_MOST = 20.0
#: Of Adam. Hinges pull by far more than sizes; squares of what they did have to be forgotten before
#: sizes are felt, within fewer epochs than the usual thousand.
_MOMENTS = (0.9, 0.95)


class CF2(CounterfactualExplainer):
    r"""Which edges are enough to keep the class, and change it when they are gone?

    For each prediction, with mask logits ``M``, ``m = sigmoid(M)`` of each edge, ``P`` the
    probabilities, ``c`` the explained class and ``o`` the most probable of the others::

        min  sum m  +  prediction * (alpha * L_f + (1 - alpha) * L_c)

        L_f = max(0, gamma + P(o) - P(c))   with m of each edge left:      the class stays
        L_c = max(0, gamma + P(c) - P(o))   with 1 - m of each edge left:  the class changes

        edge score  S[e] = m[e]

    Edges go and come in pairs where ``pairs`` says so; a pair counts once in the sum. Of a target
    ``(a, b)`` ``a`` and ``b`` stand for ``c`` and ``o``; of several labels ``o`` is that the label
    does not hold; a class that is not predicted has to stay so, and to become predicted. Half of
    every edge is there at the start, and Adam works on each number by itself: what an instance
    learns is what it would learn alone, and nothing is random. A hinge whose margin ``gamma`` is
    reached has no gradient, so masks shrink until it is felt again. Edges that neither hinge ever
    felt score 0.

    What is left of edges are weights where the model takes ``edge_weight`` and zeros are seen to do
    the same as deleting, so that degrees change; elsewhere gates on messages (``relaxation``).

    The explanation is the set of edges with ``m > 0.5``, the ``max_size`` highest of them if that
    is given. The table ``counterfactual`` has a row for each: what happens when the set is really
    deleted, in the columns of `glassgraph.CFGNNExplainer`, and ``factual``, whether the decision
    stays with nothing but the set. ``deleted_edges`` lists it. Where it is empty or its deletion
    changes nothing, the ``remark`` says so. The set need not be the smallest: an edge that is only
    needed to be enough is in it, too (``alpha=0`` asks for the counterfactual alone).

    Masks on features, which the paper learns as well, are left out.

    Tan, Geng, Fu, Ge, Xu, Li and Zhang, "Learning and Evaluating Graph Neural Network Explanations
    based on Counterfactual and Factual Reasoning" (WWW 2022, https://arxiv.org/abs/2202.08816).

    Raises:
        HyperParameterError: if a value is out of range.
        TaskError: for a regression, which decides nothing.
        UnsupportedModelError: from `explain`, if predictions on a field that is cut out differ as
            soon as the model is called on it alone.

    Example:
        >>> import torch
        >>> import glassgraph as gg
        >>> from torch_geometric.data import Data
        >>> from torch_geometric.nn import SimpleConv
        >>> x = torch.tensor([[0.0, 2.0], [1.0, 0.0], [0.0, 3.0], [6.0, 0.0]])
        >>> data = Data(x=x, edge_index=torch.tensor([[1, 2, 3], [0, 0, 0]]))
        >>> explanation = gg.CF2(SimpleConv(), task="node").explain(data, [0])[0]
        >>> explanation.edge_mask > 0.5  # without 6 class 1 has more, with 6 alone class 0
        tensor([False, False,  True])
        >>> explanation.counterfactual.new_class
        1
    """

    name = "cf2"
    traits = Traits(
        family="perturbation",
        scores=("edge",),
        is_learned=True,
        source="Tan et al. 2022, arXiv:2202.08816",
    )
    scope = Scope(sees_degrees=True, asks_for_decisions=True, regression=False)
    test_settings: ClassVar[Mapping[str, Any]] = {"epochs": 12}
    evidence_settings: ClassVar[Mapping[str, Any]] = {"epochs": 60}

    epochs: int = setting("optimization steps", default=300, at_least=1)
    learning_rate: float = setting("of Adam", default=0.1, above=0)
    prediction: float = setting(
        "weight of the two hinges, beside a size of 1 for each edge", default=200.0, at_least=0
    )
    alpha: float = setting(
        "share of the factual hinge; the rest is that of the counterfactual one",
        default=0.6,
        at_least=0,
        at_most=1,
    )
    gamma: float = setting(
        "margin between the probabilities of the two sides of a decision",
        default=0.5,
        at_least=0,
        at_most=1,
    )
    relaxation: Relaxation = setting(
        "what masks act on: 'edge_weight', 'messages', or the first where it is right",
        default="auto",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.task.is_classification:
            raise TaskError(
                "cf2 asks which edges keep a class and change it; a regression has no classes. "
                "cf_gnn_explainer and smallest_counterfactual take regressions: they undo a share "
                "of what all edges do"
            )

    def attribute(self, batch: InstanceBatch) -> Attribution:
        """Learn the masks of all instances together."""
        changes = self._changes(batch)
        mask = self._learned(batch, changes)
        chosen = self._chosen(changes, mask)
        everyone = torch.arange(batch.num_instances, device=batch.device)
        best = Best(changes)
        best.put(chosen, changes.evaluate(everyone, chosen))
        alone = changes.evaluate(everyone, changes.items & ~chosen)
        score = mean_of_twins(batch, changes.edges(mask))
        is_none, is_shut = best.size == 0, -lowest(batch, -score) < 0.01
        return Attribution(
            edge=score,
            tables=tables(batch, best, factual=~alone.flips),
            reasons=(
                Reason(_NOTHING, is_none & is_shut),
                Reason(_NOTHING, is_none, is_told=True),
                Reason(_NOT_CHANGED, ~best.is_valid & ~is_none, is_told=True),
                *saturated(batch, score),
            ),
        )

    def _learned(self, batch: InstanceBatch, changes: Changes) -> Tensor:
        """``[B, I]`` mask values of items; zero of those that no hinge ever felt."""
        relaxed = Relaxed(batch, changes, self.relaxation)
        hinges = Hinges(batch, self.gamma)
        items = changes.items
        logits = torch.zeros_like(items, dtype=batch.dtype)
        is_felt = torch.zeros_like(items)
        optimizer = torch.optim.Adam([logits], lr=self.learning_rate, betas=_MOMENTS)

        def slope(left: Tensor, hinge: Any) -> Tensor:
            """``[B, I]`` derivative of a hinge by what is left of each item."""
            leaf = changes.edges(left.where(items, 1.0)).requires_grad_()
            with torch.enable_grad():
                (gradient,) = batch.gradients(hinge(relaxed.output(leaf)), [leaf])
            return changes.gather(gradient)

        for _ in range(self.epochs):
            value, rest = logits.sigmoid(), logits.neg().sigmoid()
            factual = slope(value, hinges.factual)
            counterfactual = slope(rest, hinges.counterfactual)
            is_felt |= (factual != 0) | (counterfactual != 0)
            pull = self.alpha * factual - (1 - self.alpha) * counterfactual
            logits.grad = (1 + self.prediction * pull) * value * rest
            optimizer.step()
            logits.clamp_(-_MOST, _MOST)
        return logits.sigmoid() * is_felt

    def _chosen(self, changes: Changes, mask: Tensor) -> Tensor:
        """``[B, I]`` the items of the explanation."""
        chosen = mask > 0.5
        if self.max_size is None:
            return chosen
        order = changes.hash.argsort(dim=1)
        order = order.gather(1, mask.gather(1, order).argsort(dim=1, descending=True, stable=True))
        rank = torch.empty_like(order)
        rank.scatter_(1, order, torch.arange(order.size(1), device=order.device).expand_as(order))
        return chosen & (rank < self.max_size)
