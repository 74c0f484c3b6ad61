"""Aggregates of explanations whose scores are written down, against numbers worked out by hand."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch_geometric.data import Batch, Data, HeteroData
from torch_geometric.nn import GCN

import glassgraph as gg
from glassgraph.errors import ExplanationFileError, GraphError, HyperParameterError
from glassgraph.results.aggregates.aggregate import Bootstrap
from glassgraph.testing.cases import Case
from tests.results.known import known

HIGH, LOW = 0.9, 0.1


def sentences() -> list[Data]:
    """Two sentences of 4 and 3 words with 3 and 2 arcs, named by words and by numbers."""
    return [
        Data(
            x=torch.rand(4, 2),
            edge_index=torch.tensor([[0, 1, 2], [1, 2, 3]]),
            relation=["subj", "obj", "obj"],
            direction=torch.tensor([0, 1, 0]),
            words=["a", "b", "c", "d"],
            tag=torch.tensor([5, 6, 6, 5]),
        ),
        Data(
            x=torch.rand(3, 2),
            edge_index=torch.tensor([[0, 2], [1, 1]]),
            relation=["obj", "subj"],
            direction=torch.tensor([1, 1]),
            words=["e", "f", "g"],
            tag=torch.tensor([5, 5, 6]),
        ),
    ]


def explained(data: Any = None, **more: Any) -> gg.Explanations:
    """Two layers; kept (above 0.5) are subj, obj, obj at layer 0, and one subj at layer 1."""
    scores = [
        [[HIGH, LOW, HIGH], [LOW, LOW, LOW]],
        [[HIGH, LOW], [LOW, HIGH]],
    ]
    return known(data or sentences(), scores, **{"threshold": 0.5, **more})


def rows(table: pd.DataFrame, *names: str) -> list[tuple[Any, ...]]:
    return [tuple(each) for each in table[list(names)].itertuples(index=False)]


def test_counts_and_shares_are_those_worked_out_by_hand() -> None:
    table = explained().aggregate(["layer", "relation"])
    assert rows(table, "layer", "relation", "count", "instances") == [
        (0, "obj", 3, 2), (0, "subj", 2, 2), (1, "obj", 3, 2), (1, "subj", 2, 2),
    ]  # fmt: skip
    assert table.kept.tolist() == pytest.approx([2 / 3, 1 / 2, 0, 1 / 2])
    assert table.share_of_kept.tolist() == pytest.approx([2 / 4, 1 / 4, 0, 1 / 4])
    mean = [(2 * HIGH + LOW) / 3, (HIGH + LOW) / 2, LOW, (HIGH + LOW) / 2]
    assert table.mean_score.tolist() == pytest.approx(mean)


def test_by_one_attribute_of_numbers_and_by_nothing() -> None:
    table = explained().aggregate("direction")
    assert rows(table, "direction", "count") == [(0, 4), (1, 6)]
    assert table.kept.tolist() == pytest.approx([2 / 4, 2 / 6])
    whole = explained().aggregate([])
    assert whole["count"].tolist() == [10]
    assert whole.share_of_kept.tolist() == [1.0]


def test_by_what_stands_at_the_ends_of_edges() -> None:
    table = explained().aggregate(["source_tag", "destination_words"])
    assert rows(table, "source_tag", "destination_words", "count") == [
        (5, "b", 2), (5, "f", 2), (6, "c", 2), (6, "d", 2), (6, "f", 2),
    ]  # fmt: skip


def test_a_batch_and_a_list_are_the_same() -> None:
    listed, batched = explained(), explained(Batch.from_data_list(sentences()))
    by = ["layer", "relation", "source_words"]
    pd.testing.assert_frame_equal(listed.aggregate(by), batched.aggregate(by))


def test_one_graph_explained_often() -> None:
    data = sentences()[0]
    scores = [[HIGH, LOW, LOW], [LOW, HIGH, HIGH]]
    table = known(data, scores).aggregate("relation", threshold=0.5)
    assert rows(table, "relation", "count") == [("obj", 4), ("subj", 2)]
    assert table.kept.tolist() == [0.5, 0.5]


@pytest.mark.parametrize(
    "column",
    [
        [["p", "q", "q"], ["q", "p"]],
        ["p", "q", "q", "q", "p"],
        torch.tensor([0, 1, 1, 1, 0]),
        np.array([0, 1, 1, 1, 0]),
        [torch.tensor([0, 1, 1]), torch.tensor([1, 0])],
        lambda local: [local.graph == edge for edge in local.edge_id.tolist()],
    ],
)
def test_columns_of_the_user(column: Any) -> None:
    table = explained().aggregate("mine", columns={"mine": column})
    expected = [6, 4] if callable(column) else [4, 6]
    assert table["count"].tolist() == expected
    if not callable(column):
        assert table.kept.tolist() == pytest.approx([2 / 4, 2 / 6])


def test_a_function_sees_edges_in_their_order_whatever_the_order_of_instances() -> None:
    turned = explained()[::-1]
    table = turned.aggregate(["index", "id"], columns={"id": lambda local: local.edge_id})
    assert rows(table, "index", "id", "kept") == [
        (0, 0, 0.5), (0, 1, 0.0), (0, 2, 0.5), (1, 0, 0.5), (1, 1, 0.5),
    ]  # fmt: skip


def test_right_and_wrong_predictions_apart() -> None:
    found = explained(labels=[1, 0])
    table = found.aggregate(["correct"])
    assert rows(table, "correct", "count") == [(False, 4), (True, 6)]
    assert found.aggregate(["label", "predicted"])["predicted"].tolist() == [1, 1]
    half = explained(labels=[1, -1]).aggregate("correct")
    assert half["correct"].tolist() == [True, None]
    with pytest.raises(HyperParameterError, match="label"):
        explained().aggregate("correct")


def test_types_of_a_heterogeneous_graph() -> None:
    data = HeteroData(author={"x": torch.rand(2, 3)}, paper={"x": torch.rand(3, 3)})
    data["author", "writes", "paper"].edge_index = torch.tensor([[0, 1, 1], [0, 1, 2]])
    data["paper", "cites", "paper"].edge_index = torch.tensor([[0, 1], [1, 2]])
    data["paper", "cites", "paper"].year = torch.tensor([1999, 2001])
    found = known(data, [[HIGH, HIGH, LOW, LOW, HIGH]], threshold=0.5)
    table = found.aggregate("edge_type")
    assert rows(table, "edge_type", "count") == [
        ("author__writes__paper", 3), ("paper__cites__paper", 2),
    ]  # fmt: skip
    assert table.share_of_kept.tolist() == pytest.approx([2 / 3, 1 / 3])
    ends = found.aggregate(["source_type", "destination_type"])
    assert rows(ends, "source_type", "count") == [("author", 3), ("paper", 2)]
    years = found.aggregate("year")  # the other type has none
    assert rows(years, "year", "count")[:2] == [(1999, 1), (2001, 1)]
    assert years["count"].tolist() == [1, 1, 3]
    own = {("author", "writes", "paper"): ["x", "y", "y"], ("paper", "cites", "paper"): ["x", "x"]}
    assert found.aggregate("mine", columns={"mine": own})["count"].tolist() == [3, 2]


def chain(**more: Any) -> gg.Explanations:
    """0 → 1 → 2 → 3, two layers; explained is node 3, so that edge 0 is out of reach."""
    data = Data(x=torch.rand(4, 2), edge_index=torch.tensor([[0, 1, 2], [1, 2, 3]]))
    return known(data, **{"scores": [[[0, HIGH, LOW], [0, 0, HIGH]]], "seeds": [3], **more})


def test_messages_that_come_too_late_are_no_messages() -> None:
    table = chain(threshold=0.5).aggregate("layer")
    assert table["count"].tolist() == [2, 1]
    assert table.kept.tolist() == [0.5, 1.0]


def test_what_has_a_score_reaches_the_prediction_whatever_distances_say() -> None:
    backwards = chain(scores=[[[LOW, HIGH, 0], [HIGH, 0, 0]]], seeds=[0])
    assert backwards.aggregate("layer")["count"].tolist() == [2, 1]
    jumping = chain(scores=[[[HIGH, HIGH, 0], [0, 0, HIGH]]])
    assert jumping.aggregate("layer")["count"].tolist() == [3, 3]


@pytest.mark.parametrize(
    ("kind", "level"), [("gcn", "node"), ("rgcn", "node"), ("gat", "edge"), ("gin", "graph")]
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_messages_are_those_that_the_diagnoses_find_in_the_model(kind: str, level: str) -> None:
    """Two routes to one number: distances in the result, and heights of sites in the model."""
    case = Case(kind, level)
    explainer = gg.EdgeGradients(case.model(), case.task(), progress=False)
    found = explainer.explain(case.data(), case.index, case.target)
    table = found.aggregate("layer", top_share=0.3)
    knockout = gg.diagnose.layer_knockout(explainer, case.data(), explanations=found, top_share=0.3)
    assert table.share_of_kept.tolist() == pytest.approx(knockout.kept_share.tolist())
    counts = table["count"] / table["count"].sum()
    assert counts.tolist() == pytest.approx(knockout.message_share.tolist())


def test_the_best_share_of_each_prediction() -> None:
    found = chain(scores=[[[0, 0.3, 0.2], [0, 0, 0.1]]])
    assert math.isnan(found.aggregate("layer").kept[0])  # nothing says what is kept
    assert not math.isnan(found.aggregate("layer").mean_score[0])
    table = found.aggregate(["layer", "source"], top_share=0.5)  # 2 of 3 messages
    assert rows(table, "layer", "source", "kept") == [(0, 1, 1.0), (0, 2, 1.0), (1, 2, 0.0)]


def test_intervals_are_those_of_a_loop_over_draws() -> None:
    counts, kept = np.array([3, 2, 5, 1]), np.array([3, 0, 2, 1])
    rng = np.random.default_rng(7)
    draws = []
    for times in rng.multinomial(4, np.full(4, 0.25), size=50):
        drawn = np.repeat(np.arange(4), times)
        draws.append(kept[drawn].sum() / counts[drawn].sum())
    data = Data(x=torch.rand(6, 1), edge_index=torch.tensor([range(5), range(1, 6)]))
    scores = [[1.0] * k + [0.0] * (5 - k) for k in kept]
    own = [[True] * n + [False] * (5 - n) for n in counts]
    table = known(data, scores, threshold=0.5).aggregate(
        "inside", columns={"inside": _each(own)}, confidence=0.8, samples=50, seed=7
    )
    inside = table[table.inside].iloc[0]
    assert inside.kept == pytest.approx(kept.sum() / counts.sum())
    assert [inside.kept_low, inside.kept_high] == pytest.approx(np.quantile(draws, (0.1, 0.9)))
    assert inside.instances == 4


def _each(own: list[list[bool]]) -> Any:
    """A function that answers for one instance after the other."""
    answers = iter(own)
    return lambda local: next(answers)


def test_seeds_repeat_and_a_single_instance_has_no_interval() -> None:
    by = "relation"
    pd.testing.assert_frame_equal(explained().aggregate(by), explained().aggregate(by))
    one = explained()[:1].aggregate(by)
    assert np.isnan(one[["kept_low", "kept_high", "share_of_kept_low", "mean_score_high"]]).all(
        axis=None
    )
    assert one.kept.tolist() == [0.25, 0.5]


def test_the_words_of_the_data_are_stored_with_the_explanations(tmp_path: Path) -> None:
    found = explained()
    loaded = gg.Explanations.load(found.save(tmp_path / "a"))
    by = ["relation", "destination_words"]
    pd.testing.assert_frame_equal(loaded.aggregate(by), found.aggregate(by))
    empty = sentences()
    empty[1].edge_index, empty[1].relation = empty[1].edge_index[:, :0], []
    empty[1].direction = empty[1].direction[:0]
    found = known(empty, [[HIGH, LOW, LOW], []], threshold=0.5)
    loaded = gg.Explanations.load(found.save(tmp_path / "b"))
    assert loaded.aggregate("relation")["count"].tolist() == [2, 1]
    bare = gg.Explanations.load(found.save(tmp_path / "c", include_graph=False))
    with pytest.raises(ExplanationFileError, match="load"):
        bare.aggregate("relation")
    assert bare.aggregate("index").kept.tolist() == pytest.approx([1 / 3])


def test_no_explanations_make_no_rows() -> None:
    table = explained()[:0].aggregate(["layer", "relation"])
    assert len(table) == 0
    assert {"layer", "relation", "count", "kept", "mean_score_high"} <= set(table)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"by": "relatoin"}, "no column 'relatoin'.*relation"),
        ({"by": "x"}, "no column 'x'"),
        ({"by": ["layer", "layer"]}, "each once"),
        ({"by": "count"}, "column of the result"),
        ({"by": "layer", "threshold": 0.5, "top_share": 0.5}, "not both"),
        ({"by": "layer", "top_share": 1.5}, "top_share"),
        ({"by": "layer", "confidence": 1.0}, "confidence"),
        ({"by": "layer", "samples": 0}, "samples"),
        ({"by": "layer", "samples": "many"}, "samples"),
    ],
)
def test_what_cannot_be_told_is_refused(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(HyperParameterError, match=words):
        explained().aggregate(**arguments)


@pytest.mark.parametrize(
    "column", [[1, 2], torch.rand(5, 2), "word", 3, lambda local: 1, lambda local: [1, 2]]
)
def test_a_column_of_another_length_is_refused(column: Any) -> None:
    with pytest.raises(GraphError, match=r"expected one"):
        explained().aggregate("mine", columns={"mine": column})


def test_an_attribute_of_another_length_is_refused() -> None:
    with pytest.raises(GraphError, match="one value for each of the 5 edges"):
        explained().aggregate("tag")


def test_layers_need_scores_of_layers() -> None:
    found = known(sentences()[0], [[HIGH, LOW, LOW]])
    with pytest.raises(HyperParameterError, match="one score for all layers"):
        found.aggregate("layer")


def test_a_method_of_nodes_is_read_by_the_ends_of_edges() -> None:
    data = sentences()[0]
    found = gg.explain(GCN(2, 4, 2, 2), data, "saliency", task="node", index=[3], progress=False)
    table = found.aggregate("relation")
    assert table["count"].sum() == found.local(0).edge_id.numel()


def test_the_law_of_totals() -> None:
    """Groups share out all messages, and all that is kept, whatever they are made by."""
    found = explained()
    for by in (["layer"], ["relation", "direction"], ["graph", "layer"], []):
        table = found.aggregate(by)
        assert table["count"].sum() == 10
        assert table.share_of_kept.sum() == pytest.approx(1.0)
        assert (table.kept * table["count"]).sum() == pytest.approx(4)


def test_bootstrap_settings_are_checked() -> None:
    with pytest.raises(HyperParameterError):
        Bootstrap(confidence=0.0)


def test_the_page_runs_as_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = Path(__file__).parents[2] / "docs" / "aggregates.md"
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
        exec(block, names)
    assert (tmp_path / "report.html").is_file()


def test_sentences_with_a_prediction_for_each_word(tmp_path: Path) -> None:
    data, model = sentences(), GCN(2, 4, 2, 3)
    task = gg.Task("graph", rows="nodes")
    found = gg.explain(model, data, "edge_gradients", task=task, progress=False)
    table = found.aggregate(["layer", "relation"], top_share=0.5)
    assert table["count"].sum() == 2 * 5
    assert table.share_of_kept.sum() == pytest.approx(1)
    paths = found.kept_on_paths(lambda local: local.node_id == 0, top_share=1.0)
    assert paths[paths.kept == paths.length].share.tolist() == [1.0] * paths.length.nunique()
    with pytest.raises(HyperParameterError, match="rows"):
        found.aggregate("predicted", top_share=0.5)
    assert found.to_html(tmp_path, aggregates=[table, paths], layout="sentence").is_file()
