"""Semantic role labeling: its sentences, its networks and its numbers, on real sentences."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import networkx as nx
import pytest
import torch
from torch_geometric.data import Batch, Data
from torch_geometric.nn import global_add_pool
from torch_geometric.utils import to_networkx

import glassgraph as gg
from glassgraph_studies.reproduce.srl import paths, training, weights
from glassgraph_studies.reproduce.srl.bars import bars
from glassgraph_studies.reproduce.srl.messages import (
    EdgeTable,
    best_as_many,
    random_as_many,
    random_part,
    shares_by_relation,
)
from glassgraph_studies.reproduce.srl.models import RoleLabeler, Sizes
from glassgraph_studies.reproduce.srl.propbank import (
    AGAINST,
    ALONG,
    Corpus,
    Vocabulary,
    read_sentences,
)
from glassgraph_studies.reproduce.srl.scene import TASK
from glassgraph_studies.reproduce.srl.settings import LABELERS, Schedule
from glassgraph_studies.reproduce.srl.training import Counts, batches, pack
from tests.cli.helpers import run

MOST = {"train": 130, "val": 31, "test": 37}
WIDTHS = {
    "lstm": {"lstm": 7, "layers": 1, "hidden": 11, "learned": 5, "small": 3},
    "gcn": {"lstm": 0, "layers": 2, "hidden": 11, "learned": 5, "small": 3},
}
#: "Dogs chase the old cats", where "chase" has two roles and "cats" is no argument of its own.
TEXT = """\
1\tDogs\tdog\tdog\tNNS\tNNS\t_\t_\t2\t2\tnsubj\tnsubj\t_\t_\tA0
2\tchase\tchase\tchase\tVBP\tVBP\t_\t_\t0\t0\troot\troot\tY\tchase.01\t_
3\tthe\tthe\tthe\tDT\tDT\t_\t_\t5\t5\tdet\tdet\t_\t_\t_
4\told\told\told\tJJ\tJJ\t_\t_\t5\t5\tamod\tamod\t_\t_\t_
5\tcats\tcat\tcat\tNNS\tNNS\t_\t_\t2\t2\tobj\tobj\t_\t_\tA1

1\tYes\tyes\tyes\tUH\tUH\t_\t_\t0\t0\troot\troot\t_\t_
"""


@pytest.fixture(scope="module")
def corpus(shared: Path) -> Corpus:
    return Corpus.read(shared / "data", MOST)


@pytest.fixture(scope="module")
def graphs(corpus: Corpus) -> dict[str, list[Data]]:
    return {part: corpus.graphs(part) for part in MOST}


@pytest.fixture
def written(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.conll09"
    path.write_text(TEXT)
    return path


def labeler(kind: str, corpus: Corpus, **changes: Any) -> RoleLabeler:
    torch.manual_seed(3)
    sizes = Sizes.of(corpus.vocabulary, **{**WIDTHS[kind], **changes})
    model = RoleLabeler(sizes).eval()
    with torch.no_grad():
        for parameter in model.parameters():  # also those that begin at zero
            parameter.add_(0.1 * torch.randn(parameter.shape))
    return model


# Sentences


def test_a_sentence_by_hand(written: Path) -> None:
    first, second = read_sentences(written)
    assert first.words == ("Dogs", "chase", "the", "old", "cats")
    assert first.heads == (1, -1, 4, 4, 1)
    assert second.predicates == ()
    (predicate,) = first.predicates
    assert (predicate.position, predicate.lemma) == (1, "chase")
    assert predicate.roles == ("A0", "_", "_", "_", "A1")


def test_the_graph_of_a_sentence_by_hand(written: Path) -> None:
    sentences = list(read_sentences(written))
    known = Vocabulary.of(sentences)
    vectors = torch.tensor([[1.0, 2.0], [3.0, 4.0], [0.0, 0.0]])
    rows = {"dogs": 0, "old": 1}
    corpus = Corpus({"val": sentences}, known, vectors, rows, {})
    (graph,) = corpus.graphs("val")
    assert graph.x.tolist() == [[1, 2], [0, 0], [0, 0], [3, 4], [0, 0]]
    assert graph.edge_index.tolist() == [[1, 0, 4, 2, 4, 3, 1, 4], [0, 1, 2, 4, 3, 4, 4, 1]]
    names = known.relation_names()
    assert [names[kind] for kind in graph.edge_type.tolist()] == graph.relations
    assert graph.relations == ["nsubj", "nsubj", "det", "det", "amod", "amod", "obj", "obj"]
    assert graph.directions == ["along", "against"] * 4
    assert graph.words == ["Dogs", "chase", "the", "old", "cats"]
    assert (graph.edge_type % 2).tolist() == [ALONG, AGAINST] * 4
    assert [known.role_names()[role] for role in graph.y.tolist()] == ["A0", "_", "_", "_", "A1"]
    assert graph.is_predicate.tolist() == [0, 1, 0, 0, 0]
    assert graph.lemma.tolist() == [0] * 5  # "chase" stands there once: no lemma of its own


def test_what_training_has_not_met_is_number_zero(written: Path) -> None:
    first = next(read_sentences(written))
    known = Vocabulary.of([first])
    assert known.edge_type("xcomp", ALONG) == 0
    assert known.edge_type("xcomp", AGAINST) == 1
    strange = first.predicates[0].__class__(1, "chase", ("A7", "_", "_", "_", "A1"))
    other = first.__class__(first.words, first.tags, first.heads, first.relations, (strange,))
    corpus = Corpus({"val": [other]}, known, torch.zeros(1, 2), {}, {})
    (graph,) = corpus.graphs("val")
    assert graph.y.tolist() == [-1, 0, 0, 0, known.roles["A1"]]  # cannot be found, and is counted
    assert Counts.of(torch.tensor([2, 0, 0, 0, 2]), graph.y) == Counts(right=1, found=2, there=2)


@pytest.mark.parametrize(
    "broken", [TEXT.replace("\tA0", ""), TEXT.replace("\t2\t2\tobj", "\t9\t2\tobj"), "words"]
)
def test_lines_of_another_form_are_named(tmp_path: Path, broken: str) -> None:
    path = tmp_path / "broken.conll09"
    path.write_text(broken)
    with pytest.raises(gg.errors.DatasetError, match=r"broken\.conll09, line \d: \d+ columns"):
        list(read_sentences(path))


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(gg.errors.DatasetError, match=r"cannot read .*ewt-propbank-train"):
        Corpus.read(tmp_path)


def test_real_sentences_are_trees_with_one_predicate_each(
    corpus: Corpus, graphs: dict[str, list[Data]]
) -> None:
    for part, found in graphs.items():
        sentences = corpus.sentences[part]
        assert len(found) == sum(len(each.predicates) for each in sentences)
        for graph in found:
            assert int(graph.is_predicate.sum()) == 1
            assert graph.num_edges == 2 * (graph.num_nodes - 1)
            assert len(graph.words) == graph.num_nodes == len(graph.y)
            back = graph.edge_index[:, graph.edge_type % 2 == AGAINST]
            assert torch.equal(back, graph.edge_index[:, graph.edge_type % 2 == ALONG].flip(0))
    assert corpus.vectors.size(1) == 50
    assert sum(map(len, graphs.values())) > 300


# Networks


def literal_layer(layer: Any, x: torch.Tensor, graph: Data) -> torch.Tensor:
    """The formula in loops."""
    total = torch.sigmoid(layer.own_gate(x)) * layer.own(x)
    for (u, v), kind in zip(graph.edge_index.t().tolist(), graph.edge_type.tolist(), strict=True):
        d = kind % 2
        gate = torch.sigmoid(x[u] @ layer.gate_by_direction[d] + layer.gate_by_type.weight[kind, 0])
        value = layer.by_direction[d].weight @ x[u] + layer.by_type.weight[kind]
        total[v] = total[v] + gate * value
    return total.relu()


@pytest.mark.parametrize("kind", WIDTHS)
def test_the_network_is_the_formula(kind: str, corpus: Corpus, graphs: Any) -> None:
    model = labeler(kind, corpus).double()
    graph = max(graphs["val"], key=lambda each: each.num_nodes)
    given = {**pack([graph]), "x": graph.x.double()}
    x = torch.cat(
        [given["x"], model.word(graph.word), model.tag(graph.tag),
         model.flag(graph.is_predicate), model.lemma(graph.lemma)], dim=1,
    )  # fmt: skip
    if kind == "lstm":
        x = model.lstm(x.unsqueeze(0))[0].squeeze(0)
    for layer, gates in zip(model.layers, model.soft_gates(**given), strict=True):
        state = x[graph.edge_index[0]]
        torch.testing.assert_close(gates, layer.gate(state, graph.edge_type))
        x = literal_layer(layer, x, graph)
    torch.testing.assert_close(model(**given), model.out(x))


@pytest.mark.parametrize("kind", WIDTHS)
def test_sentences_side_by_side_leave_each_other_alone(
    kind: str, corpus: Corpus, graphs: Any
) -> None:
    model = labeler(kind, corpus).double()
    some = [copy.copy(graph) for graph in graphs["train"][:13]]
    for graph in some:
        graph.x = graph.x.double()
    together = model(**pack(some))
    alone = [model(**pack([graph])) for graph in some]
    torch.testing.assert_close(together, torch.cat(alone))
    without_batch = {name: value for name, value in pack(some[:1]).items() if name != "batch"}
    torch.testing.assert_close(model(**without_batch), alone[0])


def test_packing_is_what_pyg_packs(graphs: Any) -> None:
    some = graphs["val"][:7]
    batch = Batch.from_data_list(some)
    for name, value in pack(some).items():
        assert torch.equal(value, batch[name]), name


@pytest.mark.parametrize("kind", WIDTHS)
def test_the_library_sees_a_message_for_every_edge_and_layer(
    kind: str, corpus: Corpus, graphs: Any
) -> None:
    model = labeler(kind, corpus)
    graph = graphs["val"][0]
    gates = model.soft_gates(**pack([graph]))
    assert gates.shape == (WIDTHS[kind]["layers"], graph.num_edges)
    assert bool(((gates > 0) & (gates < 1)).all())

    def pooled(model: Any, data: Any) -> torch.Tensor:
        given = {name: data[name] for name in (*training.NODE_INPUTS, "edge_index", "edge_type")}
        return global_add_pool(model(**given, batch=data.batch), data.batch)

    explainer = gg.EdgeGradients(model, "graph", call=pooled, progress=False)
    explanation = explainer.explain(graphs["val"][:1])[0]
    assert explanation.layer_edge_mask.shape == (WIDTHS[kind]["layers"], graph.num_edges)


# Training


def test_f1_against_hand_counts() -> None:
    role = torch.tensor([1, 0, 2, 2, 0, -1])
    predicted = torch.tensor([1, 3, 2, 1, 0, 0])
    counts = Counts.of(predicted, role)
    assert counts == Counts(right=2, found=4, there=4)
    assert counts.f1 == pytest.approx(50)
    assert (counts + Counts(1, 1, 1)).f1 == pytest.approx(60)
    assert Counts().f1 == 0.0
    scores = torch.nn.functional.one_hot(predicted, 4).float()
    assert training.role_f1(scores, SimpleNamespace(y=role)) == pytest.approx(50)


def test_batches_hold_every_graph_once_and_like_lengths(graphs: Any) -> None:
    found = graphs["train"]
    for generator in (None, torch.Generator().manual_seed(5)):
        parts = list(batches(found, 211, generator))
        assert sorted(number for part in parts for number in part) == list(range(len(found)))
        sizes = [[found[number].num_nodes for number in part] for part in parts]
        assert max(map(sum, sizes)) <= 211 + 60
        assert sum(max(each) - min(each) for each in sizes) <= 3 * len(sizes) + 60


@pytest.mark.parametrize("kind", WIDTHS)
def test_a_labeler_learns_and_comes_back_from_its_file(
    kind: str, corpus: Corpus, graphs: Any, tmp_path: Path
) -> None:
    some = graphs["val"][:13]
    wider = {"hidden": 32, "dropout": 0.0, **({"lstm": 16} if kind == "lstm" else {})}
    sizes = Sizes.of(corpus.vocabulary, **{**WIDTHS[kind], **wider})
    schedule = Schedule(epochs=30, learning_rate=0.02, tokens=150)
    calls = []

    def train() -> training.Trained:
        calls.append(1)
        return training.train_labeler(sizes, some, some, schedule, progress=False)

    path = tmp_path / "new" / "labeler.safetensors"
    trained = weights.trained_or_read(path, {"epochs": 12}, sizes, train)
    assert len(trained.history) == 30
    assert trained.history[-1] > 40
    again = weights.trained_or_read(path, {"epochs": 12}, sizes, train)
    assert len(calls) == 1
    assert again.history == trained.history
    given = pack(graphs["val"][:5])
    assert torch.equal(again.model(**given), trained.model(**given))
    with pytest.raises(gg.errors.WeightsError, match="holds another labeler"):
        weights.trained_or_read(path, {"epochs": 13}, sizes, train)
    path.write_text("nothing")
    with pytest.raises(gg.errors.WeightsError, match="no readable safetensors file"):
        weights.trained_or_read(path, {"epochs": 12}, sizes, train)


def test_training_leaves_the_random_state_alone(corpus: Corpus, graphs: Any) -> None:
    sizes = Sizes.of(corpus.vocabulary, **WIDTHS["gcn"])
    before = torch.get_rng_state()
    runs = [
        training.train_labeler(
            sizes, graphs["val"], graphs["val"], Schedule(epochs=1), progress=False
        )
        for _ in range(2)
    ]
    assert torch.equal(before, torch.get_rng_state())
    for name, value in runs[0].model.state_dict().items():
        assert torch.equal(value, runs[1].model.state_dict()[name]), name


# Messages


def table_of(written: Path) -> tuple[EdgeTable, list[Data]]:
    sentences = list(read_sentences(written))
    known = Vocabulary.of(sentences)
    corpus = Corpus({"val": sentences}, known, torch.zeros(1, 2), {}, {})
    graphs = corpus.graphs("val") * 2
    return EdgeTable.of(graphs, known), graphs


def test_shares_by_relation_by_hand(written: Path) -> None:
    table, graphs = table_of(written)
    assert list(table.kind) == ["verb", "verb"]
    assert table.graph.tolist() == [0] * 8 + [1] * 8

    class Chosen(gg.Explainer):
        """Scores what the test wants to be kept."""

        name = "chosen"
        traits = gg.Traits(family="baseline", scores=("edge", "layer edge"))
        threshold = 0.5

        def attribute(self, batch: Any) -> gg.Attribution:
            kept = torch.zeros(2, 16)
            kept[0, 0] = kept[1, 0] = kept[1, 8] = 1.0  # nsubj, along: 3 of 4
            kept[0, 7] = 1.0  # obj, against: 1 of 4
            score = kept[:, batch.fields.edge]
            return gg.Attribution(edge=score.amax(dim=0), layer_edge=score)

    torch.manual_seed(1)
    model = RoleLabeler(Sizes(9, 9, 9, 20, 4, lstm=0, layers=2, hidden=5, given=2))
    explanations = Chosen(model.eval(), TASK, progress=False).explain(graphs)
    rows = list(shares_by_relation(table, explanations))
    assert sum(row["n"] for row in rows) == 32
    found = {(row["relation"], row["direction"]): row for row in rows if row["kept"]}
    assert set(found) == {("nsubj", "along"), ("obj", "against")}
    subject = found["nsubj", "along"]
    assert (subject["kind"], subject["n"], subject["kept"]) == ("verb", 4, 3)
    assert (subject["of_type"], subject["of_kept"]) == (0.75, 0.75)
    assert subject["of_type_low"] <= 0.75 <= subject["of_type_high"]
    assert subject["of_all"] == 4 / 32


def test_as_many_random_messages_of_each_graph() -> None:
    generator = torch.Generator().manual_seed(2)
    graph = torch.tensor([0, 0, 0, 1, 1, 2, 2, 2])
    kept = torch.tensor([[1, 0, 0, 1, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0, 0, 0]]).bool()
    shut = random_as_many(~kept, kept, graph, generator)
    assert not bool((shut & kept).any())
    assert torch.bincount(graph.repeat(2)[shut.flatten()], minlength=3).tolist() == [2, 1, 0]
    score = torch.arange(16.0).view(2, 8)
    best = best_as_many(score, torch.ones_like(kept), kept, graph)
    assert best.nonzero().tolist() == [[1, 1], [1, 2], [1, 4]]
    half = random_part(kept | shut, 0.5, generator)
    assert int(half.sum()) == 3
    assert not bool((half & ~(kept | shut)).any())


# Paths


def test_the_way_along_the_tree_by_hand(written: Path) -> None:
    _, graphs = table_of(written)
    graphs = graphs[:1]
    graphs[0].y = torch.tensor([1, 0, 1, 0, 1])  # Dogs, the, cats
    kept = torch.zeros(1, 8, dtype=torch.bool)
    kept[0, 3] = True  # from "the" to "cats"
    found = list(paths.role_paths(graphs, kept))
    assert [(path.length, path.kept, path.distance) for path in found] == [
        (1, 0, 1),
        (2, 1, 1),
        (1, 0, 3),
    ]
    rows = {row["length"]: row for row in paths.by_length(found, ["verb"])}
    assert (rows[1]["n"], rows[1]["kept_0"], rows[1]["kept_1"]) == (2, 2, 0)
    assert (rows[2]["n"], rows[2]["kept_1"], rows[3]["n"]) == (1, 1, 0)
    near = {row["distance"]: row for row in paths.by_distance(found, ["verb"])}
    assert list(near) == ["1", "2", "3-4", "5-8", "9+"]
    assert (near["1"]["n"], near["1"]["kept"], near["3-4"]["n"]) == (2, 1, 1)


def test_paths_of_real_sentences_are_shortest_paths(graphs: Any) -> None:
    some = graphs["val"]
    kept = torch.ones(1, sum(graph.num_edges for graph in some), dtype=torch.bool)
    found = list(paths.role_paths(some, kept))
    assert len(found) > 80
    for path in found:
        assert path.kept == path.length
    lengths = iter(found)
    for graph in some:
        tree = to_networkx(graph, to_undirected=True)
        predicate = int(graph.is_predicate.argmax())
        for token in (graph.y != 0).nonzero().squeeze(1).tolist():
            if token != predicate:
                expected = nx.shortest_path_length(tree, predicate, token)
                assert next(lengths).length == expected


# The command


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.slow("each step of it stands above; commands: test_runner.py")
def test_the_command_on_a_few_real_sentences(shared: Path, tmp_path: Path) -> None:
    words = (
        "reproduce", "srl", "--root", shared / "data", "--model", "gcn", "--seeds", 2, "--small",
        "--cache", tmp_path / "cache", "--json", tmp_path / "rows.json",
    )  # fmt: skip
    result = run(*words, "--figure", tmp_path / "figure.png", "--html", tmp_path / "pages")
    assert result.exit_code == 0, result.output
    assert max(map(len, result.stdout.splitlines())) <= 80
    rows = json.loads((tmp_path / "rows.json").read_text())
    check_rows(rows)
    for title in ("Labelers", "Table 5", "Fleiss", "Figure 8", "Table 3", "Figure 4", "Whose kept"):
        assert title in result.stdout
    assert "83.1/74.4" not in result.stdout
    assert {"74.4", "83.8"} <= set(result.stdout.split())  # published
    assert ": gcn: F1 on test: " in result.stderr
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")
    (page,) = (tmp_path / "pages").iterdir()
    assert page.name == "srl-gcn.html"
    assert all(word in page.read_text() for word in ('"nsubj"', "AM-TMP", "[use]"))
    learned = {path.name for path in (tmp_path / "cache").iterdir()}
    assert learned == {
        "srl-gcn.safetensors", "srl-gcn-graphmask-0.safetensors", "srl-gcn-graphmask-1.safetensors",
    }  # fmt: skip
    again = run(*words, "--quiet")
    assert again.exit_code == 0, again.output
    for first, second in zip(rows, json.loads((tmp_path / "rows.json").read_text()), strict=True):
        assert strip(first) == strip(second)  # nothing was learned anew


def strip(row: dict[str, Any]) -> dict[str, Any]:
    """A row without times."""
    return {name: value for name, value in row.items() if name not in ("seconds", "cpu_seconds")}


def check_rows(rows: list[dict[str, Any]]) -> None:
    """What must hold between the numbers of any run."""
    by_table: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        by_table.setdefault(row["table"], []).append(row)
    (labeler,) = by_table["labeler"]
    assert labeler["f1"] > 25
    assert sum(row["is_chosen"] for row in by_table["tolerance"]) == 1
    for row in by_table["graphmask"]:
        assert row["before"] == labeler["f1"]
        assert 0 < row["kept"] < 1
        assert row["kept"] == pytest.approx(sum(row["by_layer"]) / 2)
    for row in by_table["shares"]:
        mask = by_table["graphmask"][row["seed"]]
        if row["share"] == 1:
            assert row["masked"] == pytest.approx(mask["f1"])
            assert row["without_kept"] == row["without_shut"] == pytest.approx(labeler["f1"])
    methods = {row["method"]: row for row in by_table["method"]}
    share = methods["graphmask"]["kept"]
    assert all(row["kept"] == share for name, row in methods.items() if not name.endswith("thing"))
    assert methods["everything"]["f1_zero"] == methods["everything"]["f1_baseline"]
    first = by_table["graphmask"][0]
    kept = sum(row["kept"] for row in by_table["relation"])
    number = sum(row["n"] for row in by_table["relation"])
    assert kept / number == pytest.approx(first["kept"])
    for row in by_table["path"]:
        for cell in ("kept", "random_kept"):
            assert sum(row[f"{cell}_{kept}"] for kept in range(3)) == row["n"]
    assert all(row["random_kept"] <= row["n"] for row in by_table["distance"])
    soft = {row["what"]: row for row in by_table["soft"]}
    assert soft["as many as GraphMask"]["kept"] == soft["GraphMask"]["kept"] == first["kept"]
    assert soft["GraphMask"]["f1_baseline"] == pytest.approx(first["f1"])


def test_mistakes_are_one_line_before_anything_is_trained(tmp_path: Path) -> None:
    for words, message in (
        (["--root", tmp_path], "cannot read"),
        (["--root", tmp_path, "--model", "bert"], "must be one of lstm, gcn"),
        (["--model", "gcn"], "--root"),
    ):
        result = run("reproduce", "srl", *words)
        assert result.exit_code == 2
        assert message in result.stderr


# Bars

GOOD = [
    {"table": "labeler", "f1": 80.0, "train_seconds": 700.0, "train_cpu_seconds": 600.0},
    *(
        {"table": "graphmask", "change": change, "kept": 0.15, "seconds": 95.0, "cpu_seconds": 90.0}
        for change in (-0.5, -1.5)
    ),
    *(
        {"table": "shares", "share": share, "masked": masked, "without_shut": shut}
        for share, masked, shut in ((1.0, 80.0, 81.0), (0.75, 74.0, 80.75), (0.5, 60.0, 81.25))
    ),
    {"table": "kappa", "layer": 0, "kappa": 0.75, "seeds": 5},
    *(
        {"table": "relation", "kind": "verb", "relation": name, "kept": kept}
        for name, kept in (("obl", 9), ("obj", 5), ("obj", 3), ("nsubj", 7), ("det", 1))
    ),
]
BROKEN = {
    "F1 on test": ("labeler", {"f1": 79.9}),
    "seconds of training": ("labeler", {"train_cpu_seconds": 601.0}),
    "change of F1": ("graphmask", {"change": -1.6}),
    "percent kept": ("graphmask", {"kept": 0.16}),
    "seconds of a fit": ("graphmask", {"cpu_seconds": 91.0}),
    "a quarter of the kept": ("shares", {"masked": 75.0}),
    "as many shut ones": ("shares", {"without_shut": 80.0}),
    "kappa": ("kappa", {"kappa": 0.74}),
    "dependency types of verbs": ("relation", {"kept": 8}),
}


def test_every_bar_is_reached_at_the_bar() -> None:
    found = list(bars([{"model": "lstm", **row} for row in GOOD]))
    assert [bar.name for bar in found if not bar.is_met] == []
    assert len(found) == len(BROKEN)


@pytest.mark.parametrize("name", BROKEN)
def test_a_bar_is_missed_beyond_it(name: str) -> None:
    table, change = BROKEN[name]
    rows = [{"model": "lstm", **row} for row in GOOD]
    last = [row for row in rows if row["table"] == table][-1 if name != "as many shut ones" else 1]
    last.update(change)
    if name == "a quarter of the kept":
        rows = [row if row.get("share") != 0.75 else {**row, "masked": 74.1} for row in rows]
    (missed,) = [bar for bar in bars(rows) if not bar.is_met]
    assert name in missed.name


def test_published_numbers_are_those_of_the_paper() -> None:
    found = {name: each.published for name, each in LABELERS.items()}
    assert {name: (p.f1, p.change, p.kept, p.kappa) for name, p in found.items()} == {
        "lstm": (87.1, -0.62, 4, 0.79),
        "gcn": (83.8, -0.79, 16, 0.74),
    }
    for published in found.values():
        assert published.shares[0] == pytest.approx(published.f1 + published.change, abs=0.15)
        assert all(sum(cells) == pytest.approx(1) for cells in published.paths.values())
