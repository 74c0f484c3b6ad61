"""``glassgraph reproduce temporal``: planted causes in a stream of events."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from glassgraph_studies.reproduce.temporal.rows import ROWS
from glassgraph_studies.runner.options import count, seeds, several
from glassgraph_studies.runner.study import Found, Rows, Study
from glassgraph_studies.runner.tables import Column, Table, name, number

_AUC, _SHARE = 0.95, 0.9


def run(seeds: range, first_seed: int, **options: Any) -> Iterator[Found]:
    """Each seed."""
    from glassgraph_studies.reproduce.temporal.experiment import run_temporal

    for scene, rows in run_temporal([first_seed + each for each in seeds], **options):
        auc = scene.trained.auc
        lines = [
            f"seed {scene.seed}: AUC {auc['val']:.3f} validation, {auc['test']:.3f} test "
            f"({scene.trained.seconds:.0f} s), {len(scene.index)} links"
        ]
        lines += [
            f"  {row['method']}: {100 * row['first_three']:.0f} % among the first three "
            f"({row['seconds_per_link']:.2f} s of CPU each)"
            for row in rows
        ]
        yield Found(rows, lines)


def tables(rows: Rows) -> Iterator[Table]:
    """What each method found, and what becomes of links without its first events."""
    from glassgraph_studies.reproduce.temporal.experiment import SIZES, summarize

    found = summarize(dict(row) for row in rows)
    title = "Planted causes"
    if found:
        title += (
            ": percent of links whose cause is the first event, or among the first three (mean "
            f"and standard\ndeviation over {found[0]['seeds']} seeds); of "
            f"{found[0]['candidates']:.0f} past events each; AUC of the network "
            f"{found[0]['auc']:.3f} +- {found[0]['auc_deviation']:.3f}"
        )
    columns = (
        name("method", "method"),
        number("first", "first", "{:.1f}", 100),
        number("+-", "first_deviation", "{:.1f}", 100),
        number("chance", "chance_first", "{:.1f}", 100),
        number("first 3", "first_three", "{:.1f}", 100),
        number("+-", "first_three_deviation", "{:.1f}", 100),
        number("least", "least", "{:.1f}", 100),
        number("chance", "chance", "{:.1f}", 100),
        number("CPU ms/link", "seconds_per_link", "{:.0f}", 1000),
        number("CPU s to fit", "seconds_to_fit", "{:.0f}"),
        Column("model", lambda row: "unchanged" if row["is_unchanged"] else "CHANGED"),
    )
    yield Table(title, columns, found)
    yield Table(
        "Without truth: what the link's score loses without the first k events (high: they were "
        "needed),\nand with those alone among the candidates (low: they suffice); in logits",
        [
            name("method", "method"),
            *(
                number(f"{word} {size}", f"{key}_{size}", "{:.2f}")
                for key, word in (("without", "without"), ("only", "only"))
                for size in SIZES
            ),
            *(
                number(f"chance {word} {size}", f"{key}_chance_{size}", "{:.2f}")
                for key, word in (("without", "without"), ("only", "only"))
                for size in SIZES
            ),
        ],
        found,
    )


def verdicts(rows: Rows) -> Iterator[str]:
    """The bars."""
    from glassgraph_studies.reproduce.temporal.experiment import summarize

    found = summarize(dict(row) for row in rows)
    if not found:
        return
    auc = found[0]["least_auc"]
    yield f"AUC >= {_AUC} for every seed: {'yes' if auc >= _AUC else 'no'} (least {auc:.3f})"
    for row in found:
        is_met = "yes" if row["first_three"] >= _SHARE else "no"
        yield (
            f"planted cause among the first 3 for >= {_SHARE:.0%} of the links, {row['method']}: "
            f"{is_met} ({row['first_three']:.1%}, least seed {row['least']:.1%})"
        )


TEMPORAL = Study(
    name="temporal",
    help="Planted causes in a stream of events: which method finds what made a link happen?",
    run=run,
    options=(
        seeds(3, "stream and network"),
        count("first_seed", 0, "The first seed; the others follow it.", least=0),
        several("method", f"Row: {'; '.join(ROWS)}", to="methods", choices=ROWS),
        count("tips", 8000, "Tips in the stream; an eighth lead to a visit.", to="num_tips"),
        count("epochs", 12, "Passes over the stream in training."),
        count("links", 30, "Visits of the test part that are explained.", to="num_links"),
        count("candidates", 100, "Past events that get scores."),
        count("navigator_links", 200, "Training visits that the navigator is fitted on."),
        count("rollouts", 500, "Walks of t_gnn_explainer."),
    ),
    tables=tables,
    verdicts=verdicts,
)
