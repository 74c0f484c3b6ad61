"""Shapley values of edges: what each brings to the prediction, on average over all orders."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

from glassgraph.core.batch import InstanceBatch
from glassgraph.core.prepare import Preparation
from glassgraph.core.reachability import reaching_messages
from glassgraph.errors import HyperParameterError
from glassgraph.explainers.base import Explainer
from glassgraph.explainers.perturbation.search.twin_edges import mean_of_twins, order_of_ties
from glassgraph.explainers.perturbation.shapley_values.deletion import Deletion
from glassgraph.explainers.perturbation.shapley_values.games import Found, Game, solve
from glassgraph.explainers.perturbation.shapley_values.method import ShapleyExplainer
from glassgraph.explainers.perturbation.shapley_values.players import Players
from glassgraph.explainers.perturbation.shapley_values.silence import Silence
from glassgraph.explainers.scope import Scope
from glassgraph.explainers.settings import setting
from glassgraph.explainers.traits import Traits
from glassgraph.results.records import Attribution, Table


class ShapleyEdges(ShapleyExplainer):
    r"""What does each edge bring to the prediction, whoever was there before?

    Edges that can reach a prediction are the players of a game in which a coalition ``S`` is worth
    ``v(S)``, the explained score of the graph with the edges of ``S`` alone::

        phi[e] = sum over S without e of   |S|! (P - |S| - 1)! / P!   (v(S + e) - v(S))

    Scores ``[E]`` are signed, in the unit of ``value``, and sum to what all edges do together,
    ``v(all) - v(none)``. Edges that cannot reach the prediction do not play and score 0. Parallel
    edges that a model cannot tell apart share the mean of their scores.

    *What absence means.* With ``removal="delete"`` an edge that is not there is deleted from the
    graph: the model is called and nothing else, and degrees change with the edges, as in GNNShap.
    With ``removal="shut"`` its messages are zero at every layer, while the graph, its degrees and
    other messages stay as they are, as in `Occlusion`; this looks into the model.

    *Exact* with at most ``exact_up_to`` players (with ``"kernel"`` also where ``samples`` pay for
    all coalitions): every one of the ``2 ** P`` coalitions is valued. *Beyond*, ``samples`` of them
    are: ``estimator="kernel"`` fits an additive game by weighted least squares to pairs of a
    coalition and its complement, the smallest and the largest ones all of them, others drawn;
    ``estimator="permutation"`` takes the mean over random orders and their reverses. Either way
    scores sum to ``v(all) - v(none)`` up to rounding. Coalitions of many predictions go through
    the model side by side, and those from which the same edges still reach the prediction once.

    Tables: ``players`` has for each player ``source``, ``destination``, ``value`` and the
    ``standard_error`` of the value under other draws (0 where it is exact); ``games`` for each
    prediction the number of ``players``, the ``coalitions`` asked for, how many graphs were
    ``evaluated``, ``without`` (``v(none)``), ``together`` (``v(all)``) and whether it is ``exact``.

    Differences to GNNShap: draws follow the sizes of coalitions evenly; the fit uses that pairs are
    complements; standard errors; ``value="score"`` by default, where GNNShap has probabilities.

    Akkas and Azad, "GNNShap: Scalable and Accurate GNN Explanation using Shapley Values" (WWW 2024,
    https://arxiv.org/abs/2401.04829); Lundberg and Lee, "A Unified Approach to Interpreting Model
    Predictions" (NeurIPS 2017, https://arxiv.org/abs/1705.07874); Covert and Lee, "Improving
    KernelSHAP" (AISTATS 2021, https://arxiv.org/abs/2012.01536).

    Raises:
        HyperParameterError: if a value is out of range, or ``num_hops`` is given for messages that
            are shut; from `explain`, if there are too few samples for the players of a prediction.
        NoMessagePassingError: with ``removal="shut"``, if the model has no message passing.

    Warns:
        ConstantScoresWarning: of predictions that no edge can reach.

    Example:
        >>> import torch
        >>> import glassgraph as gg
        >>> from torch_geometric.data import Data
        >>> from torch_geometric.nn import SimpleConv
        >>> x = torch.tensor([[0.0], [1.0], [3.0], [-1.0]])
        >>> data = Data(x=x, edge_index=torch.tensor([[1, 2, 3], [0, 0, 0]]))
        >>> model, task = SimpleConv(aggr="max"), gg.Task("node", mode="regression")
        >>> found = gg.ShapleyEdges(model, task).explain(data, [0])
        >>> found[0].edge_mask  # 3 is the largest, with or without 1 beside it; nobody is worth 0
        tensor([ 0.6667,  2.6667, -0.3333])
    """

    name = "shapley_edges"
    traits = Traits(
        family="perturbation",
        scores=("edge",),
        is_black_box=True,
        is_signed=True,
        is_random=True,
        source="Akkas and Azad 2024, arXiv:2401.04829",
    )
    scope = Scope(sees_degrees=True)
    removal: Literal["delete", "shut"] = setting(
        "what becomes of edges that are not there: they are deleted, or their messages are shut",
        default="delete",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.removal == "shut" and self.num_hops is not None:
            raise HyperParameterError(
                f"{self.name}: num_hops={self.num_hops} says how far a called model looks; with "
                "removal='shut' the model's messages are seen to say it. Leave num_hops out"
            )

    def _check_model(self, model: Any) -> nn.Module:
        if self.removal == "shut":
            return Explainer._check_model(self, model)
        return super()._check_model(model)

    def _preparation_of(self, data: Any) -> Preparation:
        if self.removal == "shut":
            return Explainer._preparation_of(self, data)
        return super()._preparation_of(data)

    @torch.no_grad()
    def attribute(self, batch: InstanceBatch) -> Attribution:
        """Value coalitions of all instances, and solve each game."""
        is_player = reaching_messages(batch).any(dim=0)
        players = Players.of(batch, is_player, batch.edge_instance, order_of_ties(batch))
        found = solve(self.name, self._game(batch, players), players, self._sampling)
        tables = {"players": _table(batch, found), "games": found.table()}
        scores = mean_of_twins(batch, found.scores(batch))
        return Attribution(edge=scores, tables=tables, reasons=found.reasons("edge"))

    def _game(self, batch: InstanceBatch, players: Players) -> Game:
        if self.removal == "shut":
            return Silence(batch, self.memory_budget, players, self._worth)
        return Deletion(batch, self.memory_budget, players.there, self._worth)


def _table(batch: InstanceBatch, found: Found) -> Table:
    """A row for each player."""
    edge = found.players.row
    ends: dict[str, Tensor] = {
        "source": batch.fields.source[edge],
        "destination": batch.fields.destination[edge],
    }
    values = {"value": found.value, "standard_error": found.standard_error}
    return Table(found.players.instance, ends, values)
