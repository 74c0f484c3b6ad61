"""How a study is declared: its options, how it runs, what is shown of it.

A declaration imports nothing heavy: what measures is imported in `Study.run`, when it is called.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glassgraph_studies.runner.options import Option
from glassgraph_studies.runner.tables import Column, Table

#: One measurement, as it is written to the JSON file.
Row = Mapping[str, Any]
Rows = Sequence[Row]


@dataclass(frozen=True)
class Found:
    """What a study has just found.

    Attributes:
        rows: measurements, which are kept.
        lines: what is said of them on the way.
        tables: further tables, printed before those of `Study.tables`.
        subject: what figures and pages are drawn from.
    """

    rows: Rows
    lines: Sequence[str] = ()
    tables: Sequence[Table] = ()
    subject: Any = None


@dataclass(frozen=True)
class Figure:
    """A picture of what was found.

    Attributes:
        help: of ``--figure``.
        save: draws subjects into a file; called once, when all have been found.
        most: how many subjects are drawn, the first ones; None for all.
    """

    help: str
    save: Callable[[Sequence[Any], Path], None]
    most: int | None = None


@dataclass(frozen=True)
class Pages:
    """An HTML page for each subject.

    Attributes:
        help: of ``--html``.
        save: writes the page of a subject into a folder, if it has one.
    """

    help: str
    save: Callable[[Any, Path], None]


@dataclass(frozen=True)
class Study:
    """An experiment or a measurement, and the command that runs it.

    Every command has ``--json`` and ``--quiet``, too.

    Attributes:
        name: of the command; the folder has the same, with underscores.
        help: what is asked, in a line.
        run: finds something again and again; called with what the options say, by name, and with
            ``progress``, whether to show it.
        options: those of this study.
        tables: what is printed of all rows.
        verdicts: lines about all rows, on bars that are reached or missed.
        figure: what ``--figure`` draws; without it there is no such option.
        pages: what ``--html`` writes; without it there is no such option.
        has_threads: whether ``--threads`` is an option; otherwise one thread measures.
        has_progress: whether there is any to show.
    """

    name: str
    help: str
    run: Callable[..., Iterator[Found]]
    options: Sequence[Option]
    tables: Callable[[Rows], Iterable[Table]] = lambda _: ()
    verdicts: Callable[[Rows], Iterable[str]] = lambda _: ()
    figure: Figure | None = None
    pages: Pages | None = None
    has_threads: bool = True
    has_progress: bool = True


def one_table(title: str, columns: Sequence[Column]) -> Callable[[Rows], Iterable[Table]]:
    """For studies that print their rows as they are."""
    return lambda rows: [Table(title, columns, rows)]


def spelled(row: Row) -> Found:
    """A row of a study that says all that is in it."""
    words = (
        f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in row.items()
    )
    return Found([row], ["  ".join(words)])
