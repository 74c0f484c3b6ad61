"""The bench of a whole fit on a tiny budget, and the version that is written out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import glassgraph as gg
from glassgraph_studies.bench.graphmask_fit import experiment as graphmask_fit
from glassgraph_studies.bench.graphmask_fit.chains import ChainReader, draw_chains
from glassgraph_studies.reference.graphmask import written_out
from tests.cli.helpers import run


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_row_and_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphmask_fit, "LEARNED_FROM", 32)
    monkeypatch.setattr(graphmask_fit, "CHANNELS", 8)
    result = run(
        "bench", "graphmask-fit", "--graphs", 7, "--steps", 3, "--quiet",
        "--json", tmp_path / "rows.json",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    (row,) = json.loads((tmp_path / "rows.json").read_text())
    assert (row["graphs"], row["steps"], row["messages"]) == (7, 3, 7 * 294 * 3)
    assert row["ratio"] == pytest.approx(row["written_out_s"] / row["fit_s"])
    assert row["is_met"] == (row["ratio"] >= graphmask_fit.BAR)
    assert f"{row['ratio']:.2f}x" in result.stdout


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_both_versions_learn_the_same_gates() -> None:
    torch.manual_seed(0)
    model = ChainReader(8).double().eval()
    graphs = draw_chains(7, 1)
    for each in graphs:
        each.x = each.x.double()
    scores = []
    for is_written_out in (False, True):
        explainer = gg.GraphMask(model, "graph", steps=7, tolerance=0.0, progress=False)
        if is_written_out:
            with written_out():
                explainer.fit(graphs)
        else:
            explainer.fit(graphs)
        scores.append(explainer.choose(1e9, 1.0).explain(graphs[0])[0].layer_edge_mask)
    torch.testing.assert_close(*scores, rtol=1e-8, atol=1e-10)
