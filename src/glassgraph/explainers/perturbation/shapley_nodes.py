"""Shapley values of nodes: what each brings to the prediction, on average over all orders."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from glassgraph.core.addresses import node_address
from glassgraph.core.batch import InstanceBatch
from glassgraph.core.reachability import edges_of_nodes, visible_nodes
from glassgraph.errors import UnsupportedModelError
from glassgraph.explainers.perturbation.shapley_values.components import Components
from glassgraph.explainers.perturbation.shapley_values.deletion import Deletion
from glassgraph.explainers.perturbation.shapley_values.games import Found, Game, solve
from glassgraph.explainers.perturbation.shapley_values.method import ShapleyExplainer
from glassgraph.explainers.perturbation.shapley_values.players import Players
from glassgraph.explainers.perturbation.shapley_values.silence import ZeroFeatures
from glassgraph.explainers.scope import Scope
from glassgraph.explainers.settings import setting
from glassgraph.explainers.traits import Traits
from glassgraph.results.records import Attribution, Table


class ShapleyNodes(ShapleyExplainer):
    r"""What does each node bring to the prediction, whoever was there before?

    Nodes that can reach a prediction are the players of a game in which a coalition ``S`` is worth
    ``v(S)``, the explained score where the nodes of ``S`` alone are there::

        phi[u] = sum over S without u of   |S|! (P - |S| - 1)! / P!   (v(S + u) - v(S))

    Scores ``[N]`` are signed, in the unit of ``value``, and sum to what all nodes do together,
    ``v(all) - v(none)``, which is the explanation's ``total``. An edge ``[E]`` scores the mean of
    its ends. Nodes that cannot reach the prediction do not play and score 0.

    *What absence means.* With ``removal="cut"`` all edges of a node that is not there are deleted:
    nothing is heard from it or through it. Nodes that a prediction is about are always there; they
    do not play and score 0. With ``removal="zero"`` the features of a node that is not there are
    zero, while messages go through it as before; explained nodes play, too.

    With ``myerson`` players that are not connected can do nothing together: a coalition is worth
    the sum over its connected components ``C`` of ``v(C) - v(none)`` (edges join in either
    direction, and so do nodes that do not play). For predictions about nodes with ``"cut"`` this
    changes little, since what is not connected to the explained node is not heard; for graphs it
    does.

    How values are computed, estimated and listed is the same as for `ShapleyEdges`.

    It is nodes that are valued. To rank edges ask `glassgraph.ShapleyEdges`: by robust fidelity the
    means of their ends were better than random scores on no more than half of the survey's data
    sets (``docs/survey.md``).

    Duval and Malliaros, "GraphSVX: Shapley Value Explanations for Graph Neural Networks" (ECML PKDD
    2021, https://arxiv.org/abs/2104.10482); Myerson, "Graphs and Cooperation in Games" (1977,
    https://doi.org/10.1287/moor.2.3.225).

    Raises:
        HyperParameterError: if a value is out of range; from `explain`, if there are too few
            samples for the players of a prediction.
        UnsupportedModelError: from `explain`, if there are no features to set to zero.

    Warns:
        ConstantScoresWarning: of predictions that no other node can reach.

    Example:
        >>> import torch
        >>> import glassgraph as gg
        >>> from torch_geometric.data import Data
        >>> from torch_geometric.nn import SimpleConv
        >>> x = torch.tensor([[0.0], [1.0], [3.0], [-1.0]])
        >>> data = Data(x=x, edge_index=torch.tensor([[1, 2, 3], [0, 0, 0]]))
        >>> model, task = SimpleConv(aggr="max"), gg.Task("node", mode="regression")
        >>> found = gg.ShapleyNodes(model, task).explain(data, [0])
        >>> found.local(0).node_score  # 3 is the largest, whoever is there; nobody is worth 0
        tensor([ 0.0000,  0.6667,  2.6667, -0.3333])
    """

    name = "shapley_nodes"
    traits = Traits(
        family="perturbation",
        scores=("edge", "node"),
        is_black_box=True,
        is_signed=True,
        is_random=True,
        source="Duval and Malliaros 2021, arXiv:2104.10482",
    )
    scope = Scope(sees_degrees=True, needs_edges=True)
    removal: Literal["cut", "zero"] = setting(
        "what becomes of nodes that are not there: their edges are deleted, or their features are "
        "zero",
        default="cut",
    )
    myerson: bool = setting(
        "value a coalition as the sum over its connected components", default=False
    )

    @torch.no_grad()
    def attribute(self, batch: InstanceBatch) -> Attribution:
        """Value coalitions of all instances, and solve each game."""
        players = Players.of(batch, self._players(batch), batch.node_instance, node_address(batch))
        game: Game = self._game(batch, players)
        if self.myerson:
            game = Components(game, batch, players)
        found = solve(self.name, game, players, self._sampling)
        node = found.scores(batch)
        return Attribution(
            edge=edges_of_nodes(batch, node),
            node=node,
            total=(found.together - found.without).to(batch.dtype),
            tables={"players": _table(found), "games": found.table()},
            reasons=found.reasons("other node" if self.removal == "cut" else "node"),
        )

    def _players(self, batch: InstanceBatch) -> Tensor:
        is_player = visible_nodes(batch)
        if self.removal == "cut":
            is_player[batch.fields.seed.flatten()] = False
            return is_player
        has_features = torch.zeros_like(is_player)
        for x, position in zip(batch.features, batch.packed.node_position, strict=True):
            has_features[position] = x is not None
        if not bool(has_features.any()):
            raise UnsupportedModelError(
                f"{self.name}: there are no floating features to set to zero; use removal='cut'"
            )
        return is_player & has_features

    def _game(self, batch: InstanceBatch, players: Players) -> Game:
        if self.removal == "zero":
            return ZeroFeatures(batch, self.memory_budget, players, self._worth)

        def left(mask: Tensor, variant: Tensor, edge: Tensor) -> Tensor:
            ends = batch.fields.source[edge], batch.fields.destination[edge]
            return players.there(mask, variant, ends[0]) & players.there(mask, variant, ends[1])

        return Deletion(batch, self.memory_budget, left, self._worth)


def _table(found: Found) -> Table:
    """A row for each player."""
    values = {"value": found.value, "standard_error": found.standard_error}
    return Table(found.players.instance, {"node": found.players.row}, values)
