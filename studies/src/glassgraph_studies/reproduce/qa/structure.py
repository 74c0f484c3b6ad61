"""What the kept messages of a question look like: chains, paths from the subject, inverse pairs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch_geometric.data import Data

from glassgraph_studies.reproduce.qa.graphs import DOC, MATCH, tokens
from glassgraph_studies.reproduce.qa.questions import Question, plain


@dataclass(frozen=True)
class Share:
    """How many of how many.

    Attributes:
        hits: how many.
        number: of how many.
    """

    hits: int
    number: int

    @property
    def percent(self) -> float | None:
        """100 hits / number; None of nothing."""
        return 100.0 * self.hits / self.number if self.number else None

    @staticmethod
    def of(values: Iterable[bool]) -> Share:
        """Count what is true."""
        found = list(values)
        return Share(sum(found), len(found))


@dataclass(frozen=True)
class Asked:
    """A question, its graph, and what is kept of it.

    Attributes:
        question: the question.
        graph: its graph.
        kept: ``[L, e]`` its kept messages.
        answer: number of the candidate that the network chooses.
    """

    question: Question
    graph: Data
    kept: Tensor
    answer: int

    def mentions(self, name: str, page: int | None = None) -> Tensor:
        """``[N]`` which nodes mention something, anywhere or in one page."""
        words = " ".join(tokens(plain(name)))
        found = torch.tensor([each == words for each in self.graph.name], dtype=torch.bool)
        return found if page is None else found & (self.graph.page == page)

    @property
    def subject(self) -> Tensor:
        """``[N]`` which nodes mention the subject."""
        return self.mentions(self.question.subject)

    def step(self, nodes: Tensor, layer: int, relation: int | None = None) -> Tensor:
        """``[N]`` where kept messages of a layer lead to from some nodes."""
        used = self.kept[layer] if relation is None else self._of(layer, relation)
        source, destination = self.graph.edge_index[:, used]
        found = torch.zeros_like(nodes)
        found[destination[nodes[source]]] = True
        return found

    def _of(self, layer: int, relation: int) -> Tensor:
        found: Tensor = self.kept[layer] & (self.graph.edge_type == relation)
        return found

    def has_chain(self) -> bool | None:
        """Whether subject -> bridge, bridge -> bridge and bridge -> answer are kept in this order.

        Within the subject's page, between pages, and within the bridge's page; None where a page
        does not mention what it should, so that there is no such chain.
        """
        titles = [title for title, _ in self.question.pages]
        first, second = (
            titles.index(title) for title in (self.question.subject, self.question.bridge)
        )
        ends = [
            self.mentions(self.question.subject, first),
            self.mentions(self.question.bridge, first),
            self.mentions(self.question.bridge, second),
            (self.graph.candidate == int(self.graph.y)) & (self.graph.page == second),
        ]
        if not all(bool(each.any()) for each in ends):
            return None
        at = ends[0]
        for layer, (relation, goal) in enumerate(zip((DOC, MATCH, DOC), ends[1:], strict=True)):
            at = self.step(at, layer, relation) & goal
        return bool(at.any())

    def on_paths(self) -> Iterator[tuple[int, Tensor]]:
        """For each layer, which of its kept messages ``[k]`` lie on a path from the subject."""
        at = self.subject
        for layer, kept in enumerate(self.kept):
            yield layer, at[self.graph.edge_index[0, kept]]
            at = at | self.step(at, layer)

    def inverses(self, layer: int) -> Tensor:
        """For each kept message ``[k]`` of a layer, whether the one in the other direction is."""
        size = self.graph.num_nodes
        kept = self.kept[layer]
        source, destination = self.graph.edge_index
        key = (self.graph.edge_type * size + source) * size + destination
        inverse = (self.graph.edge_type * size + destination) * size + source
        return torch.isin(inverse[kept], key[kept])

    def targets_answer(self) -> bool:
        """Whether a kept message of the last layer arrives at a mention of what is answered."""
        destination = self.graph.edge_index[1, self.kept[-1]]
        return bool((self.graph.candidate[destination] == self.answer).any())


def chains(asked: Sequence[Asked]) -> Share:
    """In how many questions the chain is kept, of those that have one."""
    found = (each.has_chain() for each in asked)
    return Share.of(each for each in found if each is not None)


def leaves_subject(asked: Sequence[Asked], layer: int | None = None) -> Share:
    """In how many questions a kept message (of a layer) leaves the subject or arrives there."""
    return Share.of(
        bool(each.subject[each.graph.edge_index[:, rows.any(dim=0)]].any())
        for each in asked
        for rows in [each.kept if layer is None else each.kept[layer : layer + 1]]
    )


def paths(asked: Sequence[Asked], num_layers: int) -> list[Share]:
    """For each layer, how many kept messages lie on a path from the subject."""
    found: list[list[bool]] = [[] for _ in range(num_layers)]
    for each in asked:
        for layer, is_on in each.on_paths():
            found[layer] += is_on.tolist()
    return [Share.of(each) for each in found]


def inverse_pairs(asked: Sequence[Asked], num_layers: int) -> list[Share]:
    """For each layer, how many kept messages have their inverse kept."""
    return [
        Share.of(value for each in asked for value in each.inverses(layer).tolist())
        for layer in range(num_layers)
    ]
