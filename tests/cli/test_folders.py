"""Two runs of ``glassgraph explain`` and one OUT: refused, resumed or replaced, as was said."""

from __future__ import annotations

import json
import multiprocessing
import os
import platform
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import Result

import glassgraph as gg
from glassgraph.cli import console
from glassgraph.explainers.gradient.saliency import Saliency
from glassgraph.results.saved.folder_lock import LOCK, locked
from tests.cli.helpers import explain, write_case


@pytest.fixture
def case(tmp_path: Path) -> dict[str, Any]:
    return {**write_case(tmp_path), "--method": "saliency", "--memory": "1kB"}


def one_line(result: Result) -> str:
    assert result.exit_code == 2
    lines: list[str] = result.stderr.strip().splitlines()
    assert len(lines) == 1, result.stderr
    return lines[0]


def stop_after(patch: pytest.MonkeyPatch, batches: int, error: type[BaseException]) -> list[int]:
    """Saliency ends with an error in the batch after so many; the batches that it explained."""
    attribute, calls = Saliency.attribute, []

    def stopping(self: Saliency, batch: Any) -> Any:
        if len(calls) == batches:
            raise error
        calls.append(1)
        return attribute(self, batch)

    patch.setattr(Saliency, "attribute", stopping)
    return calls


def stop_and_forget(batches: int, error: type[BaseException], work: Any) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        stop_after(patch, batches, error)
        return work()


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def masks(folder: Path) -> list[torch.Tensor]:
    return [each.node_mask for each in gg.Explanations.load(folder)]


def test_a_second_run_is_refused_unless_it_says_what_is_wanted(case: dict[str, Any]) -> None:
    out = case["--out"]
    assert explain(case, seed=1).exit_code == 0
    before = contents(out / "saliency")
    line = one_line(explain(case, seed=2))
    assert f"{out / 'saliency'} holds a result already" in line
    assert "--resume goes on with it, --overwrite replaces it" in line
    assert contents(out / "saliency") == before
    assert "not both" in one_line(explain(case, "--resume", "--overwrite"))
    assert explain(case, "--overwrite", seed=2).exit_code == 0
    assert gg.Explanations.load(out / "saliency").provenance["seed"] == 2
    assert explain(case, method="random").exit_code == 0, "another method has a folder of its own"


def test_an_interrupted_result_is_refused_too_and_resumed(
    case: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = case["--out"]
    result = stop_and_forget(2, KeyboardInterrupt, partial(explain, case))
    assert result.exit_code == 130
    assert "The same command with --resume goes on from here" in result.stderr
    assert "holds a result already" in one_line(explain(case))
    left = stop_after(monkeypatch, 10**9, AssertionError)
    result = explain(case, "--resume")
    assert result.exit_code == 0, result.output
    assert len(left) == 2, "two of four were finished"
    (row,) = json.loads((out / "metrics.json").read_text())["methods"]
    assert (row["instances"], row["complete"]) == (4, True)
    assert row["seconds"] is None, "nobody knows how long it took in all"
    assert explain(case, out=out.with_name("whole")).exit_code == 0
    for one, other in zip(
        masks(out / "saliency"), masks(out.with_name("whole") / "saliency"), strict=True
    ):
        assert torch.equal(one, other)


def test_several_methods_are_resumed_where_the_run_died(
    case: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Random was whole, saliency half, occlusion had not begun."""

    class Dies(BaseException):
        pass

    methods = "random,saliency,occlusion"
    with pytest.raises(Dies):
        stop_and_forget(3, Dies, partial(explain, case, method=methods))
    left = stop_after(monkeypatch, 10**9, AssertionError)
    assert explain(case, "--resume", method=methods).exit_code == 0
    assert len(left) == 1
    rows = json.loads((case["--out"] / "metrics.json").read_text())["methods"]
    assert [(row["method"], row["instances"], row["seconds"] is None) for row in rows] == [
        ("random", 4, True),
        ("saliency", 4, True),
        ("occlusion", 4, False),
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 5}, "seed was 0, is 5"),
        ({"index": "0,4"}, "instances was 4, is 2"),
        ({"target": "1"}, 'target was "predicted", is 1'),
    ],
)
def test_resuming_another_run_is_refused(
    case: dict[str, Any], change: dict[str, Any], message: str
) -> None:
    assert explain(case).exit_code == 0
    before = contents(case["--out"] / "saliency")
    result = explain(case, "--resume", **change)
    assert result.exit_code == 2
    assert message in result.stderr
    assert contents(case["--out"] / "saliency") == before


@pytest.mark.slow("methods without a fit: test_several_methods_are_resumed_where_the_run_died")
def test_a_fitted_method_is_fitted_again_with_the_same_numbers(case: dict[str, Any]) -> None:
    fits = ["--set", "steps=4", "--set", "tolerance=1e9"]
    options = {"method": "information_bottleneck", "index": "0:2"}
    assert explain(case, *fits, **options, fit="2:6").exit_code == 0
    before = contents(case["--out"] / "information_bottleneck")
    learned = (case["--out"] / "information_bottleneck.safetensors").read_bytes()
    assert explain(case, "--resume", *fits, **options, fit="2:6").exit_code == 0
    result = explain(case, "--resume", *fits, **options, fit="2:5")
    assert result.exit_code == 2
    assert "learned was" in result.stderr
    assert contents(case["--out"] / "information_bottleneck") == before
    assert (case["--out"] / "information_bottleneck.safetensors").read_bytes() == learned


def test_resume_on_an_empty_folder_begins(case: dict[str, Any]) -> None:
    assert explain(case, "--resume").exit_code == 0
    assert len(gg.Explanations.load(case["--out"] / "saliency")) == 4


@pytest.mark.slow("its choice: test_a_second_run_is_refused_unless_it_says_what_is_wanted")
def test_overwriting_keeps_the_old_result_until_the_new_one_is_whole(case: dict[str, Any]) -> None:
    out = case["--out"]
    assert explain(case, seed=1).exit_code == 0
    before = masks(out / "saliency")
    overwrite = partial(explain, case, "--overwrite", index="0:6")
    assert stop_and_forget(2, KeyboardInterrupt, overwrite).exit_code == 130
    for one, other in zip(masks(out / "saliency"), before, strict=True):
        assert torch.equal(one, other)
    assert explain(case, "--resume", index="0:6").exit_code == 0
    assert len(masks(out / "saliency")) == 6


def test_a_run_beside_another_is_refused_before_it_trains(
    case: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even with another method, or told to overwrite: report and metrics are shared."""
    monkeypatch.setattr("glassgraph.cli.job.choose_model", None)
    case["--out"].mkdir()
    with locked(case["--out"]):
        for more in ((), ("--resume",), ("--overwrite",)):
            line = one_line(explain(case, *more, method="random"))
            assert f"{case['--out']} is being written by process {os.getpid()}" in line
            assert f"on {platform.node()}, since 20" in line
    assert contents(case["--out"]) == {}


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_two_processes_and_one_folder(case: dict[str, Any]) -> None:
    """Both begin at once: one does it all, the other does nothing."""
    fork = multiprocessing.get_context("fork")
    start, codes = fork.Barrier(2), fork.Array("i", [-1, -1])

    def run(number: int) -> None:
        start.wait()
        codes[number] = explain(case, "--quiet").exit_code

    processes = [fork.Process(target=run, args=(number,)) for number in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert sorted(codes) == [0, 2]
    assert gg.Explanations.load(case["--out"] / "saliency").is_complete
    assert json.loads((case["--out"] / "metrics.json").read_text())["methods"][0]["complete"]
    assert not (case["--out"] / LOCK).exists()
    assert not [path.name for path in case["--out"].rglob(".*")]


def test_a_trained_model_that_differs_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from glassgraph.cli import job
    from glassgraph.models import build_model, save_model

    def net(seed: int) -> Any:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            sizes = {"in_channels": 3, "hidden_channels": 4, "out_channels": 2}
            return build_model({"kind": "gcn", **sizes})

    path = save_model(net(1), tmp_path / "model.safetensors")
    before = path.read_bytes()
    job._check_same(net(1), path)
    with pytest.raises(
        gg.errors.ResumeError, match=r"training again gave other weights.*--weights"
    ):
        job._check_same(net(2), path)
    assert path.read_bytes() == before


def test_links_in_the_place_of_what_a_run_writes(case: dict[str, Any], tmp_path: Path) -> None:
    out = case["--out"]
    out.mkdir()
    (tmp_path / "aim").write_text("precious")
    for name in ("metrics.json", "report.html", ".glassgraph-write-test"):
        (out / name).symlink_to(tmp_path / "aim")
    assert explain(case, "--quiet").exit_code == 0
    assert (tmp_path / "aim").read_text() == "precious"
    assert not (out / "report.html").is_symlink()


def test_json_that_cannot_be_written_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "m.json"
    console.write_json(path, {"a": 1})

    def full(*_: Any, **__: Any) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(gg.errors.OutputError, match="No space left"):
        console.write_json(path, {"a": 2})
    assert json.loads(path.read_text()) == {"a": 1}
    assert [each.name for each in tmp_path.iterdir()] == ["m.json"]
