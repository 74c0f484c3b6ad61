"""The ZORRO study in small: its bar, its rows, and what they say of each method."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from glassgraph.errors import DatasetError, HyperParameterError
from glassgraph_studies.reproduce.zorro import experiment as study
from glassgraph_studies.reproduce.zorro.study import tables
from studies.tests.citations import trained
from tests.cli.helpers import run


def test_tau_is_reached_at_every_node_and_others_are_measured_alike(tmp_path: Path) -> None:
    names = ["zorro_85", "zorro_98", "saliency", "random"]
    rows = list(study.run_zorro(tmp_path, 4, names, progress=False, scene=trained()))
    for row in rows[:2]:
        assert row["is_met"]
        assert row["least_search_fidelity"] >= row["tau"]
        assert row["literal_seconds_per_node"] > 0
        assert row["kept_nodes"] + row["kept_features"] < 60 + 23
    low, high, saliency, noise = rows
    assert low["search_fidelity"] <= high["search_fidelity"]
    assert low["kept_features"] <= high["kept_features"]
    for row in (saliency, noise):
        assert row["search_fidelity"] is None
        assert row["is_met"] is None
        assert row["literal_seconds_per_node"] is None
    for row in rows:
        assert 0 <= row["least_fidelity"] <= row["fidelity"] <= 1
        assert row["nodes"] == 4
    assert high["fidelity"] > 0.7
    assert noise["feature_entropy"] is None
    assert noise["node_entropy"] > high["node_entropy"]
    json.dumps(rows)
    (table,) = tables(rows)
    assert [table.columns[0].cell(row) for row in rows][2:] == ["gradient", "random"]


def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(HyperParameterError, match="no row 'pgm'"):
        list(study.run_zorro(tmp_path, rows=["pgm"]))
    with pytest.raises(DatasetError, match="no file at"):
        list(study.run_zorro(tmp_path, progress=False))
    result = run("reproduce", "zorro", "--root", tmp_path / "none", "--quiet")
    assert result.exit_code == 2
    assert "name the one of ind.cora.x" in result.stderr
