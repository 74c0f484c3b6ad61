"""PaGE-Link: masks that are pulled towards short paths between the two ends of a link."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from glassgraph.core.batch import InstanceBatch
from glassgraph.errors import TaskError
from glassgraph.explainers.base import Explainer
from glassgraph.explainers.perturbation._soft_masks import EdgeMask, Penalty
from glassgraph.explainers.perturbation.path_search.ends import LinkEnds
from glassgraph.explainers.scope import Scope
from glassgraph.explainers.settings import setting
from glassgraph.explainers.traits import Traits
from glassgraph.results.explanation import Attribution, Table
from glassgraph.results.records import PATHS, Reason

#: What holds where no path was found.
UNCONNECTED = "no path connects the two ends of the link"


class PaGELink(Explainer):
    r"""Which short paths between the two ends of a link carry its prediction?

    For each link ``(s, t)``, with edge mask logits ``M``, ``p = sigmoid(M)`` on the messages of
    each edge (at every layer) and ``d[v]`` the in-degree of a node::

        score of a path  = product over its edges (u, v) of  p[u, v] / d[v]      (d[t] counts as 1)
        min  prediction * -log P(c | p on messages)
             - on_path * mean of p on the ``guides`` best paths + off_path * mean of p elsewhere

        edge score  S[e] = p[e]

    A product of numbers below 1 makes long paths, and those through nodes with many neighbors,
    poor ones. The best paths are searched anew in every step. Scores lie in [0, 1] and have no
    unit. The ``num_paths`` best paths under the final mask are what is returned beside the edge
    scores: ``explanation.paths()`` reads them, as does ``explanations.table("paths")``.

    Before anything is learned the field is pruned: nodes of more than ``max_degree`` neighbors are
    left out, and then all that lies outside of the ``k_core`` of the rest (in which every node has
    that many neighbors); the two ends stay. Edges outside score 0 and stay open. Paths follow
    edges from sender to receiver, from the first node of the link to the second;
    ``directed=False`` goes along them either way, for graphs without inverse edges. An edge between
    the two ends is no path if it has the link's type, or no type: it is what is asked about.

    Where no path of at most ``max_length`` edges connects the ends, the remark says so: there are
    no paths then, and scores are those of the prediction alone.

    Differences to the authors' code: edges left out by pruning keep their messages (theirs are
    taken out of the graph); the loss is the negative log-likelihood of the paper (their code takes
    the logit); the search ranks walks and drops those that visit a node twice, where theirs ranks
    simple paths; degrees are those of the user's graph.

    Zhang, Zhang, Song, Adeshina, Zheng, Faloutsos and Sun, "PaGE-Link: Path-based Graph Neural
    Network Explanation for Heterogeneous Link Prediction" (WWW 2023,
    https://arxiv.org/abs/2302.12465).

    Raises:
        HyperParameterError: for values out of range.
        TaskError: for tasks about nodes or graphs, which have no two ends.

    Example:
        >>> import torch
        >>> import glassgraph as gg
        >>> from torch_geometric.data import Data
        >>> from torch_geometric.nn import GCN
        >>> class Links(torch.nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.gnn = GCN(3, 8, num_layers=2)
        ...
        ...     def forward(self, x, edge_index, edge_label_index):
        ...         source, target = self.gnn(x, edge_index)[edge_label_index]
        ...         return (source * target).sum(dim=-1)
        >>> ring = torch.tensor([[0, 1, 2, 3, 1, 2, 3, 0], [1, 2, 3, 0, 0, 1, 2, 3]])
        >>> data = Data(x=torch.rand(4, 3), edge_index=ring)
        >>> data.edge_label_index = torch.tensor([[0], [2]])
        >>> task = gg.Task("edge", mode="binary_classification")
        >>> explanation = gg.PaGELink(Links(), task, epochs=5).explain(data)[0]
        >>> sorted(explanation.paths().nodes)  # both ways around
        [[0, 1, 2], [0, 3, 2]]
    """

    name = "page_link"
    traits = Traits(
        family="perturbation",
        scores=("edge",),
        is_learned=True,
        is_random=True,
        source="Zhang et al. 2023, arXiv:2302.12465",
    )
    scope = Scope(levels=("edge",), needs_edges=True)
    test_settings: ClassVar[Mapping[str, Any]] = {"epochs": 3, "k_core": 0}
    evidence_settings: ClassVar[Mapping[str, Any]] = {"epochs": 60, "k_core": 0}
    fixed_settings: ClassVar[Mapping[str, Any]] = {"init_scale": 0.1}

    epochs: int = setting("optimization steps", default=50, at_least=1)
    learning_rate: float = setting("of Adam", default=0.1, above=0)
    prediction: float = setting("weight of the prediction's loss", default=1.0, at_least=0)
    on_path: float = setting("weight of the mean mask value on the best paths", default=1.0)
    off_path: float = setting("weight of the mean mask value elsewhere", default=1.0)
    guides: int = setting("how many of the best paths the mask is pulled to", default=5, at_least=1)
    num_paths: int = setting("how many paths are returned", default=10, at_least=1)
    max_length: int = setting("edges of a path at most", default=5, at_least=1)
    k_core: int = setting("neighbors that inner nodes of paths have at least", default=2)
    max_degree: int | None = setting(
        "neighbors that they have at most; None for any", default=None, at_least=1
    )
    directed: bool = setting("follow edges from sender to receiver alone", default=True)
    init_scale: float | None = setting(
        "standard deviation of the initial mask logits; None for GNNExplainer's", default=0.1
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.task.level != "edge":
            raise TaskError(
                f"PaGE-Link explains links and edges, which have two ends; got a {self.task.level} "
                "task"
            )

    def attribute(self, batch: InstanceBatch) -> Attribution:
        """Learn the masks of all links together."""
        ends = LinkEnds.of(
            batch,
            directed=self.directed,
            max_length=self.max_length,
            k_core=self.k_core,
            max_degree=self.max_degree,
        )
        mask = EdgeMask(
            batch,
            self.seed,
            num_masks=1,
            init_mean=0.0,
            init_scale=self.init_scale,
            penalty=Penalty(0.0, 0.0, size_is_sum=True),
        )
        logits, kept = mask.logits, ends.is_kept
        optimizer = torch.optim.Adam([logits], lr=self.learning_rate, fused=True)
        for _ in range(self.epochs):
            with torch.enable_grad():
                gates = torch.where(kept, logits.sigmoid(), 1.0)
                loss = self.prediction * batch.loss(gates)
                (gradient,) = batch.gradients(loss, [logits])
            value = logits.detach().sigmoid()
            guide = ends.best(value, self.guides).edges(batch.num_edges)
            gradient += self._pull(batch, guide, kept) * value * (1 - value)
            logits.grad = gradient.contiguous()  # the fused optimizer reads memory in its order
            optimizer.step()
        found = ends.best(logits.detach().sigmoid(), self.num_paths)
        connected = torch.zeros(batch.num_instances, dtype=torch.bool, device=batch.device)
        connected[found.instance] = True
        return Attribution(
            edge=logits.detach().sigmoid() * kept,
            tables={PATHS: Table(*found.table(batch))},
            reasons=(Reason(UNCONNECTED, ~connected, is_told=True),),
        )

    def _pull(self, batch: InstanceBatch, guide: Tensor, kept: Tensor) -> Tensor:
        """``[e]`` what the paths add to the derivative of the loss by each mask value."""
        count = torch.zeros((2, batch.num_instances), dtype=batch.dtype, device=batch.device)
        sides = torch.stack([guide, kept & ~guide])
        for row, side in zip(count, sides, strict=True):
            row.index_add_(0, batch.edge_instance, side.to(batch.dtype))
        share = 1 / count.clamp_min(1)[:, batch.edge_instance]
        pull: Tensor = self.off_path * share[1] * sides[1] - self.on_path * share[0] * sides[0]
        return pull
