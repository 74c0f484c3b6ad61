"""CF-GNNExplainer: learned deletions of edges that change the class."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch

from glassgraph.core.batch import InstanceBatch
from glassgraph.explainers.perturbation.counterfactuals.answer import answer
from glassgraph.explainers.perturbation.counterfactuals.best import without_needless
from glassgraph.explainers.perturbation.counterfactuals.learning import (
    Objective,
    Search,
    learned,
)
from glassgraph.explainers.perturbation.counterfactuals.method import CounterfactualSearch
from glassgraph.explainers.perturbation.counterfactuals.relaxation import Relaxation
from glassgraph.explainers.scope import Scope
from glassgraph.explainers.settings import setting
from glassgraph.explainers.traits import Traits
from glassgraph.results.records import Attribution


class CFGNNExplainer(CounterfactualSearch):
    r"""Which few edges have to be deleted for the model to decide otherwise?

    A counterfactual: a graph ``A'`` with fewer edges, on which the explained class ``c`` is not
    predicted any more (of a pair ``(a, b)``: ``a`` is not above ``b``; of a class that is not
    predicted to begin with: it is). Each edge has a number ``P``, and is there while ``P > 0``::

        min over P of   1[f(A') = f(A)] * log-odds of c on A'  +  beta * |A - A'|_1

        step    P <- min(1, P + learning_rate * (beta - 1[f(A') = f(A)] * g / max g))

    with ``g`` how the fall of the log-odds grows with the absence of each edge, not below
    ``-max g``; where no absence makes them fall, the edge goes that holds them back least. Edges
    begin with ``P = 1``. As long as the decision stays, edges whose absence would change it most
    fall below 0; once it has changed, all edges rise until it has not. So the search circles around
    small counterfactuals, and the smallest it meets is kept: of equally small ones the one that
    goes farthest. With ``prune`` edges of it that are not needed are put back at the end.

    A deleted edge is gone: the model is called on the graph without it, and degrees change. Where
    the model takes ``edge_weight``, and weights of zero are seen to do the same, gradients are
    those of the weights; elsewhere those of gates on messages, in which degrees stay as they are
    (``relaxation``). Only decisions on really smaller graphs count.

    ``insertions``, ``features`` and ``rules`` are those of `glassgraph.SmallestCounterfactual`: a
    pair that may be joined and a feature that may become its baseline have a number ``P`` like an
    edge, and the change is made at ``P <= 0``. Insertions are learned through weights alone. Rules
    are not learned, but what breaks them is never taken.

    Edges that go score 1 and all others 0, ``[E]``. The table ``counterfactual`` has a row for
    each explanation: ``size``, the number of changes (edges; pairs, with ``pairs``), whether it is
    ``valid``, the probability of the explained class ``before`` and ``after``, the ``distance`` in
    nats and the ``new_class``; ``deleted_edges``, ``inserted_edges`` and ``changed_features`` list
    what changes. Where nothing that was tried is a counterfactual, the explanation's ``remark``
    says so and the scores are those of what came nearest.

    The set is the answer, and no order of the edges: by robust fidelity, which cuts through its
    ties, it was better than random scores on few of the survey's data sets (``docs/survey.md``).
    `glassgraph.metrics.counterfactual_quality` measures it by what it is for.

    A regression decides nothing: there a counterfactual undoes a share ``effect`` of what all
    edges do to the prediction.

    Differences to the authors' code: gradients are taken at the hard mask (theirs at the soft one,
    with degrees that are not differentiated) and scaled to 1 within an instance, so that ``beta``
    does not depend on the model's scale; log-odds, which a sure prediction does not flatten, stand
    for the log-likelihood; only edges within reach have a number (theirs: all pairs of nodes in
    four hops); and theirs keeps the last set whose loss is lower, without pruning.

    Lucic, ter Hoeve, Tolomei, de Rijke and Silvestri, "CF-GNNExplainer: Counterfactual Explanations
    for Graph Neural Networks" (AISTATS 2022, https://arxiv.org/abs/2102.03322).

    Raises:
        HyperParameterError: see `glassgraph.SmallestCounterfactual`.
        GraphError: see there.
        UnsupportedModelError: from `explain`, if predictions on a field that is cut out differ as
            soon as the model is called on it alone, and for insertions if it takes no weights of
            edges, or those of zero are not as good as none.

    Example:
        >>> import torch
        >>> import glassgraph as gg
        >>> from torch_geometric.data import Data
        >>> from torch_geometric.nn import SimpleConv
        >>> x = torch.tensor([[0.0, 2.0], [1.0, 0.0], [0.0, 3.0], [4.0, 0.0]])
        >>> data = Data(x=x, edge_index=torch.tensor([[1, 2, 3], [0, 0, 0]]))
        >>> explainer = gg.CFGNNExplainer(SimpleConv(), task="node")
        >>> explainer.explain(data, [0])[0].edge_mask  # without 4, class 1 has more
        tensor([0., 0., 1.])
    """

    name = "cf_gnn_explainer"
    traits = Traits(
        family="perturbation",
        scores=("edge",),
        is_learned=True,
        source="Lucic et al. 2022, arXiv:2102.03322",
    )
    scope = Scope(sees_degrees=True, asks_for_decisions=True)
    test_settings: ClassVar[Mapping[str, Any]] = {"epochs": 12}

    epochs: int = setting("optimization steps, at most", default=100, at_least=1)
    learning_rate: float = setting("of the numbers P", default=0.2, above=0)
    beta: float = setting(
        "weight of the number of changes, beside a largest gradient of 1",
        default=0.1,
        at_least=0,
        below=1,
    )
    prune: bool = setting("put back what is not needed at the end", default=True)
    relaxation: Relaxation = setting(
        "what gradients are taken of: 'edge_weight', 'messages', or the first where it is right",
        default="auto",
    )

    def attribute(self, batch: InstanceBatch) -> Attribution:
        """Learn the changes of all instances together."""
        search = Search(
            Objective(self.beta),
            self.epochs,
            self.learning_rate,
            self.relaxation,
            self.max_size,
            self._changes,
        )
        with torch.no_grad():
            best = learned(batch, search)
            if self.prune:
                without_needless(best)
            return answer(batch, best)
