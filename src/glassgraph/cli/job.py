"""The work behind ``glassgraph explain``: check everything, then train, explain, measure, write.

Whatever can be wrong with the options is found before training starts. Each method's folder is
written while it runs; after an interrupt, or where a method fails, what is done is still measured
and reported.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import typer

from glassgraph.cli.console import (
    INTERRUPTED,
    MISTAKE,
    check_file_writable,
    check_writable,
    say,
    say_error,
    told_warnings,
)
from glassgraph.cli.inputs import Input, Source, check_index, read_input
from glassgraph.cli.model import ChosenModel, check_choice, choose_model
from glassgraph.cli.names import check_names, read_names
from glassgraph.cli.parse import parse_settings
from glassgraph.cli.results import Done, measure, write
from glassgraph.errors import (
    CommandError,
    GlassgraphError,
    HyperParameterError,
    Interrupted,
    OutputError,
    ResumeError,
)
from glassgraph.files import remove_leftovers

if TYPE_CHECKING:
    from glassgraph.explainers.base import Explainer
    from glassgraph.inputs.task import Task
    from glassgraph.models import GNN


@dataclass(frozen=True)
class EngineOptions:
    """What an engine is told besides; see `glassgraph.explain_all`."""

    name: Literal["local", "ray"]
    workers: int | None
    address: str | None
    block: int | None
    time_limit: float | None
    worker_memory: int | None
    fitted: Path | None


@dataclass(frozen=True)
class Job:
    """What the options say; see ``glassgraph explain --help``."""

    methods: list[str]
    out: Path
    source: Source
    model: str | None
    weights: Path | None
    cache: Path | None
    level: str | None
    mode: str | None
    return_type: str | None
    node_type: str | None
    edge_type: str | None
    rows: str | None
    index: str | None
    fit: str | None
    target: str | int | tuple[int, int]
    settings: tuple[str, ...]
    seed: int
    removal: Literal["shut", "delete"]
    ranking: Literal["signed", "absolute"]
    sparsity: tuple[float, ...]
    memory: int
    names: Path | None
    json: Path | None
    resume: bool
    overwrite: bool
    quiet: bool
    engine: EngineOptions | None = None

    def tell(self, text: str, style: str = "") -> None:
        """Say something on the way, unless quiet."""
        if not self.quiet:
            say(text, style)


def run_job(job: Job) -> None:
    """Do it all.

    Raises:
        GlassgraphError: for a mistake in the options, the data or the model.
        typer.Exit: with 130 after an interrupt, with 2 where a method failed.
    """
    with told_warnings():
        settings, task = check_job(job)
        names = read_names(job.names)
        from glassgraph.results.saved.folder_lock import locked

        with locked(job.out):
            _check_results(job)
            source = read_input(job.source, job.level, job.seed)
            if source.note is not None:
                job.tell(source.note)
            index = source.index(job.index)
            check_names(names, source)
            chosen = prepare_model(job, source, resume=job.resume)
            done = _explain_all(
                job, source, chosen, task_of(task, source.level), index, settings, names
            )
            how = {
                "removal": job.removal,
                "ranking": job.ranking,
                "sparsity": job.sparsity,
                "memory_budget": job.memory,
            }
            rows = measure(done, chosen, source, how, job.tell)
            asked = {"target": job.target, "seed": job.seed, **how}
            write(done, rows, chosen, source, asked, job.out, job.json)
    _end(done, job.methods)


def _end(done: Done, methods: list[str]) -> None:
    """Leave with the exit code that belongs to what happened, and say so in the last line.

    Raises:
        typer.Exit: with 130 after an interrupt, with 2 where a method failed.
    """
    finished = f"{len(done.runs)} of {len(methods)} methods finished"
    failed = f"; failed: {', '.join(done.failed)}" if done.failed else ""
    if done.is_interrupted:
        say(f"Interrupted: {finished}{failed}.", style="bold red")
        raise typer.Exit(INTERRUPTED)
    if done.failed:
        say(f"Error: {finished}{failed}", style="bold red")
        raise typer.Exit(MISTAKE)


# Before anything takes time


def check_job(job: Job) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    """Find every mistake that can be found without data; hyper-parameters and task come back."""
    if job.resume and job.overwrite:
        raise CommandError("give --resume or --overwrite, not both")
    check_choice(job.model, job.weights, job.source.option)
    check_index(job.index, "--index")
    check_index(job.fit, "--fit")
    from torch_geometric.nn import GCN

    from glassgraph.explainers.base import Explainer, hyper_parameter_names
    from glassgraph.explainers.registry import find_method, make_explainer
    from glassgraph.metrics.scores import read_levels

    read_levels(job.sparsity, None)
    shared = hyper_parameter_names(Explainer)
    own = {
        method: [name for name in hyper_parameter_names(find_method(method)) if name not in shared]
        for method in job.methods
    }
    settings = parse_settings(job.settings, own)
    task = {
        "mode": job.mode,
        "return_type": job.return_type,
        "node_type": job.node_type,
        "edge_type": job.edge_type,
        "rows": job.rows,
    }
    given = job.level or ("graph" if job.rows is not None else None)
    stand_in, level = GCN(1, 1, 1), task_of(task, given)
    for method in job.methods:
        try:
            make_explainer(method, stand_in, level, **settings[method])
        except HyperParameterError:
            raise
        except GlassgraphError:
            pass  # the stand-in may not suit the method; the real model is tried later
        except (TypeError, ValueError) as error:  # a value of the wrong kind
            raise HyperParameterError(f"{method}: {error}") from error
    check_writable(job.out)
    check_file_writable(job.json)
    return settings, task


def _check_results(job: Job) -> None:
    """Refuse to touch results of an earlier run, unless told what is wanted.

    Raises:
        OutputError: if there are any.
    """
    from glassgraph.results.saved.result_folder import refuse_existing
    from glassgraph.results.saved.store import HEADER

    remove_leftovers(job.out)
    if job.resume or job.overwrite:
        return
    for method in job.methods:
        refuse_existing(
            job.out / method, HEADER, "--resume goes on with it, --overwrite replaces it"
        )


def task_of(words: dict[str, Any], level: str | None) -> Task:
    """The task that the options name."""
    from glassgraph.inputs.task import Task

    return Task.of(level or ("edge" if words["edge_type"] else "node"), **words)


def prepare_model(job: Job, source: Input, *, resume: bool) -> ChosenModel:
    """The model; one that was trained is kept in OUT, or compared with the one that is there.

    Raises:
        ResumeError: if it has other weights than the one that is gone on with.
        GlassgraphError: see `choose_model`.
    """
    from glassgraph.models import GNN, save_model

    chosen = choose_model(
        job.model,
        job.weights,
        source.dataset,
        seed=job.seed,
        progress=not job.quiet,
        cache=job.cache,
    )
    if chosen.came_about is not None:
        job.tell(chosen.came_about)
    if chosen.accuracy is not None:
        shares = ", ".join(f"{part} {share:.3f}" for part, share in chosen.accuracy.items())
        job.tell(f"accuracy of the model: {shares}")
    if chosen.reached is False and chosen.accuracy is not None:
        say(
            f"Warning: the model reaches a test accuracy of {chosen.accuracy['test']:.3f}, below "
            f"the {chosen.required:.2f} that {source.name} asks for; its explanations need not "
            "show the planted motif",
            style="yellow",
        )
    if chosen.origin == "trained" and isinstance(chosen.model, GNN):
        path = job.out / "model.safetensors"
        if resume and path.exists():
            _check_same(chosen.model, path)
        else:
            save_model(chosen.model, path)
    return chosen


def _check_same(model: GNN, path: Path) -> None:
    """Refuse to go on with a model that training gave other weights than before."""
    from glassgraph.calling.protect import fingerprint
    from glassgraph.models import load_model

    if fingerprint(load_model(path)) != fingerprint(model):
        raise ResumeError(
            f"training again gave other weights than those in {path}: other options, or another "
            f"machine; go on with --weights {path}, or begin anew with --overwrite"
        )


# Explaining


def _explain_all(
    job: Job,
    source: Input,
    chosen: ChosenModel,
    task: Task,
    index: Any,
    settings: dict[str, dict[str, Any]],
    names: dict[str, Any],
) -> Done:
    from glassgraph.explainers.registry import make_explainer
    from glassgraph.results.saved.result_folder import has_result
    from glassgraph.results.saved.store import HEADER

    done = Done()
    for method in job.methods:
        job.tell(f"explaining with {method}")
        _tell_evidence(job, method)
        start = time.perf_counter()
        is_begun = job.resume and has_result(job.out / method, HEADER)
        try:
            explainer = make_explainer(
                method,
                chosen.model,
                task,
                seed=job.seed,
                memory_budget=job.memory,
                progress=not job.quiet,
                **settings[method],
            )
            if names:
                explainer.check_names(source.data, index, job.target, **names)
            _fit(job, explainer, source, index, is_begun=is_begun)
            saved: dict[str, Any] = {"save_to": job.out / method, "resume": job.resume}
            done.runs.append(explainer.explain(source.data, index, job.target, **saved, **names))
        except Interrupted as interrupt:
            done.partial, done.is_interrupted = interrupt.explanations, True
            say_error(interrupt)
            say("The same command with --resume goes on from here.")
        except KeyboardInterrupt:
            done.is_interrupted = True
            say("Interrupted.", style="bold red")
        except OutputError:
            raise
        except GlassgraphError as error:
            say_error(type(error)(f"{method}: {error}"))
            done.failed[method] = str(error)
        if not is_begun:  # else it took longer, and nobody knows how long
            done.seconds[method] = time.perf_counter() - start
        if done.is_interrupted:
            break
    return done


def _tell_evidence(job: Job, method: str) -> None:
    """A note where a method seldom did better than random scores."""
    from glassgraph.explainers.evidence import evidence_of

    known = evidence_of(method)
    if known is not None and known.is_weak:
        job.tell(f"{method}: {known} Hold it against occlusion on your model, with gg.benchmark.")


def _fit(job: Job, explainer: Explainer, source: Input, index: Any, *, is_begun: bool) -> None:
    """Fit an amortized method, and keep what it learned, unless a run that is resumed has it."""
    if not explainer.needs_fit:
        return
    if job.fit is None:
        job.tell(f"{explainer.name} is fitted on what it explains (hindsight); --fit names others")
    amortized: Any = explainer
    amortized.fit(source.data, index=index if job.fit is None else source.index(job.fit, "--fit"))
    path = job.out / f"{explainer.name}.safetensors"
    if not (is_begun and path.exists()):
        amortized.save(path)
