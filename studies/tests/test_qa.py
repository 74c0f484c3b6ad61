"""The question answering study: questions and graphs by hand, and a small version on real text."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch_geometric.data import Batch, Data

import glassgraph as gg
from glassgraph.errors import DatasetError, OutputError
from glassgraph_studies.reproduce.qa import experiment as study
from glassgraph_studies.reproduce.qa import figure, structure
from glassgraph_studies.reproduce.qa.graphs import (
    COMPLEMENT,
    DOC,
    MATCH,
    MOST_CANDIDATES,
    Vectors,
    find_mentions,
    make_graph,
    tokens,
)
from glassgraph_studies.reproduce.qa.masked import Masked
from glassgraph_studies.reproduce.qa.network import (
    EntityGCN,
    MatrixEntityGCN,
    best_of_candidates,
)
from glassgraph_studies.reproduce.qa.questions import TYPES, Chains, Question, read_wikihop
from glassgraph_studies.reproduce.qa.study import bars
from glassgraph_studies.reproduce.qa.training import accuracy, teach
from tests.cli.helpers import run

VECTORS = Vectors(
    {word: number for number, word in enumerate(("the", "film", "by", "ann", "rome", "oslo"))},
    torch.eye(6),
)
#: The Film is by Ann Lee, who was born in Rome; Ann Lee's page does not say her name.
QUESTION = Question(
    subject="The Film (1949)",
    relations=("director", "place of birth"),
    bridge="Ann Lee",
    answer="Rome",
    candidates=("Oslo", "Rome"),
    pages=(
        ("The Film (1949)", "The Film was made by Ann Lee."),
        ("Ann Lee", "She came from Rome, not Oslo."),
    ),
)


@pytest.fixture(scope="module")
def reading(shared: Path) -> study.Reading:
    return study.Reading.read(shared / "data", draws=1)


# Questions


def test_no_page_of_a_test_question_was_seen_in_training(shared: Path) -> None:
    chains = Chains.read(shared / "data" / "twowiki_chains")
    parts = chains.split()
    pages = {
        part: {title for q in chains.questions(own) for title, _ in q.pages}
        for part, own in parts.items()
    }
    assert sum(map(len, parts.values())) == len(chains.chains) == 1043
    assert 0.23 < len(parts["test"]) / 1043 <= 0.25
    for one, other in (("train", "val"), ("train", "test"), ("val", "test")):
        assert pages[one].isdisjoint(pages[other])


def test_distractors_ask_the_same_and_candidates_are_of_the_answers_type(shared: Path) -> None:
    chains = Chains.read(shared / "data" / "twowiki_chains")
    part = chains.split()["val"]
    by_subject = {(each.subject, each.relations): each for each in part}
    for question in chains.questions(part):
        titles = [title for title, _ in question.pages]
        last = question.relations[-1]
        others = [each for each in by_subject.values() if each.relations[-1] == last]
        subjects = {each.subject for each in others} & set(titles)
        assert question.subject in subjects
        assert {question.bridge, question.subject} <= set(titles)
        assert len(titles) == len(set(titles)) <= 8
        assert len(titles) == 2 or len(subjects) >= 2
        assert question.answer in question.candidates
        assert len(question.candidates) >= 2
        kind = TYPES.get(last, last)
        stated = {
            thing
            for title in titles
            for relation, thing in chains.facts.get(title, ())
            if TYPES.get(relation, relation) == kind
        }
        assert stated <= set(question.candidates)


def test_a_question_in_wikihops_format(tmp_path: Path) -> None:
    row = {
        "id": "WH", "query": "place_of_birth the film", "supports": ["From Rome."],
        "candidates": ["oslo", "rome"], "answer": "rome",
    }  # fmt: skip
    (tmp_path / "dev.json").write_text(json.dumps([row]))
    (question,) = read_wikihop(tmp_path / "dev.json")
    assert question.relations == ("place of birth",)
    assert question.subject == "the film"
    assert question.pages == (("", "From Rome."),)
    with pytest.raises(DatasetError, match="there is no file"):
        read_wikihop(tmp_path / "train.json")


# Graphs


def test_years_that_lost_a_space_are_words_of_their_own() -> None:
    assert tokens("(21 March 192011 January 2010)") == (
        "(", "21", "march", "1920", "11", "january", "2010", ")",
    )  # fmt: skip


def test_the_longest_name_counts_and_every_page_has_its_title() -> None:
    found = find_mentions(replace(QUESTION, candidates=("Ann", "Rome", "Oslo")))
    assert [(each.page, " ".join(each.name)) for each in found] == [
        (0, "the film"), (0, "ann lee"), (1, "ann lee"), (1, "rome"), (1, "oslo"),
    ]  # fmt: skip
    assert found[1].before == ("was", "made", "by")
    assert found[2].before == ()
    assert found[2].after == ("she", "came", "from")


def test_the_graph_of_a_question_by_hand() -> None:
    graph = make_graph(QUESTION, VECTORS)
    assert graph.name == ["the film", "ann lee", "ann lee", "rome", "oslo"]
    assert graph.candidate.tolist() == [-1, -1, -1, 1, 0]
    assert graph.y.tolist() == [1]
    expected = {
        DOC: {(0, 1), (1, 0), *((i, j) for i in (2, 3, 4) for j in (2, 3, 4) if i != j)},
        MATCH: {(1, 2), (2, 1)},
    }
    everything = {(i, j) for i in range(5) for j in range(5) if i != j}
    expected[COMPLEMENT] = everything - expected[DOC] - expected[MATCH]
    for relation, pairs in expected.items():
        own = graph.edge_index[:, graph.edge_type == relation].t().tolist()
        assert sorted(map(tuple, own)) == sorted(pairs)
    width = VECTORS.width
    means = graph.x[1, : 3 * width].view(3, width)
    assert means[0].tolist() == [0, 0, 0, 1, 0, 0]  # of ann lee: ann, since lee has no vector
    assert means[1].tolist() == [0, 0, 1, 0, 0, 0]  # of was made by: by
    assert graph.x[:, -3:].tolist() == [
        [1, 0, 1], [0, 0, 1], [0, 0, 1], [0, 1, 0], [0, 1, 0],
    ]  # fmt: skip


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="glove_small"):
        study.Reading.read(tmp_path)
    result = run("reproduce", "qa", "--root", tmp_path)
    assert result.exit_code == 2
    assert "there is no file" in result.stderr


# Networks


def test_a_candidate_has_the_score_of_its_best_mention() -> None:
    score = torch.tensor([0.3, 0.9, 0.4, 0.7, 0.1])
    candidate = torch.tensor([1, 0, 1, -1, 0])
    found = best_of_candidates(score, candidate, torch.tensor([0, 0, 0, 1, 1]))
    assert found.shape == (2, MOST_CANDIDATES)
    assert found[:, :2].tolist() == torch.tensor([[0.9, 0.4], [0.1, -1e4]]).tolist()
    assert bool((found[:, 2:] == -1e4).all())


def test_the_matrix_form_is_the_same_network_also_in_batches(reading: study.Reading) -> None:
    graphs = reading.graphs["val"][:5]
    torch.manual_seed(0)
    network = EntityGCN(reading.width, width=13).eval().double()
    matrix = MatrixEntityGCN(reading.width, width=13).eval().double()
    matrix.load_state_dict(network.state_dict())

    def outputs(model: EntityGCN, data: Data, batch: Tensor | None = None) -> Tensor:
        return model(data.x.double(), data.edge_index, data.edge_type, data.candidate, batch)

    together: Any = Batch.from_data_list(list(graphs))
    expected = torch.cat([outputs(network, graph) for graph in graphs])
    for model in (network, matrix):
        torch.testing.assert_close(outputs(model, together, together.batch), expected)


@pytest.mark.slow("the network itself: test_the_matrix_form_is_the_same_network_also_in_batches")
def test_messages_are_needed_and_what_is_kept_can_be_run_again(reading: study.Reading) -> None:
    torch.manual_seed(0)
    blind, network = EntityGCN(reading.width, 0), EntityGCN(reading.width, 3)
    for model in (blind, network):
        teach(model, reading.train, reading.graphs["val"], epochs=6)
    test = reading.graphs["test"]
    assert accuracy(blind, test) < 0.4
    assert accuracy(network, test) > 0.9
    explainer = gg.EdgeGradients(network, study.TASK, progress=False)
    masked = Masked.of(explainer, test[:3])
    assert masked.accuracy() == 100 * accuracy(network, test[:3])
    is_open = torch.ones_like(masked.kept)
    is_open[0, masked.relation == COMPLEMENT] = False
    found = explainer.predict(masked.graphs, masked.explanations, keep=is_open)
    assert int(found.num_open.sum()) == int(is_open.sum())
    half = masked.random_share(0.5, torch.Generator().manual_seed(0))
    assert bool((masked.kept | ~half).all())
    assert int(half.sum()) == round(int(masked.kept.sum()) / 2)
    assert int(masked.sent.sum()) == masked.kept.numel()


# What is kept


def asked(*kept: tuple[int, int, int]) -> structure.Asked:
    """The question with some messages kept: layer, sender, receiver."""
    graph = make_graph(QUESTION, VECTORS)
    pairs = graph.edge_index.t().tolist()
    mask = torch.zeros(3, len(pairs), dtype=torch.bool)
    for layer, source, destination in kept:
        mask[layer, pairs.index([source, destination])] = True
    return structure.Asked(QUESTION, graph, mask, 1)


def test_the_chain_is_kept_in_its_order_only() -> None:
    chain = [(0, 0, 1), (1, 1, 2), (2, 2, 3)]
    assert asked(*chain).has_chain() is True
    for broken in range(3):
        assert asked(*(each for each in chain if each[0] != broken)).has_chain() is False
    assert asked((1, 0, 1), (0, 1, 2), (2, 2, 3)).has_chain() is False
    assert asked((0, 0, 1), (1, 1, 2), (2, 2, 4)).has_chain() is False  # to Oslo
    silent = replace(QUESTION, answer="Bergen", candidates=("Bergen", "Rome"))
    graph = make_graph(silent, VECTORS)
    nothing = torch.zeros(3, graph.num_edges, dtype=torch.bool)
    assert structure.Asked(silent, graph, nothing, 0).has_chain() is None
    one, other = asked(*chain), structure.Asked(silent, graph, nothing, 0)
    assert structure.chains([one, one, other]) == structure.Share(2, 2)


def test_paths_from_the_subject_inverse_pairs_and_the_answer() -> None:
    found = asked((0, 0, 1), (0, 3, 2), (1, 1, 2), (1, 2, 1), (2, 2, 3), (2, 4, 3))
    assert structure.paths([found], 3) == [
        structure.Share(1, 2), structure.Share(1, 2), structure.Share(1, 2),
    ]  # fmt: skip
    assert structure.inverse_pairs([found], 3) == [
        structure.Share(0, 2), structure.Share(2, 2), structure.Share(0, 2),
    ]  # fmt: skip
    assert found.targets_answer()
    assert not asked((0, 0, 3), (2, 3, 4)).targets_answer()
    assert structure.leaves_subject([found, asked((0, 1, 2))]) == structure.Share(1, 2)
    assert structure.leaves_subject([found], 1) == structure.Share(0, 1)
    assert structure.Share(0, 0).percent is None


def test_the_figure_shows_pages_words_and_layers(tmp_path: Path) -> None:
    found = asked((0, 0, 1), (1, 1, 2), (2, 2, 3))
    drawn = figure.draw_question(found)
    assert drawn.get_suptitle() == "place of birth of director of The Film (1949)?"
    panels = drawn.axes
    assert [ax.get_title(loc="left") for ax in panels] == ["layer 0", "layer 1", "layer 2"]
    words = [text.get_text() for text in panels[0].texts if text.get_text()]
    assert words == ["the film", "ann lee", "ann lee", "rome", "oslo"]
    figure.save_figure([found], tmp_path / "new" / "question.svg")
    assert "<svg" in (tmp_path / "new" / "question.svg").read_text()
    with pytest.raises(OutputError, match="cannot write"):
        figure.save_figure([found], tmp_path)


# The command


def test_bars_take_the_worst_seed() -> None:
    rows = [
        {"table": "accuracy", "layers_0": 30.0, "layers_3": 95.0},
        {"table": "accuracy", "layers_0": 36.0, "layers_3": 93.0},
        {
            "table": "graphmask", "form": "list", "change": -0.5, "kept": 11.0, "complement": 3.0,
            "chain": 99.0,
        },
        {"table": "graphmask", "form": "matrix", "change": -9.0},
        {"table": "shares", "share": 100.0, "accuracy": 90.0},
        {"table": "shares", "share": 75.0, "accuracy": 72.0},
        {"table": "agreement", "layer": "all", "kappa": 0.61},
    ]  # fmt: skip
    assert [(round(found, 2), is_met) for _, found, is_met in bars(rows)] == [
        (93.0, False), (36.0, False), (-0.5, True), (11.0, True), (3.0, True), (99.0, True),
        (18.0, False), (0.61, True),
    ]  # fmt: skip


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.slow("commands: test_runner.py")
def test_the_command_prints_every_table(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = {"integrated gradients": ("integrated_gradients", {"on": "messages", "steps": 2})}
    monkeypatch.setattr(study, "METHODS", quick)
    monkeypatch.setattr(study, "TOLERANCES", (1e9,))
    result = run(
        "reproduce", "qa", "--root", shared / "data", "--seeds", 1, "--epochs", 1, "--steps", 2,
        "--agreeing", 2, "--questions", 4, "--quiet", "--json", tmp_path / "rows.json",
        "--figure", tmp_path / "question.png",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    rows = json.loads((tmp_path / "rows.json").read_text())
    tables = {row["table"] for row in rows}
    assert tables == {
        "accuracy", "graphmask", "relations", "needed", "shares", "layers", "structure",
        "agreement", "further",
    }  # fmt: skip
    summary = next(row for row in rows if row["table"] == "graphmask")
    own = [row for row in rows if row["table"] == "relations" and row["form"] == "list"]
    sent = sum(row["n"] for row in own)
    assert summary["kept"] == pytest.approx(sum(row["kept"] * row["n"] for row in own) / sent)
    assert sum(row["of_kept"] for row in own) == pytest.approx(100.0)
    assert [row["dataset"] for row in rows if row["table"] == "further"] == [
        "WikiHop", "2Wiki", "2Wiki, new pages",
    ]  # fmt: skip
    assert max(len(line.rstrip()) for line in result.stdout.splitlines()) <= 80
    for published in ("59.0", "31.9", "58.6", "55.7", "92.7", ".65"):
        assert published in result.stdout
    assert "MISSED: accuracy with three layers" in result.stderr + result.stdout
    assert (tmp_path / "question.png").read_bytes().startswith(b"\x89PNG")
