"""The study of planted causes in small: what counts as found, and a model that finds them."""

from __future__ import annotations

import json
import math
from pathlib import Path

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


def test_means_and_the_least_seed_are_printed() -> None:
    rows = [
        {
            "seed": seed, "method": "perturb_one", "auc": 0.9 + seed / 20, "first": 0.5,
            "first_three": share, "chance": 0.1, "candidates": 30, "seconds_per_link": 2.0,
            "is_unchanged": True,
        }
        for seed, share in enumerate((0.5, 1.0))
    ]  # fmt: skip
    (found,) = study.summarize(rows)
    assert found["first_three"] == 0.75
    assert found["least"] == 0.5
    assert found["least_auc"] == 0.9
    assert found["is_unchanged"]


def test_the_command_in_small(tmp_path: Path) -> None:
    result = run(
        "reproduce", "temporal", "--seeds", 1, "--tips", 300, "--epochs", 1, "--links", 2,
        "--candidates", 20, "--method", "perturb_one", "--method", "random",
        "--json", tmp_path / "rows.json",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    rows = json.loads((tmp_path / "rows.json").read_text())
    assert [row["method"] for row in rows] == ["perturb_one", "random"]
    assert all(row["links"] == 2 and row["is_unchanged"] for row in rows)
    assert rows[0]["candidates"] <= 20
    assert "planted cause among the first 3" in result.output


def test_an_unknown_method_is_named_before_anything_is_trained() -> None:
    result = run("reproduce", "temporal", "--method", "perturb_two")
    assert result.exit_code == 2
    assert "--method must be one of perturb_one, occlusion" in result.stderr
