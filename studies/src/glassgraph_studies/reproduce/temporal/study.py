"""``glassgraph reproduce temporal``: planted causes in a stream of events."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from glassgraph_studies.runner.options import count, seeds, several
from glassgraph_studies.runner.study import Found, Rows, Study
from glassgraph_studies.runner.tables import Column, Table, name, number

_AUC, _SHARE = 0.95, 0.9
METHODS = (
    *("perturb_one", "occlusion", "edge_gradients", "integrated_gradients", "saliency"),
    *("input_x_gradient", "recency", "random"),
)


def run(**options: Any) -> Iterator[Found]:
    """Each seed."""
    from glassgraph_studies.reproduce.temporal.experiment import run_temporal

    for scene, rows in run_temporal(**options):
        auc = scene.trained.auc
        lines = [
            f"seed {scene.seed}: AUC {auc['val']:.3f} validation, {auc['test']:.3f} test "
            f"({scene.trained.seconds:.0f} s), {len(scene.index)} links"
        ]
        lines += [
            f"  {row['method']}: {100 * row['first_three']:.0f} % among the first three "
            f"({row['seconds_per_link']:.2f} s each)"
            for row in rows
        ]
        yield Found(rows, lines)


def tables(rows: Rows) -> Iterator[Table]:
    """What each method found."""
    from glassgraph_studies.reproduce.temporal.experiment import summarize

    found = summarize(dict(row) for row in rows)
    title = (
        "Planted causes: percent of links whose cause is the first event, or among the first "
        f"three;\nof {found[0]['candidates']:.0f} past events each; "
        f"AUC of the network {found[0]['auc']:.3f}"
        if found
        else "Planted causes"
    )
    columns = (
        name("method", "method"),
        number("first", "first", "{:.1f}", 100),
        number("first 3", "first_three", "{:.1f}", 100),
        number("least seed", "least", "{:.1f}", 100),
        number("chance", "chance", "{:.1f}", 100),
        number("ms/link", "seconds_per_link", "{:.0f}", 1000),
        Column("model", lambda row: "unchanged" if row["is_unchanged"] else "CHANGED"),
    )
    yield Table(title, columns, found)


def verdicts(rows: Rows) -> Iterator[str]:
    """The bars."""
    from glassgraph_studies.reproduce.temporal.experiment import summarize

    found = summarize(dict(row) for row in rows)
    if not found:
        return
    best = max(found, key=lambda row: row["first_three"])
    auc = found[0]["least_auc"]
    yield f"AUC >= {_AUC} for every seed: {'yes' if auc >= _AUC else 'no'} (least {auc:.3f})"
    is_met = "yes" if best["first_three"] >= _SHARE else "no"
    yield (
        f"planted cause among the first 3 for >= {_SHARE:.0%} of the links: {is_met} "
        f"({best['method']}, {best['first_three']:.1%})"
    )


TEMPORAL = Study(
    name="temporal",
    help="Planted causes in a stream of events: which method finds what made a link happen?",
    run=run,
    options=(
        seeds(3, "stream and network"),
        several("method", f"Row: {', '.join(METHODS)}", to="methods", choices=METHODS),
        count("tips", 8000, "Tips in the stream; an eighth lead to a visit.", to="num_tips"),
        count("epochs", 12, "Passes over the stream in training."),
        count("links", 30, "Visits of the test part that are explained.", to="num_links"),
        count("candidates", 100, "Past events that get scores."),
    ),
    tables=tables,
    verdicts=verdicts,
)
