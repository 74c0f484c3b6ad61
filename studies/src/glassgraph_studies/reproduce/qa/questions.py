"""Two-hop questions over real paragraphs: what lies before a reader, and what may be answered.

A chain follows two relations from its subject's page over another page, the bridge, to an answer
that stands there ("director of this film" -> "date of birth of that person"). A question shows the
two pages of its chain among those of three other chains with the same last relation, and offers as
candidates everything of the answer's type that the eight pages are known to state. Without going
from page to page nothing tells the four bridges apart.

Data: two-hop chains and paragraphs derived from 2WikiMultihopQA (Ho et al., "Constructing A
Multi-hop QA Dataset for Comprehensive Evaluation of Reasoning Steps", COLING 2020,
https://arxiv.org/abs/2011.01060). Results on them are not results on WikiHop.
"""

from __future__ import annotations

import json
import random
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glassgraph.errors import DatasetError

#: Chains whose pages are shown beside those of the question.
DISTRACTORS = 3
#: What relations lead to; candidates are of the answer's type.
TYPES: Mapping[str, str] = {
    relation: kind
    for kind, relations in {
        "date": ("date of birth", "date of death", "publication date", "inception"),
        "place": ("place of birth", "place of death", "place of burial", "place of detention"),
        "country": ("country of citizenship", "country", "country of origin"),
        "person": (
            "director", "father", "mother", "spouse", "performer", "composer", "sibling", "child",
            "producer", "founded by",
        ),
        "organization": ("educated at", "employer", "publisher"),
    }.items()
    for relation in relations
}  # fmt: skip
#: Shares of the questions for validation and test; the rest is for training.
_HELD_OUT = {"val": 0.15, "test": 0.25}


@dataclass(frozen=True)
class Chain:
    """Two relations in a row.

    Attributes:
        subject: title of the first page.
        bridge: title of the second.
        relations: from subject to bridge, and from bridge to answer.
        answer: stands in the second page.
    """

    subject: str
    bridge: str
    relations: tuple[str, ...]
    answer: str


@dataclass(frozen=True)
class Question:
    """What a reader is given.

    Attributes:
        subject: where the question starts.
        relations: those to follow.
        bridge: title of the page that states the answer; empty if unknown.
        answer: the right one.
        candidates: what may be answered, the answer among them.
        pages: title and text.
    """

    subject: str
    relations: tuple[str, ...]
    bridge: str
    answer: str
    candidates: tuple[str, ...]
    pages: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Chains:
    """The chains, and what their pages say.

    Attributes:
        chains: those of two relations.
        texts: of pages, by title.
        facts: relation and object of what pages state, by title.
    """

    chains: Sequence[Chain]
    texts: Mapping[str, str]
    facts: Mapping[str, Sequence[tuple[str, str]]]

    @staticmethod
    def read(folder: Path) -> Chains:
        """Read the files of a folder.

        Raises:
            DatasetError: if they are not there.
        """
        chains = [
            Chain(row["subject"], row["titles"][1], tuple(row["relations"]), row["answer"])
            for row in _lines(folder / "chains.jsonl")
            if row["kind"] == "2hop"
        ]
        facts = defaultdict(list)
        for row in _lines(folder / "facts.jsonl"):
            facts[row["title"]].append((row["relation"], row["object"]))
        texts = {row["title"]: row["text"] for row in _lines(folder / "paragraphs.jsonl")}
        return Chains(chains, texts, facts)

    def split(self, seed: int = 0) -> dict[str, list[Chain]]:
        """Chains for training, validation and test that have no page in common.

        Args:
            seed: of the order in which connected components of pages are dealt out.
        """
        components = list(_components(self.chains))
        random.Random(seed).shuffle(components)
        found: dict[str, list[Chain]] = {"train": [], **{part: [] for part in _HELD_OUT}}
        for component in components:
            part = next(
                (
                    name
                    for name, share in _HELD_OUT.items()
                    if len(found[name]) + len(component) <= share * len(self.chains)
                ),
                "train",
            )
            found[part].extend(component)
        return found

    def questions(self, part: Sequence[Chain], seed: int = 0) -> list[Question]:
        """A question for each chain, if there is anything to choose between.

        Args:
            part: the chains.
            seed: of the choice of distractors and the order of pages.
        """
        generator = random.Random(seed)
        by_relation = defaultdict(list)
        for chain in part:
            by_relation[chain.relations[-1]].append(chain)
        asked = (
            self._question(chain, by_relation[chain.relations[-1]], generator) for chain in part
        )
        return [question for question in asked if len(question.candidates) > 1]

    def _question(
        self, chain: Chain, others: Sequence[Chain], generator: random.Random
    ) -> Question:
        titles = [chain.subject, chain.bridge]
        answers = {chain.answer}
        for other in generator.sample(others, len(others)):
            fresh = {other.subject, other.bridge}.isdisjoint(titles)
            if fresh and other.answer not in answers:
                titles += [other.subject, other.bridge]
                answers.add(other.answer)
            if len(titles) == 2 * (1 + DISTRACTORS):
                break
        generator.shuffle(titles)
        kind = _type(chain.relations[-1])
        stated = {
            thing
            for title in titles
            for relation, thing in self.facts.get(title, ())
            if _type(relation) == kind
        }
        return Question(
            subject=chain.subject,
            relations=chain.relations,
            bridge=chain.bridge,
            answer=chain.answer,
            candidates=tuple(sorted(stated | answers)),
            pages=tuple((title, self.texts[title]) for title in titles),
        )


def read_wikihop(file: Path) -> list[Question]:
    """Questions of a file in WikiHop's format.

    Raises:
        DatasetError: if it is not there.
    """
    if not file.exists():
        raise DatasetError(f"there is no file {file}")
    return [_from_wikihop(row) for row in json.loads(file.read_text(encoding="utf-8"))]


def _from_wikihop(row: Mapping[str, Any]) -> Question:
    """The query is a relation (several joined by points, in 2Wiki), and a subject."""
    path, subject = row["query"].split(" ", 1)
    titles = row.get("support_titles") or [""] * len(row["supports"])
    return Question(
        subject=subject,
        relations=tuple(each.replace("_", " ") for each in path.split(".")),
        bridge="",
        answer=row["answer"],
        candidates=tuple(row["candidates"]),
        pages=tuple(zip(titles, row["supports"], strict=True)),
    )


def plain(title: str) -> str:
    """A title without what tells it from others of its name.

    Example:
        >>> plain("Steno (director)")
        'Steno'
    """
    return re.sub(r"\s*\([^)]*\)\s*$", "", title)


def _type(relation: str) -> str:
    return TYPES.get(relation, relation)


def _components(chains: Sequence[Chain]) -> Iterator[list[Chain]]:
    """Chains that share pages, directly or by way of others."""
    parent: dict[str, str] = {}

    def root(title: str) -> str:
        while parent.setdefault(title, title) != title:
            title = parent[title]
        return title

    for chain in chains:
        parent[root(chain.subject)] = root(chain.bridge)
    found = defaultdict(list)
    for chain in chains:
        found[root(chain.subject)].append(chain)
    yield from found.values()


def _lines(file: Path) -> Iterator[dict[str, Any]]:
    if not file.exists():
        raise DatasetError(f"there is no file {file}; --root is the folder above twowiki_chains")
    with file.open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)
