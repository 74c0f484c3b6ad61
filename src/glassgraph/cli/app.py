"""The commands."""

from __future__ import annotations

import inspect
from typing import Annotated

import typer

from glassgraph._version import __version__
from glassgraph.cli.benchmark import benchmark
from glassgraph.cli.compare import compare
from glassgraph.cli.console import help_style, reflowed
from glassgraph.cli.datasets import datasets
from glassgraph.cli.explain import explain
from glassgraph.cli.jobs import jobs
from glassgraph.cli.methods import methods
from glassgraph.cli.plugins import add_plugins
from glassgraph.cli.report import report
from glassgraph.cli.temporal import temporal


def make_app() -> typer.Typer:
    """The library's own commands, and those of the distributions that are installed now."""
    app = typer.Typer(
        name="glassgraph",
        help="Explains the predictions of graph neural networks.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_show_locals=False,
        rich_markup_mode=help_style(),
    )
    app.callback()(about)
    for command in (explain, temporal, jobs, report, compare, benchmark, methods, datasets):
        app.command(command.__name__, help=reflowed(inspect.getdoc(command) or ""))(command)
    add_plugins(app)
    return app


def _say_version(is_asked: bool) -> None:
    if is_asked:
        typer.echo(f"glassgraph {__version__}")
        raise typer.Exit


def about(
    _: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", callback=_say_version, is_eager=True),
    ] = False,
) -> None:
    """Explains the predictions of graph neural networks."""


app = make_app()
