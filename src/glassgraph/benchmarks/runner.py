"""Runs the cells of a suite, one file for each, and goes on where an earlier run ended.

Cells are grouped by seed and data set: the model is loaded once, floor and ceiling are measured
once, then every method gets a process of its own with the time limit. This process alone writes; a
cell's file is there when the cell has ended, so after ``kill -9`` the same call repeats none that
was finished, and the one that was interrupted from its beginning.
"""

from __future__ import annotations

import functools
import shlex
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from glassgraph.benchmarks.cell import (
    Found,
    Plan,
    References,
    ceilings,
    cell_rows,
    floors,
    measure_cell,
    settings_text,
)
from glassgraph.benchmarks.folder import (
    open_folder,
    read_references,
    read_search,
    write_references,
    write_search,
)
from glassgraph.benchmarks.metrics import GROUPS
from glassgraph.benchmarks.processes import Outcome, Piece, Send, run_one, run_pieces
from glassgraph.benchmarks.rows import Row, cell_file, read_cell, write_cell
from glassgraph.benchmarks.search import search_settings
from glassgraph.benchmarks.specs import DatasetSpec, MethodSpec
from glassgraph.benchmarks.stability_groups import further_models
from glassgraph.benchmarks.subjects import (
    Subject,
    check_available,
    explained_under,
    load_data,
    load_registered,
    reference,
    subject_of,
)
from glassgraph.benchmarks.suite import Suite
from glassgraph.calling.protect import fingerprint
from glassgraph.errors import (
    DamagedFileError,
    GlassgraphError,
    Interrupted,
    LeakError,
    UnsupportedSystemError,
    WeightsError,
)
from glassgraph.models import ModelCacheWarning, default_cache, reference_model

Tell = Callable[["Progress"], None]


@dataclass(frozen=True)
class Progress:
    """Where a run stands.

    Attributes:
        text: what has just begun or ended.
        done: finished cells, those of earlier runs included.
        total: all cells that were asked for.
        seconds: since the run began.
        left: estimated seconds that are left; None before the first cell.
    """

    text: str
    done: int
    total: int
    seconds: float
    left: float | None


@dataclass
class Run:
    """How a run of a suite is made, and how far it got.

    Attributes:
        suite: the whole suite, which the folder is of.
        part: what is measured of it now.
        out: the folder.
        root: folder of raw files.
        cache: folder of trained models; `glassgraph.models.default_cache` if None.
        workers: cells at once, one thread each.
        budget: seconds after which no cell is begun; None for no limit.
        source: how the suite was named, for commands that repeat a cell.
        tell: called as cells begin and end.
    """

    suite: Suite
    part: Suite
    out: Path
    root: Path | None = None
    cache: Path | None = None
    workers: int = 1
    budget: float | None = None
    source: str = ""
    tell: Tell = lambda _: None
    _begin: float = 0.0
    _new: int = 0

    def __post_init__(self) -> None:
        self._plan = Plan(self.part.metrics, self.part.ranking)  # type: ignore[arg-type]
        self._models = self.cache or default_cache()

    @property
    def cells(self) -> list[tuple[DatasetSpec, int, MethodSpec]]:
        """All cells, seeds outermost: with a budget, every data set has its first seed first."""
        return [
            (dataset, seed, method)
            for seed in self.part.seeds
            for dataset in self.part.datasets
            for method in self.part.methods
        ]

    @property
    def left(self) -> list[tuple[DatasetSpec, int, MethodSpec]]:
        """The cells that are not finished."""
        return [cell for cell in self.cells if not self._is_done(*cell)]

    def go(self) -> None:
        """Measure what is left, as far as the budget goes.

        Raises:
            ResumeError: if the folder is of another suite, or holds rows of another network.
            LeakError: if a method would learn from what it explains.
            DatasetError: if files of a data set are missing, before anything is measured.
            Interrupted: on Ctrl-C; what is finished stays, and the same call goes on.
            GlassgraphError: see `glassgraph.errors`.
        """
        self._begin, self._new = time.monotonic(), 0
        threads = torch.get_num_threads()
        with open_folder(self.out, self.suite):
            try:
                torch.set_num_threads(1)  # as in the processes of cells; forks share no threads
                self._go()
            except KeyboardInterrupt as interrupt:
                done, total = len(self.cells) - len(self.left), len(self.cells)
                raise Interrupted(
                    f"interrupted: {done} of {total} cells are in {self.out}; the same command "
                    "goes on from here"
                ) from interrupt
            finally:
                torch.set_num_threads(threads)

    def _go(self) -> None:
        left = self.left
        for dataset in dict.fromkeys(spec.name for spec, _, _ in left):
            spec = next(each for each, _, _ in left if each.name == dataset)
            check_available(spec, self.root)
        for seed in self.part.seeds:
            for dataset_spec in self.part.datasets:
                methods = [m for m in self.part.methods if not self._is_done(dataset_spec, seed, m)]
                if methods and self._has_time():
                    self._block(dataset_spec, seed, methods)

    def _has_time(self) -> bool:
        return self.budget is None or time.monotonic() - self._begin < self.budget

    def _is_done(self, dataset: DatasetSpec, seed: int, method: MethodSpec) -> bool:
        path = cell_file(self.out, dataset.name, seed, method.name)
        if not path.exists():
            return False
        try:
            read_cell(path)
        except DamagedFileError:
            return False  # measured again, and replaced
        return True

    def _say(self, text: str) -> None:
        seconds, left = time.monotonic() - self._begin, len(self.left)
        estimate = seconds / self._new * left if self._new else None
        self.tell(Progress(text, len(self.cells) - left, len(self.cells), seconds, estimate))

    # One data set and seed

    def _block(self, spec: DatasetSpec, seed: int, methods: list[MethodSpec]) -> None:
        name = f"{spec.name}, seed {seed}"
        try:
            subject = self._subject(spec, seed)
        except (LeakError, UnsupportedSystemError):
            raise
        except GlassgraphError as error:
            self._fail(spec, seed, methods, f"the data or the model cannot be had: {error}")
            return
        network = fingerprint(subject.model) if isinstance(subject.model, nn.Module) else ""
        references = read_references(self.out, spec.name, seed, network)
        if references is None:
            self._say(f"{name}: floor and ceiling")
            references = self._references(subject)
            write_references(self.out, spec.name, seed, references, network)
        chosen = {method.name: self._settings(spec, method) for method in methods}

        def pieces() -> Iterator[Piece]:
            for method in methods:
                self._say(f"{name}: {method.name}")
                work = functools.partial(
                    measure_cell, subject, method.name, chosen[method.name], self._plan
                )
                yield Piece(method.name, work, self.part.time_limit)

        for outcome in run_pieces(pieces(), self.workers, self._has_time):
            self._keep(outcome, subject, chosen[outcome.key], references)

    def _keep(
        self,
        outcome: Outcome,
        subject: Subject,
        settings: Mapping[str, Any],
        references: References,
    ) -> None:
        """Write the rows of a cell that has ended."""
        about = {
            **self._about(subject.dataset, subject.seed, outcome.key),
            "settings": settings_text(settings),
            "model_accuracy": subject.accuracy,
        }
        rows = cell_rows(outcome, about, self._plan, references)
        self._write(subject.dataset, subject.seed, outcome.key, rows)
        failed = [row for row in rows if row["status"] in ("failed", "timeout")]
        told = f" ({failed[0]['status']}: {failed[0]['reason'][:100]})" if failed else ""
        self._say(
            f"{subject.dataset}, seed {subject.seed}: {outcome.key} took {outcome.seconds:.1f} s"
            f"{told}"
        )

    def _fail(self, spec: DatasetSpec, seed: int, methods: list[MethodSpec], reason: str) -> None:
        for method in methods:
            about = {
                **self._about(spec.name, seed, method.name),
                "settings": settings_text(method.settings),
            }
            row: Row = {**about, "status": "failed", "reason": reason}
            self._write(spec.name, seed, method.name, [row])
        self._say(f"{spec.name}, seed {seed}: {reason}")

    def _write(self, dataset: str, seed: int, method: str, rows: list[Row]) -> None:
        write_cell(cell_file(self.out, dataset, seed, method), rows)
        self._new += 1

    def _about(self, dataset: str, seed: int, method: str) -> dict[str, Any]:
        return {
            "suite": self.suite.name,
            "dataset": dataset,
            "seed": seed,
            "method": method,
            "command": self._command(dataset, seed, method),
        }

    def _command(self, dataset: str, seed: int, method: str) -> str:
        words = ["glassgraph", "benchmark", "--suite", self.source or self.suite.name]
        words += ["--datasets", dataset, "--methods", method, "--seeds", f"{seed}:{seed + 1}"]
        words += [] if self.root is None else ["--root", str(self.root)]
        words += [] if self._models == default_cache() else ["--cache", str(self._models)]
        return shlex.join([*words, "--out", "repeated"])

    # What cells stand on

    def _subject(self, spec: DatasetSpec, seed: int, avoid: torch.Tensor | None = None) -> Subject:
        """The model on its data; training is done in a process of its own, once."""
        registered = load_registered(spec, seed)
        if registered is not None:
            return registered
        self._say(f"{spec.name}, seed {seed}: data and model")
        dataset = load_data(spec, seed, self.root)

        def train(send: Send) -> None:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always", ModelCacheWarning)
                file = reference_model(dataset, seed, progress=False, cache=self._models).file
                for other, kind in further_models(self._plan.metrics, seed):
                    reference(dataset, other, self._models, kind)
            send((file, [str(each.message) for each in caught]))

        outcome = run_one(train)
        if outcome.end != "done":
            raise WeightsError(f"training failed: {outcome.reason}")
        ((file, warned),) = outcome.sent
        for text in warned:  # what a process warns of, no one reads
            warnings.warn(text, ModelCacheWarning, stacklevel=2)
        there = f"the network is that of {file.name}" if file else "a new network was trained"
        self._say(f"{spec.name}, seed {seed}: {there}, in {self._models}")
        return subject_of(dataset, spec, seed, self._models, avoid)

    def _references(self, subject: Subject) -> References:
        """Floor and ceiling of every metric; where a search takes too long there is no ceiling."""
        limit = self.part.time_limit
        pieces = [Piece("floor", functools.partial(floors, subject, self._plan), limit)]
        pieces += [
            Piece(asked.group, functools.partial(ceilings, subject, self._plan, asked), limit)
            for asked in self._plan.metrics
            if GROUPS[asked.group].searched
        ]
        found: dict[str, list[Any]] = {"floor": [], "ceiling": []}
        for outcome in run_pieces(pieces, self.workers):
            if outcome.end != "done":
                what = "floor" if outcome.key == "floor" else f"ceiling of {outcome.key}"
                self._say(f"{subject.dataset}: no {what}: {outcome.reason}")
            for each in outcome.sent:
                if isinstance(each, Found):
                    found["floor"] += each.measured
                else:
                    found["ceiling"].append(each)
        return References.of(found["floor"], found["ceiling"])

    def _settings(self, spec: DatasetSpec, method: MethodSpec) -> Mapping[str, Any]:
        """The settings of a method, searched for once where the suite says so."""
        search = self.suite.search
        if search is None or not method.candidates:
            return method.settings
        found = read_search(self.out, spec.name, method.name)
        if found is None:
            self._say(f"{spec.name}: searching settings of {method.name}")
            avoid = explained_under(spec, self.suite.seeds + self.part.seeds, self.root)
            subjects = {seed: self._subject(spec, seed, avoid) for seed in search.seeds}
            found = search_settings(
                method,
                subjects,
                search,
                ranking=self.part.ranking,
                time_limit=self.part.time_limit,
                workers=self.workers,
            )
            write_search(self.out, spec.name, method.name, found)
        chosen: Mapping[str, Any] = found["chosen"]
        return chosen
