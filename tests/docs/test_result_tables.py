"""Rows that are kept for the docs: whole data sets, of one set of networks."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from glassgraph.benchmarks import read_rows, read_suite
from glassgraph.benchmarks.rows import cell_file, write_cell
from tests.benchmarks.leaderboard.frames import row

sys.path.insert(0, str(Path(__file__).parents[2] / "docs" / "tools"))
from result_tables import (  # type: ignore[import-not-found]
    evidence_text,
    pack,
    ranks_table,
    seeds_table,
)

QUICK = read_suite("quick")


def _measured(out: Path, seed: int, network: str, *, left_out: int = 0) -> Path:
    """Rows of the quick suite, as its command leaves them."""
    cells = [(data.name, spec.name) for data in QUICK.datasets for spec in QUICK.methods]
    for dataset, method in cells[left_out:]:
        own = row(suite="quick", dataset=dataset, method=method, seed=seed, value=0.5)
        own["command"] = "glassgraph benchmark --root /some/where --cache /else/where --out again"
        write_cell(cell_file(out, dataset, seed, method), [own])
    for dataset in {dataset for dataset, _ in cells}:
        (out / "references").mkdir(exist_ok=True)
        said = json.dumps({"network": f"{network} of {dataset}", "floor": [], "ceiling": []})
        (out / "references" / f"{dataset}.{seed}.json").write_text(said)
    return out


def test_data_sets_come_whole_and_beside_what_is_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target, out = tmp_path / "kept", tmp_path / "out"
    pack(_measured(out, 0, "first", left_out=1), target)
    first, *others = (data.name for data in QUICK.datasets)
    assert f"{first}, seed 0 is left out: 1 methods are missing" in capsys.readouterr().out
    rows = read_rows(target)
    assert list(dict.fromkeys(rows["dataset"])) == sorted(others)
    (command,) = set(rows["command"])
    assert command == f"glassgraph benchmark --root data --cache {target}/references --out again"
    again = _measured(tmp_path / "again", 0, "first")
    for dataset in others:
        for file in (again / "rows").glob(f"{dataset}.*"):
            file.unlink()
    pack(again, target)
    pack(_measured(tmp_path / "next", 1, "first"), target)
    kept = read_rows(target)
    assert kept.groupby(["seed", "dataset", "method"]).size().eq(1).all()
    assert kept.groupby("seed").size().eq(len(QUICK.datasets) * len(QUICK.methods)).all()
    assert set(kept["seed"]) == {0, 1}


def test_rows_of_another_network_are_not_kept(tmp_path: Path) -> None:
    target = tmp_path / "kept"
    pack(_measured(tmp_path / "out", 0, "first"), target)
    again = _measured(tmp_path / "again", 0, "second")
    with pytest.raises(ValueError, match=r"another network of [\w-]+\.0 than .*kept"):
        pack(again, target)


def test_nothing_is_whole(tmp_path: Path) -> None:
    out = _measured(tmp_path / "out", 0, "first")
    for file in (out / "rows").glob("*.random.parquet"):
        file.unlink()
    with pytest.raises(ValueError, match="no data set with all methods"):
        pack(out, tmp_path / "kept")


def test_ranks_are_those_on_each_network(tmp_path: Path) -> None:
    """Two methods change places between two seeds; a third is beaten on both."""
    for seed, values in enumerate(({"a": 0.9, "b": 0.7, "c": 0.1}, {"a": 0.7, "b": 0.7, "c": 0.1})):
        for method, value in values.items():
            own = row(suite="quick", method=method, seed=seed, value=value)
            own |= {"low": value - 0.05, "high": value + 0.05}
            write_cell(cell_file(tmp_path, "mutag", seed, method), [own])
    assert ranks_table(read_rows(tmp_path), "auc", None).splitlines()[2:] == [
        "| 1 | `a` | 1.0 | 1.0 | 1.0 | 2 |",
        "| 2 | `b` | 1.5 | 2.0 | 1.0 | 2 |",
        "| 3 | `c` | 3.0 | 3.0 | 3.0 | 2 |",
    ]


def test_what_seeds_agree_on_is_counted(tmp_path: Path) -> None:
    """One method is above chance on both seeds of a set, one on one of them, one on none."""
    above, below = {"low": 0.6, "high": 0.8, "value": 0.7}, {"low": 0.3, "high": 0.5, "value": 0.4}
    chance = {"floor": 0.5, "floor_low": 0.45, "floor_high": 0.55}
    seen = {"a": (above, above), "b": (above, below), "c": (below, below)}
    for method, (first, second) in seen.items():
        for seed, values in enumerate((first, second)):
            own = row(suite="quick", method=method, seed=seed, **values, **chance)
            write_cell(cell_file(tmp_path, "mutag", seed, method), [own])
    alone = row(suite="quick", dataset="cora", method="a", seed=1, **below, **chance)
    write_cell(cell_file(tmp_path, "cora", 1, "a"), [alone])
    assert seeds_table(read_rows(tmp_path), "auc", None).splitlines()[2:] == [
        "| `a` | 1 | 0 | 0 |",
        "| `c` | 0 | 0 | 1 |",
        "| `b` | 0 | 1 | 0 |",
        "| *all* | 1 | 1 | 1 |",
    ]


@pytest.mark.parametrize(
    ("measured", "said"),
    [
        ({"mutag": (0,)}, "1 seed"),
        ({"mutag": (0, 1)}, "each of 2 seeds"),
        ({"mutag": (0, 1), "cora": (1,)}, "each of 1 to 2 seeds"),
    ],
)
def test_evidence_says_on_how_many_seeds(
    tmp_path: Path, measured: dict[str, tuple[int, ...]], said: str
) -> None:
    for dataset, seeds in measured.items():
        for seed in seeds:
            own = row(dataset=dataset, seed=seed, metric="robust_fidelity_delta", level="0.7")
            own |= {"value": 0.5, "low": 0.4, "high": 0.6, "floor": 0.1, "floor_high": 0.2}
            write_cell(cell_file(tmp_path, dataset, seed, "saliency"), [own | {"floor_low": 0.0}])
    found = json.loads(evidence_text(tmp_path))["methods"]["saliency"]
    assert found["measured"].endswith(f", survey suite, {said}")
    assert found["above"] == list(measured)
