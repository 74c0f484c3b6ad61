"""``glassgraph reproduce babi``: are the facts kept that an answer follows from?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from glassgraph_studies.runner.options import count, folder, seeds, several
from glassgraph_studies.runner.study import Found, Row, Study, one_table
from glassgraph_studies.runner.tables import Column, number, shown

_TITLE = (
    "GraphMask on bAbI (1,000 training questions each), percent; gold: supporting\n"
    "facts that are heard, others: further facts that are not, each / by chance;\n"
    "both: questions where exactly the supporting facts are heard"
)


def run(**options: Any) -> Iterator[Found]:
    """Each task and seed."""
    from glassgraph_studies.reproduce.babi.experiment import run_babi

    for row in run_babi(**options):
        yield Found([row], [_line(row)])


def _line(row: Row) -> str:
    return (
        f"task {row['task']}, seed {row['seed']}: accuracy {row['accuracy']:.1f}, gold "
        f"{shown(row['gold'], '{:.1f}')}, others {shown(row['others'], '{:.1f}')}  "
        f"(fit {row['fit_seconds']:.0f} s)"
    )


def _beside_chance(title: str, key: str) -> Column:
    def text(row: Row) -> str:
        return " / ".join(shown(row[name], "{:.1f}") for name in (key, f"{key}_chance"))

    return Column(title, text)


BABI = Study(
    name="babi",
    help="GraphMask on bAbI: are the facts kept that an answer follows from, and no others?",
    run=run,
    options=(
        folder("Folder above babi_en_1k.", is_required=True),
        several("task", "Number of a task", "2, 3, 15, 16, 18", to="tasks", kind=int, least=1),
        seeds(1, "network and gates"),
        count("epochs", 20, "Passes over the training questions."),
        count("steps", None, "Steps of GraphMask.", otherwise="the study's own"),
        count("questions", None, "Questions of each part at most.", otherwise="all"),
    ),
    tables=one_table(
        _TITLE,
        (
            Column("task, seed", lambda row: f"{row['task']}, {row['seed']}", is_name=True),
            number("accuracy", "accuracy", "{:.1f}"),
            number("masked", "masked", "{:.1f}"),
            number("kept", "kept", "{:.1f}"),
            _beside_chance("gold", "gold"),
            _beside_chance("others", "others"),
            number("both", "both", "{:.1f}"),
            number("facts", "facts", "{:.1f}"),
            number("n", "n"),
        ),
    ),
)
