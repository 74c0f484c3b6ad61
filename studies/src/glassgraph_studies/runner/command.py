"""Runs studies: parsing, progress, threads, JSON, tables, figures and exit codes, once for all."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import typer

from glassgraph.cli.console import (
    check_figure_writable,
    check_file_writable,
    check_writable,
    friendly,
    help_style,
    out,
    reflowed,
    say,
    told_warnings,
    write_json,
)
from glassgraph_studies.runner.options import Option, arguments, count, flag
from glassgraph_studies.runner.study import Found, Row, Study
from glassgraph_studies.runner.tables import Table, print_table


def make_group(text: str, studies: Sequence[Study]) -> typer.Typer:
    """A command with a command for each study."""
    group = typer.Typer(
        help=text, no_args_is_help=True, add_completion=False, rich_markup_mode=help_style()
    )
    for study in studies:
        group.command(study.name, help=reflowed(study.help))(make_command(study))
    return group


def make_command(study: Study) -> Callable[..., None]:
    """A function whose signature has the options of a study, which is where typer looks."""
    options = [*study.options, *_shared_options(study)]

    def command(**given: Any) -> None:
        asked = _Asked(**{name: given.pop(name) for name in _Asked.names() if name in given})
        _run(study, given, asked)

    parameters = [option.parameter() for option in options]
    vars(command)["__signature__"] = inspect.Signature(parameters)
    return friendly(command)


@dataclass(frozen=True)
class _Asked:
    """What the runner itself is asked."""

    threads: int = 1
    json: Path | None = None
    figure: Path | None = None
    html: Path | None = None
    quiet: bool = False

    @staticmethod
    def names() -> list[str]:
        """Of the options."""
        return list(inspect.signature(_Asked).parameters)


def _shared_options(study: Study) -> list[Option]:
    options = [Option("json", Path, "Write the rows to this file."), flag("quiet", "No progress.")]
    if study.has_threads:
        options.append(count("threads", 1, "Threads of torch."))
    if study.figure is not None:
        options.append(Option("figure", Path, study.figure.help))
    if study.pages is not None:
        options.append(Option("html", Path, study.pages.help))
    return options


def _run(study: Study, given: dict[str, Any], asked: _Asked) -> None:
    """Run a study and show what it finds.

    Raises:
        GlassgraphError: for a mistake in the options, or a file that cannot be written.
    """
    chosen = arguments(study.options, given)
    check_file_writable(asked.json)
    check_figure_writable(asked.figure)
    if asked.html is not None:
        check_writable(asked.html)
    for option in study.options:
        if option.missed and given[option.name] is None and not given.get("dataset"):
            say(option.missed)
    if study.has_progress:
        chosen["progress"] = not asked.quiet
    kept = _Kept(study, asked)
    from glassgraph_studies.timing import num_threads

    with told_warnings(), num_threads(asked.threads):
        for found in study.run(**chosen):
            kept.add(found)
    kept.show()


@dataclass
class _Kept:
    """What a study has found so far; rows are written as they come, should it be interrupted."""

    study: Study
    asked: _Asked
    rows: list[Row] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    subjects: list[Any] = field(default_factory=list)

    def add(self, found: Found) -> None:
        """Keep rows, and say something about them."""
        self.rows.extend(found.rows)
        self.tables.extend(found.tables)
        if self.asked.json is not None:
            write_json(self.asked.json, self.rows)
        for line in () if self.asked.quiet else found.lines:
            say(line)
        figure, pages = self.study.figure, self.study.pages
        if self.asked.figure is not None and figure is not None:
            self.subjects = [*self.subjects, found.subject][: figure.most]
        if self.asked.html is not None and pages is not None:
            pages.save(found.subject, self.asked.html)

    def show(self) -> None:
        """Print tables and verdicts, draw, and say where everything is."""
        for table in (*self.tables, *self.study.tables(self.rows)):
            print_table(table, out())
        for line in self.study.verdicts(self.rows):
            say(line)
        if self.asked.figure is not None and self.study.figure is not None:
            self.study.figure.save(self.subjects, self.asked.figure)
        written = {"rows": self.asked.json, "figure": self.asked.figure, "pages": self.asked.html}
        for what, path in {} if self.asked.quiet else written.items():
            if path is not None:
                say(f"{what}: {path}")
