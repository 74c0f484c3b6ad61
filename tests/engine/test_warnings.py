"""What workers warn of is told by the driver once, and stands in the job's folder."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

import glassgraph as gg
from glassgraph.core.batch import InstanceBatch
from glassgraph.core.told import UncheckedFieldsWarning
from glassgraph.engine.hearing import hearing
from glassgraph.errors import DamagedFileError
from glassgraph.explainers.constant import ConstantScoresWarning
from tests.cli.helpers import run
from tests.engine.models import loops, model


class OwnWarning(UncheckedFieldsWarning):
    """Of a class that no other process may know."""


class Warns(gg.EdgeGradients):
    """Edge gradients with a remark of each batch, and another of every second."""

    name = "warns"

    def attribute(self, batch: InstanceBatch) -> gg.Attribution:
        first = int(batch.fields.node.min())
        warnings.warn(f"fields from node {first} are wrong", OwnWarning, stacklevel=1)
        if first % 4 == 0:
            warnings.warn("nothing is learned", UserWarning, stacklevel=1)
        return super().attribute(batch)


@pytest.mark.usefixtures("in_process")
def test_each_warning_is_told_once_and_kept(tmp_path: Path) -> None:
    asked = {"index": [6, 7, 8, 9], "out": tmp_path, "workers": 1, "progress": False}
    with pytest.warns(UserWarning, match="a worker, at positions") as told:
        found = gg.explain_all(model(), loops(10), Warns, block=2, **asked)
    assert [(each.category, str(each.message)) for each in told] == [
        (
            UncheckedFieldsWarning,
            f"fields from node 6 are wrong (a worker, at positions 0 to 1 of {tmp_path})",
        ),
        (UserWarning, f"nothing is learned (a worker, at positions 2 to 3 of {tmp_path})"),
    ]
    kept = found.warnings()
    assert kept["category"].tolist() == ["UncheckedFieldsWarning", "UserWarning"]
    assert kept["start"].tolist() == [0, 2]
    assert kept["place"].str.startswith("test_warnings.py:").all()
    said = run("jobs", tmp_path).stdout.splitlines()
    assert "  warned: UncheckedFieldsWarning: fields from node 6 are wrong" in said
    assert "  warned: UserWarning: nothing is learned" in said


@pytest.mark.usefixtures("in_process")
def test_a_job_that_goes_on_tells_again_and_keeps_what_was_said_first(tmp_path: Path) -> None:
    asked = {"index": [6, 7, 8, 9], "out": tmp_path, "workers": 1, "progress": False}
    with pytest.warns(UserWarning, match="a worker, at positions"):
        gg.explain_all(model(), loops(10), Warns, block=2, **asked)
    kept = gg.Explanations.scan(tmp_path).warnings()
    next(tmp_path.rglob("*2-*4.parquet")).unlink()
    with pytest.warns(UserWarning, match="a worker, at positions") as told:
        found = gg.explain_all(model(), loops(10), Warns, block=2, **asked)
    assert "from node 8" in str(told[0].message)
    assert found.warnings().equals(kept)
    (tmp_path / "warnings.json").write_text("[")
    with pytest.raises(DamagedFileError, match=r"warnings\.json cannot be read"):
        found.warnings()


def test_what_stands_in_rows_or_is_for_developers_is_not_heard() -> None:
    with hearing() as heard:
        warnings.warn("in rows", ConstantScoresWarning, stacklevel=1)
        warnings.warn("for developers", DeprecationWarning, stacklevel=1)
        warnings.warn("for users", RuntimeWarning, stacklevel=1)
    assert [(each.category, each.text) for each in heard] == [(RuntimeWarning, "for users")]


@pytest.mark.usefixtures("in_process")
def test_a_job_without_warnings_says_nothing(tmp_path: Path) -> None:
    found = gg.explain_all(
        model(), loops(3), "edge_gradients", out=tmp_path, workers=1, progress=False
    )
    assert found.warnings().empty
    assert not (tmp_path / "warnings.json").exists()
