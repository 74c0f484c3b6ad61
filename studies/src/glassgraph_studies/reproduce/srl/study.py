"""``glassgraph reproduce srl``: semantic role labeling, as in the GraphMask paper."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from glassgraph_studies.reproduce.srl.bars import bars, of_table
from glassgraph_studies.reproduce.srl.settings import LABELERS, METHODS, SHARES
from glassgraph_studies.runner.options import Option, flag, folder, seeds, several
from glassgraph_studies.runner.study import Figure, Found, Pages, Row, Rows, Study
from glassgraph_studies.runner.tables import Column, Table, number, shown

#: Dependency types that the table shows for each kind of predicate.
_TYPES = 8
#: Messages of a type of which a share says something.
_ENOUGH = 200
_KINDS = ("verb", "noun", "other")
_TENTH = "{:.1f}"


def run(**options: Any) -> Iterator[Found]:
    """Each step of each labeler."""
    from glassgraph_studies.reproduce.srl.experiment import run_srl

    for outcome in run_srl(**options):
        yield Found(outcome.rows, list(_lines(outcome.rows)), subject=outcome)


def _lines(rows: Rows) -> Iterator[str]:
    for row in rows:
        if row["table"] == "labeler":
            yield (
                f"{row['model']}: F1 {row['f1']:.2f} on test, {row['validation_f1']:.2f} on "
                f"validation (training took {row['train_seconds']:.0f} s)"
            )
        elif row["table"] in ("tolerance", "graphmask"):
            is_test = row["table"] == "graphmask"
            yield (
                f"{row['model']}: tolerance {row['tolerance']:.3g}, "
                f"{'test' if is_test else 'validation'}: F1 {row['change']:+.2f} with "
                f"{100 * row['kept']:.1f} % of the messages"
                + (
                    f"  (seed {row['seed']}, fit {shown(row.get('seconds'), '{:.0f} s')})"
                    if is_test
                    else ""
                )
            )


def tables(rows: Rows) -> Iterator[Table]:
    """Published beside measured."""
    for title, columns, find in _TABLES:
        found = find(rows)
        if found:
            yield Table(title, columns, found)


def verdicts(rows: Rows) -> Iterator[str]:
    """Every bar, reached or missed."""
    for bar in bars(rows):
        verdict = "reached" if bar.is_met else "MISSED"
        yield f"{verdict}: {bar.name}: {bar.found}, wanted {bar.wanted}"


def _rows_of(table: str) -> Callable[[Rows], list[Row]]:
    return lambda rows: of_table(rows, table)


def _shares(rows: Rows) -> list[dict[str, Any]]:
    """Table 5, mean over seeds."""
    found = of_table(rows, "shares")
    keys = ("open", "masked", "without_kept", "without_shut")
    return [
        {
            "model": model,
            "share": share,
            "published": LABELERS[model].published.shares[SHARES.index(share)],
            **{
                key: statistics.fmean(
                    row[key] for row in found if (row["model"], row["share"]) == (model, share)
                )
                for key in keys
            },
        }
        for model, share in dict.fromkeys((row["model"], row["share"]) for row in found)
    ]


def _relations(key: str, least: int) -> Callable[[Rows], list[Row]]:
    """The first types by a share, of those that have so many messages."""

    def first(rows: Rows) -> list[Row]:
        found = [row for row in of_table(rows, "relation") if row["n"] >= least]
        best: list[Row] = []
        groups = dict.fromkeys((row["model"], row["kind"]) for row in found)
        for model, kind in sorted(groups, key=lambda group: (*group[:1], _KINDS.index(group[1]))):
            mine = [row for row in found if (row["model"], row["kind"]) == (model, kind)]
            best += sorted(mine, key=lambda row: -row[key])[:_TYPES]
        return best

    return first


def _paths(rows: Rows) -> list[dict[str, Any]]:
    return [
        {
            **row,
            "published": LABELERS[row["model"]].published.paths.get((row["kind"], row["length"])),
        }
        for row in of_table(rows, "path")
    ]


def _kappas(rows: Rows) -> list[dict[str, Any]]:
    return [
        {**row, "published": LABELERS[row["model"]].published.kappa}
        for row in of_table(rows, "kappa")
    ]


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.2f}" if whole else "-"


def _paths_with(kept: int) -> Column:
    return Column(
        f"{kept}{'+' if kept == 2 else ''} (n)",
        lambda row: f"{_share(row[f'kept_{kept}'], row['n'])} ({row[f'kept_{kept}']})",
    )


def _by_chance(row: Row) -> str:
    return "/".join(_share(row[f"random_kept_{kept}"], row["n"]) for kept in range(3))


def _interval(row: Row) -> str:
    ends = row["of_type_low"], row["of_type_high"]
    return "-" if any(end != end for end in ends) else "-".join(f"{100 * end:.0f}" for end in ends)


def _published_f1(row: Row) -> str:
    return f"{LABELERS[row['model']].published.f1:.1f}"


def _published_mask(row: Row) -> str:
    published = LABELERS[row["model"]].published
    return f"{published.change:+.2f} at {published.kept:.0f}"


def _at_least(path: Row) -> str:
    return f"{path['length']}{'+' if path['length'] == 3 else ''}"


_MODEL = Column("network", lambda row: LABELERS[row["model"]].title, is_name=True)
_KEPT = number("kept %", "kept", _TENTH, 100)
_ZERO = number("zeros", "f1_zero", _TENTH)
_BASELINE = number("baselines", "f1_baseline", _TENTH)
_N = number("n", "n")
_TYPE = (
    _MODEL,
    Column("predicate", lambda row: row["kind"], is_name=True),
    Column("type", lambda row: row["relation"], is_name=True),
    Column("arc", lambda row: row["direction"], is_name=True),
    _N,
)
_OF_TYPE = number("of type", "of_type", _TENTH, 100)
_OF_ALL = number("of all", "of_all", _TENTH, 100)

_TABLES: Sequence[tuple[str, Sequence[Column], Callable[[Rows], Sequence[Any]]]] = (
    (
        "Labelers, F1 in percent (published: CoNLL-2009)",
        (
            _MODEL,
            Column("published", _published_f1),
            number("test", "f1", _TENTH),
            number("validation", "validation_f1", _TENTH),
            number("train s", "train_seconds", "{:.0f}"),
            number("of CPU", "train_cpu_seconds", "{:.0f}"),
        ),
        _rows_of("labeler"),
    ),
    (
        "GraphMask's tolerance, chosen on the validation part",
        (
            _MODEL,
            number("tolerance", "tolerance", "{:.3g}"),
            number("F1 change", "change", "{:+.2f}"),
            _KEPT,
            Column("chosen", lambda row: "yes" if row["is_chosen"] else ""),
        ),
        _rows_of("tolerance"),
    ),
    (
        "GraphMask on the test part: change of F1 and percent kept",
        (
            _MODEL,
            number("seed", "seed"),
            Column("published", _published_mask),
            number("F1 change", "change", "{:+.2f}"),
            _KEPT,
            Column("by layer", lambda row: "/".join(f"{100 * x:.1f}" for x in row["by_layer"])),
            number("fit s", "seconds", "{:.0f}"),
            number("of CPU", "cpu_seconds", "{:.0f}"),
        ),
        _rows_of("graphmask"),
    ),
    (
        "Table 5: F1 with a random share of the kept messages; whole: the original\n"
        "network without as many of the kept, and of the shut messages",
        (
            _MODEL,
            number("share %", "share", "{:.0f}", 100),
            number("published", "published", _TENTH),
            number("F1", "masked", _TENTH),
            number("open %", "open", _TENTH, 100),
            number("whole - kept", "without_kept", _TENTH),
            number("whole - shut", "without_shut", _TENTH),
        ),
        _shares,
    ),
    (
        "Fleiss' kappa of what seeds keep",
        (
            _MODEL,
            number("layer", "layer"),
            number("seeds", "seeds"),
            number("published", "published", "{:.2f}"),
            number("kappa", "kappa", "{:.3f}"),
            _KEPT,
        ),
        _kappas,
    ),
    (
        "Figure 8: what most of the kept is, by dependency type and direction; percent of\n"
        "what is kept for such predicates, beside percent of all messages (chance)",
        (*_TYPE, number("of kept", "of_kept", _TENTH, 100), _OF_ALL, _OF_TYPE),
        _relations("of_kept", 1),
    ),
    (
        f"Figure 8: of which types most is kept, of those with {_ENOUGH} messages or more;\n"
        "percent of the type's messages",
        (*_TYPE, _OF_TYPE, Column("95 %", _interval)),
        _relations("of_type", _ENOUGH),
    ),
    (
        "Table 3: paths from predicate to role by length; share with so many kept arcs,\n"
        "and if as many messages were random (published: of CoNLL-2009)",
        (
            _MODEL,
            Column("predicate", lambda row: row["kind"], is_name=True),
            Column("arcs", _at_least),
            _N,
            *map(_paths_with, range(3)),
            Column("chance", _by_chance),
            Column(
                "published",
                lambda row: "/".join(f"{x:.2f}" for x in row["published"] or ()) or "-",
            ),
        ),
        _paths,
    ),
    (
        "Figure 4: paths from predicate to role by distance in tokens; share with a kept\n"
        "arc, and if as many messages were random",
        (
            _MODEL,
            Column("predicate", lambda row: row["kind"], is_name=True),
            Column("tokens", lambda row: row["distance"]),
            _N,
            Column("kept (n)", lambda row: f"{_share(row['kept'], row['n'])} ({row['kept']})"),
            Column("chance", lambda row: _share(row["random_kept"], row["n"])),
        ),
        _rows_of("distance"),
    ),
    (
        "The network's own gates as an explanation, F1 in percent; shut messages become\n"
        "zeros, or GraphMask's baselines",
        (
            _MODEL,
            Column("open", lambda row: row["what"], is_name=True),
            Column("gates", lambda row: f"{row['mean']:.2f}±{row['std']:.2f}"),
            _KEPT,
            number("before", "before", _TENTH),
            _ZERO,
            _BASELINE,
        ),
        _rows_of("soft"),
    ),
    (
        "Whose kept messages hold F1? As many in each sentence as GraphMask keeps; shut\n"
        "messages become zeros, or GraphMask's baselines",
        (
            _MODEL,
            Column(
                "method",
                lambda row: (
                    METHODS[row["method"]].title if row["method"] in METHODS else row["method"]
                ),
                is_name=True,
            ),
            number("n", "predicates"),
            _KEPT,
            _ZERO,
            _BASELINE,
            number("s", "seconds", "{:.0f}"),
        ),
        _rows_of("method"),
    ),
)


def _save_figure(outcomes: Sequence[Any], path: Path) -> None:
    from glassgraph_studies.reproduce.srl.figure import save_figure

    save_figure([row for outcome in outcomes for row in outcome.rows], path)


def _save_page(outcome: Any, folder: Path) -> None:
    from glassgraph_studies.reproduce.srl.figure import save_page

    save_page(outcome, folder)


SRL = Study(
    name="srl",
    help="Semantic role labeling: what does GraphMask keep of a dependency tree?",
    run=run,
    options=(
        folder("Folder of srl_ewt_propbank and glove_small.", is_required=True),
        several("model", "Network", "both", to="models", choices=tuple(LABELERS)),
        seeds(5, "GraphMask"),
        Option("cache", Path, "Folder for what was learned, read where it is there."),
        flag("small", "Few sentences and steps: see that it runs; the numbers say nothing."),
    ),
    tables=tables,
    verdicts=verdicts,
    figure=Figure("Draw Figure 8 (.png, .svg or .pdf).", _save_figure),
    pages=Pages("Folder for a page with an analyzed sentence for each network.", _save_page),
)
