"""RCExplainer: one network scores edges that keep a decision, and change it when they are gone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor

from glassgraph.core.batch import InstanceBatch
from glassgraph.errors import TaskError
from glassgraph.explainers.perturbation.edge_gates.boundaries import Boundaries, mean_of_pairs
from glassgraph.explainers.perturbation.edge_gates.method import EdgeScorerExplainer
from glassgraph.explainers.scope import Scope
from glassgraph.explainers.settings import setting
from glassgraph.explainers.traits import Traits


class RCExplainer(EdgeScorerExplainer):
    r"""Which edges hold a prediction in its decision region, learned over many predictions?

    The last layer of a classifier is linear, so the region in which it decides for class ``c`` is
    cut out by a boundary against every other class ``j``: ``B_j = z_c - z_j``, the difference of
    scores. With ``h`` the hidden states of the model's nodes, each edge has::

        m_uv = sigmoid(MLP([h_u, h_v]))          and h_target beside them in node tasks

    the mean of both directions where ``pairs`` says so. ``S`` is the graph with ``m`` of each
    edge's messages, ``G - S`` that with ``1 - m`` of them. Over many predictions the network learns
    ::

        min  mean of  factual * L_same + (1 - factual) * L_opp + size * sum m + entropy * mean H(m)

        L_same = mean over j of  sigmoid(- B_j(G) * B_j(S))        the decision stays
        L_opp  = min over j of   sigmoid(  B_j(G) * B_j(G - S))    some boundary is crossed

    and an unseen prediction is explained by ``m`` in [0, 1], one score for each edge ``[E]``. A
    network that scores many graphs cannot follow the noise of one, which is what the paper calls
    robust. Whether the decision changes without the best edges `glassgraph.metrics.counterfactuals`
    says. Of a target ``(a, b)`` there is one boundary; of several labels each has one, whether it
    is the case.

    Hold it against random scores on your model: by robust fidelity its order of edges was better
    than theirs on few of the survey's data sets (``docs/survey.md``).

    Differences to the authors' code (https://github.com/vbdi/graphexplain): boundaries are those of
    the last linear layer, all of them and exactly. Theirs are found in the embedding behind the
    last convolution, by bisection between predictions of different classes, and some of them are
    selected until they part the classes on the data; where one linear layer follows, as in their
    experiments, each is one of ours. The sum counts gates of edges alone (theirs those of all pairs
    of nodes), and gates multiply messages, while degrees stay. A very sure prediction has large
    ``B``, and so hardly a gradient, here as there.

    Bajaj, Chu, Xue, Pei, Wang, Lam and Zhang, "Robust Counterfactual Explanations on Graph Neural
    Networks" (NeurIPS 2021, https://arxiv.org/abs/2107.04086).

    Raises:
        HyperParameterError: for values out of range.
        TaskError: for a regression, which has no decision regions.

    Example:
        >>> import torch
        >>> import glassgraph as gg
        >>> from torch_geometric.data import Data
        >>> from torch_geometric.nn import GCN
        >>> data = Data(x=torch.rand(31, 3), edge_index=torch.randint(31, (2, 97)))
        >>> explainer = gg.RCExplainer(GCN(3, 8, 2, 2), "node", epochs=3)
        >>> explanation = explainer.fit(data, index=range(23)).explain(data, index=[29])[0]
        >>> explanation.edge_mask.shape  # [E]
        torch.Size([97])
    """

    name = "rc_explainer"
    traits = Traits(
        family="perturbation",
        scores=("edge",),
        is_learned=True,
        is_amortized=True,
        is_random=True,
        source="Bajaj et al. 2021, arXiv:2107.04086",
    )
    scope = Scope(names_receivers=True, regression=False)
    test_settings: ClassVar[Mapping[str, Any]] = {"epochs": 3, "learning_rate": 0.01}
    evidence_settings: ClassVar[Mapping[str, Any]] = {"epochs": 200}

    factual: float = setting(
        "share of the term that keeps the decision with the explanation alone; the rest is that of "
        "the term that changes it without",
        default=0.5,
        at_least=0,
        at_most=1,
    )
    size: float = setting("weight of the sum of gates", default=0.01, at_least=0)
    entropy: float = setting("weight of the gates' mean entropy", default=0.0, at_least=0)
    pairs: bool | None = setting(
        "take the two directions of an undirected edge together, as one; None where every edge "
        "of the graph has its reverse (never of a large graph on disk)",
        default=None,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.task.is_classification:
            raise TaskError(
                "rc_explainer asks which edges hold a prediction in its decision region; a "
                "regression has none. pg_explainer takes regressions"
            )

    def _objective(self) -> Boundaries:
        return Boundaries(self.factual, self.size, self.entropy, self.pairs)

    def _scores(self, batch: InstanceBatch, gate: Tensor) -> Tensor:
        return mean_of_pairs(batch, gate, self.pairs)
