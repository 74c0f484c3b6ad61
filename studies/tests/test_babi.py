"""The bAbI study: sentences and graphs by hand, and a small version on real stories."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch_geometric.data import Batch

from glassgraph.errors import DatasetError
from glassgraph_studies.reproduce.babi import experiment as study
from glassgraph_studies.reproduce.babi.network import StoryNetwork
from glassgraph_studies.reproduce.babi.stories import (
    MOST_ANSWERS,
    RELATIONS,
    TASKS,
    Sentence,
    Story,
    make_graph,
    patterns,
    read_stories,
)
from tests.cli.helpers import run

MOUSE = Story(
    number=0,
    facts=tuple(
        map(Sentence.read, ("Mice are afraid of wolves.", "Ann is a mouse.", "Bob is a wolf."))
    ),
    question=Sentence.read("What is ann afraid of?"),
    answer="wolf",
    support=frozenset({0, 1}),
)


@pytest.mark.parametrize(
    ("text", "pattern", "entities"),
    [
        ("Mary went back to the kitchen.", "_ went back to the _", ("mary", "kitchen")),
        ("What color is Greg?", "what color is _", ("greg",)),
        (
            "Does the box of chocolates fit in the box?",
            "does the _ fit in the _",
            ("chocolate-box", "box"),
        ),
        ("Sheep are afraid of mice.", "_ are afraid of _", ("sheep", "mouse")),
    ],
)
def test_sentences(text: str, pattern: str, entities: tuple[str, ...]) -> None:
    assert Sentence.read(text) == Sentence(pattern, entities)


def test_the_graph_of_a_story_by_hand() -> None:
    numbers = patterns([MOUSE])
    graph = make_graph(MOUSE, numbers)
    # Facts 0 to 2, then mouse, wolf, ann, bob.
    assert graph.num_nodes == 7
    edges = {
        (*pair, RELATIONS[kind])
        for pair, kind in zip(
            map(tuple, graph.edge_index.t().tolist()), graph.edge_type.tolist(), strict=True
        )
    }
    spoken = [(0, 3, 1), (0, 4, 2), (1, 5, 1), (1, 3, 2), (2, 6, 1), (2, 4, 2)]
    assert edges == {
        *((entity, fact, f"speaks of {place}") for fact, entity, place in spoken),
        *((fact, entity, f"names {place}") for fact, entity, place in spoken),
        (0, 1, "next"), (1, 0, "previous"), (0, 2, "next"), (2, 0, "previous"),
    }  # fmt: skip
    assert graph.gold.tolist() == [True, True, False]
    assert graph.answer.tolist() == [-1, -1, -1, 0, 1, 2, 3]
    assert graph.y.tolist() == [1]
    assert graph.x[5].tolist() == [1, 0, 0]
    assert graph.x[:3, 2].tolist() == [0, 0.5, 1]
    assert (
        graph.pattern.tolist()
        == [numbers["_ are afraid of _"], *[numbers["_ is a _"]] * 2] + [0] * 4
    )


@pytest.mark.parametrize("task", TASKS)
def test_real_stories_have_their_supporting_facts(task: int, shared: Path) -> None:
    for part in ("train", "test"):
        stories = read_stories(shared / "data", task, part)
        assert len(stories) == 1000
        for story in stories:
            assert story.support
            assert max(story.support) < len(story.facts)
            assert story.answer in {"yes", "no"} | {
                name for fact in story.facts for name in fact.entities
            }
            assert len({n for f in (*story.facts, story.question) for n in f.entities}) <= (
                MOST_ANSWERS
            )


def test_answers_of_a_batch_are_those_of_each_story(shared: Path) -> None:
    stories = [*read_stories(shared / "data", 18, "test")[:3], MOUSE]
    numbers = patterns(stories)
    graphs = [make_graph(story, numbers) for story in stories]
    torch.manual_seed(0)
    network = StoryNetwork(1 + len(numbers), num_layers=2, width=7).eval()
    together = study._outputs(network, Batch.from_data_list(graphs))
    for row, graph in zip(together, graphs, strict=True):
        alone = study._outputs(network, Batch.from_data_list([graph]))
        torch.testing.assert_close(row, alone[0])
    assert (together > -1e3).sum(dim=1).tolist() == [2, 2, 2, 4]


def test_a_fact_is_heard_whose_kept_message_is_passed_on_to_the_answer() -> None:
    graph = make_graph(MOUSE, patterns([MOUSE]))
    pairs = graph.edge_index.t().tolist()
    kept = torch.zeros(2, len(pairs), dtype=torch.bool)
    kept[0, pairs.index([5, 1])] = True  # what a fact hears is not what it says
    kept[0, pairs.index([1, 0])] = True  # leads nowhere yet
    kept[1, pairs.index([1, 3])] = True  # to mouse, which is not the answer
    assert study.speaking_facts(graph, kept).tolist() == [False, False, False]
    kept[1, pairs.index([0, 4])] = True
    speaking = study.speaking_facts(graph, kept)
    assert speaking.tolist() == [True, True, False]
    assert study._shares([(graph, speaking)]) == {"gold": 100.0, "others": 100.0, "both": 100.0}
    nothing = torch.zeros(3, dtype=torch.bool)
    assert study._shares([(graph, nothing)]) == {"gold": 0.0, "others": 100.0, "both": 0.0}
    assert study._shares([]) == {"gold": None, "others": None, "both": None}
    assert int(study._shuffled(kept, torch.Generator().manual_seed(0)).sum()) == int(kept.sum())


def test_yes_and_no_are_read_at_what_is_asked_about_first() -> None:
    facts = tuple(map(Sentence.read, ("The box fits inside the chest.",)))
    asked = Sentence.read("Does the chest fit in the box?")
    story = Story(0, facts, asked, "no", frozenset({0}))
    graph = make_graph(story, patterns([story]))  # the fact, box, chest
    kept = graph.edge_index.t().eq(torch.tensor([0, 2])).all(dim=1).view(1, -1)
    assert study.speaking_facts(graph, kept).tolist() == [True]
    other = graph.edge_index.t().eq(torch.tensor([0, 1])).all(dim=1).view(1, -1)
    assert study.speaking_facts(graph, other).tolist() == [False]


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="qa15_basic-deduction_train"):
        read_stories(tmp_path, 15, "train")


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.slow("real stories and what is heard, each alone, stand above")
def test_supporting_facts_of_real_stories_are_heard(shared: Path, tmp_path: Path) -> None:
    result = run(
        "reproduce", "babi", "--root", shared / "data", "--task", 15, "--epochs", 9, "--steps", 12,
        "--questions", 480, "--quiet", "--json", tmp_path / "rows.json",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    (row,) = json.loads((tmp_path / "rows.json").read_text())
    assert row["accuracy"] > 95
    assert row["gold"] > row["gold_chance"] + 20
    assert (row["facts"], row["supporting"]) == (8, 2)
    assert f"{row['accuracy']:.1f}" in result.stdout
    assert max(len(line.rstrip()) for line in result.stdout.splitlines()) <= 80
