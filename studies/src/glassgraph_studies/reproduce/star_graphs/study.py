"""``glassgraph reproduce star-graphs``: Table 1 of the GraphMask paper."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from glassgraph_studies.runner.options import ROWS, count, seeds
from glassgraph_studies.runner.study import Figure, Found, Rows, Study
from glassgraph_studies.runner.tables import Column, Table

#: How many times fewer graphs there are for validation and for test.
_FEWER = 20


def run(graphs: int, **options: Any) -> Iterator[Found]:
    """Each seed."""
    from glassgraph_studies.reproduce.star_graphs.experiment import run_star_graphs

    sizes = graphs, graphs // _FEWER, graphs // _FEWER
    for scene, outcomes in run_star_graphs(sizes=sizes, **options):
        rows, shares = [outcome.row for outcome in outcomes], scene.trained.accuracy
        lines = [
            f"seed {scene.seed}: accuracy of the network {shares['val']:.3f} validation, "
            f"{shares['test']:.3f} test"
        ]
        lines += [
            f"  {row['method']}: F1 {row['f1']:.1f}  "
            f"(fit {row['fit_seconds']:.1f} s, explain {row['explain_seconds']:.1f} s)"
            for row in rows
        ]
        yield Found(rows, lines, subject=(scene, outcomes))


def tables(rows: Rows) -> Iterator[Table]:
    """Published beside measured."""
    from glassgraph_studies.reproduce.star_graphs.experiment import FURTHER, TABLE, summarize

    entries = TABLE | FURTHER
    num_seeds = len({row["seed"] for row in rows})
    title = (
        f"GraphMask, Table 1, percent: published P/R/F1, and mean ± std of {num_seeds} "
        f"seed{'' if num_seeds == 1 else 's'}"
    )
    columns = (
        Column("method", lambda row: entries[row[0]].title, is_name=True),
        Column("published", lambda row: "/".join(f"{x:.1f}" for x in entries[row[0]].published)),
        _spread("precision", "precision"),
        _spread("recall", "recall"),
        _spread("F1", "f1"),
        Column("least", lambda row: f"{row[1]['f1'].least:.1f}"),
    )
    yield Table(title, columns, list(summarize(rows).items()))


def _spread(title: str, key: str) -> Column:
    return Column(title, lambda row: f"{row[1][key].mean:.1f}±{row[1][key].std:.1f}")


def _save_figure(subjects: Sequence[Any], path: Path) -> None:
    from glassgraph_studies.reproduce.star_graphs.figure import save_figure

    for scene, outcomes in subjects:
        save_figure(scene, outcomes, path)


STAR_GRAPHS = Study(
    name="star-graphs",
    help="Table 1 of the GraphMask paper: who finds the edges that a network must look at?",
    run=run,
    options=(
        seeds(10, "graphs and network"),
        replace(ROWS, name="method", to="methods"),
        count(
            "graphs",
            10_000,
            "Training graphs; a twentieth each for validation and test.",
            least=_FEWER,
        ),
    ),
    tables=tables,
    figure=Figure(
        "Draw what each method keeps of one graph (.png, .svg or .pdf).", _save_figure, most=1
    ),
)
