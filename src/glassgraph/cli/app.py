"""The commands."""

from __future__ import annotations

import typer

from glassgraph.cli.bench import bench
from glassgraph.cli.compare import compare
from glassgraph.cli.explain import explain
from glassgraph.cli.methods import methods
from glassgraph.cli.reproduce import reproduce

app = typer.Typer(
    name="glassgraph",
    help="Explains the predictions of graph neural networks.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
)
app.command()(explain)
app.command()(compare)
app.command()(methods)
app.add_typer(bench, name="bench")
app.add_typer(reproduce, name="reproduce")
