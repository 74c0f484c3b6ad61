"""``glassgraph explain`` with ``--store`` or ``--engine``: a job of many processes.

The options are those of any run; what a job cannot do with is refused by its name.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import typer

from glassgraph.cli.console import say, told_warnings, write_json
from glassgraph.cli.inputs import Input, index_file, read_input
from glassgraph.cli.job import EngineOptions, Job, check_job, prepare_model, task_of
from glassgraph.cli.jobs import job_record, show_job
from glassgraph.cli.parse import parse_memory
from glassgraph.errors import CommandError

if TYPE_CHECKING:
    pass

#: Options that only other runs have, and why.
_NOT_FOR_JOBS = {
    "removal": "a job measures nothing; 'glassgraph report OUT --model ...' measures a sample",
    "ranking": "a job measures nothing; 'glassgraph report OUT --model ...' measures a sample",
    "sparsity": "a job measures nothing; 'glassgraph report OUT --model ...' measures a sample",
    "names": "name things where explanations are read, see Explanations.named",
    "overwrite": "a job replaces nothing; give another folder, or remove this one",
}


def engine_options(
    context: typer.Context,
    *,
    engine: Literal["local", "ray"] | None,
    has_store: bool,
    time_limit: float | None,
    worker_memory: str | None,
    **others: Any,
) -> EngineOptions | None:
    """What an engine is told; None where none is asked for.

    Args:
        context: of the command, which knows what was given.
        engine: its name, if one is named.
        has_store: whether a graph on disk is explained.
        time_limit: in seconds; 0 for none.
        worker_memory: a size in words.
        **others: see `EngineOptions`.

    Raises:
        CommandError: for options that do not fit together.
    """
    given = {"time_limit": time_limit, "worker_memory": worker_memory, **others}
    if engine is None and not has_store:
        for name, value in given.items():
            if value is not None:
                raise CommandError(f"{_option(name)} is for jobs: give --engine local or ray")
        return None
    for name, why in _NOT_FOR_JOBS.items():
        source = context.get_parameter_source(name)
        if source is not None and source.name != "DEFAULT":
            raise CommandError(f"{_option(name)} is not for jobs: {why}")
    if engine != "ray" and others.get("address") is not None:
        raise CommandError("--address is of a Ray cluster: give --engine ray")
    limit = 300.0 if time_limit is None else time_limit or None
    memory = None if worker_memory is None else parse_memory(worker_memory, "--worker-memory")
    return EngineOptions(engine or "local", time_limit=limit, worker_memory=memory, **others)


def run_engine(job: Job) -> None:
    """Explain, as a job.

    Raises:
        GlassgraphError: for a mistake in the options, the data or the model; see `explain_all`.
    """
    assert job.engine is not None
    if len(job.methods) != 1:
        raise CommandError(
            f"a job is of one method; got {', '.join(job.methods)}: give a command, and a folder, "
            "for each"
        )
    (method,) = job.methods
    with told_warnings():
        settings, words = check_job(job)
        if job.engine.name == "ray":
            from glassgraph.engine.ray_workers import require_ray

            require_ray()  # before a model is trained
        source = read_input(job.source, job.level, job.seed)
        if source.note is not None:
            job.tell(source.note)
        index = _index(source, job.index, "--index")
        fit = None if job.fit is None else _index(source, job.fit, "--fit")
        chosen = prepare_model(job, source, resume=True)
        from glassgraph.engine.explain_all import explain_all

        job.tell(f"explaining with {method}")
        explain_all(
            chosen.model if chosen.file is None else chosen.file,
            job.source.file if job.source.file is not None else source.data,
            method,
            task_of(words, source.level),
            index=index,
            target=job.target,
            seed=job.seed,
            out=job.out,
            fit=fit,
            fitted=job.engine.fitted,
            engine=job.engine.name,
            workers=job.engine.workers,
            address=job.engine.address,
            block=job.engine.block,
            time_limit=job.engine.time_limit,
            worker_memory=job.engine.worker_memory,
            progress=not job.quiet,
            memory_budget=job.memory,
            **settings[method],
        )
    record = job_record(job.out)
    show_job(record, job.out)
    if record["failed"]:
        say(
            f"Warning: {record['failed']:,} could not be explained; the rest went on",
            style="yellow",
        )
    if job.json is not None:
        write_json(job.json, record)


def _index(source: Input, text: str | None, option: str) -> Any:
    """What `explain_all` is given: all, numbers, or the path of a file."""
    if text is not None and index_file(text) is not None:
        return Path(text)
    found = source.index(text, option)
    return "all" if found is None else found


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"
