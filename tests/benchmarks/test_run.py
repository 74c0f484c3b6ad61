"""Cells: each shown for what it is, none silently absent, none repeated."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from torch import nn

from glassgraph.benchmarks import SCHEMA, STATUSES, Run, Subject, parse_suite, read_rows
from glassgraph.benchmarks.specs import DatasetSpec
from glassgraph.benchmarks.subjects import trimmed
from glassgraph.errors import (
    DamagedFileError,
    DatasetError,
    FolderInUseError,
    LeakError,
    OutputError,
    ResumeError,
)
from glassgraph.models import ModelCacheWarning
from glassgraph.models.recipes import RECIPES
from glassgraph.results.saved.folder_lock import locked
from tests.benchmarks.stars import EXPLAINED, known, stars


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    with known():
        yield


def suite(methods: list[str], **changes: Any) -> Any:
    table = {
        "name": "tiny",
        "instances": EXPLAINED,
        "datasets": ["stars"],
        "methods": methods,
        "metrics": ["accuracy", {"name": "fidelity", "top_k": [2]}],
        "time_limit": 30,
        **changes,
    }
    return parse_suite(table, "tiny.toml")


def run(out: Path, asked: Any, **more: Any) -> pd.DataFrame:
    Run(asked, asked, out, **more).go()
    return read_rows(out)


def number(frame: pd.DataFrame, method: str, metric: str) -> pd.Series:
    found = frame[(frame["method"] == method) & (frame["metric"] == metric)]
    assert len(found) == 1
    return found.iloc[0]


def test_truth_inverse_and_random_are_shown_for_what_they_are(tmp_path: Path) -> None:
    stability = {"name": "stability_seeds", "options": {"seeds": 2, "top_k": 2}}
    edges = {"name": "stability_edges", "options": {"edges": [1], "draws": 1, "top_k": 2}}
    metrics = ["accuracy", {"name": "fidelity", "top_k": [2]}, stability, edges]
    frame = run(tmp_path, suite(["truth", "inverse", "random", "saliency"], metrics=metrics))
    assert number(frame, "truth", "auc")["value"] == 1.0
    assert number(frame, "inverse", "auc")["value"] == 0.0
    order = frame[frame["metric"] == "auc"].sort_values("value")["method"].tolist()
    assert (order[0], order[-1]) == ("inverse", "truth")
    # Without the two senders the sum is 0, and the logits are (-3, 3) instead of (3, -3).
    drop = 2 / (1 + np.exp(-6.0)) - 1
    assert number(frame, "truth", "fidelity_plus")["value"] == pytest.approx(drop)
    assert number(frame, "inverse", "fidelity_plus")["value"] == pytest.approx(0.0)
    for _, row in frame[frame["method"] == "random"].iterrows():
        floor = row[["floor_low", "floor_high"]].astype(float).fillna(row["floor"])
        assert row["low"] <= floor["floor_high"], row["metric"]
        assert floor["floor_low"] <= row["high"], row["metric"]
    assert number(frame, "truth", "stability_edges_rank")["value"] == pytest.approx(1.0)
    assert (frame["n"] == EXPLAINED).all()
    assert (frame["model_accuracy"] == 1.0).all()


def test_every_row_fits_the_schema(tmp_path: Path) -> None:
    run(tmp_path, suite(["truth", "cam"]))
    (file,) = (tmp_path / "rows").glob("*truth*")
    assert pq.read_schema(file).equals(SCHEMA)
    frame = read_rows(tmp_path)
    assert list(frame.columns) == SCHEMA.names
    assert set(frame["status"]) <= set(STATUSES)
    assert frame["command"].iloc[0].startswith("glassgraph benchmark --suite tiny --datasets stars")


def test_what_does_not_apply_fails_or_dies_has_a_row_with_the_reason(tmp_path: Path) -> None:
    frame = run(tmp_path, suite(["cam", "crashes", "dies", "attention"]))
    found = {row["method"]: (row["status"], row["reason"]) for _, row in frame.iterrows()}
    assert found["cam"] == ("not_applicable", "cam explains graph predictions, not nodes")
    assert found["crashes"][0] == "failed"
    assert "KeyError: 'no such thing'" in found["crashes"][1]
    assert found["dies"][0] == "failed"
    assert "signal 9" in found["dies"][1]
    assert found["attention"][0] == "not_applicable"
    assert "attention" in found["attention"][1]
    assert len(frame) == 4


def test_a_method_that_hangs_is_ended_and_said_to_be(tmp_path: Path) -> None:
    frame = run(tmp_path, suite(["hangs", "spins", "truth"], time_limit=0.8), workers=3)
    found = {row["method"]: (row["status"], row["reason"]) for _, row in frame.iterrows()}
    assert found["hangs"] == ("timeout", "the time limit of 0.8 s, and 4 s on the clock")
    status, reason = found["spins"]
    assert status == "timeout"
    assert reason.startswith("the time limit of 0.8 s")  # on a busy machine the clock may be first
    assert number(frame, "truth", "auc")["value"] == 1.0


def test_metrics_without_truth_say_so(tmp_path: Path) -> None:
    def without(seed: int) -> Subject:
        subject = stars(seed)
        del subject.data.edge_motif, subject.data.node_motif, subject.data.ground_truth_edge_mask
        return subject

    with known(without):
        frame = run(tmp_path, suite(["truth"], metrics=["auc", "node_auc", "fidelity_plus"]))
    found = frame.groupby("metric")["status"].first().to_dict()
    assert found == {"auc": "no_truth", "node_auc": "no_truth", "fidelity_plus": "measured"}
    assert "truth" in number(frame, "truth", "auc")["reason"]


def test_learned_methods_learn_from_what_is_never_explained(tmp_path: Path) -> None:
    asked = suite(["information_bottleneck"], settings={"information_bottleneck": {"steps": 2}})
    frame = run(tmp_path, asked)
    assert (frame["status"] == "measured").all()
    assert (frame["fit_seconds"] > 0).all()


def test_a_leaky_protocol_is_refused(tmp_path: Path) -> None:
    def leaky(seed: int) -> Subject:
        subject = stars(seed)
        return Subject(**{**vars(subject), "fit_index": [*subject.fit_index, EXPLAINED - 1, 3]})

    with known(leaky), pytest.raises(LeakError, match="3, 30 are explained and learned from"):
        run(tmp_path, suite(["pg_explainer"]))
    assert not list((tmp_path / "rows").glob("*"))


def test_fewer_instances_are_spread_over_all() -> None:
    found = trimmed(stars(), DatasetSpec("stars", instances=5, fit_instances=4), 0)
    assert found.index == [0, 6, 12, 18, 24]
    assert len(found.fit_index) == 4
    assert not set(found.index) & set(found.fit_index)


# The folder


def test_a_folder_of_another_suite_is_refused(tmp_path: Path) -> None:
    run(tmp_path, suite(["truth"]))
    before = read_rows(tmp_path)
    with pytest.raises(ResumeError, match=r"another suite .*other metrics"):
        run(tmp_path, suite(["truth"], metrics=["auc"]))
    pd.testing.assert_frame_equal(read_rows(tmp_path), before)


def test_rows_of_two_networks_are_not_mixed(tmp_path: Path) -> None:
    """The same seed trained another network on another machine, and a run went on with it."""

    def retrained(seed: int) -> Subject:
        subject = stars(seed)
        assert isinstance(subject.model, nn.Module)
        subject.model.register_buffer("rounding", torch.tensor(1e-9))
        return subject

    whole = suite(["truth", "inverse"])
    Run(whole, whole.chosen(methods=["truth"]), tmp_path).go()
    before = read_rows(tmp_path)
    with known(retrained), pytest.raises(ResumeError, match=r"another network of stars, seed 0"):
        run(tmp_path, whole)
    pd.testing.assert_frame_equal(read_rows(tmp_path), before)
    assert set(run(tmp_path, whole)["method"]) == {"truth", "inverse"}


def test_networks_are_taken_from_the_folder_that_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    brief = replace(RECIPES["tree-cycles"], required=None, training={"epochs": 2, "patience": 2})
    monkeypatch.setitem(RECIPES, "tree-cycles", brief)
    asked = suite(["random"], datasets=["tree-cycles"], instances=2, metrics=["sparsity"])
    cache, said = tmp_path / "networks", list[str]()
    told = {"cache": cache, "tell": lambda progress: said.append(progress.text)}
    before = run(tmp_path / "first", asked, **told)
    (file,) = cache.iterdir()
    assert f"tree-cycles, seed 0: a new network was trained, in {cache}" in said
    assert f"--cache {cache} --out repeated" in before["command"].iloc[0]
    said.clear()
    after = run(tmp_path / "second", asked, **told)
    assert f"tree-cycles, seed 0: the network is that of {file.name}, in {cache}" in said
    assert after["model_accuracy"].tolist() == before["model_accuracy"].tolist()
    assert list(cache.iterdir()) == [file]
    file.write_bytes(b"no weights")
    with pytest.warns(ModelCacheWarning, match=rf"{file.name} .*; the model is trained again"):
        run(tmp_path / "third", asked, **told)


def test_a_part_and_then_the_rest_make_the_whole(tmp_path: Path) -> None:
    whole = suite(["truth", "inverse"], seeds=[0, 1])
    Run(whole, whole.chosen(methods=["truth"], seeds=[1]), tmp_path).go()
    assert read_rows(tmp_path).groupby(["seed", "method"]).ngroups == 1
    assert run(tmp_path, whole).groupby(["seed", "method"]).ngroups == 4


def test_two_processes_do_not_share_a_folder(tmp_path: Path) -> None:
    with locked(tmp_path), pytest.raises(FolderInUseError):
        run(tmp_path, suite(["truth"]))


@pytest.mark.slow("rows that do not fit: test_rows_of_two_networks_are_not_mixed")
def test_a_damaged_cell_is_named_and_measured_again(tmp_path: Path) -> None:
    asked = suite(["truth"])
    run(tmp_path, asked)
    (file,) = (tmp_path / "rows").glob("*.parquet")
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(DamagedFileError, match=file.name):
        read_rows(tmp_path)
    assert number(run(tmp_path, asked), "truth", "auc")["value"] == 1.0


def test_a_folder_of_something_else_has_no_rows(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="holds no rows"):
        read_rows(tmp_path)


def test_a_spent_budget_begins_nothing_and_the_same_call_goes_on(tmp_path: Path) -> None:
    asked = suite(["truth", "inverse"])
    first = Run(asked, asked, tmp_path, budget=1e-9)
    first.go()
    assert len(first.left) == 2
    assert set(run(tmp_path, asked)["method"]) == {"truth", "inverse"}


def test_missing_files_are_named_before_anything_is_measured(tmp_path: Path) -> None:
    asked = suite(["truth"], datasets=["stars", "mutag"])
    with pytest.raises(DatasetError, match="MUTAG"):
        run(tmp_path / "out", asked, root=tmp_path)
    assert not list((tmp_path / "out").glob("rows/*"))


# Searching settings


@pytest.mark.slow(
    "what is never explained: test_learned_methods_learn_from_what_is_never_explained"
)
def test_settings_are_searched_on_other_seeds(tmp_path: Path) -> None:
    seen = []

    def load(seed: int) -> Subject:
        seen.append(seed)
        return stars(seed)

    asked = suite(
        ["dial"],
        search={
            "seeds": [7, 8],
            "criterion": "fidelity_plus",
            "level": "top2",
            "candidates": {"dial": [{"quality": 0}, {"quality": 1}, {"quality": -2}]},
        },
    )
    with known(load):
        frame = run(tmp_path, asked)
    assert set(seen) == {0, 7, 8}
    assert frame["settings"].unique().tolist() == ['{"quality": 1}']
    assert number(frame, "dial", "auc")["value"] == 1.0
    (told,) = (tmp_path / "search").glob("*.json")
    tried = json.loads(told.read_text())["tried"]
    assert tried[0]["settings"] == {}
    assert all(len(each["values"]) == 2 for each in tried)
