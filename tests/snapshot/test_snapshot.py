"""Nothing that is computed changes unnoticed: every method's results on eight cases, as stored.

A number that changes on purpose is stored anew (``python -m tests.snapshot.write --force NAME``),
and the commit says why.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

import glassgraph as gg
from tests.snapshot import files, write
from tests.snapshot.compare import ELSEWHERE, TOLERANCE, arithmetic, differences
from tests.snapshot.record import Record, record
from tests.snapshot.scenes import CASES
from tests.snapshot.settings import METHODS, NAMES, registry_name

SCORES = {"edge_score", "layer_edge_score", "node_score", "feature_score", "walk_scores"}


@pytest.mark.parametrize("name", NAMES)
def test_a_method_says_what_it_said(name: str) -> None:
    found = differences(name, files.read(name), record(name), tolerance(arithmetic()))
    assert not found, "\n".join(found)


def tolerance(here: Record) -> float:
    """Roundings alone on a machine that computes like the one that wrote the snapshot."""
    there = files.read(files.ARITHMETIC)
    is_alike = all(torch.equal(here[path], there[path]) for path in there)
    return TOLERANCE if is_alike else ELSEWHERE


def test_each_stored_method_is_registered_and_run() -> None:
    assert not missing(set(gg.methods().index))
    layouts = {each.stem for each in files.FOLDER.glob("*.json")}
    assert layouts == {files.paths_of(name)[0].stem for name in (*NAMES, files.ARITHMETIC)}


def missing(registered: set[str]) -> list[str]:
    """Names of the snapshot that the registry has lost."""
    return sorted({registry_name(name) for name in NAMES} - registered)


# The snapshot has something to say


def test_every_kind_of_score_is_stored() -> None:
    stored = [path for name in METHODS for path in files.read(name)]
    assert {path.split("/")[-1] for path in stored} >= SCORES | {
        "total",
        "edge_mask",
        "layer_edge_mask",
        "node_mask",
        "walks",
        "threshold",
    }
    assert any("/tables/" in path for path in stored)
    assert any("/kept/" in path for path in stored)


#: Where nothing that Zorro hides changes the decision, nothing is evidence.
ALIKE = {("zorro", "graph")}


@pytest.mark.parametrize("name", METHODS)
def test_what_is_stored_of_a_case_are_scores_that_differ_or_an_error(name: str) -> None:
    """A case in which all scores of a method are alike would guard little of it."""
    stored = files.read(name)
    explained = {title for title in CASES if f"{title}/error" not in stored}
    differing = {title for title in explained if any(map(differ, scores_of(stored, title)))}
    assert explained - differing == {title for method, title in ALIKE if method == name}


def scores_of(stored: Record, title: str) -> list[Tensor]:
    """All stored scores of a case."""
    return [
        value
        for path, value in stored.items()
        if path.startswith(f"{title}/") and path.split("/")[-1] in SCORES
    ]


def differ(scores: Tensor) -> bool:
    """Whether there are two of them at least."""
    return int(scores[scores.isfinite()].unique().numel()) > 1


def test_each_case_is_explained_by_its_methods() -> None:
    stored = {name: files.read(name) for name in METHODS}
    explain = {
        title: {name for name in METHODS if f"{title}/error" not in stored[name]} for title in CASES
    }
    assert {registry_name(name) for name in explain.pop("black box")} == {
        "causal_screening",
        "graph_lime",
        "pgm_explainer",
        "relex",
        "shapley_edges",
        "shapley_nodes",
        "subgraphx",
        "zorro",
    }
    assert min(map(len, explain.values())) >= len(METHODS) - 5


# What the comparison must reject


@pytest.fixture(name="stored")
def _stored() -> Record:
    return files.read("saliency")


@pytest.mark.parametrize(
    "path", ["node/1/local/edge_score", "heterogeneous/0/store_1/node_mask", "edge/0/local/total"]
)
def test_the_comparison_rejects_a_billionth_in_a_single_score(path: str) -> None:
    stored = files.read("lrp")
    assert not differences("lrp", stored, files.read("lrp"))
    changed = {**stored, path: stored[path].clone()}
    changed[path].view(-1)[-1] += 1e-9 * max(1.0, float(changed[path].view(-1)[-1].abs()))
    (line,) = differences("lrp", stored, changed)
    assert line.startswith(f"lrp: {path}: largest difference 1e-09")


def test_the_comparison_lets_a_rounding_pass(stored: Record) -> None:
    path = "node/1/local/edge_score"
    assert not differences("saliency", stored, {**stored, path: stored[path] + 1e-13})


def test_the_comparison_rejects_what_is_lost_and_what_is_new(stored: Record) -> None:
    lost = {path: value for path, value in stored.items() if path != "node/1/local/edge_score"}
    assert differences("saliency", stored, lost) == ["saliency: node/1/local/edge_score: gone"]
    assert differences("saliency", lost, stored) == [
        "saliency: node/1/local/edge_score: not in the snapshot"
    ]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("black box/error", "TaskError"),
        ("black box/warnings", ["FallbackWarning"]),
        ("node/0/local/index", 5),
        ("node/0/local/index", torch.tensor(4)),
        ("node/0/local/edge_score", torch.zeros(2)),
    ],
)
def test_the_comparison_rejects_other_values(path: str, value: object, stored: Record) -> None:
    (line,) = differences("saliency", stored, {**stored, path: value})
    assert line.startswith(f"saliency: {path}: expected ")


def test_the_comparison_rejects_other_numbers_and_what_is_no_number(stored: Record) -> None:
    ids, scores = stored["node/0/local/edge_id"], stored["node/0/local/edge_score"]
    other = {**stored, "node/0/local/edge_id": ids.flip(0)}
    assert "entries differ" in differences("saliency", stored, other)[0]
    for value in (torch.nan, torch.inf):
        odd = {**stored, "node/0/local/edge_score": torch.full_like(scores, value)}
        assert "finite in one alone" in differences("saliency", stored, odd)[0]
        assert not differences("saliency", odd, odd)
        assert "finite in one alone" in differences("saliency", odd, stored)[0]


def test_a_machine_that_rounds_otherwise_is_told_apart() -> None:
    here = files.read(files.ARITHMETIC)
    assert tolerance(here) == TOLERANCE
    for path, value in here.items():
        off = value.nextafter(torch.full_like(value, torch.inf))
        assert tolerance({**here, path: off}) == ELSEWHERE < 1e-4


def test_a_lost_method_is_missed() -> None:
    registered = set(gg.methods().index)
    assert missing(registered - {"lrp"}) == ["lrp"]


# Files


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    found = {
        "scores": torch.tensor([[0.1, torch.nan], [-torch.inf, 1e-300]], dtype=torch.float64),
        "single": torch.tensor(1 / 3),
        "none": torch.zeros(0, 3, dtype=torch.float64),
        "kept": torch.tensor([True, False]),
        "ids": torch.tensor([7]),
        "error": "TaskError",
        "target": [0, 2],
    }
    files.write("mine", found, tmp_path)
    assert not differences("mine", found, files.read("mine", tmp_path))


def test_stored_files_are_kept_unless_forced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    layout, _ = files.paths_of("random", tmp_path)
    layout.write_text("mine")
    assert write.main(["random"], tmp_path) == 1
    assert "--force" in capsys.readouterr().out
    assert layout.read_text() == "mine"
    assert write.main(["random", "--force"], tmp_path) == 0
    assert not differences("random", files.read("random"), files.read("random", tmp_path))
