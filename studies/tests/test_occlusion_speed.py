"""The occlusion bench in small: three plain ways compute what occlusion computes."""

from pathlib import Path

import pytest

from glassgraph_studies.bench.occlusion.experiment import measure
from studies.tests.citations import trained
from tests.cli.helpers import run


def test_every_way_gives_the_same_scores() -> None:
    rows = measure(trained(), None, sample=5, repeats=1, progress=False)
    assert [row["peer"] for row in rows] == ["each_node", "shared", "own_edges"]
    edges, count = rows[0]["edges"], rows[0]["nodes"]
    assert [row["passes"] for row in rows[:2]] == [count * edges, edges]
    assert all(row["max_difference"] < 1e-6 for row in rows)
    assert rows[0]["peer_s"] == pytest.approx(count * rows[1]["peer_s"])


def test_a_wrong_score_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    from glassgraph.explainers.perturbation.occlusion import Occlusion

    right = Occlusion.attribute

    def wrong(self: Occlusion, batch: object) -> object:
        found = right(self, batch)  # type: ignore[arg-type]
        assert found.edge is not None
        found.edge[-1] += 1
        return found

    monkeypatch.setattr(Occlusion, "attribute", wrong)
    rows = measure(trained(), None, sample=5, repeats=1, progress=False)
    assert all(row["max_difference"] > 0.9 for row in rows)


def test_the_command_says_what_is_missing(tmp_path: Path) -> None:
    result = run("bench", "occlusion", "--root", tmp_path, "--quiet")
    assert result.exit_code == 2
    assert "ind.cora" in result.stderr
