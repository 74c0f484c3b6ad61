"""The smallest counterfactual: no smaller set of changes makes another class of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch

from glassgraph.core.batch import InstanceBatch
from glassgraph.explainers.black_box import BlackBoxExplainer
from glassgraph.explainers.perturbation.counterfactuals.answer import NEAREST, answer, changing
from glassgraph.explainers.perturbation.counterfactuals.best import Best
from glassgraph.explainers.perturbation.counterfactuals.exhaustive import Budget, Exhaustive
from glassgraph.explainers.perturbation.counterfactuals.method import CounterfactualSearch
from glassgraph.explainers.scope import Scope
from glassgraph.explainers.settings import setting
from glassgraph.explainers.traits import Traits
from glassgraph.results.records import Attribution, Reason

_CUT_SHORT = (
    "the budget of evaluations ended before every smaller set of changes was tried, so a smaller "
    "counterfactual may exist (tried_up_to in the table says which sizes were)"
)
_NOT_TRIED = "budget ended before a change was found that moves the prediction; raise budget"


class SmallestCounterfactual(CounterfactualSearch, BlackBoxExplainer):
    r"""What is the smallest set of edges without which the model decides otherwise?

    ::

        S* = argmin |S|   over sets S of changes with   d(G changed by S) != d(G)

    where ``d`` is what the model decides about the explained class: whether it is the predicted
    one; with a target ``(a, b)``, whether ``a`` scores above ``b``. The model is only called, on
    graphs that are really changed, so degrees change with their edges. It is the yardstick of
    methods such as `glassgraph.CFGNNExplainer`, and of any reading of scores
    (`glassgraph.metrics.counterfactuals`).

    *Changes* are deletions of edges. Besides, ``insertions`` may join nodes that a prediction sees:
    each with the explained one (``"target"``), any two of them (``"field"``, quadratic in their
    number), or given pairs, as far as the prediction sees both ends. An inserted edge has the
    attributes that most edges have. ``features`` may be set, one by one, to a baseline. More than
    ``max_candidates`` of either kind are refused. Of predictions about graphs, ``rules`` say which
    graphs count, such as connected ones and those that keep valences (`glassgraph.graph_rules`;
    what nodes are is read from ``data.node_names``): whatever changes on the way, a result keeps
    them, or none is found, and what comes nearest keeps them, too.

    The search closes in from both sides. From above: the change is made after which the prediction
    is farthest from what it was (by the log-odds of the explained class), among the ``width`` best
    ones alone, again and again until a counterfactual is there; then what is not needed is taken
    back. From below: every set of one change, of two, ... up to one less than that. Of equally
    small sets the one that goes farthest is taken, then that with the smallest hash.

    At most ``budget`` sets are evaluated for an instance. Where more would be needed the best set
    so far is returned, and the ``remark`` says so; where every set has been tried and none is a
    counterfactual, it says that. The table ``counterfactual`` has a column
    ``tried_up_to``: all sets of up to so many changes were evaluated. Its other columns, scores,
    other tables, ``pairs`` and ``effect`` are those of `glassgraph.CFGNNExplainer`.

    The set is the answer, and no order of the edges: by robust fidelity, which cuts through its
    ties, it was better than random scores on few of the survey's data sets (``docs/survey.md``).
    `glassgraph.metrics.counterfactual_quality` measures it by what it is for.

    The problem is from Lucic et al., "CF-GNNExplainer: Counterfactual Explanations for Graph Neural
    Networks" (AISTATS 2022, https://arxiv.org/abs/2102.03322); the search is this library's.

    Raises:
        HyperParameterError: if a value is out of range; if nodes are to go, or rules to be kept,
            of a task that is not about graphs; from `explain`, for pairs that are joined already
            or do not exist, and if more might change than is allowed.
        GraphError: from `explain`, for insertions into graphs with types or on disk, and features
            that are no floating numbers.

    Example:
        >>> import torch
        >>> import glassgraph as gg
        >>> from torch_geometric.data import Data
        >>> from torch_geometric.nn import SimpleConv
        >>> x = torch.tensor([[0.0, 2.0], [1.0, 0.0], [0.0, 3.0], [4.0, 0.0]])
        >>> data = Data(x=x, edge_index=torch.tensor([[1, 2, 3], [0, 0, 0]]))
        >>> explanations = gg.SmallestCounterfactual(SimpleConv(), task="node").explain(data, [0])
        >>> explanations[0].edge_mask
        tensor([0., 0., 1.])
        >>> explanations.table("counterfactual")[["size", "valid", "new_class"]].values.tolist()
        [[1, True, 1]]
    """

    name = "smallest_counterfactual"
    traits = Traits(
        family="perturbation",
        scores=("edge",),
        is_black_box=True,
        source="Lucic et al. 2022, arXiv:2102.03322 (the problem)",
    )
    scope = Scope(sees_degrees=True, asks_for_decisions=True)
    test_settings: ClassVar[Mapping[str, Any]] = {"budget": 400, "width": 8}

    budget: int = setting(
        "sets of changes that are evaluated for an instance, at most", default=20_000, at_least=1
    )
    width: int = setting(
        "changes that a first counterfactual is searched among, the best ones alone",
        default=64,
        at_least=1,
    )

    @torch.no_grad()
    def attribute(self, batch: InstanceBatch) -> Attribution:
        """Search the sets of all instances."""
        best = Best(self._changes(batch))
        search = Exhaustive(best, Budget(self.budget, self.width, self.max_size))
        search.run()
        is_none = ~best.is_valid & search.is_proven & (best.size > 0)
        return answer(
            batch,
            best,
            tried_up_to=search.tried_up_to,
            reasons=(
                Reason(_NOT_TRIED, ~search.is_proven & (best.size == 0)),
                Reason(_CUT_SHORT, ~search.is_proven, is_told=True),
                Reason(f"no change at all {changing(best)}; {NEAREST}", is_none, is_told=True),
            ),
        )
