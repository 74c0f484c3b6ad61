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
from glassgraph_studies.reproduce.srl.propbank import Vocabulary

#: Kinds of predicates, by the first letter of their part of speech.
KINDS = {"V": "verb", "N": "noun"}
OTHER = "other"


@dataclass(frozen=True)
class EdgeTable:
    """The edges of many graphs.

    Attributes:
        graph: ``[E]`` whose.
        kind: of the predicate of each graph: ``"verb"``, ``"noun"`` or ``"other"``.
    """

    graph: Tensor
    kind: Sequence[str]

    @staticmethod
    def of(graphs: Sequence[Data], known: Vocabulary) -> EdgeTable:
        """The table of some graphs."""
        tags = list(known.tags)
        sizes = torch.tensor([graph.num_edges for graph in graphs])
        return EdgeTable(
            graph=torch.repeat_interleave(sizes),
            kind=[KINDS.get(tags[int(_tag(graph))][0], OTHER) for graph in graphs],
        )


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


def shares_by_relation(table: EdgeTable, explanations: Explanations) -> Iterator[dict[str, Any]]:
    """What is kept by dependency type, direction and kind of predicate, all layers together.

    Yields:
        ``{kind, relation, direction, n, kept, of_type, of_type_low, of_type_high, of_kept,
        of_all}``: messages, kept ones, the share of the type's messages that is kept with its 95 %
        interval over sentences, the share of what is kept for such predicates, and what that
        would be by chance: the type's share of all messages for such predicates.
    """
    kinds = [table.kind[graph] for graph in table.graph.tolist()]
    found = explanations.aggregate(
        ["predicate", "relations", "directions"], columns={"predicate": kinds}
    )
    found["number"] = (found["kept"] * found["count"]).round().astype(int)
    total = found.groupby("predicate")[["number", "count"]].transform("sum").clip(lower=1)
    found["of_kept"] = found["number"] / total["number"]
    found["of_all"] = found["count"] / total["count"]
    for row in found.to_dict("records"):
        yield {
            "kind": row["predicate"],
            "relation": row["relations"],
            "direction": row["directions"],
            "n": int(row["count"]),
            "kept": int(row["number"]),
            "of_type": float(row["kept"]),
            "of_type_low": float(row["kept_low"]),
            "of_type_high": float(row["kept_high"]),
            "of_kept": float(row["of_kept"]),
            "of_all": float(row["of_all"]),
        }
