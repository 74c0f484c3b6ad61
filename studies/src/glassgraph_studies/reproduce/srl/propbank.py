"""Sentences with semantic roles, as graphs: English PropBank on Universal Dependencies trees.

The files are in the columns of CoNLL-2009 (Hajič et al., "The CoNLL-2009 Shared Task", 2009,
https://aclanthology.org/W09-1201): a token a line, a blank line after each sentence, and behind the
fourteenth column one column of roles for each predicate of the sentence, in their order.

An instance is a sentence with one of its predicates. Its graph has the tokens as nodes; an arc of
the dependency tree is two edges, *along* it from the head to the dependent and *against* it, each
with a type of its own (relation and direction). With N tokens and E edges a graph holds

- ``x [N, 50]``: GloVe vector of each word, zeros where there is none;
- ``word``, ``tag``, ``is_predicate``, ``lemma`` ``[N]``: numbers of word and part of speech,
  whether a token is the predicate, and the number of the predicate's lemma (0 elsewhere);
- ``edge_index [2, E]``, ``edge_type [E]``: see `Vocabulary.edge_type`;
- ``y [N]``: the role of each token for this predicate, 0 for none;
- ``words``, ``relations``, ``directions``: the words; the relation of each edge, and its direction.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Data

from glassgraph.errors import DatasetError

FOLDER, VECTORS = "srl_ewt_propbank", "glove_small/glove.6B.50d.subset.npz"
#: Parts, and what their files are called.
PARTS = {"train": "train", "val": "dev", "test": "test"}
#: Longer sentences are left out.
MOST_TOKENS = 60
#: Directions of an edge, relative to the arc of the tree.
ALONG, AGAINST = 0, 1
DIRECTIONS = ("along", "against")
#: The first word of every vocabulary: none, or one that training has not met.
NOTHING = "_"
_LEMMA, _TAG, _HEAD, _RELATION, _FLAG, _ROLES = 2, 4, 8, 10, 12, 14


@dataclass(frozen=True)
class Predicate:
    """One predicate of a sentence.

    Attributes:
        position: its token.
        lemma: of that token.
        roles: of every token, ``"_"`` for none.
    """

    position: int
    lemma: str
    roles: tuple[str, ...]


@dataclass(frozen=True)
class Sentence:
    """A sentence as the file has it.

    Attributes:
        words: as written.
        tags: Penn Treebank parts of speech.
        heads: token of each token's head, -1 for the root.
        relations: of each token to its head.
        predicates: with their roles.
    """

    words: tuple[str, ...]
    tags: tuple[str, ...]
    heads: tuple[int, ...]
    relations: tuple[str, ...]
    predicates: tuple[Predicate, ...]


def read_sentences(path: Path) -> Iterator[Sentence]:
    """The sentences of a file.

    Raises:
        DatasetError: if it cannot be read, or a line has another form.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"cannot read {path}, a file of CoNLL-2009 columns: {error}") from error
    line = 1
    for block in text.split("\n\n"):
        if block.strip():
            yield _sentence([row.split("\t") for row in block.strip("\n").split("\n")], path, line)
        line += block.count("\n") + 2


def _sentence(rows: list[list[str]], path: Path, line: int) -> Sentence:
    width = _ROLES + sum(len(row) > _FLAG and row[_FLAG] == "Y" for row in rows)
    for offset, row in enumerate(rows):
        head = row[_HEAD] if len(row) > _HEAD else ""
        if len(row) != width or not head.isdecimal() or int(head) > len(rows):
            raise DatasetError(
                f"{path}, line {line + offset}: {width} columns are expected ({_ROLES}, and one "
                f"for each predicate of the sentence), with the number of a token or 0 as head; "
                f"got {len(row)} columns and head {head!r}"
            )
    columns = list(zip(*rows, strict=True))
    marked = [position for position, flag in enumerate(columns[_FLAG]) if flag == "Y"]
    return Sentence(
        words=columns[1],
        tags=columns[_TAG],
        heads=tuple(int(head) - 1 for head in columns[_HEAD]),
        relations=columns[_RELATION],
        predicates=tuple(
            Predicate(position, columns[_LEMMA][position], columns[_ROLES + rank])
            for rank, position in enumerate(marked)
        ),
    )


@dataclass(frozen=True)
class Vocabulary:
    """Numbers of words, parts of speech, lemmas, relations and roles; 0 is `NOTHING`.

    Attributes:
        words: those that training has at least twice, in lower case.
        tags: parts of speech.
        lemmas: of predicates that training has at least twice.
        relations: of the dependency trees.
        roles: of tokens to predicates.
    """

    words: Mapping[str, int]
    tags: Mapping[str, int]
    lemmas: Mapping[str, int]
    relations: Mapping[str, int]
    roles: Mapping[str, int]

    @staticmethod
    def of(sentences: Sequence[Sentence]) -> Vocabulary:
        """What some sentences hold."""
        predicates = [each for sentence in sentences for each in sentence.predicates]
        return Vocabulary(
            words=_numbers((word.lower() for s in sentences for word in s.words), 2),
            tags=_numbers(tag for s in sentences for tag in s.tags),
            lemmas=_numbers((each.lemma for each in predicates), 2),
            relations=_numbers(relation for s in sentences for relation in s.relations),
            roles=_numbers(role for each in predicates for role in each.roles),
        )

    @property
    def num_edge_types(self) -> int:
        """Relations times directions."""
        return len(DIRECTIONS) * len(self.relations)

    def edge_type(self, relation: str, direction: int) -> int:
        """The type of an edge; 0 and 1 stand for relations that training has not met."""
        return len(DIRECTIONS) * self.relations.get(relation, 0) + direction

    def relation_names(self) -> list[str]:
        """The relation of each edge type."""
        return [name for name in self.relations for _ in DIRECTIONS]

    def role_names(self) -> list[str]:
        """The name of each role."""
        return list(self.roles)


def _numbers(names: Iterable[str], least: int = 1) -> dict[str, int]:
    count = Counter(names)
    count.pop(NOTHING, None)
    known = sorted(name for name, times in count.items() if times >= least)
    return {name: number for number, name in enumerate([NOTHING, *known])}


@dataclass(frozen=True)
class Corpus:
    """All sentences, with what numbers stand for.

    Attributes:
        sentences: of each part: ``"train"``, ``"val"``, ``"test"``.
        vocabulary: of the training part.
        vectors: ``[V + 1, 50]`` GloVe vectors, the last one zeros.
        vector_row: row of each word in lower case.
        left_out: of each part, how many predicates stand in longer sentences.
    """

    sentences: Mapping[str, Sequence[Sentence]]
    vocabulary: Vocabulary
    vectors: Tensor
    vector_row: Mapping[str, int]
    left_out: Mapping[str, int]

    @staticmethod
    def read(root: Path | str, most: Mapping[str, int] | None = None) -> Corpus:
        """Read a folder of data.

        Args:
            root: holds ``srl_ewt_propbank`` and ``glove_small``.
            most: for a part, how many sentences are read, the first ones.

        Raises:
            DatasetError: if a file is missing or malformed.
        """
        sentences, left_out = {}, {}
        for part, name in PARTS.items():
            path = Path(root) / FOLDER / f"ewt-propbank-{name}.conll09"
            everything = list(islice(read_sentences(path), (most or {}).get(part)))
            short = [each for each in everything if len(each.words) <= MOST_TOKENS]
            sentences[part] = short
            left_out[part] = _num_predicates(everything) - _num_predicates(short)
        words, vectors = _read_vectors(Path(root) / VECTORS)
        vectors = torch.cat([vectors, vectors.new_zeros(1, vectors.size(1))])
        rows = {word: row for row, word in enumerate(words)}
        return Corpus(sentences, Vocabulary.of(sentences["train"]), vectors, rows, left_out)

    def graphs(self, part: str) -> list[Data]:
        """A graph for each predicate, sentence after sentence."""
        return [graph for sentence in self.sentences[part] for graph in self._graphs(sentence)]

    def _graphs(self, sentence: Sentence) -> Iterator[Data]:
        """The graphs of a sentence share what does not depend on the predicate."""
        known, size = self.vocabulary, len(sentence.words)
        lower = [word.lower() for word in sentence.words]
        unknown = len(self.vector_row)
        shared = {
            "x": self.vectors[[self.vector_row.get(word, unknown) for word in lower]],
            "word": torch.tensor([known.words.get(word, 0) for word in lower]),
            "tag": torch.tensor([known.tags.get(tag, 0) for tag in sentence.tags]),
            "words": list(sentence.words),
            **_edges(sentence, known),
        }
        for predicate in sentence.predicates:
            is_predicate = torch.zeros(size, dtype=torch.long)
            is_predicate[predicate.position] = 1
            yield Data(
                **shared,
                is_predicate=is_predicate,
                lemma=is_predicate * known.lemmas.get(predicate.lemma, 0),
                y=torch.tensor([known.roles.get(role, -1) for role in predicate.roles]),
            )


def _num_predicates(sentences: Sequence[Sentence]) -> int:
    return sum(len(sentence.predicates) for sentence in sentences)


def _edges(sentence: Sentence, known: Vocabulary) -> dict[str, Tensor | list[str]]:
    """Both directions of every arc, side by side."""
    ends: list[tuple[int, int]] = []
    types: list[int] = []
    relations: list[str] = []
    for token, (head, relation) in enumerate(zip(sentence.heads, sentence.relations, strict=True)):
        if head >= 0:
            ends += [(head, token), (token, head)]
            types += [known.edge_type(relation, each) for each in (ALONG, AGAINST)]
            relations += [relation] * len(DIRECTIONS)
    return {
        "edge_index": torch.tensor(ends, dtype=torch.long).view(-1, 2).t().contiguous(),
        "edge_type": torch.tensor(types, dtype=torch.long),
        "relations": relations,
        "directions": [DIRECTIONS[each % len(DIRECTIONS)] for each in types],
    }


def _read_vectors(path: Path) -> tuple[list[str], Tensor]:
    try:
        with np.load(path, allow_pickle=False) as file:
            words, vectors = file["words"].tolist(), torch.from_numpy(file["vectors"]).float()
    except (OSError, ValueError, KeyError) as error:
        raise DatasetError(f"cannot read word vectors from {path}: {error}") from error
    return words, vectors
