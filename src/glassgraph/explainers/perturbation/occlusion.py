"""Occlusion: one edge shut at a time, in many copies at once."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from glassgraph.core.batch import InstanceBatch
from glassgraph.core.copies import edge_copies
from glassgraph.core.reachability import messages_within_reach
from glassgraph.errors import HyperParameterError
from glassgraph.explainers.base import Explainer
from glassgraph.explainers.perturbation.search.edge_subsets import Subsets
from glassgraph.explainers.perturbation.search.removal import check_is_of_graphs
from glassgraph.explainers.perturbation.search.twin_edges import mean_of_twins
from glassgraph.explainers.settings import setting
from glassgraph.explainers.traits import Traits
from glassgraph.inputs import task
from glassgraph.results.explanation import Attribution
from glassgraph.results.records import Reason

#: Truth values of masks that are written at once.
_MASKS_AT_ONCE = 1 << 24
_NOTHING = "nothing is left of the graph without its only edge"


class Occlusion(Explainer):
    """How far does the score fall when one edge is shut?

    With ``y`` the explained score and ``z[l, e]`` the gate on the message along edge ``e`` at layer
    ``l``::

        edge score        S[e]    = y(z = 1) - y(z = 1, but z[:, e] = 0)
        layer edge score  S[l, e] = y(z = 1) - y(z = 1, but z[l, e] = 0)    (with layerwise=True)

    Shutting an edge replaces its messages by zero at every layer (or one layer); the graph itself,
    its degrees and the messages of other edges stay as they are. Scores are ``[E]`` and ``[L, E]``,
    signed, in the unit of the model's output. Many copies, each with another edge shut, go through
    the model in one pass (`glassgraph.core.copies`).

    With ``pairs`` the two directions of an undirected edge are shut together, and both have the
    score of the pair. Of graph tasks edges can be *deleted* instead, so that degrees change with
    them (``removal="delete"``), and nodes go with the last of their edges
    (``"delete_isolated"``, what *sufficiency* of GNNX-Bench means by removing,
    `glassgraph.metrics.sufficiency`). Without its only edge nothing is then left of a graph, and
    the edge has score 0, with a reason.

    Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks" (ECCV 2014,
    https://arxiv.org/abs/1311.2901), on edges as in Faber, Moghaddam and Wattenhofer, "When
    Comparing to Ground Truth is Wrong: On Evaluating GNN Explanation Methods" (KDD 2021,
    https://doi.org/10.1145/3447548.3467283).

    Raises:
        HyperParameterError: for values of another type; where edges are to be deleted of a task
            that is not about graphs, or layer by layer.

    Example:
        >>> import torch
        >>> import glassgraph as gg
        >>> from torch_geometric.data import Data
        >>> from torch_geometric.nn import SimpleConv
        >>> x = torch.tensor([[0.0], [1.0], [3.0], [-1.0]])
        >>> data = Data(x=x, edge_index=torch.tensor([[1, 2, 3], [0, 0, 0]]))
        >>> explainer = gg.Occlusion(SimpleConv(), gg.Task("node", mode="regression"))
        >>> explainer.explain(data, [0])[0].edge_mask  # SimpleConv adds what neighbors have
        tensor([ 1.,  3., -1.])
    """

    name = "occlusion"
    traits = Traits(
        family="perturbation",
        scores=("edge", "layer edge"),
        is_black_box=True,
        is_signed=True,
        source="Zeiler and Fergus 2014, arXiv:1311.2901; Faber et al. 2021",
    )

    layerwise: bool = setting("also score every edge at every layer", default=False)
    pairs: bool = setting(
        "shut the two directions of an undirected edge together; both get the same score",
        default=False,
    )
    removal: Literal["shut", "delete", "delete_isolated"] = setting(
        "what becomes of the edge: its messages are shut; it is deleted; or nodes go with the last "
        "of their edges, too (the last two for graph tasks)",
        default="shut",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        check_is_of_graphs(self.name, self.removal, "shut", self.task)
        if self.layerwise and (self.pairs or self.removal != "shut"):
            raise HyperParameterError(
                f"{self.name}: layerwise=True shuts one edge at one layer; it goes with "
                f"removal='shut' and pairs=False, got {self.removal!r} and {self.pairs}"
            )

    @torch.no_grad()
    def attribute(self, batch: InstanceBatch) -> Attribution:
        """Shut one edge in every copy, until each has had its turn."""
        if self.pairs or self.removal != "shut":
            return self._of_items(batch)
        full = batch.score(batch.ones())
        edge = full.new_zeros(batch.num_edges)
        layer_edge = full.new_zeros((batch.num_layers, batch.num_edges))
        for turn in edge_copies(batch, self.memory_budget):
            before = full[turn.instance]
            gates = turn.batch.ones()
            gates[turn.shut] = 0
            edge[turn.edge] = before - turn.batch.score(gates)[turn.copy]
            for layer in range(batch.num_layers if self.layerwise else 0):
                gates = turn.batch.ones(layerwise=True)
                gates[layer, turn.shut] = 0
                layer_edge[layer, turn.edge] = before - turn.batch.score(gates)[turn.copy]
        if not self.layerwise:
            return Attribution(edge=edge)
        # two runs may differ by rounding: what is out of reach does nothing at all
        return Attribution(edge=edge, layer_edge=layer_edge * messages_within_reach(batch))

    def _of_items(self, batch: InstanceBatch) -> Attribution:
        """Each edge, or pair of edges, is missing from a copy of its instance."""
        subsets = Subsets(batch, False, self.memory_budget, self.removal, pairs=self.pairs)
        items = subsets.items
        every = torch.arange(batch.num_instances, device=batch.device)
        full = _scores(batch, subsets, every, items)
        instance, item = items.nonzero(as_tuple=True)
        fall = full.new_zeros(items.shape)
        at_once = max(1, _MASKS_AT_ONCE // subsets.width)
        for own, left_out in zip(instance.split(at_once), item.split(at_once), strict=True):
            mask = items[own].scatter(1, left_out.view(-1, 1), False)
            fall[own, left_out] = full[own] - _scores(batch, subsets, own, mask)
        is_nothing = torch.zeros_like(every, dtype=torch.bool)
        is_nothing[fall.isnan().any(dim=1)] = True
        edge = mean_of_twins(batch, subsets.unpad(fall.nan_to_num(0))[0])
        return Attribution(edge=edge, reasons=(Reason(_NOTHING, is_nothing),))


def _scores(batch: InstanceBatch, subsets: Subsets, instance: Tensor, mask: Tensor) -> Tensor:
    """``[K]`` the explained score on the items of each mask."""
    output = subsets.outputs(instance, mask)
    return task.score(batch.task, output, batch.targets.take(instance))
