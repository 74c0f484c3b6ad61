"""``glassgraph benchmark``: methods against each other on data sets, with chance beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from glassgraph.cli.console import friendly, out, say, told_warnings
from glassgraph.cli.parse import parse_cache, parse_index, parse_names
from glassgraph.cli.table import Column, Table, print_table
from glassgraph.errors import CommandError

if TYPE_CHECKING:
    import pandas as pd

    from glassgraph.benchmarks import Progress, Run

#: What the table shows, in this order, where it was measured; the others are in the rows.
_SHOWN = (
    *("robust_fidelity_delta", "fidelity_plus", "fidelity_minus", "sufficiency", "auc"),
    *("node_auc", "stability_seeds_rank", "sparsity"),
)
_LEVELS = ("0.7", "top10", "top5", "0.5")
_MARKS = {"not_applicable": "n/a", "no_truth": "-", "timeout": "time", "failed": "failed"}


@friendly
def benchmark(
    out_folder: Annotated[
        Path, typer.Option("--out", help="Folder of the rows and the leaderboard.")
    ],
    suite: Annotated[str, typer.Option(help="quick, survey, molecules, or FILE.toml.")] = "quick",
    methods: Annotated[
        str | None, typer.Option(help="Only these methods, with commas (default: the suite's).")
    ] = None,
    datasets: Annotated[
        str | None, typer.Option(help="Only these data sets (default: the suite's).")
    ] = None,
    seeds: Annotated[
        str | None,
        typer.Option(
            help="How many seeds, from 0; or which, as 0,2 or 3:5 (without its end; default: the "
            "suite's)."
        ),
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(help="Begin no cell after this time, such as 2h, 90m or 45s."),
    ] = None,
    root: Annotated[
        Path | None,
        typer.Option(help="Folder of raw files, or one above those of each data set."),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Cells at once, one thread each.")] = 1,
    cache: Annotated[
        Path | None,
        typer.Option(
            help="Folder of trained models; by default $GLASSGRAPH_CACHE, or glassgraph in the "
            "user's folder for caches."
        ),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress, just results.")] = False,
) -> None:
    """Measure methods on data sets, beside random scores and what a search gets.

    A cell is a data set, a seed and a method; each is written when it has ended, to
    OUT/rows/*.parquet, and the same command goes on where it was interrupted. At the end
    OUT/leaderboard.html shows everything.
    """
    from glassgraph.benchmarks import Run, read_rows, read_suite
    from glassgraph.benchmarks.keys import parse_duration

    whole = read_suite(suite)
    part = whole.chosen(
        methods=None if methods is None else _names(methods, "--methods"),
        datasets=None if datasets is None else _names(datasets, "--datasets"),
        seeds=None if seeds is None else parse_seeds(seeds),
    )
    run = Run(
        whole,
        part,
        out_folder,
        root=root,
        cache=parse_cache(cache, no_cache=False),
        workers=workers,
        budget=None if budget is None else parse_duration(budget, "--budget"),
        source=suite,
        tell=(lambda _: None) if quiet else _tell,
    )
    with told_warnings():
        run.go()
    frame = read_rows(out_folder)
    if len(frame):
        _print(frame)
        _write_page(frame, out_folder / "leaderboard.html", whole.name)
    _say_what_is_left(run)


def parse_seeds(text: str) -> list[int]:
    """``"3"`` for 0, 1 and 2; ``"0,2"`` and ``"3:5"`` for these.

    Raises:
        CommandError: if it is none of these.

    Example:
        >>> parse_seeds("3"), parse_seeds("3:5"), parse_seeds("0,2")
        ([0, 1, 2], [3, 4], [0, 2])
    """
    if text.strip().isdigit():
        count = int(text)
        if count == 0:
            raise CommandError("--seeds takes a number of seeds from 1, or which (0,2 or 3:5)")
        return list(range(count))
    try:
        found = parse_index(text, "--seeds")
    except CommandError as error:
        raise CommandError(
            f"--seeds takes how many (5), or which (0,2 or 3:5, without its end); got {text!r}"
        ) from error
    if any(seed < 0 for seed in found):
        raise CommandError(f"--seeds: seeds are numbers from 0; got {text!r}")
    return found


def _names(text: str, option: str) -> list[str]:
    try:
        return parse_names(text)
    except CommandError as error:
        raise CommandError(f"{option} names nothing; got {text!r}") from error


def _tell(progress: Progress) -> None:
    left = "" if progress.left is None else f", about {duration(progress.left)} left"
    said = f"[{progress.done}/{progress.total}] {progress.text}"
    say(f"{said} ({duration(progress.seconds)}{left})")


def duration(seconds: float) -> str:
    """Time in words.

    Example:
        >>> duration(7), duration(130), duration(7300)
        ('7 s', '2 min', '2 h 1 min')
    """
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = int(seconds // 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _say_what_is_left(run: Run) -> None:
    left = run.left
    if left:
        out().print(
            f"{len(left)} of {len(run.cells)} cells are left (--budget is spent); the same command "
            "goes on with them.",
            markup=False,
        )


def _write_page(frame: pd.DataFrame, path: Path, suite: str) -> None:
    from glassgraph.benchmarks.leaderboard import write_leaderboard

    write_leaderboard(frame, path, title=f"Benchmark: {suite}")
    out().print(f"leaderboard: {path}", markup=False, soft_wrap=True)


# The table


def _print(frame: pd.DataFrame) -> None:
    """One table for each data set: methods against metrics, means over seeds; random as dim row."""
    for dataset, rows in frame.groupby("dataset", sort=False):
        seeds = rows["seed"].nunique()
        columns = _columns(rows)
        title = f"{dataset}: {'one seed' if seeds == 1 else f'means over {seeds} seeds'}"
        names = list(dict.fromkeys(rows["method"]))
        table = Table(
            title,
            [Column("method", str, is_name=True), *columns],
            sorted(names, key=lambda name: (name != "random", name)),
            lambda name: name == "random",
        )
        print_table(table, out(), style="bold")
    out().print("* The intervals of this number and of random scores do not overlap.")
    reasons = _reasons(frame)
    if reasons:
        out().print("Without numbers:")
        for reason in reasons:
            out().print(f"  {reason}", markup=False)


def _columns(rows: pd.DataFrame) -> list[Column]:
    found = []
    for metric in _SHOWN:
        own = rows[rows["metric"] == metric]
        measured = own[own["status"] == "measured"]
        if measured.empty:
            continue
        levels = set(measured["level"])
        level = next((each for each in (*_LEVELS, "") if each in levels), min(levels))
        at = own[(own["level"] == level) | (own["status"] != "measured")]
        cells = {method: _cell(part) for method, part in at.groupby("method")}
        others = {
            method: _MARKS.get(part["status"].iloc[0], "")
            for method, part in rows[rows["metric"] == ""].groupby("method")
        }
        title = f"{metric}@{level}" if level else metric
        found.append(Column(title, _reader({**others, **cells})))
    seconds = rows.groupby("method")["seconds_per_instance"].mean()
    times = {m: "" if s != s else f"{1000 * s:.1f}" for m, s in seconds.items()}
    return [*found, Column("ms each", _reader(times))]


def _reader(cells: Mapping[Any, str]) -> Any:
    return lambda method: cells.get(method, "")


def _cell(rows: pd.DataFrame) -> str:
    """The mean over seeds, with a star where every interval lies above that of random."""
    measured = rows[rows["status"] == "measured"]
    if measured.empty:
        return _MARKS.get(str(rows["status"].iloc[0]), "")
    mean = round(float(measured["value"].mean()), 3) + 0.0  # no minus before a zero
    return f"{mean:.3f}{'*' if _beats_random(measured) else ''}"


def _beats_random(rows: pd.DataFrame) -> bool:
    if rows["floor"].isna().any() or rows["method"].iloc[0] == "random":
        return False
    low = rows["low"].fillna(rows["value"]), rows["floor_low"].fillna(rows["floor"])
    high = rows["high"].fillna(rows["value"]), rows["floor_high"].fillna(rows["floor"])
    if rows["better"].iloc[0] == "higher":
        return bool((low[0] > high[1]).all())
    return bool((high[0] < low[1]).all())


def _reasons(frame: pd.DataFrame) -> Sequence[str]:
    """Each method that did not run, once, with why."""
    missing = frame[frame["metric"] == ""]
    found: dict[tuple[str, str], list[str]] = {}
    for _, row in missing.iterrows():
        found.setdefault((row["method"], f"{row['status']}: {row['reason']}"), []).append(
            row["dataset"]
        )
    return [
        f"{method} on {', '.join(dict.fromkeys(datasets))}: {reason}"
        for (method, reason), datasets in found.items()
    ]
