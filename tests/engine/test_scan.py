"""What a job wrote, read back: the numbers of one process, whatever is asked of the folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from torch_geometric.data import Data
from typer.testing import CliRunner

import glassgraph as gg
from glassgraph.cli import app
from glassgraph.errors import ExplanationFileError, InstanceError
from tests.engine.models import relational


def small() -> Data:
    """Edges of three types in both directions of a path, and one back to its beginning."""
    ends = torch.tensor([[0, 1, 2, 3, 4, 1, 2, 3, 4, 0], [1, 2, 3, 4, 0, 0, 1, 2, 3, 4]])
    x = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    return Data(x=x, edge_index=ends, edge_type=torch.arange(10) % 3)


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, gg.Explanations]:
    """A folder, and the same explanations by one process."""
    folder, model, data = tmp_path_factory.mktemp("job"), relational(), small()
    gg.explain_all(
        model, data, "saliency", out=folder, workers=1, block=8, progress=False, index=[4, 0, 3]
    )
    return folder, gg.Saliency(model, "node", progress=False).explain(data, [4, 0, 3])


def rows(explanations: gg.Explanations) -> pd.DataFrame:
    found = []
    for each in explanations:
        local = each.local
        source, destination = local.node_id[local.edge_index]
        found.append(
            pd.DataFrame(
                {
                    "index": local.index,
                    "edge": local.edge_id,
                    "source": source,
                    "destination": destination,
                    "score": local.edge_score,
                }
            )
        )
    return pd.concat(found, ignore_index=True)


def test_the_largest_edges_of_all(job: tuple[Path, gg.Explanations]) -> None:
    folder, alone = job
    expected = rows(alone).sort_values("score", ascending=False, kind="stable")[:6]
    found = gg.Explanations.scan(folder).top_edges(6)
    pd.testing.assert_series_equal(
        found["score"], expected["score"].reset_index(drop=True), check_dtype=False
    )
    pairs = [set(zip(frame["index"], frame["edge"], strict=True)) for frame in (found, expected)]
    assert pairs[0] == pairs[1]


def test_means_by_edge_type(job: tuple[Path, gg.Explanations]) -> None:
    folder, alone = job
    table = rows(alone)
    by_type = table.groupby(table["edge"] % 3)["score"]
    found = gg.Explanations.scan(folder).by_edge_type().set_index("edge_type")
    for kind in (0, 1, 2):
        assert found.loc[kind, "count"] == by_type.count()[kind]
        assert found.loc[kind, "mean_score"] == pytest.approx(by_type.mean()[kind], rel=1e-6)


def test_some_of_them_are_explanations_for_reports_and_metrics(
    job: tuple[Path, gg.Explanations], tmp_path: Path
) -> None:
    folder, alone = job
    found = gg.Explanations.scan(folder).explanations([3, 4])
    for ours, number in zip(found, (2, 0), strict=True):
        assert torch.equal(ours.local.edge_score, alone[number].local.edge_score)
    assert found.to_html(tmp_path / "report.html").stat().st_size > 10_000
    rows = gg.metrics.evaluate(found, relational(), small(), sparsity=(0.5,))
    assert rows


def test_what_was_not_asked_for_is_said(job: tuple[Path, gg.Explanations]) -> None:
    with pytest.raises(InstanceError, match="node 1 is none of the 3"):
        gg.Explanations.scan(job[0]).find(1)


def test_a_folder_without_a_job_is_named(tmp_path: Path) -> None:
    with pytest.raises(ExplanationFileError):
        gg.Explanations.scan(tmp_path)


def test_the_command_says_how_a_job_stands(
    job: tuple[Path, gg.Explanations], tmp_path: Path
) -> None:
    file = tmp_path / "jobs.json"
    result = CliRunner().invoke(app, ["jobs", str(job[0]), "--json", str(file)])
    assert result.exit_code == 0, result.output
    assert "saliency: 3 done, 0 failed, 0 left, of 3 node predictions" in result.output
    told: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    assert (told["done"], told["failed"], told["left"]) == (3, 0, 0)
    refused = CliRunner().invoke(app, ["jobs", str(tmp_path)])
    assert refused.exit_code != 0
