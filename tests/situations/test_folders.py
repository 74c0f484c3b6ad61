"""Folders of results: one writer at a time, full disks, killed writers, links in the way."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import platform
import random
import signal
import subprocess
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from safetensors import SafetensorError
from torch_geometric.data import Data
from torch_geometric.nn import GCN

import glassgraph as gg
from glassgraph import errors
from glassgraph.core.batch import InstanceBatch
from glassgraph.explainers import fitted_file
from glassgraph.files import replacing
from glassgraph.results.saved import store, stored_generation
from glassgraph.results.saved.folder_lock import LOCK, AbandonedLockWarning, locked
from tests.results.test_model_explanation import explanation as generated

INDEX = [4, 1, 7, 0, 8, 2, 6]
#: Children are forked: a new interpreter would spend seconds on importing torch.
FORK = multiprocessing.get_context("fork")
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")


def model() -> GCN:
    with torch.random.fork_rng():
        torch.manual_seed(4)
        return GCN(3, 5, 2, 2).eval()


def graph() -> Data:
    generator = torch.Generator().manual_seed(1)
    ends = torch.randint(9, (2, 23), generator=generator)
    return Data(x=torch.randn(9, 3, generator=generator), edge_index=ends)


def explainer(kind: type[gg.Explainer] = gg.EdgeGradients, **settings: Any) -> gg.Explainer:
    """A tiny budget makes a batch, and a part, of every instance."""
    return kind(model(), memory_budget=1, progress=False, **settings)


@pytest.fixture(scope="module")
def whole() -> gg.Explanations:
    """The result without any fault."""
    return explainer().explain(graph(), INDEX)


def expect_equal(found: gg.Explanations, whole: gg.Explanations, size: int | None = None) -> None:
    """The first ``size`` explanations, bit for bit."""
    assert len(found) == (len(whole) if size is None else size)
    for one, other in zip(found, whole, strict=False):
        assert one.local.index == other.local.index
        assert torch.equal(one.layer_edge_mask, other.layer_edge_mask)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


class Waits(gg.EdgeGradients):
    """Says that it is in the third batch, and waits until it may go on."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.batches, self.is_there, self.may_go = 0, FORK.Event(), FORK.Event()

    def attribute(self, batch: InstanceBatch) -> gg.Attribution:
        self.batches += 1
        if self.batches == 3:
            self.is_there.set()
            assert self.may_go.wait(60)
        return super().attribute(batch)


def in_another_process(work: Callable[[], object]) -> Any:
    """A running child; that it takes over a lock is no error there."""

    def quietly() -> None:
        warnings.simplefilter("ignore", AbandonedLockWarning)
        work()

    process = FORK.Process(target=quietly)
    process.start()
    return process


# One writer


def test_a_second_writer_is_refused_and_the_first_is_not_disturbed(
    tmp_path: Path, whole: gg.Explanations
) -> None:
    first = explainer(Waits)
    process = in_another_process(lambda: first.explain(graph(), INDEX, save_to=tmp_path / "run"))
    assert first.is_there.wait(60)
    words = rf"process {process.pid} on {platform.node()}, since 20.*wait for it, or choose another"
    second = explainer()
    for attempt in (
        lambda: second.explain(graph(), INDEX[:2], save_to=tmp_path / "run"),
        lambda: second.explain(graph(), INDEX, save_to=tmp_path / "run", resume=True),
        lambda: whole.save(tmp_path / "run"),
    ):
        with pytest.raises(errors.FolderInUseError, match=words) as caught:
            attempt()
        assert isinstance(caught.value, errors.OutputError)
    expect_equal(gg.Explanations.load(tmp_path / "run"), whole, size=2)
    first.may_go.set()
    process.join(60)
    assert process.exitcode == 0
    expect_equal(gg.Explanations.load(tmp_path / "run"), whole)
    assert not (tmp_path / "run" / LOCK).exists()
    whole.save(tmp_path / "run")


def test_another_thread_is_refused_too(tmp_path: Path) -> None:
    with (
        locked(tmp_path),
        pytest.raises(errors.FolderInUseError, match=r"\(this very one\)"),
        locked(tmp_path),
    ):
        pass
    with locked(tmp_path):
        pass
    assert names(tmp_path) == set()


def test_the_lock_of_a_dead_process_is_taken_over_and_said_once(
    tmp_path: Path, whole: gg.Explanations
) -> None:
    first = explainer(Waits)
    process = in_another_process(lambda: first.explain(graph(), INDEX, save_to=tmp_path))
    assert first.is_there.wait(60)
    os.kill(process.pid, signal.SIGKILL)
    process.join(60)
    assert (tmp_path / LOCK).exists()
    with pytest.warns(AbandonedLockWarning, match=rf"process {process.pid} .* died") as told:
        expect_equal(explainer().explain(graph(), INDEX, save_to=tmp_path, resume=True), whole)
    assert len(told) == 1
    expect_equal(gg.Explanations.load(tmp_path), whole)


def test_the_lock_of_another_host_is_left_alone(tmp_path: Path, whole: gg.Explanations) -> None:
    owner = {"process": 1, "host": "elsewhere", "since": "2026-01-01"}
    (tmp_path / LOCK).write_text(json.dumps(owner))
    with pytest.raises(errors.FolderInUseError, match=rf"elsewhere.*dead, delete .*{LOCK}"):
        whole.save(tmp_path)
    assert names(tmp_path) == {LOCK}


@pytest.mark.parametrize("content", ["", "{", "[1]", '{"process": "x"}'])
def test_a_lock_that_says_nothing_is_nobodys(
    tmp_path: Path, whole: gg.Explanations, content: str
) -> None:
    (tmp_path / LOCK).write_text(content)
    if content.startswith('{"'):
        with pytest.warns(AbandonedLockWarning):
            whole.save(tmp_path)
    else:
        whole.save(tmp_path)
    expect_equal(gg.Explanations.load(tmp_path), whole)


def test_many_processes_for_one_lock_let_one_through(tmp_path: Path) -> None:
    """All begin at once, over and over, with a dead one's lock in their way."""

    def compete(start: Any, entered: Any) -> None:
        warnings.simplefilter("ignore")
        start.wait()
        for _ in range(60):
            try:
                with locked(tmp_path):
                    with entered.get_lock():
                        entered[0] += 1
                    assert entered[0] == 1
                    with entered.get_lock():
                        entered[0] -= 1
                        entered[1] += 1
            except errors.FolderInUseError:
                pass

    (tmp_path / LOCK).write_text(json.dumps({"process": 2**22, "host": platform.node()}))
    start, entered = FORK.Barrier(4), FORK.Array("i", 2)
    processes = [FORK.Process(target=compete, args=(start, entered)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * 4
    assert entered[1] > 0
    assert names(tmp_path) == set()


# Links and names


def test_links_are_not_followed(tmp_path: Path, whole: gg.Explanations) -> None:
    """Whatever the folder holds under names that are written, what links lead to stays as it is."""
    whole.save(tmp_path / "run")
    aims = {}
    for name in sorted(names(tmp_path / "run")):
        path, aim = tmp_path / "run" / name, tmp_path / f"aim-{name}"
        aim.write_text("precious")
        path.unlink()
        path.symlink_to(aim)
        aims[aim] = path
    whole.save(tmp_path / "run")
    for aim, path in aims.items():
        assert aim.read_text() == "precious"
        assert not path.is_symlink()
    expect_equal(gg.Explanations.load(tmp_path / "run"), whole)


def test_a_link_in_the_place_of_the_lock_is_refused(tmp_path: Path, whole: gg.Explanations) -> None:
    (tmp_path / "aim").write_text("precious")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / LOCK).symlink_to(tmp_path / "aim")
    with pytest.raises(errors.OutputError, match="cannot be written"):
        whole.save(tmp_path / "run")
    assert (tmp_path / "aim").read_text() == "precious"


def test_names_of_temporary_files_cannot_be_guessed(tmp_path: Path) -> None:
    seen = set()
    for _ in range(20):
        with replacing(tmp_path / "file") as temporary:
            seen.add(temporary.parent.name)
    assert len(seen) == 20
    assert names(tmp_path) == {"file"}


def test_new_files_have_the_rights_that_the_user_wants(
    tmp_path: Path, whole: gg.Explanations
) -> None:
    before = os.umask(0o027)
    try:
        whole.save(tmp_path / "run")
    finally:
        os.umask(before)
    rights = {path.stat().st_mode & 0o777 for path in (tmp_path / "run").iterdir()}
    assert rights == {0o640}


# Replacing


def test_an_earlier_result_is_readable_until_the_new_one_is_whole(
    tmp_path: Path, whole: gg.Explanations
) -> None:
    other = explainer().explain(graph(), [3, 5], save_to=tmp_path)
    first = explainer(Waits)
    process = in_another_process(lambda: first.explain(graph(), INDEX, save_to=tmp_path))
    assert first.is_there.wait(60)
    expect_equal(gg.Explanations.load(tmp_path), other)
    first.may_go.set()
    process.join(60)
    expect_equal(gg.Explanations.load(tmp_path), whole)
    found = names(tmp_path)
    assert found == names(whole.save(tmp_path / "fresh"))


def test_a_reader_beside_a_writer_sees_one_result_or_the_other(tmp_path: Path) -> None:
    small, large = (explainer().explain(graph(), index) for index in ([3], [4, 1, 7]))
    small.save(tmp_path)

    def replace() -> None:
        for _ in range(8):
            large.save(tmp_path)
            small.save(tmp_path)

    process = in_another_process(replace)
    seen = set()
    while process.is_alive():
        found = gg.Explanations.load(tmp_path)
        expect_equal(found, small if len(found) == 1 else large)
        seen.add(len(found))
    process.join(60)
    assert process.exitcode == 0
    assert seen <= {1, 3}


def test_a_result_may_be_kept_from_being_replaced(tmp_path: Path, whole: gg.Explanations) -> None:
    whole.save(tmp_path / "run", overwrite=False)
    with pytest.raises(errors.ExistingResultError, match=r"holds a result.*overwrite=True"):
        whole[:2].save(tmp_path / "run", overwrite=False)
    expect_equal(gg.Explanations.load(tmp_path / "run"), whole)
    whole[:2].save(tmp_path / "run")
    expect_equal(gg.Explanations.load(tmp_path / "run"), whole, size=2)


def test_files_of_others_stay(tmp_path: Path, whole: gg.Explanations) -> None:
    own = ["notes.txt", "part-of-it.parquet", "graph.pt", "graphs.safetensors", ".tmp"]
    for name in own:
        (tmp_path / name).write_text("mine")
    whole.save(tmp_path)
    whole.save(tmp_path)
    for name in own:
        assert (tmp_path / name).read_text() == "mine"


# Full disks


class FullDisk:
    """The k-th thing that is written fails, after a half of it has been."""

    def __init__(self, patch: pytest.MonkeyPatch, fails_at: int) -> None:
        self.calls, self.fails_at = 0, fails_at
        full = OSError(errno.ENOSPC, "No space left on device")
        bare = SafetensorError("Error while serializing: No space left on device")
        self._wrap(patch, pd.DataFrame, "to_parquet", 1, full)
        self._wrap(patch, Path, "write_text", 0, full)
        self._wrap(patch, os, "replace", None, full)
        for module in (store, stored_generation, fitted_file):
            self._wrap(patch, module, "save_file", 1, bare)

    def _wrap(
        self, patch: pytest.MonkeyPatch, owner: Any, name: str, path: int | None, error: Exception
    ) -> None:
        write = getattr(owner, name)

        def write_or_fail(*args: Any, **kwargs: Any) -> Any:
            self.calls += 1
            if self.calls != self.fails_at:
                return write(*args, **kwargs)
            if path is not None:
                Path(args[path]).write_bytes(b"half of it")
            raise error

        patch.setattr(owner, name, write_or_fail)


def failures(work: Callable[[], object]) -> Iterator[int]:
    """Do the work with the first, second, ... write failing, until none is left to fail."""
    for fails_at in range(1, 500):
        with pytest.MonkeyPatch.context() as patch:
            disk = FullDisk(patch, fails_at)
            try:
                work()
            except errors.OutputError as error:
                told = str(error)
            else:
                assert disk.calls < fails_at
                return
        assert "cannot be written (" in told
        assert "No space left" in told
        yield fails_at
    raise AssertionError("it writes without end")


def test_a_full_disk_loses_nothing_that_was_finished(
    tmp_path: Path, whole: gg.Explanations
) -> None:
    """At every single write; then there is room again, and the run goes on."""
    index, folder = INDEX[:2], tmp_path / "run"
    count = 0
    for fails_at in failures(lambda: explainer().explain(graph(), index, save_to=folder)):
        count += 1
        assert not any(name.startswith(".") for name in names(folder)), "no leftovers, no lock"
        if fails_at > 4:  # the graph, its place, the header, its place
            found = gg.Explanations.load(folder)
            assert len(found) <= 2
            expect_equal(found, whole, size=len(found))
        again = explainer().explain(graph(), index, save_to=folder, resume=True)
        expect_equal(again, whole, size=2)
        for path in folder.iterdir():
            path.unlink()
    assert count > 15


def test_a_full_disk_leaves_the_earlier_result(tmp_path: Path, whole: gg.Explanations) -> None:
    old = explainer().explain(graph(), [3, 5])
    folder = tmp_path / "run"

    old.save(folder)
    for _ in failures(lambda: whole[:1].save(folder)):
        found = gg.Explanations.load(folder)
        expect_equal(found, old if len(found) == 2 else whole, size=len(found))
        assert not any(name.startswith(".") for name in names(folder))
        old.save(folder)
    expect_equal(gg.Explanations.load(folder), whole, size=1)


def test_a_full_disk_and_generated_graphs(tmp_path: Path) -> None:
    old = generated()
    new = old[:1]
    folder = old.save(tmp_path / "run")
    for _ in failures(lambda: new.save(folder)):
        found = gg.ModelExplanation.load(folder)
        assert found.trace().equals(old.trace() if len(found) == 2 else new.trace())
        assert not any(name.startswith(".") for name in names(folder))
        old.save(folder)
    assert len(gg.ModelExplanation.load(folder)) == 1


def test_a_full_disk_and_a_fitted_explainer(tmp_path: Path) -> None:
    fitted = gg.PGExplainer(model(), epochs=1, progress=False).fit(graph(), index=INDEX)
    path = fitted.save(tmp_path / "fitted.safetensors")
    before = path.read_bytes()
    fitted.fit(graph(), index=INDEX[:5])
    for _ in failures(lambda: fitted.save(path)):
        assert path.read_bytes() == before
        assert names(tmp_path) == {path.name}
    assert path.read_bytes() != before


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 400 kB, where the user may mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(folder)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no file system can be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("free", [0, 4096, 8192, 20_000, 60_000, 120_000])
def test_a_disk_that_is_really_full(
    small_disk: Path, tmp_path: Path, whole: gg.Explanations, free: int
) -> None:
    """The other library's bare ``SafetensorError`` was the worst that came of it."""
    size = os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_frsize
    (small_disk / "filler").write_bytes(b"x" * max(0, size - free))
    folder = small_disk / "run"
    with pytest.raises(errors.OutputError, match=r"cannot be written.*(?i:no space)"):
        explainer().explain(graph(), INDEX, save_to=folder)
    with pytest.raises(errors.OutputError, match=r"cannot be written.*(?i:no space)"):
        whole.save(small_disk / "other")
    if (folder / "explanations.json").exists():
        found = gg.Explanations.load(folder)
        expect_equal(found, whole, size=len(found))
    (small_disk / "filler").unlink()
    for path in (small_disk / "other").glob("*"):
        path.unlink()
    found = explainer().explain(graph(), INDEX, save_to=folder, resume=True)
    expect_equal(found, whole)


# Killed writers


def test_a_writer_that_is_killed_at_any_time_loses_nothing(
    tmp_path: Path, whole: gg.Explanations
) -> None:
    chance, folder = random.Random(3), tmp_path / "run"
    survived = 0
    for attempt in range(84):
        if survived and attempt >= 14:
            break
        longest = 0.25 * 2 ** (attempt // 14)  # a busy machine has done nothing by then
        is_fresh = attempt % 4 == 0
        if is_fresh:
            folder = tmp_path / f"run{attempt}"
        work = partial(explainer().explain, graph(), INDEX, save_to=folder, resume=not is_fresh)
        process = in_another_process(work)
        time.sleep(chance.uniform(0.01, longest))
        os.kill(process.pid, signal.SIGKILL)
        process.join(60)
        if (folder / "explanations.json").exists():
            found = gg.Explanations.load(folder)
            expect_equal(found, whole, size=len(found))
            survived += 0 < len(found) < len(INDEX)
    assert survived, "no writer was killed half way: other times are needed"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AbandonedLockWarning)
        found = explainer().explain(graph(), INDEX, save_to=folder, resume=True)
    expect_equal(found, whole)
    assert not any(name.startswith(".") for name in names(folder))


@pytest.mark.slow("test_a_writer_that_is_killed_at_any_time_loses_nothing")
def test_a_writer_that_is_killed_while_replacing_leaves_one_result(
    tmp_path: Path, whole: gg.Explanations
) -> None:
    chance, old = random.Random(5), explainer().explain(graph(), [3, 5])
    old.save(tmp_path)
    for _ in range(12):
        process = in_another_process(lambda: (whole.save(tmp_path), old.save(tmp_path)))
        time.sleep(chance.uniform(0.005, 0.2))
        os.kill(process.pid, signal.SIGKILL)
        process.join(60)
        found = gg.Explanations.load(tmp_path)
        assert found.is_complete
        expect_equal(found, old if len(found) == 2 else whole)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AbandonedLockWarning)
        old.save(tmp_path)
    found = names(tmp_path)
    assert found == names(old.save(tmp_path / "fresh"))
