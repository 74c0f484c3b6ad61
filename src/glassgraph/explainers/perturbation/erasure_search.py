"""Erasure search: the smallest set of edges that keeps the prediction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch

from glassgraph.core.batch import InstanceBatch
from glassgraph.core.copies import rows_at_once
from glassgraph.errors import HyperParameterError
from glassgraph.explainers.base import Explainer
from glassgraph.explainers.constant import lowest
from glassgraph.explainers.perturbation.search.removal import DROPS_NODES, check_is_of_graphs
from glassgraph.explainers.perturbation.search.smallest_set import SearchSettings, SmallestSets
from glassgraph.explainers.settings import setting
from glassgraph.explainers.traits import Traits
from glassgraph.inputs.receptive import expand
from glassgraph.results.records import Attribution, Reason

#: Remark where a hash has decided.
_RIVALS = "others would do as well as these edges, and which of them were taken is arbitrary"


class ErasureSearch(Explainer):
    r"""What is the smallest set of edges that keeps the prediction?

    The messages of edges outside a set ``S`` are multiplied by zero at every layer (degrees and the
    self-loops that a layer appends stay)::

        S* = argmin |S|   over sets S of edges with   d(S) = d(all edges)

    where ``d`` is what the model decides about the explained class: whether it is the predicted
    one; with a target ``(a, b)``, whether ``a`` scores above ``b``; of several labels, whether it
    is predicted. With ``keep_effect`` the explained score ``y`` has to stay as well, up to a share
    of what all edges do; a regression, which decides nothing, always asks for that::

        |y(S) - y(all edges)| <= (1 - keep_effect) |y(all edges) - y(no edges)|

    Of several smallest sets the best is taken: the one with the highest explained score (where the
    score has to stay: with the nearest), then the one with the smallest hash of its endpoints, and
    the explanation's ``remark`` says that others would do as well.
    Parallel edges that the model cannot tell apart (with equal attributes, or with one message for
    all of them, as of loops that a layer replaces by its own) share the mean of their scores. Where
    the prediction stays without any edge, ``S*`` is empty and all scores are 0: no edge was needed.
    Scores ``[E]`` (and ``[L, E]`` with ``layerwise``) lie in 0 to 1 and have no unit.

    *Exact*, up to ``exact_up_to`` edges: subsets in order of size, 1 for the edges of ``S*`` and 0
    for the others. At most ``2^n`` passes over an instance, many at a time.

    *Greedy*, beyond: edges whose removal leaves the score as it is go first, together, and score 0;
    if few enough are left, the search among them is exact. Otherwise the edge goes whose removal
    leaves the best set, of those without which the prediction stays, again and again until there is
    none. The r-th of R edges that went scores ``r / (R + 1)``, and those that stayed score 1: none
    of them can be left out alone, though a smaller set may exist. About ``n^2 / 2`` passes over an
    instance. With ``share`` several edges go in one step, as many as that share of the edges left,
    or half as many where the prediction would change, and so on: about ``n / share`` passes.

    The set is the answer. To rank edges ask `glassgraph.Occlusion`: by robust fidelity the order in
    which edges go was better than random scores on no more than half of the survey's data sets
    (``docs/survey.md``). With ``exact_up_to=0`` there is such an order among small sets, too, where
    the exact search leaves zeros.

    With ``pairs`` sets are of undirected edges: an edge and its reverse are kept or removed
    together, and count as one.

    Of predictions about graphs a set may be asked what *deletion* leaves instead of silence:
    ``removal="delete"`` takes edges out of the graph, and degrees change with them;
    ``removal="delete_isolated"`` also the nodes that lost all of their edges, as *sufficiency* of
    GNNX-Bench has it (Kosan et al., ICLR 2024, https://arxiv.org/abs/2310.01794;
    `glassgraph.metrics.sufficiency`). A graph without nodes has no prediction, so that some edge is
    always needed, unless nodes had none to begin with.

    Li, Monroe and Jurafsky, "Understanding Neural Networks through Representation Erasure" (2016,
    https://arxiv.org/abs/1612.08220); on messages, Schlichtkrull, De Cao and Titov, "Interpreting
    Graph Neural Networks for NLP With Differentiable Edge Masking" (ICLR 2021,
    https://arxiv.org/abs/2010.00577), whose exhaustive search takes the first smallest set it meets
    and shows why such a set is no faithful explanation: what is redundant is left out.

    Raises:
        HyperParameterError: if a value is out of range; if edges are to be deleted layer by layer,
            or of a task that is not about graphs; if an effect is to be kept where nothing is left
            without edges.

    Warns:
        ConstantScoresWarning: where no edge is needed, and where none can be left out.

    Example:
        >>> import torch
        >>> import glassgraph as gg
        >>> from torch_geometric.data import Data
        >>> from torch_geometric.nn import SimpleConv
        >>> x = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 3.0], [0.0, 1.0]])
        >>> data = Data(x=x, edge_index=torch.tensor([[1, 2, 3], [0, 0, 0]]))
        >>> gg.ErasureSearch(SimpleConv(), task="node").explain(data, [0])[0].edge_mask
        tensor([0., 1., 0.])
    """

    name = "erasure_search"
    traits = Traits(
        family="perturbation",
        scores=("edge", "layer edge"),
        is_black_box=True,
        source="Li, Monroe and Jurafsky 2016, arXiv:1612.08220",
    )
    test_settings: ClassVar[Mapping[str, Any]] = {
        "exact_up_to": 6,
        "keep_effect": 0.8,
        "share": 0.5,
    }

    exact_up_to: int = setting(
        "search all subsets of instances with at most so many edges (or pairs of layer and edge, "
        "with layerwise)",
        default=12,
        at_least=0,
        at_most=20,
    )
    share: float = setting(
        "share of the edges left that one greedy step removes; at least one edge goes",
        default=0.0,
        at_least=0,
        below=1,
    )
    keep_effect: float | None = setting(
        "share of the edges' whole effect on the explained score that has to stay; None asks for "
        "the decision alone (for 0.9 where the model is a regression)",
        default=None,
        at_least=0,
        at_most=1,
    )
    layerwise: bool = setting(
        "search for a set of messages, that is of pairs of layer and edge; an edge then scores as "
        "its best message",
        default=False,
    )
    pairs: bool = setting(
        "take the two directions of an undirected edge together; both get the same score "
        "(0 for one that the prediction does not see)",
        default=False,
    )
    removal: Literal["shut", "delete", "delete_isolated"] = setting(
        "what becomes of edges outside of the set: their messages are shut; they are deleted; or "
        "nodes go with the last of their edges, too (the last two for graph tasks)",
        default="shut",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        check_is_of_graphs(self.name, self.removal, "shut", self.task)
        if self.removal != "shut" and self.layerwise:
            raise HyperParameterError(
                f"{self.name}: removal={self.removal!r} deletes edges, which are then missing at "
                "every layer; layerwise=True is for removal='shut'"
            )
        asks_for_effect = self.keep_effect is not None or not self.task.is_classification
        if self.removal == DROPS_NODES and asks_for_effect:
            raise HyperParameterError(
                f"{self.name}: with removal={self.removal!r} nothing is left of a graph without "
                "edges, so there is no effect of all edges to keep a share of (keep_effect, and "
                "any regression); use removal='delete'"
            )

    @torch.no_grad()
    def attribute(self, batch: InstanceBatch) -> Attribution:
        """Search many instances side by side, those of similar size together."""
        settings = SearchSettings(
            self.exact_up_to,
            self.share,
            self.keep_effect,
            self.layerwise,
            self.memory_budget,
            self.removal,
            self.pairs,
        )
        found = batch.ones(layerwise=True)[: batch.num_layers if self.layerwise else 1].zero_()
        edges = batch.edges_per_instance
        needs_none = torch.zeros_like(edges, dtype=torch.bool)
        has_rivals = torch.zeros_like(needs_none)
        first_edge = edges.cumsum(0) - edges
        order = torch.argsort(edges, stable=True)
        masks = edges * found.size(0) * (edges + batch.nodes_per_instance)
        group = masks[order].cumsum(0) // rows_at_once(batch, self.memory_budget)
        for instances in order.split(
            torch.unique_consecutive(group, return_counts=True)[1].tolist()
        ):
            part = batch if batch.is_whole else batch.take(instances)
            position, _ = expand(torch.cat([first_edge, edges.sum().view(1)]), instances)
            search = SmallestSets(part, settings)
            found[:, position] = search.scores()
            needs_none[instances] = search.kept.needs_none
            has_rivals[instances] = search.has_rivals
        edge = found.amax(dim=0)
        return Attribution(
            edge=edge,
            layer_edge=found if self.layerwise else None,
            reasons=(
                Reason("the prediction stays without any edge, so none was needed", needs_none),
                Reason("no edge can be left out", lowest(batch, edge) == 1),
                Reason(_RIVALS, has_rivals, is_told=True),
            ),
        )
