"""``glassgraph bench scan`` on a small folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import glassgraph as gg
from glassgraph_studies.bench.scan.experiment import run_scan_bench, write_job


def test_every_question_has_a_row() -> None:
    rows = list(run_scan_bench(explanations=1000, edges=3, repeats=3))
    assert [row["files"] for row in rows] == [4] * 5
    assert all(row["wall_ms"] > 0 and row["disk_mb"] > 0 for row in rows)


def test_the_folder_of_a_job_is_asked_as_it_is(tmp_path: Path) -> None:
    write_job(tmp_path, 600, 4, seed=3)
    before = sorted(tmp_path.rglob("*"))
    rows = list(run_scan_bench(repeats=3, job=tmp_path))
    assert {row["explanations"] for row in rows} == {600}
    assert {row["files"] for row in rows} == {3}
    assert "means by edge type" not in {row["what"] for row in rows}
    assert sorted(tmp_path.rglob("*")) == before


def test_what_is_written_is_a_job(tmp_path: Path) -> None:
    write_job(tmp_path, 600, 4, seed=3)
    scan = gg.Explanations.scan(tmp_path)
    index = np.load(tmp_path / "index.npy")
    assert len(scan) == 600
    for position in (0, 255, 256, 599):
        found = scan.find(int(index[position]))
        assert found.index == index[position]
        assert found.edge_id.tolist() == list(range(4 * position, 4 * position + 4))
    every = np.concatenate([each.score for each in scan.edge_rows()])
    best = scan.top_edges(5)
    assert best["score"].tolist() == np.sort(every)[::-1][:5].tolist()
    best = scan.top_edges(5, "absolute")
    assert best["score"].abs().tolist() == np.sort(np.abs(every))[::-1][:5].tolist()
    assert scan.by_edge_type()["count"].sum() == 2400
