"""The bench beside PyG on a tiny budget."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from glassgraph_studies.bench.pg_explainer import experiment as pg_explainer_speed
from studies.tests.test_motifs import quickly
from tests.cli.helpers import run


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_rows_and_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pg_explainer_speed, "reference_model", quickly)
    result = run(
        "bench", "pg-explainer", "--dataset", "tree-cycles", "--epochs", 1, "--instances", 3,
        "--repeats", 1, "--quiet", "--json", tmp_path / "rows.json",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    rows = json.loads((tmp_path / "rows.json").read_text())
    assert [row["dataset"] for row in rows] == ["tree-cycles"]
    for row in rows:
        assert (row["instances"], row["epochs"]) == (3, 1)
        assert row["fit_ratio"] == pytest.approx(row["pyg_fit_s"] / row["fit_s"])
        assert row["explain_ratio"] == pytest.approx(row["pyg_explain_ms"] / row["explain_ms"])
        line = next(line for line in result.stdout.splitlines() if row["dataset"] in line)
        assert f"{row['fit_ratio']:.1f}x" in line
