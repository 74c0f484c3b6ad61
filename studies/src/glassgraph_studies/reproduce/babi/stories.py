"""Stories of the bAbI tasks as graphs of facts and what they speak of.

Weston et al., "Towards AI-Complete Question Answering: A Set of Prerequisite Toy Tasks" (2015,
https://arxiv.org/abs/1502.05698). Every question comes with the numbers of the facts it follows
from. Its graph has a node for each fact told so far and one for each thing or person (an entity).
An edge leads from an entity to a fact that speaks of it and another back, told apart by the
entity's place in the sentence; and from a fact to the next one about the same entity, and back.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch_geometric.data import Data

from glassgraph.errors import DatasetError

TASKS = {
    2: "two-supporting-facts",
    3: "three-supporting-facts",
    15: "basic-deduction",
    16: "basic-induction",
    18: "size-reasoning",
}
#: Entity to fact and fact to entity, in the first and second place; next and previous fact.
RELATIONS = ("speaks of 1", "speaks of 2", "names 1", "names 2", "next", "previous")
_NEXT, _PREVIOUS = 4, 5
#: Answers of questions that ask whether.
YES_NO = ("yes", "no")
#: Answers of a question at most: width of the outputs.
MOST_ANSWERS = 32

#: Words that are no entities.
_FILLERS = frozenset(
    re.findall(
        r"\w+",
        """
        the a an to of in at there back up down is are was what where does did color before than
        went moved travelled journeyed got grabbed took picked dropped discarded put left afraid
        fits fit inside bigger
        """,
    )
)
_SINGULAR = {"mice": "mouse", "wolves": "wolf", "cats": "cat"}


@dataclass(frozen=True)
class Sentence:
    """What a sentence says.

    Attributes:
        pattern: its words, with a sign for each entity.
        entities: those it speaks of, in order.
    """

    pattern: str
    entities: tuple[str, ...]

    @staticmethod
    def read(text: str) -> Sentence:
        """Tell entities from other words.

        Example:
            >>> Sentence.read("Mice are afraid of wolves.")
            Sentence(pattern='_ are afraid of _', entities=('mouse', 'wolf'))
        """
        text = text.lower().replace("box of chocolates", "chocolate-box")
        words = re.findall(r"[a-z-]+", text)
        pattern = " ".join(word if word in _FILLERS else "_" for word in words)
        return Sentence(pattern, tuple(_singular(word) for word in words if word not in _FILLERS))


@dataclass(frozen=True)
class Story:
    """A question and the facts told before it.

    Attributes:
        number: of the story that it belongs to; several questions share one.
        facts: what was told.
        question: what is asked.
        answer: the right one.
        support: which facts it follows from.
    """

    number: int
    facts: tuple[Sentence, ...]
    question: Sentence
    answer: str
    support: frozenset[int]


def read_stories(root: Path, task: int, part: str) -> list[Story]:
    """The questions of ``"train"`` or ``"test"``.

    Raises:
        DatasetError: if the file is not there.
    """
    file = root / "babi_en_1k" / f"qa{task}_{TASKS[task]}_{part}.txt"
    if not file.exists():
        raise DatasetError(f"there is no file {file}; --root is the folder above babi_en_1k")
    return list(_stories(file.read_text(encoding="utf-8").splitlines()))


def _stories(lines: Sequence[str]) -> Iterator[Story]:
    number, facts, place = -1, list[Sentence](), dict[int, int]()
    for line in lines:
        at, text = line.split(" ", 1)
        if at == "1":
            number, facts, place = number + 1, [], {}
        if "\t" not in text:
            place[int(at)] = len(facts)
            facts.append(Sentence.read(text))
            continue
        question, answer, support = text.split("\t")
        told = frozenset(place[int(each)] for each in support.split())
        yield Story(number, tuple(facts), Sentence.read(question), _singular(answer), told)


def _singular(word: str) -> str:
    return _SINGULAR.get(word, word)


def patterns(stories: Sequence[Story]) -> dict[str, int]:
    """A number for each pattern of facts and questions; 0 is left for entities."""
    found = {each.pattern for story in stories for each in (*story.facts, story.question)}
    return {pattern: 1 + number for number, pattern in enumerate(sorted(found))}


def make_graph(story: Story, numbers: dict[str, int]) -> Data:
    """The graph of a question.

    Args:
        story: the question.
        numbers: of patterns; others are read as entities are.

    Returns:
        Data with ``pattern [N]`` and ``asked [N]`` (numbers of the node's own pattern and of the
        question's), ``marks [N, 3]`` (whether the question names a node first or second, and when a
        fact was told, from 0 to 1), ``edge_index``, ``edge_type [E]``, ``answer [N]`` (which answer
        a node stands for, or -1), ``y [1]``, ``fact [N]`` (number of a fact, or -1), ``gold [F]``
        (which facts the answer follows from).
    """
    names = [each for fact in (*story.facts, story.question) for each in fact.entities]
    node = {name: len(story.facts) + at for at, name in enumerate(dict.fromkeys(names))}
    num_facts, num_nodes = len(story.facts), len(story.facts) + len(node)
    edges = [*_mentions(story, node), *_neighbors(story)]
    marks = torch.zeros(num_nodes, 3)
    for place, name in enumerate(story.question.entities[:2]):
        marks[node[name], place] = 1
    marks[:num_facts, 2] = torch.arange(num_facts) / max(1, num_facts - 1)
    pattern = torch.zeros(num_nodes, dtype=torch.long)
    pattern[:num_facts] = torch.tensor([numbers.get(fact.pattern, 0) for fact in story.facts])
    is_choice = story.answer in YES_NO
    answer = torch.full((num_nodes,), -1)
    if not is_choice:
        answer[num_facts:] = torch.arange(len(node))
    right = YES_NO.index(story.answer) if is_choice else node[story.answer] - num_facts
    return Data(
        pattern=pattern,
        asked=torch.full((num_nodes,), numbers.get(story.question.pattern, 0)),
        x=marks,
        edge_index=torch.tensor([edge[:2] for edge in edges], dtype=torch.long).t().contiguous(),
        edge_type=torch.tensor([edge[2] for edge in edges], dtype=torch.long),
        answer=answer,
        y=torch.tensor([right]),
        fact=torch.cat([torch.arange(num_facts), torch.full((len(node),), -1)]),
        gold=torch.tensor([number in story.support for number in range(num_facts)]),
    )


def _mentions(story: Story, node: dict[str, int]) -> Iterator[tuple[int, int, int]]:
    """Sender, receiver and relation of edges between facts and entities."""
    for fact, sentence in enumerate(story.facts):
        for place, name in enumerate(sentence.entities[:2]):
            yield node[name], fact, place
            yield fact, node[name], 2 + place


def _neighbors(story: Story) -> Iterator[tuple[int, int, int]]:
    """The same between a fact and the next one about one of its entities."""
    last: dict[str, int] = {}
    found = set()
    for fact, sentence in enumerate(story.facts):
        for name in sentence.entities:
            if last.get(name, fact) != fact:
                found.add((last[name], fact))
            last[name] = fact
    for before, after in sorted(found):
        yield before, after, _NEXT
        yield after, before, _PREVIOUS
