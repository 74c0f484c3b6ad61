"""The study of planted causes in small: what counts as found, and a model that finds them."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch

from glassgraph.temporal import EventExplanation
from glassgraph_studies.reproduce.temporal import experiment as study
from tests.cli.helpers import run


def scored(score: list[float]) -> EventExplanation:
    """Past events 4, 5, 6, ... with these scores."""
    past = 4 + torch.arange(len(score))
    return EventExplanation(
        "random", 30, (0, 1), 9, 0.5, past, past, past, past, torch.tensor(score)
    )


def test_ties_count_against_the_cause() -> None:
    explanation = scored([1.0, 3.0, 3.0, -2.0])
    assert [study._rank(explanation, cause) for cause in (4, 5, 6, 7)] == [3, 2, 2, 4]
    assert study._rank(explanation, 3) == math.inf


def test_means_deviations_and_the_least_seed_are_printed() -> None:
    rows = [
        {
            "seed": seed, "method": "perturb_one", "links": 4, "auc": 0.9 + seed / 20,
            "first": 0.5, "first_three": share, "chance": 0.1, "is_unchanged": True,
        }
        for seed, share in enumerate((0.5, 1.0))
    ]  # fmt: skip
    (found,) = study.summarize(rows)
    assert found["first_three"] == 0.75
    assert found["first_three_deviation"] == pytest.approx(math.sqrt(0.125))
    assert found["first_deviation"] == 0
    assert found["least"] == 0.5
    assert found["least_auc"] == 0.9
    assert found["seeds"] == 2
    assert found["is_unchanged"]


@pytest.mark.slow("the command for streams: tests/cli/test_temporal.py")
def test_the_command_in_small(tmp_path: Path) -> None:
    result = run(
        "reproduce", "temporal", "--first-seed", 3, "--seeds", 1, "--tips", 300, "--epochs", 1,
        "--links", 2, "--candidates", 12, "--navigator-links", 1, "--rollouts", 2,
        "--method", "edge_gradients", "--method", "random",
        "--method", "t_gnn_explainer", "--method", "t_gnn_explainer, no navigator",
        "--json", tmp_path / "rows.json",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    rows = {row["method"]: row for row in json.loads((tmp_path / "rows.json").read_text())}
    assert list(rows) == [
        "edge_gradients", "random", "t_gnn_explainer", "t_gnn_explainer, no navigator"
    ]  # fmt: skip
    assert all(row["links"] == 2 and row["is_unchanged"] for row in rows.values())
    assert all(row["seed"] == 3 and row["candidates"] <= 12 for row in rows.values())
    assert rows["t_gnn_explainer"]["seconds_to_fit"] > rows["random"]["seconds_to_fit"]
    assert rows["edge_gradients"]["without_chance_1"] == rows["random"]["without_chance_1"]
    # Which of the two finds more after one epoch depends on how a processor rounds.
    assert rows["edge_gradients"]["without_1"] != rows["random"]["without_1"]
    assert "planted cause among the first 3" in result.output


def test_an_unknown_method_is_named_before_anything_is_trained() -> None:
    result = run("reproduce", "temporal", "--method", "perturb_two")
    assert result.exit_code == 2
    assert "--method must be one of perturb_one, occlusion" in result.stderr
