"""Questions as graphs of mentions.

De Cao, Aziz and Titov, "Question Answering by Reasoning Across Documents with Graph Convolutional
Networks" (NAACL 2019, https://arxiv.org/abs/1808.09920): the nodes are the places where a candidate
or the query's subject is mentioned, two of them are linked because they stand in one document
(DOC-BASED), because they are the same words (MATCH), or because they are neither (COMPLEMENT).
Chains of coreference, a fourth relation there, are left out: no system for it is at hand. Titles of
pages are mentions, too, also where a page never says its own title; without them nothing would
stand for the bridge.

Every node knows the query's relations, and a mention of its subject is marked as one. The subject's
words are not spread over all nodes: its language alone lets a network without messages answer two
questions in five (a film with a French name has a French director, whose dates are written as the
French write them).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Data

from glassgraph.errors import DatasetError
from glassgraph_studies.reproduce.qa.questions import Question, plain

RELATIONS = ("DOC-BASED", "MATCH", "COMPLEMENT")
DOC, MATCH, COMPLEMENT = range(len(RELATIONS))
#: What a mention can be; a word can be several.
ROLES = ("subject", "candidate", "title")
#: Words on either side of a mention that are read with it.
CONTEXT = 3
#: Candidates of a question at most: width of the outputs.
MOST_CANDIDATES = 80

#: A year that another number follows without a space ends there: paragraphs have lost some.
_TOKEN = re.compile(r"\d{4}(?=\d)|\w+|[^\w\s]")


@dataclass
class Vectors:
    """Word vectors.

    Attributes:
        row: of words.
        table: ``[V, D]``.
    """

    row: Mapping[str, int]
    table: Tensor
    _known: dict[tuple[str, ...], Tensor] = field(default_factory=dict)

    @staticmethod
    def read(file: Path) -> Vectors:
        """Read an ``.npz`` with ``words`` and ``vectors``.

        Raises:
            DatasetError: if it is not there.
        """
        if not file.exists():
            raise DatasetError(f"there is no file {file}; --root is the folder above glove_small")
        found = np.load(file, allow_pickle=False)
        row = {str(word): number for number, word in enumerate(found["words"])}
        return Vectors(row, torch.from_numpy(found["vectors"].astype(np.float32)))

    @property
    def width(self) -> int:
        """D."""
        return self.table.size(1)

    def mean(self, words: Sequence[str]) -> Tensor:
        """Mean ``[D]`` of the words that have a vector; zero if none has."""
        key = tuple(words)
        if key not in self._known:
            rows = [self.row[word] for word in words if word in self.row]
            found = self.table[rows].mean(dim=0) if rows else torch.zeros(self.width)
            self._known[key] = found
        return self._known[key]


@dataclass(frozen=True)
class Mention:
    """Words in a page that name something.

    Attributes:
        page: number of the page.
        name: what it names.
        words: its words, lower case.
        before: words before it.
        after: words after it.
    """

    page: int
    name: tuple[str, ...]
    before: tuple[str, ...]
    after: tuple[str, ...]


def tokens(text: str) -> tuple[str, ...]:
    """Words and signs, lower case.

    Example:
        >>> tokens("Steno's film (1949)")
        ('steno', "'", 's', 'film', '(', '1949', ')')
    """
    return tuple(_TOKEN.findall(text.lower()))


def find_mentions(question: Question) -> list[Mention]:
    """Where pages name subject, candidates and titles; the longest name counts where two meet."""
    titles = [tokens(plain(title)) for title, _ in question.pages]
    names = {tokens(plain(question.subject)), *map(tokens, question.candidates), *titles} - {()}
    found = []
    for page, ((_, text), title) in enumerate(zip(question.pages, titles, strict=True)):
        own = list(_in_page(page, tokens(text), names))
        if title and all(each.name != title for each in own):
            own.insert(0, Mention(page, title, (), tokens(text)[:CONTEXT]))
        found += own
    return found


def _in_page(page: int, words: tuple[str, ...], names: set[tuple[str, ...]]) -> list[Mention]:
    by_first: dict[str, list[tuple[str, ...]]] = {}
    for name in sorted(names, key=len, reverse=True):
        by_first.setdefault(name[0], []).append(name)
    found, at = [], 0
    while at < len(words):
        for name in by_first.get(words[at], ()):
            end = at + len(name)
            if words[at:end] == name:
                before, after = words[max(0, at - CONTEXT) : at], words[end : end + CONTEXT]
                found.append(Mention(page, name, before, after))
                at = end
                break
        else:
            at += 1
    return found


def make_graph(question: Question, vectors: Vectors) -> Data:
    """The graph of a question.

    Returns:
        Data with ``x [N, F]`` (means of word vectors: of the mention, of the words before and after
        it, and of each relation of the query; the roles of the mention),
        ``edge_index`` and ``edge_type [E]`` (numbers in `RELATIONS`), ``candidate [N]`` (number of
        the candidate that a node mentions, or -1), ``y [1]`` (number of the answer), ``page [N]``,
        ``name`` (words of each node).
    """
    mentions = find_mentions(question)
    subject = tokens(plain(question.subject))
    titles = {tokens(plain(title)) for title, _ in question.pages}
    number = {tokens(each): at for at, each in enumerate(question.candidates)}
    first, last = question.relations[0], question.relations[-1]
    query = [vectors.mean(tokens(each)) for each in (first, last)]
    rows = [
        torch.cat(
            [
                *(vectors.mean(words) for words in (each.name, each.before, each.after)),
                *query,
                torch.tensor(
                    [each.name == subject, each.name in number, each.name in titles],
                    dtype=torch.float,
                ),
            ]
        )
        for each in mentions
    ]
    width = 5 * vectors.width + len(ROLES)
    edge_index, edge_type = _edges(mentions)
    return Data(
        x=torch.stack(rows) if rows else torch.zeros(0, width),
        edge_index=edge_index,
        edge_type=edge_type,
        candidate=torch.tensor([number.get(each.name, -1) for each in mentions], dtype=torch.long),
        y=torch.tensor([question.candidates.index(question.answer)]),
        page=torch.tensor([each.page for each in mentions], dtype=torch.long),
        name=[" ".join(each.name) for each in mentions],
    )


def _edges(mentions: Sequence[Mention]) -> tuple[Tensor, Tensor]:
    """``[2, E]`` and ``[E]``: all pairs of different mentions, twice where two relations hold."""
    page = torch.tensor([each.page for each in mentions], dtype=torch.long)
    numbers = {name: at for at, name in enumerate(dict.fromkeys(each.name for each in mentions))}
    name = torch.tensor([numbers[each.name] for each in mentions], dtype=torch.long)
    is_other = ~torch.eye(len(mentions), dtype=torch.bool)
    doc = (page.view(-1, 1) == page) & is_other
    match = (name.view(-1, 1) == name) & is_other
    found = [each.nonzero().t() for each in (doc, match, is_other & ~doc & ~match)]
    size = torch.tensor([each.size(1) for each in found])
    return torch.cat(found, dim=1), torch.repeat_interleave(size)
