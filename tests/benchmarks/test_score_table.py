"""Tables of a benchmark for a page or a paper."""

from __future__ import annotations

import pandas as pd
import pytest

from glassgraph.benchmarks import score_table
from glassgraph.benchmarks.rows import to_frame
from glassgraph.benchmarks.score_table import NONE
from glassgraph.errors import UnknownMetricError
from tests.benchmarks.leaderboard.frames import row


def _rows() -> pd.DataFrame:
    floor = {"floor": 0.5, "floor_low": 0.4, "floor_high": 0.6}
    ceiling = {"ceiling": 1.0, "ceiling_low": 0.9, "ceiling_high": 1.0}
    at = {"metric": "auc", "level": "0.7", **floor, **ceiling}
    return to_frame(
        [
            row(method="a_b", seed=0, value=0.8, low=0.8, high=0.8, seconds_per_instance=0.5, **at),
            row(method="a_b", seed=1, value=0.8, low=0.8, high=0.8, seconds_per_instance=1.5, **at),
            row(method="c", value=0.5, low=0.45, high=0.55, **at),
            row(method="d", metric="", status="not_applicable", reason="why"),
            row(method="e", metric="auc", level="", status="timeout", reason="90 s"),
            row(method="c", dataset="other", metric="auc", status="no_truth", reason="none"),
        ]
    )


def test_means_over_seeds_floor_ceiling_and_reasons() -> None:
    lines = score_table(_rows(), "auc").markdown().splitlines()
    first = _rows()["dataset"].iloc[0]
    assert lines == [
        f"| method | {first} | other |",
        "| --- | ---: | ---: |",
        f"| `a_b` | **0.80** | {NONE} |",
        "| `c` | 0.50 (1 of 2) | no truth |",
        f"| `d` | n/a | {NONE} |",
        f"| `e` | time | {NONE} |",
        f"| *random scores* | 0.50 | {NONE} |",
        f"| *search* | 1.00 | {NONE} |",
    ]


def test_intervals_and_latex() -> None:
    table = score_table(_rows(), "auc", "0.7")
    assert "0.50 (0.45 – 0.55) (1 of 2)" in table.markdown(intervals=True)
    text = table.latex(intervals=True)
    assert r"a\_b & \textbf{0.80 (0.80 -- 0.80)}" in text
    assert text.startswith(r"\begin{tabular}{lrr}")
    assert text.count(r"\\") == 7


def test_numbers() -> None:
    frame = score_table(_rows(), "auc").frame()
    assert frame.loc["a_b"].iloc[0] == pytest.approx(0.8)
    assert frame["other"].isna().all()


def test_what_a_cell_has_once() -> None:
    table = score_table(_rows(), "seconds_per_instance")
    assert table.frame().loc["a_b"].iloc[0] == 1.0
    assert "| `a_b` | 1,000 |" in table.markdown(0, factor=1000.0)
    assert "random scores" not in table.markdown()


def test_fewer_is_better() -> None:
    floor = {"floor": 0.5, "floor_low": 0.4, "floor_high": 0.6, "better": "lower"}
    shared = {"metric": "fidelity_minus", "level": "0.7", **floor}
    rows = [
        row(method="a", value=0.1, low=0.0, high=0.2, **shared),
        row(method="b", value=0.9, low=0.8, high=1.0, **shared),
    ]
    text = score_table(to_frame(rows), "fidelity_minus").markdown()
    assert "**0.10**" in text
    assert "**0.90**" not in text


@pytest.mark.parametrize(("second", "is_bold"), [(0.8, True), (0.6, False), (0.2, False)])
def test_above_random_on_every_seed_or_not_at_all(second: float, is_bold: bool) -> None:
    floor = {"floor": 0.5, "floor_low": 0.4, "floor_high": 0.6, "better": "higher"}
    rows = [
        row(method="a", seed=seed, value=v, low=v - 0.05, high=v + 0.05, **floor)
        for seed, v in ((0, 0.9), (1, second))
    ]
    table = score_table(to_frame(rows), "auc")
    assert [pooled.value for pooled in table.scores["a", "mutag"].seeds.values()] == [0.9, second]
    assert ("**" in table.markdown()) is is_bold


def test_what_the_rows_do_not_hold() -> None:
    with pytest.raises(UnknownMetricError, match="did you mean 'auc'"):
        score_table(_rows(), "acu")
    with pytest.raises(UnknownMetricError, match=r"levels 0\.7, not '0\.9'"):
        score_table(_rows(), "auc", "0.9")
