"""Tables behind summary plots: means that a reader can add up."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch_geometric.data import Data, HeteroData

import glassgraph as gg
from glassgraph.errors import ExplanationFileError, HyperParameterError, UnknownMetricError
from tests.results.known import known

#: Two instances over a path of three nodes with two features.
SCORES = [[[1.0, -2.0], [3.0, 0.0], [0.0, 0.0]], [[-1.0, 0.0], [0.0, 0.0], [2.0, -6.0]]]
VALUES = [[10.0, 20.0], [30.0, 40.0], [50.0, 60.0]]


def with_nodes(found: gg.Explanations, **columns: torch.Tensor) -> gg.Explanations:
    """The same explanations with further scores."""
    return replace(found, parts=[replace(found.parts[0], **columns)], _where=[])


def featured(scores: Any = SCORES, **more: Any) -> gg.Explanations:
    data = Data(
        x=torch.tensor(VALUES),
        edge_index=torch.tensor([[0, 1], [1, 2]]),
        kind=["a", "b", "a"],
    )
    found = known(data, [[1.0, 2.0], [-3.0, 5.0]], seeds=[1, 2], **more)
    return with_nodes(found, feature_score=torch.tensor(scores).flatten(0, 1))


def test_the_importance_of_a_feature_is_its_mean_magnitude_over_all_nodes() -> None:
    table = featured().importance("feature")
    assert table["feature"].tolist() == ["feature 0", "feature 1"]
    assert table["mean_score"].tolist() == pytest.approx([7 / 6, 8 / 6])
    assert table["count"].tolist() == [6, 6]
    assert table["instances"].tolist() == [2, 2]
    frame = featured().features_frame()
    by_hand = frame["score"].abs().groupby(frame["feature"]).mean()
    assert table["mean_score"].tolist() == pytest.approx(by_hand.tolist())


def test_per_prediction_scores_of_nodes_are_summed_first() -> None:
    table = featured().importance("feature", per="prediction")
    # Feature 0: |1 + 3| and |-1 + 2|; feature 1: |-2| and |-6|.
    assert table["mean_score"].tolist() == pytest.approx([2.5, 4.0])
    signed = featured().importance("feature", per="prediction", ranking="signed")
    assert signed["mean_score"].tolist() == pytest.approx([2.5, -4.0])


def test_intervals_of_features_lie_between_their_instances() -> None:
    table = featured().importance("feature", per="prediction")
    assert table[["mean_score_low", "mean_score_high"]].to_numpy().tolist() == [[1, 4], [2, 6]]


def test_features_apart_for_right_and_wrong_predictions() -> None:
    table = featured(labels=[1, 0]).importance(["feature", "correct"])
    assert table[["feature", "correct"]].to_numpy().tolist() == [
        ["feature 0", False],
        ["feature 0", True],
        ["feature 1", False],
        ["feature 1", True],
    ]
    assert table["mean_score"].tolist() == pytest.approx([1.0, 4 / 3, 2.0, 2 / 3])
    assert table["mean_score_low"].isna().all()  # each group lies within one instance


def test_rows_say_which_feature_had_which_value() -> None:
    frame = featured().features_frame()
    assert list(frame) == ["position", "index", "graph", "node", "feature", "value", "score"]
    assert frame["value"].tolist() == [10, 20, 30, 40, 50, 60] * 2
    assert frame["score"].tolist() == np.array(SCORES).flatten().tolist()
    assert frame["node"].tolist() == [0, 0, 1, 1, 2, 2] * 2
    assert frame["index"].tolist() == [1] * 6 + [2] * 6


def test_rows_of_predictions_have_sums_of_scores_and_means_of_values() -> None:
    frame = featured().features_frame(per="prediction")
    assert "node" not in frame
    assert frame["score"].tolist() == [4, -2, 1, -6]
    assert frame["value"].tolist() == [30, 40] * 2


def test_only_the_most_important_features() -> None:
    frame = featured().features_frame(max_features=1)
    assert frame["feature"].unique().tolist() == ["feature 1"]
    assert len(featured().features_frame(max_features=9)) == 12


def test_a_part_of_a_set_counts_alone() -> None:
    part = featured()[1:]
    assert part.importance("feature")["mean_score"].tolist() == pytest.approx([1.0, 2.0])
    assert part.features_frame()["index"].unique().tolist() == [2]


def test_nodes_by_what_the_data_say_of_them() -> None:
    found = with_nodes(featured(), node_score=torch.tensor([1.0, -2.0, 3.0, 0.0, 4.0, -5.0]))
    table = found.importance("kind")
    assert table["kind"].tolist() == ["a", "b"]
    assert table["mean_score"].tolist() == pytest.approx([9 / 4, 3.0])
    assert table["count"].tolist() == [4, 2]


def test_without_scores_of_nodes_their_features_are_summed() -> None:
    table = featured().importance("kind")
    # a: nodes 0 and 2 with -1, 0; -1, -4. b: node 1 with 3; 0.
    assert table["mean_score"].tolist() == pytest.approx([6 / 4, 1.5])


def test_messages_by_layer_are_those_of_aggregate_by_magnitude() -> None:
    data = Data(x=torch.rand(3, 2), edge_index=torch.tensor([[0, 1], [1, 2]]))
    found = known(data, [[[1.0, -2.0], [0.0, 4.0]], [[3.0, 0.0], [-1.0, 1.0]]])
    table = found.importance("layer")
    assert table["mean_score"].tolist() == pytest.approx([6 / 4, 6 / 4])
    signed = found.importance("layer", ranking="signed")
    assert signed["mean_score"].tolist() == pytest.approx([2 / 4, 4 / 4])
    expected = found.aggregate("layer", ranking="absolute")
    assert table["mean_score_high"].tolist() == expected["mean_score_high"].tolist()


def test_classes_and_right_against_wrong_are_of_messages() -> None:
    found = featured(labels=[1, 0])
    assert found.importance("target")["mean_score"].tolist() == pytest.approx([11 / 4])
    table = found.importance("correct").set_index("correct")["mean_score"]
    assert table.to_dict() == {False: 4.0, True: 1.5}


def heterogeneous() -> gg.Explanations:
    """Types of different width; the second has no score of its third column, there is none."""
    data = HeteroData()
    data["a"].x, data["b"].x = torch.tensor([[1.0, 2.0, 3.0]]), torch.tensor([[4.0], [5.0]])
    data["a", "to", "b"].edge_index = torch.tensor([[0, 0], [0, 1]])
    data["b", "on", "b"].edge_index = torch.tensor([[0], [1]])
    found = known(data, [[1.0, -2.0, 4.0]], level="graph")
    nan = float("nan")
    score = torch.tensor([[1.0, -1.0, 2.0], [-3.0, nan, nan], [1.0, nan, nan]])
    return with_nodes(found, feature_score=score)


def test_types_have_features_of_their_own() -> None:
    table = heterogeneous().importance("feature")
    assert table["feature"].tolist() == [
        "a: feature 0", "a: feature 1", "a: feature 2", "b: feature 0"
    ]  # fmt: skip
    assert table["mean_score"].tolist() == [1.0, 1.0, 2.0, 2.0]
    assert table["count"].tolist() == [1, 1, 1, 2]
    frame = heterogeneous().features_frame()
    assert frame[frame["node_type"] == "b"]["value"].tolist() == [4.0, 5.0]
    assert frame["value"].isna().sum() == 0


def test_types_of_nodes_and_edges() -> None:
    table = heterogeneous().importance("node_type").set_index("node_type")
    assert table["mean_score"].to_dict() == {"a": 2.0, "b": 2.0}
    table = heterogeneous().importance("edge_type").set_index("edge_type")
    assert table["mean_score"].to_dict() == {"a__to__b": 1.5, "b__on__b": 4.0}


@pytest.mark.parametrize(
    ("by", "error", "message"),
    [
        ("layer", HyperParameterError, "one score for all layers"),
        ("node_type", HyperParameterError, "one type of nodes"),
        ("edge_type", HyperParameterError, "no column 'edge_type'"),
        ("correct", HyperParameterError, "no explained prediction has a label"),
        (["feature", "edge_type"], HyperParameterError, "'edge_type' does not"),
        ("mean_score", HyperParameterError, "is a column of the result"),
        (["feature", "feature"], HyperParameterError, "each once"),
    ],
)
def test_what_is_not_there_is_said(by: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        featured().importance(by)


def test_a_model_of_one_layer_has_no_layers_to_tell_apart() -> None:
    data = Data(x=torch.rand(2, 2), edge_index=torch.tensor([[0], [1]]))
    with pytest.raises(HyperParameterError, match="no layers to tell apart"):
        known(data, [[[1.0]]]).importance("layer")


def test_scores_that_are_not_there_or_not_finite_are_no_zeros() -> None:
    data = Data(x=torch.rand(2, 2), edge_index=torch.tensor([[0], [1]]))
    for by in ("feature", "node_type"):
        with pytest.raises(UnknownMetricError, match="no scores of"):
            known(data, [[1.0]]).importance(by)
    with pytest.raises(UnknownMetricError, match="NaN or infinite"):
        featured([[[float("inf"), 0.0]] * 3] * 2).importance("feature")
    with pytest.raises(UnknownMetricError, match="NaN or infinite"):
        featured([[[float("nan"), 1.0], [1.0, 1.0], [1.0, 1.0]]] * 2).features_frame()
    with pytest.raises(UnknownMetricError, match="no scores of features"):
        featured()[:0].importance("feature")


def test_arguments_out_of_range() -> None:
    with pytest.raises(HyperParameterError, match="per must be"):
        featured().importance(per="graph")  # type: ignore[arg-type]
    with pytest.raises(UnknownMetricError, match="ranking must be"):
        featured().importance(ranking="up")  # type: ignore[arg-type]
    with pytest.raises(HyperParameterError, match="max_features"):
        featured().features_frame(max_features=0)


def test_values_need_the_data(tmp_path: Any) -> None:
    found = gg.Explanations.load(featured().save(tmp_path / "e", include_graph=False))
    assert found.importance("feature")["count"].tolist() == [6, 6]
    with pytest.raises(ExplanationFileError, match="values of features"):
        found.features_frame()
