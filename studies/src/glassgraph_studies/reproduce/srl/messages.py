"""The messages of many sentences in one table: which arc, in which direction, for which predicate.

Everything is flat: ``E`` edges over all graphs, one graph after the other; at each of ``L`` layers
an edge sends one message, so decisions about messages are masks ``[L, E]``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch_geometric.data import Data

from glassgraph.results.explanation import Explanations
from glassgraph_studies.reproduce.srl.propbank import DIRECTIONS, Vocabulary

#: Kinds of predicates, by the first letter of their part of speech.
KINDS = {"V": "verb", "N": "noun"}
OTHER = "other"


@dataclass(frozen=True)
class EdgeTable:
    """The edges of many graphs.

    Attributes:
        graph: ``[E]`` whose.
        edge_type: ``[E]`` relation and direction.
        kind: of the predicate of each graph: ``"verb"``, ``"noun"`` or ``"other"``.
        relations: the relation of each edge type.
    """

    graph: Tensor
    edge_type: Tensor
    kind: Sequence[str]
    relations: Sequence[str]

    @staticmethod
    def of(graphs: Sequence[Data], known: Vocabulary) -> EdgeTable:
        """The table of some graphs."""
        tags = list(known.tags)
        sizes = torch.tensor([graph.num_edges for graph in graphs])
        return EdgeTable(
            graph=torch.repeat_interleave(sizes),
            edge_type=torch.cat([graph.edge_type for graph in graphs]),
            kind=[KINDS.get(tags[int(_tag(graph))][0], OTHER) for graph in graphs],
            relations=known.relation_names(),
        )

    @property
    def num_graphs(self) -> int:
        """How many."""
        return len(self.kind)

    def of_kind(self, kind: str) -> Tensor:
        """``[E]`` the edges of graphs with such a predicate."""
        return torch.tensor([each == kind for each in self.kind])[self.graph]


def _tag(graph: Data) -> Tensor:
    tag: Tensor = graph.tag[graph.is_predicate.bool()]
    return tag


def layer_scores(explanations: Explanations, num_edges: int, num_layers: int) -> Tensor:
    """``[L, E]`` scores of messages; those of an edge count at each of its layers."""
    score = torch.zeros(num_layers, num_edges)
    for part in explanations.own_parts():
        values = part.edge_score if part.layer_edge_score is None else part.layer_edge_score
        assert values is not None
        score[:, part.edge] = values.float().expand(num_layers, -1)
    return score


def random_part(mask: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """A random share of what is set in a mask ``[L, E]``."""
    place = mask.flatten().nonzero().squeeze(1)
    number = round(share * len(place))
    chosen = place[torch.randperm(len(place), generator=generator)[:number]]
    part = torch.zeros(mask.numel(), dtype=torch.bool)
    part[chosen] = True
    return part.view_as(mask)


def random_as_many(pool: Tensor, like: Tensor, graph: Tensor, generator: torch.Generator) -> Tensor:
    """Of each graph as many random messages of a pool ``[L, E]`` as another mask has in it."""
    return best_as_many(torch.rand(pool.shape, generator=generator), pool, like, graph)


def best_as_many(score: Tensor, pool: Tensor, like: Tensor, graph: Tensor) -> Tensor:
    """Of each graph the best messages of a pool, as many as another mask has in it.

    Args:
        score: ``[L, E]``; of equal scores the earlier edge goes first.
        pool: ``[L, E]`` which messages there are to choose from.
        like: ``[L, E]`` says how many.
        graph: ``[E]`` whose edge it is.
    """
    owner = graph.expand_as(pool).flatten()
    place = pool.flatten().nonzero().squeeze(1)
    place = place[score.flatten()[place].argsort(descending=True, stable=True)]
    place = place[owner[place].argsort(stable=True)]
    mine = owner[place]
    rank = torch.arange(len(place)) - torch.searchsorted(mine, mine)
    number = torch.bincount(owner[like.flatten()], minlength=int(graph.max()) + 1)
    part = torch.zeros(pool.numel(), dtype=torch.bool)
    part[place[rank < number[mine]]] = True
    return part.view_as(pool)


def shares_by_relation(table: EdgeTable, kept: Tensor) -> Iterator[dict[str, Any]]:
    """What is kept by dependency type, direction and kind of predicate, all layers together.

    Yields:
        ``{kind, relation, direction, n, kept, of_type, of_kept}``: messages, kept ones, the share
        of the type's messages that is kept, and of what is kept for such predicates.
    """
    votes = kept.sum(dim=0)
    for kind in (*KINDS.values(), OTHER):
        mine = table.of_kind(kind)
        number = len(kept) * torch.bincount(table.edge_type[mine], minlength=len(table.relations))
        found = torch.bincount(
            table.edge_type[mine], votes[mine].double(), minlength=len(table.relations)
        )
        for edge_type in number.nonzero().squeeze(1).tolist():
            yield {
                "kind": kind,
                "relation": table.relations[edge_type],
                "direction": DIRECTIONS[edge_type % len(DIRECTIONS)],
                "n": int(number[edge_type]),
                "kept": int(found[edge_type]),
                "of_type": float(found[edge_type] / number[edge_type]),
                "of_kept": float(found[edge_type] / found.sum().clamp_min(1)),
            }
