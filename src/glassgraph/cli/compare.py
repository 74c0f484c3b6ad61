"""``glassgraph compare``: how alike are saved explanations?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from glassgraph.cli.console import check_file_writable, friendly, out, say, write_json
from glassgraph.cli.explain import Ranking
from glassgraph.cli.table import Column, Table, print_table
from glassgraph.errors import CommandError

if TYPE_CHECKING:
    from glassgraph.metrics import Comparison, Similarity
    from glassgraph.results.explanation import Explanations

_HEADER = "explanations.json"


class Measure(str, Enum):
    """What is measured."""

    cosine = "cosine"
    spearman = "spearman"
    jaccard = "jaccard"
    signs = "signs"


class ScoreLevel(str, Enum):
    """What has a score."""

    edge = "edge"
    layer = "layer"


@friendly
def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(
            help="Folders of explanations, or of 'explain' runs that hold several of them."
        ),
    ],
    level: Annotated[
        ScoreLevel,
        typer.Option(metavar="LEVEL", help="Scores of edges ('edge'), or at each layer ('layer')."),
    ] = ScoreLevel.edge,
    measure: Annotated[
        Measure,
        typer.Option(
            metavar="WHAT", help="What the matrix shows: cosine, spearman, jaccard or signs."
        ),
    ] = Measure.cosine,
    top_k: Annotated[int, typer.Option(min=1, help="Best entries that jaccard is about.")] = 10,
    ranking: Annotated[
        Ranking, typer.Option(metavar="HOW", help="Rank entries by signed or absolute score.")
    ] = Ranking.signed,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the random scores.")] = 0,
    html: Annotated[Path | None, typer.Option(help="Write a report with heat maps.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write the numbers to this file too.")] = None,
) -> None:
    """Compare explanations of the same predictions, each with each.

    Rows of random scores and of a mask of ones show what a similarity is worth.
    """
    check_file_writable(json)
    check_file_writable(html)
    folders = _named(_folders(runs))
    if len(folders) < 2:
        raise CommandError(
            f"compare needs at least two folders of explanations; got {', '.join(folders)}"
        )
    from glassgraph.metrics import compare_all
    from glassgraph.results.explanation import Explanations

    loaded = {name: Explanations.load(path) for name, path in folders.items()}
    compared = loaded
    if level is ScoreLevel.layer:
        compared = _with_layers(loaded)
    how = {"top_k": top_k, "ranking": ranking.value, "seed": seed}
    found = compare_all(compared, level=level.value, **how)  # type: ignore[arg-type]
    count = len(found.pair(*list(compared)[:2]))
    title = f"{measure.value}, {level.value} scores: mean over {count} predictions"
    print_table(_matrix(found, measure.value, title), out(), style="bold")
    if len(compared) == 2:
        _show_pair(found.pair(*compared))
    if html is not None:
        _write_html(html, loaded, how)
    if json is not None:
        write_json(json, _record(found, {name: folders[name] for name in compared}, how))
        out().print(f"json: {json}", markup=False, soft_wrap=True)


def _folders(paths: list[Path]) -> list[Path]:
    """The folders of explanations among some paths and right below them.

    Raises:
        CommandError: if a path holds none.
    """
    found: list[Path] = []
    for path in paths:
        below = [path] if (path / _HEADER).is_file() else []
        if not below and path.is_dir():
            below = sorted(each.parent for each in path.glob(f"*/{_HEADER}"))
        if not below:
            raise CommandError(
                f"{path} holds no explanations; give a folder that 'glassgraph explain --out' or "
                "Explanations.save has written"
            )
        found += below
    return found


def _named(folders: list[Path]) -> dict[str, Path]:
    """Folders by name, with as much of the path as tells them apart.

    Raises:
        CommandError: if a folder comes twice.
    """
    full = [folder.resolve() for folder in folders]
    twice = [path for path, number in Counter(full).items() if number > 1]
    if twice:
        raise CommandError(f"{twice[0]} is given twice; compare different explanations")
    depth = 1
    while len({path.parts[-depth:] for path in full}) < len(full):
        depth += 1
    shared = Counter(path.name for path in full)
    return {
        "/".join(path.parts[-depth:]) if shared[path.name] > 1 else path.name: folder
        for path, folder in zip(full, folders, strict=True)
    }


def _with_layers(runs: dict[str, Explanations]) -> dict[str, Explanations]:
    """The runs with scores for each layer; all of them, to be refused, if those are too few."""
    from glassgraph.metrics.vectors import has_layers

    found = {name: run for name, run in runs.items() if has_layers(run)}
    if len(found) < 2:
        return runs
    if len(found) < len(runs):
        left_out = ", ".join(name for name in runs if name not in found)
        say(f"Left out, without scores for each layer: {left_out}", style="yellow")
    return found


def _matrix(found: Similarity, measure: str, title: str) -> Table:
    """A row and a column for each set of explanations; random ones in the background."""
    values = found.matrix(measure).to_numpy()

    def column(number: int) -> Column:
        return Column(str(number + 1), lambda row: _number(values[row, number]))

    names = Column("", lambda row: f"{row + 1} {found.names[row]}", is_name=True)
    rows = range(len(found.names))
    return Table(
        title, [names, *map(column, rows)], rows, lambda row: found.names[row] in found.references
    )


def _show_pair(pair: Comparison) -> None:
    def measure(row: tuple[str, Mapping[str, float]]) -> str:
        return f"jaccard, best {pair.top_k}" if row[0] == "jaccard" else row[0]

    columns = [
        Column("measure", measure, is_name=True),
        Column("mean", lambda row: _number(row[1]["mean"])),
        Column("std", lambda row: _number(row[1]["std"])),
        Column("undefined for", lambda row: f"{row[1]['undefined']:.0f}"),
    ]
    rows = [(str(name), row) for name, row in pair.summary().iterrows()]
    print_table(Table(" and ".join(pair.names), columns, rows), out(), style="bold")
    if not pair.is_same_model:
        out().print("They explain different models.")
    if pair.num_other_targets:
        out().print(f"They explain other classes of {pair.num_other_targets} predictions.")


def _number(value: float) -> str:
    return "-" if value != value else f"{value:.3f}"


def _write_html(path: Path, loaded: dict[str, Explanations], how: Mapping[str, object]) -> None:
    from glassgraph.metrics import similarities
    from glassgraph.report import write_report

    named = [replace(run, method=name) for name, run in loaded.items()]
    maps = similarities(loaded, **how)  # type: ignore[arg-type]
    written = write_report(path, named, title=f"Glassgraph: {', '.join(loaded)}", similarities=maps)
    out().print(f"report: {written}", markup=False, soft_wrap=True)


def _record(
    found: Similarity, folders: dict[str, Path], how: Mapping[str, object]
) -> dict[str, object]:
    import glassgraph

    return {
        "glassgraph": glassgraph.__version__,
        "level": found.level,
        **how,
        "references": list(found.references),
        "runs": {name: str(path) for name, path in folders.items()},
        "pairs": found.frame().to_dict(orient="records"),
    }
