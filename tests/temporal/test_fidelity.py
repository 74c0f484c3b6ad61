"""What becomes of links without their first events, and with those alone, against replays."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import pandas as pd
import pytest
import torch

import glassgraph as gg
from glassgraph.errors import ExplanationFileError, HyperParameterError
from glassgraph.temporal.fidelity import fidelity, fidelity_table
from tests.temporal.streams import BATCH, Literal, literal_score, parts, stream

FEW = [19, 27, 33, 36, 39]


def explained(
    method: str, index: Any = 40, candidates: Any = None
) -> gg.temporal.EventExplanations:
    """Scores of few events."""
    return gg.temporal.explain(
        parts(), stream(), index, method, candidates=FEW, batch_size=BATCH,
        progress=False,
    )  # fmt: skip


def measured(explanations: Any, sizes: Any = (2,), **given: Any) -> pd.DataFrame:
    """Of a model with random weights."""
    model = given.pop("model", None) or parts()
    given = {"batch_size": BATCH, "progress": False, **given}
    return fidelity(model, given.pop("events", stream()), explanations, sizes, **given)


@pytest.mark.parametrize("shift", [-1.0, 1.0])
def test_both_measures_are_those_of_a_literal_replay(shift: float) -> None:
    (one,) = explained("perturb_one")
    whole = literal_score(parts(), stream(), 40, set())
    sign = -shift
    found = measured([one], sizes=[1, 2], threshold=whole + shift)
    order = sorted(FEW, key=dict(zip(FEW, (sign * one.score).tolist(), strict=True)).get)
    for size, row in zip((1, 2), found.to_dict("records"), strict=True):
        first = set(order[-size:])
        without = literal_score(parts(), stream(), 40, first)
        only = literal_score(parts(), stream(), 40, set(FEW) - first)
        assert row["without"] == pytest.approx(sign * (whole - without), abs=1e-7)
        assert row["only"] == pytest.approx(sign * (whole - only), abs=1e-7)
        assert row["sparsity"] == pytest.approx(1 - size / 5)


def test_chance_is_the_mean_over_all_sets_of_that_size() -> None:
    whole = literal_score(parts(), stream(), 40, set())
    sign = 1 if whole >= 0 else -1
    sets = [set(each) for each in itertools.combinations(FEW, 2)]
    without = [sign * (whole - literal_score(parts(), stream(), 40, each)) for each in sets]
    found = measured(explained("perturb_one"), draws=200).iloc[0]
    assert found["without_chance"] == pytest.approx(sum(without) / 10, abs=0.03)
    assert max(without) - min(without) > 0.1


def test_all_candidates_leave_nothing_and_keep_everything() -> None:
    (row,) = measured(explained("recency"), sizes=[9]).to_dict("records")
    assert row["sparsity"] == 0
    assert row["only"] == pytest.approx(0, abs=1e-12)
    assert row["only_chance"] == pytest.approx(0, abs=1e-12)
    assert row["without"] == pytest.approx(row["without_chance"])


def test_methods_are_measured_together_as_alone() -> None:
    several = [*explained("perturb_one", [40, 45]), *explained("saliency", [40])]
    together = measured(several, sizes=[1, 2])
    assert together["position"].tolist() == [0, 0, 1, 1, 2, 2]
    assert together["method"].tolist() == ["perturb_one"] * 4 + ["saliency"] * 2
    alone = measured(several[2:], sizes=[1, 2])
    assert together["without"].tolist()[4:] == pytest.approx(alone["without"].tolist())
    chance = together["without_chance"].tolist()
    assert chance[:2] == chance[4:]


def test_any_model_is_measured_alike() -> None:
    (one,) = explained("perturb_one")
    own, replayed = (measured([one], model=model, draws=1) for model in (parts(), Literal(parts())))
    assert own["only"].tolist() == pytest.approx(replayed["only"].tolist())


def test_events_outside_the_field_change_nothing() -> None:
    model, events = parts(memory=False), stream()
    (one,) = gg.temporal.explain(
        model, events, 40, candidates=[0, 1, 39], batch_size=BATCH, progress=False
    )
    sign = 1 if one.prediction >= 0 else -1
    moved = dataclasses.replace(one, score=sign * torch.tensor([3.0, 2.0, 1.0]))
    row = measured([moved], model=model, sizes=[2]).iloc[0]
    assert row["without"] == pytest.approx(0, abs=1e-12)
    assert one.score.tolist()[:2] == [0, 0]


def test_the_table_is_of_means() -> None:
    found = fidelity_table(
        measured([*explained("recency", [40, 41, 45]), *explained("random", 40)])
    )
    assert found["method"].tolist() == ["recency", "random"]
    assert found["links"].tolist() == [3, 1]
    rows = measured(explained("recency", [40, 41, 45]))
    assert found["without"].iloc[0] == pytest.approx(rows["without"].mean())
    assert found["without_error"].iloc[0] == pytest.approx(rows["without"].std() / 3**0.5)
    assert len(fidelity_table(measured([]))) == 0


def test_explanations_of_something_else_are_refused() -> None:
    (one,) = explained("perturb_one")
    with pytest.raises(ExplanationFileError, match="another model, stream or batch_size"):
        measured([dataclasses.replace(one, prediction=9.0)])
    with pytest.raises(ExplanationFileError, match=r"other events .* t differs"):
        measured([dataclasses.replace(one, t=one.t + 1)])
    with pytest.raises(ExplanationFileError, match="scores event 99; the stream has 47"):
        measured([dataclasses.replace(one, event_id=torch.tensor([3, 4, 5, 6, 99]))])
    with pytest.raises(HyperParameterError, match="sizes must be an integer >= 1; got 0"):
        measured([one], sizes=[0])
    with pytest.raises(HyperParameterError, match="draws"):
        measured([one], draws=0)
    with pytest.raises(HyperParameterError, match="threshold"):
        measured([one], threshold="high")
